"""Numpy's broadcasting over dims: decided where they are known, compared at run time where not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlc.importers.refusal import refuse
from dlc.importers.tensor import Shape, Tensor
from dlc.typesys.dims import ONE, Dim

if TYPE_CHECKING:
    from dlc.importers.emission import Emission


def common_shape(e: Emission, shapes: Sequence[Shape]) -> Shape:
    """The shape that all can be stretched to. Raises E0707 if there is none."""
    rank = max(map(len, shapes))
    out: list[Dim] = []
    for axis in range(rank):
        at = [s[axis - rank] for s in shapes if len(s) >= rank - axis]
        out.append(_common(e, at, shapes))
    return tuple(out)


def _common(e: Emission, ds: Sequence[Dim], shapes: Sequence[Shape]) -> Dim:
    found = ONE
    for d in dict.fromkeys(ds):
        if d in (ONE, found):
            continue
        if found == ONE:
            found = d
        elif found.is_constant and d.is_constant:
            shown = " and ".join(f"[{', '.join(map(str, s))}]" for s in shapes)
            raise refuse("E0707", f"the shapes {shown} don't fit: {found} is not {d}")
        elif found.is_constant or d.is_constant:
            found = found if found.is_constant else d
        else:
            found = larger(e, found, d)
    return found


def larger(e: Emission, a: Dim, b: Dim) -> Dim:
    """`b` where a is 1, else `a`, as a dim."""
    key = ("larger", a, b)
    known = e.remembered(key)
    if known is not None:
        return known
    n = e.dim(a).equals(1).choose(e.dim(b), e.dim(a))
    return e.remember(key, e.to_dim(n, "n"))


def stretch(x: Tensor, shape: Shape) -> Tensor:
    """Broadcast to a shape of the same or a higher rank. An axis whose dim is written differently
    must be 1 or of the same size, which is checked when the program runs."""
    e, lead = x.e, len(shape) - x.rank
    to = shape[lead:]
    if lead < 0:
        raise refuse("E0707", f"{x} has more axes than {len(shape)}")
    for axis, (have, want) in enumerate(zip(x.shape, to, strict=True)):
        if have in (want, ONE):
            continue
        if have.is_constant and want.is_constant:
            raise refuse("E0707", f"{x} cannot be stretched to [{', '.join(map(str, shape))}]")
        x = _at_run_time(x, axis, want)
    return e.broadcast(x, shape)


def _at_run_time(x: Tensor, axis: int, want: Dim) -> Tensor:
    """The axis repeated if it is 1, else as it is."""
    e, have = x.e, x.shape[axis]
    same, single = e.dim(have).equals(e.dim(want)), e.dim(have).equals(1)
    if same.known is None or not bool(same.known):
        e.check(same.op("or", single), f"sizes that must be equal, or 1: {have} and {want}")
    if e.reason.at_least(have, 2):
        return unify_axis(x, axis, want)
    index = single.choose(e.scalar(0, e.dim(0).element), e.iota(want))
    return e.emit("take", x, index, axis=axis, in_bounds=True)


def unify_axis(x: Tensor, axis: int, want: Dim) -> Tensor:
    """The tensor with this axis written as `want`, to which it is known to be equal."""
    return x.e.retype(x, (*x.shape[:axis], want, *x.shape[axis + 1 :]))


def equal_dims(e: Emission, a: Dim, b: Dim, what: str) -> Dim:
    """Two dims that must be equal: the one to go on with. Raises E0707 if they can't be."""
    if a == b:
        return a
    if a.is_constant and b.is_constant:
        raise refuse("E0707", f"{what}: {a} is not {b}")
    key = ("equal", a, b)
    if e.remembered(key) is None:
        e.b.emit_many("check_dims", left=a, right=b, message=what)
        e.remember(key, b if b.is_constant else a)
    return b if b.is_constant else a


def with_dim(x: Tensor, axis: int, d: Dim, what: str) -> Tensor:
    """The tensor with this axis known to be `d`, checked at run time if need be."""
    if x.shape[axis] == d:
        return x
    equal_dims(x.e, x.shape[axis], d, what)
    return unify_axis(x, axis, d) if x.known is None else x


def agree(a: Tensor, axis_a: int, b: Tensor, axis_b: int, what: str) -> tuple[Tensor, Tensor]:
    """Two tensors with one dim at these axes, which must be equal; checked at run time if need
    be."""
    d = equal_dims(a.e, a.shape[axis_a], b.shape[axis_b], what)
    return with_dim(a, axis_a, d, what), with_dim(b, axis_b, d, what)
