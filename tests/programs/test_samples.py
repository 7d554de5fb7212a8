"""Every sample through `dlc.compile`: native code and the evaluator give the same results, change
the same arguments and learn the same weights."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import dlc
from tests.programs.samples_inputs import SAMPLES

ROOT = __file__.rsplit("/tests/", 1)[0]


def same(a: Any, b: Any, where: str) -> None:
    """Integers and structure exactly, floats closely."""
    if isinstance(a, (tuple, list)):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{where}.{i}")
    elif a is None:
        assert b is None, where
    elif np.asarray(a).dtype.kind == "f":
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5, err_msg=where)
    elif isinstance(a, (np.ndarray, np.generic, int)):
        np.testing.assert_array_equal(a, b, err_msg=where)


def nets(name: str) -> tuple[dlc.Net, dlc.Net]:
    bind, sizes, _ = SAMPLES[name]
    made: list[dlc.Net] = []
    for target in ("evaluate", "cpu"):
        net = dlc.compile(f"{ROOT}/samples/{name}.dl", target=target, bind=bind, level=0)
        if sizes:
            given = {k: v for k, v in sizes.items() if k not in bind}
            net.init(3, dims=given)
        made.append(net)
    return made[0], made[1]


@pytest.mark.parametrize("name", SAMPLES)
def test_native_code_and_the_evaluator_agree(name: str) -> None:
    oracle, net = nets(name)
    for n, x in oracle.params.items():
        np.testing.assert_allclose(net.params[n], x, rtol=1e-5, atol=1e-7, err_msg=n)
        net.params[n] = x
    r = np.random.default_rng(17)
    for entry, inputs in SAMPLES[name][2].items():
        for turn in range(6):
            given = inputs(net, r)
            other = copy.deepcopy(given) if name != "treelstm" else given
            got, want = net.entries[entry](*given), oracle.entries[entry](*other)
            where = f"{name}.{entry}, turn {turn}"
            same(want, got, where)
            same(list(other), list(given), f"{where}, arguments")
            for n, x in oracle.params.items():
                np.testing.assert_allclose(
                    net.params[n], x, rtol=1e-3, atol=1e-4, err_msg=f"{where}, {n}"
                )


@pytest.mark.parametrize("w", [4, 5, 1_000_000])
def test_a_slice_longer_than_its_tensor(w: int) -> None:
    """The bound `N - w + 1` is negative: nothing is in range."""
    source = "export fn f(x: f32[N], w: i32) -> f32[w]:\n    return x[0 : w]\n"
    net = dlc.compile(source)
    x = np.array([1, 2, 3], np.float32)
    assert net.f(x, 3).tolist() == [1, 2, 3]
    with pytest.raises(dlc.CallError):
        net.f(x, w)
