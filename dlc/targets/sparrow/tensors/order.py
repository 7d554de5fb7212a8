"""Running sums, order and search along an axis."""

from __future__ import annotations

from dlc.memory.form import Tensor, View
from dlc.targets.sparrow.body import Body, Window
from dlc.targets.sparrow.code import ZERO, Flt, Int, Scalar
from dlc.targets.sparrow.room import Room
from dlc.targets.sparrow.scalars import compute
from dlc.targets.sparrow.tensors.elements import Elements, around, product
from dlc.targets.sparrow.tensors.gather import axis_of, part
from dlc.typesys.dims import ONE, Dim
from dlc.typesys.dtypes import F32, I32, DType


def _view(s: Tensor) -> View:
    x = s.ins[0]
    assert isinstance(x, View)
    return x


def line(b: Body, w: Window, p: Int, q: Int, n: Dim, behind: Dim) -> Window:
    """Line (p, q) of a dense tensor [before, n, behind]."""
    c = b.c
    with c.scope():
        start = c.row_major(p, b.dim(n * behind), q)
        at = c.add(w.address, c.times(start, w.dtype.bytes))
    return Window(w.space, w.dtype, c.hold(at), (n,), (behind,))


def emit_extreme(b: Body, s: Tensor) -> None:
    """`argmax`, `argmin`: status `bounds` if there is nothing to choose from."""
    c = b.c
    x = _view(s)
    p, n, q = around(x.shape, axis_of(s))
    length = b.dim(n)
    if s.attrs.get("in_bounds") is not True and not n.never_zero():
        b.check(c.op("slt", ZERO, length), "bounds", f"`{s.op}` of nothing", 0, 1, s.loc)
    room = Room(b)
    w = b.window(x)
    if x.dtype.is_float and s.op == "argmin":
        w = _negated(b, w, room)
    out = Elements(b, s.outs[0])
    with c.count(b.dim(p)) as i, c.count(b.dim(q)) as j, c.scope():
        row = line(b, w, i, j, n, q)
        best = c.int()
        if x.dtype.is_float:
            c.emit("argmax", d=best.number, a=b.describe(row).number)
        else:
            _best(b, Elements(b, row), length, best, s.op == "argmin")
        out.write(c.row_major(i, b.dim(q), j), best)
    room.give_back()


def _negated(b: Body, w: Window, room: Room) -> Window:
    size = product(w.shape)
    flat = Window(w.space, w.dtype, w.address, (size,), (ONE,))
    made = room.take(w.dtype, (size,))
    fn = b.c.builder.member("unary", "neg")
    b.c.emit("ew.un", d=b.describe(made).number, a=b.describe(flat).number, fn=fn)
    return made


def _best(b: Body, row: Elements, n: Int, best: Int, least: bool) -> None:
    c = b.c
    c.set(best, 0)
    with c.count(n) as i, c.scope():
        x, y = row.read_int(best), row.read_int(i)
        better = c.op("slt", y, x) if least else c.op("slt", x, y)
        with c.unless("beq", better, ZERO):
            c.move(best, i)


def emit_cumsum(b: Body, s: Tensor) -> None:
    c = b.c
    x, to = _view(s), s.outs[0]
    assert isinstance(to, View)
    p, n, q = around(x.shape, axis_of(s))
    backward, exclusive = s.attrs.get("reverse") is True, s.attrs.get("exclusive") is True
    source, out = b.window(x), b.window(to)
    if to.dtype == F32 and not backward and not exclusive:
        with c.count(b.dim(p)) as i, c.scope():
            d = b.describe(part(b, out, i, n * q, (n, q))).number
            c.emit("cumsum", d=d, a=b.describe(part(b, source, i, n * q, (n, q))).number)
        return
    with c.count(b.dim(p)) as i, c.count(b.dim(q)) as j, c.scope():
        values = Elements(b, line(b, source, i, j, n, q))
        sums = Elements(b, line(b, out, i, j, n, q))
        total: Scalar = c.flt() if to.dtype.is_float else c.int()
        c.copy(total, b.immediate(0, to.dtype))
        with c.count(b.dim(n)) as k, c.scope():
            at = c.addi(c.sub(b.dim(n), k), -1) if backward else k
            wide = F32 if to.dtype.is_float else to.dtype
            after = compute(b, "add", [total, values.read(at)], wide, wide)
            sums.write(at, total if exclusive else after)
            c.copy(total, after)


# -- sorting


def _before(b: Body, x: Scalar, y: Scalar, descending: bool) -> Int:
    """1 where x comes strictly before y: NaN last."""
    c = b.c
    if isinstance(x, Flt) and isinstance(y, Flt):
        less = c.compare("flt", y, x) if descending else c.compare("flt", x, y)
        a_number = c.compare("feq", x, x)
        y_nan = c.negate_bool(c.compare("feq", y, y))
        return c.op("or", less, c.op("and", a_number, y_nan))
    assert isinstance(x, Int) and isinstance(y, Int)
    return c.op("slt", y, x) if descending else c.op("slt", x, y)


Pair = tuple[Elements, Elements]
"""Values and places of a line."""


def sort_line(b: Body, now: Pair, spare: Pair, n: Int, descending: bool) -> None:
    """Sorts in place, stable: merges runs of 1, 2, 4, … elements into the spare line and copies
    them back."""
    c = b.c
    with c.scope():
        width = c.int()
        c.set(width, 1)
        head, done = c.label(), c.label()
        c.place(head)
        c.branch("bge", width, n, done)
        lo = c.int()
        c.set(lo, 0)
        runs, end = c.label(), c.label()
        c.place(runs)
        c.branch("bge", lo, n, end)
        with c.scope():
            mid = c.least(c.add(lo, width), n)
            hi = c.least(c.add(mid, width), n)
            _merge(b, now, spare, (lo, mid, hi), descending)
            c.move(lo, hi)
        c.jump(runs)
        c.place(end)
        with c.count(n) as i:
            for old, new in zip(spare, now, strict=True):
                with c.scope():
                    new.write(i, old.read(i))
        c.add(width, width, width)
        c.jump(head)
        c.place(done)


