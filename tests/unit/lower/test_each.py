"""`each` and `total` over every kind of structure, and tangents stored as rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from dlc import evaluate
from dlc.check import typed as T
from dlc.check.decls import AdtDecl, ConstructorDecl, DimDecl, FieldDecl, ModelDecl, ModelField
from dlc.ir.core import walk
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import F32, F64, I32, DType
from dlc.typesys.surface import (
    F32_SCALAR,
    Adt,
    Array,
    List,
    Model,
    Rows,
    Tangent,
    Tensor,
    Tuple,
    Type,
)

from .conftest import SPAN, function, lowered

V, D = Dim.sym("V"), Dim.sym("D")


def field(name: str, t: Type) -> ModelField:
    return ModelField(name, t, None, SPAN)


def dim(name: str) -> DimDecl:
    return DimDecl(name, False, None, SPAN)


CELL = ModelDecl(
    "m.Cell", (dim("D"),), (field("w", Tensor(F32, (D, D))), field("n", Tensor(I32))), SPAN
)
NET = ModelDecl(
    "m.Net",
    (dim("V"), dim("D")),
    (
        field("emb", Tensor(F32, (V, D))),
        field("cell", Model("m.Cell", (D,))),
        field("cells", Array(Model("m.Cell", (D,)), Dim.const(2))),
    ),
    SPAN,
)
MODELS = {"m.Cell": CELL, "m.Net": NET}
MODEL = Model("m.Net", (V, D))


def scalars(count: int, body: Callable[[list[T.Expr]], T.Expr], d: DType = F32) -> T.Lambda:
    locals_ = tuple(T.Local(f"p{i}", 100 + i) for i in range(count))
    types = (Tensor(d),) * count
    reads: list[T.Expr] = [T.Read(x, type=Tensor(d), span=SPAN) for x in locals_]
    return T.Lambda(locals_, types, (), body(reads), span=SPAN)


def op(name: str, *args: T.Expr) -> T.Elementwise:
    return T.Elementwise(name, args, type=args[0].type, span=SPAN)


def minus_half(xs: list[T.Expr]) -> T.Expr:
    half = T.Literal(0.5, type=F32_SCALAR, span=SPAN)
    return op("sub", xs[0], op("mul", half, xs[1]))


def each(
    params: Sequence[Type], body: Callable[[list[T.Expr]], T.Expr], result: Type, **program
) -> Callable[..., tuple]:
    n = len(params)
    functions = (((F32,) * n, scalars(n, body)),)
    f = function(
        "f", params, result, lambda xs: T.EachCall(functions, tuple(xs), type=result, span=SPAN)
    )
    module = lowered(f, **program)

    def run(*args, **dims):
        return evaluate.run(module, "f", args, dims or None)

    run.module = module
    return run


def total(params: Sequence[Type], body: Callable[[list[T.Expr]], T.Expr], **program):
    n = len(params)
    functions = (((F32,) * n, scalars(n, body)),)
    f = function(
        "f",
        params,
        F32_SCALAR,
        lambda xs: T.TotalCall(functions, tuple(xs), type=F32_SCALAR, span=SPAN),
    )
    module = lowered(f, **program)
    return lambda *args, **dims: evaluate.run(module, "f", args, dims or None)[0]


def square(xs: list[T.Expr]) -> T.Expr:
    return op("mul", xs[0], xs[0])


def f32(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def network() -> list[np.ndarray]:
    return [f32(3, 2), f32(2, 2), np.int32(7), f32(2, 2, 2), np.array([1, 2], np.int32)]


def test_a_record_leaf_by_leaf():
    run = each([MODEL, Tangent(MODEL)], minus_half, MODEL, models=MODELS)
    m = network()
    g = [f32(3, 2) + 1, f32(2, 2) + 1, f32(2, 2, 2) + 1]
    out = run(*m, *g)
    np.testing.assert_allclose(out[0], m[0] - 0.5 * g[0])
    np.testing.assert_allclose(out[1], m[1] - 0.5 * g[1])
    np.testing.assert_allclose(out[3], m[3] - 0.5 * g[2])
    assert out[2] == 7 and list(out[4]) == [1, 2]
    names = {o.name for o in walk(run.module.functions["f"].body)}
    assert names == {"const", "broadcast", "mul", "sub", "return"}


def test_the_sum_over_a_record():
    m = network()
    want = sum((x.astype(np.float64) ** 2).sum() for x in (m[0], m[1], m[3]))
    run = total([MODEL], square, models=MODELS)
    np.testing.assert_allclose(run(*m), want, rtol=1e-5)


def test_rows_are_visited_only():
    g = Tangent(MODEL, ("emb",))
    run = each([MODEL, g], minus_half, MODEL, models=MODELS)
    m = network()
    row = np.array([4.0, 8.0], np.float32)
    out = run(*m, [(2, row)], f32(2, 2), f32(2, 2, 2))
    want = m[0].copy()
    want[2] -= 0.5 * row
    np.testing.assert_allclose(out[0], want)


def test_rows_stay_rows_where_the_first_operand_has_them():
    g = Rows(F32, V, D)
    row = np.array([1.0, 3.0], np.float32)
    run = each([g], square, g)
    (out,) = run([(1, row), (0, row + 1)], V=3)
    assert [(int(i), list(v)) for i, v in out] == [(1, [1.0, 9.0]), (0, [4.0, 16.0])]
    assert total([g], square)([(1, row), (0, row + 1)], V=3) == 1 + 9 + 4 + 16


def test_two_operands_stored_as_rows_visit_the_rows_of_both():
    g = Rows(F32, V, D)
    table = Tensor(F32, (V, D))

    def add(xs):
        return op("add", op("add", xs[0], xs[1]), xs[2])

    run = each([table, g, g], add, table)
    one = np.ones(2, np.float32)
    (out,) = run(np.zeros((4, 2), np.float32), [(1, one), (2, one)], [(3, one), (2, 4 * one)])
    assert out[:, 0].tolist() == [0.0, 1.0, 5.0, 1.0]
    run = each([g, g], lambda xs: op("sub", xs[0], xs[1]), g)
    (out,) = run([(2, one)], [(0, one), (2, 4 * one)], V=4)
    assert [(int(i), v[0]) for i, v in out] == [(2, -3.0), (0, -1.0)]


def test_a_row_number_from_outside_is_checked():
    table = Tensor(F32, (V, D))
    run = each([table, Rows(F32, V, D)], minus_half, table)
    with pytest.raises(evaluate.RunError, match="row number"):
        run(f32(3, 2), [(3, np.zeros(2, np.float32))])


def test_densify_adds_up():
    g = Rows(F32, V, D)
    dense = Tensor(F32, (V, D))
    f = function("f", [g], dense, lambda xs: T.Densify(xs[0], type=dense, span=SPAN))
    one = np.ones(2, np.float32)
    (out,) = evaluate.run(lowered(f), "f", [[(1, one), (1, one)]], {"V": 3})
    assert out.tolist() == [[0, 0], [2, 2], [0, 0]]


def test_a_list():
    t = List(Tuple((Tensor(F32, (D,)), Tensor(I32))))
    run = each([t, Tangent(t)], minus_half, t)
    x, d = f32(2), f32(2) + 3
    (out,) = run([(x, 5), (d, 6)], [d, x])
    np.testing.assert_allclose(out[0][0], x - 0.5 * d)
    np.testing.assert_allclose(out[1][0], d - 0.5 * x)
    assert [int(n) for _, n in out] == [5, 6]
    with pytest.raises(evaluate.RunError, match="different structure"):
        run([(x, 5)], [d, x])


TREE = AdtDecl(
    "m.Tree",
    (dim("D"),),
    (
        ConstructorDecl("Leaf", (FieldDecl("x", Tensor(F32, (D,)), SPAN),), SPAN),
        ConstructorDecl(
            "Node",
            (
                FieldDecl("n", Tensor(I32), SPAN),
                FieldDecl("sub", List(Adt("m.Tree", (D,))), SPAN),
            ),
            SPAN,
        ),
    ),
    SPAN,
)


def leaf(*x: float) -> tuple:
    return ("Leaf", np.array(x, np.float32))


def test_an_algebraic_value():
    t = Adt("m.Tree", (D,))
    adts = {"m.Tree": TREE}
    run = each([t, Tangent(t)], minus_half, t, adts=adts)
    x = ("Node", 3, [leaf(1.0), ("Node", 4, [leaf(2.0)]), leaf(5.0)])
    d = ("Node", [leaf(2.0), ("d.Zero",), leaf(4.0)])
    (out,) = run(x, d, D=1)
    shown = evaluate.to_python(out)
    assert shown[0] == "Node" and shown[1] == 3
    first, second, third = shown[2]
    assert float(first[1][0]) == 0.0 and float(third[1][0]) == 3.0
    assert second[1] == 4 and float(second[2][0][1][0]) == 2.0
    assert total([t], square, adts=adts)(x, D=1) == 1 + 4 + 25


def test_a_choice_in_the_function_becomes_a_map():
    t = Tensor(F64, (D,))
    zero = T.Literal(0.0, type=Tensor(F64), span=SPAN)

    def pick(xs):
        c = T.Elementwise("gt", (xs[0], zero), type=Tensor(F64), span=SPAN)
        return T.IfElse(c, op("mul", xs[0], xs[0]), zero, type=Tensor(F64), span=SPAN)

    functions = (((F64,), scalars(1, pick, F64)),)
    f = function("f", [t], t, lambda xs: T.EachCall(functions, tuple(xs), type=t, span=SPAN))
    module = lowered(f)
    assert any(o.name == "map" for o in walk(module.functions["f"].body))
    assert evaluate.run(module, "f", [np.array([-1.0, 3.0])])[0].tolist() == [0.0, 9.0]
