"""Text: what is printed reads back as the same bytes; what is no IR is refused with its place."""

from __future__ import annotations

import random

import ml_dtypes
import numpy as np
import pytest

from dlc.diag import InternalError
from dlc.ir.core import Attr, Function, Loc, Module, Op, Region, Value, freeze_attrs
from dlc.ir.printer import print_module
from dlc.ir.reader import ReadError, read_module
from dlc.ops.verify import problems
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import BF16, F32
from dlc.typesys.types import AdtType, ListType, tensor

ATTRS: dict[str, Attr] = {
    "a": True, "b": False, "c": 0, "d": -(2**63), "e": 0.1, "f": -0.0,
    "g": float("inf"),
    "h": float("-inf"), "i": 1e300, "j": 5e-324, "k": 3.0, "l": 'quote " back \\ line\n é ☃',
    "m": Dim.of("(4*H+N)//(2*M)-3"), "n": F32, "o": tensor(BF16, "N", 3), "p": (),
    "q": (1, (2.5, "x")),
    "r": ListType((tensor(F32), AdtType("T", (Dim.sym("N"),)))), "s": np.zeros((0, 3), np.float32),
    "t": np.array([[True], [False]]), "u": np.array(7, np.int8),
    "v": np.array([1.5, -np.inf, np.nan]),
    "w": np.array([0.1, -0.0], ml_dtypes.bfloat16), "x": np.array([255, 0], np.uint8),
    "y": np.array([-(2**63), 2**63 - 1]), "z": (Dim.of("inf"), Dim.of("nan")),
}  # fmt: skip


def test_attributes() -> None:
    op = Op("mark", (), (), freeze_attrs(ATTRS), (), (), Loc("a dir/b.dl", 3, 14))
    fn = Function("f", (), (), (), Region((), (op, Op("return"))), loc=Loc("x.dl", 1, 1))
    text = print_module(Module.of({}, {"f": fn}))
    again = read_module(text)
    assert print_module(again) == text
    back = again.functions["f"].body.ops[0]
    assert back.loc == op.loc and [*back.attrs] == sorted(ATTRS)
    for key, v in ATTRS.items():
        if isinstance(v, np.ndarray):
            w = back.attrs[key]
            assert isinstance(w, np.ndarray) and w.dtype == v.dtype and w.tobytes() == v.tobytes()
        else:
            assert repr(back.attrs[key]) == repr(v)


SAMPLE = """source 0 "s.dl"
type @Tree[D] = Leaf(x: f32[D]) | Node{n}(l: @Tree[D], r: List[@Tree[D], i32], v: f32[n]) | Nil

fn @f[D, N](%x: f32[D], %t: @Tree[D]) -> (f32[D], i32[h]) def h {note="a"} !0:1:2 {
  %y, %k = if %c def a, b
    () {
      %z = exp %x : f32[D]
      yield %z {dims=[dim(D), 1]}
    }
    () def q {
      loop {init_dims=[dim(2*N)]}
        (%go: bool, %p: f32[w, w+1]) def w {
          yield %go
        }
      yield %x
    } : f32[a], i32[b] !0:3:4
  return %y, %k
}
""".replace("%c", "%x")


def test_a_sample_reads_and_prints() -> None:
    text = print_module(read_module(SAMPLE))
    assert print_module(read_module(text)) == text
    assert "def a, b" in text and "() def q {" in text and "Node{n}(l: @Tree[D]" in text


def test_names_stay_and_clashes_are_numbered() -> None:
    a, b = Value(tensor(F32), "x"), Value(tensor(F32), "x")
    ops = (Op("exp", (a,), (b,)), Op("return", (b,)))
    fn = Function("f", (), (a,), (tensor(F32),), Region((), ops))
    text = print_module(Module.of({}, {"f": fn}))
    assert "%x_1 = exp %x" in text and print_module(read_module(text)) == text


def test_locations_can_be_left_out() -> None:
    text = print_module(read_module(SAMPLE), locations=False)
    assert "!" not in text and "source" not in text


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("fn @f() -> () {\n  %y = exp %x : f32\n  return\n}", 2, 12, "%x is used before"),
        ("fn @f(%x: f33) -> () { return }", 1, 11, "`f33` is no type"),
        ("fn @f(%x: f32, %x: f32) -> () { return }", 1, 23, "defined twice"),
        ("fn @f(%x: f32[2+]) -> () { return }", 1, 15, "not a dim"),
        ("fn @f() -> () { return", 1, 23, "the end"),
        ("fn @f() -> () { return }\nfn @f() -> () { return }", 2, 25, "defined twice"),
        ("type @T = A\ntype @T = B", 2, 12, "declared twice"),
        ("fn @f() -> () { a {x=array(f32, [2], [1.0])} return }", 1, 0, "array"),
        ("fn @f() -> () { a {x=array(f32, 2, 1.0)} return }", 1, 0, "array"),
        ("fn @f() -> () { a {x=array(i8, [1], [999])} return }", 1, 0, "array"),
        ("fn @f() -> () { a {x=foo(2)} return }", 1, 0, "begins no attribute"),
        ("fn @f() -> () { return !3:1:1 }", 1, 0, "source 3"),
        ("fn @f() -> () { return } $", 1, 26, "unexpected character"),
        ("fn @f() -> () { a {x=99999999999999999999.5e99999} return }", 1, 0, ""),
        ("fn @f() -> () { a {x=\"\\q\"} return }", 1, 0, "string"),
    ],
)  # fmt: skip
def test_refusals(text: str, line: int, column: int, words: str) -> None:
    if not words:
        read_module(text)
        return
    with pytest.raises(ReadError, match=words) as e:
        read_module(text)
    assert e.value.line == line and (not column or e.value.column == column), str(e.value)


def test_nesting_is_bounded() -> None:
    deep = "fn @f() -> () {" + "if () {" * 2000
    with pytest.raises(ReadError, match="nested"):
        read_module(deep)
    with pytest.raises(ReadError, match="nested"):
        read_module("fn @f() -> () { a {x=" + "[" * 5000 + "]}")
    with pytest.raises(ReadError, match="nested"):
        read_module("fn @f(%x: " + "List[" * 5000 + "f32) -> () { return }")
    with pytest.raises(ReadError):
        read_module("fn @f(%x: f32[" + "(" * 3000 + "1]) -> () { return }")


@pytest.mark.parametrize("seed", range(4))
def test_mutated_text_is_refused_in_words(seed: int) -> None:
    """The reader reads it or says where it is wrong, and the verifier doesn't crash."""
    rng = random.Random(seed)
    pieces = [
        "%x", "@f", "{", "}", "(", ")", "[", "]", ",", ":", "=", "def", "dim(", "3", "-", "//", '"',
        "yield", "match", "for", "f32", "List", "array(f32, ", "!0", "source", "nan", " ",
    ]  # fmt: skip
    read = 0
    for _ in range(400):
        text = SAMPLE
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(text))
            cut = at + rng.randrange(0, 4)
            text = text[:at] + rng.choice([*pieces, ""]) + text[cut:]
        try:
            m = read_module(text)
        except ReadError as e:
            assert e.line >= 1 and e.column >= 1
            continue
        read += 1
        try:
            problems(m)
        except InternalError as e:
            raise AssertionError(text) from e
    assert read
