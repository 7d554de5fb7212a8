"""`dlc import`: models as programs in dl that check, compile, and give what the model gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

import dlc
from dlc import CompileError
from dlc.cli.app import run
from dlc.diag import SourceFile
from dlc.driver.front import compile_source
from dlc.driver.options import Options
from dlc.importers.backend import call
from dlc.importers.elements import to_storage
from dlc.importers.interface import ports
from dlc.importers.model import Given, Imported, import_onnx
from dlc.importers.source.names import Names
from dlc.importers.source.text import array, number
from dlc.importers.source.write import write
from dlc.typesys.dtypes import F16, F32, F64, I32, I64
from tests.programs.onnx_cases import Case, cases, frozen
from tests.unit.importers.models import INT64, info, model, node

F = np.float32
ROOT = Path(__file__).parents[2]
BACKBONE = ROOT / "samples" / "backbone.onnx"

FAMILIES = {
    # module of ONNX's cases -> how many of its cases at least must be said
    "add": 8, "averagepool": 12, "batch_normalization": 4, "cast": 30, "clip": 6, "concat": 9,
    "conv": 5,
    "cumsum": 4, "einsum": 5, "expand": 2, "flatten": 5, "gather": 3, "gathernd": 2, "gemm": 10,
    "gru": 3, "if_": 1, "layernormalization": 20, "lstm": 3, "matmul": 5, "maxpool": 8,
    "nonzero": 1, "onehot": 3, "pad": 3, "pow": 3, "quantizelinear": 5, "reduce_log_sum_exp": 4,
    "resize": 15, "rotaryembedding": 5, "scan": 1, "scatternd": 2, "slice": 6, "softmax": 6,
    "split": 5, "squeeze": 2, "tile": 2, "transpose": 6, "unique": 2, "where": 1,
}  # fmt: skip
FAST = ("add", "conv", "gemm", "gru", "if_", "slice", "unique")


def imported(case: Case) -> tuple[Imported, list[Any]] | None:
    """The model of a case with its inputs; inputs that decide shapes as initialisers if need be."""
    inputs = list(case.data[0][0])
    m = case.model
    for _ in range(2):
        names = [v.name for v in m.graph.input]
        given = {n: _given(x) for n, x in zip(names, inputs, strict=True)}
        try:
            return import_onnx(m.SerializeToString(), given=given, file="case.onnx"), inputs
        except CompileError:
            m, inputs = frozen(case.model, case.data[0][0])
    return None


def _given(x: Any) -> Given:
    if x is None:
        return Given(absent=True)
    if isinstance(x, list):
        return Given(items=tuple(map(_given, x)))
    return Given(shape=tuple(None for _ in np.shape(x)))


def stored(structures: Any, values: Any) -> Iterator[Any]:
    """The arrays of values, as programs take and give them."""
    for s, x in zip(structures, values, strict=True):
        if isinstance(x, list):
            yield from stored(s, x)
        elif x is not None:
            a = np.asarray(x)
            yield np.ascontiguousarray(to_storage(a, s.element)).reshape(a.shape)


def same(net: Imported, inputs: list[Any], *, target: Any = "evaluate") -> None:
    """The program in dl gives what the model gives."""
    source = write(net, "case")
    text = SourceFile("case.dl", source.text)
    made = compile_source(text, Options(target=target, level=0), dict(source.weights) or None)
    got = dlc.load(made).main(*stored(net.inputs, inputs))
    want = list(stored(net.outputs, call(net, inputs, "evaluate")))
    assert len(want) == len(list(ports(net.outputs)))
    for a, b in zip(got if isinstance(got, tuple) else (got,), want, strict=True):
        assert np.shape(a) == b.shape
        if b.dtype.kind in "fV":
            narrow = b.dtype.itemsize < 4
            x, y = np.asarray(a).astype(np.float64), b.astype(np.float64)
            np.testing.assert_allclose(x, y, rtol=2e-3 if narrow else 1e-4, atol=1e-5)
        else:
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "module",
    [pytest.param(m, marks=[] if m in FAST else [pytest.mark.full]) for m in FAMILIES],
)
def test_cases_of_onnx(module: str) -> None:
    said = 0
    for case in cases(module):
        found = imported(case)
        if found is None:
            continue
        try:
            write(found[0], "case")
        except CompileError as e:
            assert {d.code for d in e.diagnostics} == {"E0714"}, case.name
            continue
        same(*found)
        said += 1
    assert said >= FAMILIES[module]


def test_natively() -> None:
    image = np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(F)
    same(import_onnx(BACKBONE), [image], target="cpu")


def test_the_text_is_in_canonical_form_and_the_same_every_time(tmp_path: Path) -> None:
    text = write(import_onnx(BACKBONE), "backbone").text
    assert text == write(import_onnx(BACKBONE), "backbone").text
    (tmp_path / "b.dl").write_text(text)
    assert run(["fmt", "--check", str(tmp_path / "b.dl")]) == 0
    assert "    # /head (Gemm)\n    features = flat_y @ m.head_weight.T + m.head_bias\n" in text
    assert "stem_relu6_y = minimum(maximum(stem_norm_y, 0.0), 6.0)" in text
    assert "# /stem (Conv)\n    stem_y = map(fn(item) => conv2d(item, m.stem_weight" in text


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "net.dl"
    assert run(["import", str(BACKBONE), "-o", str(out)]) == 0
    weights = tmp_path / "net.safetensors"
    net = dlc.compile(out, weights=weights, level=0)
    image = np.random.default_rng(1).standard_normal((1, 3, 32, 32)).astype(F)
    want = dlc.compile(BACKBONE, level=0).main(image)
    np.testing.assert_allclose(net.main(image), want, rtol=1e-4, atol=1e-5)
    assert run(["import", str(BACKBONE), "-o", str(out)]) == 2
    assert "--force" in capsys.readouterr().err
    assert run(["import", str(BACKBONE), "-o", str(out), "--force", "--bind", "batch=1"]) == 0
    assert "image: f32[1, 3, 32, 32]" in out.read_text()
    capsys.readouterr()
    assert run(["import", str(BACKBONE), "-o", "-"]) == 0
    assert capsys.readouterr().out.startswith("# backbone, from backbone.onnx: 25 operators.")
    assert run(["import", str(out)]) == 2
    assert run(["import", str(BACKBONE), "-o", str(tmp_path / "net.txt")]) == 2


def test_what_dl_cannot_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything at once, with the operators' places."""
    m = model(
        [
            node("BitwiseAnd", "x y", "a", name="both"), node("BitwiseXor", "a y", "b"),
            node("ConvTranspose", "i k", "c"),
        ],
        [info("x", [3], INT64), info("y", [3], INT64), info("i", [1, 2, 4, 4]),
         info("k", [2, 2, 3, 3])],
        [info("b", None), info("c", None)],
    )  # fmt: skip
    path = tmp_path / "m.onnx"
    path.write_bytes(m.SerializeToString())
    with pytest.raises(CompileError) as caught:
        write(import_onnx(path), "m")
    (found,) = caught.value.diagnostics
    assert found.code == "E0714"
    assert found.message.endswith("dl has no words for and, conv_input_grad, xor")
    rows = [line.split("  ") for line in found.notes[0].splitlines()]
    assert [r[0].strip() for r in rows] == ["operation", "and", "conv_input_grad", "xor"]
    assert "main/BitwiseAnd_0, BitwiseAnd-18" in found.notes[0]
    assert rows[1][-1].strip() == "bits of whole numbers"
    assert run(["import", str(path), "-o", str(tmp_path / "m.dl")]) == 1
    assert "E0714" in capsys.readouterr().err
    assert not (tmp_path / "m.dl").exists()


