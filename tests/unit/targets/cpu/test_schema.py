"""The numbering of tags and columns, and values as flat arrays and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.diag import CompileError
from dlc.evaluate import to_python
from dlc.evaluate.arguments import Arguments
from dlc.ir.core import Function, Region, Value
from dlc.ir.reader import read_module
from dlc.targets.cpu.schema import Schema, own_leaves
from dlc.targets.cpu.values import decode, encode, room_for
from dlc.typesys.dims import Dim
from dlc.typesys.types import AdtType, ListType, Type

TYPES = """
type @Leafy = A(x: f32) | B
type @T[D] = S{k}(i: i32[k], x: f32[D], y: f32[k, D]) | N(l: @T[D], xs: List[@T[D], i64, List[f32]],
e: @Leafy)
"""
T = AdtType("T", (Dim.sym("D"),))


@pytest.fixture
def schema() -> Schema:
    return Schema.of(read_module(TYPES).types)


def test_numbering(schema: Schema) -> None:
    assert [(s.type.name, s.constructor.name, s.tag, s.local_tag) for s in schema.shapes] == [
        ("Leafy", "A", 0, 0), ("Leafy", "B", 1, 1), ("T", "S", 2, 0), ("T", "N", 3, 1),
    ]  # fmt: skip
    described = [(x.dtype.name, str(x.size), x.varies) for x in schema.leaves]
    assert described == [
        ("f32", "1", False),  # A.x
        ("i64", "1", False),  # S.k
        ("i32", "k", True), ("f32", "D", False), ("f32", "D*k", True),
        ("i64", "1", False), ("f32", "1", False),  # the columns of N.xs
    ]  # fmt: skip


def convert(schema: Schema, t: Type, value: Any) -> Any:
    head = Function("f", ("D",), (Value(t, "t"),), (), Region((), ()))
    (v,), _ = Arguments(schema.types).convert(head, [value], {"D": 2})
    return v


def s(k: int) -> tuple[Any, ...]:
    ones = np.ones(2, np.float32)
    return ("S", np.arange(k, dtype=np.int32), ones * k, np.full((k, 2), 7, np.float32))


DEEP = ("N", s(1), [(s(0), np.int64(5), [1.5, 2.5]), (s(3), np.int64(6), [])], ("B",))
VALUES: list[tuple[Type, Any]] = [
    (T, s(0)),
    (T, DEEP),
    (T, ("N", DEEP, [(DEEP, np.int64(1), [0.5])], ("A", np.float32(9)))),
    (ListType((T,)), []),
    (ListType((T,)), [DEEP, s(2)]),
]


@pytest.mark.parametrize(("t", "value"), VALUES)
def test_there_and_back(schema: Schema, t: AdtType | ListType, value: Any) -> None:
    v = convert(schema, t, value)
    flat = encode(schema, t, v)
    again = decode(schema, t, flat, {"D": 2})
    assert repr(to_python(again)) == repr(to_python(v))


def test_consumption_order(schema: Schema) -> None:
    flat = encode(schema, T, convert(schema, T, DEEP))
    # The first child, the elements of the list, then the last field, then the node itself.
    assert flat.tags.tolist() == [2, 2, 2, 1, 3]
    # l; two elements, each with its tree and the length of its inner list; e.
    assert flat.children.tolist() == [0, 2, 1, 2, 2, 0, 3]
    assert flat.columns[1].tolist() == [1, 0, 3]
    assert flat.columns[2].tolist() == [0, 0, 1, 2] and flat.rows[2] == 4
    assert flat.rows[3] == 3 and len(flat.columns[3]) == 6
    assert flat.columns[5].tolist() == [5, 6] and flat.columns[6].tolist() == [1.5, 2.5]


def test_a_lists_own_columns_come_first(schema: Schema) -> None:
    t = ListType((T, ListType((T,))))
    items, leaves = own_leaves(t)
    assert leaves == () and items.has_children
    flat = encode(schema, t, convert(schema, t, [(s(1), [s(2), s(3)])]))
    assert flat.record.length == 1 and flat.record.root == -1
    assert flat.children.tolist() == [0, 2, 1, 2]


def test_room_counts_rows(schema: Schema) -> None:
    flat = room_for(schema, T, {"D": 3}, 10)
    assert [len(c) for c in flat.columns] == [10, 10, 10, 30, 10, 10, 10]
    assert flat.rows.tolist() == [10] * 7


def test_types_that_cannot_cross() -> None:
    texts = (
        "type @B[D] = B(x: f32[D])\ntype @A[D] = A(l: @B[D], r: @B[2*D])\n",
        "type @B[D] = B(x: f32[D])\ntype @A[D] = A{k}(i: i32[k], r: @B[k])\n",
        "type @A[D] = Leaf(x: f32[D]) | A(l: @A[D + 1])\n",
    )
    for text in texts:
        schema = Schema.of(read_module(text).types)
        with pytest.raises(CompileError) as e:
            schema.bindings(AdtType("A", (Dim.sym("N"),)))
        (diagnostic,) = e.value.diagnostics
        assert diagnostic.code == "E0610"
        assert "@A[N] cannot be a parameter or result" in diagnostic.message
    fine = Schema.of(read_module("type @B[D] = B(x: f32[D])\ntype @A = A(r: @B[3])\n").types)
    assert fine.bindings(AdtType("A")) == {"A": (), "B": (Dim.const(3),)}
