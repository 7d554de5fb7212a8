"""The meaning of every operation: one card each. Knows no target."""
