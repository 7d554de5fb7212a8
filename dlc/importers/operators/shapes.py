"""Shapes as values, and other arrangements of the same elements."""

from __future__ import annotations

from dlc.importers import numbers
from dlc.importers.broadcasting import common_shape, larger, stretch
from dlc.importers.call import (
    Call,
    Operator,
    check_rank,
    dims_of,
    normal_axes,
    normal_axis,
    numbers_of,
)
from dlc.importers.elements import FLOAT, INT64, Element
from dlc.importers.messages import TensorData
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Shape, Tensor
from dlc.typesys.dims import ONE, ZERO, Dim, DimError
from dlc.typesys.types import TensorType

LEFT_OVER = Dim.const(-1)
"""What stands in a shape for the one dim that follows from the others."""


def axes_of(c: Call, i: int, rank: int, since: int = 13) -> tuple[int, ...] | None:
    """Axes of an operator that has them as an attribute, and from version `since` as input i."""
    if c.version < since:
        axes = c.ints("axes")
    else:
        axes = numbers_of(c.known(i, "the axes")) if c.has(i) else None
    return None if axes is None else normal_axes(axes, rank)


def _shape(c: Call) -> Tensor:
    x = c.tensor(0)
    start, end = c.int("start", 0), c.int("end", x.rank)
    start, end = (max(0, min(x.rank, n + x.rank if n < 0 else n)) for n in (start, end))
    return c.e.dim_vector(x.shape[start:end])


def _size(c: Call) -> Tensor:
    x = c.tensor(0)
    return c.e.dim(TensorType(FLOAT.storage, x.shape).size)


def elements(t: Tensor) -> tuple[Tensor, ...]:
    """The elements of a vector whose length is known, as scalars."""
    n = t.shape[0] if t.rank == 1 else None
    if n is None or not n.is_constant:
        raise refuse("E0709", "a shape must be a vector whose length is known").with_help(
            "the rank of every tensor must be known when the model is imported"
        )
    flat = t
    return tuple(t.e.reshape(t.e.slice(flat, 0, i, 1), ()) for i in range(n.constant))


def dims_from(t: Tensor, hint: str = "n") -> tuple[Dim, ...]:
    """The elements of a vector as dims; those that are known only at run time get names."""
    found = dims_of(t)
    if found is not None and t.rank == 1:
        return found
    return tuple(t.e.to_dim(x, hint) for x in elements(t))


def _reshape(c: Call) -> Tensor:
    x, e = c.tensor(0), c.e
    keep_zero = c.flag("allowzero")
    if c.version < 5:
        return reshape_to(x, e.integers(c.ints("shape") or ()), keep_zero)
    return reshape_to(x, c.tensor(1), keep_zero)


def reshape_to(x: Tensor, shape: Tensor, keep_zero: bool) -> Tensor:
    """ONNX's Reshape: 0 keeps the dim (unless `keep_zero`), -1 is what is left."""
    e = x.e
    if shape.rank == 0:
        shape = e.reshape(shape, (1,))
    found = dims_of(shape)
    if found is None:
        return _reshape_at_run_time(x, shape, keep_zero)
    out: list[Dim] = []
    open_at: int | None = None
    for i, d in enumerate(found):
        if d == LEFT_OVER:
            if open_at is not None:
                raise refuse("E0707", f"the shape [{', '.join(map(str, found))}] has two -1")
            open_at = i
            out.append(ONE)
        elif d == ZERO and not keep_zero:
            if i >= x.rank:
                raise refuse("E0707", f"a 0 in the shape keeps axis {i}, which {x} lacks")
            out.append(x.shape[i])
        elif d.is_constant and d.constant < 0:
            raise refuse("E0707", f"the shape [{', '.join(map(str, found))}]")
        else:
            out.append(d)
    if open_at is not None:
        out[open_at] = _what_is_left(x, out)
    return e.reshape(x, out)


def _what_is_left(x: Tensor, others: list[Dim]) -> Dim:
    """The size of x over the product of the other dims."""
    e = x.e
    try:
        total = TensorType(x.element.storage, x.shape).size
        rest = TensorType(x.element.storage, tuple(others)).size
        if rest == ZERO:
            return ZERO
        exact = total.divide_exactly(rest)
        if exact is not None:
            return exact
        if total.is_constant and rest.is_constant:
            raise refuse("E0707", f"{x} cannot be cut into pieces of {rest}")
        if rest.is_constant:
            return total // rest
        # A dim that both have can be taken out, also where the rest doesn't divide.
        shared = [d for d in x.shape if d in others and not d.is_constant]
        if shared:
            left = list(x.shape)
            more = list(others)
            for d in shared:
                if d in more and d in left:
                    left.remove(d)
                    more.remove(d)
            return (
                _what_is_left(_shaped(x, left), more) if len(more) < len(others) else total // rest
            )
        return total // rest
    except DimError:
        n, k = e.dim(1), e.dim(1)
        for d in x.shape:
            n = n * e.dim(d)
        for d in others:
            k = k * e.dim(d)
        return e.to_dim(n.op("floordiv", k.op("max", 1)))


