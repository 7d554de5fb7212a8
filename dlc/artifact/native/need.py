"""The arena that a call needs, as code: exact, a bound, or a guess where no bound is known.

What the program takes is a formula (`dlc.memory.need`) in sizes, whole numbers and lengths of
lists; for recursion over a given value a multiple of the number of its nodes
(`dlc.memory.linear`). Before it runs, lists and algebraic arguments become records in the arena;
a result that is an algebraic value is written with a stack in the arena, which nothing bounds.

Sizes are computed twice: in wrapping integers, and in floats that tell when those are too small."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dlc.artifact.capi import Api, EntryApi
from dlc.artifact.flat import FlatType
from dlc.artifact.native.buffers import LIMIT, magnitude
from dlc.artifact.native.call import Opening, parameters, size_type
from dlc.artifact.native.guard import NULL
from dlc.diag import InternalError
from dlc.memory.cost import (
    ByCase,
    Bytes,
    Cost,
    Growth,
    Most,
    Of,
    Repeat,
    Sum,
    When,
    calls_of,
    evaluator,
    has_cases,
    most,
    no_parts,
    symbols,
)
from dlc.memory.form import BFunction, BModule
from dlc.memory.frame import BLOCK, LIST_CHUNKS, LIST_HEADER, element_layout
from dlc.memory.linear import linear_bounds
from dlc.memory.need import Needs, Status, needs
from dlc.targets.cpu.emit.dims import emit_dim
from dlc.targets.cpu.emit.receive import record_stride
from dlc.targets.cpu.emit.unit import Unit
from dlc.targets.cpu.llvm import INDEX, Builder, Function, Module, Value
from dlc.targets.cpu.llvm.types import constant
from dlc.targets.cpu.schema import Schema
from dlc.typesys.dims import Dim
from dlc.typesys.types import AdtType, ListType, Type, substitute_type

EXACT, BOUND, UNBOUNDED = 0, 1, 2
KINDS: Mapping[Status, int] = {"exact": EXACT, "bound": BOUND, "unbounded": UNBOUNDED}
_TWICE = (
    "a recursion visits a part of a tree more than once, or not of the first tree that it takes; "
    "it is bounded if it goes down that one, to each part once"
)
GUESS = 1 << 16
"""Bytes that a guess has besides what the input's size suggests."""


@dataclass(frozen=True)
class EntryNeed:
    """What an entry takes of the arena besides its arguments: a formula without calls and cases,
    None if nothing bounds it, for `reason`."""

    status: Status
    cost: Cost | None
    reason: str = ""

    def constant(self) -> int | None:
        """The bytes, where they are one number."""
        if self.cost is None or any(True for _ in symbols(self.cost)):
            return None
        return evaluator(self.cost, {})(no_parts())


def entry_needs(m: BModule) -> Mapping[str, EntryNeed]:
    """The needs of the entries of a module, by function."""
    found = needs(m)
    linear = linear_bounds(found)
    return {n: _entry_need(found, linear, n) for n, fn in m.functions.items() if fn.entry}


def _entry_need(found: Needs, linear: Mapping[str, Cost], name: str) -> EntryNeed:
    need, fn = found.of[name], found.functions[name]
    if need.peak is None:
        return EntryNeed("unbounded", None, need.reason)
    if any(_holds_nodes(t) for t in fn.result_types) or any(
        _holds_nodes(p.type) for p in fn.params if p.mode == "inout"
    ):
        return EntryNeed("unbounded", None, "a result is a tree, or holds some")
    if any(True for _ in calls_of(need.peak)):
        if name not in linear:
            return EntryNeed("unbounded", None, _TWICE)
        return EntryNeed("bound", linear[name])
    if has_cases(need.peak):
        return EntryNeed("bound", _largest(need.peak))
    return EntryNeed(need.status, need.peak)


def _holds_nodes(t: object) -> bool:
    if isinstance(t, ListType):
        return any(map(_holds_nodes, t.columns))
    return isinstance(t, AdtType)


