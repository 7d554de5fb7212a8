"""The random numbers of the language, defined once: counters through a block cipher.

`threefry2x32` with 20 rounds (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1,
2, 3", 2011) maps a key of two 32-bit words and a counter of two to two words; all arithmetic is
modulo 2^32:

    k2 = 0x1BD11BDA ^ k0 ^ k1                     the third key word, from the parity constant
    x0, x1 = c0 + k0, c1 + k1
    for s = 0..4:
        four rounds:  x0 += x1;  x1 = rotate_left(x1, r) ^ x0
                      with r = 13, 15, 26, 6 for even s and 17, 29, 16, 24 for odd s
        x0 += k[(s + 1) mod 3];  x1 += k[(s + 2) mod 3] + (s + 1)

A `Key` is one i64: k0 its low, k1 its high 32 bits. Element i of what a key draws comes from the
counter j = i // 2 (c0 its low, c1 its high word): x0 if i is even, x1 if it is odd. So any element
can be computed alone, and every back end draws the same bits. `split` uses counters that no
element reaches (c1 = 2^31): the keys are x0 + 2^32 x1 for c0 = 0 and c0 = 1. Nothing else may use
c1 >= 2^31.

`uniform`: the upper 24 bits of an element over 2^24, in [0, 1), exact in f32.
"""

from __future__ import annotations

from typing import Any, cast

import numpy

np = cast(Any, numpy)

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
SPLIT_WORD = 1 << 31
"""The second counter word of `split`."""


def key_words(key: int) -> tuple[int, int]:
    """Low and high 32 bits of an i64."""
    return key & 0xFFFFFFFF, (key >> 32) & 0xFFFFFFFF


def threefry(key: int, c0: Any, c1: Any) -> tuple[Any, Any]:
    """The two output words for uint32 arrays of counter words."""
    k0, k1 = key_words(key)
    keys = [np.uint32(k0), np.uint32(k1), np.uint32(PARITY ^ k0 ^ k1)]
    with np.errstate(over="ignore"):
        x0, x1 = c0 + keys[0], c1 + keys[1]
        for s in range(5):
            for r in ROTATIONS[s % 2]:
                x0 = x0 + x1
                x1 = ((x1 << np.uint32(r)) | (x1 >> np.uint32(32 - r))) ^ x0
            x0 = x0 + keys[(s + 1) % 3]
            x1 = x1 + keys[(s + 2) % 3] + np.uint32(s + 1)
    return x0, x1


def bits(key: int, n: int) -> Any:
    """The first n elements that `key` draws, int32[n]."""
    j = np.arange((n + 1) // 2, dtype=np.uint64)
    low, high = j.astype(np.uint32), (j >> np.uint64(32)).astype(np.uint32)
    x0, x1 = threefry(key, low, high)
    return np.stack((x0, x1), axis=-1).reshape(-1)[:n].view(np.int32)


def uniform(key: int, n: int) -> Any:
    """The first n elements as numbers in [0, 1), float32[n]."""
    upper = bits(key, n).view(np.uint32) >> np.uint32(8)
    return upper.astype(np.float32) * np.float32(2.0**-24)


def split(key: int) -> tuple[int, int]:
    """Two keys, as signed 64-bit numbers; neither draws what `key` or the other draws."""
    c0 = np.arange(2, dtype=np.uint32)
    x0, x1 = threefry(key, c0, np.full(2, SPLIT_WORD, np.uint32))
    both = (x1.astype(np.uint64) << np.uint64(32) | x0.astype(np.uint64)).view(np.int64)
    return int(both[0]), int(both[1])
