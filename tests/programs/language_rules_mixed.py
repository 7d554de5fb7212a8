"""More of `language_rules`: structures, loops and derivatives in one another."""

from __future__ import annotations

from typing import Any

import numpy as np

import dlc
from tests.programs.language_rules import SAME, F, Rule, W, X

I = np.int32


def rule(name: str, text: str, *calls: Any, dims: dict[str, int] | None = None) -> Rule:
    return Rule(name, text, calls, {}, dims or {})


RULES = [
    rule(
        "what arms of branches assign to mut parameters",
        """
fn one(x: mut f32, b: bool):
    if b:
        x = 1.0
fn two(x: mut f32, o: Option[f32]):
    match o:
        None:
            x = -1.0
        Some(v):
            x = v
fn three(x: mut f32, y: mut f32, b: bool):
    if b:
        x, y = y, x
        if x > y:
            y = 9.0
    elif x > 3.0:
        one(mut y, true)
fn four(x: mut f32, n: i32):
    for i in 0..n:
        if i == 2:
            x = 7.0
            break
        x = f32(i)
export fn f(b: bool, o: Option[f32], n: i32) -> (f32, f32, f32, f32):
    p, q = 5.0, 6.0
    one(mut p, b)
    two(mut q, o)
    r, s = p, q
    three(mut r, mut s, b)
    t = 0.5
    four(mut t, n)
    return p, q, r + 10.0 * s, t
""",
        ("f", (True, None, 9), (1.0, -1.0, 9.0, 7.0)),
        ("f", (False, 4.0, 2), (5.0, 4.0, 15.0, 1.0)),
        ("f", (True, 2.0, 0), (1.0, 2.0, 92.0, 0.5)),
    ),
    rule(
        "grad through maps of lists of trees",
        """
type T = L(x: f32[2]) | N(a: T, b: T)
fn v(t: T, w: f32[2]) -> f32[2]:
    match t:
        L(x):
            return x * w
        N(a, b):
            return v(a, w) + tanh(v(b, w))
fn loss(ts: List[T], w: f32[2]) -> f32:
    ys = map(fn(t) => v(t, w), ts)
    return fold(fn(s, y) => s + dot(y, y), 0.0, ys)
export fn f(ts: List[T], w: f32[2]) -> f32[2]:
    return grad(loss, wrt=w)(ts, w)
export fn g(ts: List[T], w: f32[2]) -> f32:
    d = grad(loss, wrt=ts)(ts, w)
    return total(fn(x) => x * x, d)
""",
        ("f", (lambda t: [t.T.L(X[:2]), t.T.N(t.T.L(X[:2]), t.T.L(X[1:]))], X[:2]), SAME),
        ("g", (lambda t: [t.T.L(X[:2]), t.T.N(t.T.L(X[:2]), t.T.L(X[1:]))], X[:2]), SAME),
    ),
    rule(
        "mut adt, option, graph",
        """
type S = A(n: i32) | B(x: f32[3], n: i32)
fn tick(s: mut S):
    match s:
        A(n):
            if n > 2:
                s = B(fill(f32(n), 3), n)
            else:
                s = A(n + 1)
        B(x, n):
            s = B(x * 2.0, n - 1)
export fn f(s: mut S, n: i32) -> i32:
    for i in 0..n:
        tick(mut s)
    match s:
        A(k):
            return k
        B(_, k):
            return 100 + k
export fn o(x: mut Option[f32], y: f32):
    match x:
        None:
            x = Some(y)
        Some(v):
            if v > 1.0:
                x = None
            else:
                x = Some(v + y)
export fn opt(y: f32, n: i32) -> f32:
    x: Option[f32] = None
    for i in 0..n:
        o(mut x, y)
    match x:
        None:
            return -1.0
        Some(v):
            return v
""",
        ("opt", (0.4, 4), -1.0),
        ("opt", (0.4, 3), 1.2),
        ("opt", (0.4, 0), -1.0),
    ),
    rule(
        "tuples everywhere",
        """
fn pair(x: f32[N]) -> ((f32, f32[N]), (i32, bool)):
    return (sum(x), x + 1.0), (len(x), true)
fn flat(x: f32[N]) -> (f32, f32[N], i32, bool):
    return sum(x), x + 1.0, len(x), true
export fn f(x: f32[N]) -> (f32, f32[N], i32):
    s, y, n, t = flat(x)
    if t:
        s, n = s + 1.0, n + 1
    return s, y, n
export fn nested(x: f32[N]) -> ((f32, f32[N]), (i32, bool)):
    return pair(x)
export fn swap(n: i32) -> (i32, i32):
    a, b = 0, 1
    for i in 0..n:
        a, b = b, a + b
    return a, b
export fn of_list(xs: List[(f32, i32)]) -> (f32, i32):
    s = 0.0
    k = 0
    for x, i in xs:
        s += x
        k += i
    return s, k
""",
        ("f", (X,), (3, X + 1, 4)),
        ("nested", (X,), ((2, X + 1), (3, True))),
        ("swap", (10,), (55, 89)),
        ("of_list", ([(1.0, 2), (3.0, 4)],), (4, 6)),
    ),
    rule(
        "loops with changing lists",
        """
export fn queue(n: i32) -> i32:
    q: List[i32] = [n]
    at = 0
    seen = 0
    while at < len(q):
        v = q[at]
        at += 1
        seen += 1
        if v <= 1:
            continue
        if seen > 100:
            return -1
        push(mut q, v // 2)
        push(mut q, v - 2)
    return seen
export fn pascal(n: i32) -> List[List[i32]]:
    rows: List[List[i32]] = [[1]]
    for i in 1..n:
        last = rows[len(rows) - 1]
        row: List[i32] = [1]
        for j in 0..len(last) - 1:
            push(mut row, last[j] + last[j + 1])
        push(mut row, 1)
        push(mut rows, row)
    return rows
export fn change(xs: List[f32], i: i32) -> List[f32]:
    ys = xs
    ys[i] = 5.0
    ys[i] += xs[i]
    return ys
export fn cells(xs: List[f32[3]]) -> List[f32[3]]:
    ys = xs
    for i in 0..len(ys):
        y = ys[i]
        y[1] = f32(i)
        ys[i] = y
    return ys
""",
        ("queue", (9,), SAME),
        ("pascal", (4,), [[1], [1, 1], [1, 2, 1], [1, 3, 3, 1]]),
        ("change", ([1.0, 2.0], 1), [1.0, 7.0]),
        ("cells", ([X, X],), [[1, 0, 3], [1, 1, 3]]),
    ),
    rule(
        "while true with breaks in matches",
        """
type E = Num(n: i32) | Neg(e: E) | Add(a: E, b: E)
fn first_num(e: E) -> i32:
    here = e
    depth = 0
    while true:
        depth += 1
        match here:
            Num(n):
                return n * 100 + depth
            Neg(x):
                here = x
            Add(a, _):
                here = a
                if depth > 3:
                    break
    return -depth
export fn f(e: E) -> i32:
    return first_num(e)
""",
        ("f", (lambda t: t.E.Neg(t.E.Add(t.E.Num(4), t.E.Num(5))),), 403),
    ),
    rule(
        "jvp of vjp, grads in loops, checkpoint",
        """
@checkpoint(sqrt)
fn roll(w: f32[N, N], x: f32[N], n: i32) -> f32[N]:
    y = x
    for i in 0..n:
        y = tanh(w @ y + x)
    return y
fn l(w: f32[N, N], x: f32[N], n: i32) -> f32:
    return sum(roll(w, x, n) ** 2)
export fn g(w: f32[N, N], x: f32[N], n: i32) -> (f32[N, N], f32[N]):
    return grad(l, wrt=(w, x))(w, x, n)
fn gv(x: f32[N], w: f32[N, N], v: f32[N]) -> f32:
    return dot(grad(l, wrt=x)(w, x, 3), v)
export fn hv(w: f32[N, N], x: f32[N], v: f32[N]) -> f32[N]:
    return grad(gv, wrt=x)(x, w, v)
export fn jv(w: f32[N, N], x: f32[N], v: f32[N]) -> (f32, f32):
    y, d = jvp(l, wrt=x)(w, x, 3, v)
    return y, d
export fn sgd(w: f32[N, N], x: f32[N], n: i32) -> f32[N]:
    y = x
    for i in 0..n:
        y -= 0.1 * grad(l, wrt=x)(w, y, 2)
        if norm(y) < 0.1:
            break
    return y
""",
        ("g", (0.1 * np.ones((3, 3), F), X, 5), SAME),
        ("hv", (0.1 * np.ones((3, 3), F), X, X), SAME),
        ("jv", (0.1 * np.ones((3, 3), F), X, X), SAME),
        ("sgd", (0.1 * np.ones((3, 3), F), X, 5), SAME),
    ),
    rule(
        "bool and int state in loops with grad",
        """
fn l(x: f32[N], flags: bool[N], k: i32[N]) -> f32:
    s = 1.0
    on = false
    count = 0
    for i in 0..N:
        if flags[i] and not on:
            on = true
            s *= x[k[i]]
        elif on:
            on = x[i] > 0.0
            count += 1
            s += f32(count) * x[i]
    return s if on or count > 1 else -s
export fn g(x: f32[N], flags: bool[N], k: i32[N]) -> f32[N]:
    return grad(l, wrt=x)(x, flags, k)
""",
        ("g", (X, np.array([True, False, True]), np.array([2, 1, 0], I)), SAME),
    ),
    rule(
        "zero sizes",
        """
export fn a(x: f32[N, M], y: f32[M, K]) -> (f32[N, K], f32[N], f32[M], f32):
    return x @ y, sum(x, 1), mean(x, 0), sum(x)
export fn b(x: f32[N]) -> (f32[N], f32[N], i32[?k]):
    s, _ = sort(x)
    return s, cumsum(x), nonzero_indices(x > 0.0)
export fn c(g: Graph, x: f32[g.nodes, D]) -> f32[g.nodes, D]:
    return mean_in(g, at_src(g, softmax(x)))
export fn d(x: f32[N]) -> f32[N, 2]:
    return concat(column(x), column(-x), axis=1)
export fn e(xs: List[f32[3]]) -> f32[3]:
    y = zeros(3)
    for x in xs:
        y += x
    return y
""",
        (
            "a",
            (np.zeros((0, 3), F), np.zeros((3, 2), F)),
            (np.zeros((0, 2)), np.zeros(0), np.zeros(3), 0),
        ),
        (
            "a",
            (np.zeros((2, 0), F), np.zeros((0, 2), F)),
            (np.zeros((2, 2)), np.zeros(2), np.zeros(0), 0),
        ),
        ("b", (np.zeros(0, F),), (np.zeros(0), np.zeros(0), np.zeros(0))),
        (
            "c",
            (dlc.Graph(np.zeros(0, I), np.zeros(0, I), 0), np.zeros((0, 2), F)),
            np.zeros((0, 2)),
        ),
        (
            "c",
            (dlc.Graph(np.zeros(0, I), np.zeros(0, I), 2), np.zeros((2, 0), F)),
            np.zeros((2, 0)),
        ),
        ("d", (np.zeros(0, F),), np.zeros((0, 2))),
        ("e", ([],), np.zeros(3)),
    ),
    rule(
        "constructors as values of the result type, Nil",
        """
type L[D] = Nil | Cons(x: f32[D], rest: L[D])
fn build(x: f32[N], n: i32) -> L[N]:
    if n == 0:
        return Nil
    return Cons(x * f32(n), build(x, n - 1))
fn add(l: L) -> f32[l.D]:
    match l:
        Nil:
            return zeros(l.D)
        Cons(x, rest):
            return x + add(rest)
export fn f(x: f32[N], n: i32) -> f32[N]:
    return add(build(x, n))
fn rev(l: L, acc: L[l.D]) -> L[l.D]:
    match l:
        Nil:
            return acc
        Cons(x, rest):
            return rev(rest, Cons(x, acc))
export fn r(x: f32[N], n: i32) -> f32[N]:
    e: L[N] = Nil
    match rev(build(x, n), e):
        Cons(y, _):
            return y
        Nil:
            return x
""",
        ("f", (X, 3), 6 * X),
        ("r", (X, 3), X),
        ("r", (X, 0), X),
    ),
    rule(
        "assert facts and reshape",
        """
export fn f(x: f32[N], h: i32, w: i32) -> f32[h, w]:
    assert N == h * w, "fits"
    return reshape(x, h, w)
export fn g(x: f32[N], h: i32) -> f32[h, N // h]:
    return reshape(x, h, N // h)
export fn t(x: f32[A, B]) -> f32[B, A]:
    return x.T
export fn tr(x: f32[A, B, C]) -> f32[C, A, B]:
    return transpose(x, 2, 0, 1)
export fn eq(x: f32[A], y: f32[B]) -> f32[A]:
    if A == B:
        z: f32[A] = y
        return x + z
    return x
""",
        ("f", (X, 1, 3), [X]),
        ("g", (np.arange(6, dtype=F), 2), [[0, 1, 2], [3, 4, 5]]),
        ("t", (W,), W.T),
        ("eq", (X, X), 2 * X),
        ("eq", (X, W[0, :2]), X),
    ),
    rule(
        "sparse and rows",
        """
model E[V, D]:
    t: f32[V, D] ~ normal(1.0)
fn l(m: E, i: i32[K], y: f32[m.D]) -> f32:
    s = 0.0
    for j in i:
        d = m.t[j] - y
        s += dot(d, d)
    return s
export fn g(m: E, i: i32[K], y: f32[m.D]) -> (f32, i32):
    d = grad(l, wrt=m)(m, i, y)
    n = 0
    s = 0.0
    for r, v in d.t:
        n += r
        s += sum(v)
    return s, n
fn ls(w: f32[H, N], x: Sparse[f32, N]) -> f32:
    return sum((w @ x) ** 2)
export fn gs(w: f32[H, N], x: Sparse[f32, N]) -> f32[H, N]:
    return grad(ls, wrt=w)(w, x)
""",
        ("g", (np.array([1, 1, 3], I), X), SAME),
        ("gs", (W, dlc.Sparse.from_dense(np.array([0, 2, 0], F))), SAME),
        dims={"V": 5, "D": 3},
    ),
]
