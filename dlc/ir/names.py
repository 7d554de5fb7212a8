"""Fresh dim names, and the dim names that a function or region defines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dlc.ir.core import Function, Region, walk


class DimNames:
    """Hands out dim names that a function doesn't use yet. One per function under construction."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}

    @staticmethod
    def of(fn: Function) -> DimNames:
        """Names fresh for additions to an existing function."""
        return DimNames((*fn.dims, *fn.result_dims, *defined_dims(fn.body)))

    def take(self, name: str) -> None:
        """Marks a name as used."""
        self._taken.add(name)

    def fresh(self, base: str = "k") -> str:
        """`base` if it is free, else `base_1`, `base_2`, …"""
        name, n = base, self._next.get(base, 0)
        while name in self._taken:
            n += 1
            name = f"{base}_{n}"
        self._next[base] = n
        self._taken.add(name)
        return name


def defined_dims(region: Region) -> Iterator[str]:
    """Every dim name defined in the region, by an operation or at the entry of a region, in
    order."""
    yield from region.dims
    for op in walk(region):
        yield from op.dims
        for r in op.regions:
            yield from r.dims


def own_dims(region: Region) -> Iterator[str]:
    """The dim names that are visible at the region's end: those of its entry and of its own
    operations, not of regions inside."""
    yield from region.dims
    for op in region.ops:
        yield from op.dims
