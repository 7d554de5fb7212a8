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


CARRIED = """
export fn rebuilt(n: i32, m: i32) -> List[i32]:
    xs: List[i32] = []
    for k in 0..m:
        push(mut xs, k)
    i = 0
    while i < n:
        ys: List[i32] = []
        for x in xs:
            push(mut ys, (x * 3 + i) % 1000)
        xs = ys
        i += 1
    return xs

export fn grows_and_shrinks(n: i32) -> i32:
    xs: List[i32] = []
    last = 0
    for i in 0..n:
        ys: List[i32] = []
        for k in 0..(i % 37):
            push(mut ys, i + k)
        if i % 3 == 1:
            xs = ys
        last = (last * 31 + len(xs)) % 65521
        for x in xs:
            last = (last + x) % 65521
    return last

export fn vectors(x: f32[D], n: i32) -> f32[D]:
    xs: List[f32[D]] = []
    push(mut xs, x)
    for i in 0..n:
        ys: List[f32[D]] = []
        for v in xs:
            push(mut ys, v * 0.5 + x)
        if len(ys) < 5:
            push(mut ys, x)
        xs = ys
    s = x
    for v in xs:
        s += v
    return s

export fn kept(n: i32) -> List[List[i32]]:
    out: List[List[i32]] = []
    for i in 0..n:
        ys: List[i32] = []
        for k in 0..i:
            push(mut ys, 10 * i + k)
        push(mut out, ys)
    return out

export fn two_names(n: i32) -> i32:
    xs: List[i32] = []
    ys: List[i32] = []
    s = 0
    for i in 0..n:
        zs = xs
        xs = ys
        push(mut xs, i)
        ys = zs
        s += len(xs) * (i + 1) - len(ys)
    return s
"""


def test_a_list_that_is_made_again_keeps_its_storage() -> None:
    net, oracle = compile(CARRIED, "cpu", level=1), compile(CARRIED, "evaluate")
    net.memory_limit = 1 << 16
    xs = list(range(10))
    for i in range(200_000):
        xs = [(x * 3 + i) % 1000 for x in xs]
    assert net.rebuilt(200_000, 10) == xs
    assert net.grows_and_shrinks(3_000) == oracle.grows_and_shrinks(3_000)
    assert net.grows_and_shrinks(300_000) > 0
    x = np.linspace(0, 1, 5, dtype=np.float32)
    assert np.array_equal(net.vectors(x, 40), oracle.vectors(x, 40))
    assert np.isfinite(net.vectors(x, 50_000)).all()


def test_lists_that_somebody_else_has_are_new_ones() -> None:
    net, oracle = compile(CARRIED, "cpu", level=1), compile(CARRIED, "evaluate")
    for n in (0, 1, 2, 7):
        assert net.kept(n) == oracle.kept(n) == [[10 * i + k for k in range(i)] for i in range(n)]
        assert net.two_names(n) == oracle.two_names(n)
        assert net.rebuilt(n, 6) == oracle.rebuilt(n, 6)
        assert net.rebuilt(n, 0) == []


def test_a_bound_far_from_the_truth_costs_no_memory() -> None:
    """The sum over all turns bounds the call, which takes next to nothing and changes something."""
    source = """
export fn shift(x: mut f32[N], n: i32) -> i32:
    xs: List[i32] = []
    for i in 0..n:
        ys: List[i32] = []
        for k in 0..50:
            push(mut ys, i + k)
        xs = ys
    x[0] = f32(xs[49])
    return len(xs)
"""
    net = compile(source, "cpu", level=1)
    x = np.zeros(3, np.float32)
    for n in (200_000, 1_000_000):
        assert net.shift(x, n) == 50
    assert x[0] == np.float32(1_000_048)
