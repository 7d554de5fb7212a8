"""Einsum of any number of operands as two-operand contractions; products with sparse vectors."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.check import typed
from dlc.ir.core import Value
from dlc.lower.scope import Leaves, Scope
from dlc.ops.build import Builder
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DType


def lower_contract(s: Scope, e: typed.Contract) -> Leaves:
    assert isinstance(e.type, surface.Tensor)
    inputs, result = e.spec.split("->")
    values = [s.one(a) for a in e.args]
    return (einsum(s.b, inputs.split(","), result, values, e.type.concrete),)


def einsum(
    b: Builder, letters: Sequence[str], result: str, values: Sequence[Value], dtype: DType
) -> Value:
    """`result[…] = sum over the other letters of values[0][letters[0]] * values[1][letters[1]] * …`

    Operands are taken from left to right, and a letter is summed as soon as no later operand and
    not the result mentions it, so `"oij,i,j->o"` is two matrix-like products and never makes an
    array over all letters."""
    first, have = _once_each(b, values[0], letters[0])
    for i in range(1, len(values)):
        second, more = _once_each(b, values[i], letters[i])
        later = result + "".join(letters[i + 1 :])
        keep = "".join(c for c in dict.fromkeys(have + more) if c in later)
        if i == len(values) - 1:
            keep = result
        # A letter of one operand alone is summed before the product: fewer multiplications.
        first, have = _sum_alone(b, first, have, more + keep)
        second, more = _sum_alone(b, second, more, have + keep)
        if first.tensor.dtype != second.tensor.dtype:
            second = b.emit("convert", second, dtype=first.tensor.dtype)
        wide = dtype if dtype != first.tensor.dtype else None
        first = _contract(b, first, second, f"{have},{more}->{keep}", wide)
        have = keep
    return _arrange(b, first, have, result, dtype)


def _contract(b: Builder, x: Value, y: Value, spec: str, dtype: DType | None) -> Value:
    if dtype is None:
        return b.emit("contract", x, y, spec=spec)
    return b.emit("contract", x, y, spec=spec, dtype=dtype)


def _sum_alone(b: Builder, x: Value, letters: str, elsewhere: str) -> tuple[Value, str]:
    """Sums over the letters that nobody else mentions."""
    axes = tuple(i for i, c in enumerate(letters) if c not in elsewhere)
    if not axes:
        return x, letters
    kept = "".join(c for c in letters if c in elsewhere)
    return b.emit("reduce", x, kind="sum", axes=axes), kept


def _arrange(b: Builder, x: Value, have: str, result: str, dtype: DType) -> Value:
    """A single operand as the result: sums, then the order of axes."""
    x, have = _sum_alone(b, x, have, result)
    perm = tuple(have.index(c) for c in result)
    if perm != tuple(range(len(perm))):
        x = b.emit("transpose", x, perm=perm)
    return x if x.tensor.dtype == dtype else b.emit("convert", x, dtype=dtype)


def _once_each(b: Builder, x: Value, letters: str) -> tuple[Value, str]:
    """A letter that stands twice in one operand means its diagonal."""
    while len(set(letters)) < len(letters):
        c = next(c for c in letters if letters.count(c) > 1)
        i = letters.index(c)
        j = letters.index(c, i + 1)
        x = diagonal(b, x, i, j)
        letters = letters[:i] + letters[i + 1 : j] + c + letters[j + 1 :]
    return x, letters


def diagonal(b: Builder, x: Value, i: int, j: int) -> Value:
    """`y[…] = x[…]` where the indices of axes `i < j` are equal; axis `i` is dropped."""
    t = x.tensor
    order = [k for k in range(t.rank) if k != i]
    shape = tuple(t.shape[k] for k in order)
    at = order.index(j)
    count = b.emit("iota", size=t.shape[j])
    column = b.emit("reshape", count, shape=(t.shape[j], *[Dim.const(1)] * (len(shape) - at - 1)))
    idx = b.emit("broadcast", column, shape=shape)
    return b.emit("take_along", x, idx, axis=i, in_bounds=True)


def lower_sparse_product(s: Scope, e: typed.SparseProduct) -> Leaves:
    """`y[m] = sum over active n of matrix[m, n] * v[n]`: only the active columns are read."""
    matrix = s.one(e.matrix)
    indices, values = s.expr(e.vector)
    columns = s.b.emit("take", matrix, indices, axis=1, in_bounds=True)
    return (s.b.emit("contract", columns, values, spec="mk,k->m"),)
