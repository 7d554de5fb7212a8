"""Small programs, rule by rule: features in unusual company, and what they must give."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import dlc

F = np.float32
X = np.array([1.0, -2.0, 3.0], F)
W = np.arange(6, dtype=F).reshape(2, 3)
SAME = object()
"""As a result: whatever it is, both back ends give it."""


@dataclass(frozen=True)
class Rule:
    """A program, and the results of its exports for some arguments. An argument may be
    a function of the net's types."""

    name: str
    text: str
    calls: tuple[tuple[str, tuple[Any, ...], Any], ...]
    bind: dict[str, int] = field(default_factory=dict[str, int])
    dims: dict[str, int] = field(default_factory=dict[str, int])


RULES = [
    Rule(
        "generics of every kind, nested",
        """
fn twice[T: number](x: T[*S]) -> T[*S]:
    return x + x
fn four[T: number](x: T[*S]) -> T[*S]:
    return twice(twice(x))
fn count[K: const](x: f32[N]) -> f32:
    return f32(K) * sum(x)
fn both[M: value](m: M, n: M) -> M:
    return each(fn(a, b) => a + 2.0 * b, m, n)
export fn f(x: f32[A, B], i: i32[A], s: i64) -> (f32[A, B], i32[A], i64, f32):
    y, z = both((x, f32(i)), (x, x[:, 0]))
    return four(x), four(i), twice(s), count[K=3](z) + sum(y)
""",
        (("f", (W, np.array([1, 2], np.int32), 7), (4 * W, [4, 8], 14, 3 * 9 + 3 * 15)),),
    ),
    Rule(
        "an array of models that hold arrays of models",
        """
model Unit[W]:
    s: f32[W] ~ ones()
model Block[W, N: const]:
    units: Array[Unit[W], N]
    b: f32[W] ~ fill(0.5)
model Net[W, B: const]:
    blocks: Array[Block[W, 2], B]
fn block(m: Block, x: f32[m.W]) -> f32[m.W]:
    y = x
    for i in 0..2:
        y = y * m.units[i].s + m.b
    return y
export fn run(m: Net, x: f32[m.W], first: i32) -> f32[m.W]:
    y = x
    for i in first..m.B:
        y = block(m.blocks[i], y)
    static for j in 0..m.B:
        y = y + m.blocks[j].b
    return y
""",
        (("run", (X, 0), X + 3 + 1.5), ("run", (X, 2), X + 1 + 1.5), ("run", (X, 9), X + 1.5)),
        {"m.B": 3},
        {"m.W": 3},
    ),
    Rule(
        "options in options, in lists, in constructors",
        """
type Chain = Node(label: Option[i32], next: Option[Chain])
fn depth(n: Chain) -> i32:
    match n:
        Node(label, next):
            here = 0
            match label:
                Some(v):
                    here = v
                None:
                    here = 100
            match next:
                Some(more):
                    return here + depth(more)
                None:
                    return here
export fn total(n: Chain) -> i32:
    return depth(n)
export fn nested(o: Option[Option[f32]]) -> f32:
    match o:
        None:
            return -1.0
        Some(inner):
            match inner:
                None:
                    return -2.0
                Some(x):
                    return x
export fn firsts(xs: List[Option[i32]]) -> List[Option[Option[i32]]]:
    out: List[Option[Option[i32]]] = []
    for x in xs:
        match x:
            Some(v):
                if v > 1:
                    push(mut out, Some(Some(v)))
                else:
                    push(mut out, Some(None))
            None:
                push(mut out, None)
    return out
""",
        (
            ("nested", (None,), -1.0),
            ("nested", (dlc.Some(None),), -2.0),
            ("nested", (dlc.Some(4.0),), 4.0),
            ("firsts", ([1, None, 5],), [dlc.Some(None), None, dlc.Some(5)]),
            (
                "total",
                (lambda t: t.Chain.Node(3, t.Chain.Node(None, t.Chain.Node(5, None))),),
                108,
            ),
        ),
    ),
    Rule(
        "lists of lists, of tuples, of trees",
        """
type T = L(x: f32) | N(kids: List[T])
fn walk(t: T) -> f32:
    match t:
        L(x):
            return x
        N(kids):
            return fold(fn(s, k) => s + walk(k), 0.0, kids) + f32(len(kids))
export fn tree(t: T) -> f32:
    return walk(t)
export fn lengths(xs: List[List[f32]]) -> List[i32]:
    return map(fn(ys) => len(ys), xs)
export fn flat(xs: List[List[f32]]) -> List[(i32, f32)]:
    out: List[(i32, f32)] = []
    for i in 0..len(xs):
        for y in xs[i]:
            if y < 0.0:
                continue
            push(mut out, (i, y))
    return out
export fn grow(n: i32) -> List[List[i32]]:
    out: List[List[i32]] = []
    for i in 0..n:
        row: List[i32] = []
        for j in 0..i:
            push(mut row, i * j)
        push(mut out, row)
    return out
""",
        (
            ("lengths", ([[1.0], [], [2.0, 3.0]],), [1, 0, 2]),
            ("flat", ([[1.0], [], [-2.0, 3.0]],), [(0, 1.0), (2, 3.0)]),
            ("grow", (4,), [[], [0], [0, 2], [0, 3, 6]]),
            ("grow", (0,), []),
            ("tree", (lambda t: t.T.N([t.T.L(1.0), t.T.N([]), t.T.N([t.T.L(2.0)])]),), 7.0),
        ),
    ),
    Rule(
        "mut in loops, in branches, through calls",
        """
fn bump(x: mut f32[N], i: i32, by: f32):
    if i >= 0:
        x[i] += by
    else:
        x[-1 - i] -= by
fn sweep(x: mut f32[N], log: mut List[f32]) -> i32:
    for i in 0..N:
        if i == 2:
            return i
        bump(mut x, i, 10.0)
        push(mut log, x[i])
    return -1
export fn f(x: mut f32[N]) -> (i32, List[f32]):
    log: List[f32] = []
    a = sweep(mut x, mut log)
    if a > 0:
        bump(mut x, -1, 1.0)
        b = sweep(mut x, mut log)
        return a + b, log
    return a, log
export fn swap(x: mut f32[N], y: mut f32[N]):
    old = x
    x = y
    y = old
export fn copies(x: f32[N]) -> (f32[N], f32[N]):
    a = x
    b = a
    a[0] = 100.0
    b[0] += a[0]
    return a, b
""",
        (
            ("f", (X,), (4, [11, 8, 20, 18])),
            ("f", (X[:1],), (-1, [11])),
            ("copies", (X,), ([100, -2, 3], [101, -2, 3])),
        ),
    ),
    Rule(
        "keys in branches and loops",
        """
fn some(k: Key, n: i32) -> f32[n]:
    y = zeros(n)
    for i in 0..n:
        k, a = split(k)
        if i % 2 == 0:
            y[i] = uniform(a)
        else:
            b, c = split(a)
            y[i] = uniform(b) + uniform(c)
    return y
export fn f(k: Key, deep: bool) -> f32:
    a, b = split(k)
    if deep:
        return sum(some(a, 3)) - sum(some(b, 3))
    return uniform(a) - uniform(a_of(b))
fn a_of(k: Key) -> Key:
    a, _ = split(k)
    return a
export fn spread(k: Key, n: i32) -> f32:
    z = map(fn(q) => normal(q), splits(k, n))
    return f32(n) if all(z[1 : ] != z[0 : n - 1]) else 0.0
""",
        (("spread", (3, 20), 20.0), ("spread", (3, 1), 1.0)),
    ),
    Rule(
        "static for with types that differ by turn",
        """
fn pyramid[B: const](x: f32[N], first: i32) -> f32:
    total = 0.0
    static for i in 0..B:
        y = fill(1.0, i + 1, N)
        total += sum(y * x)
        if i == 1:
            total += 1000.0
    return total + f32(first)
export fn f(x: f32[N]) -> (f32, f32, f32):
    return pyramid[B=0](x, 1), pyramid[B=1](x, 2), pyramid[B=3](x, 3)
fn pick[K: const](x: f32[N]) -> f32:
    static for i in 0..K:
        if i == K - 1:
            return x[i]
    return -1.0
export fn g(x: f32[N]) -> (f32, f32):
    return pick[K=0](x), pick[K=2](x)
""",
        (("f", (X,), (1, 4, 3 + 12 + 1000)), ("g", (X,), (-1, -2))),
    ),
    Rule(
        "shadowing of builtins, of constructors' fields, of loop variables",
        """
fn softmax(x: f32[N]) -> f32[N]:
    return 2.0 * x
type Pair = P(x: f32, y: f32)
fn norm(p: Pair) -> f32:
    match p:
        P(y, x):
            return 10.0 * x + y
export fn f(x: f32[N]) -> (f32[N], f32):
    sum = softmax(x)
    for i in 0..2:
        j = i
        sum = softmax(sum)
    i = 7
    return sum, norm(P(1.0, 2.0)) + f32(i)
""",
        (("f", (X,), (8 * X, 21 + 7)),),
    ),
    Rule(
        "models that contain themselves through lists and options",
        """
type Tree = Leaf | Node(w: f32, kids: List[Tree])
fn grow(n: i32) -> Tree:
    if n == 0:
        return Leaf
    kids: List[Tree] = []
    for i in 0..n:
        push(mut kids, grow(i))
    return Node(f32(n), kids)
fn weight(t: Tree) -> f32:
    match t:
        Leaf:
            return 1.0
        Node(w, kids):
            return w + total_of(kids)
fn total_of(ts: List[Tree]) -> f32:
    y = 0.0
    for t in ts:
        y += weight(t)
    return y
export fn f(n: i32) -> f32:
    return weight(grow(n))
export fn same(t: Tree) -> Tree:
    return t
""",
        (("f", (0,), 1.0), ("f", (3,), 3 + 1 + (1 + 1) + (2 + 1 + (1 + 1)))),
    ),
    Rule(
        "functions as arguments, with captures, through two levels",
        """
fn apply(f: fn(f32[N]) -> f32[N], x: f32[N], n: i32) -> f32[N]:
    y = x
    for i in 0..n:
        y = f(y)
    return y
fn compose(f: fn(f32[N]) -> f32[N], g: fn(f32[N]) -> f32[N], x: f32[N]) -> f32[N]:
    return apply(fn(y) => f(g(y)), x, 2)
fn half(x: f32[N]) -> f32[N]:
    return 0.5 * x
export fn f(x: f32[N], a: f32, n: i32) -> f32[N]:
    b = a + 1.0
    return compose(fn(y) => apply(fn(z) => z + b, y, n), half, x)
fn least(f: fn(f32[N]) -> f32, x: f32[N]) -> f32[N]:
    return x - 0.5 * grad(f, wrt=0)(x)
export fn down(x: f32[N], c: f32[N]) -> f32[N]:
    return least(fn(y) => sum((y - c) * (y - c)), x)
export fn folds(x: f32[N], m: f32[K, N]) -> (f32, f32[K, N], f32[K]):
    s = fold(fn(acc, v) => acc * 0.5 + v, 0.0, x)
    states = scan(fn(h, row) => h + row, x, m)
    return s, states, map(fn(row) => dot(row, x), m)
""",
        (
            ("f", (X, 1.0, 3), (X * 0.5 + 6) * 0.5 + 6),
            ("down", (X, 2 * X), 2 * X),
            ("folds", (X, W), (2.25, X + np.cumsum(W, 0), W @ X)),
        ),
    ),
    Rule(
        "dims: polynomials, quotients, whole numbers, unknowns, facts",
        """
fn pairs(x: f32[2*N]) -> f32[N, 2]:
    return reshape(x, N, 2)
fn halves(x: f32[N]) -> (f32[N // 2], f32[N - N // 2]):
    h = N // 2
    return x[0 : h], x[h : N]
export fn f(x: f32[2*N + 1]) -> f32[N, 2]:
    return pairs(x[1 : ])
export fn g(x: f32[N]) -> (f32, f32):
    a, b = halves(x)
    return sum(a), sum(b)
export fn positives(x: f32[N]) -> f32[?k]:
    i = nonzero_indices(x > 0.0)
    return x[i]
export fn even(x: f32[N]) -> f32:
    y: f32[2*?n] = x
    return sum(reshape(y, n, 2)[:, 0])
export fn equal(x: f32[N], y: f32[M]) -> f32:
    assert N == M, "as long"
    return dot(x, y)
export fn grid(h: i32, w: i32) -> f32[h, w]:
    return fill(1.0, h, w) * column(f32(iota(h)))
export fn square(n: i32) -> i32[n * n - n]:
    return iota(n * n - n)
export fn named(x: f32[N], k: i32) -> f32[k + 2]:
    m = k + 2
    return pad(x, 0, m - N, 9.0)
""",
        (
            ("f", (np.arange(5, dtype=F),), [[1, 2], [3, 4]]),
            ("g", (np.arange(5, dtype=F),), (1, 9)),
            ("g", (np.zeros(0, F),), (0, 0)),
            ("positives", (X,), [1, 3]),
            ("positives", (-np.abs(X),), []),
            ("even", (np.arange(4, dtype=F),), 2),
            ("equal", (X, X), 14),
            ("grid", (2, 3), [[0, 0, 0], [1, 1, 1]]),
            ("grid", (0, 3), np.zeros((0, 3))),
            ("square", (3,), np.arange(6)),
            ("named", (X, 3), [1, -2, 3, 9, 9]),
        ),
    ),
    Rule(
        "indexing and assignment of every form",
        """
export fn f(x: f32[A, B], i: i32, idx: i32[K]) -> (f32[B], f32[A], f32, f32[K, B]):
    return x[i], x[:, i], x[i, -1], x[idx]
export fn g(x: f32[A, B], i: i32) -> f32[A, B]:
    y = x
    y[i] = 0.0
    y[:, 0] = 5.0
    y[i, -1] *= 10.0
    y[0 : 1, 1] += 1.0
    return y
export fn gathered(x: f32[A, B], i: i32[P, Q]) -> f32[P, Q, B]:
    return x[i]
export fn parts(x: f32[A, B], n: i32) -> f32[n, B - 1]:
    return x[0 : n, 1 :]
""",
        (
            ("f", (W, 1, np.array([1, 0], np.int32)), (W[1], W[:, 1], 5, W[[1, 0]])),
            ("g", (W, 1), [[5, 2, 2], [5, 0, 0]]),
            ("gathered", (W, np.array([[1, 0]], np.int32)), W[[[1, 0]]]),
            ("parts", (W, 1), W[:1, 1:]),
        ),
    ),
    Rule(
        "numbers: division, overflow, rounding, conversion",
        """
export fn whole(a: i32, b: i32) -> (i32, i32):
    return a // b, a % b
export fn wraps(a: i32) -> (i32, i8, u8):
    return a * a, i8(a), u8(a)
export fn narrow(x: f32) -> (i32, i8, u8, bool):
    return i32(x), i8(x), u8(x), bool(x)
export fn round_half(x: f32[N]) -> f32[N]:
    return round(x)
export fn of_none(x: f32[N]) -> (f32, f32, f32, bool, bool):
    return sum(x), mean(x), max(x), all(x > 0.0), any(x > 0.0)
export fn backwards(a: i32, b: i32) -> i32:
    n = 0
    for i in a..b:
        n += 1
    return n
export fn nans(x: f32, y: f32) -> (f32, f32, f32, bool):
    return maximum(x, y), minimum(x, y), relu(x * y), x == x
export fn powers(x: f32, i: i32) -> (f32, f32, f32, i32):
    return x ** 2, x ** 0.5, x ** f32(i), i ** 3
""",
        (
            ("whole", (-7, 2), (-4, 1)),
            ("whole", (7, -2), (-4, -1)),
            ("wraps", (70000,), (70000 * 70000 - 2**32, 112, 112)),
            ("narrow", (300.7,), (300, 127, 255, True)),
            ("narrow", (-1.5,), (-1, -1, 0, True)),
            ("narrow", (float("nan"),), (0, 0, 0, True)),
            ("narrow", (1e20,), (2**31 - 1, 127, 255, True)),
            ("round_half", (np.array([0.5, 1.5, 2.5, -0.5], F),), [0, 2, 2, -0.0]),
            ("of_none", (np.zeros(0, F),), (0, 0, np.finfo(F).min, True, False)),
            ("backwards", (3, 1), 0),
            ("backwards", (-1, 2), 3),
            ("nans", (float("nan"), 1.0), (np.nan, np.nan, np.nan, False)),
            ("powers", (4.0, 3), (16, 2, 64, 27)),
        ),
    ),
    Rule(
        "flow: break, continue, return from nested loops and matches",
        """
type Op = Push(v: f32) | Add | Stop
export fn run(ops: List[Op]) -> f32:
    stack: List[f32] = []
    n = 0
    for op in ops:
        match op:
            Stop:
                break
            Push(v):
                if v < 0.0:
                    continue
                push(mut stack, v)
            Add:
                if len(stack) < 2:
                    return -1.0
                s = stack[len(stack) - 1] + stack[len(stack) - 2]
                push(mut stack, s)
        n += 1
    else_value = 0.0
    while n > 0:
        n -= 1
        if n == 1:
            continue
        else_value += 1.0
        if else_value > 3.0:
            break
    return stack[len(stack) - 1] + 100.0 * else_value
export fn find(m: f32[A, B], x: f32) -> (i32, i32):
    for i in 0..A:
        for j in 0..B:
            if m[i, j] == x:
                return i, j
    return -1, -1
export fn choose(i: i32) -> i32:
    if i == 0:
        return 10
    elif i == 1:
        return 11
    else:
        while true:
            if i > 5:
                return 12
            break
    return 13
""",
        (
            ("find", (W, 4.0), (1, 1)),
            ("find", (W, 9.0), (-1, -1)),
            ("choose", (0,), 10),
            ("choose", (1,), 11),
            ("choose", (2,), 13),
            ("choose", (6,), 12),
            ("run", (lambda t: [t.Op.Add()],), -1.0),
            (
                "run",
                (
                    lambda t: [
                        t.Op.Push(1.0),
                        t.Op.Push(-1.0),
                        t.Op.Push(2.0),
                        t.Op.Add(),
                        t.Op.Stop(),
                        t.Op.Push(9.0),
                    ],
                ),
                3 + 200.0,
            ),
        ),
    ),
    Rule(
        "types with dims, built and taken apart",
        """
type Expr[D] = Var(v: f32[D]) | Sum(a: Expr[D], b: Expr[D]) | Scale(s: f32, e: Expr[D])
fn value(e: Expr) -> f32[e.D]:
    match e:
        Var(v):
            return v
        Sum(a, b):
            return value(a) + value(b)
        Scale(s, x):
            return s * value(x)
export fn f(x: f32[N], n: i32) -> f32[N]:
    e: Expr[N] = Var(x)
    for i in 0..n:
        e = Sum(Scale(2.0, e), Var(x))
    return value(e)
export fn given(e: Expr) -> f32[e.D]:
    return value(e)
fn doubled(e: Expr) -> Expr[e.D]:
    return Scale(2.0, e)
export fn back(e: Expr) -> Expr[e.D]:
    return doubled(doubled(e))
""",
        (
            ("f", (X, 3), 15 * X),
            (
                "given",
                (lambda t: t.Expr.Sum(t.Expr.Var(X), t.Expr.Scale(3.0, t.Expr.Var(X))),),
                4 * X,
            ),
        ),
    ),
]
