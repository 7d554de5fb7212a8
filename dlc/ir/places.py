"""Where an operation stands in the printed text: the line that a reader of the text looks for."""

from __future__ import annotations

from dlc.ir.core import Function, Module, Op, Region
from dlc.ir.printer import print_module


def op_lines(m: Module) -> dict[Op, int]:
    """The first line, from 1, of every operation in `print_module(m)`.

    Follows the printer's layout: an operation takes a line, and each region a line that opens it,
    one that closes it (shared with the result types), and its operations between them."""
    heads = [i for i, text in enumerate(print_module(m).split("\n"), 1) if text.startswith("fn @")]
    out: dict[Op, int] = {}
    for line, fn in zip(heads, m.functions.values(), strict=True):
        _region(fn.body, line + 1, out)
    return out


def _region(r: Region, line: int, out: dict[Op, int]) -> int:
    for op in r.ops:
        out[op] = line
        line += 1
        for inner in op.regions:
            line = _region(inner, line + 1, out) + 1
    return line


def function_line(m: Module, fn: Function) -> int:
    """The line of the function's head in `print_module(m)`."""
    for i, text in enumerate(print_module(m).split("\n"), 1):
        if text.startswith((f"fn @{fn.name}(", f"fn @{fn.name}[")):
            return i
    return 0
