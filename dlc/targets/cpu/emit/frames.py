"""Frames in the arena: room for them, their headers, and how a function ends."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.memory.form import BFunction
from dlc.memory.frame import CALLER, RESUME
from dlc.targets.cpu.emit import context
from dlc.targets.cpu.emit.body import Body
from dlc.targets.cpu.emit.poison import poison
from dlc.targets.cpu.emit.unit import Unit
from dlc.targets.cpu.llvm import INDEX, Builder, Value
from dlc.typesys.dims import Dim


def enter_frame(b: Body, frame: Value, header: int) -> None:
    """Check that a function's frame fits, and note how little room it leaves."""
    if b.fn.frame == Dim.const(0) and not header:
        return
    f = b.f
    size = b.size(b.fn.frame + header)
    check_room(b, f.gep("i8", frame, size))
    if b.unit.options.poison and b.fn.slots:
        poison(f, f.gep("i8", frame, header), f.sub(size, header))


def check_room(b: Body, top: Value) -> None:
    """Leave with status `arena` unless `top` is below the heap."""
    f = b.f
    room = context.room_left(f, b.ctx, top)
    size = f.load(INDEX, context.field(f, b.ctx, context.SIZE))
    ok = f.icmp("sge", room, 0)
    b.check(ok, "arena", b.fn.loc, size, f.sub(size, room), "frame")
    context.note_room(f, b.ctx, room)


def top_of(b: Body) -> Value:
    """The end of the function's frame: where the heap may grow down to."""
    return b.f.gep("i8", b.frame(), b.dim(b.fn.frame + b.slots_at))


def store_frame(
    f: Builder,
    unit: Unit,
    callee: BFunction,
    new: Value,
    resume: Value,
    caller: Value,
    values: Sequence[Value],
) -> None:
    """Fill the header of a new frame."""
    layout = unit.layout(callee)
    f.store(resume, f.gep("i8", new, RESUME))
    f.store(caller, f.gep("i8", new, CALLER))
    homes = (*callee.dims, *(p.reg for p in callee.params))
    for h, x in zip(homes, values, strict=True):
        f.store(x, f.gep("i8", new, layout.cells[h]))


def return_status(f: Builder, code: Value, results: Sequence[Value]) -> None:
    if results:
        f.ret_many(code, *results)
    else:
        f.ret(code)
