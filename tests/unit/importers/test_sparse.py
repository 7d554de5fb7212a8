"""Sparse initialisers: products that stay sparse, everything else dense under a budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

from dlc.diag import CompileError
from dlc.importers.backend import call
from dlc.importers.model import import_onnx
from dlc.ir.core import walk
from dlc.ops.verify import verify
from tests.unit.importers.models import Shape, info, model, node

F = np.float32


def stored(name: str, dense_shape: Sequence[int], at: Any, values: Any) -> Any:
    """A sparse tensor: `at` are positions in row-major order, or one row of them for each axis."""
    v = numpy_helper.from_array(np.asarray(values), name)
    i = numpy_helper.from_array(np.asarray(at, np.int64), f"{name}_at")
    return helper.make_sparse_tensor(v, i, list(dense_shape))


def sparse_model(nodes: Sequence[Any], x: Shape, sparse: Any, **weights: Any) -> Any:
    m = model(nodes, [info("x", x)], [info("y", None)], weights)
    m.graph.sparse_initializer.append(sparse)
    return m


def names(net: Any) -> set[str]:
    return {op.name for op in walk(net.module.functions["main"].body)}


def matrix(r: Any, rows: int, columns: int, count: int) -> tuple[Any, Any, Any]:
    at = np.sort(r.choice(rows * columns, count, replace=False))
    values = r.standard_normal(count).astype(F)
    dense = np.zeros(rows * columns, F)
    dense[at] = values
    return at, values, dense.reshape(rows, columns)


FORMS = {
    # the nodes, the shape of x, its operand, and what numpy says with the dense matrix
    "right": ([node("MatMul", "x w", "y")], (3, 9), lambda x, w: x @ w),
    "right of many": ([node("MatMul", "x w", "y")], (2, 3, 9), lambda x, w: x @ w),
    "right of a vector": ([node("MatMul", "x w", "y")], (9,), lambda x, w: x @ w),
    "left": ([node("MatMul", "w x", "y")], (7, 4), lambda x, w: w @ x),
    "left of many": ([node("MatMul", "w x", "y")], (2, 7, 4), lambda x, w: w @ x),
    "left of a vector": ([node("MatMul", "w x", "y")], (7,), lambda x, w: w @ x),
    "gemm": ([node("Gemm", "x w b", "y", alpha=0.5)], (3, 9), lambda x, w: 0.5 * (x @ w) + 1),
    "gemm of the transpose": (
        [node("Gemm", "x w", "y", transB=1)], (3, 7), lambda x, w: x @ w.T,
    ),
    "gemm, both turned": (
        [node("Gemm", "w x", "y", transA=1, transB=1)], (4, 9), lambda x, w: w.T @ x.T,
    ),
}  # fmt: skip


@pytest.mark.parametrize("target", ["cpu", "evaluate"])
@pytest.mark.parametrize("form", FORMS)
def test_products_stay_sparse(form: str, target: str) -> None:
    nodes, shape, want = FORMS[form]
    r = np.random.default_rng(3)
    at, values, dense = matrix(r, 9, 7, 11)
    x = r.standard_normal(shape).astype(F)
    m = sparse_model(nodes, shape, stored("w", (9, 7), at, values), b=np.ones(1, F))
    net = import_onnx(m.SerializeToString())
    verify(net.module)
    assert "scatter_add" in names(net) and "contract" not in names(net)
    assert net.weights["m.w"].shape == (11,)
    (got,) = call(net, [x], target)
    np.testing.assert_allclose(got, want(x, dense), rtol=1e-5, atol=1e-6)


def test_with_a_symbolic_batch_and_positions_by_axis() -> None:
    r = np.random.default_rng(4)
    at, values, dense = matrix(r, 9, 7, 5)
    pairs = np.stack(np.divmod(at, 7), 1)
    m = sparse_model([node("MatMul", "x w", "y")], ["n", 9], stored("w", (9, 7), pairs, values))
    x = r.standard_normal((6, 9)).astype(F)
    (got,) = call(import_onnx(m.SerializeToString()), [x])
    np.testing.assert_allclose(got, x @ dense, rtol=1e-5, atol=1e-6)


def test_dense_where_it_is_not_a_product_or_not_sparse() -> None:
    r = np.random.default_rng(5)
    for count, op in ((11, "Add"), (40, "MatMul")):
        at, values, dense = matrix(r, 9, 7, count)
        shape = (9, 7) if op == "Add" else (2, 9)
        m = sparse_model([node(op, "x w", "y")], shape, stored("w", (9, 7), at, values))
        x = r.standard_normal(shape).astype(F)
        net = import_onnx(m.SerializeToString())
        assert "scatter_add" not in names(net)
        (got,) = call(net, [x])
        np.testing.assert_allclose(got, x + dense if op == "Add" else x @ dense, rtol=1e-5)


def test_a_place_that_is_stored_twice_counts_once() -> None:
    """Sums would count it twice, so it is dense: the last one stays."""
    m = sparse_model(
        [node("MatMul", "x w", "y")], (1, 9), stored("w", (9, 7), [3, 3], np.array([1, 2], F))
    )
    (got,) = call(import_onnx(m.SerializeToString()), [np.ones((1, 9), F)])
    assert got[0].tolist() == [0, 0, 0, 2, 0, 0, 0]


def test_a_matrix_that_would_not_fit_with_its_zeros() -> None:
    """2.4 * 10**9 bytes of zeros are never made."""
    rows, columns = 30_000, 20_000
    sparse = stored("w", (rows, columns), [0, rows * columns - 1], np.array([2, 3], F))
    x = np.zeros((1, rows), F)
    x[0, [0, -1]] = 5, 7
    m = sparse_model([node("MatMul", "x w", "y")], (1, rows), sparse)
    (got,) = call(import_onnx(m.SerializeToString()), [x])
    assert got[0, 0] == 10 and got[0, -1] == 21 and not got[0, 1:-1].any()
    m = sparse_model([node("Add", "x w", "y")], (rows, columns), sparse)
    with pytest.raises(CompileError) as caught:
        import_onnx(m.SerializeToString(), file="m.onnx")
    (found,) = caught.value.diagnostics
    assert found.code == "E0702" and "with its zeros" in found.message and found.helps


def test_the_program_in_dl_stays_sparse_too() -> None:
    import dlc
    from dlc.diag import SourceFile
    from dlc.driver.front import compile_source
    from dlc.importers.source.write import write

    r = np.random.default_rng(6)
    at, values, dense = matrix(r, 9, 7, 11)
    m = sparse_model([node("MatMul", "w x", "y")], (7, 4), stored("w", (9, 7), at, values))
    source = write(import_onnx(m.SerializeToString()), "m")
    assert "scatter_add(" in source.text
    made = compile_source(SourceFile("m.dl", source.text), weights=dict(source.weights))
    x = r.standard_normal((7, 4)).astype(F)
    np.testing.assert_allclose(dlc.load(made).main(x), dense @ x, rtol=1e-5, atol=1e-6)
