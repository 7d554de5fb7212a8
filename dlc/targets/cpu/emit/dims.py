"""Dims as code: polynomials and floor quotients in i64."""

from __future__ import annotations

from collections.abc import Callable

from dlc.targets.cpu.llvm import INDEX, Builder, Value
from dlc.typesys.dims import Dim, Quotient

Lookup = Callable[[str], Value]
"""The value of a dim name."""


MULTIPLY = "llvm.smul.with.overflow.i64"
LARGE, MINUS_LARGE = Value("double", "0x43D0000000000000"), Value("double", "0xC3D0000000000000")
"""2**62 and its negative, for comparisons in floats."""


def constant(n: int) -> Value:
    return Value(INDEX, str(n))


def emit_dim(
    f: Builder, d: Dim, lookup: Lookup, quotient: Callable[[Quotient], Value] | None = None
) -> Value:
    """The number that the dim is, by wrapping arithmetic. A quotient by 0 is 0; `quotient` gives
    those that are known already."""
    total: Value | None = None
    for monomial, coefficient in d.terms:
        product: Value | None = None
        for atom, power in monomial:
            if isinstance(atom, str):
                x = lookup(atom)
            else:
                x = quotient(atom) if quotient is not None else _quotient(f, atom, lookup)
            for _ in range(power):
                product = x if product is None else f.mul(product, x)
        if product is None:
            term = constant(coefficient)
        else:
            term = product if coefficient == 1 else f.mul(product, coefficient)
        total = term if total is None else f.add(total, term)
    return constant(0) if total is None else total


def _quotient(f: Builder, q: Quotient, lookup: Lookup) -> Value:
    return _divide(f, emit_dim(f, q.numerator, lookup), q.denominator, lookup)


def _divide(f: Builder, a: Value, by: Dim, lookup: Lookup) -> Value:
    """floor(a / by), 0 if `by` is 0."""
    if by.is_constant:
        c = by.constant
        if c > 0 and c & (c - 1) == 0:
            return f.ashr(a, c.bit_length() - 1)
    b = emit_dim(f, by, lookup)
    zero = f.icmp("eq", b, 0)
    safe = f.select(zero, f.like(1, b), b)
    quotient = f.sdiv(a, safe)
    rest = f.sub(a, f.mul(quotient, safe))
    below = f.and_(f.icmp("ne", rest, 0), f.icmp("slt", f.xor(rest, safe), 0))
    floor = f.sub(quotient, f.cast("zext", below, INDEX))
    return f.select(zero, f.like(0, floor), floor)


class CheckedSize:
    """A number of bytes, and whether it overflows 64 bits. Dims are below 2**31."""

    def __init__(self, f: Builder, lookup: Lookup) -> None:
        self.f, self.lookup = f, lookup
        self.overflow: Value | None = None

    def emit(self, d: Dim) -> Value:
        """The value of the dim; `overflow` is set where it can overflow."""
        if _is_small(d):
            return emit_dim(self.f, d, self.lookup)
        total = constant(0)
        for monomial, coefficient in d.terms:
            product = constant(coefficient)
            for atom, power in monomial:
                x = self.lookup(atom) if isinstance(atom, str) else self._quotient(atom)
                for _ in range(power):
                    product = self._checked(MULTIPLY, product, x)
            total = self._checked("llvm.sadd.with.overflow.i64", total, product)
        return total

    def _quotient(self, q: Quotient) -> Value:
        return _divide(self.f, self.emit(q.numerator), q.denominator, self.lookup)

    def _checked(self, name: str, a: Value, b: Value) -> Value:
        f = self.f
        if f.module.target.is_wasm and name == MULTIPLY:
            # There the intrinsic would call a run-time for the 128-bit product.
            self._note(self._is_large(a, b))
            return f.mul(a, b)
        both = f.call(f.module.declare(name, "{ i64, i1 }", (INDEX, INDEX)), a, b)
        self._note(f.field(both, 1, "i1"))
        return f.field(both, 0, INDEX)

    def _is_large(self, a: Value, b: Value) -> Value:
        """Whether the product may be 2**62 or more in magnitude."""
        f = self.f
        x = f.fmul(f.cast("sitofp", a, "double"), f.cast("sitofp", b, "double"))
        inside = f.and_(f.fcmp("olt", x, LARGE), f.fcmp("ogt", x, MINUS_LARGE))
        return f.not_(inside)

    def _note(self, over: Value) -> None:
        self.overflow = over if self.overflow is None else self.f.or_(self.overflow, over)


def _is_small(d: Dim) -> bool:
    """Whether no value of dims below 2**31 takes the dim near 2**63."""
    for monomial, coefficient in d.terms:
        if abs(coefficient) >= 2**24 or sum(power for _, power in monomial) > 1:
            return False
        if any(isinstance(a, Quotient) and not _is_small(a.numerator) for a, _ in monomial):
            return False
    return True
