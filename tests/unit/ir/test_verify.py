"""Each structural rule, broken once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dlc.ir.core import Function, Module, Op, Region, Value, freeze_attrs
from dlc.ir.places import op_lines
from dlc.ir.printer import print_module
from dlc.ir.reader import read_module
from dlc.ir.verify import VerifyError
from dlc.ops.verify import problems, verify
from dlc.typesys.dtypes import F32
from dlc.typesys.types import tensor

TYPES = """
type @L = Nil | Cons(head: f32, tail: @L)
type @Bag[D] = Bag{n}(items: f32[n, D])
fn @callee[N](%a: f32[N], %b: i32) -> (f32[q]) def q {
  %zero = const {value=0} : i32
  %s = slice %a, %zero {axis=0, in_bounds=true, size=1} : f32[1]
  return %s {dims=[1]}
}
fn @loss[N](%p: f32[N], %i: i32) -> (f32) {
  %y = reduce %p {axes=[0], kind="sum"} : f32
  return %y
}
"""

HEAD = "fn @f[N](%x: f32[N], %c: bool, %i: i32, %l: @L, %bag: @Bag[N]) -> (f32[N]) {\n"


def broken(body: str, head: str = HEAD) -> str:
    """What the verifier says about a function with this body."""
    found = problems(read_module(TYPES + head + body + "}\n"))
    return "\n".join(map(str, found))


GOOD = """
  %y, %n = for %i, %i, %x, %i
    (%j: i32, %h: f32[N], %k: i32) {
      %e = exp %h : f32[N]
      yield %e, %j
    } : f32[N], i32
  %z = match %l {cases=["Cons", "_"]}
    (%head: f32, %tail: @L) {
      %b = broadcast %head {shape=[dim(N)]} : f32[N]
      yield %b
    }
    () {
      yield %y
    } : f32[N]
  %w = match %bag {cases=["Bag"]} def m
    (%items: f32[r, N]) def r {
      %flat = reshape %items {shape=[dim(r*N)]} : f32[N*r]
      yield %flat {dims=[dim(r*N)]}
    } : f32[m]
  %s, %g, %gi = value_and_grad %z, %i {dims=[dim(N)], fn="loss", wrt=[0, 0]} : f32, f32[N], f32[N]
  %r = map %z, %g {indexed=true, shape=[dim(N)]}
    (%mi: i32, %a: f32, %bb: f32) {
      %t = add %a, %bb : f32
      yield %t
    } : f32[N]
  return %r
"""


def test_a_good_function() -> None:
    assert broken(GOOD) == ""


def cases() -> list[tuple[str, str, str]]:
    """Name, body and expected words of every case in `broken.txt`."""
    text = (Path(__file__).parent / "broken.txt").read_text(encoding="utf-8")
    out: list[tuple[str, str, str]] = []
    for part in text.split("\n--- ")[1:]:
        title, _, body = part.partition("\n")
        name, _, words = title.partition(": ")
        out.append((name, body, words))
    return out


BAD = cases()


@pytest.mark.parametrize(("body", "words"), [c[1:] for c in BAD], ids=[c[0] for c in BAD])
def test_a_broken_rule_is_named(body: str, words: str) -> None:
    said = broken(body)
    assert re.search(words, said), said or "nothing"


def test_rules_that_text_cannot_break() -> None:
    """The reader refuses these before the verifier sees them."""
    x, y = Value(tensor(F32, 2), "x"), Value(tensor(F32, 2), "y")
    e = Op("exp", (x,), (y,))
    end = Op("return", (y,))

    def said(*ops: Op, params: tuple[Value, ...] = (x,)) -> str:
        fn = Function("f", (), params, (tensor(F32, 2),), Region((), ops))
        return "\n".join(map(str, problems(Module.of({}, {"f": fn}))))

    assert said(e, end) == ""
    assert "outside of the scope" in said(end)
    assert "outside of the scope" in said(e, end, params=())
    assert "defined twice" in said(e, e, end)
    assert "defined twice" in said(e, end, params=(x, x))
    named = Function("g", (), (x,), (tensor(F32, 2),), Region((), (e, end)))
    assert "listed as @f" in str(problems(Module.of({}, {"f": named}))[0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type @A = C(x: f32[n])", "the dim n is not declared"),
        ("type @A = C(x: @B)", "no type @B"),
        ("type @A = C | C", "two constructors"),
        ("type @A[n] = C{n}(x: f32[n])", "names a dim twice"),
    ],
)
def test_type_declarations(text: str, words: str) -> None:
    assert words in str(problems(read_module(text))[0])


def test_the_line_is_that_of_the_text() -> None:
    m = read_module(TYPES + HEAD + GOOD + "}\n")
    lines = print_module(m).split("\n")
    for op, line in op_lines(m).items():
        assert re.search(rf"(= |^ *){op.name}\b", lines[line - 1]), (op.name, line)
    found = problems(read_module(TYPES + HEAD + GOOD.replace("exp %h", "not %h") + "}\n"))
    assert len(found) == 1 and lines[found[0].line - 1].strip().startswith("%e = exp")
    assert str(found[0]).startswith(f"@f, line {found[0].line} not: `not` takes")


def test_verify_raises_with_the_stage() -> None:
    m = read_module(TYPES)
    assert verify(m) is m
    bad = read_module("fn @f(%x: f32) -> (f32) {\n  %y = not %x : f32\n  return %y\n}\n")
    with pytest.raises(VerifyError, match=r"(?s)broken.*line 2 not.*stage fold") as e:
        verify(bad, "fold")
    assert e.value.problems[0].op == "not" and freeze_attrs({}) == {}
