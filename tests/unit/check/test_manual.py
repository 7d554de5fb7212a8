"""The manual of the library: complete, and what `dlc explain` prints."""

from __future__ import annotations

import pytest

from dlc.check.entities import SPECIALS
from dlc.check.manual import explain_entry, find_entries, manual
from dlc.check.special.manual import SPECIAL_ENTRIES
from dlc.diag.statuses import STATUSES, explain_status, find_status
from dlc.targets.cpu.emit.context import STATUS


def test_everything_has_a_signature_and_a_comment() -> None:
    entries = manual()
    assert len(entries) > 300
    for e in entries:
        assert e.comment and e.comment.rstrip()[-1] in ".:", e.full_name
        assert e.text.count("(") == e.text.count(")"), e.full_name
    assert len({(e.full_name, e.text.split()[0] == "model") for e in entries}) == len(entries)


def test_every_builtin_without_a_signature_is_there() -> None:
    assert sorted(s.name for s in SPECIAL_ENTRIES) == sorted(SPECIALS)


def test_comments_of_several_lines_are_one() -> None:
    (gcn,) = find_entries("graph.gcn")
    assert gcn.text == "fn gcn(w: f32[D, F], g: Graph, x: f32[g.nodes, F]) -> f32[g.nodes, D]"
    assert gcn.comment.startswith("y = N (I + A) N x w'") and gcn.comment.endswith("2017).")
    assert "from graph import gcn" in explain_entry(gcn)
    (conv,) = find_entries("conv1d")
    assert conv.text.startswith("fn conv1d[T: float](\n    x: T[groups*C, W],")
    (model,) = find_entries("Linear")
    assert model.text.splitlines()[0] == "model Linear[I, O]:" and len(model.text.splitlines()) == 3
    assert find_entries("nn.softmax") == ()


def test_statuses_are_those_of_native_code() -> None:
    assert tuple(s.name for s in STATUSES) == STATUS


@pytest.mark.parametrize("name", ["bounds", "BOUNDS", "NET_E_BOUNDS"])
def test_a_status_by_its_names(name: str) -> None:
    found = find_status(name)
    assert found is not None and found.name == "bounds"
    assert explain_status(found).startswith("BOUNDS: ")


def test_what_is_no_status() -> None:
    assert find_status("boundary") is None
