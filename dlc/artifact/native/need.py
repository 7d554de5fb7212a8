"""The arena that a call needs, as code: exact, a bound, or a guess where no bound is known.

A function without recursion that takes no heap needs its frame, or a callee's on top of what stays
of it: `max(frame, keep + need(callee))`. Calls that always happen give what is needed for certain;
those in branches and loops what may be needed. Where both agree the need is exact.

Recursive functions and those that make lists and trees are not bounded here: they get a guess from
the size of their input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dlc.artifact.capi import Api, EntryApi
from dlc.artifact.native.call import Opening, parameters, size_type
from dlc.artifact.native.guard import NULL
from dlc.memory.form import (
    Alloc,
    BFunction,
    Block,
    Call,
    ListCopy,
    ListNew,
    ListPush,
    Variant,
)
from dlc.memory.frame import nested, statements
from dlc.targets.cpu.emit.dims import emit_dim
from dlc.targets.cpu.emit.receive import record_stride
from dlc.targets.cpu.emit.unit import Unit
from dlc.targets.cpu.llvm import INDEX, Builder, Function, Value
from dlc.typesys.types import TensorType

EXACT, BOUND, UNBOUNDED = 0, 1, 2
GUESS = 1 << 16
"""Bytes that a guess has besides what the input's size suggests."""


@dataclass(frozen=True)
class Needs:
    """Which functions of a module have a bound, by name."""

    functions: Mapping[str, BFunction]
    bounded: frozenset[str]


def needs_of(functions: Mapping[str, BFunction]) -> Needs:
    """The functions whose need is bounded by formulas in their dims."""
    heap = (Alloc, Variant, ListNew, ListPush, ListCopy)
    bounded: set[str] = set()
    for name, fn in functions.items():  # callees come first
        takes = any(isinstance(s, heap) for s in statements(fn.body))
        plain = all(isinstance(t, TensorType) for t in (*(p.type for p in fn.params),))
        plain = plain and all(isinstance(t, TensorType) for t in fn.result_types)
        calls = [s for s in statements(fn.body) if isinstance(s, Call)]
        known = frozenset(fn.dims)
        closed = all(
            known.issuperset(n for d in (*s.dims, s.keep) for n in d.symbols()) for s in calls
        )
        if fn.group is None and not takes and plain and closed:
            if all(s.function in bounded for s in calls):
                bounded.add(name)
    return Needs(functions, frozenset(bounded))


def static_need(needs: Needs, name: str, dims: Mapping[str, int]) -> tuple[int, int] | None:
    """Bytes needed for certain and bytes that may be needed, or None without a bound."""
    if name not in needs.bounded:
        return None
    fn = needs.functions[name]
    certain = possible = fn.frame.evaluate(dims)
    for s, always in _calls(fn.body, True):
        inner_dims = dict(
            zip(needs.functions[s.function].dims, (d.evaluate(dims) for d in s.dims), strict=True)
        )
        inner = static_need(needs, s.function, inner_dims)
        assert inner is not None
        keep = s.keep.evaluate(dims)
        possible = max(possible, keep + inner[1])
        certain = max(certain, keep + inner[0]) if always else certain
    return certain, possible


def _calls(b: Block, always: bool) -> list[tuple[Call, bool]]:
    out: list[tuple[Call, bool]] = []
    for s in b:
        if isinstance(s, Call):
            out.append((s, always))
        for inner in nested(s):
            out += _calls(inner, False)
    return out


def _need_function(unit: Unit, needs: Needs, name: str) -> Function:
    """`dlc.need.<fn>(dims…) -> { certain, possible }`."""
    fn = needs.functions[name]
    symbol = f"dlc.need.{unit.internal(fn).name}"

    def emit() -> tuple[Function, str]:
        params = tuple((INDEX, f"d{i}") for i in range(len(fn.dims)))
        f = Builder(unit.module, symbol, "{ i64, i64 }", params)
        env = dict(zip(fn.dims, f.params, strict=True))
        certain = possible = emit_dim(f, fn.frame, env.__getitem__)
        for s, always in _calls(fn.body, True):
            inner = _need_function(unit, needs, s.function)
            dims = [emit_dim(f, d, env.__getitem__) for d in s.dims]
            pair = f.call(inner, *dims)
            keep = emit_dim(f, s.keep, env.__getitem__)
            if always:
                certain = f.imax(certain, f.add(keep, f.field(pair, 0, INDEX)))
            possible = f.imax(possible, f.add(keep, f.field(pair, 1, INDEX)))
        f.ret_many(certain, possible)
        return f.finish()

    return unit.module.function(symbol, emit)


def emit_need(unit: Unit, api: Api, e: EntryApi, fn: BFunction, needs: Needs) -> Function:
    """`<entry>_bytes(model, in, bytes, need, err)`."""
    size = size_type(unit)
    params = parameters(e, ("ptr", "bytes"), ("ptr", "need"), ("ptr", "err"))
    f = Builder(unit.module, f"{e.symbol}_bytes", "i32", params, linkage="external")
    bytes_, kind, err = f.params[-3:]
    o = Opening(f, api, e, err)
    o.g.require(f.icmp("ne", bytes_, NULL), "arg", "bytes: null")
    if fn.name in needs.bounded:
        dims = [o.env[d] for d in fn.dims]
        pair = f.call(_need_function(unit, needs, fn.name), *dims)
        certain, need = f.field(pair, 0, INDEX), f.field(pair, 1, INDEX)
        exact = f.icmp("eq", certain, need)
        how = f.select(exact, Value("i32", str(EXACT)), Value("i32", str(BOUND)))
    else:
        need = _guess(unit, o, fn)
        how = Value("i32", str(UNBOUNDED))
    f.store(f.cast("trunc", need, size), bytes_)
    with f.when(f.icmp("ne", kind, NULL)):
        f.store(how, kind)
    f.ret(Value("i32", "0"))
    return f.define()


def _guess(unit: Unit, o: Opening, fn: BFunction) -> Value:
    """Every frame once, the input's records, and a frame of the largest recursion for each node
    of the deepest tree that the input can be."""
    f = o.f
    total: Value = f.index(GUESS)
    if all(o.knows(s.frame) for s in (fn,)):
        total = f.add(total, o.size(fn.frame))
    stride = 4 * record_stride(unit.schema.shapes)
    for number, (x, _, flat) in o.given.items.items():
        if flat is None:
            continue
        for name in ("nodes", "length"):
            if any(m.name == name for m in o.given.carrier(number).members):
                total = f.add(total, f.mul(o.given.get(number, name), stride + 256))
        for c, column in enumerate(flat.columns):
            if not column.varies:
                row = [o.size(d) for d in column.shape]
                cells = o.given.rows(number, c)
                for n in row:
                    cells = f.mul(cells, n)
                total = f.add(total, f.mul(cells, 2 * column.dtype.bytes))
        assert x.kind == "flat"
    return f.and_(f.add(total, 63), -64)
