"""Forms of differentiation in whole programs: second and third order, `jvp` and `vjp`, options,
trees, lists, checkpoints on functions that change, draw, collect or give hidden sizes. `slope`
against central differences of `value`, evaluator and native code, in f64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dlc
from dlc.autodiff.expand import differentiate
from dlc.check.program import check_program
from dlc.diag import SourceFile
from dlc.evaluate import run
from dlc.lower.lowered import lower
from dlc.memory.bufferise import bufferise
from dlc.ops.verify import verify
from dlc.passes.base import run_passes
from dlc.passes.pipeline import AFTER_AUTODIFF, BEFORE_AUTODIFF
from dlc.targets.cpu.llvm import Options
from dlc.targets.cpu.run import compile_module
from tests.laws.doubling import doubled

HEAD = "export fn value({params}) -> f32:\n    return {f}({args})\n"
SLOPE = (
    "export fn slope({params}) -> (f32, f32[N]):\n    return value_and_grad({f}, wrt=x)({args})\n"
)

PROGRAMS: dict[str, str] = {
    "changes an argument, checkpointed": """
@checkpoint(none)
fn change(m: mut f32[N], x: f32[N]) -> f32:
    m = m * x
    return sum(m)

fn f(x: f32[N], n: i32) -> f32:
    m = x
    return change(mut m, sin(x)) + sum(m * m)
""",
    "draws, checkpointed": """
@checkpoint(sqrt)
fn f(x: f32[N], n: i32) -> f32:
    y = x
    k = key(5)
    for i in 0..n + 6:
        k, k2 = split(k)
        y = tanh(y + 0.1 * normal(k2, N)) * x
    return sum(y)
""",
    "collects, checkpointed": """
@checkpoint(every=2)
fn f(x: f32[N], n: i32) -> f32:
    xs: List[f32[N]] = []
    y = x
    for i in 0..n + 4:
        push(mut xs, sin(y))
        y = y * 0.5 + xs[i]
    s = 0.0
    for z in xs:
        s += sum(z * z)
    return s
""",
    "hidden size, checkpointed": """
@checkpoint(none)
fn active(x: f32[N]) -> Sparse[f32, N]:
    return nonzero(relu(x))

fn f(x: f32[N], n: i32) -> f32:
    return sum(sin(outer(x, x) @ active(x)))
""",
    "in a map, checkpointed": """
@checkpoint(none)
fn g(z: f32, w: f32[N]) -> f32:
    return sum(sin(w * z))

fn f(x: f32[N], n: i32) -> f32:
    return sum(map(fn(z) => g(z, x), x))
""",
    "loops in loops, checkpointed": """
@checkpoint(sqrt)
fn inner(y: f32[N], x: f32[N], n: i32) -> f32[N]:
    z = y
    for j in 0..n:
        z = sin(z) * x + 0.5 * y
    return z

@checkpoint(every=3)
fn f(x: f32[N], n: i32) -> f32:
    y = x
    i = 0
    while i < n + 5:
        y = tanh(inner(y, x, n))
        i += 1
        if sum(y) > 4.0:
            break
    return sum(y)
""",
    "an option": """
fn g(o: Option[f32[N]], y: f32[N]) -> f32:
    match o:
        None:
            return sum(y)
        Some(z):
            return dot(z, y)

fn f(x: f32[N], n: i32) -> f32:
    o: Option[f32[N]] = None
    if n > 1:
        o = Some(x * x)
    return g(o, sin(x)) + g(Some(x), x)
""",
    "trees that are built": """
type T[N] = L(z: f32[N]) | B(a: T[N], b: T[N])

fn build(x: f32[N], n: i32) -> T[N]:
    if n <= 0:
        return L(sin(x))
    return B(build(x * 0.5, n - 1), L(x))

fn fold(t: T) -> f32[t.N]:
    match t:
        L(z):
            return z * z
        B(a, b):
            return tanh(fold(a)) * fold(b)

fn f(x: f32[N], n: i32) -> f32:
    return sum(fold(build(x, n)))
""",
    "a gradient of a gradient": """
fn e(y: f32[N], x: f32[N]) -> f32:
    return sum(sin(y * x)) + dot(y, y)

fn f(x: f32[N], n: i32) -> f32:
    y = x
    for i in 0..n:
        y -= 0.1 * grad(e, wrt=y)(y, x)
    return sum(y)
""",
    "a third derivative": """
fn e(y: f32, n: i32) -> f32:
    z = y
    for i in 0..n:
        z = sin(z) * y
    return z

fn e1(y: f32, n: i32) -> f32:
    return grad(e, wrt=y)(y, n)

fn e2(y: f32, n: i32) -> f32:
    return grad(e1, wrt=y)(y, n)

fn f(x: f32[N], n: i32) -> f32:
    s = 0.0
    for z in x:
        s += e2(z, n)
    return s
