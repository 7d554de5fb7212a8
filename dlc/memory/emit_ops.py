"""Statements for the operations that have no regions (and for scalar-bodied maps)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from dlc.diag import InternalError
from dlc.ir.core import Attr, Op, Value
from dlc.memory.access import VIEWS, piece_access
from dlc.memory.facts import is_elementwise, is_scalar, is_tensor, is_update, may_fail
from dlc.memory.form import (
    Assert,
    BindDim,
    CheckDims,
    Const,
    Data,
    DimValue,
    For,
    Immediate,
    Lane,
    ListAt,
    ListDrop,
    ListLen,
    ListNew,
    ListPush,
    Load,
    Map,
    MapArg,
    MapInstr,
    Operand,
    Reg,
    Scalar,
    Tensor,
    Variant,
    View,
)
from dlc.memory.form import (
    CheckIndex as CheckIndexStatement,
)
from dlc.memory.places import column_view
from dlc.memory.statements import Writer
from dlc.ops.card import Run
from dlc.ops.registry import CARDS, card_of
from dlc.typesys.dims import ZERO, Dim
from dlc.typesys.dtypes import I32, DType
from dlc.typesys.types import AdtType, ListType, TensorType

EmitRule = Callable[[Writer, Op], None]


def emit_op(w: Writer, op: Op) -> None:
    """Appends the operation's statements."""
    rule = RULES.get(op.name)
    if rule is not None:
        rule(w, op)
    elif op.name in VIEWS:
        _view(w, op)
    elif is_elementwise(op) and is_scalar(op.result):
        _scalar(w, op)
    elif is_update(op):
        _update(w, op)
    elif op.name in CARDS:
        _tensor(w, op)
    else:
        raise InternalError(f"`{op.name}` cannot be bufferised", stage="memory", op=op.name)


# -- scalars, dims, checks


def immediate(v: Attr, d: DType) -> Immediate:
    """A number as the element type holds it."""
    if isinstance(v, np.ndarray) and v.ndim == 0:
        v = v.item()
    assert isinstance(v, (bool, int, float))
    return float(np.float64(np.asarray(v, np.float64).astype(d.numpy))) if d.is_float else v


def _const(w: Writer, op: Op) -> None:
    w.places.constants[op.result] = immediate(op.attrs["value"], op.result.tensor.dtype)


def _scalar(w: Writer, op: Op) -> None:
    args = tuple(map(w.places.arg, op.operands))
    folded = folded_constant(op, args)
    if folded is not None:
        w.places.constants[op.result] = folded
    else:
        w.put(Scalar(w.places.reg(op.result), op.name, args, op.attrs, op.loc))


def folded_constant(op: Op, args: tuple[object, ...]) -> Immediate | None:
    """The result of an operation on constants, so that an operand's type never goes missing."""
    values: list[Any] = []
    for v, x in zip(op.operands, args, strict=True):
        if not isinstance(x, (bool, int, float)):
            return None
        values.append(np.asarray(x).astype(v.tensor.dtype.numpy)[()])
    if may_fail(op):
        return None
    with np.errstate(all="ignore"):
        (y,) = card_of(op.name).evaluate(Run(op, {}), *values)
    d = op.result.tensor.dtype
    return bool(y) if d.is_bool else int(y) if d.is_int else float(y)


def _dim(w: Writer, op: Op) -> None:
    w.put(DimValue(w.places.reg(op.result), op.attr_dim("value")))


def _as_dim(w: Writer, op: Op) -> None:
    bound = op.attr_dim("at_most") if "at_most" in op.attrs else None
    w.put(BindDim(op.dims[0], w.reg(op.operands[0]), bound, op.loc))


def _assert(w: Writer, op: Op) -> None:
    w.put(Assert(w.reg(op.operands[0]), op.attr_str("message"), op.loc))


def _check_dims(w: Writer, op: Op) -> None:
    message = op.attr_str("message", "")
    w.put(CheckDims(op.attr_dim("left"), op.attr_dim("right"), message, op.loc))


def _check_indices(w: Writer, op: Op) -> None:
    (x,) = op.operands
    if is_scalar(x):
        w.check_index(x, op.attr_dim("bound"), op.loc)
    else:
        _tensor(w, op)


# -- views and parts


def _view(w: Writer, op: Op) -> None:
    """Nothing but its checks; the element itself if it is one."""
    x, v = op.operands[0], op.results[0]
    if op.name == "index":
        w.check_indices(op, op.operands[1:], x.tensor.shape)
    elif op.name == "slice":
        axis = op.attr_int("axis")
        w.check_slice(op, op.operands[1], x.tensor.shape[axis], op.attr_dim("size"))
    elif op.name == "reshape" and op.attr_flag("checked"):
        left, right = x.tensor.size, v.tensor.size
        w.put(CheckDims(left, right, "the reshape keeps the number of elements", op.loc))
    if is_scalar(v):
        w.put(Load(w.places.reg(v), w.places.seen(w.n.access[v])))


def _insert(w: Writer, op: Op) -> None:
    if op in w.places.p.direct.done:
        return
    w.check_part(op)
    w.store(w.part_of(op), op.operands[1], op.loc)


