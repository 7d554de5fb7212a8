"""Pieces of dl text: expressions with how strongly they bind, numbers, dims, types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import BOOL, F32, I32, DType
from dlc.typesys.types import ListType, TensorType, Type

OR, AND, NOT, COMPARE, PLUS, TIMES, UNARY, POWER, ATOM = range(9)
"""How strongly operators bind, from the weakest on."""

I32_RANGE = range(-(1 << 31) + 1, 1 << 31)


@dataclass(frozen=True, slots=True)
class Text:
    """An expression. `bare` is a number without its type, for operands that meet a typed one;
    `index` the same value as an i32 expression, where that is shorter than a conversion."""

    text: str
    level: int = ATOM
    bare: str = ""
    index: str = ""

    def at(self, level: int) -> str:
        """In brackets if it binds weaker than this."""
        return self.text if self.level >= level else f"({self.text})"


def call(name: str, *args: str) -> Text:
    return Text(f"{name}({', '.join(args)})")


# -- numbers


def number(x: Any, d: DType) -> Text:
    """A scalar constant."""
    if d is BOOL:
        return Text("true" if x else "false")
    if d.is_int:
        return _whole(int(x), d)
    value = float(x)
    if not np.isfinite(value):
        ratio = "0.0 / 0.0" if np.isnan(value) else "1.0 / 0.0" if value > 0 else "-1.0 / 0.0"
        return Text(ratio, TIMES) if d is F32 else call(d.name, ratio)
    bare = _decimal(value, d)
    if d is F32:
        return Text(bare, UNARY if bare[0] == "-" else ATOM, bare)
    return Text(f"{d.name}({bare})", ATOM, bare)


def _whole(n: int, d: DType) -> Text:
    bare = str(n)
    index = bare if n in I32_RANGE else ""
    if d is I32:
        level = UNARY if n < 0 else ATOM
        return Text(bare, level, bare, index)
    return Text(f"{d.name}({bare})", ATOM, bare, index)


def _decimal(x: float, d: DType) -> str:
    """The shortest decimal that reads back as the same number."""
    text = str(np.float32(x)) if d.bits <= 32 else repr(x)
    return text if any(c in text for c in ".en") else f"{text}.0"


def array(a: Any, d: DType) -> Text:
    """A constant of at least one axis and at least one element."""
    flat = a.reshape(-1)
    if d in (F32, I32, BOOL):
        return Text(_brackets(a, lambda x: number(x, d).text))
    if d.is_int and all(int(x) in I32_RANGE for x in flat):
        return call(d.name, _brackets(a, lambda x: str(int(x))))
    return Text(_brackets(a, lambda x: number(x, d).text))


def _brackets(a: Any, element: Callable[[Any], str]) -> str:
    if a.ndim == 0:
        return element(a[()])
    return f"[{', '.join(_brackets(x, element) for x in a)}]"


# -- dims and types


class Dims:
    """Dims in the words of the text."""

    def __init__(self) -> None:
        self._bind: dict[str, Dim] = {}

    def name(self, old: str, new: str) -> None:
        self._bind[old] = Dim.sym(new)

    def text(self, d: Dim) -> Text:
        """A dim as an i32 expression."""
        s = str(d.substitute(self._bind))
        atom = s.isidentifier() or s.isdigit()
        return Text(s, ATOM if atom else PLUS, s, s)

    def each(self, ds: Sequence[Dim]) -> list[str]:
        return [self.text(d).text for d in ds]

    def type(self, t: Type) -> str:
        """A type."""
        if isinstance(t, ListType):
            columns = [self.type(c) for c in t.columns]
            inner = columns[0] if len(columns) == 1 else f"({', '.join(columns)})"
            return f"List[{inner}]"
        assert isinstance(t, TensorType)
        if not t.shape:
            return t.dtype.name
        return f"{t.dtype.name}[{', '.join(self.each(t.shape))}]"