def _largest(c: Cost) -> Cost:
    """The cost with the largest of all cases."""
    if isinstance(c, ByCase):
        return most(*(_largest(x) for _, x in c.cases))
    if isinstance(c, Sum):
        return Sum(tuple(map(_largest, c.parts)))
    if isinstance(c, Most):
        return most(*map(_largest, c.parts))
    if isinstance(c, Repeat):
        return Repeat(c.count, _largest(c.each))
    if isinstance(c, When):
        return When(c.count, _largest(c.then))
    return c


# -- as code


@dataclass(frozen=True, slots=True)
class _Amount:
    """A number that is not negative, as a wrapping i64 and as a double."""

    exact: Value
    rough: Value


class _Amounts:
    """Arithmetic on amounts, and formulas over the numbers of one call."""

    def __init__(self, f: Builder, env: Mapping[str, Value]) -> None:
        self.f, self.env = f, env

    def number(self, n: int) -> _Amount:
        return _Amount(self.f.index(n), constant("double", float(n)))

    def value(self, x: Value) -> _Amount:
        return _Amount(x, self.f.cast("sitofp", x, "double"))

    def dim(self, d: Dim) -> _Amount:
        rough = magnitude(self.f, d, self.env.__getitem__)
        return _Amount(emit_dim(self.f, d, self.env.__getitem__), rough)

    def add(self, a: _Amount, b: _Amount) -> _Amount:
        return _Amount(self.f.add(a.exact, b.exact), self.f.fadd(a.rough, b.rough))

    def multiply(self, a: _Amount, b: _Amount) -> _Amount:
        return _Amount(self.f.mul(a.exact, b.exact), self.f.fmul(a.rough, b.rough))

    def larger(self, a: _Amount, b: _Amount) -> _Amount:
        f = self.f
        rough = f.select(f.fcmp("ogt", a.rough, b.rough), a.rough, b.rough)
        return _Amount(f.imax(a.exact, b.exact), rough)

    def only_if(self, ok: Value, a: _Amount) -> _Amount:
        zero = self.number(0)
        f = self.f
        return _Amount(f.select(ok, a.exact, zero.exact), f.select(ok, a.rough, zero.rough))

    def chunks(self, length: _Amount, element: _Amount) -> _Amount:
        """The bytes of the chunks of a list that has had this many elements."""
        f = self.f
        exact = f.call(_chunks_function(f.module), length.exact, element.exact)
        twice = self.add(self.multiply(length, self.number(2)), self.number(8))
        rounding = self.number(LIST_CHUNKS * BLOCK)
        return _Amount(exact, self.add(self.multiply(twice, element), rounding).rough)

    def blocks(self, a: _Amount) -> _Amount:
        """Rounded up to whole blocks."""
        f = self.f
        up = self.add(a, self.number(BLOCK - 1))
        return _Amount(f.and_(up.exact, -BLOCK), up.rough)

    def cost(self, c: Cost) -> _Amount:
        if isinstance(c, Bytes):
            return self.dim(c.dim)
        if isinstance(c, (Sum, Most)):
            join = self.add if isinstance(c, Sum) else self.larger
            first, *rest = map(self.cost, c.parts)
            for x in rest:
                first = join(first, x)
            return first
        if isinstance(c, (Repeat, When)):
            count = self.dim(c.count)
            some = self.f.icmp("sgt", count.exact, 0)
            if isinstance(c, When):
                return self.only_if(some, self.cost(c.then))
            return self.only_if(some, self.multiply(count, self.cost(c.each)))
        if isinstance(c, Growth):
            element = self.dim(c.element)
            end = self.chunks(self.dim(c.end), element)
            start = self.chunks(self.dim(c.start), element)
            return _Amount(self.f.sub(end.exact, start.exact), end.rough)
        assert isinstance(c, (Of, ByCase))
        raise InternalError("a formula with calls or cases is no code", stage="emit")


