"""What may be given where a number is wanted: one rule for parameters, lists, trees and options,
the same words from native code and from the evaluator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dlc.artifact.python.net import Net
from dlc.driver.python import compile

SOURCE = """
type Item[D] = Small(a: i8, b: u8) | Real(x: f32, h: f16) | Row(v: f32[D]) | Pair(l: Item[D],
    r: Item[D])

export fn one(x: f32) -> f32:
    return x
export fn whole(n: i64) -> i64:
    return n
export fn flag(b: bool) -> bool:
    return b
export fn ints(xs: List[i32]) -> List[i32]:
    return xs
export fn floats(xs: List[f32]) -> List[f32]:
    return xs
export fn flags(xs: List[bool]) -> List[bool]:
    return xs
export fn pairs(xs: List[(i32, f64)]) -> List[(i32, f64)]:
    return xs
export fn vectors(xs: List[f32[D]]) -> List[f32[D]]:
    return xs
export fn item(t: Item[D], v: f32[D]) -> Item[D]:
    return t
export fn option(x: Option[i32]) -> Option[i32]:
    return x
export fn vector(x: f32[N]) -> f32[N]:
    return x + x
export fn table(x: i32[N, M]) -> i32[N, M]:
    return x + x
"""

V = np.ones(2, np.float32)


@pytest.fixture(scope="module")
def nets() -> tuple[Net, Net]:
    return compile(SOURCE, "cpu", level=1), compile(SOURCE, "evaluate")


Call = Callable[[Net], Any]


def tree(net: Net, name: str, *fields: Any) -> Any:
    return net.item(getattr(net.types.Item, name)(*fields), V)


ACCEPTED: list[tuple[str, Call, Any]] = [
    ("int as float", lambda n: n.one(3), 3.0),
    ("numpy number", lambda n: n.one(np.float64(0.5)), 0.5),
    ("numpy whole number as float", lambda n: n.one(np.int8(-3)), -3.0),
    ("array without axes", lambda n: n.one(np.array(2.5)), 2.5),
    ("infinity", lambda n: n.one(float("inf")), np.inf),
    ("largest i64", lambda n: n.whole(2**63 - 1), 2**63 - 1),
    ("smallest i64", lambda n: n.whole(np.int64(-(2**63))), -(2**63)),
    ("numpy bool", lambda n: n.flag(np.True_), True),
    ("list of numpy numbers", lambda n: n.ints([np.int64(3), np.uint8(4)]), [3, 4]),
    ("list of one numpy type", lambda n: n.ints([np.int64(3), np.int64(-4)]), [3, -4]),
    ("arrays without axes", lambda n: n.ints([np.array(3), 4]), [3, 4]),
    ("array as a list", lambda n: n.ints(np.array([1, -2], np.int32)), [1, -2]),
    ("strided array as a list", lambda n: n.ints(np.arange(6, dtype=np.int32)[::2]), [0, 2, 4]),
    ("tuple as a list", lambda n: n.ints((1, 2)), [1, 2]),
    ("empty list", lambda n: n.ints([]), []),
    ("empty array as a list", lambda n: n.ints(np.empty(0, np.int32)), []),
    ("mixed floats", lambda n: n.floats([1, 2.5, np.float16(0.5)]), [1.0, 2.5, 0.5]),
    ("flags", lambda n: n.flags([True, np.False_]), [True, False]),
    ("pairs", lambda n: n.pairs([(1, 2), [np.int16(3), np.float32(0.5)]]), [(1, 2.0), (3, 0.5)]),
    ("option", lambda n: n.option(np.int8(3)), 3),
    ("no option", lambda n: n.option(None), None),
    ("nested numbers", lambda n: n.table([[1, np.int64(2)], (3, 4)]).tolist(), [[2, 4], [6, 8]]),
    ("rows of arrays", lambda n: n.table([np.array([1, 2], np.int32)]).tolist(), [[2, 4]]),
    ("columns", lambda n: n.table(np.arange(4, dtype=np.int32).reshape(2, 2).T).tolist(),
     [[0, 4], [2, 6]]),
    ("backwards", lambda n: n.vector(np.arange(3, dtype=np.float32)[::-1]).tolist(), [4, 2, 0]),
    ("misaligned", lambda n: n.vector(misaligned(3)).tolist(), [2, 2, 2]),
    ("read-only", lambda n: n.vector(read_only(3)).tolist(), [2, 2, 2]),
    ("repeated", lambda n: n.vector(np.broadcast_to(np.float32(1), 3)).tolist(), [2, 2, 2]),
    ("no rows", lambda n: n.table(np.empty((0, 3), np.int32)).shape, (0, 3)),
    ("a subclass", lambda n: n.table(np.array([[1, 2]], np.int32).view(Derived)).tolist(),
     [[2, 4]]),
]  # fmt: skip

REFUSED: list[tuple[str, Call, type[Exception], str]] = [
    ("bool as float", lambda n: n.one(True), TypeError, "`x` must be f32, not bool"),
    ("numpy bool as float", lambda n: n.one(np.True_), TypeError, "`x` must be f32, not bool"),
    ("text", lambda n: n.one("3"), TypeError, "`x` must be a number or an array, not str"),
    ("nothing", lambda n: n.one(None), TypeError, "`x` must be a number or an array, not None"),
    ("complex", lambda n: n.one(np.complex64(1)), TypeError, "`x` must be f32, not complex64"),
    ("a list", lambda n: n.one([1.0]), ValueError, "`x` must be one number, not an array"),
    ("too large", lambda n: n.one(1e300), ValueError, "`x` must be f32: 1e.300 is out of range"),
    ("huge", lambda n: n.one(10**400), ValueError, "`x` must be f32: a number is out of range"),
    ("masked", lambda n: n.one(np.ma.masked), TypeError, "`x` must be an array without a mask"),
    ("float as int", lambda n: n.whole(1.0), TypeError, "`n` must be i64, not float"),
    ("NaN as int", lambda n: n.whole(float("nan")), TypeError, "`n` must be i64, not float"),
    ("bool as int", lambda n: n.whole(True), TypeError, "`n` must be i64, not bool"),
    ("65 bits", lambda n: n.whole(2**63), ValueError, "9223372036854775808 is out of range"),
    ("unsigned 64", lambda n: n.whole(np.uint64(2**63)), ValueError, "is out of range"),
    ("int as bool", lambda n: n.flag(1), TypeError, "`b` must be bool, not int"),
    ("lists as numbers", lambda n: n.ints([[], []]), TypeError, "`xs` must hold i32, not list"),
    ("list as number", lambda n: n.ints([[1]]), TypeError, "`xs` must hold i32, not list"),
    ("array as number", lambda n: n.ints([np.array([1, 2])]), ValueError,
     r"`xs` must hold numbers, not an array of shape \(2,\)"),
    ("bools among ints", lambda n: n.ints([1, True]), TypeError, "`xs` must hold i32, not bool"),
    ("text in a list", lambda n: n.ints(["1", 2]), TypeError, "`xs` must hold i32, not str"),
    ("nothing in a list", lambda n: n.ints([1, None]), TypeError, "`xs` must hold i32, not None"),
    ("out of range", lambda n: n.ints([0, -(2**31) - 1]), ValueError,
     "`xs` must hold i32: -2147483649 is out of range"),
    ("numpy out of range", lambda n: n.ints([np.int64(2**31)]), ValueError, "is out of range"),
    ("huge int", lambda n: n.ints([2**100]), ValueError, "is out of range"),
    ("i64 array", lambda n: n.ints(np.array([1])), TypeError,
     "`xs` must be an array of i32, not of int64"),
    ("objects", lambda n: n.ints(np.array([1, 2], object)), TypeError, "not of object"),
    ("two axes", lambda n: n.ints(np.ones((2, 2), np.int32)), ValueError,
     r"`xs` must have one axis, not the shape \(2, 2\)"),
    ("no axis", lambda n: n.ints(np.array(3, np.int32)), ValueError, "must have one axis"),
    ("a number", lambda n: n.ints(3), TypeError, "`xs` must be a list, not an int"),
    ("byte order", lambda n: n.ints(np.array([1], ">i4")), TypeError,
     "not of int32 of the other byte order"),
    ("masked list", lambda n: n.floats(np.ma.array([1, 2], np.float32, mask=[0, 1])), TypeError,
     "without a mask"),
    ("float out of range", lambda n: n.floats([1e39]), ValueError, "`xs` must hold f32: 1e\\+39"),
    ("ints as bools", lambda n: n.flags([True, 1]), TypeError, "`xs` must hold bool, not int"),
    ("second column", lambda n: n.pairs([(1, True)]), TypeError, "`xs.1` must hold f64, not bool"),
    ("first column", lambda n: n.pairs([(1.5, 2)]), TypeError, "`xs.0` must hold i32, not float"),
    ("array in a pair", lambda n: n.pairs([(V, 2)]), ValueError, "`xs.0` must hold numbers"),
    ("three in a pair", lambda n: n.pairs([(1, 2, 3)]), TypeError, "must be a tuple of 2"),
    ("vectors that differ", lambda n: n.vectors([V, np.ones(3, np.float32)]), ValueError,
     r"`xs` holds arrays of the shapes \(2,\) and \(3,\)"),
    ("numbers as vectors", lambda n: n.vectors([1.0]), ValueError, "not an array of shape"),
    ("wide vectors", lambda n: n.vectors([np.ones(2)]), TypeError, "of f32, not of float64"),
    ("field: array", lambda n: tree(n, "Small", np.array([1, 2]), 0), ValueError,
     r"`t.Small.a` must hold numbers, not an array of shape \(2,\)"),
    ("field: list", lambda n: tree(n, "Small", 1, []), TypeError, "`t.Small.b` must hold u8"),
    ("field: bool", lambda n: tree(n, "Small", True, 0), TypeError, "`t.Small.a` must hold i8"),
    ("field: negative", lambda n: tree(n, "Small", 0, -1), ValueError, "u8: -1 is out of range"),
    ("field: large", lambda n: tree(n, "Small", 128, 0), ValueError, "i8: 128 is out of range"),
    ("field: half", lambda n: tree(n, "Real", 0.0, 70000), ValueError, "f16: 70000 is out of"),
    ("field: no vector", lambda n: tree(n, "Row", 1.0), ValueError, "must be f32"),
    ("field: long vector", lambda n: tree(n, "Row", np.ones(3, np.float32)), ValueError,
     "axis 0 is"),
    ("field: a number", lambda n: tree(n, "Pair", 1, 2), TypeError, "must be an Item, not an int"),
    ("option: array", lambda n: n.option(np.array([1])), ValueError, "must hold numbers"),
    ("option: float", lambda n: n.option(0.5), TypeError, "must hold i32, not float"),
    ("uneven rows", lambda n: n.table([[1, 2], [3]]), ValueError, "its rows differ in length"),
    ("uneven nesting", lambda n: n.table([[1], 2]), ValueError, "its rows differ in length"),
    ("bool in a row", lambda n: n.table([[1, True]]), TypeError, "`x` must hold i32, not bool"),
    ("rows of i64", lambda n: n.table([np.array([1])]), TypeError, "of i32, not of int64"),
    ("within itself", lambda n: n.table(endless()), ValueError, "`x` is nested too deep"),
    ("other byte order", lambda n: n.vector(np.ones(2, ">f4")), TypeError,
     "not of float32 of the other byte order"),
    ("masked array", lambda n: n.vector(np.ma.array([1, 2], np.float32, mask=[0, 1])), TypeError,
     "without a mask"),
    ("records", lambda n: n.vector(np.zeros(2, "f4,i4")), TypeError, "must be an array of f32"),
    ("too few axes", lambda n: n.table(np.ones(2, np.int32)), ValueError, "must have 2 axes"),
]  # fmt: skip


class Derived(np.ndarray[Any, Any]):
    pass


def misaligned(n: int) -> Any:
    x = np.zeros(4 * n + 1, np.uint8)[1:].view(np.float32)
    x[:] = 1
    assert not x.flags.aligned
    return x


def read_only(n: int) -> Any:
    x = np.ones(n, np.float32)
    x.flags.writeable = False
    return x


def endless() -> list[Any]:
    x: list[Any] = []
    x.append(x)
    return x


@pytest.mark.parametrize(("what", "call", "want"), ACCEPTED, ids=[c[0] for c in ACCEPTED])
def test_accepted(nets: tuple[Net, Net], what: str, call: Call, want: Any) -> None:
    for net in nets:
        got = call(net)
        assert got == want and type(got) is type(call(nets[0]))


@pytest.mark.parametrize(("what", "call", "kind", "words"), REFUSED, ids=[c[0] for c in REFUSED])
def test_refused(
    nets: tuple[Net, Net], what: str, call: Call, kind: type[Exception], words: str
) -> None:
    said: list[str] = []
    for net in nets:
        with pytest.raises(kind, match=words) as caught:
            call(net)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_every_constructor(nets: tuple[Net, Net]) -> None:
    for net in nets:
        t = net.types.Item
        small = t.Small(np.int64(-128), 255)
        value = t.Pair(t.Pair(small, t.Real(np.float64(0.5), 65504)), t.Row([1, 2.5]))
        got = net.item(value, V)
        assert (got.l.l.a, got.l.l.b, got.l.r.x, got.l.r.h) == (-128, 255, 0.5, 65504.0)
        assert got.r.v.tolist() == [1, 2.5]


def test_random_carriers(nets: tuple[Net, Net]) -> None:
    """The same list in every form gives the same, or the same words."""
    r = np.random.default_rng(7)
    forms: list[Callable[[Any], Any]] = [
        lambda a: a, lambda a: a.tolist(), lambda a: tuple(a.tolist()), list,
        lambda a: [np.asarray(x) for x in a], lambda a: a[::-1][::-1],
        lambda a: np.repeat(a, 2)[::2], lambda a: a.astype(np.int64).tolist(),
        lambda a: [x.item() if i % 2 else x for i, x in enumerate(a)],
    ]  # fmt: skip
    for _ in range(20):
        a = r.integers(-(2**31), 2**31, int(r.integers(0, 20))).astype(np.int32)
        for net in nets:
            for form in forms:
                assert net.ints(form(a)) == a.tolist()
