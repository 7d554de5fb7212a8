"""Which element types a contraction reads, computes in and writes."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.llvm import ELEMENTS, Builder, Target, Value
from dlc.targets.cpu.llvm.types import BITS, lanes_of, scalar_of, vector


@dataclass(frozen=True, slots=True)
class Operands:
    """Element types of a, b and c in c = a b, and the LLVM type that sums are kept in."""

    name: str
    a: str
    b: str
    c: str
    sum: str

    @property
    def is_float(self) -> bool:
        return self.sum in ("float", "double")

    @property
    def exact_in_c(self) -> bool:
        """Whether a partial sum may be kept in c: f16 and bf16 would round it."""
        return not ELEMENTS[self.c].is_half

    def lanes(self, target: Target) -> int:
        """Lanes of a vector register of sums."""
        return target.lanes(BITS[self.sum] // 8)

    def size(self, operand: str) -> int:
        """Bytes of an element of `a`, `b` or `c`."""
        return ELEMENTS[getattr(self, operand)].bytes

    def memory(self, operand: str) -> str:
        """LLVM type of an element of `a`, `b` or `c` in memory."""
        return ELEMENTS[getattr(self, operand)].memory

    def load(self, f: Builder, operand: str, address: Value, lanes: int = 1) -> Value:
        """Elements of an operand, widened to the type of sums."""
        dtype = str(getattr(self, operand))
        return self.widen(f, convert.load(f, dtype, address, lanes), dtype)

    def widen(self, f: Builder, x: Value, dtype: str) -> Value:
        """A register value of `dtype` in the type of sums."""
        if scalar_of(x.type) == self.sum:
            return x
        e = ELEMENTS[dtype]
        if e.is_float:
            return f.cast("fpext", x, self.sum)
        if self.is_float:
            return f.cast("sitofp" if e.signed else "uitofp", x, self.sum)
        return f.cast("sext" if e.signed else "zext", x, self.sum)

    def narrow(self, f: Builder, x: Value) -> Value:
        """A sum as a register value of c's type: integers wrap; halves are rounded by the store."""
        e = ELEMENTS[self.c]
        return x if e.is_float else f.cast("trunc", x, e.register)

    def store(self, f: Builder, x: Value, address: Value) -> None:
        convert.store(f, self.c, self.narrow(f, x), address)

    def vector(self, lanes: int) -> str:
        """The type of a vector of sums."""
        return vector(self.sum, lanes)

    def mac(self, f: Builder, x: Value, y: Value, total: Value) -> Value:
        """total + x * y; `x` may be a scalar beside vectors."""
        if lanes_of(x.type) < lanes_of(total.type):
            x = f.splat(x, lanes_of(total.type))
        return f.mul_add(x, y, total)


OPERANDS = MappingProxyType(
    {
        o.name: o
        for o in (
            *(Operands(t, t, t, t, s) for t, s in (("f32", "float"), ("f64", "double"))),
            *(Operands(t, t, t, t, "float") for t in ("f16", "bf16")),
            *(Operands(t, t, t, t, "i32") for t in ("i32", "i16", "i8", "u8")),
            Operands("i64", "i64", "i64", "i64", "i64"),
            # Narrow weights, f32 everything else.
            *(Operands(f"f32_{t}_f32", "f32", t, "f32", "float") for t in ("bf16", "f16", "i8")),
            # Quantised products, sums in i32.
            *(
                Operands(f"{a}_{b}_i32", a, b, "i32", "i32")
                for a, b in (("i8", "i8"), ("u8", "i8"), ("u8", "u8"), ("i8", "u8"))
            ),
        )
    }
)
"""By name: a dtype for three equal ones, else `a_b_c`."""
