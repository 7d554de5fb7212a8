"""Level batching keeps values and gradients, whatever the recursion; and it keeps its hands off
what it may not touch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.autodiff.expand import differentiate
from dlc.evaluate import Limits, run
from dlc.ir.core import Module, walk
from dlc.ir.printer import print_module
from dlc.ir.reader import read_module
from dlc.ops.card import RunError
from dlc.ops.verify import verify
from dlc.passes.levels import batch_levels
from dlc.passes.pipeline import AFTER_AUTODIFF, BATCHING, BEFORE_AUTODIFF
from tests.laws.recursions import Recursion

SEEDS = range(14)


@pytest.fixture(name="seeds")
def _seeds(pytestconfig: pytest.Config) -> range:
    return range(50) if pytestconfig.getoption("--full") else SEEDS


def applied(m: Module, passes: Any) -> Module:
    for p in passes:
        m = p.run(m)
        verify(m, p.name)
    return m


def close(a: Any, b: Any) -> bool:
    return all(np.allclose(x, y, rtol=1e-9, atol=1e-10) for x, y in zip(a, b, strict=True))


def with_gradient(m: Module) -> Module:
    """`g`: the value of `f` and its gradients by all float parameters."""
    f = m.functions["f"]
    wrt = [i for i, p in enumerate(f.params) if not str(p.type).startswith("@")]
    params = ", ".join(f"%p{i}: {p.type}" for i, p in enumerate(f.params))
    args = ", ".join(f"%p{i}" for i in range(len(f.params)))
    types = ", ".join(["f64", *(str(f.params[i].type) for i in wrt)])
    outs = ", ".join(f"%g{i}" for i in range(len(wrt) + 1))
    return read_module(
        print_module(m)
        + f"""
fn @g[V, H]({params}) -> ({types}) {{entry=true, public=true}} {{
  {outs} = value_and_grad {args} {{dims=[dim(V), dim(H)], fn="f", wrt={wrt}}} : {types}
  return {outs}
}}
"""
    )


def is_recursive(m: Module) -> bool:
    """Whether a function that anybody calls still calls itself."""
    return any(
        op.name == "call" and op.attr_str("fn") == f.name
        for f in m.functions.values()
        for op in walk(f.body)
    )


@pytest.mark.parametrize("state", [False, True], ids=["up", "down and up"])
def test_random_recursions_and_their_gradients(seeds: range, state: bool) -> None:
    batched = 0
    for seed in seeds:
        r = Recursion(seed, state=state)
        m = with_gradient(r.module())
        verify(m, "source")
        m = applied(differentiate(applied(m, BEFORE_AUTODIFF)), AFTER_AUTODIFF)
        after = applied(m, BATCHING)
        batched += not is_recursive(after)
        for nodes in (1, 2, 7, 15):
            args = r.arguments(nodes)
            for name in ("f", "g"):
                want, got = run(m, name, args), run(after, name, args, limits=Limits(check=True))
                assert close(want, got), f"seed {seed}, {name}, {nodes} nodes"
    # Products on one side of which nothing is shared, and gradients that go both ways, may stay.
    assert batched > 0.6 * len(seeds), f"only {batched} of {len(seeds)}"


def test_a_result_given_to_a_sibling_stays_a_recursion() -> None:
    refused = 0
    for seed in range(12):
        r = Recursion(seed, state=True, loose="sibling")
        m = applied(r.module(), BEFORE_AUTODIFF)
        after = batch_levels(m)
        verify(after)
        args = r.arguments(9)
        assert close(run(m, "f", args), run(after, "f", args))
        if "recursion" in after.functions["rec"].attrs:
            refused += "another's result" in str(after.functions["rec"].attrs["recursion"])
    assert refused


TREE = 'source 0 "a.dl"\ntype @T = A(word: i32) | B(left: @T, right: @T)\n'
ENTRY = """
fn @f[H](%w: f64[H, H], %t: @T) -> (f64[H]) {entry=true, public=true} {
  %h = call %w, %t {dims=[dim(H)], fn="rec"} : f64[H]
  return %h
}
"""


def recursion(leaf: str, node: str, attrs: str = "") -> Module:
    return read_module(
        TREE
        + f"""
