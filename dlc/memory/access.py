"""How the elements of a tensor value are reached: strides over the value that owns the storage.

Views (`broadcast slice index transpose reshape reverse retype`) move no data: their access is
computed from their operand's. Only a `reshape` whose axes don't merge has none, and is copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dlc.diag import InternalError
from dlc.ir.core import Op, Value
from dlc.memory.form import row_major
from dlc.typesys.dims import ONE, ZERO, Dim

VIEWS = frozenset({"broadcast", "reshape", "transpose", "slice", "index", "reverse", "retype"})


@dataclass(frozen=True, slots=True)
class Access:
    """Elements `base + sum of term values * dims + sum of strides[d] * i_d` of `place`'s storage.

    `root` is the value that must stay alive and unchanged: `place` itself, or the list that an
    element was taken from. `whole` accesses are all of the root's elements in their own order.
    """

    place: Value
    root: Value
    shape: tuple[Dim, ...]
    strides: tuple[Dim, ...]
    base: Dim = ZERO
    terms: tuple[tuple[Value, Dim], ...] = ()
    whole: bool = False

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements are dense and in row-major order; axes of size 1 don't matter."""
        if self.whole:
            return True
        want = row_major(self.shape)
        return all(
            s == w or n == ONE for s, w, n in zip(self.strides, want, self.shape, strict=True)
        )


def whole(v: Value, root: Value | None = None) -> Access:
    """A value that owns its storage, or an element of the list `root`."""
    shape = v.tensor.shape
    return Access(v, root or v, shape, row_major(shape), whole=root is None)


def view_access(op: Op, a: Access, numbers: Mapping[Value, Dim]) -> Access | None:
    """The access of a view's result, from that of its operand; None if data must move.

    `numbers` are integer scalars whose value is a dim: they go into the base."""
    t = op.results[0].tensor
    if op.name == "broadcast":
        return replace(_broadcast(a, t.shape), whole=a.whole and a.shape == t.shape)
    if op.name == "retype":
        return replace(a, shape=t.shape)
    if op.name == "reshape":
        return _reshape(a, t.shape)
    if op.name == "transpose":
        perm = op.attr_ints("perm")
        strides = tuple(a.strides[p] for p in perm)
        return replace(a, shape=t.shape, strides=strides, whole=perm == tuple(range(len(perm))))
    if op.name == "reverse":
        axis = op.attr_int("axis")
        last = a.strides[axis] * (a.shape[axis] - 1)
        strides = tuple(-s if d == axis else s for d, s in enumerate(a.strides))
        return replace(a, strides=strides, base=a.base + last, whole=False)
    if op.name == "slice":
        axis, step = op.attr_int("axis"), op.attr_int("step", 1)
        strides = tuple(s * step if d == axis else s for d, s in enumerate(a.strides))
        moved = _moved(a, ((op.operands[1], a.strides[axis]),), numbers)
        return replace(moved, shape=t.shape, strides=strides, whole=False)
    if op.name == "index":
        n = len(op.operands) - 1
        pairs = tuple(zip(op.operands[1:], a.strides[:n], strict=True))
        moved = _moved(a, pairs, numbers)
        return replace(moved, shape=a.shape[n:], strides=a.strides[n:], whole=False)
    raise InternalError(f"{op.name} is no view", stage="memory", op=op.name)


def part_access(op: Op, a: Access, numbers: Mapping[Value, Dim]) -> Access:
    """The part of the destination that `insert` or `insert_slice` writes; `a` is operand 0's."""
    _, v, *at = op.operands
    if op.name == "insert":
        n = len(at)
        moved = _moved(a, tuple(zip(at, a.strides[:n], strict=True)), numbers)
        return replace(moved, shape=a.shape[n:], strides=a.strides[n:], whole=False)
    axis, step = op.attr_int("axis"), op.attr_int("step", 1)
    strides = tuple(s * step if d == axis else s for d, s in enumerate(a.strides))
    moved = _moved(a, ((at[0], a.strides[axis]),), numbers)
    return replace(moved, shape=v.tensor.shape, strides=strides, whole=False)


def piece_access(a: Access, axis: int, start: Dim, size: Dim) -> Access:
    """`size` entries of an axis from a known start on: where an operand of `concat` goes."""
    shape = tuple(size if d == axis else n for d, n in enumerate(a.shape))
    return replace(a, shape=shape, base=a.base + start * a.strides[axis], whole=False)


def _moved(a: Access, pairs: tuple[tuple[Value, Dim], ...], numbers: Mapping[Value, Dim]) -> Access:
    base, terms = a.base, list(a.terms)
    for v, stride in pairs:
        n = numbers.get(v)
        if n is not None:
            base = base + n * stride
        elif stride != ZERO:
            terms.append((v, stride))
    return replace(a, base=base, terms=tuple(terms))


def _broadcast(a: Access, shape: tuple[Dim, ...]) -> Access:
    extra = len(shape) - len(a.shape)
    strides = [ZERO] * extra
    for n, s, want in zip(a.shape, a.strides, shape[extra:], strict=True):
        strides.append(s if n == want else ZERO)
    return replace(a, shape=shape, strides=tuple(strides))


def _reshape(a: Access, shape: tuple[Dim, ...]) -> Access | None:
    """Splits and merges axes where strides allow it."""
    if a.is_contiguous:
        return replace(a, shape=shape, strides=row_major(shape))
    old = [(n, s) for n, s in zip(a.shape, a.strides, strict=True) if n != ONE]
    out: list[Dim] = []
    i = 0
    want = [n for n in shape if n != ONE]
    k = 0
    while k < len(want):
        if i >= len(old):
            return None
        n, s = old[i]
        i += 1
        group = [want[k]]
        k += 1
        while (size := _product(group)) != n:
            if k < len(want) and n.divide_exactly(size) is not None:
                group.append(want[k])
                k += 1
            elif i < len(old) and s == old[i][0] * old[i][1]:
                n, s = n * old[i][0], old[i][1]
                i += 1
            else:
                return None
        out += [r * s for r in row_major(tuple(group))]
    if i < len(old):
        return None
    strides = iter(out)
    return replace(
        a, shape=shape, strides=tuple(ZERO if n == ONE else next(strides) for n in shape)
    )


def _product(dims: list[Dim]) -> Dim:
    n = ONE
    for d in dims:
        n = n * d
    return n
