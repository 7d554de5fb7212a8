"""What programs mean, construct by construct, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc import evaluate
from dlc.autodiff.expand import differentiate
from dlc.check.onnx_model import OnnxSignature
from dlc.check.program import check_program
from dlc.diag import CompileError, SourceFile
from dlc.ir.reader import read_module
from dlc.lower.lowered import Lowered, lower
from dlc.lower.program import OnnxFunction
from dlc.ops.verify import verify
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import F32, I32
from dlc.typesys.surface import Tensor

RNG = np.random.default_rng(5)


def lowered(text: str, **consts: Any) -> Lowered:
    made = lower(check_program(SourceFile("t.dl", text)), tests=True, consts=consts)
    return Lowered(verify(differentiate(verify(made.module))), made.interface)


def run(text: str, name: str, *args: Any, consts: dict | None = None, **dims: int) -> tuple:
    made = lowered(text, **({name: consts} if consts else {}))
    given = {k.replace("__", "."): v for k, v in dims.items()}
    out = evaluate.run(made.module, name, args, given or None)
    return tuple(v if isinstance(v, np.ndarray) else evaluate.to_python(v) for v in out)


def f32(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def close(got: Any, want: Any, tol: float = 1e-5) -> None:
    np.testing.assert_allclose(np.asarray(got, np.float64), want, rtol=tol, atol=tol)


# -- derivatives


def test_fixpoints_have_the_derivative_of_their_solution():
    text = """fn solve_for(a: f32[N, N], b: f32[N]) -> f32[N]:
    return fixpoint(fn(x) => tanh(a @ x + b), zeros(N), 0.0000001, 500)
fn loss(a: f32[N, N], b: f32[N], d: f32[N]) -> f32:
    return dot(solve_for(a, b), d)
export fn both(a: f32[N, N], b: f32[N], d: f32[N]) -> (f32[N], f32[N, N], f32[N]):
    ga, gb = grad(loss, wrt=(a, b))(a, b, d)
    return solve_for(a, b), ga, gb
"""
    a, b, d = f32(4, 4) * 0.2, f32(4), f32(4)
    x, ga, gb = run(text, "both", a, b, d)
    close(x, np.tanh(a @ x + b))
    jac = np.diag(1 - x.astype(np.float64) ** 2)
    w = np.linalg.solve(np.eye(4) - (jac @ a).T, d)
    close(gb, jac @ w, 1e-4)
    close(ga, np.outer(jac @ w, x), 1e-4)


def test_a_rule_replaces_the_derivative():
    text = """fn rule(x: f32[N], s: f32, dy: f32[N]) -> (f32[N], f32):
    return dy * 100.0, 7.0
@vjp(rule)
fn odd(x: f32[N], s: f32) -> f32[N]:
    return x * s
fn loss(x: f32[N], s: f32) -> f32:
    return sum(odd(x, s))
export fn both(x: f32[N], s: f32) -> (f32[N], f32):
    return grad(loss, wrt=(x, s))(x, s)
"""
    dx, ds = run(text, "both", f32(3), 2.0)
    assert list(dx) == [100.0] * 3 and ds == 7.0


def test_products_with_the_jacobian():
    text = """fn field(x: f32[N], a: f32) -> (f32[N], f32):
    return a * sin(x), sum(x)
export fn f(x: f32[N], a: f32, u: f32[N], v: f32[N]) -> (f32[N], f32[N], f32, f32[N]):
    back = vjp(field, wrt=x)(x, a, u)
    p, q, forth = jvp(field, wrt=x)(x, a, v)
    return back, p, q, forth
"""
    x, u, v = f32(3), f32(3), f32(3)
    back, p, q, forth = run(text, "f", x, 2.0, u, v)
    close(back, u * 2 * np.cos(x))
    close(p, 2 * np.sin(x))
    close(q, x.sum())
    close(forth, 2 * np.cos(x) * v)


def test_what_follows_the_differentiated_component():
    text = """fn loss(x: f32[N]) -> (f32, i32, f32[N]):
    return sum(x * x), argmax(x), 2.0 * x
export fn f(x: f32[N]) -> (f32[N], i32, f32[N], f32):
    g, i, y = grad(loss, wrt=x)(x)
    l, j, z, h = value_and_grad(loss, wrt=x)(x)
    return g, i, y, l + sum(h)
