"""The arena that an entry says it needs: exactly what it takes where it says `exact`, and always
enough where it says `exact` or `bound`."""

from __future__ import annotations

from pathlib import Path
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


MANY = """
type Phrase = Word(x: f32) | Group(parts: List[Phrase]) | Named(parts: List[(i32, Phrase)])
type Tree = Leaf(x: f32) | Node(left: Tree, right: Tree)

fn value(p: Phrase, y: f32[D]) -> f32[D]:
    match p:
        Word(x):
            return y * x
        Group(parts):
            s = y
            for q in parts:
                s += tanh(outer(value(q, y), y) @ y)
            return s
        Named(parts):
            s = y
            for i in 0..len(parts):
                n, q = parts[len(parts) - 1 - i]
                if n > 0:
                    match q:
                        Word(x):
                            s += y * x
                        Group(inner):
                            for r in inner:
                                s += value(r, y)
                        Named(inner):
                            s += value(q, y)
            return s

export fn phrase(p: Phrase, y: f32[D]) -> f32[D]:
    return value(p, y)

export fn phrases(ps: List[Phrase], y: f32[D]) -> f32[D]:
    s = y
    for p in ps:
        s += value(p, y)
    return s

export fn grown(p: Phrase, y: f32[D]) -> f32[D]:
    ps: List[Phrase] = [p]
    push(mut ps, Group([p, p, p]))
    s = y
    for q in ps:
        s += value(q, y)
    return s

fn other(p: Phrase, ps: List[Phrase], y: f32[D]) -> f32[D]:
    match p:
        Word(x):
            return y * x
        Group(parts):
            qs = parts
            push(mut qs, Word(2.0))
            s = y
            for q in qs:
                s += other(q, ps, y)
            return s
        Named(parts):
            return other(Word(1.0), ps, y)

export fn others(p: Phrase, y: f32[D]) -> f32[D]:
    return other(p, [], y)

fn swapping(a: Tree, b: Tree, y: f32[D]) -> f32[D]:
    match b:
        Leaf(x):
            return y * x
        Node(left, right):
            return tanh(outer(swapping(left, right, y), y) @ y)

export fn swapped(a: Tree, b: Tree, y: f32[D]) -> f32[D]:
    return swapping(a, b, y)

fn second(a: Tree, b: Tree, y: f32[D]) -> f32[D]:
    match b:
        Leaf(x):
            return y * x
        Node(left, right):
            return second(a, left, y) + second(Leaf(1.0), right, y)

export fn seconds(a: Tree, b: Tree, y: f32[D]) -> f32[D]:
    return second(a, b, y)
"""


def test_trees_of_lists(tmp_path: Path) -> None:
    """Recursion over elements of lists, of any shape, is bounded by the number of nodes."""
    (tmp_path / "many.dl").write_text(MANY)
    net = net_of(str(tmp_path / "many.dl"))
    p, t = net.types.Phrase, net.types.Tree
    r = np.random.default_rng(6)

    def drawn(size: int) -> Any:
        if size <= 1:
            return p.Word(float(r.normal()))
        cuts = np.sort(r.integers(0, size, int(r.integers(0, 4)))).tolist()
        parts = [drawn(b - a) for a, b in zip([0, *cuts], [*cuts, size - 1], strict=True)]
        if r.integers(2):
            return p.Group(parts)
        return p.Named([(int(r.integers(-1, 4)), x) for x in parts])

    deep = p.Group([])
    for _ in range(60):
        deep = p.Group([deep])
    wide = p.Group([p.Word(1.0)] * 100)
    comb = t.Leaf(1.0)
    for i in range(50):
        comb = t.Node(t.Leaf(2.0), comb) if i % 2 else t.Node(comb, t.Leaf(2.0))
    for x in (p.Word(2.0), p.Group([]), deep, wide, *(drawn(int(n)) for n in (5, 20, 80, 300))):
        y = floats(r, int(r.integers(1, 60)))
        assert hold(net, "phrase", (x, y)) == BOUND
        assert hold(net, "phrases", ([x] * int(r.integers(0, 4)), y)) == BOUND
        for name in ("grown", "others"):
            assert hold(net, name, (x, y)) == UNBOUNDED
    y = floats(r, 9)
    for x in (comb, t.Leaf(0.5)):
        for name in ("swapped", "seconds"):
            assert hold(net, name, (t.Leaf(1.0), x, y)) == UNBOUNDED


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
