"""Every tensor operation against the evaluator: shapes with size 0 and 1, strides, statuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.memory.access import VIEWS
from dlc.memory.emit_ops import RULES
from dlc.ops.card import Trait
from dlc.ops.registry import CARDS
from dlc.targets.cpu.emit.tensors import LOWERINGS
from tests.unit.targets.cpu.emit.agreement import agree, main

RNG = np.random.default_rng(11)
Array = np.ndarray[Any, Any]


def f(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def ints(high: int, *shape: int) -> Array:
    return RNG.integers(0, high, shape).astype(np.int32)


def one(signature: str, result: str, op: str, *cases: list[Any], **given: Any) -> None:
    """One operation with one result."""
    agree(main(signature, result, f"%y = {op} : {result}\nreturn %y"), *cases, **given)


def test_every_operation_has_a_lowering() -> None:
    """By a view, a statement of the form, an element-wise program, or a tensor lowering."""
    for name, card in CARDS.items():
        known = name in VIEWS or name in RULES or name in LOWERINGS
        known = known or Trait.ELEMENTWISE in card.traits or name == "stop_grad"
        assert known, f"no lowering for {name}"
    assert set(LOWERINGS) <= {*CARDS, "copy", "fill"}


AXES = [
    ("[0]", "[B, C]"), ("[1]", "[A, C]"), ("[2]", "[A, B]"), ("[0, 2]", "[B]"), ("[1, 2]", "[A]"),
    ("[0, 1]", "[C]"), ("[0, 1, 2]", ""), ("[]", "[A, B, C]"),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["sum", "max", "min", "prod"])
@pytest.mark.parametrize(("axes", "shape"), AXES)
def test_reduce(kind: str, axes: str, shape: str) -> None:
    sizes = ((2, 3, 5), (3, 40, 33), (0, 3, 5), (2, 0, 5), (2, 3, 0))
    cases = [[f(*s)] for s in sizes]
    op = f'reduce %x {{kind="{kind}", axes={axes}}}'
    one("[A, B, C](%x: f32[A, B, C])", f"f32{shape}", op, *cases, tolerance=2e-4)


@pytest.mark.parametrize("dtype", ["f64", "f16", "i64", "i8", "u8"])
def test_reduce_of_other_types(dtype: str) -> None:
    from dlc.typesys.dtypes import DTYPES

    cases = [[(f(4, 37) * 4).astype(DTYPES[dtype].numpy)]]
    for kind, axes, shape in (("sum", "[0, 1]", ""), ("max", "[1]", "[A]"), ("sum", "[0]", "[B]")):
        op = f'reduce %x {{kind="{kind}", axes={axes}}}'
        one(f"[A, B](%x: {dtype}[A, B])", f"{dtype}{shape}", op, *cases, tolerance=1e-2)


def test_reduce_of_bools() -> None:
    body = '%y = reduce %x {kind="any", axes=[0]} : bool\n'
    body += '%z = reduce %x {kind="all", axes=[0]} : bool\nreturn %y, %z'
    agree(main("[A](%x: bool[A])", "bool, bool", body), *([f(n) > 0] for n in (0, 1, 4, 40)))


@pytest.mark.parametrize("kind", ["sum", "max"])
@pytest.mark.parametrize(
    ("axes", "shape"), [("[0]", "[A, C]"), ("[1]", "[B, C]"), ("[2]", "[B, A]")]
)
def test_reduce_of_strided_views(kind: str, axes: str, shape: str) -> None:
    body = "%t = transpose %x {perm=[1, 0, 2]} : f32[B, A, C]\n"
    body += "%r = reverse %t {axis=1} : f32[B, A, C]\n"
    body += f'%y = reduce %r {{kind="{kind}", axes={axes}}} : f32{shape}\nreturn %y'
    text = main("[A, B, C](%x: f32[A, B, C])", f"f32{shape}", body)
    agree(text, [f(2, 3, 5)], [f(7, 4, 18)], tolerance=1e-4)


@pytest.mark.parametrize("op", ["argmax", "argmin"])
def test_arg_extremes(op: str) -> None:
    for axis, shape in ((0, "[B]"), (1, "[A]")):
        cases = [[f(4, 5)], [f(30, 50)], [f(0, 3)], [f(3, 0)]]
        one("[A, B](%x: f32[A, B])", f"i32{shape}", f"{op} %x {{axis={axis}}}", *cases)
    one("[A](%x: i32[A])", "i32", f"{op} %x {{axis=0}}", [ints(5, 7)], [ints(5, 100)])


@pytest.mark.parametrize(
    "flags", ["", ", reverse=true", ", exclusive=true", ", reverse=true, exclusive=true"]
)
@pytest.mark.parametrize("axis", [0, 1])
def test_cumsum(axis: int, flags: str) -> None:
    cases = [[f(4, 5)], [f(30, 50)], [f(0, 3)], [f(3, 0)]]
    op = f"cumsum %x {{axis={axis}{flags}}}"
    one("[A, B](%x: f32[A, B])", "f32[A, B]", op, *cases, tolerance=1e-4)


@pytest.mark.parametrize("axis", [0, 1])
def test_sort_and_top(axis: int) -> None:
    cases = [[f(4, 5)], [f(30, 50)], [f(0, 3)], [f(3, 0)]]
    for flags in ("", ", descending=true"):
        body = f"%y, %i = sort %x {{axis={axis}{flags}}} : f32[A, B], i32[A, B]\nreturn %y, %i"
        agree(main("[A, B](%x: f32[A, B])", "f32[A, B], i32[A, B]", body), *cases)
    result = "f32[3, B], i32[3, B]" if axis == 0 else "f32[A, 3], i32[A, 3]"
    body = f"%y, %i = top_k %x {{axis={axis}, k=3}} : {result}\nreturn %y, %i"
    agree(main("[A, B](%x: f32[A, B])", result, body), [f(4, 5)], [f(30, 50)], [f(2, 2)])


def test_searchsorted() -> None:
    cases = [[np.sort(f(n)), f(5)] for n in (0, 1, 9)]
    one("[N, M](%x: f32[N], %q: f32[M])", "i32[M]", "searchsorted %x, %q", *cases)
    one("[N](%x: f32[N], %q: f32)", "i32", "searchsorted %x, %q", [np.sort(f(9)), np.float32(0.1)])


def test_nonzero_indices_defines_a_size() -> None:
    body = """
  %m = gt %x, %y : bool[N]
  %i = nonzero_indices %m def k : i32[k]
  %v = take %x, %i : f32[k]
  %w = take %y, %i : f32[k]
  %v1 = reshape %v {shape=[dim(k), 1]} : f32[k, 1]
  %w1 = reshape %w {shape=[dim(k), 1]} : f32[k, 1]
  %c = concat %v1, %w1 {axis=1} : f32[k, 2]
  return %i, %c {dims=[dim(k)]}
