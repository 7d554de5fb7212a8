"""Every instruction that computes has laws in numpy, and both machines keep them."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

import tests.laws.isa_laws_dense
import tests.laws.isa_laws_elements
import tests.laws.isa_laws_events
import tests.laws.isa_laws_graphs
import tests.laws.isa_laws_scalars  # noqa: F401
from dlc.isa.machine import Engine
from dlc.isa.project import load_isa
from tests.laws.isa_lab import perform
from tests.laws.isa_numpy import LAWS

ELSEWHERE = (
    # control, frames, DRAM, heap: tests/unit/isa/test_machine.py, the differential tests
    "halt trap assert wait jmp beq bne blt bge jtab call ret enter leave lds sts flds fsts",
    "ld st fld fst alloc mark release",
    # descriptors: tests/unit/isa/test_descriptors.py
    "w.const td.const td.at td.row td.slice td.view td.perm",
    # residuals: test_isa_machines.py
    "tp.push tp.pop tp.pusht tp.popt tp.pushi tp.popi tp.pushn tp.popn",
)


def test_every_instruction_has_a_law() -> None:
    elsewhere = {name for names in ELSEWHERE for name in names.split()}
    assert set(LAWS) | elsewhere == set(load_isa().instructions)


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize("mnemonic", sorted(LAWS))
def test_numpy(mnemonic: str, engine: Engine) -> None:
    for k, law in enumerate(LAWS[mnemonic]):
        for turn in range(3):
            rng = np.random.default_rng([k, turn, zlib.crc32(mnemonic.encode())])
            case, expected = law(rng)
            found = perform(case, engine)
            assert found.status == 0, (case, load_isa().traps[found.status - 1].name)
            tolerance = 0 if expected.exact else 1e-5
            for name, value in expected.tensors.items():
                np.testing.assert_allclose(
                    found.tensor(name), value, tolerance, tolerance, err_msg=f"{case}"
                )
            for name, real in expected.reals.items():
                np.testing.assert_allclose(
                    found.real(name), real, tolerance, tolerance, err_msg=f"{case}"
                )
            for name, integer in expected.integers.items():
                assert found.integer(name) == integer, case
            for name, events in expected.queues.items():
                got = found.queue(name)
                assert [i for i, _ in got] == [i for i, _ in events], case
                np.testing.assert_array_equal(
                    [v for _, v in got], np.float32([v for _, v in events])
                )
