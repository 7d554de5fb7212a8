"""Writing one function's text.

`Builder` appends lines; a method returns the `Value` that it named. Names are numbered in order, so
equal calls give equal text. Blocks, loops and branches are in `control.py`, which a `Builder`
includes. Nothing folds here: LLVM does that better.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlc.diag import InternalError
from dlc.targets.cpu.llvm.control import Control
from dlc.targets.cpu.llvm.module import Function, Linkage, Module, Signature
from dlc.targets.cpu.llvm.types import (
    INDEX,
    Value,
    constant,
    int_of,
    is_float,
    lanes_of,
    scalar_of,
    suffix,
    vector,
    with_scalar,
)

FREESTANDING = 'nounwind "no-builtins"'
"""On every function: loops must not become calls of memset and memcpy, and nothing unwinds."""

Operand = Value | int | float
"""A value, or a Python number that stands for a constant of the other operand's type."""


class Builder(Control):
    """The text of one function.

    `inline`: "always", "hint", "never", or "" for LLVM's choice. `debug` is the metadata number
    that is appended to every line (`!dbg !7`) while it is set.
    """

    def __init__(
        self,
        module: Module,
        name: str,
        result: str,
        params: Sequence[tuple[str, str]],
        *,
        linkage: Linkage = "internal",
        inline: str = "",
        attributes: str = "",
        subprogram: str = "",
    ) -> None:
        super().__init__(module)
        self.function = Function(name, Signature(result, tuple(params)))
        self.params = tuple(
            Value(t, f"%{p}")
            for t, (_, p) in zip(self.function.signature.types, params, strict=True)
        )
        words = {"always": "alwaysinline", "hint": "inlinehint", "never": "noinline", "": ""}
        group = module.attributes(" ".join(filter(None, (FREESTANDING, words[inline], attributes))))
        visible = "internal " if linkage == "internal" else ""
        listed = ", ".join(f"{t} %{p}" for t, p in params)
        tail = f" !dbg {subprogram}" if subprogram else ""
        self._head = f"define {visible}{result} @{name}({listed}) {group}{tail} {{"

    def finish(self) -> tuple[Function, str]:
        """The function and its text. Every block must have ended."""
        if self.block:
            raise InternalError(f"the last block of @{self.function.name} does not end")
        return self.function, "\n".join((self._head, "entry:", *self._entry, *self._lines, "}"))

    def define(self) -> Function:
        """Finish, and add it to the module."""
        function, text = self.finish()
        self.module.define(function, text)
        return function

    # -- operands -------------------------------------------------------------------------------

    def const(self, type_: str, x: float | int | bool) -> Value:
        return constant(type_, x)

    def index(self, x: int) -> Value:
        """A constant of the index type."""
        return Value(INDEX, str(x))

    def like(self, x: Operand, other: Value) -> Value:
        """`x` as an operand of `other`'s type: a number becomes a constant, a scalar is spread."""
        if not isinstance(x, Value):
            return constant(other.type, x)
        if x.type != other.type and other.type[0] == "<" and scalar_of(other.type) == x.type:
            return self.splat(x, lanes_of(other.type))
        return x

    def _pair(self, a: Operand, b: Operand) -> tuple[Value, Value]:
        if isinstance(a, Value):
            b = self.like(b, a)
            return (self.like(a, b), b)
        if isinstance(b, Value):
            return self.like(a, b), b
        raise InternalError("an operation on two numbers needs no instruction")

    def binary(self, op: str, a: Operand, b: Operand) -> Value:
        """`op a, b`, where one of them may be a number."""
        x, y = self._pair(a, b)
        return self.let(x.type, f"{op} {x.type} {x.text}, {y.text}")

    # -- integers -------------------------------------------------------------------------------

    def add(self, a: Operand, b: Operand) -> Value:
        return self.binary("add", a, b)

    def sub(self, a: Operand, b: Operand) -> Value:
        return self.binary("sub", a, b)

    def mul(self, a: Operand, b: Operand) -> Value:
        return self.binary("mul", a, b)

    def sdiv(self, a: Operand, b: Operand) -> Value:
        return self.binary("sdiv", a, b)

    def srem(self, a: Operand, b: Operand) -> Value:
        return self.binary("srem", a, b)

    def and_(self, a: Operand, b: Operand) -> Value:
        return self.binary("and", a, b)

    def or_(self, a: Operand, b: Operand) -> Value:
        return self.binary("or", a, b)

    def xor(self, a: Operand, b: Operand) -> Value:
        return self.binary("xor", a, b)

    def shl(self, a: Operand, b: Operand) -> Value:
        return self.binary("shl", a, b)

    def lshr(self, a: Operand, b: Operand) -> Value:
        return self.binary("lshr", a, b)

    def ashr(self, a: Operand, b: Operand) -> Value:
        return self.binary("ashr", a, b)

    def not_(self, a: Value) -> Value:
        return self.xor(a, True if scalar_of(a.type) == "i1" else -1)

    def icmp(self, predicate: str, a: Operand, b: Operand) -> Value:
        x, y = self._pair(a, b)
        return self.let(with_scalar(x.type, "i1"), f"icmp {predicate} {x.type} {x.text}, {y.text}")

    def imin(self, a: Operand, b: Operand, *, signed: bool = True) -> Value:
        x, y = self._pair(a, b)
        return self.select(self.icmp("slt" if signed else "ult", x, y), x, y)

    def imax(self, a: Operand, b: Operand, *, signed: bool = True) -> Value:
        x, y = self._pair(a, b)
        return self.select(self.icmp("sgt" if signed else "ugt", x, y), x, y)

    # -- floats ---------------------------------------------------------------------------------

    def fadd(self, a: Operand, b: Operand) -> Value:
        return self.binary("fadd", a, b)

    def fsub(self, a: Operand, b: Operand) -> Value:
        return self.binary("fsub", a, b)

    def fmul(self, a: Operand, b: Operand) -> Value:
        return self.binary("fmul", a, b)

    def fdiv(self, a: Operand, b: Operand) -> Value:
        return self.binary("fdiv", a, b)

    def fneg(self, a: Value) -> Value:
        return self.let(a.type, f"fneg {a.type} {a.text}")

    def fcmp(self, predicate: str, a: Operand, b: Operand) -> Value:
        x, y = self._pair(a, b)
        return self.let(with_scalar(x.type, "i1"), f"fcmp {predicate} {x.type} {x.text}, {y.text}")

    def mul_add(self, a: Operand, b: Operand, c: Operand) -> Value:
        """a * b + c: one rounding where the target has the instruction, else two; never LLVM's
        choice.

        So -O0 and -O3 give the same bits on one target. `llvm.fmuladd` would leave it open.
        """
        values = [x for x in (a, b, c) if isinstance(x, Value)]
        widest = next((x for x in values if x.type[0] == "<"), values[0])
        x, y, z = (self.like(v, widest) for v in (a, b, c))
        if not is_float(x.type):
            return self.add(self.mul(x, y), z)
        if self.module.target.fma(scalar_of(x.type)):
            return self.intrinsic("llvm.fma", x.type, x, y, z)
        return self.fadd(self.fmul(x, y), z)

    # -- both -----------------------------------------------------------------------------------

    def plus(self, a: Operand, b: Operand) -> Value:
        """The sum of two floats or of two integers."""
        x, y = self._pair(a, b)
        return self.fadd(x, y) if is_float(x.type) else self.add(x, y)

    def times(self, a: Operand, b: Operand) -> Value:
        """The product of two floats or of two integers."""
        x, y = self._pair(a, b)
        return self.fmul(x, y) if is_float(x.type) else self.mul(x, y)

    def select(self, condition: Value, a: Operand, b: Operand) -> Value:
        x, y = self._pair(a, b)
        if condition.type == "i1":
            return self.let(x.type, f"select i1 {condition.text}, {x}, {y}")
        return self.let(x.type, f"select {condition}, {x}, {y}")

    def cast(self, op: str, a: Value, scalar: str) -> Value:
        """`zext sext trunc fpext fptrunc sitofp uitofp fptosi fptoui bitcast ptrtoint …`, lane by
        lane."""
        to = with_scalar(a.type, scalar)
        return a if a.type == to else self.let(to, f"{op} {a} to {to}")

    def bits(self, a: Value) -> Value:
        """A float's bits as an integer of its width."""
        return self.let(int_of(a.type), f"bitcast {a} to {int_of(a.type)}")

    def from_bits(self, a: Value, scalar: str) -> Value:
        return self.cast("bitcast", a, scalar)

    # -- memory ---------------------------------------------------------------------------------

    def gep(self, element: str, base: Value, at: Operand) -> Value:
        """Address of `base[at]`, elements of LLVM type `element`."""
        i = at if isinstance(at, Value) else Value(INDEX, str(at))
        return self.let("ptr", f"getelementptr {element}, {base}, {i}")

    def load(self, type_: str, address: Value, align: int = 0) -> Value:
        """A load; a vector is assumed aligned as its elements only, unless `align` says more."""
        return self.let(type_, f"load {type_}, {address}{_align(type_, align)}")

    def store(self, x: Value, address: Value, align: int = 0) -> None:
        self.line(f"store {x}, {address}{_align(x.type, align)}")

    def alloca(self, type_: str, count: int = 1, align: int = 64) -> Value:
        """Stack space, reserved at entry: its size is part of what the artefact exports."""
        name = self.fresh()
        self._entry.append(f"  {name} = alloca [{count} x {type_}], align {align}")
        return Value("ptr", name)

    # -- vectors --------------------------------------------------------------------------------

    def splat(self, x: Value, lanes: int) -> Value:
        """`x` in every lane."""
        if lanes == 1:
            return x
        t = vector(x.type, lanes)
        one = self.let(t, f"insertelement {t} poison, {x}, i64 0")
        return self.let(t, f"shufflevector {one}, {t} poison, <{lanes} x i32> zeroinitializer")

    def extract(self, x: Value, lane: int | Value) -> Value:
        if x.type[0] != "<":
            return x
        at = lane.text if isinstance(lane, Value) else str(lane)
        return self.let(scalar_of(x.type), f"extractelement {x}, i64 {at}")

    def insert(self, x: Value, y: Value, lane: int | Value) -> Value:
        if x.type[0] != "<":
            return y
        at = lane.text if isinstance(lane, Value) else str(lane)
        return self.let(x.type, f"insertelement {x}, {y}, i64 {at}")

    def shuffle(self, a: Value, b: Value | None, lanes: Sequence[int]) -> Value:
        """The lanes of `a` (and, from len(a) on, of `b`) in another order; -1 is any."""
        t = vector(scalar_of(a.type), len(lanes))
        mask = ", ".join("i32 poison" if i < 0 else f"i32 {i}" for i in lanes)
        second = f"{a.type} poison" if b is None else str(b)
        if lanes_of(a.type) == 1:
            raise InternalError("a scalar has no lanes to shuffle")
        if len(lanes) == 1:
            return self.extract(a, lanes[0])
        return self.let(t, f"shufflevector {a}, {second}, <{len(lanes)} x i32> <{mask}>")

    def lane_numbers(self, scalar: str, lanes: int) -> Value:
        """0, 1, 2, … in the lanes."""
        if lanes == 1:
            return constant(scalar, 0)
        body = ", ".join(f"{scalar} {i}" for i in range(lanes))
        return Value(vector(scalar, lanes), f"<{body}>")

    # -- calls ----------------------------------------------------------------------------------

    def call(self, function: Function, *args: Operand) -> Value:
        """A call; numbers become constants of the parameters' types."""
        types = function.signature.types
        if len(types) != len(args):
            raise InternalError(f"@{function.name} takes {len(types)} arguments, not {len(args)}")
        xs = [
            x if isinstance(x, Value) else constant(t, x) for t, x in zip(types, args, strict=True)
        ]
        for t, x in zip(types, xs, strict=True):
            if t != x.type:
                raise InternalError(f"@{function.name} wants {t}, not {x.type}")
        result = function.signature.result
        text = f"call {result} @{function.name}({', '.join(map(str, xs))})"
        if result == "void":
            self.line(text)
            return Value("void", "")
        return self.let(result, text)

    def intrinsic(
        self, name: str, result: str, *args: Value, overloads: Sequence[str] = ()
    ) -> Value:
        """A call of an LLVM intrinsic, mangled by `overloads` (the result's type if not given)."""
        mangled = ".".join((name, *(suffix(t) for t in (overloads or (result,)))))
        function = self.module.declare(mangled, result, tuple(a.type for a in args))
        return self.call(function, *args)

    def raw_intrinsic(self, name: str, result: str, *args: Value) -> Value:
        """A call of an intrinsic that is not mangled (`llvm.x86.…`)."""
        return self.call(self.module.declare(name, result, tuple(a.type for a in args)), *args)


def _align(type_: str, align: int) -> str:
    if align:
        return f", align {align}"
    if type_[0] == "<":
        scalar = scalar_of(type_)
        size = {"float": 4, "double": 8, "i64": 8, "i32": 4, "i16": 2, "i8": 1}.get(scalar)
        if size is None:
            raise InternalError(f"no memory layout for {type_}")
        return f", align {size}"
    return ""
