"""The arguments of one call: checked, as arrays, and the numbers that they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlc.artifact.border import (
    BindError,
    Border,
    ColumnExtent,
    Extent,
    Last,
    Number,
    Shown,
    Told,
    bind,
    shown_sizes,
)
from dlc.artifact.flat import FlatType
from dlc.artifact.items import Item
from dlc.artifact.python import tensors
from dlc.artifact.python.arrays import Flat, encode, raw_leaves
from dlc.artifact.python.codec import (
    Codec,
    Codecs,
    graph_value,
    rows_value,
    segs_value,
    sparse_value,
)
from dlc.artifact.python.errors import ShapeError
from dlc.artifact.python.trees import Trees
from dlc.targets.cpu.schema import Child, Leaf, Part, Schema, own_leaves
from dlc.typesys import surface
from dlc.typesys.dtypes import DType
from dlc.typesys.types import AdtType, ListType, TensorType

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class FlatCodec:
    """How an item that is a list or an algebraic value is flattened. `names` are what messages call
    its raw columns."""

    type: AdtType | ListType
    codec: Codec
    own: int
    leaves: tuple[Leaf, ...]
    names: tuple[str, ...]
    flat: FlatType
    trees: Trees | None


def flat_codec(x: Item, flat: FlatType, schema: Schema, codecs: Codecs) -> FlatCodec:
    t = flat.type
    part: Part = own_leaves(t)[0] if isinstance(t, ListType) else Child(t)
    own, leaves = raw_leaves(schema, t)
    codec = codecs.codec(x.type, (part,))
    names = [x.name] * len(leaves)
    for c in flat.columns:
        names[c.number] = f"{x.name}.{c.name}".rstrip(".")
    trees = Trees.of(codec.plans[0], leaves, names)
    return FlatCodec(t, codec, own, leaves, tuple(names), flat, trees)


@dataclass(frozen=True)
class ItemValue:
    """An argument: the arrays of its leaves, or a list or algebraic value. `extra` is the number
    that comes with a structure; `given` what the caller gave."""

    arrays: tuple[Any, ...] = ()
    flat: Flat | None = None
    extra: int = 0
    given: Any = None


@dataclass
class Arguments:
    """The arguments of one call, and what they show."""

    values: list[ItemValue] = field(default_factory=list[ItemValue])
    shown: dict[Shown, int | None] = field(default_factory=dict["Shown", "int | None"])


class Receiver:
    """Converts the arguments of one entry."""

    def __init__(self, border: Border, schema: Schema, codecs: Codecs) -> None:
        self.border = border
        self.flats = {
            i: flat_codec(border.inputs[i], flat, schema, codecs)
            for i, flat in border.flats_in.items()
        }

    def receive(self, given: Sequence[Any]) -> Arguments:
        """`given` are the values of the items. Raises TypeError, ValueError, CallError naming the
        argument."""
        out = Arguments()
        for i, (x, v) in enumerate(zip(self.border.inputs, given, strict=True)):
            out.values.append(self._item(i, x, v, out.shown))
        return out

    def dims(self, arguments: Arguments, model_dims: Mapping[str, int]) -> dict[str, int]:
        """All dims of the call. Raises ShapeError for sizes that do not fit."""
        try:
            return bind(self.border, model_dims, arguments.shown)
        except BindError as e:
            raise shape_error(self.border, e) from None

    def model_sizes(self, arguments: Arguments) -> dict[str, int]:
        """The dims of the model that the arguments show. Raises ShapeError for what is no size."""
        try:
            return shown_sizes(self.border, arguments.shown)
        except BindError as e:
            raise shape_error(self.border, e) from None

    def _item(self, i: int, x: Item, v: Any, shown: dict[Shown, int | None]) -> ItemValue:
        t = x.type
        if x.kind == "flat":
            return self._flat(i, x, v, shown)
        if x.kind == "scalar":
            return self._scalar(i, x, v, shown)
        if x.kind == "tensor":
            d = x.tensor.dtype
            a = tensors.writable(x.name, d, v) if x.mut else tensors.tensor(x.name, d, v)
            _show_axes(i, 0, x.name, a, x.tensor.rank, shown)
            return ItemValue((a,), given=v)
        if x.kind == "graph":
            g = graph_value(x.name, v)
            shown[Told(i, "nodes")] = g.nodes
            shown[Extent(i, 0, 0)] = g.arcs
            return ItemValue((g.src, g.dst), extra=g.nodes)
        if x.kind == "segs":
            s = segs_value(x.name, v)
            shown[Extent(i, 0, 0)] = len(s.starts)
            shown[Last(i)] = s.items
            return ItemValue((s.starts,))
        sparse = sparse_value(x.name, v)
        assert isinstance(t, surface.Sparse) and isinstance(t.dtype, DType)
        values = tensors.tensor(f"{x.name}.values", t.dtype, sparse.values)
        shown[Told(i, "size")] = sparse.size
        shown[Extent(i, 0, 0)] = len(sparse.indices)
        return ItemValue((sparse.indices, values), extra=sparse.size)

    def _scalar(self, i: int, x: Item, v: Any, shown: dict[Shown, int | None]) -> ItemValue:
        d = x.tensor.dtype
        if x.mut:
            a = tensors.writable(x.name, d, v)
            if a.ndim:
                raise ValueError(f"`{x.name}` must be one number, not an array of shape {a.shape}")
        elif isinstance(x.type, surface.Key):
            a = tensors.key(x.name, v)
        else:
            a = tensors.scalar(x.name, d, v)
        if d.is_int:
            shown[Number(i)] = int(a)
        return ItemValue((np.asarray(a),), given=v)

    def _flat(self, i: int, x: Item, v: Any, shown: dict[Shown, int | None]) -> ItemValue:
        f = self.flats[i]
        if x.mut and not isinstance(v, list):
            message = f"`{x.name}` is changed in place: it must be a list, not {type(v).__name__}"
            raise TypeError(message)
        extra = 0
        if isinstance(x.type, surface.Rows):
            rows = v = rows_value(x.name, v)
            if rows.count is None:
                raise ValueError(f"`{x.name}` does not say how many rows its table has")
            shown[Told(i, "count")] = extra = rows.count
        flat = None if f.trees is None else f.trees.encode(x.name, v)
        if flat is None:
            (leaf,) = f.codec.explode(x.name, v)
            flat = encode(x.name, f.codec.plans[0], leaf, f.own, f.leaves, f.names)
        for c, column in enumerate(f.flat.columns):
            shape = flat.row_shapes[column.number]
            for axis in range(0 if column.varies else len(column.shape)):
                if shape is not None and len(shape) != len(column.shape):
                    raise ValueError(f"`{x.name}` holds an array of shape {shape}")
                shown[ColumnExtent(i, c, axis)] = None if shape is None else shape[axis]
        return ItemValue(flat=flat, extra=extra, given=v)


def _show_axes(
    item: int, leaf: int, name: str, a: Array, rank: int, shown: dict[Shown, int | None]
) -> None:
    if a.ndim != rank:
        axes = f"{rank} {'axis' if rank == 1 else 'axes'}"
        raise ValueError(f"`{name}` must have {axes}, not the shape {a.shape}")
    for axis, n in enumerate(a.shape):
        shown[Extent(item, leaf, axis)] = n


def shape_error(border: Border, e: BindError) -> ShapeError:
    place = e.mention.place
    where = f" ({place.file}:{place.line}:{place.column})" if place.line else ""
    return ShapeError(
        f"{border.entry.name}: {e}{where}",
        status="shape", line=place.line, column=place.column, got=e.got,
        want=e.want if e.want is not None else 0, what=e.mention.text,
    )  # fmt: skip


def tensor_shape(t: TensorType, env: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(d.evaluate(env) for d in t.shape)
