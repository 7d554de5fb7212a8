"""Statements: blocks, branches, loops, and the ways out of them.

A block that always reaches its end becomes operations in order. Where a statement may leave it, the
rest of the block moves into the arm that goes on; where several arms go on, they meet behind a flag
and the rest stands once, in an `if` on it. Nothing is ever lowered twice. The rest also moves into
the only arm of a `match` that has one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dlc.check import typed
from dlc.check.typed import Block, Joined, Local, Match, Stmt
from dlc.diag import InternalError
from dlc.ir.core import Region, Value
from dlc.lower import indexing
from dlc.lower.arithmetic import from_columns
from dlc.lower.liveness import Flow, Loop
from dlc.lower.scope import Carried, Leaves, Scope, carry, loc_of
from dlc.lower.tails import Meet, Results, Split, Tail, Turn, take_slots, undefined
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import BOOL
from dlc.typesys.types import SCALAR_BOOL, Type


@dataclass(frozen=True)
class Body:
    """The function whose statements are lowered: its flow, and what it gives back."""

    flow: Flow
    results: Results


def lower_block(body: Body, s: Scope, block: Sequence[Stmt], tail: Tail) -> Leaves:
    """Emits the block and gives what its region yields."""
    for i, st in enumerate(block):
        s.b.loc = loc_of(st.span)
        rest = block[i + 1 :]
        match st:
            case typed.Return():
                return tail.returned(s, body.results.value(s, st))
            case typed.Break():
                return tail.stopped(s)
            case typed.Continue():
                return tail.again(s)
            case typed.If() | typed.Match():
                if body.flow.exits[st].leaves or _is_alone(st):
                    return _leaving_choice(body, s, st, rest, tail)
                _choice(body, s, st)
            case typed.While() | typed.ForRange() | typed.ForEach():
                left = _loop(body, s, st)
                if left is not None:
                    return _after_loop(body, s, left, rest, tail)
            case _:
                lower_statement(s, st)
    return tail.fall(s)


# -- statements without control flow


def lower_statement(s: Scope, st: Stmt) -> None:
    STATEMENTS[type(st)](s, st)


def _assign(s: Scope, st: typed.Assign) -> None:
    s.put(st.local, s.expr(st.value))


def _unpack(s: Scope, st: typed.Unpack) -> None:
    leaves = s.expr(st.value)
    assert isinstance(st.value.type, surface.Tuple)
    for local, which in zip(st.locals, s.layout.items(st.value.type), strict=True):
        if local is not None:
            # Not `put`: these slots are assigned to the program's own at once, which give names.
            s.slots[local] = leaves[which]


def _evaluate(s: Scope, st: typed.Evaluate) -> None:
    s.expr(st.value)


def define_dim(s: Scope, st: typed.DefineDim) -> None:
    """The dim is the slot's value from here on; negative values end the program."""
    (v,) = s.get(st.local)
    s.b.emit_op("as_dim", (v,), {}, (), (st.name,))


def _check_dims(s: Scope, st: typed.CheckDims) -> None:
    for name, value in st.define:
        s.b.emit_op("as_dim", (s.b.dim(value),), {}, (), (name,))
    for got, want in st.equations:
        message = st.message or f"{got} is not {want}"
        s.b.emit_many("check_dims", left=got, right=want, message=message)


def _assert(s: Scope, st: typed.Assert) -> None:
    s.b.emit_many("assert", s.one(st.cond), message=st.message)


STATEMENTS: dict[type, Callable[[Scope, typed.Stmt], None]] = {
    typed.Assign: _assign,
    typed.Unpack: _unpack,
    typed.AssignAt: indexing.assign_at,
    typed.AssignRows: indexing.assign_rows,
    typed.AssignListAt: indexing.assign_list_at,
    typed.Push: indexing.push,
    typed.Evaluate: _evaluate,
    typed.DefineDim: define_dim,
    typed.CheckDims: _check_dims,
    typed.Assert: _assert,
}  # pyright: ignore[reportAssignmentType]


# -- branches


@dataclass(frozen=True)
class _Arm:
    scope: Scope
    block: Block


@dataclass(frozen=True)
class _Choice:
    """An `if` or a `match` whose regions are being built."""

    arms: tuple[_Arm, ...]
    join: Callable[[Sequence[Region]], Leaves]


def _open(s: Scope, st: typed.If | Match) -> _Choice:
    if isinstance(st, Match):
        return _open_match(s, st)
    c = s.one(st.cond)
    arms = (_Arm(s.nested(), st.then), _Arm(s.nested(), st.orelse))
    return _Choice(arms, lambda regions: s.branch(c, regions[0], regions[1]))


