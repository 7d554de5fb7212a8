"""Sparrow's instruction set: read from `isa/*.isa`, and everything that derives from it. Never
imports the IR."""
