"""Running programs: load (verify, place), bind arguments, run on the fast or the reference machine,
fetch results.

machine = Machine.load(program) run = machine.run("logits", {"x": x}) run.results["y"]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from dlc.diag import CompileError, error
from dlc.isa.builder import bf16_bits
from dlc.isa.formula import FormulaError, evaluate, solve
from dlc.isa.layout import S
from dlc.isa.model import Isa
from dlc.isa.program import (
    PORT_BYTES,
    At,
    Entry,
    Given,
    InRegister,
    Made,
    Mark,
    Port,
    Program,
    Symbol,
)
from dlc.isa.project import load_isa
from dlc.isa.reference import ReferenceMachine
from dlc.isa.state import PATTERNS, State, load_images, memory_bytes
from dlc.isa.verify import Finding, Verified, verify

Array: TypeAlias = npt.NDArray[Any]
Engine: TypeAlias = Literal["fast", "reference"]

FUEL = 1 << 40
"""Work units that a run may spend unless told otherwise: some minutes on the fast machine."""
LIMIT = 1 << 32
"""Bytes of machine memory that loading refuses to exceed unless told otherwise."""
_NUMPY = {"f32": np.float32, "bf16": np.uint16, "i32": np.int32, "i8": np.int8, "i64": np.int64}


@dataclass(frozen=True, slots=True)
class Run:
    """How a run ended. `trap` is None at a normal end; then `results` hold the entry's results.

    `code` is what the user's trap carries; `word` where the machine stopped, `mark` its place in
    the source; `fuel` what was spent.
    """

    entry: str
    trap: str | None
    code: int
    word: int
    mark: Mark | None
    fuel: int
    results: Mapping[str, Array] = field(default_factory=dict[str, Array])

    @property
    def done(self) -> bool:
        return self.trap is None


def refuse_findings(name: str, findings: tuple[Finding, ...], program: Program) -> CompileError:
    """The findings of the verifier as diagnostics."""
    made: list[Any] = []
    for finding in findings:
        where = "" if finding.word is None else f", word {finding.word}"
        found = error("E0807", f"{name}{where}: {finding.message}").with_note(
            f"rule `{finding.rule}`"
        )
        mark = None if finding.word is None else program.mark(finding.word)
        made.append(
            found
            if mark is None
            else found.with_note(f"from {mark.file}:{mark.line}:{mark.column}")
        )
    return CompileError(made)


class Machine:
    """A machine with a program. Memories persist from run to run (so parameters that a run updates
    stay updated); registers don't."""

    def __init__(self, isa: Isa, verified: Verified, engine: Engine) -> None:
        self.isa = isa
        self.program = verified.program
        self.state: State = verified.state
        self.text = verified.text
        self.engine: Engine = engine

    @staticmethod
    def load(
        program: Program,
        *,
        engine: Engine = "fast",
        name: str = "program",
        isa: Isa | None = None,
        limit: int = LIMIT,
    ) -> Machine:
        """Verify and place a program.

        Raises CompileError E0807 (a rule of the verifier is broken), E0808 (it needs more memory
        than `limit` bytes).
        """
        isa = load_isa() if isa is None else isa
        need = memory_bytes(isa, program) if all(n >= 0 for n in program.memories.values()) else 0
        if need > limit:
            raise CompileError(
                error(
                    "E0808", f"{name} needs a machine with {need:,} bytes; the limit is {limit:,}"
                )
            )
        found = verify(isa, program)
        if not isinstance(found, Verified):
            raise refuse_findings(name, found, program)
        return Machine(isa, found, engine)

    def reset(self) -> None:
        """Memories as at the start."""
        self.state.memory[:] = 0
        load_images(self.state, self.program)
        self.state.restart()

    # -- memories ----------------------------------------------------------------------------------

    def symbol(self, name: str) -> Symbol:
        """Raises CompileError E0809."""
        found = self.program.symbol(name)
        if found is None:
            raise CompileError(error("E0809", f"the program has no symbol `{name}`"))
        return found

    def read(self, name: str) -> Array:
        """A copy of what a symbol names; bf16 comes as float32."""
        symbol = self.symbol(name)
        return self._fetch(symbol.space, symbol.address, symbol.dtype, symbol.shape)

    def write(self, name: str, value: Array) -> None:
        """Set what a symbol names; floats are rounded to its type.

        Raises CompileError E0809.
        """
        symbol = self.symbol(name)
        if symbol.space == PATTERNS:
            told = (
                f"`{name}` is part of the pattern of a matrix, which was checked when it was loaded"
            )
            raise CompileError(error("E0809", told))
        if value.shape != symbol.shape:
            raise CompileError(
                error("E0809", f"`{name}` is {list(symbol.shape)}, given is {list(value.shape)}")
            )
        self._store(symbol.space, symbol.address, symbol.dtype, value)

    def _store(self, space: str, address: int, dtype: str, value: Array) -> None:
        if dtype == "bf16":
            raw = bf16_bits(np.ascontiguousarray(value, np.float32)).tobytes()
        else:
            raw = np.ascontiguousarray(value, _NUMPY[dtype]).tobytes()
        target = self.state.bytes_of(space)
        target[address : address + len(raw)] = np.frombuffer(raw, np.uint8)

    def _fetch(self, space: str, address: int, dtype: str, shape: tuple[int, ...]) -> Array:
        count = int(np.prod(shape, dtype=np.int64))
        memory = self.state.bytes_of(space)
        if not 0 <= address <= len(memory) - count * PORT_BYTES[dtype]:
            raise CompileError(
                error(
                    "E0809",
                    f"the program left {count} of {dtype} at byte {address} of {space}, which "
                    f"has {len(memory)}",
                )
            )
        raw = memory[address : address + count * PORT_BYTES[dtype]].tobytes()
        found = np.frombuffer(raw, _NUMPY[dtype]).reshape(shape)
        if dtype == "bf16":
            return (found.astype(np.uint32) << 16).view(np.float32)
        return found.copy()

    # -- runs --------------------------------------------------------------------------------------

    def run(
        self, entry: str, arguments: Mapping[str, Any] | None = None, *, fuel: int = FUEL
    ) -> Run:
        """Run an entry.

        Raises CompileError E0809 for an unknown entry, or arguments that don't fit it.
        """
        bound = self.bind(entry, arguments or {}, fuel)
        status = self.resume()
        return self.outcome(bound, status, fuel)

    def resume(self) -> int:
        """Go on from the present state: 0 at a normal end, else the number of a trap."""
        if self.engine == "reference":
            return ReferenceMachine(self.isa, self.state, self.text).run()
        from dlc.isa.fast.machine import fast_machine

        return fast_machine(self.isa).run(self.state, self.text)

    def outcome(self, bound: Bound, status: int, fuel: int) -> Run:
        """What a run came to, with its results."""
        scalars = self.state.scalars
        word = int(scalars[S.PC])
        trap = None if status == 0 else self.isa.traps[status - 1].name
        results = {} if trap is not None else self._results(bound)
        return Run(
            bound.entry.name,
            trap,
            int(scalars[S.CODE]),
            word,
            self.program.mark(word),
            fuel - int(scalars[S.FUEL]),
            results,
        )

    def bind(self, name: str, arguments: Mapping[str, Any], fuel: int) -> Bound:
        """Registers and memories as an entry wants them at its start.

        Raises CompileError E0809.
        """
        entry = self.program.entry(name)
        if entry is None:
            names = ", ".join(f"`{e.name}`" for e in self.program.entries) or "none"
            raise CompileError(
                error("E0809", f"the program has no entry `{name}`").with_note(
                    f"its entries: {names}"
                )
            )
        unknown = sorted(
            set(arguments)
            - {port.name for port in entry.parameters}
            - {dim.name for dim in entry.dims}
        )
        if unknown:
            raise CompileError(error("E0809", f"`{name}` has no parameter `{unknown[0]}`"))
        values = self._values(entry, arguments)
        dims = self._dims(entry, values, arguments)
        state = self.state
        state.restart()
        state.scalars[S.PC] = entry.start
        state.scalars[S.FUEL] = fuel
        buffers: dict[str, int] = {}
        for port in entry.parameters:
            self._pass(port, values[port.name], buffers)
        for port in entry.results:
            if isinstance(port.place, Given):
                if port.name not in buffers:
                    size = PORT_BYTES[port.dtype] * int(
                        np.prod(self._shape(port, dims), dtype=np.int64)
                    )
                    buffers[port.name] = self._allocate(size, port)
                state.r[port.place.register] = buffers[port.name]
        for dim in entry.dims:
            if dim.register is not None and not dim.made:
                state.r[dim.register] = dims[dim.name]
        state.r[0] = 0
        return Bound(entry, dims, buffers)

    def _values(self, entry: Entry, arguments: Mapping[str, Any]) -> dict[str, Array]:
        values: dict[str, Array] = {}
        for port in entry.parameters:
            if port.name not in arguments:
                raise CompileError(
                    error("E0809", f"`{entry.name}` lacks its argument `{port.name}`")
                )
            value = np.asarray(arguments[port.name])
            floats = port.dtype in ("f32", "bf16")
            if value.dtype.kind not in ("fiub" if floats else "iub"):
                raise CompileError(
                    error("E0809", f"`{port.name}` is {port.dtype}, given is {value.dtype}")
                )
            if value.ndim != len(port.shape):
                raise CompileError(
                    error(
                        "E0809",
                        f"`{port.name}` has rank {len(port.shape)}, given is {list(value.shape)}",
                    )
                )
            if not floats and port.dtype != "i64" and value.size:
                limit = 1 << 8 * PORT_BYTES[port.dtype] - 1
                if int(value.min()) < -limit or int(value.max()) >= limit:
                    told = f"`{port.name}` holds values that {port.dtype} doesn't"
                    raise CompileError(error("E0809", told))
            values[port.name] = value
        return values

    def _dims(
        self, entry: Entry, values: Mapping[str, Array], arguments: Mapping[str, Any]
    ) -> dict[str, int]:
        dims = {d.name: int(arguments[d.name]) for d in entry.dims if d.name in arguments}
        pending = [(port, k) for port in entry.parameters for k in range(len(port.shape))]
        for _ in range(2):
            left: list[tuple[Port, int]] = []
            for port, k in pending:
                formula, size = port.shape[k], values[port.name].shape[k]
                try:
                    found = solve(formula, size, dims)
                    if found is not None:
                        dims[found[0]] = found[1]
                    elif evaluate(formula, dims) != size:
                        wanted = f"`{formula}` = {evaluate(formula, dims)}"
                        message = f"axis {k} of `{port.name}` is {wanted}, given is {size}"
                        raise CompileError(error("E0809", message))
                except FormulaError:
                    left.append((port, k))
            pending = left
        if pending:
            port, k = pending[0]
            raise CompileError(
                error("E0809", f"axis {k} of `{port.name}`, `{port.shape[k]}`, leaves a dim open")
            )
        for dim in entry.dims:
            if dim.made:
                continue
            if dim.name not in dims:
                raise CompileError(
                    error("E0809", f"`{entry.name}` lacks a value for the dim `{dim.name}`")
                )
            if dims[dim.name] < 0 or (dim.bound is not None and dims[dim.name] > dim.bound):
                raise CompileError(
                    error(
                        "E0809",
                        f"the dim `{dim.name}` is {dims[dim.name]}, at most {dim.bound} is "
                        "allowed for",
                    )
                )
        return dims

    @staticmethod
    def _shape(port: Port, dims: Mapping[str, int]) -> tuple[int, ...]:
        return tuple(evaluate(formula, dims) for formula in port.shape)

    def _pass(self, port: Port, value: Array, buffers: dict[str, int]) -> None:
        match port.place:
            case InRegister(file="r", number=number):
                self.state.r[number] = int(value)
            case InRegister(number=number):
                self.state.f[number] = np.float32(value)
            case At(space=space, address=address, capacity=capacity):
                if value.size * PORT_BYTES[port.dtype] > capacity:
                    message = (
                        f"`{port.name}` needs {value.size * PORT_BYTES[port.dtype]} bytes, its "
                        f"place has {capacity}"
                    )
                    raise CompileError(error("E0809", message))
                self._store(space, address, port.dtype, value)
            case Given(register=register):
                buffers[port.name] = self._allocate(value.size * PORT_BYTES[port.dtype], port)
                self._store("DRAM", buffers[port.name], port.dtype, value)
                self.state.r[register] = buffers[port.name]
            case Made():
                raise CompileError(
                    error("E0809", f"`{port.name}` is a parameter, it can't be made by the run")
                )

    def _allocate(self, size: int, port: Port) -> int:
        scalars = self.state.scalars
        at = int(scalars[S.HEAP])
        if size > int(scalars[S.HEAP_LIMIT]) - at:
            raise CompileError(
                error(
                    "E0809",
                    f"no room for the {size} bytes of `{port.name}`: the heap of DRAM is too small",
                )
            )
        scalars[S.HEAP] = at + -(-size // 64) * 64
        return at

    def _results(self, bound: Bound) -> dict[str, Array]:
        dims = dict(bound.dims)
        for dim in bound.entry.dims:
            if dim.made and dim.register is not None:
                dims[dim.name] = int(self.state.r[dim.register])
        results: dict[str, Array] = {}
        for port in bound.entry.results:
            shape = self._shape(port, dims)
            match port.place:
                case InRegister(file="r", number=number):
                    results[port.name] = np.array(self.state.r[number], _NUMPY[port.dtype])
                case InRegister(number=number):
                    results[port.name] = np.array(self.state.f[number], np.float32)
                case At(space=space, address=address):
                    results[port.name] = self._fetch(space, address, port.dtype, shape)
                case Given():
                    results[port.name] = self._fetch(
                        "DRAM", bound.buffers[port.name], port.dtype, shape
                    )
                case Made(register=register):
                    results[port.name] = self._fetch(
                        "DRAM", int(self.state.r[register]), port.dtype, shape
                    )
        return results


@dataclass(frozen=True, slots=True)
class Bound:
    """An entry with the values of its dims, and the addresses of buffers that the host gave it."""

    entry: Entry
    dims: Mapping[str, int]
    buffers: Mapping[str, int]
