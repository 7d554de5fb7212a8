"""Every builtin against its equation in numpy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dlc.lower.builtins.numbers import lowest
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import BOOL, F16, F32, F64, I32, I64, DType
from dlc.typesys.surface import KEY, Graph, Keys, Segs, Sparse, Tensor, Tuple

RNG = np.random.default_rng(7)


def tensor(d: DType, *shape: int) -> Tensor:
    return Tensor(d, tuple(Dim.const(n) for n in shape))


def given(x: Any, d: DType = F32) -> tuple[Tensor, np.ndarray]:
    a = np.asarray(x, dtype=d.numpy)
    return tensor(d, *a.shape), a


def floats(*shape: int, d: DType = F32) -> tuple[Tensor, np.ndarray]:
    return given(RNG.standard_normal(shape), d)


def close(got: Any, want: Any, tol: float = 1e-6) -> None:
    np.testing.assert_allclose(np.asarray(got, np.float64), want, rtol=tol, atol=tol)


# -- softmax and its relatives


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4), (1,)])
def test_softmax_is_over_the_last_axis(call, shape):
    t, x = floats(*shape)
    (y,) = call("softmax", t, (t, x * 30))
    close(y, softmax(x.astype(np.float64) * 30), 1e-5)


def test_softmax_of_scalars_and_nothing(call):
    (one,) = call("softmax", tensor(F32), given(3.0))
    assert one == 1.0
    t, x = floats(2, 0)
    assert call("softmax", t, (t, x))[0].shape == (2, 0)


def test_softmax_of_minus_infinity_is_zero(call):
    t, x = given([-math.inf, 0.0, math.log(3.0)])
    close(call("softmax", t, (t, x))[0], [0.0, 0.25, 0.75])


def test_log_softmax(call):
    t, x = floats(3, 4)
    x = x * 50
    want = x - x.max(-1, keepdims=True)
    want = want - np.log(np.exp(want).sum(-1, keepdims=True))
    close(call("log_softmax", t, (t, x))[0], want, 1e-5)


@pytest.mark.parametrize(
    ("x", "want"),
    [
        ([1000.0, 1000.0], 1000.0 + math.log(2)),
        ([-math.inf, -math.inf], -math.inf),
        ([math.inf, 0.0], math.inf),
        ([], -math.inf),
        ([-5.0], -5.0),
    ],
)
def test_logsumexp(call, x, want):
    (y,) = call("logsumexp", tensor(F32), given(x))
    close(y, want)


def test_norm(call):
    t, x = floats(3, 4)
    close(call("norm", tensor(F32), (t, x))[0], np.linalg.norm(x))
    assert call("norm", tensor(F32), given([0.0, 0.0]))[0] == 0.0
    assert np.isnan(call("norm", tensor(F32), given([math.nan]))[0])


# -- order


def test_order(call):
    t, x = given([3.0, 1.0, 2.0, 3.0])
    values, order = call("sort", Tuple((t, tensor(I32, 4))), (t, x))
    assert list(values) == [3, 3, 2, 1] and list(order) == [0, 3, 2, 1]
    both = Tuple((tensor(F32, 2), tensor(I32, 2)))
    values, order = call("top_k", both, (t, x), dims={"k": 2})
    assert list(values) == [3, 3] and list(order) == [0, 3]
    (sums,) = call("cumsum", t, (t, x))
    assert list(sums) == [3, 4, 6, 9]
    t2, q = given([0.0, 1.0, 2.5, 9.0])
    assert list(call("searchsorted", tensor(I32, 4), given([1.0, 2.0, 3.0]), (t2, q))[0]) == [
        0, 0, 2, 3,
    ]  # fmt: skip


def test_nonzero_indices_gives_as_many_as_there_are(call):
    m = given([True, False, True], BOOL)
    t = Tensor(I32, (Dim.sym("k"),))
    (i,) = call("nonzero_indices", t, m, born=(("k", "k"),))
    assert list(i) == [0, 2]


# -- products


def test_products(call):
    (t, x), (u, y) = floats(4), floats(4)
    close(call("dot", tensor(F32), (t, x), (u, y))[0], x @ y)
    v, z = floats(3)
    close(call("outer", tensor(F32, 4, 3), (t, x), (v, z))[0], np.outer(x, z))
    w, m = floats(4, 2, 3)
    close(call("scale_rows", w, (t, x), (w, m))[0], x[:, None, None] * m)


def convolution(x: np.ndarray, w: np.ndarray, stride: int, pad: int) -> np.ndarray:
    n = x.ndim - 1
    x = np.pad(x, [(0, 0)] + [(pad, pad)] * n)
    out = [(x.shape[1 + a] - w.shape[2 + a]) // stride + 1 for a in range(n)]
    y = np.zeros((w.shape[0], *out))
    for at in np.ndindex(*out):
        window = tuple(
            slice(a * stride, a * stride + k) for a, k in zip(at, w.shape[2:], strict=True)
        )
        part = x[(slice(None), *window)]
        y[(slice(None), *at)] = (w * part[None]).reshape(w.shape[0], -1).sum(1)
    return y


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "pad"),
    [((7,), (3,), 1, 0), ((7,), (3,), 2, 1), ((5, 6), (3, 2), 2, 1), ((3, 4, 3), (2, 2, 2), 1, 1)],
)
def test_convolution(call, shape, kernel, stride, pad):
    (t, x), (u, w) = floats(2, *shape), floats(3, 2, *kernel)
    want = convolution(x.astype(np.float64), w, stride, pad)
    y = call(
        f"conv{len(shape)}d",
        tensor(F32, *want.shape),
        (t, x),
        (u, w),
        consts={"stride": stride, "pad": pad},
    )
    close(y[0], want, 1e-5)


@pytest.mark.parametrize("kind", ["max", "mean"])
@pytest.mark.parametrize("n", [1, 2])
def test_pools(call, kind, n):
    t, x = floats(2, *[6] * n)
    y = call(f"{kind}_pool{n}d", tensor(F32, 2, *[2] * n), (t, x), consts={"size": 3, "stride": 3})[
        0
    ]
    f = getattr(np, kind)
    want = x.reshape(2, *[2, 3] * n)
    for a in reversed(range(n)):
        want = f(want, axis=2 * a + 2)
    close(y, want, 1e-5)


# -- building and moving


def test_building(call):
    assert call("zeros", tensor(F32, 2, 3))[0].sum() == 0
    assert call("ones", tensor(F32, 2, 3))[0].sum() == 6
    assert list(call("fill", tensor(I32, 3), given(7, I32))[0]) == [7, 7, 7]
    assert (call("eye", tensor(F32, 3, 3), dims={"n": 3})[0] == np.eye(3)).all()
    assert list(call("iota", tensor(I32, 4), dims={"n": 4})[0]) == [0, 1, 2, 3]
    assert list(call("one_hot", tensor(F32, 3), given(1, I32), dims={"n": 3})[0]) == [0, 1, 0]
    t, x = floats(3)
    assert (call("tile", tensor(F32, 2, 3), (t, x), dims={"n": 2})[0] == np.stack([x, x])).all()
    assert (call("column", tensor(F32, 3, 1), (t, x))[0] == x[:, None]).all()
    assert (call("diag", tensor(F32, 3, 3), (t, x))[0] == np.diag(x)).all()
    t, x = floats(3, 2)
    assert (call("reverse", t, (t, x))[0] == x[::-1]).all()
    padded = call("pad", tensor(F32, 6, 2), (t, x), given(9.0), dims={"before": 1, "after": 2})[0]
    assert (padded == np.pad(x, [(1, 2), (0, 0)], constant_values=9.0)).all()


def test_moving_by_index(call):
    t, x = floats(3, 4)
    y = call("take", tensor(F32, 3), (t, x), given([3, 0, 1], I32))[0]
    assert (y == x[[0, 1, 2], [3, 0, 1]]).all()
    v, z = floats(2, 4)
    y = call("scatter_add", t, (t, x), given([1, 1], I32), (v, z))[0]
    close(y, x + np.array([[0] * 4, z[0] + z[1], [0] * 4]))
    y = call("scatter_max", t, (t, x), given([2, 2], I32), (v, z))[0]
    close(y[2], np.maximum(x[2], z.max(0)))


def test_elementwise(call):
    t, x = given([-2.0, 0.5, 3.0])
    y = call("clamp", t, (t, x), given(0.0), given(1.0))[0]
    assert list(y) == [0.0, 0.5, 1.0]
    assert list(call("where", t, given([True, False, True], BOOL), (t, x), (t, -x))[0]) == [
        -2.0, -0.5, 3.0,
    ]  # fmt: skip
    close(call("atan2", t, (t, x), given([1.0, 1.0, 1.0]))[0], np.arctan2(x, 1.0))
    for name in ("exp", "tanh", "floor", "sign", "abs", "relu", "sin"):
        want = np.maximum(x, 0) if name == "relu" else getattr(np, name)(x)
        close(call(name, t, (t, x))[0], want)


# -- graphs


def graph(nodes: int, src: list[int], dst: list[int]) -> tuple[Any, ...]:
    t = Graph(Dim.const(nodes), Dim.const(len(src)))
    return t, np.array(src, np.int32), np.array(dst, np.int32)


G = graph(4, [0, 1, 2, 0, 2], [1, 2, 1, 2, 0])


def test_graphs_are_checked_when_made(call):
    t = Graph(Dim.const(2), Dim.const(1))
    ends = given([0], I32)
    src, dst = call("graph", t, given(2, I32), ends, given([1], I32), dims={"nodes": 2})
    assert list(src) == [0] and list(dst) == [1]
    with pytest.raises(Exception, match="2"):
        call("graph", t, given(2, I32), ends, given([2], I32), dims={"nodes": 2})


def test_arcs_and_degrees(call):
    both = Tuple((tensor(I32, 5), tensor(I32, 5)))
    src, dst = call("arcs", both, G)
    assert list(src) == list(G[1]) and list(dst) == list(G[2])
    src, dst = call("reversed", G[0], G)
    assert list(src) == list(G[2]) and list(dst) == list(G[1])
    assert list(call("in_degree", tensor(I32, 4), G)[0]) == [1, 2, 2, 0]
    assert list(call("out_degree", tensor(I32, 4), G)[0]) == [2, 1, 2, 0]


def test_data_on_graphs(call):
    t, x = floats(4, 3)
    a, e = floats(5, 3)
    assert (call("at_src", a, G, (t, x))[0] == x[G[1]]).all()
    assert (call("at_dst", a, G, (t, x))[0] == x[G[2]]).all()
    rows = [np.flatnonzero(G[2] == n) for n in range(4)]
    close(call("sum_in", t, G, (a, e))[0], np.stack([e[r].sum(0) for r in rows]))
    mean = [e[r].mean(0) if len(r) else np.zeros(3) for r in rows]
    close(call("mean_in", t, G, (a, e))[0], np.stack(mean))
    top = [e[r].max(0) if len(r) else np.full(3, lowest(F32)) for r in rows]
    close(call("max_in", t, G, (a, e))[0], np.stack(top))
    p = call("softmax_in", a, G, (a, e * 40))[0]
    for r in rows:
        close(p[r], softmax(e[r].astype(np.float64) * 40, 0) if len(r) else p[r], 1e-5)


# -- segments


S = (Segs(Dim.const(3), Dim.const(5)), np.array([0, 2, 2, 5], np.int32))


def test_segments_are_checked_when_made(call):
    n = given(5, I32)
    (starts,) = call("segs", S[0], given([2, 0, 3], I32), n, dims={"items": 5})
    assert list(starts) == [0, 2, 2, 5]
    for sizes in ([2, 0, 2], [3, -1, 3]):
        with pytest.raises(Exception, match=r"seg|start|item"):
            call("segs", S[0], given(sizes, I32), n, dims={"items": 5})


def test_data_on_segments(call):
    x, a = floats(3, 2)
    t, e = floats(5, 2)
    assert list(call("sizes", tensor(I32, 3), S)[0]) == [2, 0, 3]
    assert list(call("row_of", tensor(I32, 5), S)[0]) == [0, 0, 2, 2, 2]
    assert (call("to_items", t, S, (x, a))[0] == a[[0, 0, 2, 2, 2]]).all()
    runs = [e[0:2], e[2:2], e[2:5]]
    close(call("sum_segs", x, S, (t, e))[0], np.stack([r.sum(0) for r in runs]))
    mean = [r.mean(0) if len(r) else np.zeros(2) for r in runs]
    close(call("mean_segs", x, S, (t, e))[0], np.stack(mean))
    top = [r.max(0) if len(r) else np.full(2, lowest(F32)) for r in runs]
    close(call("max_segs", x, S, (t, e))[0], np.stack(top))
    p = call("softmax_segs", t, S, (t, e))[0]
    close(p, np.concatenate([softmax(r, 0) for r in runs if len(r)]), 1e-5)
    pair = Tuple((tensor(I32), tensor(I32)))
    assert [int(v) for v in call("seg_range", pair, S, given(2, I32))] == [2, 5]
    for row in (3, -1):
        with pytest.raises(Exception, match=r"index|bounds"):
            call("seg_range", pair, S, given(row, I32))


# -- sparse vectors


def test_sparse_vectors(call):
    t = Sparse(F32, Dim.const(4))
    i, v = call("nonzero", t, given([0.0, 2.0, 0.0, -1.0]))
    assert list(i) == [1, 3] and list(v) == [2.0, -1.0]
    i, v = call("sparse", t, given([3, 1], I32), given([7.0, 8.0]), given(4, I32), dims={"n": 4})
    assert list(i) == [1, 3] and list(v) == [8.0, 7.0]
    x = (t, np.array([0, 2], np.int32), np.array([5.0, 6.0], np.float32))
    assert list(call("dense", tensor(F32, 4), x)[0]) == [5.0, 0.0, 6.0, 0.0]
    k = Dim.sym("j")
    both = Tuple((Tensor(I32, (k,)), Tensor(F32, (k,))))
    i, v = call("active", both, x, born=(("k", "j"),))
    assert list(i) == [0, 2] and list(v) == [5.0, 6.0]


# -- randomness


def test_draws_have_their_distribution(call):
    n = 20000
    t = tensor(F32, n)
    (u,) = call("uniform", t, (KEY, np.int64(3)))
    assert 0 <= u.min() and u.max() < 1 and abs(u.mean() - 0.5) < 0.01
    (z,) = call("normal", t, (KEY, np.int64(4)))
    assert np.isfinite(z).all() and abs(z.mean()) < 0.03 and abs(z.std() - 1) < 0.03
    assert abs((z**4).mean() - 3) < 0.3
    assert call("bits", tensor(I32, 3), (KEY, np.int64(5)))[0].dtype == np.int32


def test_keys_and_permutations(call):
    keys = call("splits", Keys(Dim.const(50)), (KEY, np.int64(1)), given(50, I32), dims={"n": 50})
    assert len(set(keys[0].tolist())) == 50
    a, b = call("split", Tuple((KEY, KEY)), (KEY, np.int64(1)))
    assert a != b
    (p,) = call("permutation", tensor(I32, 40), (KEY, np.int64(9)), given(40, I32), dims={"n": 40})
    assert sorted(p) == list(range(40)) and list(p) != list(range(40))
    assert call("key", KEY, given(5, I64))[0] == 5


def test_lowest_numbers():
    assert lowest(F64) == -np.finfo(np.float64).max
    assert lowest(F16) == -65504.0
    assert lowest(I32) == -(2**31)
