"""Statements that move one scalar: `Address`, `Load`, `Store`."""

from __future__ import annotations

from dlc.memory.form import Address, Load, Reg, Store
from dlc.targets.cpu.emit.body import Body
from dlc.typesys.dtypes import DType


def emit_address(b: Body, s: Address) -> None:
    b.set(s.dst, b.address(s.view))


def emit_load(b: Body, s: Load) -> None:
    x = b.load(s.view)
    # A handle in memory is an i64.
    b.set(s.dst, x if isinstance(s.dst.type, DType) else b.f.cast("inttoptr", x, "ptr"))


def emit_store(b: Body, s: Store) -> None:
    x = b.scalar(s.src, s.view.dtype)
    handle = isinstance(s.src, Reg) and not isinstance(s.src.type, DType)
    b.store(s.view, b.f.cast("ptrtoint", x, "i64") if handle else x)
