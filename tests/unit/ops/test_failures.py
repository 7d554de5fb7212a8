"""What may fail fails with its status, at its place; what may not, doesn't say so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tests.laws.ops_makers  # noqa: F401
from dlc.evaluate import RunError, run
from dlc.ops.registry import CARDS
from dlc.typesys.dtypes import DTYPES, I64, DType
from dlc.typesys.types import ListType, TensorType, tensor
from tests.laws.ops_cases import MAKERS, Case, case, dtypes_of


def failing(name: str, *args: Any, **attrs: Any) -> RunError:
    """The error of one use of the operation on arrays."""
    arrays = [np.asarray(a) for a in args]
    types = [tensor(_dtype(a.dtype), *a.shape) for a in arrays]
    env = attrs.pop("env", {})
    c = Case(name, types, arrays, attrs, env=env)
    m = c.module()
    op = m.functions["f"].body.ops[0]
    assert CARDS[name].may_fail(op), f"{name} is said never to fail"
    with pytest.raises(RunError) as e:
        run(m, "f", arrays, env)
    return e.value


def _dtype(d: Any) -> DType:
    return next(t for t in DTYPES.values() if t.numpy == d)


X = np.zeros((3, 4), np.float32)


def i(n: int) -> Any:
    return np.int32(n)


@pytest.mark.parametrize(
    ("name", "args", "attrs"),
    [
        ("index", (X, i(3)), {}),
        ("index", (X, i(-1)), {}),
        ("index", (X, i(0), i(4)), {}),
        ("insert", (X, X[0], i(3)), {}),
        ("slice", (X, i(2)), {"axis": 0, "size": 2}),
        ("slice", (X, i(-1)), {"axis": 0, "size": 2}),
        ("slice", (X, i(1)), {"axis": 1, "size": 2, "step": 3}),
        ("slice", (X, i(4)), {"axis": 0, "size": 0}),
        ("insert_slice", (X, X[:2], i(2)), {"axis": 0}),
        ("take", (X, np.array([0, 3], np.int32)), {}),
        ("take", (X, np.array([0, -1], np.int64)), {"axis": 1}),
        ("take_along", (X, np.array([0, 4, 0], np.int32)), {"axis": 1}),
        ("add_along", (X, np.array([0, 4, 0], np.int32), X[:, 0]), {"axis": 1}),
        ("scatter_add", (X, np.array([3], np.int32), X[:1]), {}),
        ("scatter", (X, np.array([-1], np.int32), X[:1]), {}),
        ("scatter_max", (X, np.array([9], np.int32), X[:1]), {}),
        ("scatter_min", (X, np.array([9], np.int32), X[:1]), {}),
        ("top_k", (X,), {"axis": 1, "k": 5}),
        ("check_indices", (np.array([[1, 5]], np.int32),), {"bound": 5}),
        ("argmax", (X[:, :0],), {"axis": 1}),
        ("argmin", (X[:, :0],), {"axis": 1}),
    ],
)  # fmt: skip
def test_bounds(name: str, args: tuple[Any, ...], attrs: dict[str, Any]) -> None:
    assert failing(name, *args, **attrs).status == "bounds"


def test_division() -> None:
    for name in ("floordiv", "mod"):
        assert failing(name, i(3), i(0)).status == "div_zero"
        a, b = np.arange(4, dtype=np.int64), np.array([1, 2, 0, 3])
        assert failing(name, a, b).status == "div_zero"
        op = case(name, 0, DTYPES["f32"]).module().functions["f"].body.ops[0]
        assert not CARDS[name].may_fail(op), "float division doesn't fail"


def test_shapes() -> None:
    from dlc.typesys.dims import Dim

    n, m = Dim.sym("n"), Dim.sym("m")
    e = failing("check_dims", left=n, right=m, message="rows", env={"n": 3, "m": 4})
    assert (e.status, e.message, e.got, e.want) == ("shape", "rows", 3, 4)
    e = failing("reshape", X, shape=(n, Dim.const(2)), checked=True, env={"n": 3})
    assert (e.status, e.got, e.want) == ("shape", 12, 6)
    assert failing("as_dim", i(-2)).status == "shape"
    e = failing("list_fill", i(-1), X)
    assert e.status == "shape"


def test_structures() -> None:
    for starts in ([1, 3], [0, 2], [0, 3, 2, 3], [0]):
        s = np.array(starts, np.int32)
        assert failing("check_segments", s, items=3).status == "struct", starts
    e = failing("assert", np.bool_(False), message="no more")
    assert (e.status, e.message) == ("assert", "no more")


def test_lists() -> None:
    from dlc.evaluate import ListValue

    t = ListType((TensorType(I64),))
    for name, more in (("list_get", [i(1)]), ("list_set", [i(-1), np.int64(3)]), ("list_pop", [])):
        types: Any = [t, *(tensor(_dtype(np.asarray(a).dtype)) for a in more)]
        elements = [] if name == "list_pop" else [(np.int64(1),)]
        c = Case(name, types, [ListValue(elements), *more])
        with pytest.raises(RunError) as e:
            run(c.module(), "f", c.args)
        assert e.value.status == "bounds"


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_in_bounds_silences_the_check(name: str) -> None:
    """`in_bounds` is what makes a use harmless, wherever the attribute exists."""
    card = CARDS[name]
    if "in_bounds?" not in card.attributes:
        return
    for seed in range(4):
        c = case(name, seed, dtypes_of(name)[0])
        c.attrs["in_bounds"] = True
        assert not card.may_fail(c.module().functions["f"].body.ops[0])


def test_undefined_values_are_noticed() -> None:
    from dlc.diag import InternalError
    from dlc.ir.reader import read_module

    m = read_module(
        """
        fn @f(%c: bool, %x: f32) -> (f32) {
          %u = undef : f32
          %y = if %c
            () { yield %u }
            () { yield %x } : f32
          %z = exp %y : f32
          return %z
        }"""
    )
    assert run(m, "f", [False, 0.0])[0] == 1
    with pytest.raises(InternalError, match="undefined"):
        run(m, "f", [True, 0.0])
