"""The reference machine: every instruction's clauses compiled to Python, one step at a time.

Precise traps: conditions that take one step are tested first, then fuel, then conditions that take
time; nothing has changed when one of them holds. `do` itself can't trap.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlc.diag import InternalError
from dlc.isa import terms as t
from dlc.isa.codec import Decoded
from dlc.isa.derive import is_constant_time
from dlc.isa.layout import S
from dlc.isa.model import Instruction, Isa, Items, TrapWhen, wrap64
from dlc.isa.python_text import PythonText
from dlc.isa.runtime import F, Halted, Runtime
from dlc.isa.state import State

HALTED = 0
RUNNING = -1


@dataclass(frozen=True, slots=True)
class Compiled:
    """The clauses of one instruction as Python functions of (runtime, operands ...)."""

    instruction: Instruction
    check: Callable[..., int]
    fuel: Callable[..., int]
    slow_check: Callable[..., int]
    do: Callable[..., None]
    counts: Callable[..., tuple[int, ...]]
    writes_pc: bool
    text: str


def _check_lines(isa: Isa, name: str, traps: list[TrapWhen], head: str) -> list[str]:
    lines = [f"def {name}({head}):"]
    for trap in traps:
        lines.append(f"    if {PythonText().expr(trap.when)}:")
        if trap.code is not None:
            lines.append(f"        m.state.scalars[{int(S.CODE)}] = {PythonText().expr(trap.code)}")
        lines.append(f"        return {isa.trap_number(trap.trap)}  # {trap.trap}")
    return [*lines, "    return 0"]


def fuel_term(instruction: Instruction) -> t.Expr:
    """Work units that an instruction is charged: its items (at least 1), or 1 and the entries over
    its steps."""
    work = instruction.work
    if isinstance(work, Items):
        return t.Call("max", (work.count, t.Int(1)), "i")
    entries = work.weight
    if work.matrix is not None and work.column is not None:
        entries = t.Binary("*", entries, t.Call("entries", (work.matrix, work.column), "i"))
    return t.Binary("+", t.Int(1), t.Quantifier("sum", work.var, work.bound, entries))


@functools.lru_cache(maxsize=1024)
def compile_instruction(isa: Isa, mnemonic: str) -> Compiled:
    """Python functions for the clauses of an instruction."""
    instruction = isa.instructions[mnemonic]
    head = ", ".join(["m", *(f"o_{field.name}" for field in instruction.operands)])
    quick = [trap for trap in instruction.traps if is_constant_time(trap.when)]
    slow = [trap for trap in instruction.traps if not is_constant_time(trap.when)]
    lines = _check_lines(isa, "check", quick, head)
    lines += [f"def fuel({head}):", f"    return {PythonText().expr(fuel_term(instruction))}"]
    lines += _check_lines(isa, "slow_check", slow, head)
    lines += [f"def do({head}):", *PythonText().block(instruction.body, "    ")]
    values = "".join(f"{PythonText().expr(count.value)}, " for count in instruction.counts)
    lines += [f"def counts({head}):", f"    return ({values})"]
    text = "\n".join(lines)
    scope: dict[str, Any] = {"I": wrap64, "F": F}
    exec(compile(text, f"<{instruction.mnemonic}>", "exec"), scope)
    return Compiled(
        instruction,
        scope["check"],
        scope["fuel"],
        scope["slow_check"],
        scope["do"],
        scope["counts"],
        any(place.base == "pc" for place in instruction.writes),
        text,
    )


class ReferenceMachine:
    """Runs decoded words on a state. `observe`, if given, sees (machine, decoded) after the checks
    and before `do`."""

    def __init__(self, isa: Isa, state: State, text: tuple[Decoded, ...]) -> None:
        self.isa = isa
        self.state = state
        self.text = text
        self.runtime = Runtime(state)
        self.compiled: dict[str, Compiled] = {}
        self.observe: Callable[[ReferenceMachine, Decoded], None] | None = None
        self.executed: dict[str, int] = {}

    def clauses(self, instruction: Instruction) -> Compiled:
        """The compiled clauses, made at the first use."""
        found = self.compiled.get(instruction.mnemonic)
        if found is None:
            found = compile_instruction(self.isa, instruction.mnemonic)
            self.compiled[instruction.mnemonic] = found
        return found

    def check(self, decoded: Decoded) -> int:
        """The trap that the instruction raises in this state, fuel included; 0 for none. The state
        stays."""
        clauses = self.clauses(decoded.instruction)
        trap = clauses.check(self.runtime, *decoded.values)
        if trap:
            return trap
        if int(self.state.scalars[S.FUEL]) < clauses.fuel(self.runtime, *decoded.values):
            return self.isa.trap_number("out_of_fuel")
        return clauses.slow_check(self.runtime, *decoded.values)

    def step(self) -> int:
        """One instruction: RUNNING, HALTED, or the number of a trap."""
        state = self.state
        pc = int(state.scalars[S.PC])
        if not 0 <= pc < len(self.text):
            raise InternalError(f"pc {pc} of {len(self.text)} words", stage="reference machine")
        decoded = self.text[pc]
        with np.errstate(all="ignore"):
            trap = self.check(decoded)
            if trap:
                return trap
            clauses = self.clauses(decoded.instruction)
            if self.observe is not None:
                self.observe(self, decoded)
            self.executed[decoded.instruction.mnemonic] = (
                self.executed.get(decoded.instruction.mnemonic, 0) + 1
            )
            state.scalars[S.FUEL] -= clauses.fuel(self.runtime, *decoded.values)
            try:
                clauses.do(self.runtime, *decoded.values)
            except Halted:
                return HALTED
        if not clauses.writes_pc:
            state.scalars[S.PC] += 1
        return RUNNING

    def run(self) -> int:
        """Steps until the end: HALTED, or the number of a trap; the state is then as before the
        instruction that trapped."""
        while True:
            status = self.step()
            if status != RUNNING:
                return status
