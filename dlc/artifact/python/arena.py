"""Memory for calls.

A call that changes nothing is tried again with a larger arena when it runs out. One that changes
its arguments cannot be: it gets address space for all the memory of the machine at once, which
costs only the pages that are touched."""

from __future__ import annotations

import mmap
import os
import sys
from typing import Any

import numpy as np

from dlc.artifact.weights.block import ALIGN, aligned_bytes

Array = np.ndarray[Any, Any]

FIRST = 1 << 16
_NORESERVE = 0x4000 if sys.platform.startswith("linux") else 0


def physical_memory() -> int:
    """Bytes of the machine, 8 GiB where it does not say."""
    try:
        return int(os.sysconf("SC_PAGE_SIZE")) * int(os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return 8 << 30


def rounded(n: int) -> int:
    return -(-n // ALIGN) * ALIGN


class Arena:
    """Bytes at a multiple of 64. One call at a time uses it."""

    __slots__ = ("_keep", "address", "is_reserved", "size")

    def __init__(self, size: int) -> None:
        self._keep: Any = aligned_bytes(rounded(size))
        self.address: int = self._keep.ctypes.data
        self.size: int = self._keep.nbytes
        self.is_reserved = False

    def grow(self, size: int) -> None:
        self.__init__(size)

    def reserve(self, most: int) -> bool:
        """Takes address space for up to `most` bytes; False where the system gives none."""
        size = rounded(most)
        if self.is_reserved and self.size >= size:
            return True
        while size >= 1 << 20:
            try:
                space = _reserved(size)
            except (OSError, ValueError, OverflowError):
                size = rounded(size // 2)
                continue
            self._keep = np.frombuffer(space, np.uint8)
            self.address, self.size, self.is_reserved = self._keep.ctypes.data, size, True
            return True
        return False


def _reserved(size: int) -> mmap.mmap:
    if sys.platform == "win32":
        raise OSError("no address space without memory")
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE)
