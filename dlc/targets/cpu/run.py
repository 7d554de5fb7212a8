"""Compile a bufferised module into this process and call its entries with numpy arrays.

    net = compile_module(bmodule)
    y, = net.call("logits", {"N": 3}, [x])

What `dlc.load` and the tests stand on. Calls go through the raw entry (see `emit.entry`), on the
very object that would be shipped. Any number of threads may call one `Compiled`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlc.diag import InternalError
from dlc.memory.form import BFunction, BModule, Param
from dlc.targets.cpu.emit import EmitOptions, Emitted, emit
from dlc.targets.cpu.emit.context import STATUS
from dlc.targets.cpu.emit.entry import results_of
from dlc.targets.cpu.llvm import Library, Options, Target, compile_object, host_target, load
from dlc.typesys.dims import Dim
from dlc.typesys.types import TensorType

Array = np.ndarray[Any, Any]


class CallError(Exception):
    """A call that ended with a status: `status` by name, the place in the source, and what was found
    and wanted."""

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
    ctypes.c_int64, ctypes.c_void_p,
)  # fmt: skip

ALIGN = 64


def aligned(n: int) -> Array:
    """`n` bytes at a multiple of 64."""
    raw = np.empty(n + ALIGN, np.uint8)
    at = -raw.ctypes.data % ALIGN
    return raw[at : at + n]


@dataclass(frozen=True)
class Called:
    """What a call gave: results in order (those in place of a parameter included), and the arena
    bytes that it needed."""

    results: tuple[Any, ...]
    peak: int


class Compiled:
    """A loaded module. `functions` are its entries by name."""

    def __init__(self, bmodule: BModule, emitted: Emitted, library: Library, data: bytes) -> None:
        self.bmodule, self.emitted, self.library = bmodule, emitted, library
        self.object_bytes = len(data)
        self._raw = {
            name: RawFunction(library.address(symbol)) for name, symbol in emitted.entries.items()
        }

    def call(
        self, name: str, dims: Mapping[str, int], args: Sequence[Any], arena: int = 1 << 16
    ) -> tuple[Any, ...]:
        """The results of an entry; the arena grows until the call has enough.

        `inout` arrays are changed in place. Raises: CallError.
        """
        while True:
            try:
                return self.call_once(name, dims, args, aligned(arena)).results
            except CallError as e:
                if e.status != "arena" or arena > 1 << 36:
                    raise
                arena = max(2 * arena, -(-e.want // ALIGN) * ALIGN)

    def call_once(
        self, name: str, dims: Mapping[str, int], args: Sequence[Any], arena: Array
    ) -> Called:
        """One call with this arena."""
        fn = self.bmodule.functions[name]
        call = _Call(fn, dims)
        call.give(args)
        error = ErrorRecord(size=ctypes.sizeof(ErrorRecord))
        code = self._raw[name](
            call.dims.ctypes.data,
            ctypes.addressof(call.args),
            ctypes.addressof(call.outs),
            arena.ctypes.data,
            arena.nbytes,
            ctypes.addressof(error),
        )
        if code:
            raise CallError(
                STATUS[code], error.line, error.column, error.got, error.want,
                error.what.decode(errors="replace"),
            )  # fmt: skip
        return Called(call.take(), int(error.got))


class _Call:
    """Arguments and results of one call, laid out for the raw entry."""

    def __init__(self, fn: BFunction, dims: Mapping[str, int]) -> None:
        self.fn, self.env = fn, dims
        self.dims = np.array([dims[d] for d in fn.dims] or [0], np.int64)
        self.results = results_of(fn)
        given = [p for p in fn.params if p.mode != "out"]
        self.args = (ctypes.c_void_p * max(1, len(given)))()
        self.outs = (ctypes.c_void_p * max(1, len(self.results)))()
        self.keep: list[Any] = []
        self.taken: dict[Param, Any] = {}

    def give(self, args: Sequence[Any]) -> None:
        given = [p for p in self.fn.params if p.mode != "out"]
        for i, (p, x) in enumerate(zip(given, args, strict=True)):
            if not isinstance(p.type, TensorType):
                raise InternalError("no structures yet")
            array = np.asarray(x, p.type.dtype.numpy)
            shape = self.shape(p.type)
            if array.shape != shape:
                raise ValueError(f"{p.name} is {array.shape}, not {shape}")
            if p.mode == "in":
                array = np.ascontiguousarray(array).reshape(shape)
            elif not isinstance(x, np.ndarray) or array is not x or not x.flags.c_contiguous:
                raise ValueError(f"{p.name} is changed in place: give it as a dense array")
            self.keep.append(array)
            self.taken[p] = array
            self.args[i] = array.ctypes.data
        self.buffers: list[Array | None] = []
        for j, r in enumerate(self.results):
            if not isinstance(r.type, TensorType):
                raise InternalError("no structures yet")
            if isinstance(r.holder, Param) and r.holder.mode == "inout":
                self.buffers.append(None)
                continue
            buffer = np.empty(self.shape(r.type), r.type.dtype.numpy)
            self.buffers.append(buffer)
            self.outs[j] = buffer.ctypes.data

    def take(self) -> tuple[Any, ...]:
        out: list[Any] = []
        for r, buffer in zip(self.results, self.buffers, strict=True):
            if buffer is None:
                assert isinstance(r.holder, Param)
                out.append(self.taken[r.holder])
            else:
                out.append(buffer if buffer.shape else buffer[()])
        return tuple(out)

    def shape(self, t: TensorType) -> tuple[int, ...]:
        return tuple(self.value(d) for d in t.shape)

    def value(self, d: Dim) -> int:
        return d.evaluate(self.env)


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
