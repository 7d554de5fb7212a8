"""Machines that have a program loaded and verified, kept for further calls."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from dlc.isa.machine import Engine, Machine
from dlc.isa.program import Program

LIMIT = 1 << 32
"""Bytes that a machine may have."""
OTHERS = 1 << 24
"""Bytes of it for spaces that a program has without asking."""
DEEPEST = 1 << 28
"""Bytes of STACK that a machine may have: recursion without an end stops there."""
MOST = 2
"""Machines that are kept."""
LARGEST = 1 << 28
"""Bytes of a machine that is kept: a new one costs less than to clear more than that."""


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
            if sum(machine.program.memories.values()) <= LARGEST:
                with self.lock:
                    self.free = [(engine, machine), *self.free[: MOST - 1]]

    def grown(self, program: Program) -> Program:
        """The program with as much memory as an earlier call needed."""
        with self.lock:
            least = {s: max(n, self.needed.get(s, 0)) for s, n in program.memories.items()}
        return replace(program, memories=least)

    def grow(self, program: Program, space: str) -> Program | None:
        """The program with four times as much of a space, from now on for every call; with what is
        left where that is less, None where it is nearly nothing."""
        size = program.memories.get(space, 0)
        left = LIMIT - sum(program.memories.values()) - OTHERS
        most = min(size + left, DEEPEST if space == "STACK" else LIMIT - OTHERS - DEEPEST)
        larger = min(4 * size, most // 64 * 64)
        if 4 * larger < 5 * size:
            return None
        with self.lock:
            self.needed[space] = larger
        return self.grown(program)

    def _taken(self, program: Program, engine: Engine) -> Machine | None:
        with self.lock:
            for k, (kind, machine) in enumerate(self.free):
                if kind == engine and machine.program.memories == program.memories:
                    del self.free[k]
                    return machine
        return None
