"""The builder: inferred types, hidden sizes found by it, refusals of what doesn't fit."""

from __future__ import annotations

import numpy as np
import pytest

from dlc.evaluate import run
from dlc.ir.core import AdtDecl, Constructor, Field, Loc, Module, Signature
from dlc.ir.printer import print_module
from dlc.ops.build import Builder, BuildError, DimNames
from dlc.ops.verify import verify
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import BF16, BOOL, F32, I32, I64
from dlc.typesys.types import SCALAR_BOOL, SCALAR_I32, AdtType, ListType, TensorType, tensor

N = Dim.sym("N")
X = tensor(F32, "N")
BAG = AdtDecl("Bag", ("D",), (Constructor("B", (Field("x", tensor(F32, "n", "D")),), ("n",)),))


def builder(*params: TensorType) -> Builder:
    return Builder({"Bag": BAG}, DimNames(("N",))).nested(params)


def module(b: Builder, *results: object, **more: object) -> Module:
    fn = b.function("f", ("N",), b.return_(*results), **more)  # type: ignore[arg-type]
    return verify(Module.of({"Bag": BAG}, {"f": fn}))


def test_constants() -> None:
    b = builder()
    made = [b.scalar(2, F32), b.scalar(1, BOOL), b.scalar(3.0, I64), b.full(0.5, X), b.dim(N + 1),
            b.dim(4, I64), b.array(np.eye(2), BF16), b.full(True, tensor(BOOL))]  # fmt: skip
    m = module(b, *made)
    got = run(m, "f", [], {"N": 3})
    assert [str(np.asarray(y).dtype) for y in got] == [
        "float32", "bool", "int64", "float32", "int32", "int64", "bfloat16", "bool",
    ]  # fmt: skip
    assert got[3].tolist() == [0.5] * 3 and int(got[4]) == 4


def test_a_refusal_names_the_operation() -> None:
    b = builder(X, SCALAR_I32)
    x, i = b.params
    with pytest.raises(BuildError, match=r"`add` .*one shape.*\[op add\]"):
        b.emit("add", x, i)
    with pytest.raises(BuildError, match="`slice` lacks its attribute `axis`"):
        b.emit("slice", x, i, size=2)
    with pytest.raises(BuildError, match="degree"):
        large = builder(tensor(F32, N**9, N**8))
        large.emit("reshape", *large.params, shape=(N,))
    with pytest.raises(BuildError, match="has no constructors"):
        b.case(x, "B")
    assert not b.ops, "what is refused is not emitted"


def test_locations_and_names() -> None:
    b = builder(X)
    b.loc = Loc("a.dl", 3, 7)
    y = b.emit("exp", b.params[0]).suggest("y")
    assert y.suggest("z").hint == "y"
    text = print_module(module(b, y))
    assert "%y = exp %v : f32[N] !0:3:7" in text


def test_branches_of_different_sizes_get_a_new_dim() -> None:
    b = builder(X, SCALAR_BOOL)
    x, c = b.params
    then, other = b.nested(), b.nested()
    mask = then.emit("gt", x, then.full(0, X))
    (at,) = then.emit_many("nonzero_indices", mask)
    few = then.emit("take", x, at, in_bounds=True)
    y, i, same = b.if_(c, then.yield_(few, at, x), other.yield_(x, other.emit("iota", size=N), x))
    # Two results of one hidden size share it; what is the same on both sides stays.
    assert y.tensor.shape == i.tensor.shape and y.tensor.shape[0].name not in ("N", None)
    assert same.type == X
    n = b.dim(y.tensor.shape[0])
    m = module(b, n)
    assert int(run(m, "f", [np.array([1, -1, 2], np.float32), True])[0]) == 2
    assert int(run(m, "f", [np.array([1, -1, 2], np.float32), False])[0]) == 3