"""
    x = f32(4)
    g, i, y, total = run(text, "f", x)
    close(g, 2 * x)
    close(y, 2 * x)
    assert i == np.argmax(x)
    close(total, (x * x).sum() + (2 * x).sum())


def test_gradients_of_gradients():
    text = """fn cube(x: f32[N]) -> f32:
    return sum(x ** 3)
fn slope(x: f32[N], v: f32[N]) -> f32:
    return dot(grad(cube, wrt=x)(x), v)
export fn f(x: f32[N], v: f32[N]) -> f32[N]:
    return grad(slope, wrt=x)(x, v)
"""
    x, v = f32(3), f32(3)
    close(run(text, "f", x, v)[0], 6 * x * v)


def test_gradients_of_lists_and_trees():
    text = """type Tree = Leaf(x: f32) | Node(a: Tree, b: Tree)
fn value(t: Tree) -> f32:
    match t:
        Leaf(x):
            return x * x
        Node(a, b):
            return value(a) * value(b)
fn loss(xs: List[f32], t: Tree) -> f32:
    total = value(t)
    for x in xs:
        total += x * x * x
    return total
export fn f(xs: List[f32], t: Tree) -> (List[f32], f32):
    g, d = grad(loss, wrt=(xs, t))(xs, t)
    return each(fn(p, q) => p - q, xs, g), total(fn(x) => x, each(fn(p, q) => p + q, t, d))
"""
    xs, total = run(text, "f", [1.0, 2.0], ("Node", ("Leaf", 2.0), ("Leaf", 3.0)))
    close(xs, [1 - 3, 2 - 12])
    close(total, 2 + 3 + 2 * 2 * 9 + 4 * 2 * 3)


def test_clipping_and_adam():
    text = """from optim import adam, clip
model Net[N]:
    w: f32[N] ~ ones()
    n: i32    ~ zeros()
fn loss(m: Net, x: f32[m.N]) -> f32:
    return dot(m.w, x)
export fn f(m: mut Net, a: mut f32[m.N], x: f32[m.N]) -> f32:
    l, g = value_and_grad(loss, wrt=m)(m, x)
    h = clip(g, 1.0)
    s = total(fn(d) => d * d, h)
    zero = each(fn(p) => 0.0, m)
    n, u, v = adam(m, h, zero, zero, 1, 0.1)
    m = n
    a = u.w
    return s
"""
    x = np.array([3.0, 4.0], np.float32)
    s, w, n, a = run(text, "f", np.ones(2, np.float32), 5, np.zeros(2, np.float32), x)
    close(s, 1.0)
    close(a, 0.1 * x / 5)
    close(w, 1 - 0.1 * np.ones(2), 1e-4)
    assert n == 5


# -- functions of functions


def test_maps_over_lists_and_several_results():
    text = """export fn f(
    xs: List[f32], x: f32[N, D]
) -> (List[f32], List[f32[D]], f32[N], f32[N, D]):
    ys = map(fn(x) => x * 2.0, xs)
    a, b = map(fn(r) => (sum(r), r + 1.0), x)
    push(mut ys, 0.5)
    zs: List[f32[D]] = []
    for r in x:
        push(mut zs, r)
    return ys, map(fn(r, y) => r * y, zs, xs), a, b
"""
    x = f32(2, 3)
    ys, zs, a, b = run(text, "f", [1.0, 2.0], x)
    close(ys, [2.0, 4.0, 0.5])
    close(zs, x * np.array([[1.0], [2.0]]))
    close(a, x.sum(1))
    close(b, x + 1)
    with pytest.raises(evaluate.RunError, match="different lengths"):
        run(text, "f", [1.0], x)


def test_functions_as_parameters():
    text = """fn twice(f: fn(f32[N]) -> f32[N], x: f32[N]) -> f32[N]:
    return f(f(x))
export fn g(x: f32[N], a: f32) -> f32[N]:
    b = a + 1.0
    return twice(fn(v) => b * v + x, x)
