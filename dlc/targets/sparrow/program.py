"""What the back end makes: a program of the machine, and what the host must know to call it.

**How a call lies in the machine.** An entry starts with integer register 1 holding the address of
its *block*, cells of 8 bytes in DRAM at a multiple of 64:

    [bytes of frames] [dims…] [parameters…] [results…] [result dims…]

in the order of `SparrowEntry`. The host writes the first three groups, the program the others. A
parameter's cell holds a scalar (floats by their 32 bits, whole numbers as i64, a bool as 0 or 1),
the address of a tensor (dense, row-major, at a multiple of 64), or that of a structure. `out`
tensors are room that the host gives. A result cell holds a scalar, the address of a tensor whose
size the run found (`result_dims`), or that of a structure. Structures are the heap objects of
`dlc.memory.frame`: a record `[tag][hidden dims…][fields…]` in cells, a list
`[length][addresses of 28 chunks]`. `bytes of frames` is how much of DRAM behind the block the
frames of calls may take; the rest of DRAM is the heap.

Element types: f32, bf16, i32, i8 and bool (one byte, 0 or 1) lie as they are; i64 takes 8 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy.typing as npt

from dlc.ir.core import AdtDecl
from dlc.isa.program import Program
from dlc.ops.card import Status
from dlc.targets.sparrow.pool import Pool
from dlc.typesys.dtypes import F32
from dlc.typesys.types import TensorType, Type

Array: TypeAlias = npt.NDArray[Any]
Mode: TypeAlias = Literal["in", "inout", "out"]


@dataclass(frozen=True)
class SparrowOptions:
    """`dense`: the dense twin, the same program without events and without compressed weights.

    `weights` are arrays that are known when compiling, by the name of an entry's parameter
    (`m.cell.wx`); such a parameter stays in the interface, but the program has its own copy.
    Matrices of them with at most `sparse_below` of their entries set are stored compressed.
    `queue` is how many events a queue holds; longer vectors take the dense way. `heap` bytes of
    DRAM for frames, structures, arguments and results, `stack` bytes of saved registers: where a
    call needs more, it ends with the status `arena`. `scratchpad` bytes of SP: half for what single
    statements need, half for frames, which go on in DRAM when they don't fit."""

    dense: bool = False
    weights: Mapping[str, Array] = field(default_factory=dict[str, Array])
    sparse_below: float = 0.4
    queue: int = 4096
    heap: int = 1 << 24
    stack: int = 1 << 20
    scratchpad: int = 1 << 18


@dataclass(frozen=True, slots=True)
class Site:
    """A place where a call may fail: what the code of the user's trap stands for.

    `got` and `want` are numbers, or the name of an integer register that holds the number when the
    machine stops (`"r8"`)."""

    status: Status
    file: str
    line: int
    column: int
    message: str
    got: int | str = 0
    want: int | str = 0


@dataclass(frozen=True)
class SparrowParameter:
    """A parameter: how it is passed (`in`, `inout` tensors are changed in place, `out` is room for
    a result) and its type; dims in the type are those of the entry."""

    name: str
    mode: Mode
    type: Type


@dataclass(frozen=True)
class SparrowResult:
    """A result, in the order of the IR: in the place of parameter `parameter` (by number), or in
    result cell `cell`. Dims in the type may also be the entry's `result_dims`."""

    type: Type
    parameter: int | None = None
    cell: int | None = None


@dataclass(frozen=True)
class SparrowEntry:
    """An exported function: see the module for how its call lies in the machine.

    `dims` are its dim parameters by name, `parameters` all of them, those of mode `out` too;
    `result_dims` names the dims that the run finds, in the order of their cells.
    """

    name: str
    dims: tuple[str, ...]
    parameters: tuple[SparrowParameter, ...]
    results: tuple[SparrowResult, ...]
    result_dims: tuple[str, ...]
    cells: int
    """Cells of results."""

    @property
    def given(self) -> tuple[SparrowParameter, ...]:
        """The parameters that a caller has arguments for."""
        return tuple(p for p in self.parameters if p.mode != "out")

    @property
    def first_dim(self) -> int:
        """Numbers of cells of the block."""
        return 1

    @property
    def first_parameter(self) -> int:
        return 1 + len(self.dims)

    @property
    def first_result(self) -> int:
        return self.first_parameter + len(self.parameters)

    @property
    def first_result_dim(self) -> int:
        return self.first_result + self.cells

    @property
    def block_cells(self) -> int:
        return self.first_result_dim + len(self.result_dims)


@dataclass(frozen=True)
class SparrowProgram:
    """A compiled module. `program` is what goes into an `.spw` file; the rest is what the manifest
    must keep beside it (`dlc.targets.sparrow.describe`).

    `program.entries` have the names of `entries`, and one parameter each, `block`
    (i64[block_cells]). `program.marks` map words to places of the source; a user's trap with code k
    is `sites[k]`. `bounds` are texts about what a call takes at most, by entry.
    `weights` are the parameters that the program has its own copy of."""

    program: Program
    entries: Mapping[str, SparrowEntry]
    sites: tuple[Site, ...]
    types: Mapping[str, AdtDecl]
    dense: bool = False
    bounds: Mapping[str, str] = field(default_factory=dict[str, str])
    weights: frozenset[str] = frozenset()
    pool: Pool = field(default_factory=Pool, compare=False, repr=False)

    def holds(self, p: SparrowParameter) -> bool:
        """Whether the program has its own copy of a parameter, so that none is passed: never of one
        that it changes."""
        t = p.type
        fits = isinstance(t, TensorType) and t.rank > 0 and t.dtype == F32
        return p.mode == "in" and p.name in self.weights and fits
