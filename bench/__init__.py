"""Speed and size, measured beside the peers. Nothing here is a test."""
