"""What is said of a call's need, against what the interpreter measures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.check.program import check_program
from dlc.diag import SourceFile
from dlc.evaluate.arguments import Arguments
from dlc.ir.reader import read_module
from dlc.lower.lowered import lower
from dlc.memory.bufferise import bufferise
from dlc.memory.cost import Bytes, Parts, Unbounded, calls_of, evaluator, no_parts, symbols
from dlc.memory.interpret import interpret
from dlc.memory.linear import linear_bounds
from dlc.memory.need import needs
from dlc.ops.card import RunError
from dlc.ops.values import AdtValue, ListValue
from dlc.typesys.dims import Dim
from tests.fuzz.memory_programs import program
from tests.unit.memory.programs import TREE, X
from tests.unit.memory.test_structure import TREELSTM, tree, weights


def measured(text: str, args: list[Any], fn: str = "main") -> tuple[str, int, int]:
    """(status, what is said, what is taken)."""
    m = read_module(text)
    return compared(m, args, fn, None)


def compared(m: Any, args: list[Any], fn: str, dims: Any) -> tuple[str, int, int]:
    b = bufferise(m)
    values, env = Arguments(m.types).convert(m.functions[fn], args, dims)
    known: dict[str, int] = dict(env)
    for i, (p, v) in enumerate(zip(m.functions[fn].params, values, strict=True)):
        name = p.hint or str(i)
        if isinstance(v, ListValue):
            known[f"len.{name}"] = len(v)
        elif isinstance(v, np.integer):
            known[f"arg.{name}"] = int(v)
    status, said = needs(b).evaluate(fn, known, values)
    return status, said, interpret(b, fn, values, env).peak


@pytest.mark.parametrize("leaves", [1, 2, 3, 7, 20])
def test_a_tree_is_exact(leaves: int) -> None:
    rng = np.random.default_rng(leaves)
    args = [*weights(rng), tree(rng, leaves)]
    status, said, taken = measured(TREELSTM, args, "logits")
    assert status == "exact" and said == taken


def test_the_arena_that_is_said_is_enough_and_no_less_is() -> None:
    rng = np.random.default_rng(5)
    m = read_module(TREELSTM)
    b = bufferise(m)
    values, env = Arguments(m.types).convert(
        m.functions["logits"], [*weights(rng), tree(rng, 6)], None
    )
    _, said = needs(b).evaluate("logits", env, values)
    given = interpret(b, "logits", values, env).given
    interpret(b, "logits", values, env, arena=said + given)
    for less in range(64, said, 64):
        with pytest.raises(RunError) as e:
            interpret(b, "logits", values, env, arena=said + given - less)
        assert e.value.status == "arena"


def test_a_comb_is_walked_without_recursion() -> None:
    m = read_module(TREELSTM)
    t = AdtValue("Leaf", (np.int32(1),))
    for _ in range(20_000):
        t = AdtValue("Node", (t, AdtValue("Leaf", (np.int32(2),))))
    found = needs(bufferise(m))
    env = {"V": 9, "D": 4, "H": 5, "C": 2}
    status, said = found.evaluate("logits", env, [None] * 6 + [t])
    _, small = found.evaluate("logits", env, [None] * 6 + [t.fields[0]])
    assert status == "exact" and said - small == said // 20_001


def count(t: Any) -> int:
    return 1 if t[0] == "Leaf" else 1 + count(t[1]) + count(t[2])


@pytest.mark.parametrize("leaves", [1, 2, 9, 30])
def test_the_number_of_nodes_gives_a_bound(leaves: int) -> None:
    m = read_module(TREELSTM)
    found = needs(bufferise(m))
    bound = linear_bounds(found)["logits"]
    assert not list(calls_of(bound)) and set(symbols(bound)) == {"H", "nodes.t"}
    rng = np.random.default_rng(leaves)
    for shape in (tree(rng, leaves), comb(leaves)):
        values, env = Arguments(m.types).convert(
            m.functions["logits"], [*weights(rng), shape], None
        )
        _, exact = found.evaluate("logits", env, values)
        parts = Parts(lambda p: "", lambda c: 0)
        said = evaluator(bound, {**env, "nodes.t": count(shape)})(parts)
        assert said >= exact
        if shape == comb(leaves):
            assert said <= 3 * exact


def comb(leaves: int) -> Any:
    t: Any = ("Leaf", 0)
    for _ in range(leaves - 1):
        t = ("Node", t, ("Leaf", 1))
    return t


LISTS = """
fn @main(%t: @T, %n: i32) -> (i32) {
  %l = list_new : List[f32, i32]
  %o = const {value=0} : i32
  %x = const {value=2.5} : f32
  %r = for %o, %n, %l
    (%i: i32, %a: List[f32, i32]) {
      %b = list_push %a, %x, %i : List[f32, i32]
      yield %b
    } : List[f32, i32]
  %k = list_len %r : i32
  return %k
}"""


@pytest.mark.parametrize("n", [0, 1, 4, 5, 100])
def test_a_list_with_a_known_number_of_elements(n: int) -> None:
    status, said, taken = measured(TREE + LISTS, [("Leaf", 1), np.int32(n)])
    assert status == "exact" and said == taken


GARBAGE = """
fn @main(%t: @T, %n: i32) -> (i32) {
  %o = const {value=0} : i32
  %s = for %o, %n, %o
    (%i: i32, %k: i32) {
      %l = variant %i {constructor="Leaf"} : @T
      %b = variant %t, %l {constructor="Node"} : @T
      %c = match %b {cases=["Node", "_"]}
        (%p: @T, %q: @T) {
          yield %i
        }
        () {
          yield %o
        } : i32
      %f = add %c, %k : i32
      yield %f
    } : i32
  return %s
}"""


@pytest.mark.parametrize("n", [0, 1, 1000])
def test_garbage_of_turns_is_given_back(n: int) -> None:
    status, said, taken = measured(TREE + GARBAGE, [("Leaf", 1), np.int32(n)])
    assert status == "exact" and said == taken == (128 if n else 0)


def test_straight_code_is_a_polynomial() -> None:
    text = """
