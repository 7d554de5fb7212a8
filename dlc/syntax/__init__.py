"""The surface of dl: the frozen tree, the parser and the formatter."""
