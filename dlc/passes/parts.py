"""Products of which only a part is needed, or of which a part is known earlier.

`(w x)[a : b]` is `w[a : b] x`: the gradient of a concatenation takes its part of a product with
transposed weights, and the others may be constants. In a loop `w concat(x, y)`, with x from outside
of it, is `w[:, : X] x + w[:, X :] y`, and the first is computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dlc.ir.core import Function, Module, Op, Region, Value
from dlc.ir.rewrite import Substitution, defined_values, use_counts
from dlc.ops.build import Builder
from dlc.ops.contract import parse_spec
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I32

LOOPS = ("for", "loop")


def narrow_products(module: Module) -> Module:
    """Rewrites products as above. Operands are cut as views; sums are reassociated."""
    return module.map_functions(_function)


def _function(fn: Function) -> Function:
    return fn.with_body(_region(fn.body, use_counts(fn.body), None))


def _region(r: Region, counts: Mapping[Value, int], loop: frozenset[Value] | None) -> Region:
    """`loop` are the values that are defined in the loop whose body the region is: from a branch
    nothing moves out."""
    makers: dict[Value, Op] = {}
    out: list[Op] = []
    s = Substitution()
    for op in r.ops:
        operands = tuple(map(s.value, op.operands))
        regions = tuple(_region(s.region(x), counts, _inside(op, x)) for x in op.regions)
        now = Op(op.name, operands, op.results, op.attrs, regions, op.dims, op.loc)
        b = Builder(loc=op.loc)
        made = None
        if op.name == "slice":
            made = _sliced(b, now, makers, counts)
        elif op.name == "contract" and loop is not None:
            made = _split(b, now, makers, loop)
        if made is not None:
            s.values[op.result] = made.suggest(op.result.hint)
            loop = None if loop is None else loop | {s.values[op.result]}
        new = [now] if made is None else b.ops
        makers.update((v, o) for o in new for v in o.results)
        out += new
    return Region(r.params, tuple(out), r.dims)


def _inside(op: Op, r: Region) -> frozenset[Value] | None:
    return frozenset((*r.params, *defined_values(r.ops))) if op.name in LOOPS else None


def _cut(b: Builder, x: Value, letters: str, letter: str, start: Value, size: Dim) -> Value:
    """The operand's part along a letter; whole if it does not have it."""
    if letter not in letters:
        return x
    axis = letters.index(letter)
    return b.emit("slice", x, start, axis=axis, size=size, in_bounds=True)


def _sliced(
    b: Builder, op: Op, makers: Mapping[Value, Op], counts: Mapping[Value, int]
) -> Value | None:
    """A part of a product that nothing else reads, from parts of its operands."""
    x, start = op.operands
    product = makers.get(x)
    if product is None or product.name != "contract" or counts.get(x) != 1:
        return None
    if not op.attr_flag("in_bounds"):
        return None
    spec = parse_spec(product.attr_str("spec"))
    axis = op.attr_int("axis", 0)
    letter, size = spec.out[axis], op.result.tensor.shape[axis]
    parts = [
        _cut(b, v, letters, letter, start, size)
        for v, letters in zip(product.operands, (spec.a, spec.b), strict=True)
    ]
    return b.emit("contract", *parts, spec=product.attr_str("spec"))


def _split(b: Builder, op: Op, makers: Mapping[Value, Op], loop: frozenset[Value]) -> Value | None:
    """A product with a concatenation of what the loop changes and what it does not, one by one,
    where the other operand is from outside of the loop."""
    spec = parse_spec(op.attr_str("spec"))
    sides = (spec.a, spec.b)
    of = op.result.tensor.dtype
    if not of.is_float or of.bits < 32:
        return None
    for n, letters in enumerate(sides):
        joined = makers.get(op.operands[n])
        other = op.operands[1 - n]
        if joined is None or joined.name != "concat" or other in loop:
            continue
        axis = joined.attr_int("axis", 0)
        letter = letters[axis]
        parts = joined.operands
        if letter in spec.out or letter not in sides[1 - n]:
            continue
        if len({v in loop for v in parts}) != 2:
            continue
        return _sum_of_parts(b, op, n, axis, letter, parts)
    return None


def _sum_of_parts(
    b: Builder, op: Op, n: int, axis: int, letter: str, parts: Sequence[Value]
) -> Value:
    spec = parse_spec(op.attr_str("spec"))
    letters, other = (spec.a, spec.b)[1 - n], op.operands[1 - n]
    total: Value | None = None
    start = Dim.const(0)
    for part in parts:
        size = part.tensor.shape[axis]
        at = b.dim(start, I32)
        pair = [part, _cut(b, other, letters, letter, at, size)]
        y = b.emit("contract", *(pair if n == 0 else pair[::-1]), spec=op.attr_str("spec"))
        total = y if total is None else b.emit("add", total, y)
        start = start + size
    assert total is not None
    return total
