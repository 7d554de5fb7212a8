"""`random_bits`, `random_uniform`, `key_split`: `rand` draws the language's bits."""

from __future__ import annotations

from dlc.memory.form import Tensor, View
from dlc.ops.random_bits import SPLIT_WORD
from dlc.targets.sparrow.body import Body, Window
from dlc.targets.sparrow.code import Int
from dlc.targets.sparrow.room import Room
from dlc.targets.sparrow.tensors.elements import Elements, product
from dlc.targets.sparrow.tensors.movement import cell, delivered, destination
from dlc.typesys.dims import ONE, ZERO, Dim
from dlc.typesys.dtypes import I32, I64


def emit_random(b: Body, s: Tensor) -> None:
    """`uniform` is the upper 24 bits of an element over 2**24."""
    to = s.outs[0]
    c = b.c
    key = _key(b, s)
    room = Room(b)
    shape = to.shape if isinstance(to, View) else ()
    n = product(shape)
    if isinstance(to, View) and s.op == "random_bits":
        bits = Window("DRAM", I32, b.window(to).address, (n,), (ONE,))
    else:
        bits = room.take(I32, (n,))
    t = b.describe(bits).number
    c.emit("rand", d=t, a=key.number, v=0)
    if s.op == "random_uniform":
        _uniform(b, s, bits)
    elif not isinstance(to, View):
        b.put(to, Elements(b, bits).read(c.number(0)))
    room.give_back()


def _uniform(b: Body, s: Tensor, bits: Window) -> None:
    """The upper 24 bits: rounded down to multiples of 2**8, then without the sign."""
    c = b.c
    t = b.describe(bits).number
    (n,) = bits.shape
    for k, (fn, x) in enumerate((("div", 256), ("and", 0xFFFFFF))):
        with c.scope():
            one = cell(b, k, I32)
            b.store_in("SP", I32, one.address, c.number(x))
            u = b.describe(Window("SP", I32, one.address, (n,), (ZERO,))).number
            c.emit("ew.int", d=t, a=t, b=u, fn=c.builder.member("integral", fn))
    to = s.outs[0]
    w = destination(b, to, 2)
    flat = Window(w.space, w.dtype, w.address, (n,), (ONE,))
    c.emit("dequant", d=b.describe(flat).number, a=t, b=c.real(2.0**-24).number)
    delivered(b, to, 2)


def _key(b: Body, s: Tensor) -> Int:
    key = s.ins[0]
    x = b.load_at(I64, b.address(key)) if isinstance(key, View) else b.scalar(key, I64)
    assert isinstance(x, Int)
    return x


def emit_split(b: Body, s: Tensor) -> None:
    """Two keys, each from the two words of one counter that no draw reaches."""
    c = b.c
    key = _key(b, s)
    room = Room(b)
    words = room.take(I64, (Dim.const(2),))
    t = b.describe(Window("DRAM", I32, words.address, (Dim.const(4),), (ONE,))).number
    c.emit("rand", d=t, a=key.number, v=SPLIT_WORD - (1 << 32))
    for k, to in enumerate(s.outs):
        with c.scope():
            x = c.int()
            c.emit("ld", d=x.number, a=words.address.number, k=8 * k)
            Elements(b, to).write(c.number(0), x)
    room.give_back()
