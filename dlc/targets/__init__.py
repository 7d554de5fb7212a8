"""What runs a module: each target lowers the bufferised form, and none imports another."""
