"""A program in f64 instead of f32, so that its gradients can be compared closely."""

from __future__ import annotations

import re

from dlc.ir.core import Module
from dlc.ir.printer import print_module
from dlc.ir.reader import read_module
from dlc.ops.verify import verify

_DRAW = re.compile(r"^(\s*)(%[\w.]+) = (random_uniform .*) : f64(\[.*\]|)$", re.MULTILINE)


def doubled(module: Module) -> Module:
    """Every f32 is f64; draws are of the same f32 numbers, converted."""
    text = re.sub(r"\bf32\b", "f64", print_module(module, locations=False))
    text = _DRAW.sub(
        r"\1\2.drawn = \3 : f32\4\n\1\2 = convert \2.drawn {dtype=dtype(f64)} : f64\4", text
    )
    return verify(read_module(text))
