"""The backward of `for` and `loop`: a counted loop that runs the other way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlc.autodiff.closure import Demand, demand, unpack
from dlc.autodiff.mirror import Block, Node
from dlc.autodiff.places import Places
from dlc.autodiff.residuals import Residuals, nodes_of
from dlc.autodiff.tangents import hidden
from dlc.autodiff.tiles import as_dim
from dlc.ir.core import Op, Region, Value, freeze_attrs
from dlc.ir.rewrite import Substitution
from dlc.ops.build import Builder
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I32
from dlc.typesys.types import (
    SCALAR_I32,
    AdtType,
    ListType,
    TensorType,
    Type,
    substitute_type,
    type_symbols,
)

if TYPE_CHECKING:
    from dlc.autodiff.backward import Backward


def backward_loop(w: Backward, n: Node, p: Places, d: list[Value | None]) -> None:
    """Cotangents of carries run backwards through the turns; those of captured values accumulate.

    Carried: a cotangent per active carry, and one per active captured place, which starts at the
    place's cotangent so far. Afterwards captured places are replaced first and the inits added
    second, since an init may itself be captured.

    Carries of hidden size (a sparse vector from turn to turn): the backward turn takes cotangents
    of the sizes after the forward turn and gives those of the sizes before it.
    """
    (body,) = n.blocks
    counted = n.name == "for"
    carries = body.params[1:] if counted else body.params
    skip = len(body.end.operands) - len(carries)
    inits = n.operands[2:] if counted else n.operands
    moving = [j for j, c in enumerate(carries) if c in w.active]
    captured = _captured(w, body)
    starts: list[Value] = []
    for j in moving:
        g = d[j]
        starts.append(g if g is not None else p.tangents.zero(p.b, n.results[j].type, n.results[j]))
    hidden_sizes = _hidden(body, [p.type_of(carries[j]) for j in moving], n.dims, p.b)
    starts += [p.now(x) for x in captured]

    index = counted and not n.attrs.get("exits", False)
    lo_type = n.operands[0].type if index else SCALAR_I32
    types = [hidden_sizes.inside(p.type_of(carries[j])) for j in moving]
    types += [v.type for v in starts[len(moving) :]]
    b = p.b.nested((lo_type, *types), ("i",), hidden_sizes.names)
    at = b.params[0]
    dcs, caps = b.params[1 : 1 + len(moving)], b.params[1 + len(moving) :]
    q = Places(b, w.active, w.rows, dict(zip(captured, caps, strict=True)))
    for j, dc in zip(moving, dcs, strict=True):
        y = body.end.operands[skip + j]
        if y in w.active:
            w.join(q, y, q.fitted(dc, y))
    w.block(body, q)
    yields = [q.ct.pop(carries[j], None) or _zero_in(q, carries[j]) for j in moving]
    yields += [q.ct[x] for x in captured]
    out = _LoopResiduals(w.residuals, n, body, index).finish(
        w, p.b, b, at, starts, yields, hidden_sizes.after
    )
    for x, g, cap, y in zip(captured, out[len(moving) :], caps, yields[len(moving) :], strict=True):
        if y is not cap:
            p.ct[x] = g
    for j, g in zip(moving, out, strict=False):
        if inits[j] in w.active:
            w.join(p, inits[j], p.fitted(g, inits[j]))


@dataclass(frozen=True)
class _Hidden:
    """Hidden sizes of a backward loop's carries: their names there, what these stand for in the
    types of the forward loop, and their values at its end."""

    names: tuple[str, ...]
    carried: Mapping[str, Dim]
    after: tuple[Dim, ...]

    def inside(self, t: Type) -> Type:
        return substitute_type(t, self.carried) if self.carried else t


def _hidden(body: Block, types: list[Type], after: list[str], b: Builder) -> _Hidden:
    """Those of the forward loop's hidden sizes that the cotangents mention."""
    seen = {s for t in types for s in type_symbols(t)}
    used = [k for k, d in enumerate(body.dims) if d in seen]
    names = tuple(b.names.fresh(body.dims[k]) for k in used)
    carried = {body.dims[k]: Dim.sym(n) for k, n in zip(used, names, strict=True)}
    return _Hidden(names, carried, tuple(Dim.sym(after[k]) for k in used))


