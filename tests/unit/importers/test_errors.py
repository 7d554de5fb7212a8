"""What a user reads when a model cannot be imported."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from dlc.diag import CompileError, Diagnostic
from dlc.diag.render import render_all
from dlc.importers.model import import_onnx
from tests.unit.importers.models import INT64, info, model, node


def errors(m: Any, **options: Any) -> tuple[Diagnostic, ...]:
    with pytest.raises(CompileError) as caught:
        import_onnx(m.SerializeToString(), file="net.onnx", **options)
    return caught.value.diagnostics


def test_all_unsupported_operators_at_once() -> None:
    body = helper.make_graph([node("NoSuchB", "x", "t")], "then", [], [info("t", [2])])
    other = helper.make_graph([node("Relu", "x", "u")], "else", [], [info("u", [2])])
    m = model(
        [
            node("NoSuchA", "x", "a"), node("NoSuchA", "a", "b"),
            node("ImageDecoder", "i", "p"),
            node("If", "c", "d", then_branch=body, else_branch=other),
            node("Add", "b d", "y"),
        ],
        [info("x", [2]), info("c", [], TensorProto.BOOL), info("i", [9], TensorProto.UINT8)],
        [info("y", None), info("p", None)],
    )  # fmt: skip
    (found,) = errors(m)
    assert found.code == "E0708"
    text = render_all([found])
    for name in ("NoSuchA-21", "NoSuchB-21", "ImageDecoder-20"):
        assert name in text
    assert "main/If_3.then/NoSuchB_0" in text and "main/NoSuchA_0" in text
    assert found.helps


def test_what_depends_on_an_unsupported_operator_is_looked_at_too() -> None:
    """In a chain, in both branches, in functions and in loops."""
    then = helper.make_graph([node("NoSuchB", "x", "t")], "then", [], [info("t", [2])])
    other = helper.make_graph([node("NoSuchC", "x", "u")], "else", [], [info("u", [2])])
    body = helper.make_graph(
        [node("NoSuchD", "s", "v"), node("Identity", "c", "k")], "body",
        [info("i", [], INT64), info("c", [], TensorProto.BOOL), info("s", None)],
        [info("k", [], TensorProto.BOOL), info("v", None)],
    )  # fmt: skip
    inner = helper.make_function(
        "own", "f", ["a"], ["b"], [node("NoSuchE", "a", "b")], [helper.make_opsetid("", 21)]
    )
    m = model(
        [
            node("NoSuchA", "x", "a"),
            node("If", "c", "d", then_branch=then, else_branch=other),
            node("Loop", "n c a", "l", body=body),
            node("f", "l", "e", domain="own"),
            node("Add", "e d", "y"),
        ],
        [info("x", [2]), info("c", [], TensorProto.BOOL), info("n", [], INT64)],
        [info("y", None)],
        opsets={"own": 1},
        functions=[inner],
    )  # fmt: skip
    found = errors(m)
    assert [d.code for d in found] == ["E0708"]
    assert found[0].message.endswith(": " + ", ".join(f"NoSuch{x}-21" for x in "ABCDE"))


def test_an_unsupported_operator_that_nobody_needs() -> None:
    m = model(
        [node("NoSuch", "x", "unused"), node("Relu", "x", "y")], [info("x", [2])], [info("y", [2])]
    )
    assert import_onnx(m.SerializeToString()).places[0].path == "main/Relu_1"


def test_a_branch_that_is_never_taken() -> None:
    bad = helper.make_graph([node("NoSuch", "x", "t")], "then", [], [info("t", [2])])
    good = helper.make_graph([node("Relu", "x", "u")], "else", [], [info("u", [2])])
    m = model(
        [node("If", "c", "y", then_branch=bad, else_branch=good)], [info("x", [2])],
        [info("y", [2])], {"c": np.array(False)},
    )  # fmt: skip
    assert "if" not in {op.name for op in import_onnx(m.SerializeToString()).module.functions[
        "main"].body.ops}  # fmt: skip


def test_the_place_names_graph_operator_and_version() -> None:
    m = model(
        [node("Relu", "x", "a"), node("Add", "a w", "y", name="/enc/add")], [info("x", [2, 3])],
        [info("y", None)], {"w": np.ones(4, np.float32)},
    )  # fmt: skip
    m.graph.node[1].name = "/enc/add"
    (found,) = errors(m)
    assert found.message.startswith("net.onnx: main/Add_1 (`/enc/add`), Add-14: ")


def test_several_errors_are_reported_together() -> None:
    m = model(
        [node("Transpose", "x", "a", perm=[0]), node("Softmax", "x", "b", axis=9),
         node("Add", "a b", "y")],
        [info("x", [2, 3])], [info("y", None)],
    )  # fmt: skip
    assert [d.code for d in errors(m)] == ["E0707", "E0707"]


def test_texts() -> None:
    m = model([node("Identity", "x", "y")], [info("x", [2], TensorProto.STRING)], [info("y", None)])
    (found,) = errors(m)
    assert found.code == "E0710" and "input `x`" in found.message and found.helps


FORMS = {
    "Conv": ([node("Conv", "x w", "y")], [info("x", [1, 1, 4, 4, 4, 4]),
                                           info("w", [1, 1, 2, 2, 2, 2])]),
    "training dropout": ([node("Dropout", "x - t", "y")],
                         [info("x", [2]), info("t", [], TensorProto.BOOL)]),
    "squeeze": ([node("Squeeze", "x", "y")], [info("x", ["N", "M"])]),
    "length of a shape": ([node("Reshape", "x s", "y")],
                          [info("x", [4]), info("s", ["K"], INT64)]),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_forms_that_are_refused(form: str) -> None:
    nodes, inputs = FORMS[form]
    (found,) = errors(model(nodes, inputs, [info("y", None)]))
    assert found.code == "E0709"


def test_metadata_is_never_read() -> None:
    m = model([node("Relu", "x", "y")], [info("x", [2])], [info("y", [2])])
    data = m.SerializeToString() + b"\x12\x03\xff\xfe\xff" + b"\x32\x02\xff\xff" + b"\x72\x01\x0a"
    assert import_onnx(data).producer
