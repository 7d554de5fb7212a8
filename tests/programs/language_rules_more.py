"""More of `language_rules`: what is rarer still. `SAME` asks only that both back ends agree."""

from __future__ import annotations

import numpy as np
from ml_dtypes import bfloat16

import dlc
from tests.programs.language_rules import SAME, F, Rule, W, X

I = np.int32
RULES = [
    Rule(
        "a match with one arm assigns",
        """
type Pair = Both(k: i32, v: f32)
fn grow(m: f32, p: Pair) -> f32:
    s = m
    match p:
        Both(k, v):
            s = s * v
    return s * s
export fn f(p: Pair) -> f32:
    s, best = 1.0, 0
    match p:
        Both(k, v):
            s += v
            best = k
    match p:
        _:
            s = 2.0 * s
    return s + f32(best)
export fn each(ps: List[Pair]) -> (f32[4], List[f32]):
    a = zeros(4)
    out: List[f32] = []
    for p in ps:
        match p:
            Both(k, v):
                a[k] = v
                push(mut out, v)
    return a, out
export fn slope(x: f32, p: Pair) -> f32:
    return grad(grow, wrt=m)(x, p)
""",
        (
            ("f", (lambda t: t.Pair.Both(2, 5.0),), 14.0),
            (
                "each",
                (lambda t: [t.Pair.Both(2, 5.0), t.Pair.Both(0, 1.0)],),
                (np.array([1, 0, 5, 0], F), [5.0, 1.0]),
            ),
            ("slope", (3.0, lambda t: t.Pair.Both(1, 2.0)), 24.0),
        ),
    ),
    Rule(
        "divide and conquer over changing dims",
        """
fn sorted_sum(x: f32[N]) -> f32:
    if N <= 1:
        return sum(x)
    h = N // 2
    return sorted_sum(x[0 : h]) + 2.0 * sorted_sum(x[h : N])
export fn f(x: f32[N]) -> f32:
    return sorted_sum(x)
fn even(n: i32) -> bool:
    return true if n == 0 else odd(n - 1)
fn odd(n: i32) -> bool:
    return false if n == 0 else even(n - 1)
export fn parity(n: i32) -> bool:
    return even(n)
fn d(x: f32[N]) -> f32:
    return sorted_sum(x * x)
export fn g(x: f32[N]) -> f32[N]:
    return grad(d, wrt=x)(x)
""",
        (
            ("f", (np.arange(5, dtype=F),), SAME),
            ("f", (np.zeros(0, F),), 0.0),
            ("parity", (1001,), False),
            ("g", (np.arange(5, dtype=F),), SAME),
        ),
    ),
    Rule(
        "unknown sizes flow 2",
        """
fn pos(x: f32[N]) -> f32[?k]:
    return x[nonzero_indices(x > 0.0)]
fn both(x: f32[N], y: f32[M]) -> f32[?k]:
    a, b = pos(x), pos(y)
    return concat(a, b)
export fn f(x: f32[N], y: f32[M]) -> (f32[?j], f32):
    c = both(x, y)
    return c, sum(c)
export fn same(x: f32[N]) -> f32:
    a: f32[?n] = pos(x)
    b = pos(-x)
    assert len(b) == n, "as many"
    return f32(n)
export fn twice(x: f32[N]) -> f32[?k]:
    y = pos(x)
    z = pos(y - 1.0)
    return z
fn l(x: f32[N]) -> f32:
    return sum(both(x, x) ** 2)
export fn g(x: f32[N]) -> f32[N]:
    return grad(l, wrt=x)(x)
export fn pick(x: f32[N], b: bool) -> f32[?k]:
    if b:
        return pos(x)
    return x[0 : 1]
export fn loopy(x: f32[N], n: i32) -> f32:
    t = 0.0
    for i in 0..n:
        y = pos(x - f32(i))
        t += sum(y) * f32(len(y))
    return t
""",
        (
            ("f", (X, X), ([1, 3, 1, 3], 8)),
            ("same", (np.array([1, -2], F),), 1),
            ("twice", (X,), [2]),
            ("g", (X,), [4, 0, 12]),
            ("pick", (X, True), [1, 3]),
            ("pick", (X, False), [1]),
            ("loopy", (X, 4), 8 + 2 + 1),
        ),
    ),
    Rule(
        "element types",
        """
export fn h(x: f16[N], y: bf16[N]) -> (f16[N], bf16[N], f32, f64[N]):
    return x * 2.0 + 1.0, y - 0.5, sum(f32(x)), f64(x) / 3.0
export fn q(a: i8[M, K], b: i8[K, N]) -> i32[M, N]:
    return a @ b
export fn bits8(a: u8[N], b: u8[N]) -> (u8[N], u8[N], bool[N]):
    return a + b, a // 2, a > b
export fn big(n: i64, m: i32) -> (i64, i64, i32):
    return n * n, i64(m) + n, i32(n)
export fn f64s(x: f64[N]) -> (f64, f64[N], i32):
    return dot(x, x), exp(x), argmax(x)
export fn flags(b: bool[N]) -> (i32, bool[N], f32[N]):
    return sum(i32(b)), not b, where(b, 1.0, zeros(N))
""",
        (
            ("h", (np.array([1, 2], np.float16), np.array([1, 2], F).astype(bfloat16)), SAME),
            ("q", (np.array([[100, 100]], np.int8), np.array([[100], [100]], np.int8)), [[20000]]),
            (
                "bits8",
                (np.array([200], np.uint8), np.array([100], np.uint8)),
                ([44], [100], [True]),
            ),
            ("big", (2**40, 5), (0, 2**40 + 5, 0)),
            ("f64s", (X.astype(np.float64),), SAME),
            ("flags", (np.array([True, False]),), (1, [False, True], [1, 0])),
        ),
    ),
    Rule(
        "map, fold, scan company",
        """
export fn f(xs: List[f32], n: List[i32]) -> (List[f32], List[i32]):
    return map(fn(x, i) => (x * f32(i), i + 1), xs, n)
export fn mapped(x: f32[A, B], k: i32[A]) -> (f32[A, B], f32[A]):
    y = map(fn(row, i) => map(fn(v) => v * f32(i), row), x, k)
    return y, map(fn(row) => max(row), y)
export fn two(x: f32[N]) -> (f32, f32):
    a, b = fold(fn(s, v) => s_next(s, v), (0.0, 1.0), x)
    return a, b
fn s_next(s: (f32, f32), v: f32) -> (f32, f32):
    a, b = s
    return a + v, b * v
export fn tree(xs: List[List[f32]]) -> List[f32]:
    return map(fn(ys) => fold(fn(a, y) => a + y, 0.0, ys), xs)
export fn idx(n: i32) -> i32[n]:
    return map(fn(i) => i * i, iota(n))
""",
        (
            ("f", ([1.0, 2.0], [3, 4]), ([3.0, 8.0], [4, 5])),
            ("mapped", (W, np.array([1, 2], I)), ([[0, 1, 2], [6, 8, 10]], [2, 10])),
            ("two", (X,), (2, -6)),
            ("tree", ([[1.0, 2.0], []],), [3.0, 0.0]),
            ("idx", (4,), [0, 1, 4, 9]),
        ),
    ),
    Rule(
        "structures in structures",
        """
type Item[N, E] = G(g: Graph[N, E], x: f32[N]) | S(s: Segs[N, E])
fn val(i: Item) -> f32:
    match i:
        G(g, x):
            return sum(sum_in(g, at_src(g, x)))
        S(s):
            return f32(sum(sizes(s)))
export fn f(g: Graph, x: f32[g.nodes]) -> f32:
    i: Item[g.nodes, g.arcs] = G(g, x)
    return val(i)
export fn opt(g: Graph, b: bool, x: f32[g.nodes]) -> f32:
    o: Option[Graph[g.nodes, g.arcs]] = None
    if b:
        o = Some(g)
    match o:
        Some(h):
            return sum(sum_in(h, at_src(h, x)))
        None:
            return -1.0
export fn many(g: Graph, n: i32, x: f32[g.nodes]) -> f32[g.nodes]:
    gs: List[Graph[g.nodes, g.arcs]] = []
    for i in 0..n:
        if i % 2 == 0:
            push(mut gs, g)
        else:
            push(mut gs, reversed(g))
    y = x
    for h in gs:
        y = sum_in(h, at_src(h, y))
    return y
export fn ks(k: Key, n: i32) -> List[f32]:
    out: List[f32] = []
    for q in splits(k, n):
        push(mut out, uniform(q))
    return out
export fn sp(x: f32[N]) -> (Sparse[f32, N], f32):
    s = nonzero(x)
    i, v = active(s)
    return s, sum(v) + f32(len(i))
""",
        (
            ("f", (dlc.Graph(np.array([0, 1], I), np.array([2, 0], I), 3), X), -1),
            ("opt", (dlc.Graph(np.array([0, 1], I), np.array([2, 0], I), 3), True, X), -1),
            ("many", (dlc.Graph(np.array([0, 1], I), np.array([2, 0], I), 3), 3, X), SAME),
            ("ks", (4, 3), SAME),
        ),
    ),
    Rule(
        "each and total over everything",
        """
model In[W]:
    a: f32[W] ~ ones()
    n: f32 ~ fill(2.0)
model Out[W, B: const]:
    xs: Array[In[W], B]
    c: In[W]
fn loss(m: Out, x: f32[m.W]) -> f32:
    y = m.c.n * dot(m.c.a, x)
    for i in 0..m.B:
        y = y * m.xs[i].n + dot(m.xs[i].a, x)
    return y * y
export fn step(m: mut Out, x: f32[m.W]) -> (f32, f32):
    l, g = value_and_grad(loss, wrt=m)(m, x)
    m = each(fn(p, d) => p - 0.01 * d, m, g)
    return l, total(fn(d) => d * d, g)
export fn norms(m: Out) -> f32:
    return total(fn(p) => p * p, m) + total(fn(a, b) => a * b, m.c, m.xs[0])
fn pair_loss(p: (f32[N], f32), x: f32[N]) -> f32:
    w, b = p
    return dot(w, x) * b
export fn tup(w: f32[N], b: f32, x: f32[N]) -> (f32[N], f32):
    return grad(pair_loss, wrt=p)((w, b), x)
""",
        (("norms", (), SAME), ("step", (X,), SAME), ("tup", (X, 2.0, X), (2 * X, 14))),
        {"m.B": 2},
        {"m.W": 3},
    ),
    Rule(
        "fixpoint and vjp with captured",
        """
fn phi(w: f32[N, N], b: f32[N], x: f32[N]) -> f32[N]:
    return tanh(w @ x + b)
fn eq(w: f32[N, N], b: f32[N]) -> f32[N]:
    return fixpoint(fn(x) => phi(w, b, x), zeros(N))
fn l(w: f32[N, N], b: f32[N]) -> f32:
    return sum(eq(w, b))
export fn f(w: f32[N, N], b: f32[N]) -> (f32[N], f32[N, N], f32[N]):
    gw, gb = grad(l, wrt=(w, b))(w, b)
    return eq(w, b), gw, gb
""",
        (("f", (0.1 * np.ones((3, 3), F), X), SAME),),
    ),
    Rule(
        "defaults, names, text consts",
        """
fn scale(x: f32[N], by: f32 = 2.0, shift: f32 = 0.0, times: const = 1) -> f32[N]:
    y = x
    static for i in 0..times:
        y = y * by + shift
    return y
fn mode(x: f32[N], kind: const = "sum") -> f32:
    if kind == "sum":
        return sum(x)
    elif kind == "mean":
        return mean(x)
    return 0.0
export fn f(x: f32[N]) -> (f32[N], f32[N], f32[N], f32, f32, f32):
    a, b = scale(x), scale(x, shift=1.0)
    return a, b, scale(x, 3.0, times=2), mode(x), mode(x, "mean"), mode(x, kind="none")
""",
        (("f", (X,), (2 * X, 2 * X + 1, 9 * X, 2, 2 / 3, 0)),),
    ),
    Rule(
        "tests and effects",
        """
fn careful(x: f32) -> f32:
    assert x >= 0.0, "negative"
    return sqrt(x)
export fn f(xs: List[f32]) -> f32:
    t = 0.0
    for x in xs:
        if x < 0.0:
            continue
        t += careful(x)
    _ = careful(4.0)
    return t
fn nothing(x: mut List[i32]):
    push(mut x, len(x))
export fn g(n: i32) -> List[i32]:
    xs: List[i32] = []
    while len(xs) < n:
        nothing(mut xs)
        if len(xs) == 3:
            nothing(mut xs)
    xs[0] = 7
    return xs
""",
        (("f", ([4.0, -1.0, 9.0],), 5), ("g", (2,), [7, 1]), ("g", (3,), [7, 1, 2, 3])),
    ),
    Rule(
        "models in options, lists, tuples",
        """
model Lin[I, O]:
    w: f32[O, I] ~ glorot()
type Choice = First | Second(s: f32)
fn apply(m: Lin, x: f32[m.I]) -> f32[m.O]:
    return m.w @ x
fn pair(ms: (Lin[N, N], Lin[N, N]), x: f32[N]) -> f32[N]:
    a, b = ms
    return apply(a, apply(b, x))
export fn f(a: Lin[N, N], b: Lin[N, N], x: f32[N]) -> f32[N]:
    return pair((a, b), x)
export fn l(a: Lin[N, N], b: Lin[N, N], x: f32[N]) -> f32[N]:
    ms: List[Lin[N, N]] = [a, b, a]
    y = x
    for m in ms:
        y = apply(m, y)
    return y
export fn c(a: Lin[N, N], b: Lin[N, N], ch: Choice, x: f32[N]) -> f32[N]:
    m = a
    match ch:
        First:
            m = b
        Second(s):
            m = each(fn(p) => p * s, a)
    return apply(m, x)
""",
        (
            ("f", (X,), SAME),
            ("l", (X,), SAME),
            ("c", (lambda t: t.Choice.First(), X), SAME),
            ("c", (lambda t: t.Choice.Second(2.0), X), SAME),
        ),
        {},
        {"I": 3},
    ),
    Rule(
        "derivatives in unusual company",
        """
type T = L(x: f32) | N(a: T, b: T)
fn prod_of(t: T, w: f32) -> f32:
    match t:
        L(x):
            return x * w
        N(a, b):
            return prod_of(a, w) * prod_of(b, w)
export fn tree(t: T, w: f32) -> (f32, f32):
    return value_and_grad(prod_of, wrt=w)(t, w)
fn energy(x: f32[N], y: f32[N]) -> f32:
    e = 0.0
    for i in 0..N:
        if x[i] > 0.0:
            e += x[i] * y[i] ** 2
        elif i == 1:
            continue
        else:
            break
    return e
export fn path(x: f32[N], y: f32[N]) -> (f32[N], f32[N]):
    return grad(energy, wrt=(x, y))(x, y)
fn slope(x: f32[N], y: f32[N]) -> f32:
    g = grad(energy, wrt=y)(x, y)
    return dot(g, g)
export fn second(x: f32[N], y: f32[N]) -> f32[N]:
    return grad(slope, wrt=y)(x, y)
fn listed(xs: List[f32], a: f32) -> f32:
    ys: List[f32] = []
    for x in xs:
        if x > 0.0:
            push(mut ys, a * x * x)
    y = 1.0
    for v in ys:
        y *= v
    return y
export fn of_list(xs: List[f32], a: f32) -> (List[f32], f32):
    return grad(listed, wrt=(xs, a))(xs, a)
fn newton(a: f32, x0: f32) -> f32:
    x = x0
    while abs(x * x - a) > 0.00001:
        x = 0.5 * (x + a / x)
    return x
export fn root(a: f32) -> (f32, f32):
    return value_and_grad(newton, wrt=a)(a, 1.0)
fn through(x: f32, o: Option[f32]) -> f32:
    match o:
        Some(y):
            return x * y * stop_grad(x)
        None:
            return x
export fn chosen(x: f32, o: Option[f32]) -> f32:
    return grad(through, wrt=x)(x, o)
""",
        (
            ("tree", (lambda t: t.T.N(t.T.L(2.0), t.T.N(t.T.L(3.0), t.T.L(1.0))), 2.0), (48, 72)),
            ("path", (X, 2 * X), ([4, 0, 36], [4, 0, 36])),
            ("second", (X, 2 * X), [16, 0, 8 * 9 * 6]),
            ("of_list", ([2.0, -1.0, 3.0], 2.0), ([2 * 2 * 2 * 18, 0, 2 * 2 * 3 * 8], 2 * 2 * 36)),
            ("root", (2.0,), (2**0.5, 0.5 / 2**0.5)),
            ("chosen", (3.0, 5.0), 15.0),
            ("chosen", (3.0, None), 1.0),
        ),
    ),
    Rule(
        "where, broadcasting, comparisons, short circuits",
        """
export fn f(x: f32[A, B], r: f32[B], c: f32[A]) -> (f32[A, B], f32[A, B], f32[A, B], bool[A, B]):
    return x + r, x * column(c), where(x > r, 0.0, column(c)), x >= 2.0 and not (x == r)
export fn safe(x: f32[N], i: i32) -> bool:
    return i < N and i >= 0 and x[i] > 0.0
export fn either(x: f32[N], i: i32) -> bool:
    return i >= N or x[i] > 0.0
export fn pick(b: bool, x: f32[N]) -> f32[N]:
    return x if b else (-x if sum(x) > 0.0 else 0.0 * x)
""",
        (
            (
                "f",
                (W, X, np.array([10.0, 20.0], F)),
                (W + X, W * [[10], [20]], np.where(W > X, 0, [[10], [20]]), (W >= 2) & (W != X)),
            ),
            ("safe", (X, 9), False),
            ("safe", (X, -1), False),
            ("safe", (X, 0), True),
            ("either", (X, 9), True),
            ("either", (X, 1), False),
            ("pick", (True, X), X),
            ("pick", (False, X), -X),
            ("pick", (False, -X), 0 * X),
        ),
    ),
    Rule(
        "graphs and segments made inside",
        """
fn ring(n: int) -> Graph[n, n]:
    i = iota(n)
    return graph(n, i, (i + 1) % fill(n, n))
export fn turn(x: f32[N], times: i32) -> f32[N]:
    g = ring(N)
    y = x
    for t in 0..times:
        y = sum_in(g, at_src(g, y))
    return y
export fn groups(x: f32[N], n: i32[R]) -> f32[R]:
    return sum_segs(segs(n, N), x)
export fn whole(g: Graph, x: f32[g.nodes]) -> (f32[g.arcs], i32):
    src, dst = arcs(reversed(g))
    return x[src] - x[dst], g.nodes
""",
        (
            ("turn", (X, 2), np.roll(X, 2)),
            ("groups", (X, np.array([1, 0, 2], np.int32)), [1, 0, 1]),
            (
                "whole",
                (dlc.Graph(np.array([0, 1], np.int32), np.array([2, 0], np.int32), 3), X),
                ([2, 3], 3),
            ),
        ),
    ),
    Rule(
        "lists and options whose dims the call around them finds",
        """
type T[D] = A(xs: List[(i32, f32[D])], v: f32[D])
fn all_of(os: List[Option[f32[D]]], ls: List[List[f32[D]]], v: f32[D]) -> f32:
    s = sum(v)
    for o in os:
        match o:
            None:
                s += 100.0
            Some(x):
                s += sum(x)
    for l in ls:
        for x in l:
            s += sum(x) * 10.0
    return s
export fn f(x: f32[N]) -> f32:
    a = all_of([None, Some(x)], [[], [x, x]], x)
    return a + all_of([], [], x) + all_of([None], [[]], x)
export fn g(x: f32[N], n: i32) -> i32:
    match A([(1, x), (n, 2.0 * x)], x):
        A(xs, v):
            k, y = xs[1]
            return k + i32(sum(y) + sum(v))
export fn h(x: f32[N]) -> i32:
    match A([], x):
        A(xs, _):
            return len(xs)
""",
        (("f", (X,), 100 + 2 + 40 + 2 + 2 + 100 + 2), ("g", (X, 5), 11), ("h", (X,), 0)),
    ),
]