fn @rec[H](%w: f64[H, H], %t: @T) -> (f64[H]) {attrs} {{
  %h = match %t {{cases=["A", "B"]}}
    (%word: i32) {{
      {leaf}
      yield %leaf
    }}
    (%l: @T, %r: @T) {{
      {node}
      yield %node
    }} : f64[H]
  return %h
}}
"""
        + ENTRY
    )


LEAF = "%leaf = index %w, %word {in_bounds=true} : f64[H]"
LEFT = '%x = call %w, %l {dims=[dim(H)], fn="rec"} : f64[H]'
RIGHT = '%y = call %w, %r {dims=[dim(H)], fn="rec"} : f64[H]'
PRODUCT = """%a = contract %w, %x {spec="ak,k->a"} : f64[H]
      %b = tanh %a : f64[H]
      %node = add %b, %y : f64[H]"""
NODE = f"{LEFT}\n      {RIGHT}\n      {PRODUCT}"


def why(m: Module) -> str:
    after = batch_levels(verify(m))
    verify(after)
    return str(after.functions["rec"].attrs.get("recursion", "batched"))


def test_what_stays_a_recursion_says_why() -> None:
    assert why(recursion(LEAF, NODE)) == "batched"
    assert why(recursion(LEAF, NODE, '{batch="off"}')) == "batched"  # untouched: no reason given
    sums = f"{LEFT}\n      {RIGHT}\n      %node = add %x, %y : f64[H]"
    assert "all nodes share" in why(recursion(LEAF, sums))
    data = f"""{LEFT}
      %i = const {{value=0}} : i32
      %s = index %x, %i {{in_bounds=true}} : f64
      %zero = const {{value=0.0}} : f64
      %c = gt %s, %zero : bool
      %y = if %c
        () {{
          %y1 = call %w, %r {{dims=[dim(H)], fn="rec"}} : f64[H]
          yield %y1
        }}
        () {{
          yield %x
        }} : f64[H]
      {PRODUCT}"""
    assert "more than the structure" in why(recursion(LEAF, data))
    two = """%q = index %w, %word : f64[H] !0:1:1
      %i2 = neg %word : i32
      %p = index %w, %i2 : f64[H] !0:2:2
      %leaf = add %q, %p : f64[H]"""
    assert "order matters" in why(recursion(two, NODE))
    nested = f"""{LEFT}
      {RIGHT}
      %g = match %l {{cases=["A", "_"]}}
        (%word2: i32) {{
          yield %x
        }}
        () {{
          yield %y
        }} : f64[H]
      %a = contract %w, %g {{spec="ak,k->a"}} : f64[H]
      %node = add %a, %y : f64[H]"""
    assert "looks at a structure" in why(recursion(LEAF, nested))


def test_off_is_off() -> None:
    m = recursion(LEAF, NODE, '{batch="off"}')
    assert is_recursive(applied(m, BATCHING))
    assert not is_recursive(applied(recursion(LEAF, NODE), BATCHING))


def test_off_holds_for_the_gradient_too() -> None:
    m = with_gradient(Recursion(3, state=False).module())
    text = print_module(m).replace(
        "-> (f64[H], f64[H]) {", '-> (f64[H], f64[H]) {batch="off"} {', 1
    )
    for source, recursive in ((m, False), (read_module(text), True)):
        now = applied(differentiate(applied(source, BEFORE_AUTODIFF)), AFTER_AUTODIFF)
        assert is_recursive(applied(now, BATCHING)) == recursive


def test_a_failure_is_the_same_failure() -> None:
    """One place that may fail: the same place, the same index, whatever the order of nodes."""
    m = recursion("%leaf = index %w, %word : f64[H]", NODE)
    after = applied(m, BATCHING)
    assert not is_recursive(after)
    w = np.eye(3)
    t = ("B", ("B", ("A", 1), ("A", 7)), ("B", ("A", -2), ("A", 0)))
    found: list[tuple[str, int, int]] = []
    for x in (m, after):
        with pytest.raises(RunError) as e:
            run(x, "f", [w, t])
        found.append((e.value.status, e.value.got, e.value.want))
    assert found[0] == found[1]


def test_a_part_visited_twice_has_two_rows() -> None:
    twice = f"{LEFT}\n      {RIGHT.replace('%r', '%l')}\n      {PRODUCT}"
    m = recursion(LEAF, twice)
    after = applied(m, BATCHING)
    assert not is_recursive(after)
    t = ("B", ("B", ("A", 1), ("A", 2)), ("B", ("A", 2), ("A", 0)))
    w = np.random.default_rng(3).normal(size=(3, 3))
    assert close(run(m, "f", [w, t]), run(after, "f", [w, t]))


def test_a_comb_of_thousands_of_nodes() -> None:
    m = recursion(LEAF, NODE)
    after = applied(m, BATCHING)
    t: Any = ("A", 0)
    for k in range(3000):
        t = ("B", t, ("A", k % 3))
    w = np.random.default_rng(4).normal(size=(3, 3)) / 4
    want = run(m, "f", [w, t], limits=Limits(depth=4000))
    assert close(want, run(after, "f", [w, t]))
