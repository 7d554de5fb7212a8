"""The bufferised form, shared by both targets: who lives where, for how long, in how many bytes."""