""",
    "forward mode inside": """
fn e(y: f32[N]) -> f32[N]:
    return sin(y) * sum(y)

fn f(x: f32[N], n: i32) -> f32:
    y, t = jvp(e, wrt=y)(x, cos(x))
    return sum(y * t)
""",
    "a cotangent inside": """
fn e(y: f32[N]) -> f32[N]:
    return sin(y) * sum(y)

fn f(x: f32[N], n: i32) -> f32:
    t = vjp(e, wrt=y)(x, cos(x))
    return sum(sin(x) * t)
""",
    "a fixed point": """
fn f(x: f32[N], n: i32) -> f32:
    return sum(sin(fixpoint(fn(y) => tanh(0.3 * y + x), zeros(N))))
""",
    "forward and again through a fixed point": """
fn s(x: f32[N]) -> f32[N]:
    return fixpoint(fn(y) => 0.4 * sin(x * y) + x, zeros(N), 0.00000000001, 100)

fn e(x: f32[N]) -> f32:
    return sum(s(x))

fn f(x: f32[N], n: i32) -> f32:
    y, t = jvp(s, wrt=x)(x, cos(x))
    return dot(y, t) + dot(grad(e, wrt=x)(x), x)
""",
    "eigenvectors, twice": """
fn e(x: f32[N]) -> f32:
    w, v = eigh(outer(x, x) + diag(x + f32(iota(N))))
    return sum(v @ diag(sin(w)) @ v.T)

fn f(x: f32[N], n: i32) -> f32:
    return dot(grad(e, wrt=x)(x), x)
""",
    "a rule for two results": """
fn rule(x: f32[N], k: i32, d1: f32[N], d2: f32) -> f32[N]:
    return f32(k) * cos(x) * d1 + x * d2

@vjp(rule)
fn two(x: f32[N], k: i32) -> (f32[N], i32, f32):
    return f32(k) * sin(x), k, 0.5 * dot(x, x)

fn f(x: f32[N], n: i32) -> f32:
    a, k, b = two(x * x, n)
    c, l, d = two(a, k + 1)
    return sum(c) * b + d * f32(l)
""",
    "carried pieces of a concatenation": """
fn f(x: f32[N], n: i32) -> f32:
    w = outer(concat(x, x, sin(x), x), concat(x, x, cos(x)))
    h = zeros(N)
    c = x
    for t in 0..n + 1:
        i, o, u, q = chunk(w @ concat(x, h, c), 4)
        c = sigmoid(i) * tanh(u) + sigmoid(q) * c
        h = sigmoid(o) * tanh(c)
    return sum(h * x)
""",
    "each of a list of trees and its gradient": """
type T[D] = L(z: f32[D], k: i32) | B(a: T[D], bs: List[(i32, T[D])])

fn fold(t: T) -> f32[t.D]:
    match t:
        L(z, k):
            return z * f32(k)
        B(a, bs):
            s = fold(a)
            for k, b in bs:
                s = s * 0.5 + sin(fold(b)) * f32(k)
            return s

fn e(ts: List[T[D]]) -> f32:
    s = 0.0
    for t in ts:
        s += sum(fold(t)) * (1.0 + s)
    return s

fn f(x: f32[N], n: i32) -> f32:
    ts: List[T[N]] = []
    for i in 0..n:
        push(mut ts, B(L(x, i), [(1, L(sin(x), 2)), (i, B(L(x, 1), []))]))
    g = grad(e, wrt=ts)(ts)
    h = each(fn(d, p) => d * p, g, ts)
    return e(each(fn(p, d) => p - 0.1 * d, ts, h)) + total(fn(d, p) => d * p, g, ts)
""",
}


TOLERANCE = {"a fixed point": 1e-5}
"""Where the value itself is an iteration that ends; else differences are the limit."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_form(name: str) -> None:
    parts = {"params": "x: f32[N], n: i32", "args": "x, n", "f": "f"}
    text = PROGRAMS[name] + HEAD.format(**parts) + SLOPE.format(**parts)
    module = doubled(lower(check_program(SourceFile("form.dl", text))).module)
    module, _ = run_passes(module, BEFORE_AUTODIFF, verify=verify)
    module, _ = run_passes(verify(differentiate(module)), AFTER_AUTODIFF, verify=verify)
    native = compile_module(bufferise(module), options=Options(level=0))
    r = np.random.default_rng(7)
    for n in (0, 1, 2, 3):
        x, v = r.normal(size=5), r.normal(size=5)

        def along(h: float, x: Any = x, v: Any = v, n: int = n) -> float:
            up, down = (native.call("value", [x + s * v, n])[0] for s in (h, -h))
            return float(up - down) / (2 * h)

        want = along(1e-5) * 4 / 3 - along(2e-5) / 3
        for l, g in (native.call("slope", [x, n]), run(module, "slope", [x, n])):
            got = float(np.dot(g, v))
            assert abs(float(l) - float(native.call("value", [x, n])[0])) <= 1e-9
            most = TOLERANCE.get(name, 2e-7)
            assert abs(got - want) <= most * max(1.0, float(np.abs(g * v).sum())), (n, got, want)