def _merge(b: Body, now: Pair, spare: Pair, bounds: tuple[Int, Int, Int], descending: bool) -> None:
    """Elements lo … mid - 1 and mid … hi - 1 into the spare line, the first run first."""
    c = b.c
    lo, mid, hi = bounds
    left, right = c.int(), c.int()
    c.move(left, lo)
    c.move(right, mid)
    with c.count(hi, lo) as k:
        take_right, take_left, taken = c.label(), c.label(), c.label()
        chosen = c.int()
        c.branch("bge", left, mid, take_right)
        c.branch("bge", right, hi, take_left)
        with c.scope():
            first = _before(b, now[0].read(right), now[0].read(left), descending)
            c.branch("bne", first, ZERO, take_right)
        c.place(take_left)
        c.move(chosen, left)
        c.addi(left, 1, left)
        c.jump(taken)
        c.place(take_right)
        c.move(chosen, right)
        c.addi(right, 1, right)
        c.place(taken)
        for old, new in zip(now, spare, strict=True):
            with c.scope():
                new.write(k, old.read(chosen))


def emit_sort(b: Body, s: Tensor) -> None:
    x = _view(s)
    values, places = s.outs
    assert isinstance(values, View) and isinstance(places, View)
    c = b.c
    p, n, q = around(x.shape, axis_of(s))
    w, value_at, place_at = b.window(x), b.window(values), b.window(places)
    spares = [Elements(b, v) for v in s.scratch]
    length = b.dim(n)
    with c.count(b.dim(p)) as i, c.count(b.dim(q)) as j, c.scope():
        now = (
            Elements.of(b, lambda: line(b, value_at, i, j, n, q)),
            Elements.of(b, lambda: line(b, place_at, i, j, n, q)),
        )
        with c.scope():
            _start(b, Elements(b, line(b, w, i, j, n, q)), now, length)
        descending = s.attrs.get("descending") is True
        sort_line(b, now, (spares[0], spares[1]), length, descending)


def _start(b: Body, source: Elements, now: Pair, n: Int) -> None:
    with b.c.count(n) as k:
        now[0].write(k, source.read(k))
        now[1].write(k, k)


def emit_top_k(b: Body, s: Tensor) -> None:
    """Status `bounds` if there are fewer than k."""
    x = _view(s)
    values, places = s.outs
    assert isinstance(values, View) and isinstance(places, View)
    c = b.c
    axis = axis_of(s)
    k = s.attrs["k"]
    size = Dim.of(k) if isinstance(k, (Dim, int)) else values.shape[axis]
    p, n, q = around(x.shape, axis)
    length, most = b.dim(n), b.dim(size)
    if s.attrs.get("in_bounds") is not True and not n.at_least(size):
        ok = c.negate_bool(c.op("slt", length, most))
        b.check(ok, "bounds", "the top of too few", most, length, s.loc)
    room = Room(b)
    now, spare = (_pair(b, room, x.dtype, n) for _ in range(2))
    w, value_at, place_at = b.window(x), b.window(values), b.window(places)
    with c.count(b.dim(p)) as i, c.count(b.dim(q)) as j, c.scope():
        with c.scope():
            _start(b, Elements(b, line(b, w, i, j, n, q)), now, length)
        sort_line(b, now, spare, length, True)
        with c.scope():
            out = (
                Elements(b, line(b, value_at, i, j, size, q)),
                Elements(b, line(b, place_at, i, j, size, q)),
            )
            with c.count(most) as m:
                for old, new in zip(now, out, strict=True):
                    with c.scope():
                        new.write(m, old.read(m))
    room.give_back()


def _pair(b: Body, room: Room, dtype: DType, n: Dim) -> Pair:
    values = Elements.of(b, lambda: room.take(dtype, (n,)))
    return values, Elements.of(b, lambda: room.take(I32, (n,)))


# -- searches


def emit_searchsorted(b: Body, s: Tensor) -> None:
    """By bisection; 0 for NaN."""
    table = _view(s)
    c = b.c
    x, out, rows = Elements(b, s.ins[1], table.dtype), Elements(b, s.outs[0]), Elements(b, table)
    shape = s.ins[1].shape if isinstance(s.ins[1], View) else ()
    with c.count(b.dim(product(shape))) as k:
        wanted = x.read(k)
        lo, hi = c.int(), c.int()
        c.set(lo, 0)
        c.move(hi, b.dim(table.shape[0]))
        one = c.number(1)
        head, done = c.label(), c.label()
        c.place(head)
        c.branch("bge", lo, hi, done)
        with c.scope():
            mid = c.op("sra", c.add(lo, hi), one)
            less = compute(b, "lt", [rows.read(mid), wanted], table.dtype, table.dtype)
            assert isinstance(less, Int)
            high, again = c.label(), c.label()
            c.branch("beq", less, ZERO, high)
            c.addi(mid, 1, lo)
            c.jump(again)
            c.place(high)
            c.move(hi, mid)
            c.place(again)
        c.jump(head)
        c.place(done)
        out.write(k, lo)


def emit_nonzero(b: Body, s: Tensor) -> None:
    """Defines how many there are."""
    to = s.outs[0]
    assert isinstance(to, View)
    n = b.c.int()
    mask, out = b.tensor(_view(s)).number, b.tensor(to).number
    b.c.emit("nonzero", d=n.number, b=out, a=mask)
    b.put(s.dims[0], n)
