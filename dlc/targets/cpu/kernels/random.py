"""Random numbers as `dlc.ops.random_bits` defines them: threefry2x32 over a counter.

random: key, n, out. i32: the bits; f32: `uniform`, in [0, 1).
split: key → { i64, i64 }.
"""

from __future__ import annotations

from dlc.ops.random_bits import PARITY, ROTATIONS, SPLIT_WORD
from dlc.targets.cpu.kernels.registry import Family, Key, Params
from dlc.targets.cpu.llvm import ELEMENTS, INDEX, Builder, Value
from dlc.targets.cpu.llvm.types import constant, lanes_of


def _rounds(f: Builder, key: Value, c0: Value, c1: Value) -> tuple[Value, Value]:
    """The two output words for lanes of counters."""
    lanes = lanes_of(c0.type)
    k0 = f.cast("trunc", key, "i32")
    k1 = f.cast("trunc", f.lshr(key, 32), "i32")
    k2 = f.xor(f.xor(k0, k1), PARITY)
    keys = [f.splat(k, lanes) for k in (k0, k1, k2)]
    x0, x1 = f.add(c0, keys[0]), f.add(c1, keys[1])
    for s in range(5):
        for r in ROTATIONS[s % 2]:
            x0 = f.add(x0, x1)
            turned = f.intrinsic("llvm.fshl", x1.type, x1, x1, constant(x1.type, r))
            x1 = f.xor(turned, x0)
        x0 = f.add(x0, keys[(s + 1) % 3])
        x1 = f.add(f.add(x1, keys[(s + 2) % 3]), s + 1)
    return x0, x1


def _random_params(key: Key) -> Params:
    return (("i64", "key"), (INDEX, "n"), ("ptr", "out"))


def _random(f: Builder, key: Key) -> None:
    """Pairs of elements from one counter: a vector of counters gives two vectors, interleaved."""
    seed, n, out = f.params
    scalar = ELEMENTS[key.dtype].memory
    lanes = f.module.target.lanes(4)

    def words(first: Value, lanes: int) -> tuple[Value, Value]:
        j = f.add(f.splat(first, lanes), f.lane_numbers(INDEX, lanes))
        low = f.cast("trunc", j, "i32")
        return _rounds(f, seed, low, f.cast("trunc", f.lshr(j, 32), "i32"))

    def finished(x: Value) -> Value:
        if scalar == "i32":
            return x
        return f.fmul(f.cast("uitofp", f.lshr(x, 8), "float"), 2.0**-24)

    start = f.index(0)
    if lanes > 1:
        order = [i // 2 + lanes * (i % 2) for i in range(2 * lanes)]
        with f.loop(start, f.sub(n, 2 * lanes - 1), 2 * lanes, name="vector") as loop:
            x0, x1 = words(f.lshr(loop.index, 1), lanes)
            f.store(finished(f.shuffle(x0, x1, order)), f.gep(scalar, out, loop.index))
        start = loop.index
    with f.loop(start, n, 2, name="pair") as last:
        x0, x1 = words(f.lshr(last.index, 1), 1)
        f.store(finished(x0), f.gep(scalar, out, last.index))
        second = f.add(last.index, 1)
        with f.when(f.icmp("slt", second, n)):
            f.store(finished(x1), f.gep(scalar, out, second))


def _split_params(key: Key) -> Params:
    return (("i64", "key"),)


def _split_result(key: Key) -> str:
    return "{ i64, i64 }"


def _split(f: Builder, key: Key) -> None:
    keys: list[Value] = []
    for c0 in range(2):
        words = _rounds(f, f.params[0], constant("i32", c0), constant("i32", SPLIT_WORD))
        low, high = (f.cast("zext", w, "i64") for w in words)
        keys.append(f.or_(low, f.shl(high, 32)))
    f.ret_many(*keys)


FAMILIES = (
    Family("random", ("i32", "f32"), _random_params, _random),
    Family("split", ("i64",), _split_params, _split, result=_split_result),
)
