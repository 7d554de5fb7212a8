"""Functions of the native cost model: issue, scoreboard, and the array's recurrence.

The rules are those of `dlc.isa.cost.model` and `dlc.isa.cost.array`; a test compares every word.
"""

from __future__ import annotations

from dlc.isa.cost.layout import INTERVALS, RING, TRACE_WORDS, UNIT_WORDS, C, CostLayout, P, U
from dlc.isa.fast.text import Builder
from dlc.isa.model import Isa, counter_names


class _Words:
    """Loads and stores of the cost state `%C`."""

    def __init__(self, b: Builder) -> None:
        self.b = b

    def get(self, word: int | str) -> str:
        return self.b.load("i64", "%C", str(int(word) if isinstance(word, int) else word), 8)

    def set(self, word: int | str, value: str) -> None:
        self.b.store("i64", value, "%C", str(int(word) if isinstance(word, int) else word), 8)

    def add(self, word: int | str, value: str) -> None:
        self.set(word, self.b.op(f"add i64 {self.get(word)}, {value}"))


def _max(b: Builder, x: str, y: str) -> str:
    return b.op(f"call i64 @llvm.smax.i64(i64 {x}, i64 {y})")


def _test(b: Builder, relation: str, x: str, y: str | int) -> str:
    return b.op(f"icmp {relation} i64 {x}, {y}")


def _plus(b: Builder, x: str, y: str | int) -> str:
    return b.op(f"add i64 {x}, {y}")


def _minus(b: Builder, x: str, y: str | int) -> str:
    return b.op(f"sub i64 {x}, {y}")


def _times(b: Builder, x: str, y: str | int) -> str:
    return b.op(f"mul i64 {x}, {y}")


def ceiling(b: Builder, x: str, y: str) -> str:
    """ceil(x / y) of a number that isn't negative by a positive one."""
    return b.op(f"udiv i64 {_plus(b, x, _minus(b, y, 1))}, {y}")


def _occupy() -> str:
    b = Builder(
        "define internal void @occupy(ptr %C, i64 %at, i64 %head, i64 %from, "
        "i64 %cycles, i64 %duration)"
    )
    words = _Words(b)

    def word(k: U) -> str:
        return _plus(b, "%at", int(k))

    before = words.get(word(U.FREE))
    issued = _max(b, "%head", before)
    words.add(word(U.IDLE_ISSUE), _minus(b, issued, before))
    words.add(word(U.IDLE_DATA), _minus(b, "%from", issued))
    words.add(word(U.BUSY), "%cycles")
    words.add(word(U.IDLE_DRAM), _minus(b, "%duration", "%cycles"))
    words.set(word(U.FREE), _plus(b, "%from", "%duration"))
    words.add(word(U.COUNT), "1")
    b.do("ret void")
    return b.finish()


