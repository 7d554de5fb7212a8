"""Compiled programs as Python objects: entries as methods, values in and out, parameters as
arrays."""
