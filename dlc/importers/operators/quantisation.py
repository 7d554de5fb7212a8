"""Whole-number arithmetic with scales: QuantizeLinear and its inverse, products and convolutions of
bytes.

Sums of products of bytes are exact: see `byte_products`; convolutions are done in float where every
sum is below 2**24 (or in double, below 2**53), where floats are exact as well."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.importers import numbers
from dlc.importers.call import Call, Operator, Rule, normal_axis
from dlc.importers.elements import (
    DOUBLE,
    FLOAT,
    INT8,
    INT32,
    UINT8,
    Element,
    element_of,
)
from dlc.importers.operators import rational
from dlc.importers.operators.byte_products import (
    by_small,
    contract,
    is_small,
    shifted,
)
from dlc.importers.operators.convolutions import add_bias, convolve
from dlc.importers.operators.products import matmul
from dlc.importers.operators.recurrent import QUANTISED_LSTM, Product, recurrent
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Tensor
from dlc.typesys.dims import ONE, Dim


def spread(p: Tensor, x: Tensor, axis: int, block: int) -> Tensor:
    """A scale or zero point over `x`: one number; one for each position along an axis; or one for
    each block of positions."""
    e = x.e
    if p.rank == 0 or p.shape == (ONE,):
        return e.reshape(p, ())
    if p.rank == 1 and not block:
        return e.reshape(p, [p.shape[0] if a == axis else ONE for a in range(x.rank)])
    if p.rank != x.rank:
        raise refuse("E0707", f"a scale {p} for {x}")
    if not block:
        return p
    wide = (*p.shape[: axis + 1], Dim.const(block), *p.shape[axis + 1 :])
    y = e.broadcast(e.reshape(p, (*p.shape[: axis + 1], 1, *p.shape[axis + 1 :])), wide)
    full = e.reshape(y, (*p.shape[:axis], p.shape[axis] * block, *p.shape[axis + 1 :]))
    return e.slice(full, axis, 0, x.shape[axis])


def _quantize_linear(c: Call) -> Tensor:
    x, scale, zero = c.tensor(0), c.tensor(1), c.optional(2)
    element = UINT8
    if c.given("output_dtype") and c.int("output_dtype"):
        element = element_of(c.int("output_dtype"))
        if zero is not None and zero.element is not element:
            raise refuse("E0707", f"the zero point is {zero.element}, the output {element}")
    elif zero is not None:
        element = zero.element
    block = c.int("block_size", 0)
    axis = normal_axis(c.int("axis", 1), x.rank) if scale.rank and scale.shape != (ONE,) else 0
    work = element_of(c.int("precision")) if c.int("precision", 0) else scale.element
    if not work.is_float:
        work = FLOAT
    s = numbers.cast(spread(scale, x, axis, block), work)
    z = None if zero is None else spread(zero, x, axis, block)
    saturate = c.int("saturate", 1) != 0
    return quantised(numbers.cast(x, work), s, z, element, saturate)


def quantised(
    x: Tensor, scale: Tensor, zero: Tensor | None, element: Element, saturate: bool = True
) -> Tensor:
    """`saturate(round(x / scale) + zero)`, halves to even."""
    y = x / scale
    if element.mini is not None:
        return numbers.cast(y, element, saturate=saturate)
    y = y.op("round")
    if zero is not None:
        y = y + numbers.cast(zero, y.element)
    low, high = element.range
    return numbers.cast(y.op("max", float(low)).op("min", float(high)), element)


def _dequantize_linear(c: Call) -> Tensor:
    x, scale, zero = c.tensor(0), c.tensor(1), c.optional(2)
    block = c.int("block_size", 0)
    axis = normal_axis(c.int("axis", 1), x.rank) if scale.rank and scale.shape != (ONE,) else 0
    element = scale.element
    if c.given("output_dtype") and c.int("output_dtype"):
        element = element_of(c.int("output_dtype"))
    y = dequantised(
        x, spread(scale, x, axis, block), None if zero is None else spread(zero, x, axis, block)
    )
    return numbers.cast(y, element)


def dequantised(x: Tensor, scale: Tensor, zero: Tensor | None) -> Tensor:
    """`(x - zero) * scale`, in the type of the scale."""
    work = scale.element if scale.element.is_float else FLOAT
    if zero is None or (zero.known is not None and not zero.known.any()):
        return numbers.cast(x, work) * numbers.cast(scale, work)
    if x.element.is_float:
        return (numbers.cast(x, work) - numbers.cast(zero, work)) * scale
    wide = numbers.cast(x, INT32) - numbers.cast(zero, INT32)
    return numbers.cast(wide, work) * numbers.cast(scale, work)


def dynamic(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The bytes, scale and zero point of a tensor by its own range. Source: ONNX
    DynamicQuantizeLinear-11."""
    q, scale, zero = _dynamic(x)
    return numbers.cast(q, UINT8), scale, numbers.cast(zero, UINT8)


