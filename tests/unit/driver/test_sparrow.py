"""The accelerator as a target of the driver: presets, options, files of an artefact."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
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


def test_the_same_bytes_whatever_the_hash_seed() -> None:
    program = (
        "import dlc, hashlib, numpy as np\n"
        "w = {'w': np.eye(8, 6, dtype='f'), 'b': np.zeros(8, 'f'), 'v': np.ones((2, 8), 'f')}\n"
        "for made in (\n"
        "    dlc.build('samples/treelstm.dl', 'sparrow', bind={'V': 10, 'D': 4, 'H': 3, 'C': 2}),\n"
        "    dlc.compile('samples/sparrow/mlp.dl', 'sparrow', weights=w, weights_mode='embed'),\n"
        "):\n"
        "    data = b''.join(made.artifact.contents.values())\n"
        "    text = made.artifact.manifest.text().encode()\n"
        "    print(len(made.artifact.contents), hashlib.sha256(text + data).hexdigest())\n"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program], cwd=Path(__file__).parents[3],
            env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }  # fmt: skip
    assert len(seen) == 1 and next(iter(seen)).splitlines()[1].startswith("3 ")
