"""How functions are called: arguments and results in registers 1 to 20 of their kind, those that
find no place there in cells of DRAM that all calls share (a callee takes them first of all).

`call` puts the return address on STACK; the callee's frame begins where that part of the caller's
ends that must stay (`Call.keep`), and its address is in r60 from the call to the return. Frames lie
in the scratchpad while they fit there, then in DRAM; what comes after one in DRAM does so, too.
"""

from __future__ import annotations

from dataclasses import dataclass

from dlc.memory.form import BFunction
from dlc.memory.frame import CELL, Home
from dlc.targets.sparrow.code import ARGUMENTS, Flt, Int
from dlc.targets.sparrow.homes import kind_of


@dataclass(frozen=True, slots=True)
class Cell:
    """Byte `offset` of the cells."""

    offset: int


Seat = Int | Flt | Cell


@dataclass(frozen=True)
class Convention:
    """Seats of dims, parameters, results and result dims, in order; they take `cells` bytes of
    cells. `ints` and `floats` are the highest argument registers in use."""

    dims: tuple[Seat, ...]
    params: tuple[Seat, ...]
    results: tuple[Seat, ...]
    result_dims: tuple[Seat, ...]
    cells: int
    ints: int
    floats: int


class _Seats:
    def __init__(self, cell: int) -> None:
        self.used = {Int: 0, Flt: 0}
        self.cell = cell

    def take(self, h: Home) -> Seat:
        kind = kind_of(h)
        if self.used[kind] < len(ARGUMENTS):
            self.used[kind] += 1
            return kind(self.used[kind])
        self.cell += CELL
        return Cell(self.cell - CELL)


def convention(fn: BFunction) -> Convention:
    """The seats of a function's arguments and results."""
    given = _Seats(0)
    dims = tuple(map(given.take, fn.dims))
    params = tuple(given.take(p.reg) for p in fn.params)
    back = _Seats(given.cell)
    results = tuple(map(back.take, fn.results))
    result_dims = tuple(back.take(_dim_home(n)) for n in range(len(fn.result_dims)))
    return Convention(
        dims,
        params,
        results,
        result_dims,
        back.cell,
        given.used[Int],
        given.used[Flt],
    )


def _dim_home(n: int) -> Home:
    return f"result dim {n}"
