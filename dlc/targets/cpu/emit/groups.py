"""Recursive groups: one LLVM function each, with explicit frames.

`status = group(ctx, frame, which)`. A call inside the group stores the arguments in the new frame,
notes where to go on, and jumps; a return reads from the frame where it came from. So the native
stack does not grow with the depth of the recursion.
"""

from __future__ import annotations

from collections.abc import Iterator

from dlc.memory.form import BFunction, Call
from dlc.memory.frame import CALLER, RESUME
from dlc.targets.cpu.emit import context
from dlc.targets.cpu.emit.body import Body, Emitters
from dlc.targets.cpu.emit.frames import check_room, enter_frame, store_frame, top_of
from dlc.targets.cpu.emit.functions import arguments, call_function, callee_frame, emit_way_in
from dlc.targets.cpu.emit.unit import Unit, register_type
from dlc.targets.cpu.llvm import INDEX, Builder, Function, Value

_PARAMS = (("ptr noalias", "ctx"), ("ptr", "frame"), ("i32", "which"))


class GroupBody(Body):
    """A body inside a group: its frame moves with every call of the group."""

    def __init__(self, text: GroupText, fn: BFunction) -> None:
        layout = text.unit.layout(fn)
        super().__init__(
            text.unit,
            text.f,
            fn,
            text.f.params[0],
            lambda: text.f.load("ptr", text.frame_variable),
            text.emitters,
            text.unwind,
            cells={h: at for h, at in layout.cells.items() if h in layout.saved},
            slots_at=layout.header,
            described=text.described,
        )
        self.text = text


class GroupText:
    """The LLVM function of a recursive group, while it is written."""

    def __init__(self, unit: Unit, number: int, emitters: Emitters) -> None:
        self.unit, self.emitters = unit, emitters
        self.functions = unit.groups[number]
        name = f"dlc.group.{number}"
        subprogram = unit.subprogram(name, self.functions[0])
        self.described = (subprogram, self.functions[0].loc)
        self.f = Builder(unit.module, name, "i32", _PARAMS, inline="never", subprogram=subprogram)
        self.entry = {fn.name: self.f.label("enter") for fn in self.functions}
        self.frame_variable = self.f.alloca("ptr", 1, 8)
        self.returned_variable = self.f.alloca("ptr", 1, 8)
        self.unwind = self.f.label("unwind")
        self.leave = self.f.label("leave")
        self._resumes: list[str] = []

    @property
    def declared(self) -> Function:
        return self.f.function

    def new_resume(self) -> tuple[int, str]:
        """The number and label of a place where a caller goes on. 0 leaves the LLVM function."""
        label = self.f.label("resume")
        self._resumes.append(label)
        return len(self._resumes), label

    def emit(self) -> None:
        f = self.f
        _, frame, which = f.params
        f.store(frame, self.frame_variable)
        never = f.label("never")
        f.switch(which, never, [(i, self.entry[g.name]) for i, g in enumerate(self.functions)])
        f.start(never)
        f.unreachable()
        for fn in self.functions:
            self._function(fn)
        self._return_dispatch(never)
        f.start(self.unwind)
        f.ret(f.load("i32", context.field(f, f.params[0], context.CODE)))
        f.define()

    def _function(self, fn: BFunction) -> None:
        f = self.f
        layout = self.unit.layout(fn)
        f.start(self.entry[fn.name])
        b = GroupBody(self, fn)
        frame = b.frame()
        for h in (*fn.dims, *(p.reg for p in fn.params)):
            if h in layout.saved:
                continue
            at = f.gep("i8", frame, layout.cells[h])
            if isinstance(h, str):
                b.set_dim(h, f.load(INDEX, at))
            else:
                b.set(h, f.load(register_type(h.type), at))
        enter_frame(b, frame, layout.header)
        b.block(fn.body)
        frame = b.frame()
        for r, at in zip(fn.results, layout.results, strict=True):
            f.store(b.get(r), f.gep("i8", frame, at))
        for d, at in zip(fn.result_dims, layout.result_dims, strict=True):
            f.store(b.dim(d), f.gep("i8", frame, at))
        f.branch(self.leave)

    def _return_dispatch(self, never: str) -> None:
        """Back to the caller's frame, and on where it says."""
        f = self.f
        f.start(self.leave)
        frame = f.load("ptr", self.frame_variable)
        f.store(frame, self.returned_variable)
        f.store(f.load("ptr", f.gep("i8", frame, CALLER)), self.frame_variable)
        out = f.label("out")
        cases = [(0, out), *((i + 1, label) for i, label in enumerate(self._resumes))]
        f.switch(f.load(INDEX, f.gep("i8", frame, RESUME)), never, cases)
        f.start(out)
        f.ret(Value("i32", "0"))


def _call_in_group(b: Body, s: Call, callee: BFunction) -> None:
    assert isinstance(b, GroupBody)
    f = b.f
    values = arguments(b, s, callee)
    frame = b.frame()
    new = callee_frame(b, s)
    layout = b.unit.layout(callee)
    # Nothing is stored before there is room for it; the callee checks for its slots.
    room = context.room_left(f, b.ctx, f.gep("i8", new, layout.header))
    size = f.load(INDEX, context.field(f, b.ctx, context.SIZE))
    ok = f.icmp("sge", room, 0)
    b.check(ok, "arena", s.loc, size, f.sub(size, room), "frame")
    number, label = b.text.new_resume()
    store_frame(f, b.unit, callee, new, Value(INDEX, str(number)), frame, values)
    f.store(new, b.text.frame_variable)
    f.branch(b.text.entry[callee.name])
    f.start(label)
    b.forget()
    old = f.load("ptr", b.text.returned_variable)
    for r, at in zip(s.results, layout.results, strict=True):
        b.set(r, f.load(register_type(r.type), f.gep("i8", old, at)))
    for name, at in zip(s.defines, layout.result_dims, strict=True):
        b.set_dim(name, f.load(INDEX, f.gep("i8", old, at)))


def emit_call(b: Body, s: Call) -> None:
    callee = b.unit.bmodule.functions[s.function]
    if callee.name in b.group:
        _call_in_group(b, s, callee)
    else:
        call_function(b, s, callee)
    if s.keep != b.fn.frame and callee.name in b.unit.allocating:
        # The heap may have grown into the part of the frame that was given away.
        check_room(b, top_of(b))


def emit_group(unit: Unit, number: int, emitters: Emitters) -> None:
    """The functions of a group: their common LLVM function, and an ordinary one for each."""
    text = GroupText(unit, number, emitters)
    text.emit()
    for i, fn in enumerate(unit.groups[number]):
        emit_way_in(unit, fn, i, text.declared)


def emission_order(unit: Unit) -> Iterator[BFunction | int]:
    """Functions in module order; a group where its first function stands."""
    seen: set[int] = set()
    for fn in unit.bmodule.functions.values():
        if fn.group is None:
            yield fn
        elif fn.group not in seen:
            seen.add(fn.group)
            yield fn.group
