"""The accelerator's part of an artefact: to files and the manifest, and back; what is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from dlc.artifact.device import Device, device_of
from dlc.artifact.load import read_artifact
from dlc.artifact.manifest import Manifest
from dlc.artifact.product import Artifact
from dlc.diag import CompileError
from dlc.isa.program import Entry, Given, Port, Program
from dlc.isa.spw import write_program
from dlc.targets.sparrow import (
    Site,
    SparrowEntry,
    SparrowParameter,
    SparrowProgram,
    SparrowResult,
)
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import F32, I64
from dlc.typesys.interface import Interface
from dlc.typesys.types import AdtType, ListType, TensorType
from tests.unit.isa.test_machine import tree_sum

N = Dim.sym("N")
ROW = TensorType(F32, (N, N + N))
ENTRY = SparrowEntry(
    "total",
    ("N",),
    (
        SparrowParameter("t", "in", AdtType("Tree", (N,))),
        SparrowParameter("x", "inout", ROW),
        SparrowParameter("y", "out", TensorType(F32, (N,))),
    ),
    (
        SparrowResult(ROW, parameter=1),
        SparrowResult(TensorType(F32, (N,)), parameter=2),
        SparrowResult(ListType((TensorType(I64), ROW)), cell=0),
    ),
    ("K",),
    1,
)
SITES = (
    Site("bounds", "a.dl", 3, 5, "an index", "r8", "r9"),
    Site("assert", "a.dl", 4, 1, "x is small"),
)


def block_program() -> Program:
    """A program with an entry that takes a block of as many cells as ENTRY says."""
    block = Port("block", "i64", (str(ENTRY.block_cells),), Given(1))
    tree = tree_sum()
    entry = Entry("total", tree.entries[0].start, (), (block,), (block,))
    return replace(tree, entries=(entry,))


def device(program: Program, twin: bool = True) -> Device:
    made = SparrowProgram(
        program, MappingProxyType({"total": ENTRY}), SITES, MappingProxyType({}),
        bounds=MappingProxyType({"total": "recursion"}), weights=frozenset({"m.w", "m.b"}),
    )  # fmt: skip
    return Device(made, replace(made, dense=True) if twin else None, "eie64", True)


def artifact(d: Device) -> Artifact:
    manifest = Manifest(
        name="a.dl", kind="sparrow", dlc="0", prefix="net", number=1, weights_mode="blob",
        machine=None, interface=Interface("a", (), (), (), (), ()), types=MappingProxyType({}),
        sources=(), options=MappingProxyType({}), device=MappingProxyType(d.as_json()),
    )  # fmt: skip
    return Artifact(manifest, MappingProxyType(d.contents()))


@pytest.mark.parametrize("twin", [False, True])
def test_to_disk_and_back(tmp_path: Path, twin: bool) -> None:
    made = device(block_program(), twin)
    artifact(made).publish(tmp_path / "net")
    names = ["net.dense.spw"] if twin else []
    assert sorted(p.name for p in tmp_path.iterdir()) == [*names, "net.manifest.json", "net.spw"]
    found = device_of(read_artifact(tmp_path / "net"))
    assert found == made
    assert (tmp_path / "net.spw").read_bytes() == write_program(block_program())


def test_the_same_device_gives_the_same_manifest() -> None:
    one, other = (artifact(device(block_program())).manifest.text() for _ in range(2))
    assert one == other


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("preset"),
        lambda d: d["program"]["entries"][0].update(name="other"),
        lambda d: d["program"]["entries"][0].update(cells=2),
        lambda d: d["program"]["entries"][0].update(dims=[]),
        lambda d: d["program"]["entries"][0]["parameters"][0].update(mode="by name"),
        lambda d: d["program"]["entries"][0]["parameters"][0].update(type={"is": "Nothing"}),
        lambda d: d["program"]["entries"][0]["results"][0].update(parameter=3),
        lambda d: d["program"]["entries"][0]["results"][2].update(cell=1),
        lambda d: d["program"]["sites"][0].__setitem__(0, "mood"),
        lambda d: d["program"].update(sites=[[1]]),
        lambda d: d.update(twin=[]),
    ],
)
def test_a_manifest_that_does_not_fit(change: Callable[[dict[str, Any]], object]) -> None:
    made = artifact(device(block_program()))
    told = copy.deepcopy(dict(made.manifest.device or {}))
    change(told)
    wrong = replace(made, manifest=replace(made.manifest, device=MappingProxyType(told)))
    with pytest.raises(CompileError) as e:
        device_of(wrong)
    assert e.value.diagnostics[0].code == "E0931"


def test_programs_that_cannot_be_used() -> None:
    made = artifact(device(block_program()))
    with pytest.raises(CompileError) as e:
        device_of(made.with_contents({"program": made.contents["program"][:-1]}))
    assert e.value.diagnostics[0].code == "E0805"
    other = write_program(replace(block_program(), isa="0" * 64))
    with pytest.raises(CompileError) as e:
        device_of(made.with_contents({"program": other}))
    assert e.value.diagnostics[0].code == "E0806"
    with pytest.raises(CompileError) as e:
        device_of(replace(made, contents=MappingProxyType({})))
    assert e.value.diagnostics[0].code == "E0934"
