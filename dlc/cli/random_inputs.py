"""Random inputs of an entry, made from its interface.

Sizes are small and agree with each other; whole numbers lie below the smallest size, so that they
index whatever they index; structures are valid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dlc.artifact.python.algebra import Types
from dlc.artifact.python.codec import Some
from dlc.artifact.python.structures import Graph, Rows, Segs, Sparse
from dlc.diag import CompileError, error
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DType
from dlc.typesys.interface import AdtInfo, EntryInfo, Interface

SMALLEST, LARGEST = 2, 7
"""Sizes that nothing fixes."""
DEPTH = 5
"""Levels of an algebraic value, where a constructor without values of the type is at hand."""
LONGEST = 4
"""Elements of a list."""


def sizes_of(interface: Interface, rng: np.random.Generator) -> dict[str, int]:
    """A number for every dim of the parameter sets: the bound one, the default, or a random one."""
    out: dict[str, int] = {}
    for s in interface.parameter_sets:
        numbers = {**dict(s.defaults), **dict(s.fixed)}
        for d in s.dims:
            out.setdefault(d, numbers[d] if d in numbers else _size(rng))
    return out


def _size(rng: np.random.Generator) -> int:
    return int(rng.integers(SMALLEST, LARGEST + 1))


class Source:
    """Draws values. Two sources with one seed draw the same."""

    def __init__(
        self, interface: Interface, types: Types, env: Mapping[str, int], seed: int
    ) -> None:
        self._adts: Mapping[str, AdtInfo] = {a.name: a for a in interface.types}
        self._types = types
        self._rng = np.random.default_rng(seed)
        self._env = dict(env)
        self._heights = _heights(interface.types)

    def inputs(self, entry: EntryInfo) -> dict[str, Any]:
        """A value for every parameter that is no model. Raises CompileError E0610 for a type of
        which there are no random values."""
        from dlc.typesys.interface import Fixed

        for d in entry.dims:
            if isinstance(d.source, Fixed):
                self._env[d.name] = d.source.value
            else:
                self._env.setdefault(d.name, _size(self._rng))
        out: dict[str, Any] = {}
        for p in entry.parameters:
            if p.parameter_set is not None:
                continue
            if p.is_dim:
                out[p.name] = self._value_of(Dim.sym(p.name))
            else:
                out[p.name] = self._value(p.type, DEPTH)
        return out

    def _value_of(self, d: Dim) -> int:
        for name in d.symbols():
            self._env.setdefault(name, _size(self._rng))
        n = d.evaluate(self._env)
        if n < 0:
            raise CompileError(error("E0610", f"random sizes give {d} = {n}: bind some"))
        return n

    def _value(self, t: surface.Type, depth: int) -> Any:
        rng = self._rng
        match t:
            case surface.Tensor():
                x = self._numbers(t.concrete, tuple(self._value_of(d) for d in t.dims))
                return x if t.rank else x[()]
            case surface.Key():
                return int(rng.integers(0, 2**63))
            case surface.Tuple():
                return tuple(self._value(x, depth) for x in t.items)
            case surface.List():
                count = int(rng.integers(0, LONGEST + 1)) if depth > 0 else 0
                return [self._value(t.element, depth - 1) for _ in range(count)]
            case surface.Option():
                if depth <= 0 or rng.integers(2) == 0:
                    return None
                value = self._value(t.element, depth - 1)
                return Some(value) if isinstance(t.element, surface.Option) else value
            case surface.Adt():
                return self._algebraic(t, depth)
            case surface.Graph() | surface.Segs() | surface.Sparse() | surface.Rows():
                return self._structure(t)
            case _:
                raise CompileError(error("E0610", f"there are no random values of type {t}"))

    def _algebraic(self, t: surface.Adt, depth: int) -> Any:
        info = self._adts[surface.short(t.name)]
        heights = self._heights[info.name]
        fits = [i for i, h in enumerate(heights) if h <= depth]
        at = int(self._rng.choice(fits)) if fits else int(np.argmin(heights))
        c = info.constructors[at]
        bind = dict(zip(info.dims, t.dims, strict=True))
        fields = [surface.substitute_dims(f.type, bind) for f in c.fields]
        return getattr(self._types[info.name], c.name)(*(self._value(f, depth - 1) for f in fields))

    def _structure(self, t: surface.Graph | surface.Segs | surface.Sparse | surface.Rows) -> Any:
        rng = self._rng
        match t:
            case surface.Graph():
                nodes, arcs = self._value_of(t.nodes), self._value_of(t.arcs)
                ends = rng.integers(0, max(nodes, 1), (2, arcs), np.int32)
                return Graph(ends[0], ends[1], nodes)
            case surface.Segs():
                rows, items = self._value_of(t.rows), self._value_of(t.items)
                cuts = np.sort(rng.integers(0, items + 1, max(rows - 1, 0)))
                return Segs.from_starts(np.array([0, *cuts, *([items] if rows else [])]))
            case surface.Sparse(dtype, size):
                n = self._value_of(size)
                at = np.flatnonzero(rng.integers(0, 2, n))
                assert isinstance(dtype, DType)
                return Sparse(at, self._numbers(dtype, (len(at),)), n)
            case surface.Rows(dtype, count, width):
                n = self._value_of(count)
                at = np.flatnonzero(rng.integers(0, 2, n))
                assert isinstance(dtype, DType)
                return Rows(at, self._numbers(dtype, (len(at), self._value_of(width))), n)

    def _numbers(self, d: DType, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """Floats of a normal distribution; whole numbers from 0 to below every size."""
        if d.is_float:
            return np.asarray(self._rng.standard_normal(shape)).astype(d.numpy)
        if d.kind == "bool":
            return np.asarray(self._rng.integers(0, 2, shape)).astype(d.numpy)
        least = min((n for n in self._env.values() if n > 0), default=SMALLEST)
        return np.asarray(self._rng.integers(0, min(least, 100), shape)).astype(d.numpy)


def _heights(infos: tuple[AdtInfo, ...]) -> dict[str, list[int]]:
    """For each constructor, the levels of its smallest values: a fixpoint from above."""
    far = 1 << 20
    heights = {a.name: [far] * len(a.constructors) for a in infos}

    def least(t: surface.Type) -> int:
        return max((min(heights[n]) for n in _held(t)), default=0)

    changed = True
    while changed:
        changed = False
        for a in infos:
            for i, c in enumerate(a.constructors):
                now = min(far, 1 + max((least(f.type) for f in c.fields), default=0))
                if now < heights[a.name][i]:
                    heights[a.name][i], changed = now, True
    return heights


def _held(t: surface.Type) -> Iterator[str]:
    """The algebraic types that every value of a type holds; lists and options may be empty."""
    if isinstance(t, surface.Adt):
        yield surface.short(t.name)
    elif isinstance(t, surface.Tuple):
        for x in t.items:
            yield from _held(x)
