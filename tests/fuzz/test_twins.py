"""Generated control flow means in dl what it means in Python: evaluator and native code give what
Python gives."""

from __future__ import annotations

import random
from typing import Any

import pytest

import dlc
from tests.fuzz import twins

CALLS = 6


def tree(rng: random.Random, make: Any, depth: int) -> Any:
    kind = rng.randrange(3) if depth else 0
    if kind == 0:
        return make["Leaf"](rng.randrange(20))
    if kind == 1:
        return make["Node"](tree(rng, make, depth - 1), tree(rng, make, depth - 1))
    return make["Many"]([tree(rng, make, depth - 1) for _ in range(rng.randrange(4))])


def arguments(seed: int, make: Any) -> list[Any]:
    rng = random.Random(seed)
    pairs = [make["Pair"](rng.randrange(9), rng.randrange(9)) for _ in range(rng.randrange(5))]
    mode = make[rng.choice(["Red", "Green", "Blue"])]()
    return [rng.randrange(50), rng.randrange(50), pairs, tree(rng, make, 3), mode]


def constructors(net: Any) -> dict[str, Any]:
    types = net.types
    found = {"Pair": types.One.Pair}
    found |= {n: getattr(types.Tree, n) for n in ("Leaf", "Node", "Many")}
    return found | {n: getattr(types.Mode, n) for n in ("Red", "Green", "Blue")}


def agrees(seed: int, targets: tuple[str, ...]) -> None:
    dl, py = twins.program(seed)
    try:
        space: dict[str, Any] = {}
        exec(compile(py, "twin.py", "exec"), space)
        for target in targets:
            net = dlc.compile(dl, target, level=0)
            make = constructors(net)
            for name in (f"f{i}" for i in range(4)):
                for k in range(CALLS):
                    at = seed * 100 + k
                    want = space[name](*arguments(at, space))
                    got = getattr(net, name)(*arguments(at, make))
                    assert got == want, (target, name, k)
    except BaseException:
        print(f"seed {seed}\n{dl}")
        raise


@pytest.mark.parametrize("seed", range(4))
def test_some_programs(seed: int) -> None:
    agrees(seed, ("evaluate", "cpu"))


@pytest.mark.full
@pytest.mark.parametrize("chunk", range(4))
def test_forty_programs(chunk: int) -> None:
    for seed in range(1000 + chunk * 10, 1010 + chunk * 10):
        agrees(seed, ("evaluate", "cpu") if seed % 3 == 0 else ("evaluate",))