fn @main[N](%x: f32[N], %y: f32[N]) -> (f32) {
  %a = contract %x, %y {spec="i,j->ij"} : f32[N, N]
  %b = contract %a, %y {spec="ij,j->i"} : f32[N]
  %s = contract %b, %x {spec="i,i->"} : f32
  return %s
}"""
    need = needs(bufferise(read_module(text))).of["main"]
    n = Dim.sym("N")
    assert need.status == "exact" and need.left == Bytes(Dim.const(0))
    assert need.peak == Bytes((4 * n * n + 63) // 64 * 64 + (4 * n + 63) // 64 * 64)


def test_branches_give_a_bound() -> None:
    text = """
fn @big[N](%x: f32[N]) -> (f32) {
  %a = contract %x, %x {spec="i,j->ij"} : f32[N, N]
  %s = reduce %a {kind="sum", axes=[0, 1]} : f32
  return %s
}
fn @main[N](%x: f32[N], %c: bool) -> (f32) {
  %r = if %c
    () {
      %s = call %x {fn="big", dims=[dim(N)]} : f32
      yield %s
    }
    () {
      %z = const {value=0.0} : f32
      yield %z
    } : f32
  return %r
}"""
    for c in (True, False):
        status, said, taken = measured(text, [X, np.bool_(c)])
        assert status == "bound" and said >= taken
        assert (said == taken) == c


def test_recursion_that_data_decides_has_no_bound() -> None:
    text = """
fn @down(%n: i32) -> (i32) {
  %o = const {value=0} : i32
  %one = const {value=1} : i32
  %c = gt %n, %o : bool
  %r = if %c
    () {
      %m = sub %n, %one : i32
      %q = call %m {fn="down", dims=[]} : i32
      yield %q
    }
    () {
      yield %o
    } : i32
  return %r
}"""
    found = needs(bufferise(read_module(text)))
    assert found.of["down"].status == "unbounded"
    with pytest.raises(Unbounded, match="does not go down"):
        found.evaluate("down", {"arg.n": 3}, [3])


def test_claims_about_random_programs_hold() -> None:
    exact = 0
    for seed in range(40):
        p = program(seed)
        try:
            status, said, taken = compared(p.module, p.args, "main", p.dims)
        except Unbounded:
            continue
        assert said == taken if status == "exact" else said >= taken, seed
        exact += status == "exact"
    assert exact


PHRASES = """
type Phrase = Word(x: f32) | Group(parts: List[Phrase])

fn value(p: Phrase, y: f32[D]) -> f32[D]:
    match p:
        Word(x):
            return y * x
        Group(parts):
            s = y
            for q in parts:
                s += tanh(value(q, y))
            return s

export fn main(p: Phrase, ps: List[Phrase], y: f32[D]) -> f32[D]:
    s = value(p, y)
    for q in ps:
        s += value(q, y)
    return s