def test_a_size_from_inside_does_not_escape_a_single_case() -> None:
    t = AdtType("Bag", (N,))
    b = Builder({"Bag": BAG}, DimNames(("N",))).nested([t])
    case = b.case(b.params[0], "B", ["x"])
    (x,) = case.params
    assert x.hint == "x" and case.dims and x.tensor.shape == (Dim.sym(case.dims[0]), N)
    (y,) = b.match_(b.params[0], ["B"], [case.yield_(case.emit("exp", x))])
    assert y.tensor.shape[0].name not in case.dims
    v = b.variant(t, "B", [y], [y.tensor.shape[0]])
    m = module(b, v)
    (out,) = run(m, "f", [("B", np.zeros((4, 2), np.float32))])
    assert out.dims == (4,) and out.fields[0].shape == (4, 2)


def test_branches_that_differ_in_more_are_refused() -> None:
    b = builder(X, SCALAR_BOOL)
    x, c = b.params
    with pytest.raises(BuildError, match=r"yield f32\[N\] and bool"):
        b.if_(c, b.nested().yield_(x), b.nested().yield_(c))
    with pytest.raises(BuildError, match="yield 1 and 2 values"):
        b.if_(c, b.nested().yield_(x), b.nested().yield_(x, x))


def test_loops_carry_hidden_sizes() -> None:
    b = builder(X, SCALAR_I32)
    x, n = b.params
    k = b.names.fresh("k")
    body = b.nested([SCALAR_I32, tensor(F32, k)], ["i", "h"], (k,))
    grown = body.emit("concat", body.params[1], body.params[1], axis=0)
    (y,) = b.for_(b.scalar(0, I32), n, [x], body.yield_(grown), init_dims=[N])
    size = b.dim(y.tensor.shape[0])
    m = module(b, size)
    assert int(run(m, "f", [np.zeros(3, np.float32), 4])[0]) == 48
    with pytest.raises(BuildError, match="1 hidden dims, 0 first values"):
        b.for_(n, n, [x], body.yield_(grown))
    lost = b.nested([SCALAR_I32], (), ("q",))
    with pytest.raises(BuildError, match="determines q"):
        b.for_(n, n, [], lost.yield_(), init_dims=[N])


def test_calls_and_maps() -> None:
    b = builder(X)
    sig = Signature("g", ("D",), (tensor(F32, "D"),), (tensor(F32, "r", "D"), SCALAR_I32), ("r",))
    y, n = b.call(sig, b.params, [N], hints=["y"])
    assert y.tensor.shape[1] == N and y.tensor.shape[0].name == "r" and y.hint == "y"
    again, _ = b.call(sig, b.params, [N])
    assert again.tensor.shape[0] != y.tensor.shape[0], "every call has sizes of its own"
    body = b.map_body((N,), [b.params[0]], indexed=True, hints=["i", "e"])
    assert [v.type for v in body.params] == [SCALAR_I32, tensor(F32)]
    (z,) = b.map_((N,), b.params, body.yield_(body.emit("exp", body.params[1])))
    assert z.type == X and n.type == SCALAR_I32


def test_lists_of_hidden_sizes_join() -> None:
    from dlc.ir.hidden import HiddenDimError, join_types, solve_dims

    a, b = ListType((tensor(F32, "p"), SCALAR_I32)), ListType((tensor(F32, "q"), SCALAR_I32))
    types, names, values = join_types([[a], [b]], iter(["k", "k_1"]).__next__)
    assert str(types[0]) == "List[f32[k], i32]" and names == ("k",)
    assert [str(v[0]) for v in values] == ["p", "q"]
    assert solve_dims(["k"], types, [a]) == (Dim.sym("p"),)
    with pytest.raises(HiddenDimError):
        solve_dims(["k"], [tensor(F32, "2*k")], [tensor(F32, 4)])
    with pytest.raises(HiddenDimError):
        join_types([[a], [X]], lambda: "k")


def test_fresh_names() -> None:
    names = DimNames(("k", "k_2"))
    assert [names.fresh("k") for _ in range(3)] == ["k_1", "k_3", "k_4"]
    names.take("n")
    assert names.fresh("n") == "n_1" and names.fresh("m") == "m"