def _shaped(x: Tensor, shape: list[Dim]) -> Tensor:
    """A tensor that stands for a shape only."""
    return Tensor(x.e, x.element, tuple(shape), x.value, x.known, x.dims)


def _reshape_at_run_time(x: Tensor, shape: Tensor, keep_zero: bool) -> Tensor:
    e = x.e
    parts = list(elements(shape))
    for i, s in enumerate(parts):
        if not keep_zero and s.known is None and s.dims is None and i < x.rank:
            parts[i] = s.equals(0).choose(e.dim(x.shape[i], s.element), s)
        elif not keep_zero and s.known is not None and int(s.known) == 0:
            if i >= x.rank:
                raise refuse("E0707", f"a 0 in the shape keeps axis {i}, which {x} lacks")
            parts[i] = e.dim(x.shape[i])
    rest = e.dim(1)
    for s in parts:
        rest = rest * s.equals(-1).choose(e.scalar(1, s.element), s)
    total = e.dim(1)
    for d in x.shape:
        total = total * e.dim(d)
    left = total.op("floordiv", rest.op("max", 1))
    dims = [e.to_dim(s.equals(-1).choose(left, s)) for s in parts]
    return e.reshape(x, dims)


def _flatten(c: Call) -> Tensor:
    x = c.tensor(0)
    axis = c.int("axis", 1)
    if not -x.rank <= axis <= x.rank:
        raise refuse("E0707", f"there is no axis {axis} in {x}")
    axis = axis + x.rank if axis < 0 else axis
    left = TensorType(x.element.storage, x.shape[:axis]).size
    right = TensorType(x.element.storage, x.shape[axis:]).size
    return c.e.reshape(x, (left, right))


def _squeeze(c: Call) -> Tensor:
    x, e = c.tensor(0), c.e
    axes = axes_of(c, 1, x.rank)
    if axes is None:
        if not all(d.is_constant or e.reason.at_least(d, 2) for d in x.shape):
            raise c.open("which sizes are 1, for Squeeze without axes,")
        axes = tuple(a for a, d in enumerate(x.shape) if d == ONE)
    for a in axes:
        if x.shape[a].is_constant and x.shape[a] != ONE:
            raise refuse("E0707", f"axis {a} of {x} is not 1")
    return e.reshape(x, [d for a, d in enumerate(x.shape) if a not in axes])


def _unsqueeze(c: Call) -> Tensor:
    x = c.tensor(0)
    raw = c.ints("axes") if c.version < 13 else numbers_of(c.known(1, "the axes"))
    axes = normal_axes(raw or (), x.rank + len(raw or ()))
    shape = list(x.shape)
    for a in sorted(axes):
        shape.insert(a, ONE)
    return c.e.reshape(x, shape)


def _transpose(c: Call) -> Tensor:
    x = c.tensor(0)
    perm = c.ints("perm")
    if perm is None:
        perm = tuple(reversed(range(x.rank)))
    if sorted(perm) != list(range(x.rank)):
        raise refuse("E0707", f"{list(perm)} is no order of the axes of {x}")
    return c.e.transpose(x, perm)


def _expand(c: Call) -> Tensor:
    return expand(c.tensor(0), c.tensor(1))


def expand(x: Tensor, shape: Tensor) -> Tensor:
    """Stretched to a shape, or to what it has in common with it."""
    e = x.e
    want = dims_from(shape)
    out: list[Dim] = []
    lead = len(want) - x.rank
    for i in range(-max(lead, 0), x.rank):
        have = x.shape[i] if i >= 0 else ONE
        j = i + lead
        w = want[j] if j >= 0 else ONE
        if have in (ONE, w) or w == ONE or have.is_constant or w.is_constant:
            out.append(common_shape(e, [(have,), (w,)])[0])
        else:
            out.append(larger(e, have, w))
    return stretch(x, tuple(out))


