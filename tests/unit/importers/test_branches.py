"""An If whose branches differ in rank: exporters write a squeeze of an axis of unknown size so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from dlc import compile as compile_model
from dlc.artifact.python.errors import CheckError
from dlc.diag import CompileError
from dlc.importers.model import import_onnx
from tests.unit.importers.models import info, model, node, stored

AXIS = {"axis": np.array([2], np.int64), "one": np.array(1, np.int64)}


def _model(path: Path, *, swapped: bool = False, op: str = "Squeeze") -> Path:
    given = "x axis" if op == "Squeeze" else "x"
    drops = helper.make_graph([node(op, given, "d")], "drops", [], [info("d", None)])
    keeps = helper.make_graph([node("Identity", "x", "k")], "keeps", [], [info("k", None)])
    first, second = (keeps, drops) if swapped else (drops, keeps)
    nodes = [
        node("Shape", "x", "s"), node("Gather", "s axis", "n"), node("Squeeze", "n", "n0"),
        node("Equal", "n0 one", "is"), node("Not", "is", "not"),
        node("If", "not" if swapped else "is", "y", then_branch=first, else_branch=second),
        node("Neg", "y", "z"),
    ]  # fmt: skip
    made = model(nodes, [info("x", ("b", 3, "n"))], [info("z", None)], AXIS)
    path.write_bytes(made.SerializeToString())
    return path


@pytest.mark.parametrize("swapped", [False, True])
def test_a_squeeze_of_a_size_that_comes_with_the_call(swapped: bool, tmp_path: Path) -> None:
    net = compile_model(str(_model(tmp_path / "m.onnx", swapped=swapped)))
    x = np.arange(6, dtype=np.float32).reshape(2, 3, 1)
    assert np.array_equal(net.main(x), -x[:, :, 0])
    with pytest.raises(CheckError, match="a size that is not 1"):
        net.main(np.zeros((2, 3, 2), np.float32))


def test_a_known_size_takes_either_branch(tmp_path: Path) -> None:
    path = _model(tmp_path / "m.onnx")
    for n in (1, 2):
        x = np.arange(3 * n, dtype=np.float32).reshape(1, 3, n)
        got = compile_model(str(path), bind={"n": n}).main(x)
        assert np.array_equal(got, -x[:, :, 0] if n == 1 else -x)


def test_other_ranks_are_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as e:
        compile_model(str(_model(tmp_path / "m.onnx", op="Shape")))
    (found,) = e.value.diagnostics
    assert found.code == "E0709"
    assert "--bind" in found.helps[0].text


def _refused(drops: Any, keeps: Any) -> str:
    """The code of a model whose If has these branches and a condition of its own."""
    nodes = [node("If", "c", "y", then_branch=drops, else_branch=keeps), node("Neg", "y", "z")]
    inputs = [info("x", ("b", 3, "n")), info("c", (), TensorProto.BOOL)]
    with pytest.raises(CompileError) as e:
        import_onnx(model(nodes, inputs, [info("z", None)], AXIS).SerializeToString())
    (found,) = e.value.diagnostics
    return found.code


def _branch(made: Any, initialisers: list[Any] | None = None) -> Any:
    outputs = [info(made.output[0], None)]
    return helper.make_graph([made], "branch", [], outputs, initialisers or [])


def test_branches_without_an_operand_are_refused() -> None:
    squeeze, identity = node("Squeeze", "x axis", "d"), node("Identity", "x", "k")
    assert _refused(_branch(node("Squeeze", "", "d")), _branch(identity)) == "E0707"
    assert _refused(_branch(squeeze), _branch(node("Identity", "", "k"))) == "E0707"


def test_two_values_of_one_name_are_not_one_value() -> None:
    """Each branch has an initialiser `w` of its own."""
    drops = _branch(node("Squeeze", "w", "d"), [stored("w", np.zeros((1, 3), np.float32))])
    keeps = _branch(node("Identity", "w", "k"), [stored("w", np.ones((2, 3), np.float32))])
    assert _refused(drops, keeps) == "E0709"
