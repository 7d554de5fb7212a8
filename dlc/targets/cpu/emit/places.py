"""Statements that move one scalar: `Address`, `Load`, `Store`."""

from __future__ import annotations

from dlc.memory.form import Address, Load, Store
from dlc.targets.cpu.emit.body import Body


def emit_address(b: Body, s: Address) -> None:
    b.set(s.dst, b.address(s.view))


def emit_load(b: Body, s: Load) -> None:
    b.set(s.dst, b.load(s.view))


def emit_store(b: Body, s: Store) -> None:
    b.store(s.view, b.scalar(s.src, s.view.dtype))