def _open_match(s: Scope, st: Match) -> _Choice:
    (v,) = s.conform(s.expr(st.subject), st.subject.type)
    names = tuple(a.constructor or "_" for a in st.arms)
    arms = tuple(_Arm(_open_arm(s, v, a), a.body) for a in st.arms)

    def join(regions: Sequence[Region]) -> Leaves:
        nothing = all(not r.yields and len(r.ops) == 1 for r in regions)
        return () if nothing else s.b.match_(v, names, regions)

    return _Choice(arms, join)


def _open_arm(s: Scope, v: Value, arm: typed.MatchArm) -> Scope:
    if arm.constructor is None:
        return s.nested()
    inner = s.inside(s.b.case(v, arm.constructor))
    at = 0
    for local, t in zip(arm.fields, arm.field_types, strict=True):
        n = s.layout.count(t)
        if local is not None:
            inner.put(local, inner.b.params[at : at + n])
        at += n
    return inner


def _live(body: Body, st: typed.If | Match, joins: tuple[Joined, ...]) -> Meet:
    return Meet(tuple(j for j in joins if j.local in body.flow.after[st]))


def _choice(body: Body, s: Scope, st: typed.If | Match) -> None:
    """A choice whose arms all go on."""
    meet = _live(body, st, st.joins)
    c = _open(s, st)
    regions = [_region(a.scope, lower_block(body, a.scope, a.block, meet)) for a in c.arms]
    take_slots(s, meet.joins, c.join(regions))


def _is_alone(st: typed.If | Match) -> bool:
    """A match with one arm. What follows belongs to the arm: nothing meets after it, and may have
    dims in its types that only the arm defines."""
    return isinstance(st, Match) and len(st.arms) == 1


def _leaving_choice(
    body: Body, s: Scope, st: typed.If | Match, rest: Sequence[Stmt], tail: Tail
) -> Leaves:
    """A choice of which some arm leaves the block, or which has one arm; gives what the block's
    region yields."""
    c = _open(s, st)
    on = [body.flow.block(a.block).falls for a in c.arms]
    if not rest or sum(on) <= 1:
        regions: list[Region] = []
        for arm, falls in zip(c.arms, on, strict=True):
            block = (*arm.block, *rest) if falls else arm.block
            regions.append(_region(arm.scope, lower_block(body, arm.scope, block, tail)))
        return c.join(regions)
    split = Split(tail, _live(body, st, st.joins))
    made = [_region(a.scope, lower_block(body, a.scope, a.block, split)) for a in c.arms]
    goes_on, *leaves = c.join(made)
    outer = len(tail.types(s))
    more, past = s.nested(), s.nested()
    take_slots(more, split.meet.joins, tuple(leaves[outer:]))
    then = _region(more, lower_block(body, more, rest, tail))
    return s.branch(goes_on, then, past.b.yield_(*leaves[:outer]))


def _region(s: Scope, leaves: Leaves) -> Region:
    return s.b.yield_(*leaves)


# -- loops


@dataclass(frozen=True)
class _Left:
    """What came out of a loop in which the function may have returned."""

    returned: Value
    results: Leaves


@dataclass(frozen=True)
class _Carry:
    """A loop's carried values: those of a possible `return`, then the slots'."""

    exits: bool
    returns: bool
    results: int
    joins: tuple[Joined, ...]
    values: Carried

    def hints(self) -> list[str]:
        return ["returned", *["result"] * self.results] if self.returns else []

    def enter(self, s: Scope, params: Leaves) -> Turn:
        """In the body: the slots hold the carried values. Gives the body's tail."""
        first = 1 + self.results if self.returns else 0
        take_slots(s, self.joins, params[first:])
        left = params[1:first] if self.returns else None
        return Turn(self.exits, left, self.joins)

    def leave(self, s: Scope, out: Leaves) -> _Left | None:
        """After the loop: the slots hold the last values."""
        first = 1 + self.results if self.returns else 0
        take_slots(s, self.joins, out[first:])
        return _Left(out[0], out[1:first]) if self.returns else None


