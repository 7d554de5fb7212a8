"""Nothing hangs: loops end by fuel, recursion by memory; and what only looks endless does not."""

from __future__ import annotations

import numpy as np
import pytest

from dlc.artifact.python.errors import ArenaError, FuelError
from dlc.artifact.python.net import Net
from dlc.driver.python import compile

SOURCE = """
type Nat = Zero | Next(n: Nat)

export fn count(n: i32) -> i32:
    i = 0
    while i < n:
        i += 1
    return i

export fn grid(n: i32) -> i32:
    k = 0
    for i in 0..n:
        j = 0
        while j < n:
            j += 1
            k += 1
    return k

export fn forever(x: f32) -> f32:
    y = x
    while y == y:
        y = y * 0.5
    return y

fn down(n: i32) -> i32:
    if n == 7:
        return 0
    return 1 + down(n - 1)

export fn deeper(n: i32) -> i32:
    return down(n)

export fn rebuilt(n: i32) -> i32:
    s = 0
    i = 0
    while i < n:
        xs: List[i32] = []
        for k in 0..10:
            push(mut xs, k + i)
        s = (s + xs[3]) % 1000003
        i += 1
    return s

export fn rebuilt_counted(n: i32) -> i32:
    s = 0
    for i in 0..n:
        xs: List[i32] = []
        for k in 0..10:
            push(mut xs, k + i)
        s = (s + xs[3]) % 1000003
    return s
"""


@pytest.fixture(scope="module")
def nets() -> tuple[Net, Net]:
    return compile(SOURCE, "cpu", level=2), compile(SOURCE, "evaluate")


def test_fuel_is_given_to_every_call(nets: tuple[Net, Net]) -> None:
    for net in nets:
        net.fuel = 11
        for _ in range(2):
            assert net.count(10) == 10
            with pytest.raises(FuelError) as caught:
                net.count(11)
            assert (caught.value.status, caught.value.got, caught.value.want) == ("fuel", 12, 11)
        net.fuel = 0
        assert net.count(1000) == 1000


def test_all_loops_of_a_call_share_it(nets: tuple[Net, Net]) -> None:
    for net in nets:
        net.fuel = 6 * 7
        assert net.grid(6) == 36
        net.fuel = 41
        with pytest.raises(FuelError):
            net.grid(6)
        net.fuel = 0


def test_what_fuel_may_be(nets: tuple[Net, Net]) -> None:
    for net in nets:
        for wrong, kind in ((-1, ValueError), (2**63, ValueError), (1.5, TypeError)):
            with pytest.raises(kind):
                net.fuel = wrong
        assert net.fuel == 0


def test_the_compile_can_set_it() -> None:
    for target in ("cpu", "evaluate"):
        net = compile(SOURCE, target, fuel=6, entries=["count"], level=0)
        assert net.count(5) == 5
        with pytest.raises(FuelError):
            net.count(6)
        if target == "cpu":
            net.fuel = 8
            assert net.count(7) == 7


def test_a_loop_without_end_ends(nets: tuple[Net, Net]) -> None:
    net, _ = nets
    net.fuel = 10_000_000
    with pytest.raises(FuelError):
        net.forever(np.float32(1))
    net.fuel = 0


def test_recursion_without_end_ends(nets: tuple[Net, Net]) -> None:
    net, _ = nets
    assert net.deeper(1000) == 993
    net.memory_limit = 1 << 22
    with pytest.raises(ArenaError) as caught:
        net.deeper(6)
    assert caught.value.want > caught.value.got


def test_what_a_turn_makes_is_given_back(nets: tuple[Net, Net]) -> None:
    net, oracle = nets
    net.memory_limit = 1 << 16
    for name in ("rebuilt", "rebuilt_counted"):
        assert net.entries[name](1_000_000) == sum(range(3, 1_000_003)) % 1_000_003
        assert net.entries[name](50) == oracle.entries[name](50)