def _concat(w: Writer, op: Op) -> None:
    (v,), axis = op.results, op.attr_int("axis")
    w.make_room(op, v)
    at, classes, index = ZERO, w.places.p.classes, w.places.p.live.index
    for x in op.operands:
        size = x.tensor.shape[axis]
        part = w.places.seen(piece_access(w.n.access[v], axis, at, size))
        if v in w.places.p.direct.parts:
            part = _sub_view(w.places.destination(v), axis, at, size)
        root = w.n.root(x)
        in_place = root is not None and classes.home[index[root]] is classes.of_value(v)
        if not (in_place and w.places.view(x).base == part.base):
            w.copy(part, w.places.view(x), op.loc)
        at = at + size


def _sub_view(to: View, axis: int, at: Dim, size: Dim) -> View:
    shape = tuple(size if d == axis else n for d, n in enumerate(to.shape))
    base = to.base + at * to.strides[axis]
    return View(to.place, to.dtype, shape, to.strides, base, to.terms)


def _copy(w: Writer, op: Op) -> None:
    w.copy_value(op)


def _fill(w: Writer, op: Op) -> None:
    w.rooms(op)
    d = op.result.tensor.dtype
    x = w.places.arg(op.operands[0]) if op.operands else immediate(op.attrs["value"], d)
    w.put(Tensor("fill", (w.places.destination(op.result),), (x,), loc=op.loc))


def _data(w: Writer, op: Op) -> None:
    value = op.attrs["value"]
    assert not isinstance(value, (bool, int, float, str, tuple, Dim))
    w.put(Data(w.places.reg(op.result), op.result.tensor.dtype, value))  # pyright: ignore


def _undef(w: Writer, op: Op) -> None:
    """Storage of a tensor may hold anything; registers hold something."""
    v = op.result
    if is_tensor(v):
        w.rooms(op)
    elif isinstance(v.type, ListType):
        w.put(ListNew(w.places.reg(v), v.type, op.loc))
    elif isinstance(v.type, AdtType):
        w.put(Const(w.places.reg(v), 0))
    else:
        zero: Immediate = 0.0 if v.type.dtype.is_float else False if v.type.dtype.is_bool else 0
        w.places.constants[v] = zero


# -- tensor operations


def _operand(w: Writer, v: Value) -> Operand | Immediate:
    return w.places.view(v) if is_tensor(v) else w.places.arg(v)


def _attrs(op: Op) -> Mapping[str, Attr]:
    return MappingProxyType({k: v for k, v in op.attrs.items() if k != "accumulate"})


def _tensor(w: Writer, op: Op) -> None:
    outs: list[Operand] = []
    for v in op.results:
        if not is_tensor(v):
            outs.append(w.places.reg(v))
        elif op.dims:
            outs.append(_bounded(w, op, v))
        else:
            w.make_room(op, v)
            outs.append(w.places.destination(v))
    ins = tuple(_operand(w, v) for v in op.operands)
    scratch = w.scratch(op)
    w.put(Tensor(op.name, tuple(outs), ins, _attrs(op), scratch, op.dims, loc=op.loc))


def _bounded(w: Writer, op: Op, v: Value) -> View:
    """Room for a result whose size the operation decides: at most one element per operand's."""
    size = op.operands[0].tensor.size
    w.make_room(op, v, size)
    to = w.places.destination(v)
    return View(to.place, to.dtype, (size,), to.strides, to.base, to.terms)


def _update(w: Writer, op: Op) -> None:
    """The destination holds what is updated."""
    to = w.places.destination(op.results[0])
    ins = tuple(_operand(w, v) for v in op.operands[1:])
    scratch = w.scratch(op)
    sums = op.attr_flag("accumulate")
    w.put(Tensor(op.name, (to,), ins, _attrs(op), scratch, accumulate=sums, loc=op.loc))


# -- maps


def _map(w: Writer, op: Op) -> None:
    w.rooms(op)
    (body,) = op.regions
    rank = len(op.results[0].tensor.shape)
    lanes: dict[Value, MapArg] = {}
    params = body.params
    if op.attr_flag("indexed"):
        lanes.update((p, Lane("index", d)) for d, p in enumerate(params[:rank]))
        params = params[rank:]
    lanes.update((p, Lane("input", j)) for j, p in enumerate(params))
    instructions: list[MapInstr] = []

    def lane(v: Value) -> MapArg:
        return lanes[v] if v in lanes else w.places.arg(v)

    for o in body.ops[:-1]:
        if o.name == "const":
            lanes[o.result] = immediate(o.attrs["value"], o.result.tensor.dtype)
            continue
        args = tuple(map(lane, o.operands))
        folded = folded_constant(o, args)
        if folded is not None:
            lanes[o.result] = folded
            continue
        lanes[o.result] = Lane("temp", len(instructions))
        instructions.append(MapInstr(o.name, args, o.result.tensor.dtype, o.attrs))
    w.put(
        Map(
            op.results[0].tensor.shape,
            tuple(map(w.places.destination, op.results)),
            tuple(map(w.places.view, op.operands)),
            tuple(instructions),
            tuple(map(lane, body.yields)),
            op.loc,
        )
    )