def _captured(w: Backward, body: Block) -> list[Value]:
    """The active values from outside that the body uses."""
    own = set(body.defined())
    return list(dict.fromkeys(v for v in body.used() if v not in own and v in w.active))


def _zero_in(q: Places, v: Value) -> Value:
    return q.tangents.zero(q.b, v.type, v)


@dataclass(frozen=True)
class _Cell:
    """The record of one turn in the backward body, and the forward values that it holds."""

    cell: Value
    values: tuple[Value, ...]


class _LoopResiduals:
    """Stores the residuals of a loop body turn by turn, and writes the backward loop that reads
    them."""

    def __init__(self, residuals: Residuals, n: Node, body: Block, index: bool) -> None:
        self.residuals, self.n, self.body, self.index = residuals, n, body, index
        self.reverse = n.attrs.get("reverse", False) is True

    def finish(
        self,
        w: Backward,
        outer: Builder,
        b: Builder,
        at: Value,
        starts: list[Value],
        yields: list[Value],
        after: tuple[Dim, ...],
    ) -> tuple[Value, ...]:
        """The backward loop. `after`: the hidden sizes of `starts`."""
        counter = self.body.params[0] if self.n.name == "for" else None
        again = self.residuals.again.in_loop(self.body) if self.residuals.again else None
        need = demand(self.body, b.ops, yields, free=lambda v: v is counter, again=again)
        if self.index:
            lo, hi = self.n.operands[0], self.n.operands[1]
        else:
            lo, hi = outer.scalar(0, I32), self._count_turns()
        head = b.nested()
        stored, cell = self._store(w, need, head, at, lo, hi)
        sub = Substitution({}, {})
        if counter is not None:
            sub.values[counter] = self._turn_index(head, at)
        if cell is None:
            ops = head.ops + unpack(b.ops, need, stored, sub)
            ends = list(map(sub.value, yields))
        else:
            # Hidden sizes are bound by the `match` that opens the cell, so the whole turn is inside
            # it.
            payload = tuple(Value(v.type, v.hint) for v in cell.values)
            stored.update(zip(cell.values, payload, strict=True))
            inside = unpack(b.ops, need, stored, sub)
            end = Op("yield", tuple(map(sub.value, yields)), (), freeze_attrs({}), (), (), b.loc)
            case = Region(payload, (*inside, end), need.dims)
            ends = list(head.match_(cell.cell, ("cell",), [case]))
            ops = head.ops
        end = Op("yield", tuple(ends), (), freeze_attrs({}), (), (), b.loc)
        region = Region(b.params, (*ops, end), b.dims)
        reverse = not (self.index and self.reverse)
        return outer.for_(lo, hi, starts, region, reverse=reverse, init_dims=after)

    def _turn_index(self, b: Builder, at: Value) -> Value:
        """The forward loop's index in the turn that the backward loop is at."""
        if self.index:
            return at
        lo, hi = self.n.operands[0], self.n.operands[1]
        t = at if lo.tensor.dtype == I32 else b.emit("convert", at, dtype=lo.tensor.dtype)
        if not self.reverse:
            return b.emit("add", lo, t)
        last = b.emit("sub", hi, b.scalar(1, hi.tensor.dtype))
        return b.emit("sub", last, t)

    def _count_turns(self) -> Value:
        """A further carry of the forward loop: the number of turns so far."""
        f = self.residuals.builder(self.n)
        zero = f.scalar(0, I32)
        self._before(f)
        c = Value(SCALAR_I32, "turn")
        g = self.residuals.builder(self.n)
        new = g.emit("add", c, g.scalar(1, I32))
        return self._carry(zero, c, new, g, "turns")

    def _before(self, f: Builder) -> None:
        """Puts forward operations right before the loop."""
        self.n.before += nodes_of(f.ops)

    def _carry(self, init: Value, param: Value, new: Value, g: Builder, hint: str) -> Value:
        self.body.insert_before_end(nodes_of(g.ops))
        self.n.operands.append(init)
        self.body.params.append(param)
        self.body.end.operands.append(new)
        out = Value(param.type, hint)
        self.n.results.append(out)
        return out

    # -- storing

    def _store(
        self, w: Backward, need: Demand, b: Builder, at: Value, lo: Value, hi: Value
    ) -> tuple[dict[Value, Value], _Cell | None]:
        """Makes the forward loop keep the values; gives what each is in the backward body, and the
        record of the turn if some have sizes that are defined in the turn."""
        inner = set(need.dims)
        plain = [v for v in need.values if not inner.intersection(type_symbols(v.type))]
        mixed = [v for v in need.values if v not in plain]
        turns = self._static_turns(w) if self.index else None
        arrays = [v for v in plain if isinstance(v.type, TensorType)] if turns is not None else []
        listed = [v for v in plain if v not in arrays]
        out: dict[Value, Value] = {}
        for v in arrays:
            assert turns is not None
            out[v] = self._array(v, turns, b, at, lo)
        cell: _Cell | None = None
        if listed or mixed or need.dims:
            got, cell = self._list(listed, mixed, need.dims, b, at, lo, hi)
            out.update(got)
        return out, cell

    def _static_turns(self, w: Backward) -> Dim | None:
        """The number of turns as a dim, if both bounds are dims and it cannot be negative."""
        lo, hi = (as_dim(w.makers, v) for v in self.n.operands[:2])
        if lo is None or hi is None or not hi.at_least(lo):
            return None
        return hi - lo

    def _array(self, v: Value, turns: Dim, b: Builder, at: Value, lo: Value) -> Value:
        t = TensorType(v.tensor.dtype, (turns, *v.tensor.shape))
        f = self.residuals.builder(self.n)
        init = f.full(False if t.dtype.is_bool else 0, t)
        self._before(f)
        arr = Value(t, "kept")
        g = self.residuals.builder(self.n)
        i = self.body.params[0]
        new = g.emit("insert", arr, v, g.emit("sub", i, lo), in_bounds=True)
        res = self._carry(init, arr, new, g, "kept")
        return b.emit("index", res, b.emit("sub", at, lo), in_bounds=True)

    def _list(
        self,
        listed: list[Value],
        mixed: list[Value],
        dims: tuple[str, ...],
        b: Builder,
        at: Value,
        lo: Value,
        hi: Value,
    ) -> tuple[dict[Value, Value], _Cell | None]:
        columns: list[Type] = [v.type for v in listed]
        cell: AdtType | None = None
        if mixed or dims:
            cell = self.residuals.declare("Cell", [("cell", [v.type for v in mixed], dims)])
            columns.append(cell)
        t = ListType(tuple(columns))
        f = self.residuals.builder(self.n)
        init = f.emit_typed("list_new", t)
        self._before(f)
        kept = Value(t, "kept")
        g = self.residuals.builder(self.n)
        parts = list(listed)
        if cell is not None:
            sizes = hidden(tuple(map(Dim.sym, dims)))
            parts.append(g.emit_typed("variant", cell, *mixed, constructor="cell", **sizes))
        new = g.emit("list_push", kept, *parts)
        res = self._carry(init, kept, new, g, "kept")
        pos = self._position(b, at, lo, hi)
        got = b.emit_many("list_get", res, pos, in_bounds=True)
        out = dict(zip(listed, got, strict=False))
        return out, _Cell(got[-1], tuple(mixed)) if cell is not None else None

    def _position(self, b: Builder, at: Value, lo: Value, hi: Value) -> Value:
        """Where the turn's entry is in the list: entries are in the order in which turns ran."""
        if not self.index:
            return at
        if self.reverse:
            return b.emit("sub", b.emit("sub", hi, b.scalar(1, hi.tensor.dtype)), at)
        return b.emit("sub", at, lo)