def _issue(isa: Isa, layout: CostLayout) -> str:
    """Issue an instruction; the cycle in which it ends."""
    b = Builder(
        "define internal i64 @issue(ptr %C, i64 %pc, i64 %unit, i64 %cycles, i64 %dram, i64 %ready)"
    )
    words = _Words(b)
    at = _plus(b, _times(b, "%unit", UNIT_WORDS), layout.units)
    dma = layout.units + UNIT_WORDS * isa.unit_number("dma")
    head = words.get(C.CLOCK)
    own = words.get(_plus(b, at, int(U.FREE)))
    shared = b.op(f"and i1 {_test(b, 'ne', '%dram', 0)}, {_test(b, 'ne', at, dma)}")
    rate = _times(b, words.get(dma + U.PER_CYCLE), 4)
    moved = _plus(b, words.get(dma + U.LATENCY), ceiling(b, "%dram", rate))
    duration = b.select(shared, "i64", _max(b, "%cycles", moved), "%cycles")
    free = b.select(shared, "i64", _max(b, own, words.get(dma + U.FREE)), own)
    opened = _max(b, head, free)
    start = _max(b, opened, "%ready")
    end = _plus(b, start, duration)
    words.add(C.STALL_UNIT, _minus(b, opened, head))
    words.add(C.STALL_DATA, _minus(b, start, opened))
    words.add(C.INSTRUCTIONS, "1")
    words.set(C.CLOCK, _plus(b, start, 1))
    words.set(C.END, _max(b, words.get(C.END), end))
    arguments = f"i64 {head}, i64 {start}"
    b.do(f"call void @occupy(ptr %C, i64 {at}, {arguments}, i64 %cycles, i64 {duration})")
    b.when(
        shared,
        lambda: b.do(
            f"call void @occupy(ptr %C, i64 {dma}, {arguments}, i64 {moved}, i64 {duration})"
        ),
    )
    waited = b.select(_test(b, "sgt", opened, head), "i64", "1", "0")
    cause = b.select(_test(b, "sgt", start, opened), "i64", "2", waited)
    traced = words.get(C.TRACED)

    def heat() -> None:
        pes = words.get(layout.array + P.PES)
        first = _times(b, traced, pes)
        target = b.op(f"inttoptr i64 {words.get(C.HEAT)} to ptr")

        def element(p: str) -> tuple[()]:
            now, then = words.get(_plus(b, p, layout.busy)), words.get(_plus(b, p, layout.before))
            b.store("i64", _minus(b, now, then), target, _plus(b, first, p), 8)
            return ()

        b.loop(pes, element)

    def note() -> None:
        trace = b.op(f"inttoptr i64 {words.get(C.TRACE)} to ptr")
        first = _times(b, traced, TRACE_WORDS)
        for k, value in enumerate(("%pc", "%unit", head, start, end, cause)):
            b.store("i64", value, trace, _plus(b, first, k), 8)
        array = next(k for k, unit in enumerate(isa.units) if unit.model == "array")
        wanted = _test(b, "ne", words.get(C.HEAT), 0)
        here = _test(b, "eq", "%unit", array)
        b.when(b.op(f"and i1 {wanted}, {here}"), heat)

    b.when(_test(b, "slt", traced, words.get(C.TRACE_LIMIT)), note)
    words.set(C.TRACED, _plus(b, traced, 1))
    b.do(f"ret i64 {end}")
    return b.finish()


# -- scoreboard ------------------------------------------------------------------------------------


def _board_ready(layout: CostLayout) -> str:
    """The cycle in which the bytes [lo, hi) are settled for a reader or a writer."""
    b = Builder("define internal i64 @board_ready(ptr %C, i64 %lo, i64 %hi, i1 %writes)")
    words = _Words(b)

    def turn(k: str, latest: str) -> tuple[str]:
        at = _plus(b, b.op(f"shl i64 {k}, 2"), layout.board)
        low, high = words.get(at), words.get(_plus(b, at, 1))
        time, written = words.get(_plus(b, at, 2)), words.get(_plus(b, at, 3))
        meet = b.op(f"and i1 {_test(b, 'slt', '%lo', high)}, {_test(b, 'slt', low, '%hi')}")
        matters = b.op(f"or i1 %writes, {_test(b, 'ne', written, 0)}")
        counted = b.op(f"and i1 {meet}, {matters}")
        return (_max(b, latest, b.select(counted, "i64", time, "0")),)

    result = b.loop(words.get(C.BOARD), turn, [("i64", "0")])[0]
    b.do(f"ret i64 {result}")
    return b.finish()


def _board_keep(layout: CostLayout) -> str:
    """Forget what is settled by a cycle."""
    b = Builder("define internal void @board_keep(ptr %C, i64 %clock)")
    words = _Words(b)

    def turn(k: str, kept: str) -> tuple[str]:
        source = _plus(b, b.op(f"shl i64 {k}, 2"), layout.board)
        target = _plus(b, b.op(f"shl i64 {kept}, 2"), layout.board)
        for word in range(4):
            words.set(_plus(b, target, word), words.get(_plus(b, source, word)))
        open_ = _test(b, "sgt", words.get(_plus(b, source, 2)), "%clock")
        return (_plus(b, kept, b.op(f"zext i1 {open_} to i64")),)

    words.set(C.BOARD, b.loop(words.get(C.BOARD), turn, [("i64", "0")])[0])
    b.do("ret void")
    return b.finish()


def _board_note(layout: CostLayout) -> str:
    """Put the bytes [lo, hi) on the scoreboard."""
    b = Builder("define internal void @board_note(ptr %C, i64 %lo, i64 %hi, i64 %end, i1 %writes)")
    words = _Words(b)

    def make_room() -> None:
        b.do(f"call void @board_keep(ptr %C, i64 {words.get(C.CLOCK)})")

    def put() -> None:
        b.when(_test(b, "eq", words.get(C.BOARD), INTERVALS), make_room)
        count = words.get(C.BOARD)
        at = _plus(b, b.op(f"shl i64 {count}, 2"), layout.board)
        for k, value in enumerate(("%lo", "%hi", "%end", b.op("zext i1 %writes to i64"))):
            words.set(_plus(b, at, k), value)
        words.set(C.BOARD, _plus(b, count, 1))

    b.when(_test(b, "slt", "%lo", "%hi"), put)
    b.do("ret void")
    return b.finish()


