"""Between element types: `widen` and `narrow` for f16 and bf16, `convert` for any pair.

Float to integer rounds to zero and saturates, NaN gives 0; to a smaller integer wraps; to a
narrower float rounds to nearest even (to f16 and bf16 by way of f32); to bool is `x != 0`. NaNs
stay NaNs (quiet, payload cut).
"""

from __future__ import annotations

from dlc.diag import InternalError
from dlc.targets.cpu.llvm import ELEMENTS, Builder, Element, Value
from dlc.targets.cpu.llvm.types import lanes_of, scalar_of, suffix, vector


def widen(f: Builder, x: Value, dtype: str) -> Value:
    """f16 or bf16 bits (i16 lanes) as f32."""
    if dtype == "bf16":
        return f.from_bits(f.shl(f.cast("zext", x, "i32"), 16), "float")
    if f.module.target.half:
        return f.cast("fpext", f.from_bits(x, "half"), "float")
    return _half_to_float(f, x)


def narrow(f: Builder, x: Value, dtype: str) -> Value:
    """f32 as f16 or bf16 bits (i16 lanes), rounded to nearest even."""
    if dtype == "bf16":
        return _float_to_bf16(f, x)
    if f.module.target.half:
        return f.cast("bitcast", f.cast("fptrunc", x, "half"), "i16")
    return _float_to_half(f, x)


def _half_to_float(f: Builder, x: Value) -> Value:
    """Shift the fields into place; an exponent of all ones becomes all ones; subnormals by a
    subtraction of the constant that their hidden bit would be."""
    w = f.cast("zext", x, "i32")
    magnitude = f.shl(f.and_(w, 0x7FFF), 13)
    exponent = f.and_(magnitude, 0x0F800000)
    rebias = (127 - 15) << 23
    normal = f.add(magnitude, rebias)
    special = f.add(normal, rebias)
    quiet = f.icmp("ugt", f.and_(w, 0x7FFF), 0x7C00)
    special = f.or_(special, f.select(quiet, f.like(0x00400000, w), f.like(0, w)))
    lifted = f.from_bits(f.add(normal, 1 << 23), "float")
    subnormal = f.bits(f.fsub(lifted, 2.0**-14))
    bits = f.select(f.icmp("eq", exponent, 0), subnormal, normal)
    bits = f.select(f.icmp("eq", exponent, 0x0F800000), special, bits)
    return f.from_bits(f.or_(bits, f.shl(f.and_(w, 0x8000), 16)), "float")


def _float_to_half(f: Builder, x: Value) -> Value:
    """Round by adding half of the last kept bit (less one where that is even); subnormal results
    by adding the float whose last bit has their weight."""
    bits = f.bits(x)
    a = f.and_(bits, 0x7FFFFFFF)
    odd = f.and_(f.lshr(a, 13), 1)
    rounded = f.lshr(f.add(f.add(a, 0xFFF - ((127 - 15) << 23)), odd), 13)
    magic = 0.5  # its last bit weighs 2^-24, as the last of a subnormal half
    small = f.sub(f.bits(f.fadd(f.from_bits(a, "float"), magic)), 0x3F000000)
    r = f.select(f.icmp("ult", a, 0x38800000), small, rounded)
    r = f.select(f.icmp("ugt", a, 0x477FEFFF), f.like(0x7C00, bits), r)
    payload = f.or_(f.and_(f.lshr(a, 13), 0x3FF), 0x7E00)
    r = f.select(f.icmp("ugt", a, 0x7F800000), payload, r)
    return f.cast("trunc", f.or_(r, f.and_(f.lshr(bits, 16), 0x8000)), "i16")


def _float_to_bf16(f: Builder, x: Value) -> Value:
    bits = f.bits(x)
    odd = f.and_(f.lshr(bits, 16), 1)
    rounded = f.lshr(f.add(f.add(bits, 0x7FFF), odd), 16)
    nan = f.or_(f.lshr(bits, 16), 0x40)
    return f.cast("trunc", f.select(f.fcmp("uno", x, x), nan, rounded), "i16")


def convert(f: Builder, x: Value, source: str, target: str) -> Value:
    """`x`, a register value of dtype `source`, as a register value of dtype `target`.

    Register values: f16 and bf16 are `float`, already rounded to their format; bool is `i1`.
    """
    if source == target:
        return x
    a, b = ELEMENTS[source], ELEMENTS[target]
    if b.kind == "bool":
        return f.fcmp("une", x, 0.0) if a.is_float else f.icmp("ne", x, 0)
    if a.is_float:
        return _float_to_float(f, x, b) if b.is_float else _float_to_int(f, x, b)
    if b.is_float:
        return _int_to_float(f, x, a, b)
    if a.kind == "bool" or not a.signed:
        return (
            f.cast("zext", x, b.register)
            if b.bytes > a.bytes or a.kind == "bool"
            else (f.cast("trunc", x, b.register))
        )
    return f.cast("sext" if b.bytes > a.bytes else "trunc", x, b.register)


def _float_to_float(f: Builder, x: Value, b: Element) -> Value:
    if scalar_of(x.type) == b.register and not b.is_half:
        return x
    if scalar_of(x.type) != b.register:
        x = f.cast("fpext" if b.register == "double" else "fptrunc", x, b.register)
    return widen(f, narrow(f, x, b.name), b.name) if b.is_half else x


def _float_to_int(f: Builder, x: Value, b: Element) -> Value:
    name = "llvm.fptosi.sat" if b.signed else "llvm.fptoui.sat"
    result = vector(b.register, lanes_of(x.type))
    return f.intrinsic(name, result, x, overloads=(result, x.type))


def _int_to_float(f: Builder, x: Value, a: Element, b: Element) -> Value:
    r = f.cast("sitofp" if a.signed else "uitofp", x, b.register)
    return widen(f, narrow(f, r, b.name), b.name) if b.is_half else r


def load(f: Builder, dtype: str, address: Value, lanes: int = 1, align: int = 0) -> Value:
    """Elements from memory as a register value."""
    e = ELEMENTS[dtype]
    return from_memory(f, dtype, f.load(vector(e.memory, lanes), address, align))


def store(f: Builder, dtype: str, x: Value, address: Value, align: int = 0) -> None:
    """A register value to memory; f32 lanes are rounded for f16 and bf16."""
    f.store(to_memory(f, dtype, x), address, align)


def from_memory(f: Builder, dtype: str, x: Value) -> Value:
    """What a load gave, as a register value."""
    e = ELEMENTS[dtype]
    if e.is_half:
        return widen(f, x, dtype)
    if e.kind == "bool":
        return f.icmp("ne", x, 0)
    return x


def to_memory(f: Builder, dtype: str, x: Value) -> Value:
    """A register value as it is stored."""
    e = ELEMENTS[dtype]
    if scalar_of(x.type) != e.register:
        raise InternalError(f"a value of type {suffix(x.type)} is stored as {dtype}")
    if e.is_half:
        return narrow(f, x, dtype)
    if e.kind == "bool":
        return f.cast("zext", x, "i8")
    return x