"""
    x = f32(3)
    close(run(text, "g", x, 1.0)[0], 2 * (2 * x + x) + x)


def test_scans_over_lists_and_tuples_of_states():
    text = """export fn f(xs: List[f32[D]], h: f32[D]) -> (List[f32[D]], f32[D], f32):
    hs = scan(fn(s, x) => s + x, h, xs)
    a, n = fold(fn(s, x) => (s[0] + x, s[1] + 1.0), (h, 0.0), xs)
    return hs, a, n
"""
    text = text.replace("s[0] + x, s[1] + 1.0", "x, 1.0")
    xs, h = [f32(2), f32(2)], f32(2)
    hs, a, n = run(text, "f", xs, h)
    close(hs, [h + xs[0], h + xs[0] + xs[1]])
    close(a, xs[1])
    assert n == 1.0


# -- structures


def test_options_and_wildcards():
    text = """type Shape = Dot | Line(n: f32) | Box(a: f32, b: f32)
fn area(s: Shape) -> Option[f32]:
    match s:
        Box(a, b):
            return Some(a * b)
        _:
            return None
export fn f(s: Shape) -> f32:
    match area(s):
        Some(value):
            return value
        None:
            return -1.0
"""
    assert run(text, "f", ("Box", 2.0, 3.0))[0] == 6.0
    assert run(text, "f", ("Dot",))[0] == -1.0


def test_sparse_vectors_in_lists_and_types():
    text = """type Event = Quiet | Fired(s: Sparse[f32, N], t: i32)
fn strength(e: Event) -> f32:
    match e:
        Quiet:
            return 0.0
        Fired(s, t):
            return sum(dense(s)) * f32(t)
export fn f(x: f32[R, 4]) -> (f32, i32):
    kept: List[Sparse[f32, 4]] = []
    total = 0.0
    for r in x:
        push(mut kept, nonzero(r))
        e: Event[4] = Fired(nonzero(r), 2)
        total += strength(e)
    count = 0
    for s in kept:
        i, v = active(s)
        count += len(i)
    return total, count
""".replace("type Event =", "type Event[N] =").replace("count += len(i)", "count += sum(0 * i + 1)")
    x = np.array([[0, 1, 0, 2], [0, 0, 0, 0], [5, 0, 0, 0]], np.float32)
    total, count = run(text, "f", x)
    close(total, 2 * x.sum())
    assert count == 3


def test_graphs_are_built_and_turned_around():
    text = """export fn f(n: i32, src: i32[E], dst: i32[E], x: f32[n]) -> f32[n]:
    g = graph(n, src, dst)
    h = reversed(g)
    return sum_in(g, at_src(g, x)) - sum_in(h, at_src(h, x))
"""
    src, dst = np.array([0, 1], np.int32), np.array([1, 2], np.int32)
    x = f32(3)
    close(run(text, "f", 3, src, dst, x)[0], [-x[1], x[0] - x[2], x[1]])
    with pytest.raises(evaluate.RunError):
        run(text, "f", 3, src, dst + 1, x)


def test_arrays_of_models_nest():
    text = """model Cell[D]:
    w: f32[D] ~ ones()
model Row[B: const, D]:
    cells: Array[Cell[D], B]
model Grid[A: const, B: const, D]:
    rows: Array[Row[B, D], A]
export fn f(m: Grid[A=2, B=3], i: i32, j: i32) -> f32[m.D]:
    return m.rows[i].cells[j].w + m.rows[1].cells[2].w
"""
    w = f32(2, 3, 4)
    close(run(text, "f", w, 0, 1)[0], w[0, 1] + w[1, 2])
    with pytest.raises(evaluate.RunError):
        run(text, "f", w, 0, 3)
    (weight,) = lowered(text).interface.parameter_sets[0].weights
    assert weight.path == ("rows", "cells", "w") and weight.arrays == (1, 2)


# -- dims


def test_recursion_may_change_dims():
    text = """fn halves(x: f32[N]) -> f32:
    if N == 0:
        return 0.0
    if N == 1:
        return x[0]
    n = N // 2
    return halves(x[0:n]) - halves(x[n:])
export fn f(x: f32[N]) -> f32:
    return halves(x)
