"""Convolutions and pools: two spatial axes without dilation by instructions, everything else by
loops over outputs and window positions."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from dlc.isa.builder import Label
from dlc.memory.form import Tensor, View, row_major
from dlc.ops.reduce import identity
from dlc.targets.sparrow.body import Body, Window
from dlc.targets.sparrow.code import ZERO, Flt, Int, Scalar
from dlc.targets.sparrow.events import whole
from dlc.targets.sparrow.room import Room
from dlc.targets.sparrow.scalars import compute, rounded
from dlc.targets.sparrow.tensors.elements import Elements, product
from dlc.targets.sparrow.tensors.movement import copy_window, fill_window
from dlc.typesys.dims import ONE, Dim
from dlc.typesys.dtypes import F32, DType

BYTE = 256
WORTH = 128
"""Products that an active element must lead to before its list pays: fewer leave most processing
elements idle, while the dense instruction keeps all of them busy."""


@dataclass(frozen=True)
class Geometry:
    """Spatial sizes of input, window and output, and how a window is placed."""

    input: tuple[Dim, ...]
    window: tuple[Dim, ...]
    output: tuple[Dim, ...]
    strides: tuple[int, ...]
    low: tuple[int, ...]
    dilations: tuple[int, ...]

    @property
    def fits_instruction(self) -> bool:
        """Whether `conv` and its transposes take it, with a first axis of size 1 if it has one."""
        small = all(n < BYTE for n in (*self.strides, *self.low))
        return len(self.input) <= 2 and small and all(n == 1 for n in self.dilations)


def _ints(s: Tensor, name: str, default: Sequence[int]) -> tuple[int, ...]:
    found = s.attrs.get(name) or tuple(default)
    assert isinstance(found, tuple)
    return tuple(int(str(n)) for n in found)


def _geometry(s: Tensor, x: View, window: tuple[Dim, ...], y: View) -> Geometry:
    n = len(x.shape) - 2
    return Geometry(
        x.shape[2:], window, y.shape[2:],
        _ints(s, "strides", (1,) * n), _ints(s, "pads", (0,) * (2 * n))[:n],
        _ints(s, "dilations", (1,) * n),
    )  # fmt: skip


# -- convolutions


@dataclass(frozen=True)
class _Convolution:
    """x [B, C, input], w [O, C / groups, window], y [B, O, output], dense windows; one of them is
    the result."""

    g: Geometry
    groups: int
    x: Window
    w: Window
    y: Window


_RESULT = {"conv": "y", "conv_input_grad": "x", "conv_weight_grad": "w"}
_INSTRUCTION = {"conv": "conv", "conv_input_grad": "conv.dx", "conv_weight_grad": "conv.dw"}


def emit_convolution(b: Body, s: Tensor) -> None:
    """`conv`, `conv_input_grad` and `conv_weight_grad`: the three ways to fix two of x, w, y."""
    to = s.outs[0]
    views = {
        "conv": (s.ins[0], s.ins[1], to),
        "conv_input_grad": (to, s.ins[1], s.ins[0]),
        "conv_weight_grad": (s.ins[0], to, s.ins[1]),
    }[s.op]
    x, w, y = views
    assert isinstance(x, View) and isinstance(w, View) and isinstance(y, View)
    groups = s.attrs.get("groups", 1)
    assert isinstance(groups, int) and isinstance(to, View)
    room = Room(b)
    windows = {"x": b.window(x), "w": b.window(w), "y": b.window(y)}
    result = _RESULT[s.op]
    out = windows[result]
    if to.dtype != F32:
        windows[result] = room.take(F32, to.shape)
        if s.accumulate:
            copy_window(b, windows[result], out)
    if not s.accumulate:
        fill_window(b, windows[result], b.c.real(0.0))
    conv = _Convolution(_geometry(s, x, w.shape[2:], y), groups, **windows)
    if conv.g.fits_instruction:
        listed = s.op == "conv" and not b.unit.options.dense and _is_sparse(b, x)
        _by_instruction(b, s.op, conv, listed)
    else:
        _by_loops(b, result, conv)
    if to.dtype != F32:
        copy_window(b, out, windows[result])
    room.give_back()


def _plane(w: Window, at: Int, lead: tuple[Dim, ...], spatial: tuple[Dim, ...]) -> Window:
    """Dense [lead, rows, columns] at an address; one spatial axis is a row."""
    shape = (*lead, *((ONE,) * (2 - len(spatial))), *spatial)
    return Window(w.space, w.dtype, at, shape, row_major(shape))


def _step(b: Body, w: Window, at: Int, i: Int, size: Dim) -> Int:
    """`at` moved by i parts of `size` elements."""
    d = b.c.int()
    with b.c.scope():
        b.c.add(at, b.c.mul(i, b.dim(size * w.dtype.bytes)), d)
    return d


def _is_sparse(b: Body, x: View) -> bool:
    """Whether the input is a rectified image that is not so large that a channel's events may not
    fit a queue."""
    flat = whole(x)
    plane = product(x.shape[2:])
    small = plane.is_constant and plane.constant <= b.unit.options.queue
    return small and flat is not None and b.events.sparse.get(flat) is not None


def _by_instruction(b: Body, op: str, k: _Convolution, listed: bool = False) -> None:
    """One instruction for each group of each sample; `listed`: for each channel, by its events."""
    c, g = b.c, k.g
    channels, outputs = k.w.shape[1], k.y.shape[1] // k.groups
    image, plane = product(g.input), product(g.output)
    sy, sx = ((1,) * (2 - len(g.strides)) + g.strides)[-2:]
    py, px = ((0,) * (2 - len(g.low)) + g.low)[-2:]
    with c.count(b.dim(k.x.shape[0])) as sample, c.count(c.number(k.groups)) as group, c.scope():
        x_at = _step(b, k.x, k.x.address, sample, k.x.shape[1] * image)
        x_at = _step(b, k.x, x_at, group, channels * image)
        y_at = _step(b, k.y, k.y.address, sample, k.y.shape[1] * plane)
        y_at = _step(b, k.y, y_at, group, outputs * plane)
        w_at = _step(b, k.w, k.w.address, group, outputs * channels * product(g.window))
        at, numbers = (x_at, w_at, y_at), (sy, sx, py, px)
        few, done = c.label(), c.label()
        if listed:
            with c.scope():
                rows = b.dim(outputs * product(g.window))
                c.branch("blt", rows, c.number(WORTH), few)
            with c.scope():
                _by_events(b, k, at, numbers)
            c.jump(done)
        c.place(few)
        _whole_planes(b, op, k, at, numbers)
        c.place(done)


def _whole_planes(
    b: Body,
    op: str,
    k: _Convolution,
    at: tuple[Int, Int, Int],
    numbers: tuple[int, int, int, int],
) -> None:
    """One instruction."""
    g = k.g
    channels, outputs = k.w.shape[1], k.y.shape[1] // k.groups
    x_at, w_at, y_at = at
    sy, sx, py, px = numbers
    with b.c.scope():
        x = b.describe(_plane(k.x, x_at, (channels,), g.input)).number
        w = b.describe(_plane(k.w, w_at, (outputs, channels), g.window)).number
        y = b.describe(_plane(k.y, y_at, (outputs,), g.output)).number
        orders = {"conv": (y, x, w), "conv_input_grad": (x, y, w), "conv_weight_grad": (w, x, y)}
        d, a, e = orders[op]
        b.c.emit(_INSTRUCTION[op], d=d, a=a, b=e, sy=sy, sx=sx, py=py, px=px)


def _by_events(
    b: Body, k: _Convolution, at: tuple[Int, Int, Int], numbers: tuple[int, int, int, int]
) -> None:
    """Channel by channel: the list of its active elements, and what each adds to the output. Every
    output element is added up in the order of the dense instruction."""
    c, g = b.c, k.g
    x_at, w_at, y_at = at
    sy, sx, py, px = numbers
    channels, outputs = k.w.shape[1], k.y.shape[1] // k.groups
    image, window = product(g.input), product(g.window)
    y = b.describe(_plane(k.y, y_at, (outputs,), g.output)).number
    zero = c.real(0.0).number
    with c.count(b.dim(channels)) as ch, c.scope():
        plane = _plane(k.x, _step(b, k.x, x_at, ch, image), (ONE,), g.input)
        x = b.describe(plane).number
        w = _plane(k.w, _step(b, k.w, w_at, ch, window), (outputs, ONE), g.window)
        t = b.describe(replace(w, strides=(channels * window, *w.strides[1:]))).number
        queue = b.events.spare()
        c.emit("ev.nz", q=queue, a=x, b=zero)
        c.emit("ev.conv", d=y, a=x, b=t, c=queue, sy=sy, sx=sx, py=py, px=px)


def _by_loops(b: Body, result: str, k: _Convolution) -> None:
    """`result += product of the other two` for every output, channel and window position that
    lies inside."""
    c, g = b.c, k.g
    x, w, y = Elements(b, k.x), Elements(b, k.w), Elements(b, k.y)
    channels, outputs = k.w.shape[1], k.y.shape[1] // k.groups
    batch, per_group, inner = (_copy(b, d) for d in (k.x.shape[0], outputs, channels))
    places, positions = _copy(b, product(g.output)), _copy(b, product(g.window))
    with c.count(batch) as n, c.count(c.number(k.groups)) as group, c.count(per_group) as o:
        channel = c.row_major(group, per_group, o)
        y_line = c.row_major(n, b.dim(k.y.shape[1]), channel)
        with c.count(inner) as ch:
            w_line = c.row_major(channel, inner, ch)
            x_line = c.row_major(group, inner, ch)
            with c.scope():
                c.add(c.mul(n, b.dim(k.x.shape[1])), x_line, x_line)
                c.mul(x_line, b.dim(product(g.input)), x_line)
            with c.count(places) as p, c.count(positions) as q:
                over = c.label()
                x_at = c.add(x_line, _place(b, g, p, q, over))
                w_at = c.row_major(w_line, positions, q)
                y_at = c.row_major(y_line, places, p)
                pairs = {"x": (x, x_at), "w": (w, w_at), "y": (y, y_at)}
                to, at = pairs.pop(result)
                u, v = (e.read(i) for e, i in pairs.values())
                term = compute(b, "mul", [u, v], F32, F32)
                to.write(at, compute(b, "add", [to.read(at), term], F32, F32))
                c.place(over)


def _copy(b: Body, d: Dim) -> Int:
    """A dim in a register of its own."""
    to = b.c.int()
    with b.c.scope():
        b.c.move(to, b.dim(d))
    return to


def _digit(b: Body, rest: Int, size: Dim) -> Int:
    """rest mod size; rest := rest / size."""
    c = b.c
    d = c.int()
    with c.scope():
        n = b.dim(size)
        c.op("rem", rest, n, d)
        c.op("div", rest, n, rest)
    return d


def _place(b: Body, g: Geometry, output: Int, position: Int, over: Label) -> Int:
    """The number of the input's element that an output sees at a window position, both counted in
    row-major order; jumps to `over` where it lies outside."""
    c = b.c
    found = c.int()
    with c.scope():
        rest, left, step = c.int(), c.int(), c.int()
        c.move(rest, output)
        c.move(left, position)
        c.set(step, 1)
        c.set(found, 0)
        for axis in reversed(range(len(g.input))):
            with c.scope():
                place = _digit(b, rest, g.output[axis])
                c.addi(c.times(place, g.strides[axis], place), -g.low[axis], place)
                with c.scope():
                    k = _digit(b, left, g.window[axis])
                    c.add(place, c.times(k, g.dilations[axis], k), place)
                n = b.dim(g.input[axis])
                c.branch("blt", place, ZERO, over)
                c.branch("bge", place, n, over)
                c.add(found, c.mul(place, step), found)
                c.mul(step, n, step)
    return found


# -- pools


def emit_pool(b: Body, s: Tensor) -> None:
    x, to = s.ins[0], s.outs[0]
    assert isinstance(x, View) and isinstance(to, View)
    size = _ints(s, "size", ())
    g = _geometry(s, x, tuple(map(Dim.const, size)), to)
    kind = str(s.attrs["kind"])
    numbers = (*size, *g.strides)
    plain = not any(_ints(s, "pads", (0,))) and max(numbers) < BYTE and g.fits_instruction
    if plain and to.dtype == F32:
        lead = x.shape[0] * x.shape[1]
        w, out = b.window(x), b.window(to)
        d = b.describe(_plane(out, out.address, (lead,), g.output)).number
        a = b.describe(_plane(w, w.address, (lead,), g.input)).number
        ky, kx = ((1,) * (2 - len(size)) + size)[-2:]
        sy, sx = ((1,) * (2 - len(size)) + g.strides)[-2:]
        fn = b.c.builder.member("window", kind)
        b.c.emit("pool", d=d, a=a, fn=fn, ky=ky, kx=kx, sy=sy, sx=sx)
        return
    _Pool(b, s, g, x, x, to).forward()


def emit_pool_grad(b: Body, s: Tensor) -> None:
    x, dy, dx = s.ins[0], s.ins[1], s.outs[0]
    assert isinstance(x, View) and isinstance(dy, View) and isinstance(dx, View)
    g = _geometry(s, x, tuple(map(Dim.const, _ints(s, "size", ()))), dy)
    if not s.accumulate:
        fill_window(b, b.window(dx), b.immediate(0, dx.dtype))
    _Pool(b, s, g, x, dx, dy).backward()


class _Pool:
    """One output after the other: the window is walked once, or twice for the winner's place."""

    def __init__(self, b: Body, s: Tensor, g: Geometry, x: View, dx: View, y: View) -> None:
        self.b, self.c, self.g = b, b.c, g
        self.kind = str(s.attrs["kind"])
        self.counted = s.attrs.get("count_pad") is True
        self.dtype: DType = x.dtype
        self.x, self.dx, self.y = Elements(b, x), Elements(b, dx), Elements(b, y)
        self.planes = x.shape[0] * x.shape[1]

    def forward(self) -> None:
        c = self.c
        wide = F32 if self.dtype.is_float else self.dtype
        with self._outputs() as (plane, place, at):
            total: Scalar = c.flt() if wide.is_float else c.int()
            count = c.int()
            c.set(count, 0)
            first = 0.0 if self.kind == "mean" else identity("max", self.dtype)
            c.copy(total, self.b.immediate(first, wide))
            with self._window(plane, place) as i:
                step = "add" if self.kind == "mean" else "max"
                c.copy(total, compute(self.b, step, [total, self.x.read(i)], wide, wide))
                c.addi(count, 1, count)
            if self.kind == "mean" and isinstance(total, Flt):
                c.fop("fdiv", total, self._divisor(count), total)
            self.y.write(at, rounded(c, total, self.dtype) if isinstance(total, Flt) else total)

    def _divisor(self, count: Int) -> Flt:
        c = self.c
        n = product(self.g.window).constant
        y = c.flt()
        whole = c.number(n) if self.counted else c.greatest(count, c.number(1))
        c.emit("i2f", d=y.number, a=whole.number)
        return y

    def backward(self) -> None:
        c = self.c
        with self._outputs() as (plane, place, at):
            dy = self.y.read(at)
            if self.kind == "mean":
                count = c.int()
                c.set(count, 0)
                with self._window(plane, place):
                    c.addi(count, 1, count)
                assert isinstance(dy, Flt)
                share = c.fop("fdiv", dy, self._divisor(count))
                with self._window(plane, place) as i:
                    self._add(i, share)
            else:
                best = self._winner(plane, place)
                with c.unless("blt", best, ZERO):
                    self._add(best, dy)

    def _winner(self, plane: Int, place: Int) -> Int:
        """The first element that is largest, NaN above all; -1 if the window has no element."""
        b, c = self.b, self.c
        best = c.int()
        c.set(best, -1)
        value: Scalar = c.flt() if self.dtype.is_float else c.int()
        with self._window(plane, place) as i, c.scope():
            x = self.x.read(i)
            take, over = c.label(), c.label()
            c.branch("blt", best, ZERO, take)
            more = compute(b, "gt", [x, value], self.dtype, self.dtype)
            assert isinstance(more, Int)
            if isinstance(x, Flt) and isinstance(value, Flt):
                nan = c.negate_bool(c.compare("feq", x, x))
                more = c.op("or", more, c.op("and", nan, c.compare("feq", value, value)))
            c.branch("beq", more, ZERO, over)
            c.place(take)
            c.move(best, i)
            c.copy(value, x)
            c.place(over)
        return best

    def _add(self, i: Int, x: Scalar) -> None:
        with self.c.scope():
            terms = [self.dx.read(i), x]
            self.dx.write(i, compute(self.b, "add", terms, self.dtype, self.dtype))

    @contextmanager
    def _outputs(self) -> Generator[tuple[Int, Int, Int]]:
        """Loops over planes and outputs: the first element of the plane, the output's number in
        it, and in all."""
        b, c = self.b, self.c
        total, planes = _copy(b, product(self.g.output)), _copy(b, self.planes)
        with c.count(planes) as plane, c.count(total) as place, c.scope():
            at = c.row_major(plane, total, place)
            yield c.mul(plane, b.dim(product(self.g.input))), place, at

    @contextmanager
    def _window(self, plane: Int, place: Int) -> Generator[Int]:
        """Loops over the elements of one window that lie inside the input."""
        b, c = self.b, self.c
        with c.scope(), c.count(_copy(b, product(self.g.window))) as k:
            over = c.label()
            yield c.add(plane, _place(b, self.g, place, k, over))
            c.place(over)
