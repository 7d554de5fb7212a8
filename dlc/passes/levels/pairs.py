"""Where the structure that a first half returns goes: the second half that takes it apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dlc.ir.core import Function, Module, Op, Region, Value, walk
from dlc.passes.effects import calls
from dlc.passes.levels.recursion import Recursion
from dlc.typesys.types import TensorType


def recursive(module: Module) -> tuple[str, ...]:
    """Functions that call themselves, and of those they call none that comes back to them."""
    edges = calls(module)
    out: list[str] = []
    for name in module.functions:
        if name not in edges[name]:
            continue
        seen: dict[str, None] = {}
        work = [n for n in edges[name] if n != name]
        while work:
            n = work.pop()
            if n not in seen and n in edges:
                seen[n] = None
                work += edges[n]
        if name not in seen:
            out.append(name)
    return tuple(out)


def outside_calls(module: Module, name: str) -> Iterator[tuple[Function, Op]]:
    """Calls of the function by others."""
    for fn in module.functions.values():
        if fn.name != name:
            for op in walk(fn.body):
                if op.name == "call" and op.attr_str("fn") == name:
                    yield fn, op


def second_of(module: Module, first: str, result: int) -> str | None:
    """The one function to which every caller of `first` gives its structure, if it goes nowhere
    else; "" if nobody uses it."""
    found: dict[str, None] = {}
    for fn, op in outside_calls(module, first):
        v = op.results[result]
        for user in users(fn.body, v):
            if user.name != "call" or user.operands.count(v) != 1:
                return None
            found[user.attr_str("fn")] = None
    if not found:
        return ""
    return next(iter(found)) if len(found) == 1 else None


def users(r: Region, v: Value) -> Iterator[Op]:
    for op in walk(r):
        if v in op.operands:
            yield op


def given_zeros(module: Module, rec: Recursion) -> frozenset[int]:
    """The accumulators that every call from outside begins with zeros."""
    found = {p for p, _ in rec.roles.acc if isinstance(rec.params[p].type, TensorType)}
    for fn, op in outside_calls(module, rec.fn.name):
        makers = {v: o for o in walk(fn.body) for v in o.results}
        found = {p for p in found if _is_zero(op.operands[p], makers)}
    return frozenset(found)


def _is_zero(v: Value, makers: Mapping[Value, Op]) -> bool:
    op = makers.get(v)
    while op is not None and op.name == "broadcast":
        op = makers.get(op.operands[0])
    if op is None or op.name != "const":
        return False
    x = op.attrs["value"]
    return isinstance(x, (int, float)) and x == 0


def only_from(module: Module, first: Recursion, second: Recursion) -> bool:
    """Whether every call of the second half from outside takes apart what a call of the first
    returned, for the same node."""
    assert first.roles.structure is not None
    (node,), (structure, *again) = first.roles.nodes, second.roles.nodes
    for fn, op in outside_calls(module, second.fn.name):
        made = {
            o.results[first.roles.structure]: o.operands[node]
            for o in walk(fn.body)
            if o.name == "call" and o.attr_str("fn") == first.fn.name
        }
        came_from = made.get(op.operands[structure])
        if came_from is None or any(op.operands[i] is not came_from for i in again):
            return False
    return True
