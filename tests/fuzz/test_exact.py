"""Generated programs of `exact`: evaluator and native code give the same bits, or the same status
at the same place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dlc
from tests.fuzz.exact import HEADER, program


def tree(types: Any, t: Any) -> Any:
    if t[0] == "Leaf":
        return types.Tree.Leaf(t[1])
    return types.Tree.Node(t[1], tree(types, t[2]), tree(types, t[3]))


def outcome(net: dlc.Net, args: dict[str, Any]) -> tuple[Any, ...]:
    """What a call gives and leaves in its `mut` arguments; or the error and its place."""
    net.load({n: v for n, v in args.items() if n.startswith("m.")})
    xs, count = args["xs"].copy(), np.array(args["count"])
    trees = tree(net.types, args["t"]), [tree(net.types, t) for t in args["given"]]
    try:
        with np.errstate(all="ignore"):
            made = net.main(*(args[n] for n in "xyabc"), *trees, xs, count)
    except dlc.CallError as e:
        return type(e).__name__, str(e).splitlines()[0]
    return "result", made, xs, count


def is_same(a: Any, b: Any) -> bool:
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(is_same, a, b))
    if isinstance(a, dlc.Some):
        return isinstance(b, dlc.Some) and is_same(a.value, b.value)
    if a is None or isinstance(a, str):
        return bool(a == b)
    x, y = np.asarray(a), np.asarray(b)
    if x.dtype != y.dtype or x.shape != y.shape:
        return False
    if x.dtype.kind in "iub":
        return bool((x == y).all())
    return np.array_equal(x.astype(np.float64), y.astype(np.float64), equal_nan=True)


def agrees(seed: int, level: int = 0) -> str:
    """Compare the back ends on one program; tells how the call ended."""
    p = program(seed)
    try:
        want = outcome(dlc.compile(p.source, "evaluate"), p.args)
        got = outcome(dlc.compile(p.source, "cpu", level=level), p.args)
        assert is_same(want, got), (want, got)
    except BaseException:
        print(f"seed {seed}, level {level}\n{p.source}{p.args}")
        raise
    return str(want[0])


@pytest.mark.parametrize("seed", range(4))
def test_some_programs(seed: int) -> None:
    agrees(seed)


def test_every_construct_is_drawn() -> None:
    """By the programs of fifty seeds, outside of the fixed functions."""
    texts = [program(seed).source[len(HEADER) :] for seed in range(50)]
    marks = "even( first_big( weight( layers( around( groups( drawn( active_sum( styled( bump("
    marks += " halved( break continue match push(mut //  % ** where( bf16( f16( u8( i64( len("
    for mark in marks.split():
        assert sum(mark in t for t in texts) >= 5, mark


@pytest.mark.full
@pytest.mark.parametrize("chunk", range(10))
def test_eighty_programs(chunk: int) -> None:
    ends = {agrees(seed, 3 if seed % 20 == 7 else 0) for seed in range(50_000, 50_080)[chunk::10]}
    assert "result" in ends
