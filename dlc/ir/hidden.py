"""Hidden sizes: dims of results that only the run decides (`nonzero`, branches that yield lists of
different length). Joining types over branches, and solving for the dims that a loop carries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from dlc.typesys.dims import Dim
from dlc.typesys.types import AdtType, ListType, TensorType, Type, type_dims


class HiddenDimError(ValueError):
    """Types that differ in more than dims, or a hidden dim that no type determines."""


def replace_dims(t: Type, dims: Iterator[Dim]) -> Type:
    """The type with its dims, in the order of `type_dims`, replaced by those of the iterator."""
    if isinstance(t, TensorType):
        return TensorType(t.dtype, tuple(next(dims) for _ in t.shape))
    if isinstance(t, ListType):
        return ListType(tuple(replace_dims(c, dims) for c in t.columns))
    return AdtType(t.name, tuple(next(dims) for _ in t.dims))


def same_but_for_dims(a: Type, b: Type) -> bool:
    """Whether the types agree in everything but the values of their dims."""
    if isinstance(a, TensorType):
        return isinstance(b, TensorType) and a.dtype == b.dtype and a.rank == b.rank
    if isinstance(a, ListType):
        return (
            isinstance(b, ListType)
            and len(a.columns) == len(b.columns)
            and all(map(same_but_for_dims, a.columns, b.columns))
        )
    return isinstance(b, AdtType) and a.name == b.name and len(a.dims) == len(b.dims)


def join_types(
    rows: Sequence[Sequence[Type]],
    fresh: Callable[[], str],
    local: frozenset[str] = frozenset(),
) -> tuple[tuple[Type, ...], tuple[str, ...], tuple[tuple[Dim, ...], ...]]:
    """The common types of several rows of types: dims in which the rows differ, or that mention a
    `local` name (one that means nothing outside), become new names.

    Gives the types, the names, and for each row the values of the names there. Equal columns of
    values share a name. Raises HiddenDimError if the rows differ in more than dims."""
    made: dict[tuple[Dim, ...], str] = {}

    def joint(ds: tuple[Dim, ...]) -> Dim:
        if all(d == ds[0] for d in ds) and not any(s in local for s in ds[0].symbols()):
            return ds[0]
        if ds not in made:
            made[ds] = fresh()
        return Dim.sym(made[ds])

    if len({len(r) for r in rows}) > 1:
        raise HiddenDimError(f"branches yield {' and '.join(str(len(r)) for r in rows)} values")
    out: list[Type] = []
    for column in zip(*rows, strict=True):
        if not all(same_but_for_dims(column[0], t) for t in column):
            raise HiddenDimError(f"branches yield {' and '.join(map(str, column))}")
        dims = [joint(ds) for ds in zip(*(tuple(type_dims(t)) for t in column), strict=True)]
        out.append(replace_dims(column[0], iter(dims)))
    values = tuple(tuple(ds[i] for ds in made) for i in range(len(rows)))
    return tuple(out), tuple(made.values()), values


def solve_dims(
    names: Sequence[str], pattern: Sequence[Type], actual: Sequence[Type]
) -> tuple[Dim, ...]:
    """The values of `names` that make `pattern` into `actual`. Each name must stand alone as a dim
    somewhere in the pattern. Raises HiddenDimError otherwise."""
    found: dict[str, Dim] = {}
    for p, a in zip(pattern, actual, strict=True):
        if not same_but_for_dims(p, a):
            raise HiddenDimError(f"{a} where {p} is carried")
        for dp, da in zip(type_dims(p), type_dims(a), strict=True):
            if dp.name is not None and dp.name in names:
                found.setdefault(dp.name, da)
    missing = [n for n in names if n not in found]
    if missing:
        raise HiddenDimError(f"no carried type determines {', '.join(missing)}")
    return tuple(found[n] for n in names)