# -- the array -------------------------------------------------------------------------------------


def _array_start(layout: CostLayout) -> str:
    b = Builder("define internal void @array_start(ptr %C)")
    words = _Words(b)
    for word in (C.STEPS, C.PADDING, C.BROADCAST, C.SLOT):
        words.set(word, "0")
    pes = words.get(layout.array + P.PES)

    def clear(p: str) -> tuple[()]:
        words.set(_plus(b, p, layout.done), "0")
        words.set(_plus(b, p, layout.before), words.get(_plus(b, p, layout.busy)))
        return ()

    b.loop(pes, clear)
    b.do("ret void")
    return b.finish()


def _broadcast(b: Builder, words: _Words, layout: CostLayout, steps: str, before: str) -> str:
    """Cycle in which a step is broadcast."""
    issue = b.select(_test(b, "eq", steps, 0), "i64", "0", words.get(layout.array + P.ISSUE))
    earliest = _plus(b, before, issue)
    fifo = words.get(layout.array + P.FIFO)
    full = b.op(f"and i1 {_test(b, 'sle', fifo, RING)}, {_test(b, 'sge', steps, fifo)}")
    place = b.op(f"and i64 {_minus(b, steps, fifo)}, {RING - 1}")
    slot = words.get(_plus(b, place, layout.ring))
    return b.select(full, "i64", _max(b, earliest, slot), earliest)


def _work(b: Builder, words: _Words, layout: CostLayout, entries: str) -> str:
    """Cycles of an element for so many entries."""
    some = ceiling(b, entries, words.get(layout.array + P.LANES))
    return b.select(_test(b, "eq", entries, 0), "i64", words.get(layout.array + P.EMPTY), some)


def _array_step(layout: CostLayout) -> str:
    """A step with the entries that the state lists."""
    b = Builder("define internal void @array_step(ptr %C)")
    words = _Words(b)
    steps = words.get(C.STEPS)
    broadcast = _broadcast(b, words, layout, steps, words.get(C.BROADCAST))
    words.set(C.BROADCAST, broadcast)

    def element(p: str, latest: str) -> tuple[str]:
        at = _plus(b, p, layout.done)
        before = words.get(at)
        begin = _max(b, before, broadcast)
        work = _work(b, words, layout, words.get(_plus(b, p, layout.entries)))
        words.add(_plus(b, p, layout.starved), _minus(b, begin, before))
        words.add(_plus(b, p, layout.busy), work)
        done = _plus(b, begin, work)
        words.set(at, done)
        return (_max(b, latest, done),)

    slot = b.loop(words.get(layout.array + P.PES), element, [("i64", "0")])[0]
    words.set(_plus(b, b.op(f"and i64 {steps}, {RING - 1}"), layout.ring), slot)
    words.set(C.SLOT, slot)
    words.set(C.STEPS, _plus(b, steps, 1))
    b.do("ret void")
    return b.finish()


def _array_column(layout: CostLayout) -> str:
    """A step with `weight` entries on each of `count` ascending rows."""
    b = Builder("define internal void @array_column(ptr %C, ptr %rows, i64 %count, i64 %weight)")
    words = _Words(b)
    pes = words.get(layout.array + P.PES)
    bits = words.get(layout.array + P.INDEX_BITS)
    relative = _test(b, "ne", bits, 0)
    divisor = b.op(f"trunc i64 {pes} to i32")

    def clear(p: str) -> tuple[()]:
        words.set(_plus(b, p, layout.entries), "0")
        words.set(_plus(b, p, layout.last), "-1")
        return ()

    b.loop(pes, clear)

    def entry(e: str, padding: str) -> tuple[str]:
        row = b.load("i32", "%rows", e, 4)
        local = b.op(f"zext i32 {b.op(f'udiv i32 {row}, {divisor}')} to i64")
        p = b.op(f"zext i32 {b.op(f'urem i32 {row}, {divisor}')} to i64")
        at = _plus(b, p, layout.last)
        gap = _minus(b, _minus(b, local, words.get(at)), 1)
        pad = b.select(relative, "i64", b.op(f"lshr i64 {gap}, {bits}"), "0")
        words.set(at, local)
        words.add(_plus(b, p, layout.entries), _plus(b, pad, "%weight"))
        return (_plus(b, padding, pad),)

    padding = b.loop("%count", entry, [("i64", "0")])[0]
    words.add(C.PADDING, padding)
    b.do("call void @array_step(ptr %C)")
    b.do("ret void")
    return b.finish()


