"""What the forward halves keep, as text: residual types of samples with the bytes of each field,
with and without `@checkpoint`, at first and second order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dlc.autodiff.expand import differentiate
from dlc.check.program import check_program
from dlc.diag import SourceFile
from dlc.ir.core import Module
from dlc.lower.lowered import lower
from dlc.passes.base import run_passes
from dlc.passes.pipeline import AFTER_AUTODIFF, BEFORE_AUTODIFF
from dlc.typesys.types import AdtType, ListType, TensorType, Type, type_symbols

SAMPLES = Path(__file__).parents[3] / "samples"
LINK = 8
"""Bytes of a reference to an algebraic value or a list."""
DIMS = {"H": 150, "D": 300, "X": 16, "Y": 8, "N": 128, "M": 20, "T": 32, "V": 10_000, "C": 5,
        "Q": 3, "rows": 4, "items": 12}  # fmt: skip
KINDS = ("Res.", "Br.", "Cell.")

SECOND = """
fn slope(m: TreeLSTM, t: Tree, label: i32) -> f32:
    g = grad(loss, wrt=m)(m, t, label)
    return sum(g.wn * g.wn)

export fn second(m: TreeLSTM, t: Tree, label: i32) -> Tangent[TreeLSTM]:
    return grad(slope, wrt=m)(m, t, label)
"""


def source(name: str, mode: str = "", head: str = "", more: str = "") -> str:
    text = (SAMPLES / f"{name}.dl").read_text(encoding="utf-8")
    text = "\n".join(x for x in text.splitlines() if not x.startswith("@checkpoint")) + "\n"
    return (text.replace(head, f"@checkpoint({mode})\n{head}") if mode else text) + more


def differentiated(text: str) -> Module:
    module = lower(check_program(SourceFile("sample.dl", text))).module
    module, _ = run_passes(module, BEFORE_AUTODIFF)
    return differentiate(module)


def size(t: Type) -> int:
    if isinstance(t, TensorType):
        env = {d: DIMS[d.rsplit(".", 1)[-1]] for d in type_symbols(t)}
        return t.dtype.bytes * t.size.evaluate(env)
    return LINK


def described(t: Type) -> str:
    if isinstance(t, ListType):
        return f"{t} ({sum(map(size, t.columns))} bytes a turn)"
    return str(t) if isinstance(t, AdtType) else f"{t} ({size(t)} bytes)"


def summary(fields: list[Type]) -> str:
    counts: dict[str, int] = {}
    for t in fields:
        counts[described(t)] = counts.get(described(t), 0) + 1
    return ", ".join(f"{n} x {t}" if n > 1 else t for t, n in counts.items()) or "nothing"


def residuals(module: Module, primal: Mapping[str, int]) -> str:
    """The residual types, and what `.fwd` functions return beyond the results of theirs."""
    lines: list[str] = []
    for name, f in module.functions.items():
        if name.endswith(".fwd"):
            base = module.functions.get(name.removesuffix(".fwd"))
            n = len(base.result_types) if base else primal.get(name, 0)
            lines.append(f"{name}: {summary(list(f.result_types[n:]))}")
    for name, decl in module.types.items():
        if name.startswith(KINDS):
            for c in decl.constructors:
                types = [f.type for f in c.fields]
                lines.append(f"{name}.{c.name}: {sum(map(size, types))} bytes: {summary(types)}")
    return "\n".join(lines) + "\n"


CASES: dict[str, tuple[str, dict[str, int]]] = {
    "treelstm": (source("treelstm"), {}),
    "treelstm_again": (source("treelstm", "none", "fn encode"), {}),
    "energy": (source("energy"), {}),
    "energy_none": (source("energy", "none", "fn loss"), {}),
    "energy_sqrt": (source("energy", "sqrt", "export fn infer"), {"infer.chunk1.again.fwd": 2}),
    "memory_nets": (source("memory_nets"), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_residuals(name: str, golden: Callable[[str, str], None]) -> None:
    text, primal = CASES[name]
    golden(f"{name}.residuals.txt", residuals(differentiated(text), primal))


def bytes_of(module: Module, constructor: str) -> int:
    kind, _, case = constructor.rpartition(".")
    return sum(size(f.type) for f in module.types[kind].constructor(case).fields)


def test_tree_lstm_keeps_what_a_hand_written_record_would() -> None:
    """An inner node: the gates, the cell, its tanh, both children's states and links; a leaf less.
    Nothing of the weights, nothing twice."""
    module = differentiated(source("treelstm"))
    h = 4 * DIMS["H"]
    assert bytes_of(module, "Br.encode.1.b1") == 10 * h + 2 * LINK == 6016
    assert bytes_of(module, "Br.encode.1.b0") == 4 * h + 4 == 2404


def test_second_order_keeps_its_own_values_only() -> None:
    """The first order's residuals are taken from its record again, not copied into the second's."""
    module = differentiated(source("treelstm", more=SECOND))
    names = [n for n in module.types if n.startswith("Br.encode.bwd")]
    worst = max(
        bytes_of(module, f"{n}.{c.name}") for n in names for c in module.types[n].constructors
    )
    assert worst <= 7216
    assert not [n for n in module.functions if ".v2" in n], "one variant a function is enough"


def test_nothing_kept_is_unused() -> None:
    """Residuals are made on demand: dead-code elimination finds none to drop."""
    for text, _ in CASES.values():
        module = differentiated(text)
        after, _ = run_passes(module, AFTER_AUTODIFF)
        for name in (n for n in module.types if n.startswith(KINDS)):
            if name in after.types:
                assert after.types[name] == module.types[name], name
