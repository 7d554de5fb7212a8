"""How uses of each operation are drawn. Importing this fills `ops_cases.MAKERS`."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlc.ir.core import Attr
from dlc.ops.elementwise import Elementwise
from dlc.ops.registry import CARDS
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import BOOL, DTYPES, I32, I64
from dlc.typesys.types import SCALAR_I32, TensorType
from tests.laws.ops_cases import MAKERS, Case, Draw, maker, use

DOMAIN = {
    "log": (0.2, 3), "log1p": (-0.7, 3), "sqrt": (0.2, 3), "rsqrt": (0.2, 3), "asin": (-0.9, 0.9),
    "acos": (-0.9, 0.9), "acosh": (1.2, 3), "atanh": (-0.9, 0.9), "tan": (-1.2, 1.2),
}  # fmt: skip
"""Where a function is defined, and not too steep."""


def _elementwise(d: Draw, name: str) -> Case:
    card = CARDS[name]
    assert isinstance(card, Elementwise)
    shape = d.shape()
    low, high = DOMAIN.get(name, (-2, 2))
    xs = [d.tensor(shape, low, high) for _ in card.operands]
    if name == "pow":
        xs[0] = d.tensor(shape, 0.2, 2)
        if d.dtype.is_int:
            xs[1] = (xs[1][0], np.abs(xs[1][1]))
    if name in ("div", "floordiv", "mod"):
        t, v = xs[1]
        xs[1] = (t, np.where(np.abs(v) < 0.4, np.asarray(1, v.dtype), v).astype(v.dtype))
    if d.smooth:
        xs = [(t, _off_kinks(v, i)) for i, (t, v) in enumerate(xs)]
        if name in ("floordiv", "mod"):
            q = np.floor(xs[0][1] / xs[1][1]) + 0.3
            xs[0] = (xs[0][0], np.asarray(q * xs[1][1]))
    return use(d, name, xs)


def _off_kinks(v: Any, i: int) -> Any:
    """Away from whole numbers, halves and equality between operands."""
    whole = np.round(v * 4) / 4
    return np.asarray(np.where(np.abs(v - whole) < 0.05, whole + 0.06 + 0.02 * i, v))


for _name, _card in CARDS.items():
    if isinstance(_card, Elementwise):
        MAKERS[_name] = lambda d, n=_name: _elementwise(d, n)


@maker("const")
def _const(d: Draw, name: str) -> Case:
    shape = [Dim.const(n) for n in d.sizes(d.shape())]
    t, v = d.tensor(shape)
    if not shape and d.flag():
        kind = bool if d.dtype.is_bool else int if d.dtype.is_int else float
        return use(d, name, [], t, value=kind(v))
    return use(d, name, [], t, value=v)


@maker("undef")
def _undef(d: Draw, name: str) -> Case:
    return use(d, name, [], TensorType(d.dtype, tuple(d.shape())))


@maker("iota")
def _iota(d: Draw, name: str) -> Case:
    return use(d, name, [], size=d.dim(), dtype=d.dtype)


@maker("dim")
def _dim(d: Draw, name: str) -> Case:
    return use(d, name, [], value=d.dim() * d.dim() - 3, dtype=d.dtype)


@maker("select")
def _select(d: Draw, name: str) -> Case:
    shape = d.shape()
    return use(d, name, [d.tensor(shape, dtype=BOOL), d.tensor(shape), d.tensor(shape)])


@maker("convert")
def _convert(d: Draw, name: str) -> Case:
    floats = [t for t in DTYPES.values() if t.name == "f64"]
    to = d.pick(floats if d.smooth else list(DTYPES.values()))
    return use(d, name, [d.tensor(d.shape(), -300, 300)], dtype=to)


@maker("bitcast")
def _bitcast(d: Draw, name: str) -> Case:
    same = [t for t in DTYPES.values() if t.bits == d.dtype.bits and t.is_number]
    return use(d, name, [d.tensor(d.shape())], dtype=d.pick(same))


@maker("stop_grad")
def _stop_grad(d: Draw, name: str) -> Case:
    return use(d, name, [d.tensor(d.shape())])


@maker("broadcast")
def _broadcast(d: Draw, name: str) -> Case:
    shape = d.shape()
    x = [Dim.const(1) if d.flag() else s for s in shape]
    x = x[int(d.rng.integers(0, len(x) + 1)) :]
    return use(d, name, [d.tensor(x)], shape=tuple(shape))


@maker("reshape")
def _reshape(d: Draw, name: str) -> Case:
    a, b, c = d.shape(3)
    x, y = d.pick([((a, b, c), (a * b, c)), ((a, b * c), (b, a, c)), ((a,), (1, a, 1)),
                   ((a, b), (b * a,)), ((), (1, 1)), ((1,), ())])  # fmt: skip
    attrs: dict[str, Attr] = {"checked": True} if d.flag() else {}
    return use(d, name, [d.tensor([Dim.of(s) for s in x])], shape=tuple(map(Dim.of, y)), **attrs)


@maker("transpose")
def _transpose(d: Draw, name: str) -> Case:
    shape = d.shape()
    perm = tuple(int(p) for p in d.rng.permutation(len(shape)))
    return use(d, name, [d.tensor(shape)], perm=perm)


def _axis(d: Draw, least: int = 0) -> tuple[list[Dim], int]:
    shape = d.shape(int(d.rng.integers(1, 4)))
    axis = int(d.rng.integers(len(shape)))
    if d.size(shape[axis]) < least:
        shape[axis] = d.dim(least)
    return shape, axis


@maker("reverse")
def _reverse(d: Draw, name: str) -> Case:
    shape, axis = _axis(d)
    return use(d, name, [d.tensor(shape)], axis=axis)


@maker("retype")
def _retype(d: Draw, name: str) -> Case:
    shape = d.shape()
    other = tuple(d.named(d.size(s)) for s in shape)
    return use(d, name, [d.tensor(shape)], TensorType(d.dtype, other))


@maker("concat")
def _concat(d: Draw, name: str) -> Case:
    shape, axis = _axis(d)
    parts = [[*shape[:axis], d.dim(), *shape[axis + 1 :]] for _ in range(d.pick([1, 2, 3]))]
    return use(d, name, [d.tensor(p) for p in parts], axis=axis)


def _checked(d: Draw) -> dict[str, Attr]:
    return {"in_bounds": True} if d.flag() else {}


@maker("slice")
def _slice(d: Draw, name: str) -> Case:
    shape, axis = _axis(d)
    step = d.pick([1, 1, 2, 3])
    n = d.size(shape[axis])
    size = int(d.rng.integers(0, (n - 1) // step + 2)) if n else 0
    room = n - ((size - 1) * step + 1 if size else 0)
    start = d.index([], room + 1, d.index_dtype())
    dim = d.named(size) if d.flag() else size
    attrs = {"axis": axis, "size": dim, **_checked(d), **({"step": step} if step > 1 else {})}
    return use(d, name, [d.tensor(shape), start], **attrs)


@maker("insert_slice")
def _insert_slice(d: Draw, name: str) -> Case:
    shape, axis = _axis(d)
    step = d.pick([1, 1, 2])
    n = d.size(shape[axis])
    size = int(d.rng.integers(0, (n - 1) // step + 2)) if n else 0
    room = n - ((size - 1) * step + 1 if size else 0)
    part = [*shape[:axis], d.named(size), *shape[axis + 1 :]]
    attrs = {"axis": axis, **_checked(d), **({"step": step} if step > 1 else {})}
    return use(d, name, [d.tensor(shape), d.tensor(part), d.index([], room + 1)], **attrs)


def _indices(d: Draw) -> tuple[list[Dim], list[Any]]:
    shape = d.shape(int(d.rng.integers(1, 4)), least=1)
    k, dtype = int(d.rng.integers(1, len(shape) + 1)), d.index_dtype()
    return shape, [d.index([], d.size(s), dtype) for s in shape[:k]]


@maker("index")
def _index(d: Draw, name: str) -> Case:
    shape, at = _indices(d)
    return use(d, name, [d.tensor(shape), *at], **_checked(d))


@maker("insert")
def _insert(d: Draw, name: str) -> Case:
    shape, at = _indices(d)
    return use(d, name, [d.tensor(shape), d.tensor(shape[len(at) :]), *at], **_checked(d))


def _gather(d: Draw) -> tuple[list[Dim], int, list[Dim], Any, dict[str, Attr]]:
    shape, axis = _axis(d, least=1)
    j = d.shape(d.pick([0, 1, 1, 2]))
    attrs: dict[str, Attr] = {"axis": axis} if axis or d.flag() else {}
    return shape, axis, j, d.index(j, d.size(shape[axis]), d.index_dtype()), attrs


@maker("take")
def _take(d: Draw, name: str) -> Case:
    shape, _, _, index, attrs = _gather(d)
    return use(d, name, [d.tensor(shape), index], **attrs, **_checked(d))


@maker("scatter_add", "scatter", "scatter_max", "scatter_min")
def _scatter(d: Draw, name: str) -> Case:
    shape, axis, j, index, attrs = _gather(d)
    v = d.tensor([*shape[:axis], *j, *shape[axis + 1 :]])
    return use(d, name, [d.tensor(shape), index, v], **attrs, **_checked(d))


@maker("take_along", "add_along")
def _along(d: Draw, name: str) -> Case:
    shape, axis = _axis(d, least=1)
    rest = [*shape[:axis], *shape[axis + 1 :]]
    index = d.index(rest, d.size(shape[axis]), d.index_dtype())
    more = [d.tensor(rest)] if name == "add_along" else []
    return use(d, name, [d.tensor(shape), index, *more], axis=axis, **_checked(d))


@maker("reduce")
def _reduce(d: Draw, name: str) -> Case:
    shape = d.shape()
    axes = tuple(a for a in range(len(shape)) if d.flag())
    kinds = ("any", "all") if d.dtype.is_bool else ("sum", "max", "min", "prod")
    return use(d, name, [d.distinct(shape)], kind=d.pick(kinds), axes=axes[:: d.pick([1, -1])])


@maker("argmax", "argmin")
def _arg(d: Draw, name: str) -> Case:
    shape, axis = _axis(d, least=1)
    return use(d, name, [d.distinct(shape)], axis=axis)


@maker("cumsum")
def _cumsum(d: Draw, name: str) -> Case:
    shape, axis = _axis(d)
    flags: dict[str, Attr] = {k: True for k in ("reverse", "exclusive") if d.flag()}
    return use(d, name, [d.tensor(shape)], axis=axis, **flags)


@maker("sort")
def _sort(d: Draw, name: str) -> Case:
    shape, axis = _axis(d)
    flags: dict[str, Attr] = {"descending": True} if d.flag() else {}
    return use(d, name, [d.distinct(shape)], axis=axis, **flags)


@maker("top_k")
def _top_k(d: Draw, name: str) -> Case:
    shape, axis = _axis(d)
    k = int(d.rng.integers(0, d.size(shape[axis]) + 1))
    return use(d, name, [d.distinct(shape)], axis=axis, k=d.named(k) if d.flag() else k)


@maker("nonzero_indices")
def _nonzero(d: Draw, name: str) -> Case:
    return use(d, name, [d.tensor(d.shape(1), dtype=BOOL)])


@maker("searchsorted")
def _searchsorted(d: Draw, name: str) -> Case:
    t, v = d.distinct(d.shape(1))
    x, w = d.distinct(d.shape())
    return use(d, name, [(t, np.sort(v)), (x, w)])


@maker("row_of")
def _row_of(d: Draw, name: str) -> Case:
    rows, items = d.dim(1), d.dim()
    return use(d, name, [d.starts(rows, d.size(items))], items=items)


@maker("segment_reduce")
def _segment_reduce(d: Draw, name: str) -> Case:
    rows, items = d.dim(1), d.dim()
    kinds = ("any", "all") if d.dtype.is_bool else ("sum", "max", "min", "prod")
    x = d.distinct([items, *d.shape(d.pick([0, 1, 2]))])
    return use(d, name, [x, d.starts(rows, d.size(items))], kind=d.pick(kinds))


@maker("contract")
def _contract(d: Draw, name: str) -> Case:
    size = {c: d.dim() for c in "abcde"}
    a, b = ("".join(d.rng.permutation([c for c in "abcde" if d.flag()])) for _ in range(2))
    out = "".join(d.rng.permutation([c for c in sorted({*a, *b}) if d.flag()]))
    xs = [d.tensor([size[c] for c in letters]) for letters in (a, b)]
    wide = {"i8": "i32", "f16": "f32", "bf16": "f32", "f32": "f64"}.get(d.dtype.name)
    attrs: dict[str, Attr] = {"dtype": DTYPES[wide]} if wide and d.flag() else {}
    return use(d, name, xs, spec=f"{a},{b}->{out}", **attrs)


def _windows(d: Draw, n: int, dilated: bool) -> dict[str, Attr]:
    attrs: dict[str, Attr] = {}
    if d.flag():
        attrs["strides"] = tuple(int(d.pick([1, 2, 3])) for _ in range(n))
    if d.flag():
        attrs["pads"] = tuple(int(d.pick([0, 1, 2])) for _ in range(2 * n))
    if dilated and d.flag():
        attrs["dilations"] = tuple(int(d.pick([1, 2])) for _ in range(n))
    return attrs


@maker("conv", "conv_input_grad", "conv_weight_grad")
def _conv(d: Draw, name: str) -> Case:
    n, groups = d.pick([1, 2, 2, 3]), d.pick([1, 1, 2])
    attrs = _windows(d, n, True)
    if groups > 1:
        attrs["groups"] = groups
    c, o = d.dim(1), d.dim(1)
    kernel = [d.pick([Dim.const(1), Dim.const(2), d.named(2)]) for _ in range(n)]
    x = d.tensor([d.dim(), c * groups, *(d.dim(3) for _ in range(n))])
    w = d.tensor([o * groups, c, *kernel])
    forward = use(d, "conv", [x, w], **attrs)
    if name == "conv":
        return forward
    (y,) = [v.type for v in forward.module().functions["f"].body.yields]
    dy = d.tensor(y.shape)  # type: ignore[union-attr]
    if name == "conv_input_grad":
        return use(d, name, [dy, w], shape=x[0].shape, **attrs)
    return use(d, name, [x, dy], shape=w[0].shape, **attrs)


@maker("pool", "pool_grad")
def _pool(d: Draw, name: str) -> Case:
    n = d.pick([1, 2, 2, 3])
    attrs = _windows(d, n, False)
    attrs["size"] = tuple(int(d.pick([1, 2, 3])) for _ in range(n))
    attrs["kind"] = d.pick(["max", "mean"]) if d.dtype.is_float else "max"
    if d.flag():
        attrs["count_pad"] = True
    x = d.distinct([d.dim(), d.dim(), *(d.dim(3) for _ in range(n))])
    forward = use(d, "pool", [x], **attrs)
    if name == "pool":
        return forward
    (y,) = [v.type for v in forward.module().functions["f"].body.yields]
    return use(d, name, [x, d.tensor(y.shape)], **attrs)  # type: ignore[union-attr]


@maker("as_dim")
def _as_dim(d: Draw, name: str) -> Case:
    return use(d, name, [d.index([], 9, d.index_dtype())])


@maker("assert")
def _assert(d: Draw, name: str) -> Case:
    return use(d, name, [(TensorType(BOOL), np.bool_(True))], message="never")


@maker("check_dims")
def _check_dims(d: Draw, name: str) -> Case:
    n = d.dim()
    return use(d, name, [], left=n, right=d.named(d.size(n)), message="never")


@maker("check_indices")
def _check_indices(d: Draw, name: str) -> Case:
    n = d.dim(1)
    return use(d, name, [d.index(d.shape(), d.size(n))], bound=n)


@maker("check_segments")
def _check_segments(d: Draw, name: str) -> Case:
    rows, items = d.dim(1), d.dim()
    return use(d, name, [d.starts(rows, d.size(items))], items=items)


@maker("random_bits", "random_uniform")
def _random(d: Draw, name: str) -> Case:
    return use(d, name, [d.tensor([], dtype=I64)], shape=tuple(d.shape()))


@maker("key_split")
def _key_split(d: Draw, name: str) -> Case:
    return use(d, name, [d.tensor([], dtype=I64)])


@maker("list_len", "list_get", "list_set", "list_push", "list_pop")
def _list(d: Draw, name: str) -> Case:
    from dlc.evaluate import ListValue
    from dlc.typesys.types import ListType

    columns = [d.tensor(d.shape(d.pick([0, 1]))) for _ in range(d.pick([1, 2]))]
    n = int(d.rng.integers(1, 4))
    l = (ListType(tuple(t for t, _ in columns)), ListValue([tuple(v for _, v in columns)] * n))
    at = d.index([], n)
    operands: dict[str, list[Any]] = {
        "list_len": [l], "list_get": [l, at], "list_set": [l, at, *columns],
        "list_push": [l, *columns], "list_pop": [l],
    }  # fmt: skip
    return use(d, name, operands[name])


@maker("list_new")
def _list_new(d: Draw, name: str) -> Case:
    from dlc.typesys.types import ListType

    return use(d, name, [], ListType((SCALAR_I32, TensorType(d.dtype, tuple(d.shape())))))


@maker("list_fill")
def _list_fill(d: Draw, name: str) -> Case:
    return use(d, name, [(TensorType(I32), np.int32(d.pick([0, 1, 3]))), d.tensor(d.shape())])