"""

    def halves(x):
        return x.sum() if len(x) < 2 else halves(x[: len(x) // 2]) - halves(x[len(x) // 2 :])

    x = f32(13)
    close(run(text, "f", x)[0], halves(x))


def test_sizes_that_are_values():
    text = """export fn f(x: f32[N], i: i32) -> f32:
    k = i - 1
    total = 0.0
    if k > 0:
        total = sum(fill(1.0, k))
    return total + sum(x[0 : i])
"""
    x = f32(5)
    close(run(text, "f", x, 3)[0], 2 + x[:3].sum())
    close(run(text, "f", x, 0)[0], 0.0)
    with pytest.raises(evaluate.RunError):
        run(text, "f", x, -1)
    with pytest.raises(evaluate.RunError):
        run(text, "f", x, 6)


FAILURES = [
    ("    y: f32[3] = x\n    return y[0]", "shape", 2, 5, "y: f32[3] = x"),
    ('    assert N == 3, "three"\n    return x[0]', "shape", 2, 12, "three"),
    ("    y = reshape(x, 3, 1)\n    return y[0, 0]", "shape", 2, 9, "4 elements reshaped to 3"),
    ("    z = 1.0\n    return z + x[i]", "bounds", 3, 16, "index 9 of 4 rows"),
    ("    return x[0] * f32(i // (i - 9))", "div_zero", 2, 23, "division by zero"),
    ("    assert x[0] > 9.0\n    return x[0]", "assert", 2, 5, "x[0] > 9.0"),
    ("    return sum(fill(1.0, 3 - i))", "shape", 2, 16, "a size of -6"),
]


@pytest.mark.parametrize(("body", "status", "line", "column", "message"), FAILURES)
def test_failures_have_their_place(body, status, line, column, message):
    source = f"export fn f(x: f32[N], i: i32) -> f32:\n{body}\n"
    with pytest.raises(evaluate.RunError) as e:
        run(source, "f", np.zeros(4, np.float32), 9)
    assert (e.value.status, e.value.message) == (status, message)
    assert (e.value.loc.line, e.value.loc.column) == (line, column)


def test_keys_make_the_same_draws_again():
    text = """export fn f(k: Key, n: int) -> (f32[n], f32[n, 2], i32[n]):
    a, k2 = split(k)
    b, c = split(k2)
    return uniform(a, n), map(fn(q) => normal(q, 2), splits(b, n)), permutation(c, n)
"""
    one, two = run(text, "f", 5, 6, n=6), run(text, "f", 5, 6, n=6)
    for a, b in zip(one, two, strict=True):
        assert (a == b).all()
    assert not (run(text, "f", 6, 6, n=6)[0] == one[0]).any()
    assert len(np.unique(one[1])) == 12


def test_element_types():
    text = """export fn f(
    a: i8[N], b: i8[N], x: f16[M], y: bf16[M], n: u8
) -> (i32[1], f16, bf16, i64, bool):
    return [a] @ b, mean(x), mean(y), i64(n) * 3, bool(n)
"""
    a = np.array([100, -100], np.int8)
    x = (np.arange(3000) % 7).astype(np.float16)
    y = lowered(text).interface.entries[0].parameters[3].leaves[0].type.dtype.numpy
    dot, m, mb, n, t = run(text, "f", a, a, x, x.astype(y), np.uint8(200))
    assert list(dot) == [20000] and n == 600 and t
    close(m, x.astype(np.float64).mean(), 1e-2)
    close(np.float32(mb), x.astype(np.float64).mean(), 1e-2)


# -- models from ONNX


BACKBONE = """fn @Backbone.graph[batch](%w: f32[2, 3], %x: f32[batch, 3])
    -> (f32[batch, 2], i32[k]) def k {entry=true} {
  %y = contract %x, %w {spec="bi,oi->bo"} : f32[batch, 2]
  %c = const {value=array(bool, [3], [true, false, true])} : bool[3]
  %i = nonzero_indices %c def k_1 : i32[k_1]
  return %y, %i {dims=[dim(k_1)]}
}
"""


def test_a_model_from_onnx_is_called():
    text = """import onnx "b.onnx" as Backbone
model Net[D]:
    backbone: Backbone
    gain: f32[D]
export fn f(m: Net, x: f32[3]) -> (f32[m.D], i32):
    ys, kept = m.backbone([x])
    y: f32[m.D] = ys[0]
    return y * m.gain, sum(0 * kept + 1)
