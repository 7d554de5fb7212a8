"""Compile a bufferised module into this process and call its entries with numpy arrays.

    net = compile_module(bmodule)
    (y,) = net.call("logits", [x, ("Node", ("Leaf", 1), ("Leaf", 2))])

What `dlc.load` and the tests stand on. Calls go through the raw entry (see `emit.entry`), on the
very object that would be shipped. Any number of threads may call one `Compiled`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlc.evaluate.arguments import Arguments
from dlc.ir.core import Function, Region, Value
from dlc.memory.form import BFunction, BModule, Param
from dlc.targets.cpu.emit import EmitOptions, Emitted, emit
from dlc.targets.cpu.emit.context import STATUS
from dlc.targets.cpu.emit.entry import Result, results_of
from dlc.targets.cpu.llvm import Library, Options, Target, compile_object, host_target, load
from dlc.targets.cpu.schema import Schema
from dlc.targets.cpu.values import Flat, decode, encode, room_for
from dlc.typesys.types import TensorType

Array = np.ndarray[Any, Any]


class CallError(Exception):
    """A call that ended with a status: `status` by name, the place in the source, and what was
    found and wanted."""

    def __init__(self, status: str, line: int, column: int, got: int, want: int, what: str) -> None:
        super().__init__(f"{status} at {line}:{column}: {what} (got {got}, want {want})")
        self.status, self.line, self.column = status, line, column
        self.got, self.want, self.what = got, want, what


class ErrorRecord(ctypes.Structure):
    """`dlc_error` of the C interface."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("code", ctypes.c_int32),
        ("line", ctypes.c_uint32),
        ("column", ctypes.c_uint32),
        ("got", ctypes.c_int64),
        ("want", ctypes.c_int64),
        ("what", ctypes.c_char * 64),
    )


RawFunction = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
    ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p,
)  # fmt: skip

ALIGN = 64
LIMIT = 1 << 36
"""Bytes and elements beyond which a call is not tried again."""


def aligned(n: int) -> Array:
    """`n` bytes at a multiple of 64."""
    raw = np.empty(n + ALIGN, np.uint8)
    at = -raw.ctypes.data % ALIGN
    return raw[at : at + n]


@dataclass(frozen=True)
class Called:
    """What a call gave: the results in order (those in place of a parameter included) and the arena
    bytes that it needed."""

    results: tuple[Any, ...]
    peak: int


