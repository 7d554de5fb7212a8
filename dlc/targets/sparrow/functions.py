"""Functions and entries of a program."""

from __future__ import annotations

from dlc.isa.builder import Label
from dlc.isa.layout import SPACE_SHIFT
from dlc.isa.program import Entry, Given, Port
from dlc.memory.form import BFunction, Reg
from dlc.memory.frame import CELL, Home
from dlc.targets.sparrow.body import Body
from dlc.targets.sparrow.code import (
    BLOCK,
    DRAM_FRAMES,
    DRAM_LIMIT,
    FRAME,
    LIMIT,
    TAG,
    WIDTH,
    Flt,
    Int,
    Scalar,
)
from dlc.targets.sparrow.constants import usable
from dlc.targets.sparrow.control import give, taken
from dlc.targets.sparrow.homes import Homes, assign, has_wide_slots, kind_of
from dlc.targets.sparrow.program import SparrowEntry, SparrowParameter, SparrowResult
from dlc.targets.sparrow.statements import EMITTERS
from dlc.targets.sparrow.unit import Unit
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I64


def emit_function(unit: Unit, fn: BFunction, *, roomy: bool = False) -> None:
    """The function, called by `call`; with `roomy` more registers are left to its statements, and
    less is kept from one to the next.

    Raises Crowded where a statement takes more than there are."""
    c = unit.code
    how = unit.convention(fn.name)
    for t in (*(p.type for p in fn.params), *fn.result_types):
        unit.check_type(t, fn.loc)
    ends: tuple[Home, ...] = (*fn.results, *(n for d in fn.result_dims for n in d.symbols()))
    homes = assign(fn, ends, unit.kept.get(fn.name, ()), roomy=roomy)
    b = Body(unit, fn, homes, EMITTERS)
    deep = unit.stack_words(fn, homes.words)
    with c.builder.function(f"fn.{fn.name}", deep, frame_words=homes.words):
        c.builder.mark(fn.loc.file, fn.loc.line, fn.loc.column)
        if homes.words:
            c.emit("enter", n=homes.words)
        with c.without(how.ints, how.floats):
            for seat, name in zip(how.dims, fn.dims, strict=True):
                with c.scope():
                    b.put(name, taken(b, seat, I64))
            for seat, p in zip(how.params, fn.params, strict=True):
                with c.scope():
                    b.put(p.reg, taken(b, seat, p.reg.type))
        for d, word in homes.dims.items():
            with c.scope():
                c.emit("sts", a=b.computed(d).number, k=word.index)
        b.has_dims = True
        _check_frame(b)
        b.block(fn.body)
        with c.without(how.ints, how.floats):
            for seat, r in zip(how.results, fn.results, strict=True):
                with c.scope():
                    give(b, seat, b.get(r))
            for seat, d in zip(how.result_dims, fn.result_dims, strict=True):
                with c.scope():
                    give(b, seat, b.dim(d))
        if homes.words:
            c.emit("leave", n=homes.words)
        c.emit("ret")


def _check_frame(b: Body) -> None:
    """The frame stays in the scratchpad if it fits there, else it moves to DRAM; status `arena`
    where there is no room either. Elements of 64 bits exist in DRAM only."""
    c, fn = b.c, b.fn
    wide = has_wide_slots(fn)
    if b.where(b.homes.top) is None and fn.frame == Dim.const(0):
        return
    with c.scope():
        size = b.dim(fn.frame)
        end = c.int()
        fits = c.label()
        if not wide:
            c.add(FRAME, size, end)
            c.branch("bge", LIMIT, end, fits)
        with c.unless("blt", FRAME, TAG):
            c.move(FRAME, DRAM_FRAMES)
        c.add(FRAME, size, end)
        c.place(fits)
        with c.unless("bge", end, TAG):
            ok = c.negate_bool(c.op("slt", DRAM_LIMIT, end))
            message = "the room for frames is too small"
            b.check(ok, "arena", message, DRAM_LIMIT, end, fn.loc)
        b.put(b.homes.top, end)


