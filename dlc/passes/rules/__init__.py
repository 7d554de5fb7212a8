"""Rewrite rules as data: a name, one line, a rounding licence, and a law that tests every rule."""
