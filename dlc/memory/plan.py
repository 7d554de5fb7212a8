"""Slots of the frame: which classes share one, in which order they lie, what a call site keeps.

Classes without edges and of comparable sizes share a slot, first fit. Slots that some call needs
come first, so that the callee's frame can start where the rest of the caller's is dead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dlc.ir.core import Op
from dlc.memory.classes import Class
from dlc.memory.coalesce import Placed
from dlc.memory.form import FrameSlot
from dlc.memory.frame import blocks
from dlc.memory.storage import Kind
from dlc.typesys.dims import ZERO, Dim
from dlc.typesys.types import TensorType


@dataclass(frozen=True)
class Plan:
    """`slot_of[id of class]` numbers its slot; `keep[call]` are the frame's bytes that stay."""

    slots: tuple[FrameSlot, ...]
    frame: Dim
    slot_of: Mapping[int, int]
    keep: Mapping[Op, Dim]

    def slot(self, c: Class) -> int | None:
        return self.slot_of.get(id(c))


@dataclass
class _Room:
    """A slot under construction."""

    classes: list[Class]
    mask: int
    edges: int
    size: Dim
    """Bytes, not yet rounded."""
    kept: bool
    order: int = field(default=0)


def plan(p: Placed) -> Plan:
    """The frame of a function whose values are placed."""
    needed = _needed_at_calls(p)
    across = 0
    for mask in needed.values():
        across |= mask
    rooms: list[_Room] = []
    holds: dict[tuple[Dim, Dim], bool] = {}
    waiting = [c for c in p.classes.distinct() if _wants_slot(p, c)]
    hot = [c for c in waiting if c.mask & across]
    cold = [c for c in waiting if not c.mask & across]
    for c in (*_by_size(hot), *_by_size(cold)):
        _put(rooms, c, _avoided(p, c), bool(c.mask & across), holds)
    rooms.sort(key=lambda r: not r.kept)
    slots: list[FrameSlot] = []
    slot_of: dict[int, int] = {}
    at = ZERO
    for i, room in enumerate(rooms):
        size = blocks(room.size)
        t = room.classes[0].type
        assert isinstance(t, TensorType)
        slots.append(FrameSlot(t.dtype, room.classes[0].size, at, size))
        at = at + size
        slot_of.update((id(c), i) for c in room.classes)
    keep: dict[Op, Dim] = {}
    for op, mask in needed.items():
        last = max((i for i, r in enumerate(rooms) if r.mask & mask), default=None)
        keep[op] = ZERO if last is None else slots[last].offset + slots[last].bytes
    return Plan(tuple(slots), at, slot_of, keep)


def _wants_slot(p: Placed, c: Class) -> bool:
    """Classes in rings, of results, and those written into others have places already."""
    if c.kind is not Kind.SLOT or c.pinned is not None or c.scope is not None:
        return False
    values = [p.live.values[k] for k, _ in c.members]
    if any(v in p.direct.parts or v in p.columns.home for v in values):
        return False
    rings = (r for group in p.rings.values() for r in group)
    return not any(v in r.results for r in rings for v in values)


def _needed_at_calls(p: Placed) -> dict[Op, int]:
    """The values whose storage a call site needs, buffers of rings among them."""
    out: dict[Op, int] = {}
    live, classes = p.live, p.classes
    for op, mask in live.at_call.items():
        for group in p.rings.values():
            for r in group:
                loop_region = live.region[live.index[r.carried[0]]]
                mine = 0
                for v in (*r.carried, *r.fresh, *r.results):
                    mine |= classes.of_value(v).mask
                inside = _is_inside(p, op, loop_region)
                if inside or mask & mine:
                    for b in r.buffers:
                        mask |= 1 << live.index[b]
        out[op] = mask
    return out


def _is_inside(p: Placed, op: Op, region: int) -> bool:
    r, _ = p.live.steps[op]
    while r > region:
        r = p.live.parents[r]
    return r == region


def _bytes(c: Class) -> Dim:
    assert isinstance(c.type, TensorType)
    return c.size * c.type.dtype.bytes


def _by_size(cs: list[Class]) -> list[Class]:
    """Large ones first as far as sizes compare, else in order of definition."""
    of_size: dict[Dim, list[Class]] = {}
    for c in cs:
        of_size.setdefault(_bytes(c), []).append(c)
    order: list[Dim] = []
    for size in of_size:
        i = next((i for i, other in enumerate(order) if size.at_least(other)), len(order))
        order.insert(i, size)
    return [c for size in order for c in of_size[size]]


def _avoided(p: Placed, c: Class) -> int:
    """What must not be in the class's slot: what it interferes with, and what might be exactly
    where a member is, but was not put there."""
    out = c.edges
    for k, _ in c.members:
        out |= p.live.exempt.get(k, 0)
    return out & ~c.mask


def _put(
    rooms: list[_Room], c: Class, avoided: int, kept: bool, holds: dict[tuple[Dim, Dim], bool]
) -> None:
    size = _bytes(c)
    for r in rooms:
        if r.edges & c.mask or avoided & r.mask:
            continue
        pair = (r.size, size)
        if pair not in holds:
            holds[pair] = r.size.at_least(size)
        if not holds[pair]:
            continue
        r.classes.append(c)
        r.mask |= c.mask
        r.edges |= avoided
        return
    rooms.append(_Room([c], c.mask, avoided, size, kept))