"""
    head = "fn @main[N](%x: f32[N], %y: f32[N]) -> (i32[k], f32[k, 2]) def k {entry=true} {"
    text = head + body + "}"
    agree(text, *([f(n), f(n)] for n in (0, 1, 10, 1000)))


def test_take() -> None:
    cases = [
        [f(4, 5), ints(4, 7)], [f(4, 0), ints(4, 7)], [f(4, 5), ints(4, 0)], [f(4, 5), ints(9, 7)],
    ]  # fmt: skip
    one("[A, B, J](%x: f32[A, B], %i: i32[J])", "f32[J, B]", "take %x, %i", *cases)
    signature, result = "[A, B, J](%x: f32[A, B], %i: i64[J, 2])", "f32[A, J, 2]"
    one(signature, result, "take %x, %i {axis=1}", [f(4, 5), ints(5, 7, 2).astype(np.int64)])
    body = "%t = transpose %x {perm=[1, 0]} : f32[B, A]\n%y = take %t, %i : f32[J, A]\nreturn %y"
    agree(main("[A, B, J](%x: f32[A, B], %i: i32[J])", "f32[J, A]", body), [f(4, 5), ints(5, 7)])
    for signature, result, op, x in (
        ("[A, B](%x: f32[A, B], %i: i32)", "f32[A]", "take %x, %i {axis=1}", f(4, 5)),
        ("[A](%x: f32[A], %i: i32)", "f32", "take %x, %i", f(4)),
    ):
        one(signature, result, op, *([x, np.int32(i)] for i in (2, 7, -1)))


def test_one_of_each_row() -> None:
    signature = "[A, B](%x: f32[A, B], %i: i32[A])"
    cases = [[f(4, 5), ints(5, 4)], [f(4, 2), ints(5, 4) + 1]]
    one(signature, "f32[A]", "take_along %x, %i {axis=1}", *cases)
    one("[A](%x: f32[A], %i: i32)", "f32", "take_along %x, %i {axis=0}", [f(4), np.int32(3)])
    signature = "[A, B](%x: f32[A, B], %i: i32[B], %v: f32[B])"
    cases = [[f(4, 5), ints(4, 5), f(5)], [f(4, 5), ints(4, 5) + 2, f(5)]]
    one(signature, "f32[A, B]", "add_along %x, %i, %v {axis=0}", *cases)


@pytest.mark.parametrize("op", ["scatter", "scatter_add", "scatter_max", "scatter_min"])
def test_scatter(op: str) -> None:
    signature = "[A, B, J](%x: f32[A, B], %i: i32[J], %v: f32[J, B])"
    cases = [
        [f(4, b), ints(high, j), f(j, b)]
        for b, high, j in ((5, 4, 7), (50, 4, 7), (5, 9, 9), (5, 4, 0))
    ]
    one(signature, "f32[A, B]", f"{op} %x, %i, %v", *cases)
    signature = "[A, B, J](%x: i32[A, B], %i: i32[J], %v: i32[A, J])"
    one(
        signature,
        "i32[A, B]",
        f"{op} %x, %i, %v {{axis=1}}",
        [ints(9, 4, 5), ints(5, 7), ints(9, 4, 7)],
    )


STARTS = np.array([0, 2, 2, 5, 9], np.int32)


@pytest.mark.parametrize("kind", ["sum", "max", "min", "prod"])
def test_segments(kind: str) -> None:
    body = f"""
  check_segments %s {{items=dim(N)}}
  %y = segment_reduce %x, %s {{kind="{kind}"}} : f32[R, D]
  %r = row_of %s {{items=dim(N)}} : i32[N]
  return %y, %r
