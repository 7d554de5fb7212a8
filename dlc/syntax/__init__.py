"""The surface of dl: the frozen tree, the parser and the formatter."""

from dlc.syntax import tree
from dlc.syntax.parse import MAX_BYTES, decode_source, parse, read_source

__all__ = ["MAX_BYTES", "decode_source", "parse", "read_source", "tree"]
