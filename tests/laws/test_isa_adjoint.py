"""Adjoint templates: ⟨do(x + e) - do(x), dd⟩ = ⟨adjoint(dd), e⟩ for every operand that has one,
on random cases of the laws."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tests.laws.isa_laws_dense
import tests.laws.isa_laws_elements
import tests.laws.isa_laws_events
import tests.laws.isa_laws_graphs
import tests.laws.isa_laws_scalars  # noqa: F401
from dlc.isa.layout import D, E
from dlc.isa.model import Adjoint
from dlc.isa.project import load_isa
from dlc.isa.state import State
from tests.laws.isa_lab import Array, Case, Outcome, lay_out, perform
from tests.laws.isa_numpy import LAWS

ISA = load_isa()
ADJOINTS = [(i.mnemonic, k) for i in ISA.instructions.values() for k in range(len(i.adjoints))]


def result_of(case: Case) -> str:
    """The operand that the instruction writes."""
    return next(str(p.operand) for p in ISA.instructions[case.mnemonic].writes if p.base == "T")


def values(case: Case, adjoint: Adjoint) -> Array:
    """The numbers that an adjoint is about, flat."""
    if adjoint.file == "T":
        return case.tensors[adjoint.operand].astype(np.float64).ravel()
    if adjoint.file == "Q":
        return np.array([v for _, v in case.queues[adjoint.operand]])
    dense = case.matrices[adjoint.operand]
    return dense.T[dense.T != 0].astype(np.float64)


def moved(case: Case, adjoint: Adjoint, e: Array) -> Case:
    """The case with the numbers of an operand moved by `e`."""
    tensors, matrices, queues = dict(case.tensors), dict(case.matrices), dict(case.queues)
    now = values(case, adjoint) + e
    if adjoint.file == "T":
        tensors[adjoint.operand] = now.reshape(tensors[adjoint.operand].shape).astype(np.float32)
    elif adjoint.file == "Q":
        indices = [i for i, _ in queues[adjoint.operand]]
        queues[adjoint.operand] = [(i, float(v)) for i, v in zip(indices, now, strict=True)]
    else:
        dense = matrices[adjoint.operand].copy()
        dense.T[dense.T != 0] = now
        matrices[adjoint.operand] = dense
    return Case(
        case.mnemonic,
        tensors,
        matrices,
        queues,
        case.integers,
        case.floats,
        case.immediates,
        case.dtypes,
    )


def cotangent_shape(case: Case, adjoint: Adjoint, dx: str) -> tuple[int, ...]:
    operand = dx.removeprefix("d")
    if operand in case.tensors:
        return case.tensors[operand].shape
    if operand in case.matrices:
        return (int(np.count_nonzero(case.matrices[operand])),)
    return (
        next(iter(case.matrices.values())).shape[1]
        if case.matrices
        else case.tensors["a"].shape[0],
    )


def apply_adjoint(case: Case, adjoint: Adjoint, dd: Array) -> Array:
    """Run the template's instruction with zeroed cotangents; the cotangent of the operand, flat."""
    mnemonic, _, rest = adjoint.template.partition(" ")
    holes = [h.strip()[1:-1] for h in rest.split(",")]
    instruction = ISA.instructions[mnemonic]
    order = re.findall(r"\{(\w+)\}", instruction.assembly)
    target = f"d{adjoint.operand}"
    tensors = {"dd": dd, target: np.zeros(cotangent_shape(case, adjoint, target), np.float32)}
    whole = Case(
        case.mnemonic,
        {**case.tensors, **tensors},
        case.matrices,
        case.queues,
        case.integers,
        case.floats,
        case.immediates,
    )
    state, numbers = lay_out(whole, ISA)
    given = {name: numbers[hole] for name, hole in zip(order, holes, strict=True)}
    found = perform(Case(mnemonic), "reference", state, given)
    assert found.status == 0, (adjoint, ISA.traps[found.status - 1].name)
    cotangent = Outcome(0, state, numbers).tensor(target).ravel()
    if adjoint.file != "Q":
        return cotangent
    return cotangent[[i for i, _ in case.queues[adjoint.operand]]]


def tensor_after(case: Case) -> Array:
    found = perform(case, "reference")
    assert found.status == 0
    return found.tensor(result_of(case)).astype(np.float64)


@pytest.mark.parametrize("mnemonic, k", ADJOINTS)
def test_adjoint(mnemonic: str, k: int) -> None:
    adjoint = ISA.instructions[mnemonic].adjoints[k]
    for turn in range(3):
        rng = np.random.default_rng([turn, k])
        case, _ = LAWS[mnemonic][0](rng)
        if any(d == "bf16" for d in case.dtypes.values()):
            continue
        dd = rng.standard_normal(case.tensors[result_of(case)].shape).astype(np.float32)
        e = rng.standard_normal(values(case, adjoint).shape)
        change = ((tensor_after(moved(case, adjoint, e)) - tensor_after(case)) * dd).sum()
        dot = (apply_adjoint(case, adjoint, dd) * e).sum()
        assert abs(change - dot) <= 1e-4 * (1 + abs(change)), (change, dot)


def test_there_are_adjoints_of_every_linear_product() -> None:
    having = {mnemonic for mnemonic, _ in ADJOINTS}
    assert {
        "mv",
        "mvt",
        "outer",
        "conv",
        "conv.dx",
        "conv.dw",
        "ev.mv",
        "ev.rows",
        "gather",
        "scatter.add",
        "ev.keep",
        "t.copy",
    } <= having


def test_states_are_laid_out_as_asked() -> None:
    state: State
    state, numbers = lay_out(
        Case("ev.mv", {"d": np.arange(3.0)}, {"a": np.eye(3)}, {"b": [(2, 1.5)]}), ISA
    )
    assert state.Q[numbers["b"], E.LENGTH] == 1 and state.T[numbers["d"], D.SIZE] == 3