def _carry(body: Body, s: Scope, st: Loop, always_exits: bool) -> _Carry:
    ends = body.flow.block(st.body)
    exits = always_exits or ends.breaks or ends.returns
    joins = tuple(j for j in st.carried if j.local in body.flow.head[st])
    dims: list[str] = []

    def fresh(path: str) -> Dim:
        dims.append(s.b.names.fresh(f"{path}.k" if path else "k"))
        return Dim.sym(dims[-1])

    inits: list[Value] = []
    types: list[Type] = []
    results = 0
    if ends.returns:
        empty = body.results.types(s)
        results = len(empty)
        inits += [s.b.scalar(False, BOOL), *undefined(s.b, empty)]
        types += [SCALAR_BOOL, *body.results.carried(s, fresh)]
    for j in joins:
        inits += s.get(j.local)
        types += s.layout.leaf_types(j.type, fresh)
    values = carry(s.b, types, tuple(dims), tuple(inits))
    return _Carry(exits, ends.returns, results, joins, values)


def _loop(body: Body, s: Scope, st: Loop) -> _Left | None:
    if isinstance(st, typed.While):
        return _while(body, s, st)
    if isinstance(st, typed.ForRange):
        lo, hi = s.one(st.start), s.one(st.stop)

        def bind(inner: Scope, i: Value) -> None:
            if st.local is not None:
                inner.put(st.local, (i,))

        return _counted(body, s, st, lo, hi, bind)
    over = s.expr(st.iterable)
    lo, hi = s.b.dim(0), length(s, st.iterable.type, over)

    def take(inner: Scope, i: Value) -> None:
        leaves = element(inner, st.iterable.type, over, i)
        bind_locals(inner, st.locals, st.element_types, leaves)

    return _counted(body, s, st, lo, hi, take)


def _counted(
    body: Body, s: Scope, st: Loop, lo: Value, hi: Value, bind: Callable[[Scope, Value], None]
) -> _Left | None:
    kept = _carry(body, s, st, False)
    named = st.local.name if isinstance(st, typed.ForRange) and st.local is not None else "i"
    hints = [named, *kept.hints()]
    inner = s.nested((lo.type, *kept.values.types), hints, kept.values.dims)
    bind(inner, inner.b.params[0])
    turn = kept.enter(inner, inner.b.params[1:])
    leaves = lower_block(body, inner, st.body, turn)
    region = inner.b.yield_(*leaves)
    out = s.b.for_(
        lo, hi, kept.values.inits, region, exits=kept.exits, init_dims=kept.values.init_dims
    )
    return kept.leave(s, out)


def _while(body: Body, s: Scope, st: typed.While) -> _Left | None:
    kept = _carry(body, s, st, True)
    inner = s.nested(kept.values.types, kept.hints(), kept.values.dims)
    tail = kept.enter(inner, inner.b.params)
    c = inner.one(st.cond)
    turn, done = inner.nested(), inner.nested()
    then = turn.b.yield_(*lower_block(body, turn, st.body, tail))
    other = done.b.yield_(*tail.stopped(done))
    region = inner.b.yield_(*inner.b.if_(c, then, other))
    return kept.leave(s, s.b.loop(kept.values.inits, region, init_dims=kept.values.init_dims))


def _after_loop(body: Body, s: Scope, left: _Left, rest: Sequence[Stmt], tail: Tail) -> Leaves:
    """The rest of the block, unless the function has returned."""
    gone, more = s.nested(), s.nested()
    then = gone.b.yield_(*tail.returned(gone, left.results))
    return s.b.if_(left.returned, then, more.b.yield_(*lower_block(body, more, rest, tail)))


# -- what loops and maps run over


def length(s: Scope, t: surface.Type, leaves: Leaves) -> Value:
    """The number of elements, as an i32."""
    if isinstance(t, (surface.List, surface.Rows)):
        return s.b.emit("list_len", leaves[0])
    return s.b.dim(leaves[0].tensor.shape[0])


def element(s: Scope, t: surface.Type, leaves: Leaves, i: Value) -> Leaves:
    """Element `i`, which exists."""
    if isinstance(t, surface.List):
        columns = s.b.emit_many("list_get", leaves[0], i, in_bounds=True)
        return from_columns(s, t.element, columns)
    if isinstance(t, surface.Rows):
        return s.b.emit_many("list_get", leaves[0], i, in_bounds=True)
    if isinstance(t, (surface.Tensor, surface.Keys)):
        return (s.b.emit("index", leaves[0], i, in_bounds=True),)
    raise InternalError(f"a loop over {t}", stage="lower")


def bind_locals(
    s: Scope, locals: Sequence[Local | None], types: Sequence[surface.Type], leaves: Leaves
) -> None:
    """Gives an element to one slot, or its components to one slot each."""
    if len(locals) == 1:
        if locals[0] is not None:
            s.put(locals[0], leaves)
        return
    at = 0
    for local, t in zip(locals, types, strict=True):
        n = s.layout.count(t)
        if local is not None:
            s.put(local, leaves[at : at + n])
        at += n