def _array_uniform(layout: CostLayout) -> str:
    """So many steps, each with an entry on every one of `rows` rows.

    The elements with one row more are alike, and so are the others: two stand for all.
    """
    b = Builder("define internal void @array_uniform(ptr %C, i64 %steps, i64 %rows)")
    words = _Words(b)
    pes = words.get(layout.array + P.PES)
    each, more = b.op(f"udiv i64 %rows, {pes}"), b.op(f"urem i64 %rows, {pes}")
    work = [_work(b, words, layout, _plus(b, each, 1)), _work(b, words, layout, each)]
    any_more = _test(b, "ne", more, 0)

    def step(k: str, broadcast: str, *state: str) -> tuple[str, ...]:
        at = _broadcast(b, words, layout, k, broadcast)
        after: list[str] = []
        for kind in range(2):
            done, starved = state[2 * kind], state[2 * kind + 1]
            begin = _max(b, done, at)
            after += [_plus(b, begin, work[kind]), _plus(b, starved, _minus(b, begin, done))]
        slot = b.select(any_more, "i64", _max(b, after[0], after[2]), after[2])
        words.set(_plus(b, b.op(f"and i64 {k}, {RING - 1}"), layout.ring), slot)
        words.set(C.SLOT, slot)
        return (at, *after)

    found = b.loop("%steps", step, [("i64", "0")] * 5)
    words.set(C.STEPS, "%steps")

    def element(p: str) -> tuple[()]:
        first = _test(b, "slt", p, more)
        words.add(_plus(b, p, layout.starved), b.select(first, "i64", found[2], found[4]))
        one = b.select(first, "i64", work[0], work[1])
        words.add(_plus(b, p, layout.busy), _times(b, one, "%steps"))
        return ()

    b.loop(pes, element)
    b.do("ret void")
    return b.finish()


def _array_finish(isa: Isa, layout: CostLayout) -> str:
    """Cycles of the operation, its counts added."""
    b = Builder("define internal i64 @array_finish(ptr %C)")
    words = _Words(b)
    names = counter_names(isa.actions, isa.spaces)
    pes = words.get(layout.array + P.PES)
    steps = words.get(C.STEPS)
    last = b.select(_test(b, "eq", steps, 0), "i64", "0", words.get(C.SLOT))
    cycles = _plus(b, last, words.get(layout.array + P.DRAIN))
    for name, value in (
        ("padding", words.get(C.PADDING)),
        ("hop", _times(b, steps, pes)),
        ("pe_cycle", _times(b, cycles, pes)),
    ):
        words.add(layout.counters + names.index(name), value)
    b.do(f"ret i64 {cycles}")
    return b.finish()


def _array_matrix(layout: CostLayout) -> str:
    """The array alone: the listed columns of a pattern, as `ev.mv` gives them to it; its cycles."""
    b = Builder(
        "define i64 @array_columns(ptr %C, ptr %pointers, ptr %rows, ptr %listed, i64 %count)"
    )
    b.do("call void @array_start(ptr %C)")

    def step(k: str) -> tuple[()]:
        column = b.op(f"sext i32 {b.load('i32', '%listed', k, 4)} to i64")
        first = b.op(f"sext i32 {b.load('i32', '%pointers', column, 4)} to i64")
        after = b.op(f"sext i32 {b.load('i32', '%pointers', _plus(b, column, 1), 4)} to i64")
        at = b.op(f"getelementptr i32, ptr %rows, i64 {first}")
        count = _minus(b, after, first)
        b.do(f"call void @array_column(ptr %C, ptr {at}, i64 {count}, i64 1)")
        return ()

    b.loop("%count", step)
    b.do(f"ret i64 {b.op('call i64 @array_finish(ptr %C)')}")
    return b.finish()


def cost_support_text(isa: Isa, layout: CostLayout) -> str:
    """All functions of the cost model that instructions share."""
    return "\n".join(
        (
            _occupy(),
            _issue(isa, layout),
            _board_ready(layout),
            _board_keep(layout),
            _board_note(layout),
            _array_start(layout),
            _array_step(layout),
            _array_column(layout),
            _array_uniform(layout),
            _array_finish(isa, layout),
            _array_matrix(layout),
        )
    )
