"""Calls into native code: the C interface of an object that is loaded into this process."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dlc.artifact.border import Border
from dlc.artifact.capi import Api, EntryApi
from dlc.artifact.items import Item
from dlc.artifact.python.arena import physical_memory
from dlc.artifact.python.deliver import Result
from dlc.artifact.python.errors import failure
from dlc.artifact.python.frame import FlatRoom, Frame, StructBuffer
from dlc.artifact.python.host import Arguments, tensor_shape
from dlc.artifact.python.params import Params
from dlc.artifact.weights.block import ALIGN, aligned_bytes
from dlc.targets.cpu.emit.context import STATUS
from dlc.typesys.types import TensorType

Array = np.ndarray[Any, Any]

_P = ctypes.c_void_p
_ARENA, _SPACE = STATUS.index("arena"), STATUS.index("space")
EXACT, BOUND, UNBOUNDED = 0, 1, 2
LARGE = 1 << 26
"""Bytes of arena beyond which a bound is not simply allocated."""
MOST_ROOM = 1 << 31
"""Elements, rows or nodes that a result of unknown size can have at most."""


class Native:
    """The functions of an object, by symbol. `keep` holds the loaded code."""

    def __init__(
        self,
        api: Api,
        address_of: Callable[[str], int],
        keep: Any,
        file_of: Callable[[int, int], str],
    ) -> None:
        self.api, self.keep, self.file_of = api, keep, file_of
        self.memory_limit = physical_memory() // 2
        """Bytes of arena that a call may have."""
        self._address_of = address_of
        self._options = StructBuffer(api.options, api.number)
        self.entries = {e.name: NativeEntry(self, e) for e in api.entries}

    @property
    def options(self) -> int:
        """Address of the options that calls get."""
        return self._options.address

    @property
    def fuel(self) -> int:
        """Turns that loops without a bound may take in one call, together; 0: as compiled."""
        return self._options.get(self._options.struct.offsets[2])

    @fuel.setter
    def fuel(self, turns: int) -> None:
        self._options.put(self._options.struct.offsets[2], turns)

    def function(self, symbol: str, count: int, result: Any = ctypes.c_int32) -> Any:
        """A function of `count` pointers and sizes."""
        return ctypes.CFUNCTYPE(result, *[_P] * count)(self._address_of(symbol))

    def embedded(self) -> Array:
        """A copy of the block of weights that was compiled in."""
        total = self.api.layout.places(self.api.fixed)[1]
        at = self._address_of(f"{self.api.prefix}_weights")
        block = aligned_bytes(total)
        ctypes.memmove(block.ctypes.data, at, total)
        return block

    def model(self, block: Array, writable: bool) -> Array:
        """A `net_model` over a block of weights."""
        s = self.api.model
        assert s is not None
        out = aligned_bytes(-(-s.size // ALIGN) * ALIGN)
        name = "model_init_mut" if writable else "model_init"
        f = self.function(f"{self.api.prefix}_{name}", 4)
        frame = _ErrorOnly()
        code = f(out.ctypes.data, block.ctypes.data, block.nbytes, frame.address)
        if code:
            raise frame.failure("the weights", code)
        return out

    def model_of(self, params: Params) -> Array:
        """A writable `net_model` over parameters, whose sets may lie in different blocks."""
        out = self.model(params.block, True)
        s = self.api.model
        assert s is not None
        words = out.view(np.int64)
        for i, set_ in enumerate(self.api.interface.parameter_sets):
            source = params.sources.get(set_.name)
            if source is not None:
                words[s.offsets[4 + i] >> 3] = source.block.ctypes.data
        return out

    def initialise(self, set_: str, model: Array, key: int) -> None:
        """Draws the first weights of a set, into the model's block."""
        f = ctypes.CFUNCTYPE(ctypes.c_int32, _P, ctypes.c_int64, _P, _P, _P)(
            self._address_of(self.api.initialisers[set_])
        )
        size = 1 << 16
        frame = _ErrorOnly()
        while True:
            arena = aligned_bytes(size)
            code = f(model.ctypes.data, key, arena.ctypes.data, size, frame.address)
            if code != _ARENA or size > self.memory_limit:
                break
            size *= 4
        if code:
            raise frame.failure(f"init of {set_}", code)


