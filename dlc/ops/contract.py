"""Sums of products over letters: matrix products, inner and outer products, and what lies
between."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from string import ascii_letters
from typing import Any

from dlc.ir.core import Op, Value
from dlc.ops import gather_terms as gt
from dlc.ops.card import Batched, Batching, Card, CardError, Gradient, Rows, Run, Site, Trait
from dlc.ops.numeric import convert, finish, is_complex, np, widen
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DType
from dlc.typesys.types import TensorType, Type


@dataclass(frozen=True)
class Spec:
    """The letters of `"ij,jk->ik"`."""

    a: str
    b: str
    out: str

    def __str__(self) -> str:
        return f"{self.a},{self.b}->{self.out}"


def parse_spec(text: str) -> Spec:
    """Raises CardError for what is no contraction of two operands."""
    left, arrow, out = text.partition("->")
    a, comma, b = left.partition(",")
    spec = Spec(a, b, out)
    letters = set(a + b)
    if not arrow or not comma or not all(c in ascii_letters for c in a + b + out):
        raise CardError(f'`contract`: "{text}" is not of the form "ij,jk->ik"')
    for part in (a, b, out):
        if len(set(part)) != len(part):
            raise CardError(f'`contract`: a letter is repeated within one operand of "{text}"')
    if not set(out) <= letters:
        raise CardError(f'`contract`: a letter of the result of "{text}" is in no operand')
    return spec


@dataclass(frozen=True)
class _Plan:
    """A contraction as one matrix product: axes to sum first, orders of the axes, number of each
    kind."""

    sum_a: tuple[int, ...]
    sum_b: tuple[int, ...]
    order_a: tuple[int, ...]
    order_b: tuple[int, ...]
    both: int
    left: int
    inner: int
    order_out: tuple[int, ...]


@lru_cache(maxsize=1024)
def _plan(text: str) -> _Plan:
    s = parse_spec(text)
    both = [c for c in s.out if c in s.a and c in s.b]
    left = [c for c in s.out if c in s.a and c not in s.b]
    right = [c for c in s.out if c in s.b and c not in s.a]
    inner = [c for c in s.a if c in s.b and c not in s.out]
    sum_a = tuple(i for i, c in enumerate(s.a) if c not in s.b and c not in s.out)
    sum_b = tuple(i for i, c in enumerate(s.b) if c not in s.a and c not in s.out)
    a = [c for i, c in enumerate(s.a) if i not in sum_a]
    b = [c for i, c in enumerate(s.b) if i not in sum_b]
    made = [*both, *left, *right]
    return _Plan(
        sum_a, sum_b,
        tuple(a.index(c) for c in (*both, *left, *inner)),
        tuple(b.index(c) for c in (*both, *inner, *right)),
        len(both), len(left), len(inner),
        tuple(made.index(c) for c in s.out),
    )  # fmt: skip


def contract(text: str, a: Any, b: Any) -> Any:
    """The contraction in the arrays' dtype, as one matrix product."""
    p = _plan(text)
    a = np.sum(a, axis=p.sum_a, dtype=a.dtype) if p.sum_a else a
    b = np.sum(b, axis=p.sum_b, dtype=b.dtype) if p.sum_b else b
    a, b = np.transpose(a, p.order_a), np.transpose(b, p.order_b)
    many, left = a.shape[: p.both], a.shape[p.both : p.both + p.left]
    inner, right = a.shape[p.both + p.left :], b.shape[p.both + p.inner :]
    k = int(np.prod(inner, dtype=np.int64))
    m, n = int(np.prod(left, dtype=np.int64)), int(np.prod(right, dtype=np.int64))
    y = np.matmul(a.reshape((*many, m, k)), b.reshape((*many, k, n)))
    return np.transpose(y.reshape((*many, *left, *right)), p.order_out)


class Contract(Card):
    """`y[out] = sum of a[…] * b[…]` over the letters of `spec` that the result lacks, in ascending
    order.

    Summed in the result's dtype (`dtype`, else that of the operands); narrow floats are summed in
    f32 and rounded once. Integers wrap. A letter of one operand alone that the result lacks is
    summed first."""

    name, operands, attributes = "contract", ("a", "b"), ("spec", "dtype?")
    traits = frozenset({Trait.CONTRACTION})
    source = "einsum with two operands; ONNX MatMul-13 and Einsum-12 are made of it"

    def infer(self, site: Site) -> tuple[Type, ...]:
        a, b = site.tensor(0), site.tensor(1)
        spec = parse_spec(site.attr_str("spec"))
        if a.dtype != b.dtype or not a.dtype.is_number:
            raise CardError(f"`contract` of {a} and {b}")
        to = site.attr_dtype("dtype", a.dtype)
        if to.kind != a.dtype.kind:
            raise CardError(f"`contract` of {a.dtype} into {to}")
        size: dict[str, Dim] = {}
        for letters, t in ((spec.a, a), (spec.b, b)):
            if len(letters) != t.rank:
                raise CardError(f'`contract` "{spec}" of {a} and {b}')
            for c, d in zip(letters, t.shape, strict=True):
                if size.setdefault(c, d) != d:
                    raise CardError(f'`contract` "{spec}" of {a} and {b}: {c} is {size[c]} and {d}')
        return (TensorType(to, tuple(size[c] for c in spec.out)),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        to = run.op.result.tensor.dtype
        a, b = (_prepared(x, to) for x in args)
        if is_complex(a) or is_complex(b):
            a, b = a.astype(np.complex128), b.astype(np.complex128)
        return (finish(contract(run.op.attr_str("spec"), a, b), to)[()],)

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        (dy,), (a, b) = d, op.operands
        if dy is None:
            return
        s = parse_spec(op.attr_str("spec"))
        g.add(a, lambda: _back(g, dy, s.out, b, s.b, a, s.a))
        g.add(b, lambda: _back(g, dy, s.out, a, s.a, b, s.b))

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        s = parse_spec(op.attr_str("spec"))
        row = next(c for c in ascii_letters if c not in s.a + s.b)
        left, right = (row if isinstance(x, Rows) else "" for x in xs)
        spec = str(Spec(left + s.a, right + s.b, row + s.out))
        y = b.emit("contract", xs[0].value, xs[1].value, **{**op.attrs, "spec": spec})
        return (Rows(y),)


def _prepared(x: Any, to: DType) -> Any:
    """An operand in the dtype that is summed in."""
    return x if x.dtype == to.numpy and to.bits > 16 else widen(convert(x, to))


def _back(
    g: Gradient, dy: Value, out: str, other: Value, letters: str, x: Value, mine: str
) -> Value:
    """The cotangent of x: `dy` against the other operand, repeated along letters that x alone
    has."""
    wide, own = dy.tensor.dtype, x.tensor.dtype
    if other.tensor.dtype != wide:
        other = g.emit("convert", other, dtype=wide)
    found = "".join(c for c in mine if c in out or c in letters)
    dx = g.emit("contract", dy, other, spec=str(Spec(out, letters, found)))
    if own != wide:
        dx = g.emit("convert", dx, dtype=own)
    axes = [i for i, c in enumerate(mine) if c in found]
    return gt.spread(g, dx, x.tensor.shape, axes)


CARDS: tuple[Card, ...] = (Contract(),)
