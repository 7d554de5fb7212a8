"""One native call in an arena of a given size: what it says that it needs, and what it took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dlc.artifact.python.native import EXACT, Native, _Rooms
from dlc.artifact.python.net import Net
from dlc.artifact.weights.block import aligned_bytes

GUARD = 256
PATTERN = 0x5A


@dataclass(frozen=True)
class Use:
    """Bytes that `<entry>_bytes` gave and their kind (0 exact, 1 bound, 2 unbounded); the call's
    status, and the bytes that it says it took."""

    said: int
    kind: int
    status: int
    taken: int


def use(net: Net, name: str, args: tuple[Any, ...], size: int | None = None) -> Use:
    """Calls an entry with fresh buffers and an arena of `size` bytes (what it says that it needs,
    if None), between guards that no byte may leave."""
    entry = net.entries[name]
    native: Native = net._run.native
    e = native.entries[name]
    values = args if entry._direct else entry._split(args)
    arguments = entry._receiver.receive(values)
    params = net.params if entry._sets else None
    env = entry._receiver.dims(arguments, {} if params is None else params.dims)
    frame = e.frame()
    frame.keep = []
    for i, (x, v) in enumerate(zip(e.border.inputs, arguments.values, strict=True)):
        frame.give(i, x, v)
    model = None if params is None else net._run._model(params)
    head = () if model is None else (model.ctypes.data,)
    said, kind = e.need(frame, head)

    rooms = _Rooms(e, frame, env)
    rooms.fill(1 << 12)
    wanted = said if size is None else size
    block = aligned_bytes(wanted + 2 * GUARD)
    block[:] = PATTERN
    code = e.function(
        *head, frame.input.address, frame.output.address, block.ctypes.data + GUARD, wanted,
        native.options, frame.error.address,
    )  # fmt: skip
    assert np.all(block[:GUARD] == PATTERN) and np.all(block[GUARD + wanted :] == PATTERN)
    taken = frame.failure()[2]
    e.pool.append(frame)
    return Use(said, kind, code, taken)


__all__ = ["EXACT", "Use", "use"]