# -- entries


def emit_entry(unit: Unit, fn: BFunction) -> SparrowEntry:
    """The code between the host and an exported function: see `program` for the block of cells."""
    entry = _described(fn)
    own = dict(usable(fn, unit.options.weights))
    c = unit.code
    how = unit.convention(fn.name)
    place = Given(1)
    port = Port("block", "i64", (str(entry.block_cells),), place)
    c.builder.entry(Entry(fn.name, 0, (), (port,), (port,)))
    with c.builder.function(f"entry.{fn.name}"):
        homes = Homes({}, {}, 0, Reg(I64), frozenset())
        b = Body(unit, fn, homes, EMITTERS)
        c.builder.mark(fn.loc.file, fn.loc.line, fn.loc.column)
        _start(b)
        with c.without(how.ints, how.floats):
            for k, seat in enumerate(how.dims):
                with c.scope():
                    give(b, seat, _cell(b, entry.first_dim + k, None))
            for k, (seat, p) in enumerate(zip(how.params, fn.params, strict=True)):
                if p.reg in unit.weights.names:
                    continue
                with c.scope():
                    if p.reg in own:
                        give(b, seat, c.number(unit.weight(own[p.reg])))
                    else:
                        give(b, seat, _cell(b, entry.first_parameter + k, p.reg))
        c.emit("call", to=Label(f"fn.{fn.name}"))
        for k, (seat, r) in enumerate(zip(how.results, fn.results, strict=True)):
            with c.scope():
                _put_cell(b, entry.first_result + k, taken(b, seat, r.type))
        for k, seat in enumerate(how.result_dims):
            with c.scope():
                _put_cell(b, entry.first_result_dim + k, taken(b, seat, I64))
        c.emit("halt")
    return entry


def _start(b: Body) -> None:
    """Registers that keep their value in the whole run; room for frames."""
    c, unit = b.c, b.unit
    c.move(BLOCK, Int(1))
    c.set(WIDTH, 32)
    c.set(TAG, 1 << SPACE_SHIFT)
    c.set(FRAME, unit.tagged("SP", unit.options.scratchpad // 2 // 64 * 64))
    c.set(LIMIT, unit.tagged("SP", unit.options.scratchpad // 64 * 64))
    with c.scope():
        size = c.int()
        c.emit("ld", d=size.number, a=BLOCK.number, k=0)
        c.emit("alloc", d=DRAM_FRAMES.number, a=size.number)
        c.add(DRAM_FRAMES, size, DRAM_LIMIT)


def _cell(b: Body, number: int, r: Reg | None) -> Scalar:
    c = b.c
    if r is not None and kind_of(r) is Flt:
        x = c.flt()
        c.emit("fld", d=x.number, a=BLOCK.number, k=CELL * number)
        return x
    d = c.int()
    c.emit("ld", d=d.number, a=BLOCK.number, k=CELL * number)
    return d


def _put_cell(b: Body, number: int, x: Scalar) -> None:
    name = "fst" if isinstance(x, Flt) else "st"
    b.c.emit(name, a=BLOCK.number, b=x.number, k=CELL * number)


def _described(fn: BFunction) -> SparrowEntry:
    places: dict[Reg, int] = {p.reg: i for i, p in enumerate(fn.params) if p.mode != "in"}
    by_value = {r: i for i, r in enumerate(fn.results)}
    types = {p.reg: p.type for p in fn.params} | dict(zip(fn.results, fn.result_types, strict=True))
    results = tuple(
        SparrowResult(types[r], places[r]) if r in places and r not in by_value
        else SparrowResult(types[r], None, by_value[r])
        for r in fn.returns
    )  # fmt: skip
    return SparrowEntry(
        fn.name,
        fn.dims,
        tuple(SparrowParameter(p.name, p.mode, p.type) for p in fn.params),
        results,
        fn.result_names,
        len(fn.results),
    )
