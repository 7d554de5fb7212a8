"""Calls of a compiled program on the modelled machine, with the values of the evaluator."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dlc.diag import InternalError
from dlc.evaluate.arguments import Arguments
from dlc.ir.core import Function, Region, Value
from dlc.isa.cost.measure import resume_measured
from dlc.isa.cost.report import Report
from dlc.isa.layout import SPACE_SHIFT, D, S
from dlc.isa.machine import FUEL, Engine, Machine, Run
from dlc.isa.program import Program
from dlc.isa.state import read_packed
from dlc.targets.sparrow.program import SparrowEntry, SparrowProgram
from dlc.targets.sparrow.values import Full, Store, closed, get, put
from dlc.typesys.dtypes import I64
from dlc.typesys.types import TensorType

WEIGHTS = "WGT"
_STATUS = {
    "out_of_bounds": "bounds", "div_zero": "div_zero", "out_of_fuel": "fuel",
    "out_of_memory": "arena", "stack_overflow": "arena",
}  # fmt: skip
"""Statuses of the machine's own traps; any other one is a bug of the compiler."""


_INDEXED = {
    "gather": "a", "igather": "a", "scatter": "d", "scatter.add": "d", "scatter.max": "d",
}  # fmt: skip
"""Instructions with indices in operand `b`, and the operand whose rows these are."""


class SparrowError(Exception):
    """A call that ended with a status: its name as in `dlc.ops.card.Status`, the place in the
    source, and what was found and wanted."""

    def __init__(
        self, status: str, file: str, line: int, column: int, got: int, want: int, what: str
    ) -> None:
        super().__init__(f"{status} at {line}:{column}: {what} (got {got}, want {want})")
        self.status, self.file, self.line, self.column = status, file, line, column
        self.got, self.want, self.what = got, want, what


@dataclass(frozen=True)
class Outcome:
    """`results` in the IR's order, as the evaluator gives them (numpy arrays and scalars,
    `ListValue`, `AdtValue`); those in place of an `inout` argument are that array, changed. `run`
    is how the machine ended, `report` what it cost under a preset (if asked for), `bytes` the DRAM
    that arguments, results and structures take at the end, without the room for frames."""

    results: tuple[Any, ...]
    run: Run
    report: Report | None
    bytes: int


def run_entry(
    compiled: SparrowProgram,
    entry: str,
    args: Sequence[Any],
    dims: Mapping[str, int] | None = None,
    *,
    preset: str | None = None,
    fuel: int = FUEL,
    engine: Engine = "fast",
    trace: int = 0,
    resident: Collection[str] | None = None,
) -> Outcome:
    """Call an entry. Arguments are in the order of `SparrowEntry.given`: numpy arrays, numbers,
    `ListValue` or Python lists, `AdtValue` or tuples, as `dlc.evaluate.run` takes them. Dims come
    from their shapes; those that no argument shows are in `dims`. `inout` arrays are changed in
    place. `preset` names the machine that the costs are measured on. Memory grows until the call
    has enough (the program itself stays as it is). Parameters named in `resident` lie in the
    memory of weights instead of DRAM; if it is None, those are the float tensors of models, whose
    names have a dot. Weights that the program has its own copy of are not passed at all.

    Raises: RunError for arguments that do not fit; SparrowError."""
    described = compiled.entries[entry]
    values, env = _converted(compiled, described, args, dims)
    held = _resident(compiled, described, resident)
    program = compiled.pool.grown(_with_weights(compiled.program, described, held, values))
    while True:
        try:
            with compiled.pool.machine(program, engine, entry) as machine:
                call = _Call(compiled, described, machine, values, env, held)
                return call.run(preset, fuel, trace)
        except (Full, _Short) as e:
            larger = compiled.pool.grow(program, e.space if isinstance(e, _Short) else "DRAM")
            if larger is None:
                if isinstance(e, _Short):
                    raise e.failure from None
                raise SparrowError("arena", "", 0, 0, 0, 0, "the machine is too small") from None
            program = larger


class _Short(Exception):
    """A space of the machine was too small."""

    def __init__(self, failure: SparrowError, space: str) -> None:
        super().__init__()
        self.failure, self.space = failure, space


