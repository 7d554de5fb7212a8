"""One program while it is written: what its functions share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from dlc.diag import CompileError, Diagnostic, error
from dlc.ir.core import NOWHERE, Loc
from dlc.isa.builder import Label
from dlc.isa.layout import SPACE_SHIFT
from dlc.isa.model import Isa
from dlc.memory.form import BFunction, BModule, Call, Data
from dlc.memory.frame import statements
from dlc.ops.card import Status
from dlc.targets.sparrow.code import Code
from dlc.targets.sparrow.constants import Known, known_weights
from dlc.targets.sparrow.convention import Convention, convention
from dlc.targets.sparrow.program import Array, Site, SparrowOptions
from dlc.targets.sparrow.sizes import Asked
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I64, DType
from dlc.typesys.types import ListType, TensorType, Type

KNOWN = frozenset({"f32", "bf16", "i64", "i32", "i8", "bool"})


class Unit:
    """The text of the program, its constants, places of failure and functions.

    `scratch` bytes of SP hold what a single statement needs: numbers that repeat, temporaries of
    known size. `kept` are the dims that functions compute at their start, `asked` counts those that
    they ask for."""

    def __init__(
        self,
        isa: Isa,
        m: BModule,
        options: SparrowOptions,
        kept: Mapping[str, tuple[Dim, ...]] | None = None,
    ) -> None:
        self.kept: Mapping[str, tuple[Dim, ...]] = kept or {}
        self.asked = Asked()
        self.isa, self.m, self.options = isa, m, options
        self.code = Code(isa)
        self.sites: list[Site] = [Site("assert", "", 0, 0, "")]
        self._codes: dict[Site, int] = {}
        self._data: dict[Data, int] = {}
        self._conventions: dict[str, Convention] = {}
        self._tags: dict[tuple[str, str], int] = {}
        self.routines: dict[str, Callable[[Code], None]] = {}
        self.scratch = 0
        self.weights: Known = known_weights(m, options.weights)
        self.dense_weights: dict[str, int] = {}
        self._numbers: dict[int, int] = {}
        self._matrices: dict[tuple[bytes, tuple[int, ...]], int] = {}
        self._stack: dict[str, int | None] = {}
        self._cells: int | None = None
        self._shared: int | None = None

    # -- failures

    def site(
        self, status: Status, loc: Loc, message: str, got: int | str = 0, want: int | str = 0
    ) -> int:
        """The code of the trap for a failure here."""
        made = Site(status, loc.file, loc.line, loc.column, message, got, want)
        found = self._codes.get(made)
        if found is None:
            found = self._codes[made] = len(self.sites)
            self.sites.append(made)
        return found

    def check_dtype(self, dtype: DType, loc: Loc) -> None:
        """Raises CompileError E0640 for an element type that the machine lacks."""
        if dtype.name not in KNOWN:
            raise CompileError(refusal(dtype, loc))

    def check_type(self, t: Type, loc: Loc) -> None:
        """As `check_dtype`, for a tensor or a list of tensors."""
        if isinstance(t, TensorType):
            self.check_dtype(t.dtype, loc)
        elif isinstance(t, ListType):
            for c in t.columns:
                self.check_type(c, loc)

    # -- constants

    def data(self, s: Data) -> int:
        """The address of read-only data: in CONST, elements of 64 bits in DRAM."""
        found = self._data.get(s)
        if found is None:
            raw = np.ascontiguousarray(s.value.astype(s.dtype.numpy)).tobytes()
            space = "DRAM" if s.dtype == I64 else "CONST"
            at = self.code.builder.data(space, raw or b"\0")
            found = self._data[s] = self.tagged(space, at)
        return found

    def repeated(self, bits: int) -> int:
        """The address in CONST of a number of 32 bits."""
        found = self._numbers.get(bits)
        if found is None:
            raw = np.array([bits], np.uint32)
            found = self._numbers[bits] = self.code.builder.data("CONST", raw, 4)
        return found

    def weight(self, name: str) -> int:
        """The address of a weight's own copy, for those that are needed element by element."""
        found = self.dense_weights.get(name)
        if found is None:
            at = self.code.builder.data("WGT", self.weights.arrays[name])
            found = self.dense_weights[name] = self.tagged("WGT", at)
        return found

    def compressed(self, matrix: Array) -> int:
        """The row of a matrix in the table of compressed ones; equal matrices are one."""
        key = matrix.tobytes(), matrix.shape
        found = self._matrices.get(key)
        if found is None:
            found = self._matrices[key] = self.code.builder.matrix(matrix)
        return found

    def tagged(self, space: str, address: int) -> int:
        """The address with the name of its space, as `td.at` takes it for a row in DRAM."""
        return (self.isa.space(space) - self.isa.space("DRAM") << SPACE_SHIFT) + address

    def singleton(self, type_: str, constructor: str) -> int:
        """The address of the one record of a constructor without fields."""
        key = type_, constructor
        found = self._tags.get(key)
        if found is None:
            tag = self.m.types[type_].tag(constructor)
            found = self._tags[key] = self.code.builder.data("DRAM", np.array([tag], np.int64))
        return found

    def wide_cell(self, k: int) -> int:
        """The address in DRAM of cell k of 64 bits, for the time of a statement; there are 8."""
        if self._cells is None:
            self._cells = self.code.builder.reserve("DRAM", 64)
        return self._cells + 8 * k

    # -- functions

    def convention(self, name: str) -> Convention:
        """How a function is called."""
        found = self._conventions.get(name)
        if found is None:
            found = self._conventions[name] = convention(self.m.functions[name])
        return found

    def shared_cell(self, offset: int) -> int:
        """The address in DRAM of a cell for arguments and results."""
        if self._shared is None:
            size = max(self.convention(name).cells for name in self.m.functions)
            self._shared = self.code.builder.reserve("DRAM", size)
        return self._shared + offset

    def stack_words(self, fn: BFunction, own: int) -> int | None:
        """The words of STACK that a call takes at most, return addresses included; None if it may
        call itself. Functions are asked in the module's order, callees first."""
        below = [self._stack.get(s.function) for s in statements(fn.body) if isinstance(s, Call)]
        deepest = max((n + 1 for n in below if n is not None), default=0)
        found = None if fn.group is not None or None in below else own + max(deepest, 1)
        self._stack[fn.name] = found
        return found

    def bound(self, name: str) -> str:
        """What an entry takes of STACK, in words for people."""
        n = self._stack[name]
        return f"{n + 1} words of STACK" if n is not None else "as much STACK as it calls itself"

    def label(self, fn: BFunction) -> Label:
        return Label(f"fn.{fn.name}")

    # -- scratchpad

    def room(self, at: int, size: int) -> int:
        """`size` bytes of the scratchpad from `at` on: the byte behind them."""
        end = at + -(-size // 64) * 64
        self.scratch = max(self.scratch, end)
        return end


def refusal(dtype: DType, loc: Loc = NOWHERE) -> Diagnostic:
    """The diagnostic for an element type that the machine lacks."""
    has = "f32, bf16, i32, i8 and bool, and i64 for whole numbers"
    found = error("E0640", f"Sparrow has no {dtype}")
    if loc != NOWHERE:
        found = found.with_note(f"needed at {loc.file}:{loc.line}:{loc.column}")
    return found.with_note(f"its element types are {has}").with_help(
        "convert to one of them, or compile for the CPU"
    )