class Compiled:
    """A loaded module. Any number of threads may call it."""

    def __init__(self, bmodule: BModule, emitted: Emitted, library: Library, data: bytes) -> None:
        self.bmodule, self.emitted, self.library = bmodule, emitted, library
        self.object_bytes = len(data)
        self.schema = emitted.schema
        self._raw = {
            name: RawFunction(library.address(symbol)) for name, symbol in emitted.entries.items()
        }

    def call(
        self, name: str, args: Sequence[Any], dims: Mapping[str, int] | None = None,
        *, arena: int = 1 << 16, room: int = 64,
    ) -> tuple[Any, ...]:  # fmt: skip
        """The results of an entry, as the evaluator gives them. A structure may be given as `Flat`.

        Dims come from the shapes of the arguments; those that no argument determines are given in
        `dims`. `inout` arrays are changed in place. `arena` bytes and `room` for results whose size
        only the run decides (elements; nodes, children and rows of structures) grow until the call
        has enough. Raises: RunError for arguments that do not fit, CallError.
        """
        fn = self.bmodule.functions[name]
        values, env = self._convert(fn, args, dims)
        pairs = zip(_given(fn), values, strict=True)
        saved = [x.copy() if p.mode == "inout" else None for p, x in pairs]
        while True:
            try:
                return self._once(fn, values, env, aligned(arena), room).results
            except CallError as e:
                if e.status == "arena" and arena < LIMIT:
                    arena = max(2 * arena, -(-e.want // ALIGN) * ALIGN)
                elif e.status == "space" and 0 <= e.want < LIMIT:
                    room = max(4 * room, e.want)
                else:
                    raise
            for x, old in zip(values, saved, strict=True):
                if old is not None:
                    x[...] = old

    def call_once(
        self,
        name: str,
        args: Sequence[Any],
        arena: Array,
        dims: Mapping[str, int] | None = None,
        room: int = 64,
        *,
        flat: bool = False,
    ) -> Called:
        """One call with this arena; `flat`: structures among the results stay as `Flat`. Raises:
        CallError."""
        fn = self.bmodule.functions[name]
        values, env = self._convert(fn, args, dims)
        return self._once(fn, values, env, arena, room, flat)

    def _convert(
        self, fn: BFunction, args: Sequence[Any], dims: Mapping[str, int] | None
    ) -> tuple[list[Any], dict[str, int]]:
        """The arguments as values, and all dims. A `Flat` stays as it is."""
        pairs = list(zip(_given(fn), args, strict=True))
        params = tuple(Value(p.type, p.name) for p, x in pairs if not isinstance(x, Flat))
        head = Function(fn.name, fn.dims, params, (), Region((), ()))
        others = [x for x in args if not isinstance(x, Flat)]
        values, env = Arguments(self.schema.types).convert(head, others, dims)
        rest = iter(values)
        return [x if isinstance(x, Flat) else next(rest) for x in args], env

    def _once(
        self,
        fn: BFunction,
        values: Sequence[Any],
        env: Mapping[str, int],
        arena: Array,
        room: int,
        flat: bool = False,
    ) -> Called:
        call = _Call(fn, self.schema, env, values, room)
        error = ErrorRecord(size=ctypes.sizeof(ErrorRecord))
        code: int = self._raw[fn.name](
            call.dims.ctypes.data, ctypes.addressof(call.args), ctypes.addressof(call.outs),
            arena.ctypes.data, arena.nbytes, 0, ctypes.addressof(error),
        )  # fmt: skip
        if code:
            raise CallError(
                STATUS[code], error.line, error.column, error.got, error.want,
                error.what.decode(errors="replace"),
            )  # fmt: skip
        return Called(call.take(flat), int(error.got))


def _given(fn: BFunction) -> tuple[Param, ...]:
    """The parameters that an argument is given for."""
    return tuple(p for p in fn.params if p.mode != "out")


class _Call:
    """Arguments and room for results of one call, laid out for the raw entry."""

    def __init__(
        self,
        fn: BFunction,
        schema: Schema,
        env: Mapping[str, int],
        values: Sequence[Any],
        room: int,
    ) -> None:
        self.schema, self.env = schema, dict(env)
        self.dims = np.array([env[d] for d in fn.dims] or [0], np.int64)
        self.results = results_of(fn)
        self.keep: list[Any] = []
        self.given = dict(zip(_given(fn), values, strict=True))
        self.args = (ctypes.c_void_p * max(1, len(values)))()
        for i, (p, x) in enumerate(self.given.items()):
            self.args[i] = self._argument(p, x)
        self.outs = (ctypes.c_void_p * max(1, len(self.results)))()
        self.rooms = [self._room(r, room) for r in self.results]
        for j, x in enumerate(self.rooms):
            self.outs[j] = _address(x)

    def _argument(self, p: Param, x: Any) -> int:
        if not isinstance(p.type, TensorType):
            flat = x if isinstance(x, Flat) else encode(self.schema, p.type, x)
            self.keep.append(flat)
            return ctypes.addressof(flat.record)
        array = np.asarray(x)
        if not array.flags.c_contiguous:
            if p.mode == "inout":
                raise ValueError(f"`{p.name}` is changed in place: it must be a dense array")
            array = np.ascontiguousarray(array)
        self.keep.append(array)
        return array.ctypes.data

    def _room(self, r: Result, room: int) -> Any:
        if isinstance(r.holder, Param) and r.holder.mode == "inout":
            return None
        if not isinstance(r.type, TensorType):
            return room_for(self.schema, r.type, self.env, room)
        if r.hidden:
            return _HiddenArray(r.type, room)
        return np.empty(tuple(d.evaluate(self.env) for d in r.type.shape), r.type.dtype.numpy)

    def take(self, flat: bool) -> tuple[Any, ...]:
        """The results after the call."""
        pairs = zip(self.results, self.rooms, strict=True)
        return tuple(x if flat and isinstance(x, Flat) else self._take(r, x) for r, x in pairs)

    def _take(self, r: Result, x: Any) -> Any:
        if x is None:
            assert isinstance(r.holder, Param)
            return self.given[r.holder]
        if isinstance(x, Flat):
            assert not isinstance(r.type, TensorType)
            return decode(self.schema, r.type, x, self.env)
        return x.array() if isinstance(x, _HiddenArray) else x[()]


def _address(x: Any) -> int | None:
    """What the raw entry is given for a result."""
    if isinstance(x, Flat):
        return ctypes.addressof(x.record)
    if isinstance(x, _HiddenArray):
        return x.record.ctypes.data
    return None if x is None else int(x.ctypes.data)


class _HiddenArray:
    """A `dlc_array`: room for a tensor whose size the call decides."""

    def __init__(self, t: TensorType, room: int) -> None:
        self.data = np.empty(room, t.dtype.numpy)
        self.record = np.array([self.data.ctypes.data, room, *[0] * t.rank], np.int64)

    def array(self) -> Array:
        shape = tuple(int(n) for n in self.record[2:])
        size = int(np.prod(shape, dtype=np.int64))
        return self.data[:size].reshape(shape).copy()


def compile_module(
    bmodule: BModule,
    target: Target | None = None,
    emit_options: EmitOptions | None = None,
    options: Options | None = None,
) -> Compiled:
    """Emit, compile and load a module for this machine."""
    target = target or host_target()
    emitted = emit(bmodule, target, emit_options)
    data = compile_object(emitted.text, target, options or Options()).data
    return Compiled(bmodule, emitted, load(data, emitted.entries.values()), data)
