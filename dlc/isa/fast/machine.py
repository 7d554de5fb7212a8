"""The fast machine: one native call runs a program on the arrays of its state."""

from __future__ import annotations

import ctypes
import functools
import hashlib
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dlc.diag import InternalError
from dlc.isa.codec import Decoded
from dlc.isa.fast import native
from dlc.isa.fast.context import ARRAYS
from dlc.isa.fast.module import BUG, CODE_WORDS, HALTED
from dlc.isa.fast.primitives import THROUGH_F64
from dlc.isa.fast.switch import module_text
from dlc.isa.layout import S
from dlc.isa.model import Isa
from dlc.isa.state import State

Words: TypeAlias = npt.NDArray[np.int64]
Indices: TypeAlias = npt.NDArray[np.int32]

SLICE = 1 << 30
"""Work units of one native call; between calls Python can be interrupted."""
EXPORTS = {"run": len(ARRAYS) + 1, "run_cost": len(ARRAYS) + 3, "array_columns": 5}
"""Functions of the object and how many arguments they take. A checked build has only `run`."""
IMPORTS = (*THROUGH_F64, "pow", "atan2")


def decoded_rows(isa: Isa, text: tuple[Decoded, ...]) -> Words:
    """The text as the fast machine reads it: for each word the instruction's number and its
    operands."""
    numbers = _numbers(isa)
    rows = np.zeros((len(text), CODE_WORDS), np.int64)
    for k, decoded in enumerate(text):
        rows[k, 0] = numbers[decoded.instruction.mnemonic]
        rows[k, 1 : 1 + len(decoded.values)] = decoded.values
    return rows


@functools.lru_cache(maxsize=4)
def _numbers(isa: Isa) -> dict[str, int]:
    return {mnemonic: k for k, mnemonic in enumerate(isa.instructions)}


class FastMachine:
    """The compiled instructions of one ISA. Holds no state of programs."""

    def __init__(self, isa: Isa, checked: bool = False) -> None:
        self.isa = isa
        key = _key(isa, checked)
        data = native.cached_object(key)
        if data is None:
            data = native.compile_text(module_text(isa, checked))
            native.keep_object(key, data)
        names = ("run",) if checked else EXPORTS
        self._library = native.Library(data, names, IMPORTS)
        self._calls = {
            name: ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * EXPORTS[name])(address)
            for name, address in self._library.addresses.items()
        }

    def run(
        self, state: State, text: tuple[Decoded, ...], costs: tuple[Words, Words] | None = None
    ) -> int:
        """Run from the present state: 0 at a normal end, else the number of a trap.

        `costs`: two cost states of `dlc.isa.cost.layout`, to which the run adds what it costs.
        """
        return self.run_rows(state, decoded_rows(self.isa, text), costs=costs)

    def run_rows(
        self,
        state: State,
        rows: Words,
        arrays: list[int] | None = None,
        costs: tuple[Words, Words] | None = None,
    ) -> int:
        """As `run`, on a text that `decoded_rows` made; `arrays` are the state's pointers, if the
        caller keeps them."""
        pointers = [*(state_pointers(state) if arrays is None else arrays), rows.ctypes.data]
        native_run = self._calls["run"]
        if costs is not None:
            native_run = self._calls["run_cost"]
            pointers += [words.ctypes.data for words in costs]
        scalars = state.scalars
        left = int(scalars[S.FUEL])
        out_of_fuel = self.isa.trap_number("out_of_fuel")
        grant = SLICE
        scalars[S.FUEL] = 0
        while True:
            given = min(left, grant)
            scalars[S.FUEL] += given
            left -= given
            status = int(native_run(*pointers))
            if status == out_of_fuel and left:
                grant *= 2
                continue
            scalars[S.FUEL] += left
            if status == BUG:
                raise InternalError(
                    f"access outside at word {int(scalars[S.PC])}", stage="fast machine"
                )
            return 0 if status == HALTED else status

    def array_columns(self, costs: Words, pointers: Indices, rows: Indices, listed: Indices) -> int:
        """Cycles of the array for the listed columns of a pattern, as `ev.mv` gives them to it."""
        arrays = [np.ascontiguousarray(a, np.int32) for a in (pointers, rows, listed)]
        addresses = [int(a.ctypes.data) for a in arrays]
        return int(self._calls["array_columns"](int(costs.ctypes.data), *addresses, len(arrays[2])))


def state_pointers(state: State) -> list[int]:
    """Addresses of the arrays of a state, in the order of `ARRAYS`."""
    arrays: dict[str, Any] = {
        "S": state.scalars,
        "r": state.r,
        "f": state.f,
        "T": state.T,
        "W": state.W,
        "Q": state.Q,
        "table": state.table,
        "static": state.static,
        "matrices": state.matrices,
        "mem": state.memory,
        "idx": state.memory,
    }
    return [int(arrays[name].ctypes.data) for name in ARRAYS]


def _key(isa: Isa, checked: bool) -> str:
    """Names an object by all that it depends on: the ISA, the compiler's own sources, the host."""
    folder = Path(__file__).resolve().parent
    digest = hashlib.sha256(f"{isa.digest} {checked} {native.host()}".encode())
    for path in sorted(
        (*folder.glob("*.py"), *folder.parent.glob("*.py"), *folder.parent.glob("cost/*.py"))
    ):
        digest.update(path.read_bytes())
    return f"isa-{digest.hexdigest()[:32]}"


def is_at_hand(isa: Isa) -> bool:
    """Whether the fast machine is in the user's cache, so that nothing is compiled for it."""
    return native.cached_object(_key(isa, checked=False)) is not None


@functools.lru_cache(maxsize=4)
def fast_machine(isa: Isa, checked: bool = False) -> FastMachine:
    """The fast machine of an ISA: from this process, from the user's cache, or compiled now (some
    seconds)."""
    return FastMachine(isa, checked)
