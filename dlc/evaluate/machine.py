"""The reference interpreter: runs prepared functions on an explicit stack, without Python
recursion.

An activation is a region being run: a function's body (with a frame of its own) or a region of a
structured operation (in the frame of its function). When a region ends, its operation's rule
decides: hand the results on, or run another turn.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy

from dlc.diag import InternalError
from dlc.evaluate.check import check_values
from dlc.evaluate.prepare import Code, Instr, Kind, Prepared, Program, Size
from dlc.ir.core import Loc
from dlc.ops.card import Run, RunError
from dlc.ops.numeric import np
from dlc.typesys.dims import DimError

Frame = list[Any]
Env = dict[str, int]


@dataclass(frozen=True)
class Limits:
    """`fuel`: operations that may run, None for any number (status `fuel`). `turns`: turns that
    loops without a bound may take, together (status `fuel`). `depth`: calls that may be open
    (status `arena`). `check`: compare every result with its declared type."""

    fuel: int | None = None
    turns: int = 1 << 32
    depth: int = 10_000_000
    check: bool = False


class _Activation:
    """A region being run. `by` is the operation that it belongs to, None for the outermost
    function."""

    __slots__ = ("by", "code", "env", "frame", "index", "pc", "rows", "stop", "turns")

    def __init__(self, code: Code, frame: Frame, env: Env, by: Instr | None) -> None:
        self.code, self.frame, self.env, self.by = code, frame, env, by
        self.pc = 0
        self.index = self.stop = 0
        self.turns: Iterator[tuple[int, ...]] | None = None
        self.rows: list[list[Any]] = []


class Machine:
    """Runs one function of a program. Raises RunError with the place and the open calls."""

    def __init__(self, program: Program, limits: Limits) -> None:
        self.program, self.limits = program, limits
        self.fuel = limits.fuel if limits.fuel is not None else -1
        self.turns = limits.turns
        self.stack: list[_Activation] = []
        self.calls: list[tuple[str, Loc]] = []
        self.result: tuple[Any, ...] = ()
        self.result_dims: tuple[int, ...] = ()

    def run(self, fn: Prepared, args: list[Any], dims: Env) -> tuple[Any, ...]:
        """The results of the function; the values of its hidden dims are in `result_dims`."""
        frame: Frame = [None] * fn.slots
        for slot, a in zip(fn.params, args, strict=True):
            frame[slot] = a
        self._enter(_Activation(fn.code, frame, dims, None))
        with np.errstate(all="ignore"):
            while self.stack:
                self._advance(self.stack[-1])
        return self.result

    # -- one region

    def _advance(self, a: _Activation) -> None:
        """Runs the activation up to its end, or to an operation with regions or a call."""
        frame, env, check = a.frame, a.env, self.limits.check
        instrs = a.code.instrs
        ins: Instr | None = None
        try:
            while a.pc < len(instrs):
                ins = instrs[a.pc]
                a.pc += 1
                if ins.kind > Kind.DIMS:
                    self._open(ins, frame, env)
                    return
                assert ins.evaluate is not None
                args = [frame[i] for i in ins.ins]
                for i in ins.dead:
                    frame[i] = None
                if ins.kind is Kind.FAST:
                    results = ins.evaluate(*args)
                elif ins.kind is Kind.PLAIN:
                    results = ins.evaluate(ins.run, *args)
                else:
                    run = Run(ins.op, env, env, ins.updates and _owned(args))
                    results = ins.evaluate(run, *args)
                if check:
                    check_values(ins.op, results, env)
                for i, r in zip(ins.outs, results, strict=True):
                    frame[i] = r
                results = r = None  # else they would count as holders of the array
            ins = None
            self.stack.pop()
            self._close(a)
        except Exception as e:
            raise self._explained(e, a, ins) from e

    def _explained(self, e: Exception, a: _Activation, ins: Instr | None) -> Exception:
        """The error with place and calls; what is no status is a bug of the compiler."""
        op = ins.op if ins is not None else a.code.end
        if isinstance(e, DimError):
            e = RunError("shape", str(e))
        if isinstance(e, MemoryError):
            e = RunError("arena", "out of memory")
        if isinstance(e, RunError):
            e.loc, e.calls = op.loc, tuple(self.calls)
            return e
        if isinstance(e, InternalError):
            return e
        name = self.calls[-1][0] if self.calls else "the entry"
        message = f"{type(e).__name__}: {e} (in {name}, at {op.loc})"
        return InternalError(message, stage="evaluate", op=op.name)

    def _enter(self, a: _Activation) -> None:
        if self.fuel >= 0:
            self.fuel -= len(a.code.instrs) + 1
            if self.fuel < 0:
                raise RunError("fuel", "the program ran longer than allowed")
        self.stack.append(a)

    # -- operations with regions, and calls

    def _open(self, ins: Instr, frame: Frame, env: Env) -> None:
        args = [frame[i] for i in ins.ins]
        for i in ins.dead:
            frame[i] = None
        kind = ins.kind
        if kind is Kind.CALL:
            self._call(ins, args, env)
        elif kind is Kind.IF:
            code = ins.regions[0 if bool(args[0]) else 1]
            self._enter(_Activation(code, frame, env, ins))
        elif kind is Kind.MATCH:
            self._match(ins, args[0], frame, env)
        elif kind is Kind.FOR:
            self._for(ins, args, frame, env)
        elif kind is Kind.LOOP:
            a = _Activation(ins.regions[0], frame, env, ins)
            env.update(zip(a.code.dims, _values(ins.sizes, env), strict=True))
            _bind(frame, a.code.params, args)
            self._enter(a)
        else:
            self._map(ins, args, frame, env)

    def _call(self, ins: Instr, args: list[Any], env: Env) -> None:
        if len(self.calls) >= self.limits.depth:
            raise RunError("arena", f"more than {self.limits.depth} calls are open")
        fn = self.program.function(ins.callee)
        dims = dict(zip(fn.fn.dims, _values(ins.sizes, env), strict=True))
        frame: Frame = [None] * fn.slots
        _bind(frame, fn.params, args)
        args.clear()
        self.calls.append((ins.callee, ins.op.loc))
        self._enter(_Activation(fn.code, frame, dims, ins))

    def _match(self, ins: Instr, value: Any, frame: Frame, env: Env) -> None:
        code = ins.cases.get(value.constructor) or ins.cases.get("_")
        if code is None:
            raise InternalError(f"no case for {value.constructor}", stage="evaluate", op="match")
        if code.params or code.dims:
            _bind(frame, code.params, value.fields)
            env.update(zip(code.dims, value.dims, strict=True))
        self._enter(_Activation(code, frame, env, ins))

    def _for(self, ins: Instr, args: list[Any], frame: Frame, env: Env) -> None:
        a = _Activation(ins.regions[0], frame, env, ins)
        lo, hi = int(args[0]), int(args[1])
        a.index, a.stop = (hi - 1, lo - 1) if ins.op.attr_flag("reverse") else (lo, hi)
        sizes = _values(ins.sizes, env)
        carries = args[2:]
        args.clear()
        if lo >= hi:
            self._give(ins, frame, env, carries, sizes)
            return
        env.update(zip(a.code.dims, sizes, strict=True))
        index = ins.op.operands[0].tensor.dtype.numpy.type(a.index)
        _bind(frame, a.code.params, [index, *carries])
        self._enter(a)

    def _map(self, ins: Instr, args: list[Any], frame: Frame, env: Env) -> None:
        a = _Activation(ins.regions[0], frame, env, ins)
        shape = _values(ins.sizes, env)
        if any(n < 0 for n in shape):
            raise RunError("shape", f"a map over {list(shape)}")
        a.turns = product(*map(range, shape))
        a.rows = [[] for _ in ins.outs]
        # The operands stay with the activation: they are read at every turn.
        a.rows.append(args)
        self._next_element(a)

    def _next_element(self, a: _Activation) -> None:
        assert a.by is not None and a.turns is not None
        at = next(a.turns, None)
        if at is None:
            shape = _values(a.by.sizes, a.env)
            for slot, rows, v in zip(a.by.outs, a.rows[:-1], a.by.op.results, strict=True):
                rest = [d.evaluate(a.env) for d in v.tensor.shape[len(shape) :]]
                if rows:
                    out = np.stack(rows).reshape(*shape, *rest)
                else:
                    out = np.zeros((*shape, *rest), v.tensor.dtype.numpy)
                a.frame[slot] = out
            return
        indices = [np.int32(i) for i in at] if a.by.op.attr_flag("indexed") else []
        _bind(a.frame, a.code.params, [*indices, *(x[at] for x in a.rows[-1])])
        a.pc = 0
        self._enter(a)

    # -- the end of a region

    def _close(self, a: _Activation) -> None:
        frame, env, code, by = a.frame, a.env, a.code, a.by
        values = [frame[i] for i in code.yields]
        for i in code.dead:
            frame[i] = None
        sizes = _values(code.yield_dims, env) if code.yield_dims else ()
        if by is None:
            self.result, self.result_dims = tuple(values), sizes
        elif by.kind is Kind.FOR:
            self._turn(a, by, values, sizes, counted=True)
        elif by.kind is Kind.LOOP:
            self._turn(a, by, values, sizes, counted=False)
        elif by.kind is Kind.MAP:
            for rows, v in zip(a.rows[:-1], values, strict=True):
                rows.append(np.asarray(v))
            self._next_element(a)
        else:
            if by.kind is Kind.CALL:
                self.calls.pop()
                frame, env = self.stack[-1].frame, self.stack[-1].env
            self._give(by, frame, env, values, sizes)

    def _give(
        self, by: Instr, frame: Frame, env: Env, values: list[Any], sizes: tuple[int, ...]
    ) -> None:
        """Results and hidden dims of an operation with regions, or of a call."""
        env.update(zip(by.op.dims, sizes, strict=True))
        if self.limits.check:
            check_values(by.op, tuple(values), env)
        _bind(frame, by.outs, values)

    def _turn(
        self, a: _Activation, by: Instr, values: list[Any], sizes: tuple[int, ...], counted: bool
    ) -> None:
        """After a turn of a loop: another one, or its results."""
        if not counted:
            self._spend()
        go = True
        if not counted or by.op.attr_flag("exits"):
            go = bool(values.pop(0))
        index: list[Any] = []
        if counted:
            a.index += -1 if by.op.attr_flag("reverse") else 1
            go = go and a.index != a.stop
            index = [by.op.operands[0].tensor.dtype.numpy.type(a.index)] if go else []
        if not go:
            self._give(by, a.frame, a.env, values, sizes)
            return
        a.env.update(zip(a.code.dims, sizes, strict=True))
        _bind(a.frame, a.code.params, [*index, *values])
        a.pc = 0
        self._enter(a)

    def _spend(self) -> None:
        """One turn of a loop without a bound."""
        self.turns -= 1
        if self.turns < 0:
            limit = self.limits.turns
            raise RunError("fuel", "too many turns", got=limit + 1, want=limit)


def _bind(frame: Frame, slots: tuple[int, ...], values: Any) -> None:
    for slot, v in zip(slots, values, strict=True):
        frame[slot] = v


def _values(sizes: tuple[Size, ...], env: Env) -> tuple[int, ...]:
    return tuple([size(env) for size in sizes])


def _holders(args: list[Any]) -> int:
    """How many places hold operand 0, as the interpreter counts them."""
    x = args[0]
    return sys.getrefcount(x)


_ALONE = _holders([np.empty(1)])
"""The count for an array that only its list of arguments holds: measured, as it differs between
versions of Python."""


def _owned(args: list[Any]) -> bool:
    """Whether nobody but this list of arguments sees the array of operand 0."""
    if _holders(args) != _ALONE or type(args[0]) is not numpy.ndarray:
        return False
    return args[0].base is None and bool(args[0].flags.writeable)
