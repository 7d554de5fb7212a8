"""Room for deep recursion: sources nest up to 256 deep, and every level is some Python frames."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

FRAMES = 50_000
STACK = 512 << 20
"""Bytes of stack for that many frames that go through C; only what is touched is there."""


class _Deep:
    """How many threads are inside, and the limit that holds when none is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = 0

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = sys.getrecursionlimit()
                sys.setrecursionlimit(max(FRAMES, self._before))
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                sys.setrecursionlimit(self._before)

    def start(self, thread: threading.Thread) -> None:
        with self._lock:
            before = threading.stack_size(STACK)
            try:
                thread.start()
            finally:
                threading.stack_size(before)


_DEEP = _Deep()


def deep(work: Callable[[], T]) -> T:
    """`work()`, in a thread of its own with a large stack. Its exceptions come out here."""
    out: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        _DEEP.enter()
        try:
            out.append(work())
        except BaseException as e:
            failed.append(e)
        finally:
            _DEEP.leave()

    thread = threading.Thread(target=run, name="dlc", daemon=True)
    try:
        _DEEP.start(thread)
    except (RuntimeError, ValueError):  # no room for such a stack: what there is must do
        run()
    else:
        thread.join()
    if failed:
        raise failed[0]
    return out[0]
