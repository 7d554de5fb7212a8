"""Results whose sizes only the run decides: told by the arrays that come back, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from dlc.artifact.python.net import Net
from dlc.artifact.python.structures import Graph, Rows, Segs, Sparse
from dlc.diag import CompileError
from dlc.driver.python import compile

F = np.float32
SOURCE = """
export fn graph_back(g: Graph) -> Graph[g.nodes, g.arcs]:
    return g

export fn segs_back(s: Segs) -> Segs[s.rows, s.items]:
    return s

export fn sparse_back(s: Sparse[f32, N]) -> Sparse[f32, N]:
    return s

export fn rows_back(r: Rows[f32, N, D]) -> Rows[f32, N, D]:
    return r

export fn loops(x: f32[N]) -> (Graph[?n, ?e], i32[?n]):
    i = nonzero_indices(x > 0.0)
    return graph(len(i), i * 0, i * 0), i

export fn two(x: f32[N]) -> (i32[?n], Graph[?n, ?e], i32[?e]):
    i = nonzero_indices(x > 0.0)
    j = nonzero_indices(x < 0.0)
    return i, graph(len(i), j * 0, j * 0), j
"""


@pytest.fixture(scope="module")
def nets() -> tuple[Net, Net]:
    return compile(SOURCE, "cpu", level=0), compile(SOURCE, "evaluate")


def test_structures_come_back(nets: tuple[Net, Net]) -> None:
    for net in nets:
        g = net.graph_back(Graph([0, 1], [1, 1], 4))
        assert (g.nodes, g.src.tolist(), g.dst.tolist()) == (4, [0, 1], [1, 1])
        assert net.segs_back(Segs([1, 0, 2])).lengths.tolist() == [1, 0, 2]
        s = net.sparse_back(Sparse([2], np.ones(1, F), 5))
        assert (s.size, s.indices.tolist(), s.values.tolist()) == (5, [2], [1])
        r = net.rows_back(Rows([1, 1], np.eye(2, dtype=F), 3))
        assert (r.count, r.indices.tolist()) == (3, [1, 1])


def test_another_result_shows_the_size(nets: tuple[Net, Net]) -> None:
    for net in nets:
        for x in ([1, -1, 2], [-1], [3], []):
            a = np.array(x, F)
            g, i = net.loops(a)
            assert g.nodes == g.arcs == len(i) == int((a > 0).sum())
            if (a > 0).any():
                i, g, j = net.two(a)
                assert (g.nodes, g.arcs) == (len(i), len(j)) == ((a > 0).sum(), (a < 0).sum())


@pytest.mark.parametrize("target", ["cpu", "evaluate"])
def test_what_nothing_shows_is_refused(target: str) -> None:
    source = (
        "export fn f(x: f32[N]) -> Graph[?n, ?e]:\n"
        "    i = nonzero_indices(x > 0.0)\n"
        "    return graph(len(i), i * 0, i * 0)\n"
    )
    with pytest.raises(CompileError, match="nothing says the nodes of a result of `f`") as caught:
        compile(source, target)
    assert caught.value.diagnostics[0].code == "E0610"
