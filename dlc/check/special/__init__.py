"""Builtins whose rule no signature can say."""
