"""Every operator of ai.onnx that has no graphs, with operands, attributes and numbers drawn at
random: imported, or refused in words; never anything else."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import onnx.defs
import pytest
from onnx import TensorProto, helper

from dlc.diag import CompileError
from dlc.importers.limits import Limits
from dlc.importers.model import import_onnx
from dlc.importers.operators import TABLE
from tests.unit.importers.models import info, model, node

SEED = 11
ROUNDS = 12
OPSET = 26
"""The operator set of the models, where the operator is not of a later or an earlier one."""
LIMITS = Limits(operations=20_000, tensor_bytes=1 << 26, fold_bytes=1 << 20, window=512)
NAMES = sorted({k[1] for k in TABLE if not k[0]} - {"If", "Loop", "Scan", "Gradient"})
DTYPES: dict[str, Any] = {
    "tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_,
    "tensor(int32)": np.int32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8,
}  # fmt: skip
INTS = (-3, -1, 0, 1, 1, 2, 2, 3, 5, 1 << 33)
FLOATS = (float("nan"), float("inf"), -1.0, 0.0, 0.5, 2.0, 1e30)


def _attribute(kind: Any, rng: random.Random) -> Any:
    kinds = onnx.defs.OpSchema.AttrType
    if kind == kinds.INT:
        return rng.choice(INTS)
    if kind == kinds.FLOAT:
        return rng.choice(FLOATS)
    if kind == kinds.INTS:
        return [rng.choice(INTS) for _ in range(rng.randrange(1, 5))]
    if kind == kinds.STRING:
        return rng.choice(("", "linear", "reflect", "SAME_UPPER", "bidirectional", "ij,jk"))
    return None


def _drawn(schema: Any, rng: random.Random, opset: int) -> Any:
    """A model of the operator; operands have one element type for each letter of its schema."""
    letters: dict[str, str] = {}
    for t in schema.type_constraints:
        known = [k for k in DTYPES if k in t.allowed_type_strs]
        letters[t.type_param_str] = rng.choice(known[:2] or known or ["tensor(float)"])
    rank = rng.randrange(5)
    names: list[str] = []
    inputs: list[Any] = []
    stored: dict[str, Any] = {}
    for k in range(rng.randint(schema.min_input, min(schema.max_input, 8))):
        formal = schema.inputs[min(k, len(schema.inputs) - 1)]
        d = DTYPES.get(letters.get(formal.type_str, formal.type_str), np.float32)
        if k >= schema.min_input and rng.random() < 0.3:
            names.append("-")
            continue
        own = rank if rng.random() < 0.6 else rng.randrange(5)
        shape = [rng.choice((0, 1, 2, 2, 2, 3)) for _ in range(own)]
        names.append(f"x{k}")
        if rng.random() < (0.2 if d is np.float32 else 0.7):
            numbers = [rng.choice(INTS[:-1]) for _ in range(int(np.prod(shape)))]
            stored[f"x{k}"] = np.array(numbers).astype(d).reshape(shape)
        else:
            element = helper.np_dtype_to_tensor_dtype(np.dtype(d))
            open_ = [n if n > 0 and rng.random() < 0.8 else f"n{a}" for a, n in enumerate(shape)]
            inputs.append(info(f"x{k}", open_, element))
    attributes: dict[str, Any] = {}
    for name, a in sorted(schema.attributes.items()):
        if a.required or rng.random() < 0.4:
            value = _attribute(a.type, rng)
            if value is not None:
                attributes[name] = value
    outputs = " ".join(f"y{k}" for k in range(max(1, schema.min_output)))
    made = [node(schema.name, " ".join(names), outputs, **attributes)]
    shown = [info("y0", None, TensorProto.FLOAT)]
    return model(made, inputs, shown, stored, opset=opset)


def _schema(name: str) -> tuple[Any, int]:
    """The operator's newest version that is not withdrawn, and an operator set that has it."""
    history = onnx.defs.get_all_schemas_with_history()
    every = [s for s in history if (s.domain, s.name) == ("", name)]
    every.sort(key=lambda s: s.since_version)
    *_, last = (s for s in every if not s.deprecated)
    ends = [s.since_version - 1 for s in every if s.since_version > last.since_version]
    return last, max(last.since_version, min([OPSET, *ends]))


@pytest.mark.parametrize("name", NAMES)
def test_any_operands(name: str) -> None:
    schema, opset = _schema(name)
    for k in range(ROUNDS):
        rng = random.Random(f"{SEED} {name} {k}")
        try:
            import_onnx(_drawn(schema, rng, opset).SerializeToString(), limits=LIMITS)
        except CompileError as e:
            assert e.diagnostics, (name, k)
        except Exception as e:
            raise AssertionError(f"round {k}: {type(e).__name__}: {e}") from e
