"""The results of a call as Python values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlc.artifact.border import Border
from dlc.artifact.items import Item
from dlc.artifact.python.arrays import Flat, decode
from dlc.artifact.python.codec import Codecs, Record
from dlc.artifact.python.host import FlatCodec, flat_codec
from dlc.artifact.python.structures import Graph, Segs, Sparse
from dlc.targets.cpu.schema import Schema
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.types import TensorType

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Result:
    """An output: the arrays of its leaves (a scalar has no axes), or a list or algebraic value."""

    arrays: tuple[Any, ...] = ()
    flat: Flat | None = None


class Deliverer:
    """Makes Python values of the results of one entry."""

    def __init__(self, border: Border, schema: Schema, codecs: Codecs) -> None:
        self.border, self.schema = border, schema
        self.flats = {
            i: flat_codec(border.outputs[i], flat, schema, codecs)
            for i, flat in border.flats_out.items()
        }

    def deliver(self, results: Sequence[Result], env: Mapping[str, int]) -> Any:
        """The result of the call."""
        known = dict(env)
        for x, r in zip(self.border.outputs, results, strict=True):
            _note_sizes(x, r, known)
        values = [
            self._item(i, x, r, known)
            for i, (x, r) in enumerate(zip(self.border.outputs, results, strict=True))
        ]
        rest = iter([(x.path, v) for x, v in zip(self.border.outputs, values, strict=True)])
        return _assembled(self.border.entry.result, list(rest))

    def _item(self, i: int, x: Item, r: Result, env: Mapping[str, int]) -> Any:
        t = x.type
        if x.kind in ("scalar", "tensor"):
            a = r.arrays[0]
            return a if getattr(a, "ndim", 0) else np.asarray(a)[()]
        if r.flat is not None:
            return decoded(self.flats[i], self.schema, r.flat, env)
        if isinstance(t, surface.Graph):
            return Graph(r.arrays[0], r.arrays[1], _size(t.nodes, env))
        if isinstance(t, surface.Segs):
            return Segs.from_starts(r.arrays[0])
        assert isinstance(t, surface.Sparse)
        return Sparse(r.arrays[0], r.arrays[1], _size(t.size, env))


def decoded(f: FlatCodec, schema: Schema, flat: Flat, env: Mapping[str, int]) -> Any:
    """The Python value of flat arrays."""
    type_env: dict[str, Mapping[str, int]] = {}
    for name, dims in schema.bindings(f.type).items():
        values = [_size(d, env) for d in dims]
        type_env[name] = dict(zip(schema.types[name].dims, values, strict=True))
    leaf = decode(f.codec.plans[0], flat, f.own, f.leaves, env, type_env)
    return f.codec.implode((leaf,), env)


def _size(d: Dim, env: Mapping[str, int]) -> int:
    return d.evaluate(env)


def _note_sizes(x: Item, r: Result, env: dict[str, int]) -> None:
    """Sizes that only the run decided, from the results that show them."""
    for leaf, a in zip(x.leaves, r.arrays, strict=False):
        if isinstance(leaf.type, TensorType):
            for axis, d in enumerate(leaf.type.shape):
                if d.name is not None and d.name not in env:
                    env[d.name] = a.shape[axis]


def _assembled(t: surface.Type, parts: list[tuple[tuple[str, ...], Any]]) -> Any:
    """A value of the surface type from its items, which are named by path."""
    if isinstance(t, surface.Unit):
        return None
    if isinstance(t, surface.Tuple):
        return tuple(
            _assembled(x, [(p[1:], v) for p, v in parts if p[:1] == (str(i),)])
            for i, x in enumerate(t.items)
        )
    if isinstance(t, (surface.Model, surface.Array, surface.Tangent)):
        return _nested(parts)
    ((_, value),) = parts
    return value


def _nested(parts: list[tuple[tuple[str, ...], Any]]) -> Any:
    if len(parts) == 1 and not parts[0][0]:
        return parts[0][1]
    names = dict.fromkeys(p[0] for p, _ in parts)
    return Record({n: _nested([(p[1:], v) for p, v in parts if p[0] == n]) for n in names})