def _tile(c: Call) -> Tensor:
    x, e = c.tensor(0), c.e
    if c.version < 6:
        times, axis = dims_from(e.reshape(c.tensor(1), (1,))), numbers_of(c.known(2, "the axis"))
        assert axis is not None
        repeats = tuple(times[0] if a == axis[0] else ONE for a in range(x.rank))
    else:
        repeats = dims_from(c.tensor(1), "r")
    if len(repeats) != x.rank:
        raise refuse("E0707", f"{len(repeats)} repeats for {x}")
    return tile(x, repeats)


def tile(x: Tensor, repeats: Shape) -> Tensor:
    """Repeated along each axis."""
    e = x.e
    if all(r == ONE for r in repeats):
        return x
    pairs: list[Dim] = []
    wide: list[Dim] = []
    for d, r in zip(x.shape, repeats, strict=True):
        pairs += [ONE, d]
        wide += [r, d]
    y = e.broadcast(e.reshape(x, pairs), tuple(wide))
    return e.reshape(y, [d * r for d, r in zip(x.shape, repeats, strict=True)])


def _concat(c: Call) -> Tensor:
    xs = c.tensors()
    axis = c.axis(xs[0].rank, default=1 if c.version < 4 else None)
    return concat(list(xs), axis)


def concat(xs: list[Tensor], axis: int) -> Tensor:
    """One after another, once the other dims are known to be equal."""
    from dlc.importers.broadcasting import equal_dims, with_dim

    e, rank = xs[0].e, xs[0].rank
    if any(x.rank != rank for x in xs):
        raise refuse("E0707", f"{' and '.join(map(str, xs))} differ in rank")
    for a in range(rank):
        if a == axis:
            continue
        d = xs[0].shape[a]
        for x in xs[1:]:
            d = equal_dims(e, d, x.shape[a], f"axis {a} of what is joined")
        xs = [with_dim(x, a, d, f"axis {a} of what is joined") for x in xs]
    return e.concat(xs, axis)


def _split(c: Call) -> tuple[Tensor, ...]:
    x = c.tensor(0)
    axis = c.axis(x.rank, default=0)
    count = len(c.node.outputs)
    sizes: tuple[Dim, ...] | None = None
    if (c.version == 1 and c.has(1)) or c.version >= 13:
        sizes = dims_from(c.tensor(1)) if c.has(1) else None
    elif c.ints("split") is not None:
        sizes = tuple(map(Dim.const, c.ints("split") or ()))
    if sizes is None:
        sizes = _equal_parts(c, x.shape[axis], count)
    if len(sizes) != count:
        raise refuse("E0707", f"{len(sizes)} sizes for {count} outputs")
    return split(x, axis, sizes)


def split(x: Tensor, axis: int, sizes: tuple[Dim, ...]) -> tuple[Tensor, ...]:
    """Consecutive pieces along an axis, of these sizes."""
    from dlc.importers.broadcasting import equal_dims

    total = Dim.const(0)
    out: list[Tensor] = []
    for n in sizes:
        if n.is_constant and n.constant < 0:
            raise refuse("E0707", f"a piece of {n} elements")
        total = total + n
    if total != x.shape[axis]:
        equal_dims(x.e, x.shape[axis], total, "the sum of the sizes of the pieces")
    at = Dim.const(0)
    for n in sizes:
        out.append(x.e.slice(x, axis, at, n))
        at = at + n
    return tuple(out)


