"""Windows over sizes that come with the call: one that does not fit ends the call, everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.cli.test_commands import call
from tests.unit.importers.models import info, model, node

RNG = np.random.default_rng(4)
CONV = (
    [node("Conv", "x w", "y", strides=[2])],
    {"w": RNG.normal(size=(2, 1, 5)).astype(np.float32)},
)
POOL = ([node("MaxPool", "x", "y", kernel_shape=[5], strides=[2])], {})


@pytest.mark.parametrize(
    ("nodes", "target"), [(CONV, "evaluate"), (CONV, "cpu"), (CONV, "sparrow"), (POOL, "cpu")],
    ids=["conv-evaluate", "conv-cpu", "conv-sparrow", "pool-cpu"],
)  # fmt: skip
def test_a_window_that_does_not_fit(
    nodes: Any, target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.onnx"
    made = model(
        nodes[0], [info("x", (1, 1, "n"))], [info("y", None)],
        nodes[1],
    )  # fmt: skip
    path.write_bytes(made.SerializeToString())

    def run(n: int) -> tuple[int, str, str]:
        given = f"x={[[[1.0] * n]]}"
        return call(capsys, "run", str(path), "--target", target, "--in", given)

    assert run(7)[0] == 0
    status, _, err = run(2)
    assert (status, "a window of 5 over n elements" in err) == (1, True), err
