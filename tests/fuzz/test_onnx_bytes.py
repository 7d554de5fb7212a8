"""Models with bytes changed at random: imported, or refused in words; never anything else."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from dlc.diag import CompileError
from dlc.importers.limits import Limits
from dlc.importers.model import import_onnx
from tests.unit.importers.models import INT64, info, model, node

SEED = 20
LIMITS = Limits(model_bytes=1 << 20, tensor_bytes=1 << 24, fold_bytes=1 << 22, nodes=2_000)


def seeds() -> list[bytes]:
    """Models with graphs in graphs, functions, weights, shapes that are computed."""
    body = helper.make_graph(
        [node("Add", "v x", "w"), node("Identity", "c", "d"), node("ReduceSum", "w", "s")], "body",
        [info("i", [], INT64), info("c", [], TensorProto.BOOL), info("v", [2])],
        [info("d", [], TensorProto.BOOL), info("w", [2]), info("s", [1])],
    )  # fmt: skip
    loop = model([node("Loop", "n - x", "y z", body=body)], [info("n", [], INT64), info("x", [2])],
                 [info("y", [2]), info("z", None)])  # fmt: skip
    shapes = model(
        [
            node("Shape", "x", "s"), node("Gather", "s k", "b"), node("Unsqueeze", "b z", "u"),
            node("Concat", "u m", "t", axis=0), node("Reshape", "x t", "y"),
        ],
        [info("x", ["N", 4, 3])], [info("y", None)],
        {"k": np.array(0), "z": np.array([0]), "m": np.array([-1])},
    )  # fmt: skip
    weights = np.ones((4, 3, 3, 3), np.float32)
    conv = model(
        [node("Conv", "x w", "c", pads=[1, 1, 1, 1], strides=[2, 2]), node("Relu", "c", "r"),
         node("MaxPool", "r", "p", kernel_shape=[2, 2]), node("Flatten", "p", "f"),
         node("Softmax", "f", "y")],
        [info("x", [1, 3, 8, 8])], [info("y", None)], {"w": weights},
    )  # fmt: skip
    imports = [helper.make_opsetid("", 21)]
    f = helper.make_function("f", "twice", ["a"], ["b"], [node("Add", "a a", "b")], imports)
    calls = model([node("twice", "x", "t", "f"), node("twice", "t", "y", "f")], [info("x", [3])],
                  [info("y", [3])], opsets={"f": 1}, functions=[f])  # fmt: skip
    return [m.SerializeToString() for m in (loop, shapes, conv, calls)]


def changed(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        at = rng.randrange(len(out))
        what = rng.random()
        if what < 0.5:
            out[at] = rng.choice((0, 1, 2, 127, 128, 255, out[at] ^ 1 << rng.randrange(8)))
        elif what < 0.7:
            del out[at : at + rng.randrange(1, 9)]
        elif what < 0.9:
            out[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
        else:
            to = rng.randrange(len(out))
            out[at : at + 16] = out[to : to + 16]
    return bytes(out)


def check(data: bytes, seed: Any) -> bool:
    """Whether the model is accepted. A crash names the seed that shows it again."""
    try:
        import_onnx(data, limits=LIMITS)
    except CompileError as e:
        assert e.diagnostics and all(d.code for d in e.diagnostics), seed
        return False
    except Exception as e:
        raise AssertionError(f"seed {seed}: {type(e).__name__}: {e}") from e
    return True


def rounds(count: int, first: int) -> int:
    """How many of the changed models are accepted."""
    models = seeds()
    accepted = 0
    for k in range(first, first + count):
        rng = random.Random(k)
        accepted += check(changed(rng.choice(models), rng), k)
    return accepted


def test_changed_bytes() -> None:
    accepted = rounds(1_500, SEED)
    assert 0 < accepted < 1_500, "both kinds must come up, or the changes show nothing"


@pytest.mark.full
def test_many_changed_bytes() -> None:
    rounds(50_000, SEED + 1_500)
