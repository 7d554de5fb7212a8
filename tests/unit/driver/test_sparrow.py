"""The accelerator as a target of the driver: presets, options, files of an artefact."""

from __future__ import annotations

from typing import Any

import pytest

import dlc
from dlc.diag import CompileError
from dlc.driver.options import Options
from dlc.driver.sparrow import preset_of, refuse_options


def code_of(e: pytest.ExceptionInfo[CompileError]) -> str:
    return e.value.diagnostics[0].code


def test_targets_and_presets() -> None:
    assert [preset_of(t) for t in ("sparrow", "sparrow:eie64", "cpu")] == ["sparrow", "eie64", None]
    source = "export fn f(x: f32) -> f32:\n    return x\n"
    for target, code in (("gpu", "E0605"), ("sparrow:eie65", "E0810"), ("sparrow:", "E0810")):
        with pytest.raises(CompileError) as e:
            dlc.compile(source, target)
        assert code_of(e) == code


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"triple": "wasm32"}, "triple"),
        ({"cpu": "haswell"}, "cpu"),
        ({"features": "+avx2"}, "features"),
        ({"poison": True}, "poison"),
    ],
)
def test_options_of_the_cpu(given: dict[str, Any], named: str) -> None:
    with pytest.raises(CompileError) as e:
        refuse_options(Options(target="sparrow", **given))
    assert code_of(e) == "E0650" and f"`{named}`" in e.value.diagnostics[0].message
    refuse_options(Options(target="sparrow"))
