"""Reading and writing parts: of tensors, lists and arrays of models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dlc.check import typed
from dlc.ir.core import Attr, Value
from dlc.lower.arithmetic import as_columns, from_columns
from dlc.lower.scope import Leaves, Scope
from dlc.ops.build import Builder
from dlc.typesys import surface
from dlc.typesys.dims import Dim


@dataclass(frozen=True, slots=True)
class At:
    """One index, evaluated."""

    index: Value
    checked: bool


@dataclass(frozen=True, slots=True)
class Cut:
    """A run of indices, evaluated."""

    start: Value
    length: Dim
    checked: bool


Sub: TypeAlias = At | Cut | None
"""None is the whole axis."""


def lower_subs(s: Scope, subs: Sequence[typed.Sub]) -> list[Sub]:
    """The subscripts, evaluated from left to right; whole axes at the end are left out."""
    out: list[Sub] = []
    for sub in subs:
        if isinstance(sub, typed.At):
            out.append(At(s.one(sub.index), sub.checked))
        elif isinstance(sub, typed.Cut):
            start = s.one(sub.start)
            s.require([sub.length])
            out.append(Cut(start, sub.length, sub.checked))
        else:
            out.append(None)
    return _trim(out)


def _trim(subs: list[Sub]) -> list[Sub]:
    while subs and subs[-1] is None:
        subs = subs[:-1]
    return subs


def bounds(checked: bool) -> dict[str, Attr]:
    """The attribute that says that an index needs no check."""
    return {} if checked else {"in_bounds": True}


def _leading(subs: list[Sub]) -> list[At]:
    out: list[At] = []
    for sub in subs:
        if not isinstance(sub, At):
            break
        out.append(sub)
    return out


# -- tensors


def read_part(b: Builder, x: Value, subs: list[Sub]) -> Value:
    """`x[subs]`."""
    first = _leading(subs)
    if first:
        attrs = bounds(any(a.checked for a in first))
        x = b.emit("index", x, *(a.index for a in first), **attrs)
    axis = 0
    for sub in subs[len(first) :]:
        if isinstance(sub, At):
            x = _read_one(b, x, sub, axis)
            continue
        if sub is not None:
            x = _read_run(b, x, sub, axis)
        axis += 1
    return x


def _read_run(b: Builder, x: Value, cut: Cut, axis: int) -> Value:
    attrs = bounds(cut.checked)
    return b.emit("slice", x, cut.start, axis=axis, size=cut.length, **attrs)


def _read_one(b: Builder, x: Value, at: At, axis: int) -> Value:
    part = b.emit("slice", x, at.index, axis=axis, size=1, **bounds(at.checked))
    shape = x.tensor.shape
    return b.emit("reshape", part, shape=(*shape[:axis], *shape[axis + 1 :]))


def write_part(b: Builder, x: Value, v: Value, subs: list[Sub]) -> Value:
    """`x` with `x[subs] = v`. Where several kinds of subscript meet, the outer part is read,
    changed and written back."""
    subs = _trim(subs)
    if not subs:
        return v
    first = _leading(subs)
    if first:
        indices = [a.index for a in first]
        attrs = bounds(any(a.checked for a in first))
        rest = subs[len(first) :]
        if rest:
            part = b.emit("index", x, *indices, **attrs)
            v = write_part(b, part, v, rest)
            attrs = bounds(False)
        return b.emit("insert", x, v, *indices, **attrs)
    axis = next(i for i, sub in enumerate(subs) if sub is not None)
    sub = subs[axis]
    if isinstance(sub, Cut):
        return _write_run(b, x, v, sub, axis, subs[axis + 1 :])
    assert isinstance(sub, At)
    return _write_one(b, x, v, sub, axis, subs[axis + 1 :])


def _write_run(b: Builder, x: Value, v: Value, cut: Cut, axis: int, rest: list[Sub]) -> Value:
    attrs = bounds(cut.checked)
    if rest:
        part = _read_run(b, x, cut, axis)
        v = write_part(b, part, v, [*[None] * (axis + 1), *rest])
        attrs = bounds(False)
    return b.emit("insert_slice", x, v, cut.start, axis=axis, **attrs)


def _write_one(b: Builder, x: Value, v: Value, at: At, axis: int, rest: list[Sub]) -> Value:
    attrs = bounds(at.checked)
    if rest:
        part = _read_one(b, x, at, axis)
        v = write_part(b, part, v, [*[None] * axis, *rest])
        attrs = bounds(False)
    shape = v.tensor.shape
    v = b.emit("reshape", v, shape=(*shape[:axis], Dim.const(1), *shape[axis:]))
    return b.emit("insert_slice", x, v, at.index, axis=axis, **attrs)


def lower_slice(s: Scope, e: typed.Slice) -> Leaves:
    x = s.one(e.operand)
    return (read_part(s.b, x, lower_subs(s, e.subs)),)


def lower_gather(s: Scope, e: typed.Gather) -> Leaves:
    x = s.one(e.operand)
    return (s.b.emit("take", x, s.one(e.indices), axis=0),)


def assign_at(s: Scope, st: typed.AssignAt) -> None:
    v = s.one(st.value)
    (x,) = s.get(st.local)
    s.put(st.local, (write_part(s.b, x, v, lower_subs(s, st.subs)),))


def assign_rows(s: Scope, st: typed.AssignRows) -> None:
    v = s.one(st.value)
    indices = s.one(st.indices)
    (x,) = s.get(st.local)
    count = len(indices.tensor.shape)
    if count != 1:
        rest = v.tensor.shape[count:]
        indices = s.b.emit("reshape", indices, shape=(indices.tensor.size,))
        v = s.b.emit("reshape", v, shape=(indices.tensor.size, *rest))
    s.put(st.local, (s.b.emit("scatter", x, indices, v, axis=0),))


# -- arrays of models


def lower_array_at(s: Scope, e: typed.ArrayAt) -> Leaves:
    stacked = s.expr(e.operand)
    if e.static is not None:
        i = s.b.dim(e.static)
        return tuple(s.b.emit("index", v, i, in_bounds=True) for v in stacked)
    i = s.one(e.index)
    out: list[Value] = []
    attrs = bounds(e.checked)
    for v in stacked:
        out.append(s.b.emit("index", v, i, **attrs))
        attrs = bounds(False)
    return tuple(out)


# -- lists


def lower_list_at(s: Scope, e: typed.ListAt) -> Leaves:
    xs = s.one(e.operand)
    assert isinstance(e.operand.type, surface.List)
    i = _from_end(s.b, xs, s.one(e.index), e.from_end)
    columns = s.b.emit_many("list_get", xs, i)
    return from_columns(s, e.operand.type.element, columns)


def _from_end(b: Builder, xs: Value, i: Value, from_end: bool) -> Value:
    return b.emit("sub", b.emit("list_len", xs), i) if from_end else i


def assign_list_at(s: Scope, st: typed.AssignListAt) -> None:
    v = s.expr(st.value)
    (xs,) = s.get(st.local)
    i = _from_end(s.b, xs, s.one(st.index), st.from_end)
    columns = as_columns(s, st.value.type, v)
    s.put(st.local, (s.b.emit("list_set", xs, i, *columns),))


def push(s: Scope, st: typed.Push) -> None:
    v = s.expr(st.value)
    (xs,) = s.get(st.local)
    s.put(st.local, (s.b.emit("list_push", xs, *as_columns(s, st.value.type, v)),))
