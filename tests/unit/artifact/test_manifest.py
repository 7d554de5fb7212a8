"""Manifests go through JSON unchanged; files that are not what the manifest says are refused."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from dlc.artifact.load import read_artifact
from dlc.artifact.manifest import Machine, read_manifest
from dlc.artifact.product import Artifact
from dlc.artifact.python.net import Net
from dlc.diag import CompileError
from dlc.driver.build import Program, build, with_roles
from dlc.driver.options import Options
from tests.unit.artifact.zoo import INTERFACE, MODULE


def made(target: str = "evaluate", **options: Any) -> Artifact:
    o = Options(target=target, **options)  # type: ignore[arg-type]
    return build(Program("zoo", MODULE, INTERFACE, sources=(("zoo.dl", "ab" * 32),)), o).artifact


@pytest.fixture(scope="module")
def native() -> Artifact:
    return made("cpu", level=1)


def code(caught: pytest.ExceptionInfo[CompileError]) -> str:
    return caught.value.diagnostics[0].code


def test_round_trip(native: Artifact) -> None:
    for a in (native, made()):
        again = read_manifest(a.manifest.text(), "m")
        assert again == a.manifest
        assert again.text() == a.manifest.text()


def test_what_a_manifest_says(native: Artifact) -> None:
    x = json.loads(native.manifest.text())
    entries = {e["name"]: e for e in x["entries"]}
    assert entries["linear"]["symbol"] == "net_linear"
    assert entries["linear"]["dims"] == {"m.O": "the model", "m.I": "the model"}
    assert entries["linear"]["constraints"] == ["x, axis 0 == m.I"]
    assert entries["inflow"]["dims"] == {"N": "g, nodes", "A": "g, arcs", "F": "x, axis 1"}
    assert entries["rows"]["dims"]["R"] == "s, rows == R+1"
    assert entries["scale"]["parameters"][0] == {
        "name": "x", "type": "f32[N]", "mut": True, "set": None,
    }  # fmt: skip
    assert entries["linear"]["memory"] == {
        "kind": "exact", "formula": "0", "bytes": None, "reason": None,
    }  # fmt: skip
    assert entries["longer"]["memory"]["formula"] == "(chunks(len.xs+1, 4) - chunks(len.xs, 4))"
    assert entries["mirror"]["memory"] == {
        "kind": "unbounded", "formula": None, "bytes": None,
        "reason": "a result is a tree, or holds some",
    }  # fmt: skip
    assert x["weights"]["table"][0] == {
        "name": "m.w", "dtype": "f32", "shape": ["m.O", "m.I"],
    }  # fmt: skip
    assert x["source"]["files"] == [{"name": "zoo.dl", "sha256": "ab" * 32}]


def test_the_same_input_gives_the_same_bytes(native: Artifact) -> None:
    again = made("cpu", level=1)
    assert again.manifest.text() == native.manifest.text()
    assert dict(again.contents) == dict(native.contents)


def test_malformed_manifests() -> None:
    text = made().manifest.text()
    rng = random.Random(3)
    whole = json.loads(text)
    cases = ["", "[]", "{}", '{"format": "dlc-artifact"}', "[" * 100_000, text[:500]]
    cases += [json.dumps({**whole, key: bad}) for key in whole for bad in (None, [], {}, 7, "x")]
    for _ in range(150):
        at = rng.randrange(len(text))
        cases.append(text[:at] + rng.choice('{}[]",:0a\\') + text[at + rng.randrange(3) :])
    for bad in cases:
        try:
            read_manifest(bad, "m")
        except CompileError as e:
            assert e.diagnostics[0].code == "E0931"


def test_a_file_outside_the_folder_is_refused() -> None:
    x = json.loads(made().manifest.text())
    x["files"] = {"../secret": {"role": "ir", "bytes": 0, "sha256": ""}}
    with pytest.raises(CompileError, match="outside the artefact's folder"):
        read_manifest(json.dumps(x), "m")


def test_changed_and_missing_files(tmp_path: Path) -> None:
    made().publish(tmp_path / "zoo")
    assert Net(read_artifact(tmp_path / "zoo")).upto(2) == [0, 1]
    (tmp_path / "zoo.ir").write_text("nothing")
    with pytest.raises(CompileError) as caught:
        read_artifact(tmp_path / "zoo")
    assert code(caught) == "E0932"
    (tmp_path / "zoo.ir").unlink()
    with pytest.raises(CompileError) as caught:
        read_artifact(tmp_path / "zoo")
    assert code(caught) == "E0901"
    with pytest.raises(CompileError, match="cannot read"):
        read_artifact(tmp_path / "nothing")


def test_code_of_another_machine(native: Artifact) -> None:
    from dataclasses import replace

    m = native.manifest
    assert m.machine is not None
    for machine, why in (
        (Machine("aarch64-unknown-linux-gnu", "generic", ""), "cannot run on"),
        (replace(m.machine, features=m.machine.features + ",+nofeature"), "needs nofeature"),
    ):
        with pytest.raises(CompileError, match=why) as caught:
            Net(replace(native, manifest=replace(m, machine=machine)))
        assert code(caught) == "E0933"


def test_without_code(native: Artifact) -> None:
    from dataclasses import replace

    with pytest.raises(CompileError) as caught:
        Net(replace(native, contents={}))
    assert code(caught) == "E0934"


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler to link with")
def test_a_shared_library_is_enough(native: Artifact, tmp_path: Path) -> None:
    from dataclasses import replace

    linked = with_roles(native, ["shared", "static"], "zoo")
    assert linked.contents["static"][:8] == b"!<arch>\n"
    again = with_roles(native, ["shared", "static"], "zoo")
    assert dict(again.contents) == dict(linked.contents)
    alone = replace(linked, contents={"shared": linked.contents["shared"]})
    alone.publish(tmp_path / "zoo")
    net = Net(read_artifact(tmp_path / "zoo"))
    assert net.upto(3) == [0, 1, 2]


def test_no_linker(native: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlc.artifact import link

    monkeypatch.setattr(link, "_compiler", lambda: None)
    monkeypatch.setattr(link, "_lld", lambda _: None)
    with pytest.raises(CompileError, match="no linker") as caught:
        with_roles(native, ["shared"], "zoo")
    assert code(caught) == "E0940"
    assert "dlc[link]" in caught.value.diagnostics[0].helps[0].text


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler to link with")
def test_the_linker_fails(native: Artifact) -> None:
    from dataclasses import replace

    broken = replace(native, contents={**native.contents, "object": b"no object"})
    with pytest.raises(CompileError, match="the linker failed") as caught:
        with_roles(broken, ["shared"], "zoo")
    assert code(caught) == "E0941"


# -- the page that describes it

PAGE = Path(__file__).parents[3] / "docs" / "manifest.md"
OPEN = ("options", "device", "files", "places", "interface", "entries[].dims", "weights.dims")
"""Objects whose keys are names of the program or are not described one by one."""


def keys(x: Any, at: str = "") -> set[str]:
    if isinstance(x, list):
        return {k for y in x for k in keys(y, f"{at}[]")}
    if not isinstance(x, dict) or at in OPEN:
        return set()
    inner = [(f"{at}.{name}".lstrip("."), y) for name, y in x.items()]
    return {k for k, _ in inner} | {k for path, y in inner for k in keys(y, path)}


def test_the_page_describes_every_key(native: Artifact) -> None:
    net = Net(native)
    net.init(3, O=3, I=2)
    with_weights = net._with_weights().manifest.text()
    found = {k for text in (with_weights, made().manifest.text()) for k in keys(json.loads(text))}
    text = PAGE.read_text()
    described = {
        k
        for line in text.splitlines()
        if line.startswith("| `")
        for k in line.split("|")[1].replace("`", "").replace(" ", "").split(",")
    }
    described |= {k.rpartition(".")[0].removesuffix("[]") for k in described if "." in k}
    described |= {k.removesuffix("[]") for k in described} | {"abi", "source", "target"}
    assert found - described == set()
    assert {k for k in described - found if "device" not in k and not k.endswith("[]")} == set()
