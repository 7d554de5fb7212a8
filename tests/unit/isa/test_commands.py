"""What `asm`, `dis` and `sim` stand on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dlc.diag import CompileError
from dlc.isa.commands import (
    assemble_text,
    disassemble_file,
    load_program,
    program_bytes,
    simulate,
    trap_error,
)
from tests.unit.isa.test_machine import scaled, tree_sum
from tests.unit.isa.test_verify import GOOD


def test_from_text_to_file_and_back(tmp_path: Path) -> None:
    program = assemble_text(GOOD, "good.s")
    (tmp_path / "good.spw").write_bytes(program_bytes(program))
    (tmp_path / "good.s").write_text(disassemble_file(tmp_path / "good.spw"))
    assert load_program(tmp_path / "good.spw") == program == load_program(tmp_path / "good.s")


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "x.s").write_bytes(b"\xff\xfe")
    (tmp_path / "x.spw").write_bytes(b"not a program")
    for name, code in (("none.spw", "E0901"), ("x.s", "E0803"), ("x.spw", "E0805")):
        with pytest.raises(CompileError) as caught:
            load_program(tmp_path / name)
        assert caught.value.diagnostics[0].code == code


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_simulation(engine: str) -> None:
    x = np.ones((3, 2), np.float32)
    arguments = {"x": x, "state": np.zeros(4), "factor": 2.0}
    found = simulate(scaled(), None, arguments, trace=100, engine=engine)  # type: ignore[arg-type]
    assert found.run.done and np.array_equal(found.run.results["y"], 2 * x.ravel())
    assert "cycles" in found.report and "dense twin" in found.report
    events = json.loads(found.trace)["traceEvents"]
    names = [e["name"] for e in events if e["ph"] == "X"]
    assert names[0] == "li" and names[-1] == "halt" and len(names) == 12
    told = json.loads(json.dumps(found.as_json()))
    assert told["sparse"]["cycles"] == found.costs.sparse.cycles and told["results"]["y"][0] == 2


def test_parameters_go_to_symbols() -> None:
    arguments = {"x": np.ones((1, 2)), "state": np.zeros(4), "factor": 1.0}
    assert simulate(scaled(), "scale", arguments, parameters={"state": np.ones(4)}).run.done
    with pytest.raises(CompileError):
        simulate(scaled(), "scale", arguments, parameters={"w": np.ones(4)})


def test_trap_as_a_diagnostic() -> None:
    nodes = np.array([[0, 0, 0]])
    run = simulate(tree_sum(), "total", {"nodes": nodes, "root": 0}).run
    found = trap_error(run).diagnostics[0]
    assert found.code == "E0812" and "trap `stack_overflow`" in found.message


def test_which_entry() -> None:
    with pytest.raises(CompileError) as caught:
        simulate(assemble_text("halt", "x.s"))
    assert caught.value.diagnostics[0].code == "E0809"
