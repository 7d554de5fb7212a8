"""The block that all parameter sets of an artefact lie in, in memory and in `*.weights.bin`.

    0   8 bytes  "dlcw", 0, 0, 0, version
    8   u64      identity of the layout: names, element types and shapes of all weights
    16  u64      bytes of the whole block, a multiple of 64
    24  u32 u32  number of dims, number of weights
    64  i64      the dims, in the order of the manifest
        i64      the offset of each weight, a multiple of 64
        …        the weights, dense, row-major, in order

Little-endian. The block itself starts at a multiple of 64 bytes."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DType
from dlc.typesys.interface import Interface, WeightInfo

Array = np.ndarray[Any, Any]

ALIGN = 64
VERSION = 1
MAGIC = b"dlcw\0\0\0" + bytes([VERSION])
HEADER = 64
"""Bytes before the dims."""


@dataclass(frozen=True)
class Weight:
    """A weight of a set; `name` is its name in files and in `net.params`."""

    set: str
    info: WeightInfo

    @property
    def name(self) -> str:
        return f"{self.set}.{self.info.name}"

    @property
    def dtype(self) -> DType:
        return self.info.dtype

    @property
    def shape(self) -> tuple[Dim, ...]:
        return self.info.shape

    @property
    def bytes(self) -> Dim:
        n = Dim.const(self.dtype.bytes)
        for d in self.shape:
            n = n * d
        return n

    def shape_at(self, env: Mapping[str, int]) -> tuple[int, ...]:
        return tuple(d.evaluate(env) for d in self.shape)


@dataclass(frozen=True)
class BlockLayout:
    """The weights of all sets in order, and the dims that their shapes mention."""

    dims: tuple[str, ...]
    weights: tuple[Weight, ...]

    @cached_property
    def identity(self) -> int:
        """64 bits of a hash over everything that a reader of the block relies on."""
        facts = [
            list(self.dims),
            [[w.name, w.dtype.name, [str(d) for d in w.shape]] for w in self.weights],
        ]
        text = json.dumps(facts, separators=(",", ":"))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")

    @property
    def data_start(self) -> int:
        """Where the first weight lies."""
        return _up(HEADER + 8 * (len(self.dims) + len(self.weights)))

    def offset_field(self, number: int) -> int:
        """Where the offset of a weight is written."""
        return HEADER + 8 * (len(self.dims) + number)

    def places(self, env: Mapping[str, int]) -> tuple[tuple[int, ...], int]:
        """Offset of each weight, and the bytes of the whole block."""
        at = self.data_start
        offsets: list[int] = []
        for w in self.weights:
            offsets.append(at)
            at = _up(at + w.bytes.evaluate(env))
        return tuple(offsets), at

    def number(self, set_: str, name: str) -> int:
        """The number of a weight."""
        return next(i for i, w in enumerate(self.weights) if w.set == set_ and w.info.name == name)

    def format(self, env: Mapping[str, int]) -> Array:
        """A block for these dims with zeros for weights."""
        offsets, total = self.places(env)
        block = aligned_bytes(total)
        block[:] = 0
        counts = (self.identity, total, len(self.dims), len(self.weights))
        head = MAGIC + struct.pack("<QQII", *counts)
        block[: len(head)] = np.frombuffer(head, np.uint8)
        numbers = np.array([*(env[d] for d in self.dims), *offsets], "<i8")
        block[HEADER : HEADER + numbers.nbytes] = numbers.view(np.uint8)
        return block

    def views(self, block: Array, env: Mapping[str, int]) -> tuple[Array, ...]:
        """Each weight as an array over the block."""
        offsets, _ = self.places(env)
        return tuple(
            _view(block, at, w.dtype, w.shape_at(env))
            for at, w in zip(offsets, self.weights, strict=True)
        )

    def read_dims(self, block: Array) -> dict[str, int]:
        """The dims of a block. Raises ValueError for bytes that are no block of this layout."""
        if block.nbytes < self.data_start or block[:8].tobytes() != MAGIC:
            raise ValueError("not a block of weights")
        identity, total, dims, weights = struct.unpack_from("<QQII", block.data, 8)
        if (identity, dims, weights) != (self.identity, len(self.dims), len(self.weights)):
            raise ValueError("weights of another program")
        numbers = block[HEADER : HEADER + 8 * (dims + weights)].view("<i8").tolist()
        env = dict(zip(self.dims, numbers, strict=False))
        if not all(0 <= n < 2**31 for n in env.values()):
            raise ValueError("a dim out of range")
        offsets, want = self.places(env)
        if tuple(numbers[dims:]) != offsets or not want == total <= block.nbytes:
            raise ValueError("the weights are cut short")
        return env


def block_layout(interface: Interface) -> BlockLayout:
    """The layout for a program's parameter sets."""
    sets = interface.parameter_sets
    dims = tuple(dict.fromkeys(d for s in sets for d in s.dims))
    return BlockLayout(dims, tuple(Weight(s.name, w) for s in sets for w in s.weights))


def fixed_dims(interface: Interface) -> dict[str, int]:
    """The dims of parameter sets that were bound when compiling."""
    return {d: n for s in interface.parameter_sets for d, n in s.fixed}


def aligned_bytes(n: int) -> Array:
    """`n` bytes at a multiple of 64, not initialised."""
    if n > 2**62:
        raise MemoryError(f"the weights take {n} bytes")
    raw = np.empty(n + ALIGN, np.uint8)
    at = -raw.ctypes.data % ALIGN
    return raw[at : at + n]


def _view(block: Array, at: int, dtype: DType, shape: Sequence[int]) -> Array:
    count = int(np.prod(shape, dtype=np.int64))
    return block[at : at + count * dtype.bytes].view(dtype.numpy).reshape(shape)


def _up(n: int) -> int:
    return -(-n // ALIGN) * ALIGN
