"""Typed trees to IR: one IR function per instance, every value as its leaves, no `break` left.

Imports check, ir, ops and typesys; knows no target."""
