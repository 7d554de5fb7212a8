"""The generator's known answers, and what the language promises of it."""

from __future__ import annotations

import numpy as np
import pytest

from dlc.ops import random_bits

# Key, counter, output of threefry2x32 with 20 rounds, as its authors publish them.
KNOWN = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize(("key", "counter", "want"), KNOWN)
def test_known_answers(
    key: tuple[int, int], counter: tuple[int, int], want: tuple[int, int]
) -> None:
    words = (np.array([c], np.uint32) for c in counter)
    got = random_bits.threefry(key[0] | key[1] << 32, *words)
    assert tuple(int(x[0]) for x in got) == want


def test_a_prefix_does_not_depend_on_the_length() -> None:
    long = random_bits.bits(42, 1000)
    for n in (0, 1, 2, 7, 999):
        assert np.array_equal(random_bits.bits(42, n), long[:n])
    assert long.dtype == np.int32


def test_keys_differ_from_each_other() -> None:
    keys = [5]
    for _ in range(8):
        keys = [half for key in keys for half in random_bits.split(key)]
    assert len(set(keys)) == 256
    assert all(-(1 << 63) <= key < 1 << 63 for key in keys)
    first = {random_bits.bits(key, 4).tobytes() for key in keys}
    assert len(first) == 256


def test_uniform_is_uniform() -> None:
    x = random_bits.uniform(7, 100_000)
    assert x.dtype == np.float32
    assert x.min() >= 0.0 and x.max() < 1.0
    assert abs(float(x.mean()) - 0.5) < 0.005
    counts = np.histogram(x, 20, (0.0, 1.0))[0]
    # Chi-square with 19 degrees of freedom: p = 0.0007.
    assert float(((counts - 5000.0) ** 2 / 5000.0).sum()) < 45.0