def _resident(
    compiled: SparrowProgram, e: SparrowEntry, names: Collection[str] | None
) -> frozenset[str]:
    """The parameters that lie in the memory of weights."""
    fits = (
        p.name
        for p in e.given
        if isinstance(p.type, TensorType) and p.type.rank and p.type.dtype != I64
        if (names is None and "." in p.name and p.type.dtype.is_float) or p.name in (names or ())
    )
    return frozenset(fits) - {p.name for p in e.given if compiled.holds(p)}


def _with_weights(
    program: Program, e: SparrowEntry, held: frozenset[str], values: Sequence[Any]
) -> Program:
    """The program with enough memory of weights."""
    size = sum(
        -(-max(np.asarray(x).nbytes, 1) // 64) * 64
        for p, x in zip(e.given, values, strict=True)
        if p.name in held
    )
    if not size:
        return program
    own = program.memories.get(WEIGHTS, 0)
    return replace(program, memories={**program.memories, WEIGHTS: own + size})


def _converted(
    compiled: SparrowProgram, e: SparrowEntry, args: Sequence[Any], dims: Mapping[str, int] | None
) -> tuple[list[Any], dict[str, int]]:
    params = tuple(Value(p.type, p.name) for p in e.given)
    head = Function(e.name, e.dims, params, (), Region((), ()))
    return Arguments(compiled.types).convert(head, args, dims)


def _tag(machine: Machine, space: str) -> int:
    """What an address in a space has above its bytes."""
    isa = machine.isa
    return isa.space(space) - isa.space("DRAM") << SPACE_SHIFT


class _Call:
    """One call: arguments into the machine's memory, results out of it."""

    def __init__(
        self,
        compiled: SparrowProgram,
        entry: SparrowEntry,
        machine: Machine,
        values: Sequence[Any],
        env: Mapping[str, int],
        held: frozenset[str],
    ) -> None:
        self.compiled, self.e, self.machine, self.held = compiled, entry, machine, held
        self.values, self.env = iter(values), dict(env)
        self.inouts: dict[int, Any] = {}

    def run(self, preset: str | None, fuel: int, trace: int) -> Outcome:
        """Raises SparrowError; Full and _Short where memory was too small."""
        machine, e = self.machine, self.e
        none = np.zeros(e.block_cells, np.int64)
        bound = machine.bind(e.name, {"block": none}, fuel)
        scalars = machine.state.scalars
        start = int(scalars[S.HEAP])
        self.store = Store(machine.state.bytes_of("DRAM"), start, int(scalars[S.HEAP_LIMIT]))
        size = machine.program.memories.get(WEIGHTS, 0)
        own = self.compiled.program.memories.get(WEIGHTS, 0)
        tag = _tag(machine, WEIGHTS)
        self.weights = Store(machine.state.bytes_of(WEIGHTS), own, size, tag)
        self.block = bound.buffers["block"]
        self._give()
        self._room_for_frames()
        scalars[S.HEAP] = self.store.at
        report = None
        if preset is None:
            status = machine.resume()
        else:
            status, report = resume_measured(machine, preset, trace)
        run = machine.outcome(bound, status, fuel)
        if run.trap is not None:
            self._fail(run)
        used = int(scalars[S.HEAP]) - self.block - self.store.cell(self.block)
        return Outcome(self._results(), run, report, used)

    def _cell(self, number: int) -> int:
        return self.block + 8 * number

    def _give(self) -> None:
        e, store = self.e, self.store
        for k, name in enumerate(e.dims):
            store.set_cell(self._cell(e.first_dim + k), self.env[name])
        for k, p in enumerate(e.parameters):
            cell = self._cell(e.first_parameter + k)
            t = closed(p.type, self.env)
            if not isinstance(t, TensorType):
                store.set_cell(cell, put(store, self.compiled.types, next(self.values), t))
            elif not t.rank:
                self._give_scalar(cell, next(self.values), t)
            elif p.mode == "out":
                size = t.dtype.bytes * t.size.constant
                store.set_cell(cell, store.take(size))
            else:
                x = next(self.values)
                to = self.weights if p.name in self.held else store
                if not self.compiled.holds(p):
                    store.set_cell(cell, to.tag + to.put_tensor(x, t.dtype))
                if p.mode == "inout":
                    self.inouts[k] = x

    def _give_scalar(self, cell: int, x: Any, t: TensorType) -> None:
        """Floats by 32 bits, everything else as a whole number of 64."""
        if t.dtype.is_float:
            bits = np.asarray(x, np.float32).view(np.int32)
            self.store.set_cell(cell, int(bits) & 0xFFFFFFFF)
        else:
            self.store.set_cell(cell, int(x))

    def _room_for_frames(self) -> None:
        """A quarter of what is left."""
        left = self.store.end - self.store.at
        size = left // 4 // 64 * 64
        self.store.set_cell(self.block, size)

    # -- results

    def _results(self) -> tuple[Any, ...]:
        e, store = self.e, self.store
        for k, name in enumerate(e.result_dims):
            self.env[name] = store.cell(self._cell(e.first_result_dim + k))
        for k, x in self.inouts.items():
            t = closed(e.parameters[k].type, self.env)
            at = store.cell(self._cell(e.first_parameter + k))
            source = self.weights if e.parameters[k].name in self.held else store
            x[...] = get(source, self.compiled.types, at - source.tag, t)
        out: list[Any] = []
        for r in e.results:
            t = closed(r.type, self.env)
            if r.parameter is None:
                assert r.cell is not None
                out.append(self._result(self._cell(e.first_result + r.cell), t))
            elif r.parameter in self.inouts:
                out.append(self.inouts[r.parameter])
            else:
                at = store.cell(self._cell(e.first_parameter + r.parameter))
                out.append(get(store, self.compiled.types, at, t))
        return tuple(out)

    def _result(self, cell: int, t: Any) -> Any:
        if isinstance(t, TensorType) and not t.rank:
            if t.dtype.is_float:
                bits = np.array(self.store.cell(cell), np.int64).astype(np.int32)
                return bits.view(np.float32).astype(t.dtype.numpy)[()]
            return np.array(self.store.cell(cell)).astype(t.dtype.numpy)[()]
        return get(self.store, self.compiled.types, self.store.cell(cell), t)

    # -- failures

    def _fail(self, run: Run) -> None:
        if run.trap == "user":
            site = self.compiled.sites[run.code]
            error = SparrowError(
                site.status, site.file, site.line, site.column, self._told(site.got),
                self._told(site.want), site.message,
            )  # fmt: skip
            if site.status == "arena":
                raise _Short(error, "DRAM")
            raise error
        mnemonic = self.machine.text[run.word].instruction.mnemonic
        status = _STATUS.get(run.trap or "")
        if status is None or (status == "bounds" and mnemonic.startswith("td.")):
            raise InternalError(
                f"trap `{run.trap}` at word {run.word} ({mnemonic}), {run.mark}", stage="sparrow"
            )
        line, column = (run.mark.line, run.mark.column) if run.mark else (0, 0)
        file = run.mark.file if run.mark else ""
        doc = next(t.doc for t in self.machine.isa.traps if t.name == run.trap)
        error = SparrowError(status, file, line, column, *self._bad_index(run), doc)
        if status == "arena":
            raise _Short(error, "STACK" if run.trap == "stack_overflow" else "DRAM")
        raise error

    def _bad_index(self, run: Run) -> tuple[int, int]:
        """The first index that a gather or scatter refused, and the rows that there are."""
        decoded = self.machine.text[run.word]
        table = _INDEXED.get(decoded.instruction.mnemonic)
        if table is None or run.trap != "out_of_bounds":
            return 0, 0
        tensors = self.machine.state.T.tolist()
        rows = int(tensors[decoded[table]][D.SHAPE])
        indices = read_packed(self.machine.state, tensors[decoded["b"]])
        bad = indices[(indices < 0) | (indices >= rows)]
        return (int(bad[0]), rows) if bad.size else (0, 0)

    def _told(self, x: int | str) -> int:
        return int(self.machine.state.r[int(x[1:])]) if isinstance(x, str) else x
