"""Weights that are known when compiling: which address registers hold them, and matrices of them
that are mostly zero."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from dlc.memory.form import BFunction, BModule, Call, Reg, View
from dlc.memory.frame import statements
from dlc.targets.sparrow.program import Array
from dlc.typesys.dims import Dim
from dlc.typesys.types import TensorType

Extent = tuple[Dim, Dim]
"""Size and stride of an axis."""


@dataclass(frozen=True)
class Known:
    """Address registers of parameters that hold the same weight in every call, by the weight's
    name."""

    arrays: Mapping[str, Array]
    names: Mapping[Reg, str]

    def matrix(self, v: View, rows: Extent, columns: Extent) -> Array | None:
        """The numbers of a view as [rows, columns], if the view is all known."""
        name = self.names.get(v.place) if isinstance(v.place, Reg) else None
        numbers = [v.base, *rows, *columns]
        if name is None or v.terms or not all(d.is_constant for d in numbers):
            return None
        base, n, step, m, inner = (d.constant for d in numbers)
        flat = self.arrays[name].reshape(-1)
        at = base + step * np.arange(n)[:, None] + inner * np.arange(m)[None, :]
        return flat[at] if at.size and 0 <= int(at.min()) and int(at.max()) < flat.size else None


def usable(fn: BFunction, weights: Mapping[str, Array]) -> Iterator[tuple[Reg, str]]:
    """Parameters of an entry that get a weight: float tensors that the function doesn't change."""
    for p in fn.params:
        t = p.type
        if p.mode == "in" and p.name in weights and isinstance(t, TensorType) and t.rank:
            if t.dtype.name == "f32":
                yield p.reg, p.name


def known_weights(m: BModule, weights: Mapping[str, Array]) -> Known:
    """What the parameters of functions hold: None stands for more than one thing. A function that
    nobody has called yet may hold anything, so what is found only shrinks."""
    if not weights:
        return Known({}, {})
    found: dict[Reg, str | None] = {}
    for fn in m.functions.values():
        if fn.entry:
            given = dict(usable(fn, weights))
            found.update({p.reg: given.get(p.reg) for p in fn.params})
    calls = [
        (s, m.functions[s.function])
        for fn in m.functions.values()
        for s in statements(fn.body)
        if isinstance(s, Call)
    ]
    parameters = {p.reg for fn in m.functions.values() for p in fn.params}
    while True:
        before = dict(found)
        for s, callee in calls:
            params = [p for p in callee.params if p.mode != "out"]
            for p, a in zip(params, s.args, strict=True):
                if isinstance(a, View) and isinstance(a.place, Reg) and a.place in found:
                    name = found[a.place] if _is_whole(a, p.type) and p.mode == "in" else None
                elif isinstance(a, View) and isinstance(a.place, Reg) and a.place in parameters:
                    continue
                else:
                    name = None
                if p.reg not in found or found[p.reg] != name:
                    found[p.reg] = name if p.reg not in found else None
        if found == before:
            arrays = {n: np.ascontiguousarray(x, np.float32) for n, x in weights.items()}
            return Known(arrays, {r: n for r, n in found.items() if n is not None})


def _is_whole(v: View, t: object) -> bool:
    whole = isinstance(t, TensorType) and v.is_contiguous and v.base == Dim.const(0) and not v.terms
    return bool(whole) and isinstance(t, TensorType) and len(t.shape) == len(v.shape)