"""
    batch, k = Dim.sym("batch"), Dim.sym("k")
    signature = OnnxSignature(
        "b.onnx",
        (("x", Tensor(F32, (batch, Dim.const(3)))),),
        (Tensor(F32, (batch, Dim.const(2))), Tensor(I32, (k,))),
        (("w", Tensor(F32, (Dim.const(2), Dim.const(3)))),),
    )
    checked = check_program(SourceFile("t.dl", text), onnx=lambda path, span: signature)
    function = OnnxFunction("Backbone.graph", read_module(BACKBONE))
    made = lower(checked, onnx={"t.Backbone": function})
    verify(made.module)
    assert "entry" not in made.module.functions["Backbone.graph"].attrs
    w, gain, x = f32(2, 3), f32(2), f32(3)
    y, n = evaluate.run(made.module, "f", [w, gain, x])
    close(y, (w @ x) * gain)
    assert n == 2
    with pytest.raises(evaluate.RunError):
        evaluate.run(made.module, "f", [w, f32(3), x])


# -- tangents stored as rows


def test_a_derivative_by_rows_keeps_their_numbers():
    text = """fn f(g: Rows[f32, V, D], x: f32[D]) -> f32:
    s = 0.0
    for r, d in g:
        s += f32(r) * dot(d, x) ** 2
    return s
export fn h(g: Rows[f32, V, D], x: f32[D]) -> Rows[f32, V, D]:
    return grad(f, wrt=g)(g, x)
"""
    x, rows = f32(2), [(3, f32(2)), (1, f32(2))]
    (out,) = run(text, "h", rows, x, V=4)
    assert [int(n) for n, _ in out] == [3, 1]
    for (n, d), (_, got) in zip(rows, out, strict=True):
        close(got, 2 * n * (d @ x) * x)


def test_hessian_vector_products_of_tables():
    text = """fn loss(e: f32[V, D], i: i32[K]) -> f32:
    return sum(e[i] ** 3)
fn slope(e: f32[V, D], i: i32[K]) -> Rows[f32, V, D]:
    return grad(loss, wrt=e)(e, i)
fn dense(g: Rows[f32, V, D], z: f32[V, D]) -> f32[V, D]:
    out = z
    for r, d in g:
        out[r] += d
    return out
export fn h(e: f32[V, D], i: i32[K], v: f32[V, D]) -> f32[V, D]:
    g, d = jvp(slope, wrt=e)(e, i, v)
    return dense(d, zeros(V, D))
"""
    e, v = f32(5, 2), f32(5, 2)
    want = np.zeros((5, 2))
    for i, n in ((0, 1), (3, 2)):
        want[i] = n * 6 * e[i] * v[i]
    close(run(text, "h", e, np.array([3, 0, 3], np.int32), v)[0], want)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("conv1d(x, w, pad=K - 2)", "`pad` of `conv1d` is -1, and must be at least 0"),
        ("conv1d(x, w, stride=K - 1)", "`stride` of `conv1d` is 0, and must be at least 1"),
        ("max_pool1d(x, K - 1, 1)", "`size` of `max_pool1d` is 0, and must be at least 1"),
    ],
)
def test_numbers_of_convolutions(call, text):
    source = f"""export fn f[K: const](x: f32[2, W], w: f32[2, 2, 3]) -> f32:
    y = {call}
    return sum(y)
"""
    with pytest.raises(CompileError) as e:
        lowered(source, f={"K": 1})
    assert [(d.code, d.message) for d in e.value.diagnostics] == [("E0635", text)]


def test_a_sign_before_a_number_of_its_own_type_wraps():
    text = "export fn f() -> (i8, i32, u8):\n"
    text += "    return -i8(-128), -i32(-2147483648), -u8(3)\n"
    assert run(text, "f") == (-128, -2147483648, 253)


def test_thousands_of_conditions():
    """They nest in halves, so that no stage goes as deep as there are conditions."""
    conditions = " and ".join(f"n != {i}" for i in range(2000))
    made = lowered(f"export fn f(n: i32) -> bool:\n    return {conditions}\n")
    assert [bool(evaluate.run(made.module, "f", [n])[0]) for n in (0, 1000, 1999, 2000)] == [
        False,
        False,
        False,
        True,
    ]