class _ErrorOnly:
    """An error record for functions that are no entries."""

    def __init__(self) -> None:
        self.record = np.zeros(12, np.int64)
        self.record.view(np.uint32)[0] = 96
        self.address = self.record.ctypes.data

    def failure(self, name: str, code: int) -> Exception:
        line, column = self.record.view(np.uint32)[2:4].tolist()
        got, want = self.record[2:4].tolist()
        what = self.record[4:].tobytes().split(b"\0", 1)[0].decode(errors="replace")
        return failure(name, "", STATUS[code], line, column, got, want, what)


class NativeEntry:
    """One entry: a pool of frames, so that any number of threads may call it."""

    def __init__(self, native: Native, e: EntryApi) -> None:
        self.native, self.e = native, e
        self.border: Border = e.border
        own = 1 if e.border.sets else 0
        self.function = native.function(e.symbol, own + 6)
        self.bytes_function = native.function(f"{e.symbol}_bytes", own + 4)
        self.pool: list[Frame] = []
        self.arena = 1 << 16
        self.room = 256
        self.unsized = bool(e.border.flats_out) or bool(e.border.entry.result_dims)
        self.unsized = self.unsized or bool(e.back)

    def frame(self) -> Frame:
        try:
            return self.pool.pop()
        except IndexError:
            return Frame(self.native.api, self.e, self.arena)

    def call(
        self, arguments: Arguments, env: Mapping[str, int], model: Array | None
    ) -> tuple[list[Result], dict[int, Any]]:
        """The results, and the new values of inputs that come back otherwise than in place."""
        frame = self.frame()
        frame.keep = []
        for i, (x, v) in enumerate(zip(self.border.inputs, arguments.values, strict=True)):
            frame.give(i, x, v)
        head = () if model is None else (model.ctypes.data,)
        self._prepare_arena(frame, head)
        saved = self._saved(frame, arguments)
        rooms = _Rooms(self, frame, env)
        room = self.room
        while True:
            rooms.fill(room)
            code = self.function(
                *head, frame.input.address, frame.output.address, frame.arena.address,
                frame.arena.size, self.native.options, frame.error.address,
            )  # fmt: skip
            if not code:
                break
            if code == _ARENA and not self._larger(frame):
                raise self._failure(frame, code)
            if code == _SPACE:
                if room >= MOST_ROOM:
                    raise self._failure(frame, code)
                room *= 8
            elif code != _ARENA:
                raise self._failure(frame, code)
            for a, old in saved:
                a[...] = old
        self.arena, self.room = max(self.arena, frame.arena.size), max(self.room, room)
        out = rooms.take()
        frame.keep = []
        self.pool.append(frame)
        return out

    def _failure(self, frame: Frame, code: int) -> Exception:
        line, column, got, want, what = frame.failure()
        file = self.native.file_of(line, column)
        frame.keep = []
        self.pool.append(frame)
        return failure(self.e.name, file, STATUS[code], line, column, got, want, what)

    # -- memory

    def need(self, frame: Frame, head: tuple[int, ...]) -> tuple[int, int]:
        """Bytes and kind of the call's need."""
        w = frame.words
        code = self.bytes_function(
            *head, frame.input.address, w.address, w.address + 8, frame.error.address
        )
        if code:
            raise self._failure(frame, code)
        return w.get(0), w.get(8) & 0xFFFFFFFF

    def _prepare_arena(self, frame: Frame, head: tuple[int, ...]) -> None:
        """A call that changes its arguments must not run out of memory half-way."""
        if not self.border.writes and frame.arena.size >= self.arena:
            return
        need, kind = self.need(frame, head)
        most = self.native.memory_limit
        if kind == EXACT and need > most:
            frame.keep = []
            self.pool.append(frame)
            raise failure(self.e.name, "", "arena", 0, 0, most, need, "the limit of memory")
        if self.border.writes and kind != EXACT and (kind == UNBOUNDED or need > LARGE):
            # A bound may be far from what the call takes: pages cost only if they are touched.
            frame.arena.reserve(most if kind == UNBOUNDED else min(need, most))
        if frame.arena.size < min(need, most):
            frame.arena.grow(min(need, most))

    def _larger(self, frame: Frame) -> bool:
        """A larger arena for another try; False if there is none."""
        _, _, got, want, _ = frame.failure()
        most = self.native.memory_limit
        if frame.arena.is_reserved or got >= most:
            return False
        frame.arena.grow(min(most, max(4 * frame.arena.size, want)))
        return True

    def _saved(self, frame: Frame, arguments: Arguments) -> list[tuple[Array, Array]]:
        """Copies of what the call changes, where it may have to be tried again."""
        if not self.border.writes or (frame.arena.is_reserved and not self.unsized):
            return []
        out: list[tuple[Array, Array]] = []
        for x, v in zip(self.border.inputs, arguments.values, strict=True):
            if x.mut:
                out += [(a, a.copy()) for a in v.arrays]
        return out