def _dynamic(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same, with bytes and zero point as whole numbers in float."""
    e = x.e
    axes = tuple(range(x.rank))
    high = e.reduce("max", x, axes).op("max", 0.0)
    low = e.reduce("min", x, axes).op("min", 0.0)
    scale = (high - low) / 255.0
    scale_safe = scale.equals(0.0).choose(1.0, scale)
    zero = (-low / scale_safe).op("round").op("max", 0.0).op("min", 255.0)
    q = ((x / scale_safe).op("round") + zero).op("max", 0.0).op("min", 255.0)
    return q, scale, zero


def _dynamic_quantize_linear(c: Call) -> tuple[Tensor, ...]:
    return dynamic(c.tensor(0))


# -- products


def integer_matmul(a: Tensor, b: Tensor, za: Tensor | None, zb: Tensor | None) -> Tensor:
    """`(a - za) @ (b - zb)` in int32."""
    single = za is None or za.shape in ((), (ONE,))
    if is_small(b, zb) and single and a.element in (UINT8, INT8):
        unsigned = a.element is UINT8
        wide = numbers.cast(a, INT32)
        return matmul(wide, b, lambda spec, x, w: by_small(spec, x, za, w, unsigned))
    return matmul(shifted(a, za, True), shifted(b, zb, False), contract)


def _matmul_integer(c: Call) -> Tensor:
    return integer_matmul(c.tensor(0), c.tensor(1), c.optional(2), c.optional(3))


def _column(p: Tensor, y: Tensor, rows: bool) -> Tensor:
    """A scale or zero point of a product: one number, or one for each row or column."""
    e = y.e
    if p.rank == 1 and p.shape != (ONE,):
        return e.reshape(p, (p.shape[0], 1)) if rows else p
    return e.reshape(p, ()) if p.shape in ((), (ONE,)) else p


def _qlinear_matmul(c: Call) -> Tensor:
    a, sa, za, b, sb, zb, sy, zy = (c.tensor(i) for i in range(8))
    y = matmul(
        shifted(a, _column(za, a, True), True), shifted(b, _column(zb, b, False), False), contract
    )
    scale = numbers.cast(_column(sa, y, True), FLOAT) * numbers.cast(_column(sb, y, False), FLOAT)
    real = numbers.cast(y, FLOAT) * scale
    target = numbers.cast(_column(sy, y, True), FLOAT)
    return quantised(real, target, _column(zy, y, True), zy.element)


# -- convolutions


def integer_conv(c: Call, x: Tensor, w: Tensor, zx: Tensor | None, zw: Tensor | None) -> Tensor:
    """The convolution of `x - zx` with `w - zw` in int32; padding is `zx`."""
    terms = ONE
    for d in w.shape[1:]:
        terms = terms * d
    small = terms.is_constant and terms.constant * 255 * 255 < 1 << 24
    work = FLOAT if small else DOUBLE
    wide: list[Tensor] = []
    for t, z, lead in ((x, zx, False), (w, zw, True)):
        y = numbers.cast(t, INT32)
        if z is not None:
            zi = numbers.cast(z, INT32)
            per_row = lead and zi.rank == 1 and zi.shape != (ONE,)
            shape: Sequence[Dim | int] = (zi.shape[0], *[1] * (t.rank - 1)) if per_row else ()
            y = y - t.e.reshape(zi, shape)
        wide.append(numbers.cast(y, work))
    return numbers.cast(convolve(c, wide[0], wide[1]), INT32)


def _conv_integer(c: Call) -> Tensor:
    return integer_conv(c, c.tensor(0), c.tensor(1), c.optional(2), c.optional(3))


def _qlinear_conv(c: Call) -> Tensor:
    x, sx, zx, w, sw, zw, sy, zy = (c.tensor(i) for i in range(8))
    y = integer_conv(c, x, w, zx, zw)
    if c.has(8):
        y = add_bias(y, c.tensor(8))
    e = c.e
    scale = e.reshape(sw, (sw.shape[0], *[1] * (y.rank - 2))) if (
        sw.rank == 1 and sw.shape != (ONE,)
    ) else e.reshape(sw, ())  # fmt: skip
    real = numbers.cast(y, FLOAT) * (e.reshape(sx, ()) * scale)
    return quantised(real, e.reshape(sy, ()), e.reshape(zy, ()), zy.element)


# -- com.microsoft

MS = "com.microsoft"


def _dynamic_lstm(c: Call) -> tuple[Tensor, ...]:
    """LSTM with weights of bytes, `W [D, I, 4H]`, `R [D, H, 4H]`, and scales and zero points of
    one number for each direction, or each direction and column. The inputs (all steps at once) and
    each step's state are quantised by their own range. Source: ONNX Runtime, contrib operators."""
    e = c.e
    w, r = (e.transpose(c.tensor(i), (0, 2, 1)) for i in (1, 2))

    def products(d: int) -> tuple[Product, Product]:
        into, back = (_by_bytes(c.tensor(s), c.tensor(s + 1), d) for s in (8, 10))
        return into, back

    return recurrent(c, QUANTISED_LSTM, w, r, products)


def _by_bytes(scale: Tensor, zero: Tensor, d: int) -> Product:
    """The product with weights of one direction: bytes against bytes, summed in int32."""

    def product(x: Tensor, w: Tensor) -> Tensor:
        e, lead = x.e, "tb"[-(x.rank - 1) :]
        factor, shift = (_of_direction(p, d) for p in (scale, zero))
        q, own, point = _dynamic(x)
        spec = f"{lead}k,gk->{lead}g"
        if is_small(w, shift):
            y = by_small(spec, q, point, w, unsigned=True)
        else:
            right = shifted(w, e.reshape(shift, (*shift.shape, *[1] * shift.rank)), False)
            y = contract(spec, q - point, right)
        return numbers.cast(y, FLOAT) * (own * factor)

    return product


def _of_direction(p: Tensor, d: int) -> Tensor:
    e = p.e
    return e.reshape(e.slice(p, 0, d, 1), p.shape[1:])


def _qlinear_binary(name: str) -> Rule:
    def rule(c: Call) -> Tensor:
        a, sa, za, b, sb, zb, sy = (c.tensor(i) for i in range(7))
        zy = c.optional(7)
        y = dequantised(a, sa, za).op(name, dequantised(b, sb, zb))
        return quantised(y, sy, zy, a.element)

    return rule


def _qlinear_sigmoid(c: Call) -> Tensor:
    x, sx, zx, sy = (c.tensor(i) for i in range(4))
    return quantised(rational.sigmoid(dequantised(x, sx, zx)), sy, c.optional(4), x.element)


def _dynamic_quantize_matmul(c: Call) -> Tensor:
    a, b, sb, zb = c.tensor(0), c.tensor(1), c.tensor(2), c.optional(3)
    q, scale, point = dynamic(a)
    y = numbers.cast(integer_matmul(q, b, point, zb), FLOAT) * (scale * sb)
    return y + c.tensor(4) if c.has(4) else y


def _matmul_integer_to_float(c: Call) -> Tensor:
    a, b, sa, sb = (c.tensor(i) for i in range(4))
    y = numbers.cast(integer_matmul(a, b, c.optional(4), c.optional(5)), FLOAT)
    y = y * (_column(sa, y, True) * _column(sb, y, False))
    return y + c.tensor(6) if c.has(6) else y


OPERATORS: tuple[Operator, ...] = (
    Operator("QuantizeLinear", (10, 13, 19, 21, 23, 24, 25, 28), _quantize_linear),
    Operator("DequantizeLinear", (10, 13, 19, 21, 23, 24, 25, 28), _dequantize_linear),
    Operator("DynamicQuantizeLinear", (11,), _dynamic_quantize_linear),
    Operator("MatMulInteger", (10,), _matmul_integer),
    Operator("QLinearMatMul", (10, 21), _qlinear_matmul),
    Operator("ConvInteger", (10,), _conv_integer),
    Operator("QLinearConv", (10,), _qlinear_conv),
    Operator("QuantizeLinear", (1,), _quantize_linear, MS),
    Operator("DequantizeLinear", (1,), _dequantize_linear, MS),
    Operator("DynamicQuantizeLSTM", (1,), _dynamic_lstm, MS),
    Operator("DynamicQuantizeMatMul", (1,), _dynamic_quantize_matmul, MS),
    Operator("MatMulIntegerToFloat", (1,), _matmul_integer_to_float, MS),
    Operator("QLinearAdd", (1,), _qlinear_binary("add"), MS),
    Operator("QLinearMul", (1,), _qlinear_binary("mul"), MS),
    Operator("QLinearSigmoid", (1,), _qlinear_sigmoid, MS),
)