"""
    text = main("[R, N, D](%x: f32[N, D], %s: i32[R + 1])", "f32[R, D], i32[N]", body)
    wrong = [STARTS[::-1].copy(), STARTS + 1, np.array([0, 5, 2, 9], np.int32)]
    cases = [
        [f(9, 3), STARTS],
        [f(9, 40), STARTS],
        [f(8, 3), STARTS],
        [f(0, 3), np.zeros(1, np.int32)],
    ]
    agree(text, *cases, *([f(9, 3), s] for s in wrong))
    one(
        "[R, N](%x: f32[N], %s: i32[R + 1])",
        "f32[R]",
        f'segment_reduce %x, %s {{kind="{kind}"}}',
        [f(9), STARTS],
    )


def test_check_indices() -> None:
    body = "check_indices %i {bound=5}\n%y = neg %i : i32[J]\nreturn %y"
    cases = [ints(5, 7), ints(5, 100), ints(6, 100), ints(5, 0), np.array([-1], np.int32)]
    compiled = agree(main("[J](%i: i32[J])", "i32[J]", body), *([i] for i in cases))
    from dlc.targets.cpu.run import CallError

    bad = ints(5, 70)
    bad[40], bad[50] = 7, 9
    with pytest.raises(CallError) as e:
        compiled.call("main", [bad])
    assert (e.value.got, e.value.want) == (7, 5)


def test_random_numbers_have_the_same_bits() -> None:
    body = """
  %a, %b = key_split %k : i64, i64
  %x = random_bits %a {shape=[dim(N), 3]} : i32[N, 3]
  %u = random_uniform %b {shape=[dim(N)]} : f32[N]
  %z = random_bits %b {shape=[]} : i32
  return %x, %u, %z