class _Rooms:
    """Buffers for the outputs of a call, and the results in them."""

    def __init__(self, entry: NativeEntry, frame: Frame, env: Mapping[str, int]) -> None:
        self.entry, self.frame, self.env = entry, frame, env
        self.e = entry.e
        self.arrays: dict[tuple[int, int], Array] = {}
        self.flats: dict[int, FlatRoom] = {}

    def fill(self, count: int) -> None:
        border = self.e.border
        for i, (x, member) in enumerate(zip(border.outputs, self.e.out_members, strict=True)):
            if x.kind == "flat":
                self._flat(i, member, border.flats_out[i].total, count)
            elif x.kind != "scalar":
                self._arrays(i, x, member, count)
        for i, member in self.e.back.items():
            self._flat(-1 - i, member, border.flats_in[i].total, count)

    def _flat(self, i: int, member: int, total: int, count: int) -> None:
        border = self.e.border
        flat = border.flats_out[i] if i >= 0 else border.flats_in[-1 - i]
        room = self.flats[i] = FlatRoom(self.frame, member, flat, total, self.env)
        room.fill(count)

    def _arrays(self, i: int, x: Item, member: int, count: int) -> None:
        names = _NAMES[x.kind]
        capacity = 0
        for k, (leaf, name) in enumerate(zip(x.leaves, names, strict=True)):
            t = leaf.type
            assert isinstance(t, TensorType)
            if all(s in self.env for d in t.shape for s in d.symbols()):
                # A size below 0 is found, with its place, by the code itself.
                a = np.empty([max(n, 0) for n in tensor_shape(t, self.env)], t.dtype.numpy)
            else:
                a = np.empty(count, t.dtype.numpy)
            self.arrays[i, k] = a
            self.frame.room(member, a, name)
            capacity = a.size
        self.frame.set_number(capacity, member, "capacity")

    def take(self) -> tuple[list[Result], dict[int, Any]]:
        border = self.e.border
        results: list[Result] = []
        for i, (x, member) in enumerate(zip(border.outputs, self.e.out_members, strict=True)):
            if x.kind == "flat":
                results.append(Result(flat=self.flats[i].take()))
            elif x.kind == "scalar":
                results.append(Result((self.frame.scalar(member, x.tensor.dtype),)))
            else:
                results.append(self._taken(i, x, member))
        changed = {i: self.flats[-1 - i].take() for i in self.e.back}
        return results, changed

    def _taken(self, i: int, x: Item, member: int) -> Result:
        out: list[Array] = []
        for k in range(len(x.leaves)):
            a = self.arrays[i, k]
            if x.kind == "tensor":
                rank = x.tensor.rank
                at = self.frame.output.offset(member, "dims")
                shape = tuple(self.frame.output.get(at + 8 * axis) for axis in range(rank))
                if a.shape != shape:
                    a = a[: int(np.prod(shape, dtype=np.int64))].reshape(shape).copy()
            else:
                n = self.frame.number(member, _COUNTS[x.kind]) + (x.kind == "segs")
                a = a[:n] if a.size == n else a[:n].copy()
            out.append(a)
        return Result(tuple(out))


_NAMES: Mapping[str, Sequence[str]] = {
    "tensor": ("data",),
    "graph": ("src", "dst"),
    "segs": ("starts",),
    "sparse": ("indices", "values"),
}
_COUNTS = {"graph": "arcs", "segs": "rows", "sparse": "count"}