def _equal_parts(c: Call, n: Dim, count: int) -> tuple[Dim, ...]:
    """Pieces of equal size; from version 18 on the last may be smaller."""
    parts = c.int("num_outputs", count) if c.version >= 18 else count
    if parts != count:
        raise refuse("E0707", f"num_outputs is {parts}, there are {count} outputs")
    exact = n.divide_exactly(Dim.const(count))
    if exact is not None:
        return (exact,) * count
    if n.is_constant:
        size = -(-n.constant // count)
        last = n.constant - size * (count - 1)
        if c.version >= 18 and last >= 0:
            return (*[Dim.const(size)] * (count - 1), Dim.const(last))
        raise refuse("E0707", f"{n} elements cannot be split into {count} equal parts")
    size_ = (n + (count - 1)) // count
    return (*[size_] * (count - 1), n - size_ * (count - 1))


def _constant(c: Call) -> Tensor:
    names = [n for n in c.attributes if n in _CONSTANTS]
    if len(names) != 1:
        raise refuse("E0707", "Constant has one value")
    (name,) = names
    hint = c.node.outputs[0]
    if name in ("value", "sparse_value"):
        t = c.constant(name)
        return c.e.array(t.known, t.element, hint)
    if name.startswith("value_string"):
        raise refuse("E0710", "texts are not supported")
    if name.startswith("value_int"):
        v = c.int(name) if name == "value_int" else c.ints(name)
        return c.e.array(v, INT64, hint)
    f = c.float(name) if name == "value_float" else c.floats(name)
    return c.e.array(f, FLOAT, hint)


_CONSTANTS = (
    "value", "sparse_value", "value_float", "value_floats", "value_int", "value_ints",
    "value_string", "value_strings",
)  # fmt: skip


def _constant_of_shape(c: Call) -> Tensor:
    shape = dims_from(c.tensor(0))
    if not c.given("value"):
        return c.e.full(0.0, shape, FLOAT)
    assert isinstance(c.attributes["value"].value, TensorData)
    v = c.constant("value")
    if v.rank > 1 or v.known is None or v.known.size != 1:
        raise refuse("E0707", "the value of ConstantOfShape is one number")
    return c.e.broadcast(c.e.reshape(v, ()), shape)


def _range(c: Call) -> Tensor:
    start, limit, step = (c.e.reshape(c.tensor(i), ()) for i in range(3))
    return arange(start, limit, step)


def arange(start: Tensor, limit: Tensor, step: Tensor) -> Tensor:
    """`start, start + step, …` before `limit`. Source: ONNX Range-11."""
    e, element = start.e, start.element
    if element.is_float:
        wide = [numbers.cast(x, FLOAT) if x.element.bits < 32 else x for x in (start, limit, step)]
        count = ((wide[1] - wide[0]) / wide[2]).op("ceil")
        n = e.to_dim(numbers.cast(count, INT64).op("max", 0))
        # Multiplied in the wide type, as the definition's sum would be.
        ramp = wide[0] + numbers.cast(e.iota(n), wide[0].element) * wide[2]
        return numbers.cast(ramp, element)
    a, b, s = (numbers.cast(x, INT64) for x in (start, limit, step))
    if s.known is not None and int(s.known) == 0:
        raise refuse("E0707", "a Range with step 0")
    if s.known is not None and int(s.known) > 0:
        k = int(s.known)
        n = e.to_dim((b - a + (k - 1)).op("floordiv", k).op("max", 0))
    else:
        n = e.to_dim((-(a - b).op("floordiv", s)).op("max", 0))
    return numbers.cast(a + e.iota(n) * s, element)


def _depth_to_space(c: Call) -> Tensor:
    x, e, k = c.tensor(0), c.e, c.int("blocksize")
    if x.rank != 4 or k < 1:
        raise refuse("E0707", f"DepthToSpace of {x} by {k}")
    n, ch, h, w = x.shape
    deep = ch.divide_exactly(Dim.const(k * k))
    if deep is None:
        raise refuse("E0707", f"{ch} channels are no multiple of {k * k}")
    if c.choice("mode", ("DCR", "CRD"), "DCR") == "DCR":
        y = e.transpose(e.reshape(x, (n, k, k, deep, h, w)), (0, 3, 4, 1, 5, 2))
    else:
        y = e.transpose(e.reshape(x, (n, deep, k, k, h, w)), (0, 1, 4, 2, 5, 3))
    return e.reshape(y, (n, deep, h * k, w * k))


def _space_to_depth(c: Call) -> Tensor:
    x, e, k = c.tensor(0), c.e, c.int("blocksize")
    if x.rank != 4 or k < 1:
        raise refuse("E0707", f"SpaceToDepth of {x} by {k}")
    n, ch, h, w = x.shape
    hk, wk = h.divide_exactly(Dim.const(k)), w.divide_exactly(Dim.const(k))
    if hk is None or wk is None:
        if h.is_constant and w.is_constant:
            raise refuse("E0707", f"{h} by {w} is no multiple of {k}")
        hk, wk = h // k, w // k
    crd = c.given("mode") and c.text("mode") == "CRD"
    y = e.reshape(x, (n, ch, hk, k, wk, k))
    y = e.transpose(y, (0, 1, 3, 5, 2, 4) if crd else (0, 3, 5, 1, 2, 4))
    return e.reshape(y, (n, ch * (k * k), hk, wk))


def _eye_like(c: Call) -> Tensor:
    x, e = c.tensor(0), c.e
    if x.rank != 2:
        raise refuse("E0707", f"EyeLike of {x}")
    element = c.element("dtype") if c.given("dtype") else x.element
    rows = e.reshape(e.iota(x.shape[0]), (x.shape[0], 1))
    columns = e.reshape(e.iota(x.shape[1]), (1, x.shape[1]))
    return numbers.cast((rows + c.int("k", 0)).equals(columns), element)


def _one_hot(c: Call) -> Tensor:
    index, depth, values, e = c.tensor(0), c.tensor(1), c.tensor(2), c.e
    rank = index.rank + 1
    axis = normal_axis(c.int("axis", -1), rank)
    n = e.to_dim(numbers.cast(e.reshape(depth, ()), INT64), "depth")
    i = numbers.cast(index, INT64)
    i = (i < 0).choose(i + e.dim(n), i)
    i = e.reshape(i, (*index.shape[:axis], 1, *index.shape[axis:]))
    place = e.reshape(e.iota(n), (*[1] * axis, n, *[1] * (index.rank - axis)))
    off, on = (e.reshape(x, ()) for x in split(check_rank(values, 1), 0, (ONE, ONE)))
    return i.equals(place).choose(on, off)


def _trilu(c: Call) -> Tensor:
    x, e = c.tensor(0), c.e
    if x.rank < 2:
        raise refuse("E0707", f"Trilu of {x}")
    k = c.optional(1)
    shift = e.scalar(0, INT64) if k is None else numbers.cast(e.reshape(k, ()), INT64)
    n, m = x.shape[-2:]
    rows, columns = e.reshape(e.iota(n), (n, 1)) + shift, e.reshape(e.iota(m), (1, m))
    keep = columns >= rows if c.int("upper", 1) else columns <= rows
    return keep.choose(x, x.like(False if x.element.is_bool else 0))


def _reverse_sequence(c: Call) -> Tensor:
    x, lengths, e = c.tensor(0), c.tensor(1), c.e
    batch, time = c.axis(x.rank, "batch_axis", 1), c.axis(x.rank, "time_axis", 0)
    if x.rank < 2 or {batch, time} != {0, 1}:
        raise refuse("E0707", f"ReverseSequence of {x} over axes {time} and {batch}")
    y = x if time == 0 else e.transpose(x, (1, 0, *range(2, x.rank)))
    out = reverse_rows(y, numbers.cast(lengths, INT64))
    return out if time == 0 else e.transpose(out, (1, 0, *range(2, x.rank)))


def reverse_rows(x: Tensor, lengths: Tensor) -> Tensor:
    """`x [T, B, …]` with the first `lengths[b]` steps of each b in reverse."""
    e, (t, b) = x.e, x.shape[:2]
    step = e.reshape(e.iota(t), (t, 1))
    n = e.reshape(lengths, (1, b))
    at = (step < n).choose(n - step - 1, step)
    index = at * e.dim(b) + e.reshape(e.iota(b), (1, b))
    flat = e.reshape(x, (t * b, *x.shape[2:]))
    return e.emit("take", flat, index, axis=0)


def element_or(c: Call, name: str, default: Element) -> Element:
    """An attribute that is an element type, if it is given."""
    return c.element(name) if c.given(name) and c.int(name) else default


OPERATORS: tuple[Operator, ...] = (
    Operator("Shape", (1, 13, 15, 19, 21, 23, 24, 25), _shape),
    Operator("Size", (1, 13, 19, 21, 23, 24, 25), _size),
    Operator("Reshape", (1, 5, 13, 14, 19, 21, 23, 24, 25), _reshape),
    Operator("Flatten", (1, 9, 11, 13, 21, 23, 24, 25), _flatten),
    Operator("Squeeze", (1, 11, 13, 21, 23, 24, 25), _squeeze),
    Operator("Unsqueeze", (1, 11, 13, 21, 23, 24, 25), _unsqueeze),
    Operator("Transpose", (1, 13, 21, 23, 24, 25), _transpose),
    Operator("Expand", (8, 13), _expand),
    Operator("Tile", (1, 6, 13), _tile),
    Operator("Concat", (1, 4, 11, 13), _concat),
    Operator("Split", (1, 2, 11, 13, 18), _split),
    Operator("Constant", (1, 9, 11, 12, 13, 19, 21, 23, 24, 25), _constant),
    Operator("ConstantOfShape", (9, 20, 21, 23, 24, 25), _constant_of_shape),
    Operator("Range", (11, 27), _range),
    Operator("DepthToSpace", (1, 11, 13, 28), _depth_to_space),
    Operator("SpaceToDepth", (1, 13, 28), _space_to_depth),
    Operator("EyeLike", (9, 22), _eye_like),
    Operator("OneHot", (9, 11, 28), _one_hot),
    Operator("Trilu", (14,), _trilu),
    Operator("ReverseSequence", (10, 28), _reverse_sequence),
)  # fmt: skip