"""
    text = main("[N](%k: i64)", "i32[N, 3], f32[N], i32", body)
    for n in (0, 1, 7, 100):
        agree(text, [np.int64(12345678901)], [np.int64(-3)], dims={"N": n}, tolerance=0)


def test_iota_and_fill() -> None:
    body = """
  %y = iota {size=dim(N)} : i32[N]
  %z = iota {size=dim(N), dtype=dtype(f32)} : f32[N]
  %c = const {value=2.5} : f16
  %w = broadcast %c {shape=[dim(N), 2]} : f16[N, 2]
  %k = const {value=array(f32, [2, 2], [1.0, 2.0, inf, nan])} : f32[2, 2]
  return %y, %z, %w, %k
"""
    text = main("[N]()", "i32[N], f32[N], f16[N, 2], f32[2, 2]", body)
    for n in (0, 1, 37):
        agree(text, [], dims={"N": n})


# -- contractions ---------------------------------------------------------------------------------


def contraction(spec: str, *sizes: tuple[int, ...], dtype: str = "f32") -> None:
    letters = sorted({c for c in spec if c.isalpha()})
    left, right = spec.split("->")[0].split(",")
    result = spec.split("->")[1]

    def shape(part: str) -> str:
        return f"{dtype}[{', '.join(c.upper() for c in part)}]" if part else dtype

    def array(part: str, size: dict[str, int]) -> Any:
        dims = [size[c] for c in part]
        x = f(*dims) if dtype[0] == "f" else ints(5, *dims)
        return x.astype({"f32": "f4", "f16": "f2", "f64": "f8", "i32": "i4", "i8": "i1"}[dtype])[()]

    cases = []
    for s in sizes:
        size = dict(zip(letters, s, strict=True))
        cases.append([array(left, size), array(right, size)])
    dims = f"[{', '.join(c.upper() for c in letters)}]" if letters else ""
    signature = f"{dims}(%a: {shape(left)}, %b: {shape(right)})"
    tolerance = {"f16": 2e-2, "f32": 1e-3}.get(dtype, 1e-9)
    one(signature, shape(result), f'contract %a, %b {{spec="{spec}"}}', *cases, tolerance=tolerance)


THREE = ((2, 3, 4), (17, 33, 40), (1, 1, 1), (0, 3, 4), (3, 0, 4), (3, 4, 0), (40, 1, 70))
MATRICES = [f"{a},{b}->{c}" for a in ("ij", "ji") for b in ("jk", "kj") for c in ("ik", "ki")]


@pytest.mark.parametrize("spec", MATRICES)
def test_matrix_products(spec: str) -> None:
    contraction(spec, *THREE)


@pytest.mark.parametrize(
    "spec",
    "ij,j->i ji,j->i j,ij->i j,ji->i i,j->ij i,j->ji ij,ij-> ij,ij->i ij,ij->j ij,ij->ij ij,ji-> "
    "i,ij->ij i,j-> i,j->i".split(),
)
def test_products_of_two_letters(spec: str) -> None:
    contraction(spec, (3, 4), (20, 37), (0, 4), (4, 0), (1, 9), (9, 1))


@pytest.mark.parametrize("spec", ["i,i->", ",i->i", "i,->i", "i,i->i", ",->"])
def test_products_of_one_letter(spec: str) -> None:
    if spec == ",->":
        contraction(spec, ())
    else:
        contraction(spec, (3,), (100,), (0,))


GENERAL = [
    "bij,bjk->bik", "qhd,khd->hqk", "hqk,khd->qhd", "bij,jk->bik", "ijk,ijk->k", "ijk,jkl->il",
    "abcd,cdef->abef", "ijk,kji->", "ijk,jil->kl", "bi,bij->bj", "ab,cb->", "abc,b->ac",
]  # fmt: skip


@pytest.mark.parametrize("spec", GENERAL)
def test_general_contractions(spec: str) -> None:
    n = len({c for c in spec if c.isalpha()})
    sizes = (tuple(range(2, 2 + n)), (5,) * n, (0, *(2,) * (n - 1)), (*(2,) * (n - 1), 0))
    contraction(spec, *sizes)


@pytest.mark.parametrize("dtype", ["f64", "f16", "i32", "i8"])
def test_contractions_of_other_types(dtype: str) -> None:
    for spec in ("ij,jk->ik", "ij,kj->ki", "ij,j->i", "i,j->ij", "ij,ij->"):
        letters = len({c for c in spec if c.isalpha()})
        contraction(spec, (3, 4, 5)[:letters], (20, 33, 18)[:letters], dtype=dtype)


def test_contraction_into_another_type() -> None:
    for source, to in (("i8", "i32"), ("i8", "i64"), ("f16", "f32"), ("i32", "i8")):
        a, b = (
            ints(9, *s).astype({"i8": "i1", "f16": "f2", "i32": "i4"}[source])
            for s in ((3, 4), (4, 5))
        )
        op = f'contract %a, %b {{spec="ij,jk->ik", dtype=dtype({to})}}'
        one(f"(%a: {source}[3, 4], %b: {source}[4, 5])", f"{to}[3, 5]", op, [a, b])


# -- windows --------------------------------------------------------------------------------------

GEOMETRY = "strides=[2, 1], pads=[1, 0, 1, 2], dilations=[1, 2]"


@pytest.mark.parametrize(("groups", "inputs", "outputs"), [(1, 3, 8), (2, 4, 6), (3, 3, 3)])
def test_convolutions(groups: int, inputs: int, outputs: int) -> None:
    x, w = f"f32[B, {inputs}, H, W]", f"f32[{outputs}, {inputs // groups}, 3, 3]"
    y = f"f32[B, {outputs}, (H - 1) // 2 + 1, W - 2]"
    attrs = f"groups={groups}, {GEOMETRY}"

    def arrays(b: int, h: int, v: int) -> tuple[Array, Array, Array]:
        kernel = f(outputs, inputs // groups, 3, 3)
        return f(b, inputs, h, v), kernel, f(b, outputs, (h - 1) // 2 + 1, v - 2)

    given: dict[str, Any] = {"tolerance": 1e-4}
    sizes = ((2, 7, 8), (1, 20, 33), (0, 7, 8))
    cases = [list(arrays(*s)[:2]) for s in sizes]
    one(f"[B, H, W](%x: {x}, %w: {w})", y, f"conv %x, %w {{{attrs}}}", *cases, **given)
    dx = f"conv_input_grad %dy, %w {{{attrs}, shape=[dim(B), {inputs}, dim(H), dim(W)]}}"
    _, w_array, dy_array = arrays(2, 7, 8)
    one(f"[B, H, W](%dy: {y}, %w: {w})", x, dx, [dy_array, w_array], dims={"H": 7}, **given)
    dw = f"conv_weight_grad %x, %dy {{{attrs}, shape=[{outputs}, {inputs // groups}, 3, 3]}}"
    x_array, _, dy_array = arrays(2, 7, 8)
    one(f"[B, H, W](%x: {x}, %dy: {y})", w, dw, [x_array, dy_array], **given)


def test_convolutions_over_one_and_three_axes() -> None:
    one(
        "(%x: f32[1, 2, 9], %w: f32[3, 2, 3])",
        "f32[1, 3, 7]",
        "conv %x, %w",
        [f(1, 2, 9), f(3, 2, 3)],
    )
    signature = "(%x: f32[1, 2, 4, 5, 6], %w: f32[3, 2, 2, 2, 2])"
    one(signature, "f32[1, 3, 3, 4, 5]", "conv %x, %w", [f(1, 2, 4, 5, 6), f(3, 2, 2, 2, 2)])


@pytest.mark.parametrize("kind", ['"max"', '"mean"', '"mean", count_pad=true'])
def test_pools(kind: str) -> None:
    attrs = f"{{kind={kind}, size=[2, 3], strides=[2, 1], pads=[1, 1, 1, 1]}}"
    x, y = "f32[B, C, H, 8]", "f32[B, C, H // 2 + 1, 8]"
    one(f"[B, C, H](%x: {x})", y, f"pool %x {attrs}", [f(2, 3, 7, 8)], [f(1, 1, 6, 8)])
    cases = [[f(2, 3, 7, 8), f(2, 3, 4, 8)]]
    one(f"[B, C, H](%x: {x}, %dy: {y})", x, f"pool_grad %x, %dy {attrs}", *cases)
