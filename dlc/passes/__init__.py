"""Passes over the IR that keep `evaluate(module)`: each is a frozen value with a name and one
line."""