"""


def test_elements_of_lists_count_with_the_largest() -> None:
    """The walk over the nodes takes the largest element of each list, so it is what is taken, and
    the bound by the number of nodes is more."""
    m = lower(check_program(SourceFile("phrases.dl", PHRASES))).module

    def group(*parts: AdtValue) -> AdtValue:
        return AdtValue("Group", (ListValue([(x,) for x in parts]),))

    word = AdtValue("Word", (np.float32(2),))
    deep = group(word, group(group(), group(word)))
    env = {"D": 5}
    for p, ps in ((word, []), (group(), [deep]), (deep, [word, deep, group()])):
        args = [p, ListValue([(x,) for x in ps]), np.ones(5, np.float32)]
        status, said, taken = compared(m, args, "main", None)
        assert status == "bound" and said == taken
        b = bufferise(m)
        nodes = {"nodes.p": size(p), "nodes.ps": sum(map(size, ps)), "len.ps": len(ps)}
        cost = linear_bounds(needs(b))["main"]
        assert evaluator(cost, {**env, **nodes})(no_parts()) >= said


MIXED = """
type P = Word(x: f32) | Pair(a: P, b: P) | Rated(how: Q, x: f32, p: P) | Group(parts: List[P])
type Q = One(n: i32) | Steps(ps: List[P], rest: Q)

fn value(p: P, y: f32[D]) -> f32[D]:
    match p:
        Word(x):
            return y * x
        Pair(a, b):
            return tanh(value(a, y)) + value(b, y)
        Rated(how, x, p):
            return value(p, y) * x
        Group(parts):
            s = y
            for q in parts:
                match q:
                    Pair(a, b):
                        s += tanh(value(a, y))
                    Rated(how, x, p):
                        s += value(p, y)
                    _:
                        s += y
            return s

export fn main(p: P, ps: List[P], y: f32[D]) -> f32[D]:
    s = value(p, y)
    for q in ps:
        match q:
            Pair(a, b):
                s += value(a, y)
            _:
                s += y
    return s
"""


def test_fields_of_elements_of_every_constructor() -> None:
    """A path through a list names fields of other constructors as well: numbers, lists, values of
    other types."""
    m = lower(check_program(SourceFile("mixed.dl", MIXED))).module

    def given(*parts: AdtValue) -> ListValue:
        return ListValue([(x,) for x in parts])

    def rated(how: AdtValue, p: AdtValue) -> AdtValue:
        return AdtValue("Rated", (how, np.float32(1), p))

    word, one = AdtValue("Word", (np.float32(2),)), AdtValue("One", (np.int32(1),))
    pair = AdtValue("Pair", (word, rated(one, word)))
    steps = AdtValue("Steps", (given(pair), one))
    both = given(word, rated(one, word), rated(steps, pair), AdtValue("Group", (given(),)), pair)
    group = AdtValue("Group", (both,))
    for p, ps in ((word, given()), (group, given()), (word, both), (group, given(group, pair))):
        status, said, taken = compared(m, [p, ps, np.ones(5, np.float32)], "main", None)
        assert status == "bound" and said >= taken


def test_a_part_of_a_part_is_no_other_part() -> None:
    """A tree and a tree within it, both visited, are visits that the number of nodes does not
    bound."""
    text = """
type Tree = Leaf(k: i32) | Node(a: Tree, b: Tree)

fn twice(t: Tree) -> Tree:
    match t:
        Leaf(k):
            return Leaf(k + 1)
        Node(a, b):
            match a:
                Leaf(k):
                    return Node(a, b)
                Node(c, d):
                    return Node(twice(a), twice({part}))

export fn main(t: Tree) -> i32:
    match twice(t):
        Leaf(k):
            return k
        Node(a, b):
            return 1
"""
    leaf = AdtValue("Leaf", (np.int32(0),))
    comb = leaf
    for _ in range(12):
        comb = AdtValue("Node", (comb, leaf))
    for part, bounded in (("c", False), ("b", True)):
        m = lower(check_program(SourceFile("t.dl", text.replace("{part}", part)))).module
        found = linear_bounds(needs(bufferise(m)))
        assert ("main" in found) is bounded
        _, said, taken = compared(m, [comb], "main", None)
        assert said >= taken
        if bounded:
            assert evaluator(found["main"], {"nodes.t": 25})(no_parts()) >= taken


def size(v: AdtValue) -> int:
    """The nodes of a phrase."""
    inner = v.fields[0] if v.constructor == "Group" else []
    return 1 + sum(size(x) for (x,) in inner)
