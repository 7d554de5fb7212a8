"""Where a list may take its register's old storage, and where it may not."""

from __future__ import annotations

import numpy as np
import pytest

from dlc.evaluate.arguments import Arguments, to_python
from dlc.ir.reader import read_module
from dlc.memory.bufferise import bufferise
from dlc.memory.form import BFunction, ListCopy, ListNew
from dlc.memory.frame import statements
from dlc.memory.interpret import interpret
from dlc.memory.print import print_module
from dlc.memory.read import read_module as read_form
from dlc.memory.reuse import GROWS
from dlc.memory.verify import verify

AGAIN = """
fn @main(%n: i32, %m: i32) -> (List[i32]) {entry=true} {
  %o = const {value=0} : i32
  %l = list_new : List[i32]
  %a = list_push %l, %m : List[i32]
  %r = for %o, %n, %a
    (%i: i32, %xs: List[i32]) {
      %k = list_len %xs : i32
      %e = list_new : List[i32]
      %ys = for %o, %k, %e
        (%j: i32, %zs: List[i32]) {
          %x = list_get %xs, %j : i32
          %y = add %x, %i : i32
          %ws = list_push %zs, %y : List[i32]
          yield %ws
        } : List[i32]
      %vs = list_push %ys, %i : List[i32]
      yield %vs
    } : List[i32]
  return %r
}"""

INSIDE = """
fn @main(%n: i32) -> (List[List[i32]]) {entry=true} {
  %o = const {value=0} : i32
  %l = list_new : List[List[i32]]
  %r = for %o, %n, %l
    (%i: i32, %xs: List[List[i32]]) {
      %e = list_new : List[i32]
      %ys = list_push %e, %i : List[i32]
      %vs = list_push %xs, %ys : List[List[i32]]
      yield %vs
    } : List[List[i32]]
  return %r
}"""

CALLED = """
fn @same(%xs: List[i32]) -> (List[i32]) {
  return %xs
}
fn @main(%n: i32) -> (List[i32]) {entry=true} {
  %o = const {value=0} : i32
  %l = list_new : List[i32]
  %r = for %o, %n, %l
    (%i: i32, %xs: List[i32]) {
      %e = list_new : List[i32]
      %ys = list_push %e, %i : List[i32]
      %vs = call %ys {fn="same", dims=[]} : List[i32]
      yield %vs
    } : List[i32]
  return %r
}"""


def made(text: str) -> tuple[BFunction, list[bool]]:
    """The function `main`, and `reuse` of every list that is made in it, in order."""
    m = bufferise(read_module(text))
    verify(m)
    fn = m.functions["main"]
    lists = [s for s in statements(fn.body) if isinstance(s, (ListNew, ListCopy))]
    return fn, [s.reuse for s in lists]


def run(text: str, *args: int) -> tuple[object, int]:
    m = read_module(text)
    b = bufferise(m)
    values, env = Arguments(m.types).convert(m.functions["main"], [np.int32(a) for a in args], None)
    out = interpret(b, "main", values, env)
    result = to_python(out.results[0])
    return result, out.peak


def test_the_second_turn_takes_what_the_first_made() -> None:
    fn, reuse = made(AGAIN)
    assert any(reuse) and not reuse[0]
    assert not [r for _, r in fn.remarks if r == GROWS]
    want = [7]
    for i in range(6):
        want = [*(x + i for x in want), i]
    assert run(AGAIN, 6, 7)[0] == want
    assert run(AGAIN, 0, 7)[0] == [7]


def test_the_heap_grows_to_the_longest_list() -> None:
    _, one = run(AGAIN, 10, 1)
    _, more = run(AGAIN, 40, 1)
    # 50 elements: chunks of 4, 8, 16 and 32, in at most three lists.
    assert more <= 3 * (256 + 4 * (4 + 8 + 16 + 32) + 4 * 64) and one < more


@pytest.mark.parametrize("text", [INSIDE, CALLED])
def test_a_list_that_is_given_away_is_a_new_one(text: str) -> None:
    fn, reuse = made(text)
    assert not any(reuse)
    assert [r for _, r in fn.remarks if r == GROWS]


def test_values_of_lists_that_are_given_away() -> None:
    assert run(INSIDE, 3)[0] == [[0], [1], [2]]
    assert run(CALLED, 3)[0] == [2]


def test_it_is_in_the_text() -> None:
    text = print_module(bufferise(read_module(AGAIN)))
    assert "reuse true" in text
    assert print_module(read_form(text)) == text