def _chunks_function(module: Module) -> Function:
    """`dlc.need.chunks(length, element)`: see `dlc.memory.cost.chunk_bytes`."""

    def emit() -> tuple[Function, str]:
        params = ((INDEX, "length"), (INDEX, "element"))
        f = Builder(module, "dlc.need.chunks", INDEX, params, inline="never")
        length, element = f.params

        def more(c: tuple[Value, ...]) -> Value:
            first = f.sub(c[1], 4)
            return f.and_(f.icmp("slt", first, length), f.icmp("slt", c[2], LIST_CHUNKS))

        def step(c: tuple[Value, ...]) -> tuple[Value, ...]:
            size = f.and_(f.add(f.mul(c[1], element), BLOCK - 1), -BLOCK)
            return f.add(c[0], size), f.shl(c[1], 1), f.add(c[2], 1)

        # Chunk k begins at element `4 * 2**k - 4`, which is its capacity less 4.
        total, _, _ = f.loop_while((f.index(0), f.index(4), f.index(0)), more, step)
        f.ret(total)
        return f.finish()

    return module.function("dlc.need.chunks", emit)


def emit_need(unit: Unit, api: Api, e: EntryApi, fn: BFunction, need: EntryNeed) -> Function:
    """`<entry>_bytes(model, in, bytes, need, err)`."""
    size = size_type(unit)
    params = parameters(e, ("ptr", "bytes"), ("ptr", "need"), ("ptr", "err"))
    f = Builder(unit.module, f"{e.symbol}_bytes", "i32", params, linkage="external")
    bytes_, kind, err = f.params[-3:]
    o = Opening(f, api, e, err)
    o.g.require(f.icmp("ne", bytes_, NULL), "arg", "bytes: null")
    env = _names(o, fn)
    a = _Amounts(f, env)
    given = _Given(unit.schema, o, a)
    total = given.total()
    status = need.status
    known = need.cost is not None and all(n in env for n in symbols(need.cost))
    if need.cost is not None and known and given.bounded:
        total = a.add(total, a.cost(need.cost))
        status = "bound" if status == "exact" and not given.exact else status
    else:
        total, status = a.add(total, _guess(o, a, fn)), "unbounded"
    fits = f.fcmp("olt", total.rough, LIMIT)
    o.g.require(fits, "arena", "more memory than 64 bits count", 0, -1)
    if size != INDEX:
        o.g.require(f.icmp("ult", total.exact, 1 << 32), "arena", "too much memory", 0, total.exact)
    f.store(f.cast("trunc", total.exact, size), bytes_)
    with f.when(f.icmp("ne", kind, NULL)):
        f.store(Value("i32", str(KINDS[status])), kind)
    f.ret(Value("i32", "0"))
    return f.define()


def _names(o: Opening, fn: BFunction) -> dict[str, Value]:
    """The numbers that formulas mention: dims, whole-number arguments, lengths of lists, nodes."""
    out = dict(o.env)
    places = {x.leaf.number: i for i, (x, _, _) in o.given.items.items() if len(x.leaves) == 1}
    number = 0
    for i, p in enumerate(fn.params):
        if p.mode == "out":
            continue
        at, name = places.get(number), p.name or i
        number += 1
        if at is None:
            continue
        x, _, flat = o.given.items[at]
        if flat is not None:
            members = {m.name for m in o.given.carrier(at).members}
            for kind, member in (("len", "length"), ("nodes", "nodes")):
                if member in members:
                    out[f"{kind}.{name}"] = o.given.get(at, member)
        elif x.kind == "scalar" and x.tensor.dtype.is_int:
            out[f"arg.{name}"] = o.given.whole_number(at)
    return out


