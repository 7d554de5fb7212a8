"""The arena that an entry says it needs: exactly what it takes where it says `exact`, and always
enough where it says `exact` or `bound`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.artifact.python.native import BOUND, EXACT, UNBOUNDED
from dlc.artifact.python.net import Net
from dlc.artifact.python.structures import Graph
from dlc.driver.options import Options
from dlc.driver.python import build
from dlc.targets.cpu.emit.context import STATUS
from tests.programs.arena_use import use
from tests.programs.samples_inputs import SAMPLES, F, floats

ROOT = __file__.rsplit("/tests/", 1)[0]
ARENA = STATUS.index("arena")


def net_of(source: str, bind: dict[str, int] | None = None) -> Net:
    """Code that fills frames and released heap with NaNs."""
    made = build(source, bind=bind, options=Options(level=1, poison=True))
    return Net(made.artifact, params=made.params, given=made.given)


def hold(net: Net, name: str, args: tuple[Any, ...]) -> int:
    """What is said of a call is true; the kind."""
    u = use(net, name, args)
    if u.kind == UNBOUNDED:
        return UNBOUNDED
    assert u.status == 0, (name, u)
    if u.kind == EXACT:
        assert u.said == u.taken, (name, u)
    assert u.said >= u.taken and u.said % 64 == 0, (name, u)
    if u.taken:
        less = use(net, name, args, u.taken - 64)
        assert less.status == ARENA, (name, u, less)
    return u.kind


@pytest.mark.parametrize("name", SAMPLES)
def test_samples(name: str) -> None:
    bind, sizes, entries = SAMPLES[name]
    net = net_of(f"{ROOT}/samples/{name}.dl", bind)
    if sizes:
        net.init(3, dims={k: v for k, v in sizes.items() if k not in bind})
    r = np.random.default_rng(23)
    for entry, inputs in entries.items():
        kinds = {hold(net, entry, inputs(net, r)) for _ in range(8)}
        assert len(kinds) == 1, entry


PROGRAMS = """
type Pack[D] = Full(xs: List[f32[D]], n: i32) | Empty
type Tree = Leaf(x: f32) | Node(left: Tree, right: Tree)

export fn copies(xs: List[f32[D]], x: f32[D]) -> List[f32[D]]:
    ys = xs
    push(mut ys, x)
    return ys

export fn firsts(n: int) -> List[f32[n]]:
    out: List[f32[n]] = []
    for i in 0..n:
        push(mut out, fill(f32(i), n))
    return out

export fn longer(xs: mut List[i32], x: i32) -> i32:
    push(mut xs, x)
    return len(xs)

export fn nested(xs: List[List[f32]]) -> f32:
    s = 0.0
    for row in xs:
        for x in row:
            s += x
    return s

export fn pack(p: Pack[D], y: f32[D]) -> f32[D]:
    match p:
        Full(xs, n):
            s = y
            for x in xs:
                s += x
            return s
        Empty:
            return y

fn depth(t: Tree, y: f32[D]) -> f32[D]:
    match t:
        Leaf(x):
            return y * x
        Node(left, right):
            return tanh(depth(left, y) @ outer(depth(right, y), y))

export fn deep(t: Tree, y: f32[D]) -> f32[D]:
    return depth(t, y)

fn walk(t: Tree, y: f32[D]) -> f32[D]:
    match t:
        Leaf(x):
            return y * x
        Node(left, right):
            a = walk(left, y)
            if sum(a) > 0.0:
                a = outer(a, y) @ y
            return a + walk(right, y)

export fn walked(t: Tree, y: f32[D]) -> f32[D]:
    return walk(t, y)

export fn option(x: Option[i32], y: f32[N]) -> f32:
    match x:
        Some(i):
            return sum(outer(y, y) @ outer(y, y)) + f32(i)
        None:
            return sum(y)

export fn turns(x: f32[N], y: f32[M], often: i32) -> f32[N]:
    s = x
    for t in 0..often:
        s = tanh(outer(s, y)) @ y
    return s

export fn positive(x: f32[N]) -> List[f32]:
    out: List[f32] = []
    for i in 0..N:
        if x[i] > 0.0:
            push(mut out, x[i])
    return out

export fn flow(g: Graph, x: f32[g.nodes, D]) -> f32[g.nodes, D]:
    return sum_in(g, at_src(g, x)) + 1.0
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Net:
    path = tmp_path_factory.mktemp("need") / "programs.dl"
    path.write_text(PROGRAMS)
    return net_of(str(path))


def test_lists_are_exact(programs: Net) -> None:
    r = np.random.default_rng(1)
    for n in (1, 2, 4, 5, 11, 12, 13, 100):
        d = int(r.integers(0, 9))
        assert hold(programs, "copies", ([floats(r, d) for _ in range(n)], floats(r, d))) == EXACT
        assert hold(programs, "longer", (list(range(n)), 7)) == EXACT
        assert hold(programs, "firsts", (n,)) == EXACT
    assert hold(programs, "firsts", (0,)) == EXACT
    assert hold(programs, "longer", ([], 7)) == EXACT


def test_structures_inside_are_bounded(programs: Net) -> None:
    r = np.random.default_rng(2)
    for _ in range(12):
        rows = [floats(r, int(n)).tolist() for n in r.integers(0, 40, int(r.integers(0, 9)))]
        assert hold(programs, "nested", (rows,)) == BOUND
        d = int(r.integers(0, 70))
        p = programs.types.Pack
        value = p.Full([floats(r, d) for _ in range(int(r.integers(0, 9)))], 3)
        for x in (value, p.Empty()):
            assert hold(programs, "pack", (x, floats(r, d))) == BOUND


def test_trees_are_bounded_by_their_nodes(programs: Net) -> None:
    r = np.random.default_rng(3)
    t = programs.types.Tree
    for leaves in (1, 2, 3, 9, 40):
        parts: list[Any] = [t.Leaf(float(x)) for x in floats(r, leaves)]
        comb = parts[0]
        for leaf in parts[1:]:
            comb = t.Node(comb, leaf)
        while len(parts) > 1:
            i = int(r.integers(len(parts) - 1))
            parts[i : i + 2] = [t.Node(parts[i], parts[i + 1])]
        for x in (parts[0], comb):
            y = floats(r, int(r.integers(1, 90)))
            assert hold(programs, "walked", (x, y)) == BOUND
            hold(programs, "deep", (x, y))


def test_branches_are_bounded_and_loops_are_exact(programs: Net) -> None:
    r = np.random.default_rng(4)
    for n in (0, 1, 15, 16, 17, 61):
        x = floats(r, n)
        assert hold(programs, "turns", (x, floats(r, 5), int(r.integers(1, 4)))) == EXACT
        assert hold(programs, "turns", (x, floats(r, 5), 0)) in (EXACT, BOUND)
        assert hold(programs, "positive", (x,)) == BOUND
        for o in (None, 3):
            assert hold(programs, "option", (o, x)) == EXACT
        assert hold(programs, "flow", (Graph([], [], n), floats(r, n, 3))) == EXACT


def test_sizes_that_no_arena_can_hold(programs: Net) -> None:
    """The need is told or refused, never wrapped around."""
    from dlc.artifact.python.errors import ArenaError

    x = np.lib.stride_tricks.as_strided(np.zeros(1, F), (0,), (4,))
    assert programs.positive(x) == []
    with pytest.raises((ArenaError, MemoryError)):
        programs.firsts(2**31 - 1)
