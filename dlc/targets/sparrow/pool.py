"""Machines that have a program loaded and verified, kept for further calls."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from dlc.isa.machine import Engine, Machine
from dlc.isa.program import Program

LIMIT = 1 << 30
"""Bytes that a machine may have."""
MOST = 2
"""Machines that are kept."""


@dataclass(eq=False)
class Pool:
    """Machines of one program, of different sizes of memory, that nobody is using. Any number of
    threads may ask for one."""

    free: list[tuple[Engine, Machine]] = field(default_factory=list["tuple[Engine, Machine]"])
    lock: threading.Lock = field(default_factory=threading.Lock)
    needed: dict[str, int] = field(default_factory=dict[str, int])
    """Bytes of spaces that a call has needed."""

    @contextmanager
    def machine(self, program: Program, engine: Engine, name: str) -> Generator[Machine]:
        """A machine in its first state, with the memories that the program asks for.

        Raises CompileError E0807, E0808."""
        machine = self._taken(program, engine)
        if machine is None:
            machine = Machine.load(program, engine=engine, name=name, limit=LIMIT)
        else:
            machine.reset()
        try:
            yield machine
        finally:
            with self.lock:
                self.free = [(engine, machine), *self.free[: MOST - 1]]

    def grown(self, program: Program) -> Program:
        """The program with as much memory as an earlier call needed."""
        with self.lock:
            least = {s: max(n, self.needed.get(s, 0)) for s, n in program.memories.items()}
        return replace(program, memories=least)

    def grow(self, program: Program) -> Program:
        """The program with four times as much DRAM and STACK, from now on for every call."""
        with self.lock:
            for space in ("DRAM", "STACK"):
                self.needed[space] = 4 * program.memories.get(space, 0)
        return self.grown(program)

    def _taken(self, program: Program, engine: Engine) -> Machine | None:
        with self.lock:
            for k, (kind, machine) in enumerate(self.free):
                if kind == engine and machine.program.memories == program.memories:
                    del self.free[k]
                    return machine
        return None