class _Given:
    """The records and lists that arguments become. `exact` is false after a bound was taken,
    `bounded` where there is none: elements whose sizes the value carries with it."""

    def __init__(self, schema: Schema, o: Opening, a: _Amounts) -> None:
        self.schema, self.o, self.a = schema, o, a
        self.exact = self.bounded = True

    def total(self) -> _Amount:
        total = self.a.number(0)
        for number, (_, _, flat) in self.o.given.items.items():
            if flat is not None:
                total = self.a.add(total, self._item(number, flat))
        return total

    def _item(self, number: int, flat: FlatType) -> _Amount:
        a, schema, given = self.a, self.schema, self.o.given
        bound = schema.bindings(flat.type)
        shapes = schema.shapes_of(bound)
        total = a.number(0)
        if flat.has_nodes:
            stride = a.number(record_stride(shapes))
            nodes = a.value(given.get(number, "nodes"))
            total = a.blocks(a.multiply(nodes, stride))
        inside: list[ListType] = []
        for s in shapes:
            bind = dict(zip(s.type.dims, bound[s.type.name], strict=True))
            for field in s.constructor.fields:
                inside += _lists(substitute_type(field.type, bind))
        if isinstance(flat.type, ListType):
            for column in flat.type.columns:
                inside += _lists(column)
            length = a.value(given.get(number, "length"))
            _, element = element_layout(flat.type)
            total = a.add(total, a.number(LIST_HEADER))
            total = a.add(total, a.chunks(length, a.dim(element)))
        if inside:
            total = a.add(total, self._nested(number, inside))
        return total

    def _nested(self, number: int, inside: list[ListType]) -> _Amount:
        """Lists inside: each takes an entry of `children`, and so does each element that is no
        number or tensor; the others take a row of a column."""
        self.exact = False
        a, given = self.a, self.o.given
        children = a.value(given.get(number, "child_count"))
        elements = children
        flat = given.items[number][2]
        assert flat is not None
        for c, column in enumerate(flat.columns):
            if not column.varies:
                elements = a.add(elements, a.value(given.rows(number, c)))
        widest = a.number(1)
        for t in inside:
            _, element = element_layout(t)
            if all(n in a.env for n in element.symbols()):
                widest = a.larger(widest, a.dim(element))
            else:
                self.bounded = False
        # A list of n elements has chunks for fewer than 2n + 4, each rounded up to a block.
        each = a.add(a.multiply(widest, a.number(4)), a.number(LIST_HEADER + 2 * BLOCK))
        more = a.multiply(elements, a.add(a.multiply(widest, a.number(2)), a.number(BLOCK)))
        return a.blocks(a.add(a.multiply(children, each), more))


def _lists(t: Type) -> list[ListType]:
    """A type's lists, if it is one."""
    return [t, *(x for c in t.columns for x in _lists(c))] if isinstance(t, ListType) else []


def _guess(o: Opening, a: _Amounts, fn: BFunction) -> _Amount:
    """A frame for each node and element, and twice the bytes of all columns."""
    total = a.number(GUESS)
    frame = a.number(256)
    if all(n in a.env for n in fn.frame.symbols()):
        frame = a.add(frame, a.dim(fn.frame))
        total = a.add(total, frame)
    for number, (_, _, flat) in o.given.items.items():
        if flat is None:
            continue
        members = {m.name for m in o.given.carrier(number).members}
        for name in ("nodes", "length"):
            if name in members:
                total = a.add(total, a.multiply(a.value(o.given.get(number, name)), a.number(512)))
        for c, column in enumerate(flat.columns):
            if not column.varies:
                cells = a.value(o.given.rows(number, c))
                for d in column.shape:
                    cells = a.multiply(cells, a.dim(d))
                total = a.add(total, a.multiply(cells, a.number(2 * column.dtype.bytes)))
    return a.blocks(total)


def formula(c: Cost) -> str:
    """The cost as text: `max(64*N, list(len.xs, 4*D))`."""
    if isinstance(c, Bytes):
        return str(c.dim)
    if isinstance(c, Sum):
        return " + ".join(map(formula, c.parts))
    if isinstance(c, Most):
        return f"max({', '.join(map(formula, c.parts))})"
    if isinstance(c, Repeat):
        return f"max(0, {c.count}) * ({formula(c.each)})"
    if isinstance(c, When):
        return f"({formula(c.then)} if {c.count} > 0 else 0)"
    if isinstance(c, Growth):
        end, start = (f"chunks({d}, {c.element})" for d in (c.end, c.start))
        return end if c.start == Dim.const(0) else f"({end} - {start})"
    raise InternalError("a formula with calls or cases has no text", stage="artifact")


__all__ = ["EntryNeed", "emit_need", "entry_needs", "formula"]
