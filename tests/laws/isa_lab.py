"""One instruction on chosen operands: a state is laid out, the instruction runs alone, its
operands are read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dlc.isa import descriptors
from dlc.isa.assembly import decoded
from dlc.isa.builder import ProgramBuilder, bf16_bits
from dlc.isa.fast.machine import fast_machine
from dlc.isa.layout import E, S
from dlc.isa.machine import Engine
from dlc.isa.model import Isa
from dlc.isa.program import DTYPES
from dlc.isa.project import load_isa
from dlc.isa.reference import ReferenceMachine
from dlc.isa.state import State, make_state, read_packed

Array = npt.NDArray[Any]
FUEL = 1 << 30
_BITS = {"f32": np.float32, "bf16": np.uint16, "i32": np.int32, "i8": np.int8}


@dataclass
class Case:
    """An instruction and its operands by name: tensors as arrays, matrices dense (their zeros
    aren't stored), queues as lists of events, registers and immediates as numbers. `dtypes`
    where a tensor isn't f32 or i32."""

    mnemonic: str
    tensors: dict[str, Array] = field(default_factory=dict)
    matrices: dict[str, Array] = field(default_factory=dict)
    queues: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    integers: dict[str, int] = field(default_factory=dict)
    floats: dict[str, float] = field(default_factory=dict)
    immediates: dict[str, int] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """What the instruction left: status (0 or a trap's number), and operands by name."""

    status: int
    state: State
    numbers: dict[str, int]

    def tensor(self, operand: str) -> Array:
        return read_packed(self.state, self.state.T[self.numbers[operand]].tolist())

    def queue(self, operand: str) -> list[tuple[int, float]]:
        q = self.state.Q[self.numbers[operand]].tolist()
        n = q[E.LENGTH]
        index = self.state.memory[q[E.INDEX] : q[E.INDEX] + 4 * n].view(np.int32)
        value = self.state.memory[q[E.VALUE] : q[E.VALUE] + 4 * n].view(np.float32)
        return [(int(i), float(v)) for i, v in zip(index, value, strict=True)]

    def integer(self, operand: str) -> int:
        return int(self.state.r[self.numbers[operand]])

    def real(self, operand: str) -> float:
        return float(self.state.f[self.numbers[operand]])


def _dtype(case: Case, name: str) -> str:
    if name in case.dtypes:
        return case.dtypes[name]
    return "f32" if case.tensors[name].dtype.kind == "f" else "i32"


def lay_out(case: Case, isa: Isa) -> tuple[State, dict[str, int]]:
    """The state with a case's operands in it, and the numbers of the operands."""
    b = ProgramBuilder(isa)
    b.queue, b.tape_bytes, b.stack_bytes, b.heap_bytes = 64, 4096, 256, 256
    places: dict[str, int] = {}
    for name, array in case.tensors.items():
        dtype = _dtype(case, name)
        raw = bf16_bits(array.astype(np.float32)) if dtype == "bf16" else array.astype(_BITS[dtype])
        places[name] = b.data("SP", raw)
    rows = {name: b.matrix(dense.astype(np.float32)) for name, dense in case.matrices.items()}
    state = make_state(isa, b.finish(), 2)
    numbers: dict[str, int] = dict(case.immediates)
    base, space = state.base("SP"), isa.space("SP")
    for k, (name, array) in enumerate(case.tensors.items()):
        dtype = DTYPES.index(_dtype(case, name))
        shape = list(array.shape)
        state.T[k + 1] = descriptors.finish(
            space, dtype, base + places[name], shape, descriptors.row_major(shape)
        )
        numbers[name] = k + 1
    for k, (name, row) in enumerate(rows.items()):
        state.W[k] = state.matrices[row]
        numbers[name] = k
    for k, (name, events) in enumerate(case.queues.items()):
        q = state.Q[k].tolist()
        state.Q[k, E.LENGTH] = len(events)
        for e, (index, value) in enumerate(events):
            state.memory[q[E.INDEX] + 4 * e : q[E.INDEX] + 4 * e + 4] = np.array(
                [index], np.int32
            ).view(np.uint8)
            state.memory[q[E.VALUE] + 4 * e : q[E.VALUE] + 4 * e + 4] = np.array(
                [value], np.float32
            ).view(np.uint8)
        numbers[name] = k
    for k, (name, value) in enumerate(case.integers.items()):
        state.r[k + 1] = value
        numbers[name] = k + 1
    for k, (name, value) in enumerate(case.floats.items()):
        state.f[k] = value
        numbers[name] = k
    free = {"T": 40, "r": 40, "f": 40, "W": 10, "Q": 10}
    for operand in isa.instructions[case.mnemonic].operands:
        if operand.name not in numbers:
            assert operand.kind is not None and operand.kind.of in free, operand
            numbers[str(operand.name)] = free[operand.kind.of]
            free[operand.kind.of] += 1
    return state, numbers


def perform(
    case: Case,
    engine: Engine = "fast",
    state: State | None = None,
    numbers: Mapping[str, int] | None = None,
) -> Outcome:
    """Run a case's instruction alone."""
    isa = load_isa()
    if state is None or numbers is None:
        state, numbers = lay_out(case, isa)
    instruction = isa.instructions[case.mnemonic]
    text = (decoded(instruction, **numbers), decoded(isa.instructions["halt"]))
    state.scalars[S.PC], state.scalars[S.FUEL] = 0, FUEL
    if engine == "fast":
        status = fast_machine(isa).run(state, text)
    else:
        status = ReferenceMachine(isa, state, text).run()
    return Outcome(status, state, dict(numbers))
