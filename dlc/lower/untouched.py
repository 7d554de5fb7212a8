"""What a function of scalars does where some of its operands are zero.

`each(fn(p, d) => p - rate * d, m, g)` need not visit the rows that `g` does not store, because the
function gives `p` back where `d` is zero. That is read off its operations; what cannot be read off
is taken to change something."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from dlc.ir.core import Op, Value


class Known(Enum):
    """What a value is known to be, whatever the operands are (they are finite)."""

    ZERO = "zero"
    FIRST = "the first operand"
    OTHER = "anything"


ZERO_AT_ZERO = frozenset(
    "neg abs sign sqrt tanh sin tan sinh asin atan asinh atanh erf expm1 log1p relu floor ceil"
    " round trunc convert broadcast".split()
)


def where_zero(
    ops: Sequence[Op], params: Sequence[Value], zeros: Sequence[bool], y: Value
) -> Known:
    """What `y` is where the operands that `zeros` marks are zero. `ops` are straight code on
    scalars over `params`; divisors are taken not to be zero."""
    known = {p: Known.ZERO if z else Known.OTHER for p, z in zip(params, zeros, strict=True)}
    if not zeros[0]:
        known[params[0]] = Known.FIRST
    for op in ops:
        if len(op.results) == 1:
            known[op.results[0]] = _result(op, [known.get(v, Known.OTHER) for v in op.operands])
    return known.get(y, Known.OTHER)


def _result(op: Op, xs: list[Known]) -> Known:
    zero, other = Known.ZERO, Known.OTHER
    match op.name:
        case "const":
            value = op.attrs["value"]
            return zero if isinstance(value, (int, float)) and value == 0 else other
        case "add":
            return xs[1] if xs[0] is zero else xs[0] if xs[1] is zero else other
        case "sub":
            return xs[0] if xs[1] is zero else other
        case "mul":
            return zero if zero in xs else other
        case "div":
            return zero if xs[0] is zero else other
        case "select":
            return xs[1] if xs[1] is xs[2] and xs[1] is not other else other
        case "stop_grad":
            return xs[0]
        case name if name in ZERO_AT_ZERO:
            return zero if xs[0] is zero else other
        case _:
            return other