def test_names_of_keywords_and_builtins() -> None:
    names = Names()
    assert [names.fresh(n) for n in ("for", "sum", "f32", "x", "x", "/a/b", "9", "_", "é")] == [
        "for_2", "sum_2", "f32_2", "x", "x_2", "a_b", "x9", "v", "v_2",
    ]  # fmt: skip
    m = model(
        [node("Add", "sum fn", "while"), node("Mul", "while while", "return")],
        [info("sum", ["for"]), info("fn", ["for"])], [info("return", None)],
    )  # fmt: skip
    x = np.arange(3, dtype=F)
    same(import_onnx(m.SerializeToString()), [x, x])


@pytest.mark.parametrize(
    ("x", "d", "text"),
    [
        (0.1, F32, "0.1"), (-2.0, F32, "-2.0"), (1e-7, F32, "1e-07"), (3, I32, "3"),
        (-3, I64, "i64(-3)"), (0.5, F16, "f16(0.5)"), (0.1, F64, "f64(0.1)"),
        (float("inf"), F32, "1.0 / 0.0"), (float("nan"), F64, "f64(0.0 / 0.0)"),
    ],
)  # fmt: skip
def test_numbers(x: Any, d: Any, text: str) -> None:
    assert number(d.numpy.type(x), d).text == text


def test_constants_of_every_size() -> None:
    assert array(np.array([[1, 2], [3, 4]], np.int64), I64).text == "i64([[1, 2], [3, 4]])"
    assert array(np.array([1 << 40, -1]), I64).text == "[i64(1099511627776), i64(-1)]"
    big = np.random.default_rng(0).standard_normal(9).astype(F)
    m = model(
        [node("Add", "x c", "y"), node("Add", "y d", "z")], [info("x", [1])], [info("z", None)],
        {"c": big, "d": np.array([np.inf, -np.inf, 1e38] * 3, F)},
    )  # fmt: skip
    same(import_onnx(m.SerializeToString()), [np.ones(1, F)])


def test_control_flow_reads_as_such() -> None:
    """A loop with a condition, a branch that assigns, a value used inside and after."""
    half = helper.make_graph([node("Mul", "s h", "t")], "then", [], [info("t", [2])])
    other = helper.make_graph([node("Identity", "s", "u")], "else", [], [info("u", [2])])
    body = helper.make_graph(
        [
            node("ReduceSum", "s", "r", keepdims=0), node("Greater", "r h", "big"),
            node("If", "big", "n", then_branch=half, else_branch=other),
            node("Identity", "big", "again"),
        ],
        "body", [info("i", [], INT64), info("c", [], TensorProto.BOOL), info("s", [2])],
        [info("again", [], TensorProto.BOOL), info("n", [2])],
    )  # fmt: skip
    m = model(
        [node("Loop", "trips go x", "y", body=body)], [info("x", [2]), info("trips", [], INT64)],
        [info("y", None)], {"go": np.array(True), "h": np.array(0.5, F)},
    )  # fmt: skip
    net = import_onnx(m.SerializeToString())
    text = write(net, "m").text
    assert "break" in text and "else:" in text
    for trips in (0, 1, 9):
        for target in ("evaluate", "cpu"):
            same(net, [np.array([1, 2], F), np.int64(trips)], target=target)
