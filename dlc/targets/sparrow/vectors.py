"""Element-wise operations by vector instructions: one instruction for one operation over a whole
tensor."""

from __future__ import annotations

from types import MappingProxyType

from dlc.isa.program import Row
from dlc.targets.sparrow.body import Body
from dlc.targets.sparrow.code import ZERO, Code, Flt, Ten
from dlc.targets.sparrow.scalars import COMPARED, UNARY
from dlc.typesys.dtypes import DType

_UNARY = UNARY | {"neg", "finite"}
_BINARY = frozenset("add sub mul div max min pow atan2".split())
_INTEGRAL = frozenset("add sub mul max min and or xor".split())
_DIVISION = MappingProxyType({"floordiv": "div", "mod": "rem"})


def is_vector(op: str, of: DType, to: DType) -> bool:
    """Whether one instruction over a whole tensor computes it; `of` is the operands' dtype."""
    if "i64" in (of.name, to.name):
        return False
    if op == "convert":
        return not (of.is_float and to.is_int and to.name != "i32")
    if op in COMPARED or op in ("select", "stop_grad"):
        return True
    if of.is_float:
        return op in _BINARY or op in _UNARY
    return op in _INTEGRAL or op in _DIVISION


def emit_vector(c: Code, op: str, dst: Ten, args: tuple[Ten, ...], of: DType, to: DType) -> None:
    """`dst := op(args)`, as `is_vector` allows it. An integer division by 0 traps."""
    d, a = dst.number, [t.number for t in args]
    if op == "convert" or op == "stop_grad":
        c.emit(_conversion(of, to), d=d, a=a[0])
    elif op in COMPARED:
        relation, swapped = COMPARED[op]
        x, y = (a[1], a[0]) if swapped else (a[0], a[1])
        fn = c.builder.member("relation", relation)
        c.emit("ew.cmp" if of.is_float else "ew.icmp", d=d, a=x, b=y, fn=fn)
    elif op == "select":
        c.emit("select" if to.is_float else "iselect", d=d, a=a[0], b=a[1], c=a[2])
    elif of.is_float and op in _UNARY:
        c.emit("ew.un", d=d, a=a[0], fn=c.builder.member("unary", op))
    elif of.is_float:
        c.emit("ew.bin", d=d, a=a[0], b=a[1], fn=c.builder.member("binary", op))
    else:
        fn = c.builder.member("integral", _DIVISION.get(op, op))
        c.emit("ew.int", d=d, a=a[0], b=a[1], fn=fn)


def _conversion(of: DType, to: DType) -> str:
    if of.is_float:
        return "t.copy" if to.is_float else "t.f2i"
    return "t.i2f" if to.is_float else "t.icopy"


def one_element(b: Body, op: str, x: Flt, y: Flt) -> Flt:
    """A function of two floats that only the vector unit has, over one element each."""
    c = b.c
    z = c.flt()
    with c.scope():
        tensors: list[int] = []
        b.unit.room(0, 64)
        for k, value in enumerate((x, y, None)):
            t = c.ten()
            c.emit("td.const", d=t.number, k=c.builder.row(Row("SP", "f32", (), None, 4 * k)))
            if value is not None:
                c.emit("twr", d=t.number, a=ZERO.number, b=value.number)
            tensors.append(t.number)
        fn = c.builder.member("binary", op)
        c.emit("ew.bin", d=tensors[2], a=tensors[0], b=tensors[1], fn=fn)
        c.emit("trd", d=z.number, a=tensors[2], b=ZERO.number)
    return z
