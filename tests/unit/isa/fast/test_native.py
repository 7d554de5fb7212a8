"""Objects are compiled once, kept whole, and never trusted when they aren't."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from dlc.diag import InternalError
from dlc.isa.fast import native
from dlc.isa.fast.machine import SLICE, fast_machine
from dlc.isa.layout import S
from dlc.isa.machine import Machine
from dlc.isa.project import load_isa
from tests.unit.isa.test_listing import assemble_lines

TEXT = """declare double @exp(double)
define double @twice(double %x) {
  %y = call double @exp(double %x)
  %z = fadd double %y, %y
  ret double %z
}"""


def twice(data: bytes) -> float:
    library = native.Library(data, ("twice",), ("exp",))
    call = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(library.addresses["twice"])
    return float(call(0.0))


def test_compile_and_load() -> None:
    assert twice(native.compile_text(TEXT)) == 2.0


def test_bad_text_is_our_bug() -> None:
    with pytest.raises(InternalError):
        native.compile_text("define i64 @f() { ret i32 0 }")


def test_the_cache_keeps_whole_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLC_CACHE", str(tmp_path / "deep" / "cache"))
    data = native.compile_text(TEXT)
    assert native.cached_object("k") is None
    native.keep_object("k", data)
    found = native.cached_object("k")
    assert found == data and twice(found) == 2.0
    file = tmp_path / "deep" / "cache" / "k.o"
    whole = file.read_bytes()
    for broken in (whole[:-1], whole[:40], b"", whole[:50] + bytes([whole[50] ^ 1]) + whole[51:]):
        file.write_bytes(broken)
        assert native.cached_object("k") is None
    assert [f.name for f in file.parent.iterdir()] == ["k.o"]


def test_no_cache_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLC_CACHE", "")
    native.keep_object("k", b"x")
    assert native.cached_object("k") is None and native.cache_folder() is None
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DLC_CACHE", str(tmp_path / "file"))
    native.keep_object("k", b"x")
    assert native.cached_object("k") is None


def test_fuel_over_many_slices() -> None:
    """A run longer than one native call goes on where the slice ended."""
    lines = ["li r1, #1", "lih r1, r1, #0", "loop:", "addi r2, r2, #1", "bne r2, r3, @loop", "halt"]
    machine = Machine.load(assemble_lines(lines))
    rounds = SLICE // 2 + 1000
    bound = machine.bind("main", {}, 1 << 40)
    machine.state.r[3] = rounds
    assert machine.resume() == 0
    run = machine.outcome(bound, 0, 1 << 40)
    assert run.fuel == 2 * rounds + 3 and machine.state.r[2] == rounds


def test_machines_are_kept() -> None:
    isa = load_isa()
    assert fast_machine(isa) is fast_machine(isa)
    assert S.PC == 0