# -- records and lists


def _variant(w: Writer, op: Op) -> None:
    t = op.result.type
    assert isinstance(t, AdtType)
    fields = tuple(
        w.places.reg(_home(w, v)) if is_tensor(v) else w.places.arg(v) for v in op.operands
    )
    w.put(
        Variant(
            w.places.reg(op.result), t.name, op.attr_str("constructor"), fields,
            op.attr_dims(), op.loc,
        )
    )  # fmt: skip


def _home(w: Writer, v: Value) -> Value:
    return w.n.access[v].place


def _list_type(v: Value) -> ListType:
    assert isinstance(v.type, ListType)
    return v.type


def _list_new(w: Writer, op: Op) -> None:
    w.put(ListNew(w.places.reg(op.result), _list_type(op.result), op.loc))


def _list_len(w: Writer, op: Op) -> None:
    w.put(ListLen(w.places.reg(op.result), w.places.reg(op.operands[0])))


def _list_push(w: Writer, op: Op) -> None:
    made = w.places.p.columns
    if not made.moved(op):
        w.push(op)
    columns = zip(w.places.column_registers(op), _list_type(op.result).columns, strict=True)
    for k, ((c, ct), v) in enumerate(zip(columns, op.operands[1:], strict=True)):
        if made.home.get(v) != (op, k):
            w.store(column_view(c, ct), v, op.loc)


def _checked_index(w: Writer, op: Op) -> Reg:
    """Operand 1, checked against the length of the list that is operand 0."""
    at = w.reg(op.operands[1])
    if not op.attr_flag("in_bounds"):
        n = Reg(I32, "length")
        w.put(ListLen(n, w.places.reg(op.operands[0])))
        w.put(CheckIndexStatement(at, n, op.loc))
    return at


def _list_get(w: Writer, op: Op) -> None:
    source = op.operands[0]
    t, at = _list_type(source), _checked_index(w, op)
    columns = tuple(w.places.reg(v) if is_tensor(v) else Reg("place", "column") for v in op.results)
    w.put(ListAt(w.places.reg(source), t, at, columns))
    for c, ct, v in zip(columns, t.columns, op.results, strict=True):
        if not is_tensor(v):
            w.load_column(c, ct, v)


def _list_set(w: Writer, op: Op) -> None:
    t, at = _list_type(op.result), _checked_index(w, op)
    columns = w.columns(t)
    w.put(ListAt(w.places.reg(op.result), t, at, columns))
    w.store_columns(t, columns, op.operands[2:], op.loc)


def _list_pop(w: Writer, op: Op) -> None:
    """Reads the last element, then drops it."""
    out, *values = op.results
    t, home = _list_type(out), w.places.reg(out)
    n, at = Reg(I32, "length"), Reg(I32, "last")
    w.put(ListLen(n, home))
    w.put(Scalar(at, "sub", (n, 1), loc=op.loc))
    if not op.attr_flag("in_bounds"):
        w.put(CheckIndexStatement(at, n, op.loc))
    columns = w.columns(t)
    w.put(ListAt(home, t, at, columns))
    for c, ct, v in zip(columns, t.columns, values, strict=True):
        if is_tensor(v):
            assert isinstance(ct, TensorType)
            w.make_room(op, v)
            seen = w.places.destination(v)
            source = View(c, ct.dtype, seen.shape, seen.strides, ZERO)
            w.copy(seen, source, op.loc)
        else:
            w.load_column(c, ct, v)
    w.put(ListDrop(home, op.loc))


def _list_fill(w: Writer, op: Op) -> None:
    """A dim can't be negative, so one is bound to the number of elements."""
    t, home = _list_type(op.result), w.places.reg(op.result)
    w.put(BindDim(w.fresh_dim(), w.reg(op.operands[0]), None, op.loc))
    w.put(ListNew(home, t, op.loc))
    count = w.places.arg(op.operands[0])
    outer = w.begin()
    columns = w.columns(t)
    w.put(ListPush(home, t, columns, op.loc))
    w.store_columns(t, columns, op.operands[1:], op.loc)
    body = w.end(outer)
    w.put(For(Reg(I32, "i"), 0, count, body))


RULES: Mapping[str, EmitRule] = MappingProxyType(
    {
        "const": _const,
        "dim": _dim,
        "as_dim": _as_dim,
        "assert": _assert,
        "check_dims": _check_dims,
        "check_indices": _check_indices,
        "insert": _insert,
        "insert_slice": _insert,
        "concat": _concat,
        "copy": _copy,
        "box": _copy,
        "fill": _fill,
        "data": _data,
        "undef": _undef,
        "map": _map,
        "variant": _variant,
        "list_new": _list_new,
        "list_len": _list_len,
        "list_push": _list_push,
        "list_get": _list_get,
        "list_set": _list_set,
        "list_pop": _list_pop,
        "list_fill": _list_fill,
    }
)
"""Operations that have statements of their own; all others are views, scalars or `Tensor`s."""