STRUCTURES = """
type T = L(x: f64) | N(a: T, b: T) | E

fn s(t: T, xs: List[f64]) -> f64:
    match t:
        L(x):
            return sin(x) + xs[0] * x
        N(a, b):
            return s(a, xs) * s(b, xs) + xs[len(xs) - 1]
        E:
            return f64(0.5)

export fn value(t: T, xs: List[f64]) -> f64:
    return s(t, xs)

export fn stepped(t: T, xs: List[f64]) -> (T, List[f64]):
    l, dt, dxs = value_and_grad(s, wrt=(t, xs))(t, xs)
    return each(fn(p, d) => p - d, t, dt), each(fn(p, d) => p - d, xs, dxs)
"""


@pytest.mark.parametrize("target", ["evaluate", "cpu"])
def test_a_gradient_that_is_a_tree_or_a_list(target: Any) -> None:
    """Leaf by leaf, against central differences; a leaf that is twice in the tree counts twice."""
    net = dlc.compile(STRUCTURES, target=target, level=0)
    T = net.types.T
    r = np.random.default_rng(1)

    def build(v: list[float]) -> Any:
        return T.N(T.N(T.L(v[0]), T.E()), T.N(T.L(v[1]), T.N(T.L(v[2]), T.L(v[0]))))

    def numbers(t: Any) -> list[float]:
        if isinstance(t, T.L):
            return [float(t.x)]
        return [*numbers(t.a), *numbers(t.b)] if isinstance(t, T.N) else []

    v, xs = list(r.normal(size=3)), list(r.normal(size=3))
    tree, rest = net.stepped(build(v), xs)
    before = np.array([v[0], v[1], v[2], v[0]])
    dt, dxs = before - np.array(numbers(tree)), np.array(xs) - np.array(rest)
    h = 1e-6

    def slope(k: int, at: list[float], call: Any) -> float:
        up, down = list(at), list(at)
        up[k] += h
        down[k] -= h
        return float(call(up) - call(down)) / (2 * h)

    for k in range(3):
        want = slope(k, v, lambda w: net.value(build(w), xs))
        got = dt[k] + (dt[3] if k == 0 else 0)
        assert abs(got - want) <= 1e-7 * max(1, abs(want))
        want = slope(k, xs, lambda w: net.value(build(v), w))
        assert abs(dxs[k] - want) <= 1e-7 * max(1, abs(want))


def test_a_jvp_of_a_rule_that_clips() -> None:
    """It is the rule's slope at cotangents of zero, where nothing is clipped."""
    net = dlc.compile("""
fn rule(x: f32[N], d: f32[N]) -> f32[N]:
    return minimum(maximum(d * x, -1.0), 1.0)

@vjp(rule)
fn half(x: f32[N]) -> f32[N]:
    return 0.5 * x * x

fn loss(x: f32[N]) -> f32:
    return sum(half(x))

export fn forward(x: f32[N], t: f32[N]) -> f32[N]:
    y, d = jvp(half, wrt=x)(x, t)
    return d

export fn backward(x: f32[N]) -> f32[N]:
    return grad(loss, wrt=x)(x)
""", target="evaluate")  # fmt: skip
    x, t = np.array([0.5, 3.0, -2.0], np.float32), np.array([1.0, 4.0, 3.0], np.float32)
    assert np.array_equal(net.forward(x, t), x * t)
    assert np.array_equal(net.backward(x), np.clip(x, -1, 1))


TREE = """
type T = L(x: f32) | N(a: T, b: T)
fn f(t: T) -> f32:
    match t:
        L(x):
            return x
        N(a, b):
            return f(a) * f(b)
fn all_of(ts: List[(i32, T)]) -> f32:
    s = 0.0
    for k, t in ts:
        s += f32(k) * f(t)
    return s
"""


@pytest.mark.parametrize(
    "export",
    [
        "(t: T) -> Tangent[T]:\n    return grad(f, wrt=t)(t)",
        "(t: List[(i32, T)]) -> Tangent[List[(i32, T)]]:\n    return grad(all_of, wrt=ts)(t)",
        "(t: Tangent[T]) -> f32:\n    return total(fn(d) => d, t)",
        "(t: Option[Tangent[T]]) -> i32:\n    return 1",
    ],
)
def test_gradients_of_trees_stay_inside(export: str) -> None:
    text = TREE + "export fn g" + export
    for target in ("evaluate", "cpu"):
        with pytest.raises(dlc.CompileError, match="E0610"):
            dlc.compile(text + "\n", target=target)
