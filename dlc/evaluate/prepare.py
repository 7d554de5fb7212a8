"""Functions made ready to run: values become numbered slots, operations find their cards once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, auto
from operator import itemgetter
from typing import Any

from dlc.diag import InternalError
from dlc.ir.core import Attr, Function, Module, Op, Region, Value
from dlc.ir.structure import GRADIENTS
from dlc.ops.card import Run, Trait
from dlc.ops.registry import card_of
from dlc.typesys.dims import Dim
from dlc.typesys.types import TensorType, Type, type_symbols

Size = Callable[[Mapping[str, int]], int]
"""The value of a dim, given the dims of the function."""


def size_of(d: Dim) -> Size:
    """The dim's value, by the shortest way."""
    if d.name is not None:
        return itemgetter(d.name)
    if d.is_constant:
        n = d.constant
        return lambda env: n
    return d.evaluate


class Kind(IntEnum):
    """How an instruction runs."""

    FAST = auto()
    """A function of the operands alone."""
    PLAIN = auto()
    """A card that asks for no dims."""
    DIMS = auto()
    """A card that asks for dims, defines them, or may overwrite its operand."""
    IF = auto()
    MATCH = auto()
    FOR = auto()
    LOOP = auto()
    MAP = auto()
    CALL = auto()


_STRUCTURED = {
    "if": Kind.IF, "match": Kind.MATCH, "for": Kind.FOR, "loop": Kind.LOOP, "map": Kind.MAP,
    "call": Kind.CALL,
}  # fmt: skip


@dataclass(eq=False, slots=True)
class Instr:
    """One operation. `dead` are the operand slots that nothing reads afterwards."""

    kind: Kind
    op: Op
    ins: tuple[int, ...]
    outs: tuple[int, ...]
    dead: tuple[int, ...]
    evaluate: Callable[..., tuple[Any, ...]] | None = None
    run: Run | None = None
    updates: bool = False
    sizes: tuple[Size, ...] = ()
    """Of a call the dims it passes, of a loop its first hidden sizes, of a map its shape."""
    regions: tuple[Code, ...] = ()
    cases: Mapping[str, Code] = field(default_factory=dict[str, "Code"])
    callee: str = ""


@dataclass(eq=False, slots=True)
class Code:
    """A region. `dims` are the names defined at its entry, `yield_dims` the hidden sizes it
    gives."""

    params: tuple[int, ...]
    instrs: tuple[Instr, ...]
    yields: tuple[int, ...]
    dead: tuple[int, ...]
    end: Op
    dims: tuple[str, ...] = ()
    yield_dims: tuple[Size, ...] = ()


@dataclass(eq=False, slots=True)
class Prepared:
    """A function that is ready to run, with frames of `slots` values."""

    fn: Function
    params: tuple[int, ...]
    code: Code
    slots: int


class Program:
    """A module's functions, each prepared when it is first called."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self._ready: dict[str, Prepared] = {}

    def function(self, name: str) -> Prepared:
        """Raises InternalError if the module has no such function."""
        found = self._ready.get(name)
        if found is None:
            fn = self.module.functions.get(name)
            if fn is None:
                raise InternalError(f"there is no function @{name}", stage="evaluate", op="call")
            found = self._ready[name] = _Preparer().function(fn)
        return found


class _Preparer:
    """Numbers the values of one function."""

    def __init__(self) -> None:
        self.slots: dict[Value, int] = {}

    def function(self, fn: Function) -> Prepared:
        params = tuple(map(self.define, fn.params))
        code = self.region(fn.body, fn.params)
        return Prepared(fn, params, code, len(self.slots))

    def define(self, v: Value) -> int:
        return self.slots.setdefault(v, len(self.slots))

    def region(self, r: Region, also: tuple[Value, ...] = ()) -> Code:
        params = tuple(map(self.define, r.params))
        own = {*r.params, *also, *(v for op in r.ops for v in op.results)}
        last: dict[Value, int] = {}
        inner: dict[Value, int] = {}
        for i, op in enumerate(r.ops):
            last.update((v, i) for v in op.operands)
            for v in _captured(op):
                last[v] = inner[v] = i
        instrs: list[Instr] = []
        for i, op in enumerate(r.ops):
            # What a nested region also reads stays until the operation is over.
            dead = tuple(
                self.slots[v]
                for v in dict.fromkeys(op.operands)
                if v in own and last[v] == i and inner.get(v) != i
            )
            if i == len(r.ops) - 1:
                yields = tuple(self.slots[v] for v in op.operands)
                dims = tuple(map(size_of, op.attr_dims()))
                return Code(params, tuple(instrs), yields, dead, op, r.dims, dims)
            instrs.append(self.instr(op, dead))
        raise InternalError("a region without a terminator", stage="evaluate")

    def instr(self, op: Op, dead: tuple[int, ...]) -> Instr:
        try:
            ins = tuple(self.slots[v] for v in op.operands)
        except KeyError as e:
            message = f"{e.args[0]} is used before it is defined"
            raise InternalError(message, stage="evaluate", op=op.name) from e
        kind = _STRUCTURED.get(op.name)
        if kind is not None:
            regions = tuple(self.region(r) for r in op.regions)
            outs = tuple(map(self.define, op.results))
            cases = (
                dict(zip(op.attr_strs("cases"), regions, strict=True)) if op.name == "match" else {}
            )
            callee = op.attr_str("fn") if op.name == "call" else ""
            key = {"call": "dims", "map": "shape"}.get(op.name, "init_dims")
            sizes = tuple(map(size_of, op.attr_dims(key)))
            return Instr(
                kind, op, ins, outs, dead, sizes=sizes, regions=regions, cases=cases, callee=callee
            )
        if op.name in GRADIENTS:
            raise InternalError("derivatives are expanded first", stage="evaluate", op=op.name)
        card = card_of(op.name)
        outs = tuple(map(self.define, op.results))
        fast = card.specialise(op)
        if fast is not None:
            return Instr(Kind.FAST, op, ins, outs, dead, fast)
        updates = Trait.UPDATE in card.traits and isinstance(op.operands[0].type, TensorType)
        if updates or op.dims or any(_symbols(op)):
            return Instr(Kind.DIMS, op, ins, outs, dead, card.evaluate, None, updates)
        return Instr(Kind.PLAIN, op, ins, outs, dead, card.evaluate, Run(op, {}))


def _captured(op: Op) -> set[Value]:
    """All values that the operation's regions read, whoever defines them."""
    out: set[Value] = set()
    for r in op.regions:
        for inner in r.ops:
            out.update(inner.operands)
            out |= _captured(inner)
    return out


def _symbols(op: Op) -> list[str]:
    """The dim names that an evaluation may ask for."""
    out = [s for a in op.attrs.values() for s in _attr_symbols(a)]
    types: list[Type] = [v.type for v in op.results]
    return [*out, *(s for t in types for s in type_symbols(t))]


def _attr_symbols(a: Attr) -> list[str]:
    if isinstance(a, Dim):
        return list(a.symbols())
    return [s for x in a for s in _attr_symbols(x)] if isinstance(a, tuple) else []
