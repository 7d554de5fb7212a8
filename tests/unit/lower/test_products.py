"""Einsum of any number of operands, against numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from dlc import evaluate
from dlc.check import typed as T
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import F64, I8, I32
from dlc.typesys.surface import Sparse, Tensor

from .conftest import SPAN, function, lowered

RNG = np.random.default_rng(3)
SIZES = dict(zip("bijklmn", (2, 3, 4, 5, 2, 3, 4), strict=True))


@pytest.mark.parametrize(
    "spec",
    [
        "ij,jk->ik", "ij,j->i", "i,i->", "i,j->ij", "bij,bjk->bik", "ij->ji", "ij->i", "ij->",
        "ii->i", "ii->", "iij->ij", "iji->j", "ij,jk,kl->il", "i,ij,j->", "oij,i,j->o", "ij,kl->ik",
        "ij,ij->ij", "iij,jk->ik", "i,i,i->i", "ij,jk,k->i", "i->i", "ij,jj->ij",
    ],
)  # fmt: skip
def test_einsum(spec):
    spec = spec.replace("o", "m")
    arrays = [RNG.standard_normal([SIZES[c] for c in s]) for s in spec.split("->")[0].split(",")]
    want = np.einsum(spec, *arrays)
    types = [Tensor(F64, tuple(map(Dim.const, a.shape))) for a in arrays]
    result = Tensor(F64, tuple(map(Dim.const, want.shape)))
    f = function("f", types, result, lambda xs: T.Contract(spec, tuple(xs), type=result, span=SPAN))
    module = lowered(f)
    np.testing.assert_allclose(evaluate.run(module, "f", arrays)[0], want, rtol=1e-12, atol=1e-12)


def test_no_product_runs_over_more_letters_than_it_must():
    n = Dim.sym("N")
    types = [Tensor(F64, (n, n)), Tensor(F64, (n, n)), Tensor(F64, (n,))]
    result = Tensor(F64, (n,))
    f = function(
        "f", types, result, lambda xs: T.Contract("ij,jk,k->i", tuple(xs), type=result, span=SPAN)
    )
    ops = lowered(f).functions["f"].body.ops
    assert max(v.tensor.rank for op in ops for v in op.results) <= 2


def test_products_of_bytes_are_wide():
    x = RNG.integers(-128, 128, (3, 40)).astype(np.int8)
    y = RNG.integers(-128, 128, (40,)).astype(np.int8)
    types = [Tensor(I8, (Dim.const(3), Dim.const(40))), Tensor(I8, (Dim.const(40),))]
    result = Tensor(I32, (Dim.const(3),))
    f = function(
        "f", types, result, lambda xs: T.Contract("ij,j->i", tuple(xs), type=result, span=SPAN)
    )
    (y2,) = evaluate.run(lowered(f), "f", [x, y])
    assert (y2 == x.astype(np.int32) @ y.astype(np.int32)).all()


def test_a_sparse_vector_reads_only_its_columns():
    w = RNG.standard_normal((3, 5))
    t = Tensor(F64, (Dim.const(3), Dim.const(5)))
    result = Tensor(F64, (Dim.const(3),))
    f = function(
        "f",
        [t, Sparse(F64, Dim.const(5))],
        result,
        lambda xs: T.SparseProduct(xs[0], xs[1], type=result, span=SPAN),
    )
    module = lowered(f)
    args = [w, np.array([1, 4], np.int32), np.array([2.0, -1.0])]
    np.testing.assert_allclose(evaluate.run(module, "f", args)[0], 2 * w[:, 1] - w[:, 4])
    assert "f.body" in module.functions
    with pytest.raises(evaluate.RunError):
        evaluate.run(module, "f", [w, np.array([1, 5], np.int32), np.array([2.0, -1.0])])
