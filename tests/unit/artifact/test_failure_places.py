"""What a failed call says: the numbers once, and a line of the caller's own program."""

from __future__ import annotations

import numpy as np
import pytest

from dlc.artifact.python.errors import BoundsError, FuelError
from dlc.artifact.python.net import Net
from dlc.driver.python import compile

SOURCE = """from loss import cross_entropy

export fn loss(x: f32[N, 3], y: i32[N]) -> f32:
    s, z = 0.0, x * 2.0
    for i in 0..N:
        s += cross_entropy(z[i], y[i])
    return s

export fn slope(x: f32[N, 3], y: i32[N]) -> f32[N, 3]:
    return grad(loss, wrt=x)(x, y)

export fn forever(x: f32) -> f32:
    y = x
    while y == y:
        y = y * 0.5
    return y
"""


@pytest.fixture(scope="module")
def nets() -> tuple[Net, Net]:
    return compile(SOURCE, "cpu", level=0), compile(SOURCE, "evaluate")


@pytest.mark.parametrize("entry", ["loss", "slope"])
def test_what_fails_in_the_library_failed_at_the_line_that_calls_it(
    nets: tuple[Net, Net], entry: str
) -> None:
    x, labels = np.zeros((4, 3), np.float32), np.array([0, 1, 7, 2], np.int32)
    for net in nets:
        with pytest.raises(BoundsError) as caught:
            net.entries[entry](x, labels)
        e, text = caught.value, str(caught.value)
        assert (e.got, e.want, e.line, e.column) == (7, 3, 6, 14)
        assert text.startswith(f"{entry}: an index is out of range: index 7 of 3")
        assert text.endswith(":6:14") and "std/" not in text
        assert text.count("out of range") == 1 and "want" not in text


@pytest.mark.parametrize("target", ["cpu", "evaluate", "sparrow"])
def test_an_index_is_told_once(target: str) -> None:
    text = "export fn rows(x: f32[N, 2], i: i32[M]) -> f32[M, 2]:\n    return x[i]\n"
    net = compile(text, target, level=0)
    with pytest.raises(BoundsError) as caught:
        net.rows(np.zeros((3, 2), np.float32), np.array([1, -47], np.int32))
    assert (caught.value.got, caught.value.want, caught.value.line) == (-47, 3, 2)
    assert str(caught.value).count("-47") == 1 and " 3" in str(caught.value)


def test_fuel_names_the_loop(nets: tuple[Net, Net]) -> None:
    for net in nets:
        net.fuel = 5
        with pytest.raises(FuelError) as caught:
            net.forever(1.0)
        net.fuel = 0
        assert (caught.value.line, caught.value.column) == (14, 5)
        assert "a loop took too many turns: more than 5" in str(caught.value)
