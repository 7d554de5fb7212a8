"""Binding times: when the value of an operation is known, for the nodes of a case.

| time | depends on |
|---|---|
| same | nothing of the node |
| all | what comes with the node: fields, residuals |
| down | what the parent passes on |
| up | what calls return |

(Binding-time analysis: Jones, Gomard and Sestoft 1993.)"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum

from dlc.ir.core import Op, Value
from dlc.passes.batch import free_operands
from dlc.passes.levels.recursion import Case, Recursion
from dlc.passes.levels.specialise import Refused


class Time(IntEnum):
    SAME = 0
    ALL = 1
    DOWN = 2
    UP = 3


def times(rec: Recursion, case: Case, leaves: Mapping[Value, Time]) -> dict[Value, Time]:
    """The time of every value of the case. Raises Refused where an argument of a call depends on
    the result of another."""
    out = dict(leaves)
    out.update((rec.params[i], Time.SAME) for i in rec.roles.same)
    out.update((rec.params[i], Time.DOWN) for i in rec.roles.down)
    for c in case.calls:
        out.update((c.op.results[r], Time.UP) for r in rec.roles.up)
    for op in case.ops:
        t = max((out[v] for v in free_operands(op) if v in out), default=Time.SAME)
        out.update((r, t) for r in op.results)
    for c in case.calls:
        for i in rec.roles.down:
            if out[c.op.operands[i]] == Time.UP:
                raise Refused("what a call is given depends on another's result", c.op.loc)
    return out


def closure(ops: Iterable[Op], wanted: Iterable[Value], known: Callable[[Value], bool]) -> list[Op]:
    """The operations that make the wanted values from known ones, in order."""
    need = {v for v in wanted if not known(v)}
    out: list[Op] = []
    for op in reversed(list(ops)):
        if any(r in need for r in op.results):
            out.append(op)
            need.update(v for v in free_operands(op) if not known(v))
    return out[::-1]
