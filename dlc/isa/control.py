"""What an instruction does to control and to the frame, read off its `do`: the verifier knows no
instruction by name."""

from __future__ import annotations

from dlc.isa import terms as t
from dlc.isa.model import Control, Instruction

_PC, _SP = t.Special("pc"), t.Special("sp")


def control_of(instruction: Instruction) -> Control:
    """The control facts of an instruction.

    Raises ValueError where `do` changes pc or sp in a way that no rule covers.
    """
    stmts = tuple(t.statements(instruction.body))
    assigned = [stmt for stmt in stmts if isinstance(stmt, t.Assign)]
    pushes_return = any(
        isinstance(a.place, t.Word) and a.value == t.Binary("+", _PC, t.Int(1)) for a in assigned
    )
    falls, target, returns, table = True, None, False, None
    for stmt in assigned:
        if stmt.place == _PC:
            falls = False
            for leaf in _leaves(stmt.value):
                if leaf == t.Binary("+", _PC, t.Int(1)):
                    falls = True
                elif isinstance(leaf, t.Word):
                    returns = True
                elif (
                    isinstance(leaf, t.Binary)
                    and leaf.left == _PC
                    and isinstance(leaf.right, t.Operand)
                ):
                    target = leaf.right.name
                elif (
                    isinstance(leaf, t.Binary)
                    and leaf.left == t.Binary("+", _PC, t.Int(1))
                    and isinstance(leaf.right, t.Register)
                ):
                    table = _table_size(instruction, leaf.right)
                else:
                    raise ValueError(
                        f"`{instruction.mnemonic}` sets pc in a way that can't be followed"
                    )
    if any(isinstance(stmt, t.Effect) and stmt.name == "halt" for stmt in stmts) or _always_traps(
        instruction
    ):
        falls = False
    grows, shrinks = _frame(instruction, assigned)
    slots = [
        w
        for stmt in stmts
        for term in t.statement_terms(stmt)
        for w in t.walk(term)
        if isinstance(w, t.Word) and w.space == "STACK"
    ]
    named = [
        w.index.right.name
        for w in slots
        if isinstance(w.index, t.Binary) and isinstance(w.index.right, t.Operand)
    ]
    return Control(
        falls or pushes_return,
        target,
        pushes_return,
        returns,
        table,
        grows,
        shrinks,
        named[0] if named else None,
    )


def _leaves(value: t.Expr) -> list[t.Expr]:
    if isinstance(value, t.Choice):
        return [*_leaves(value.yes), *_leaves(value.no)]
    return [value]


def _table_size(instruction: Instruction, register: t.Register) -> str:
    """The operand below which a trap keeps the register."""
    for trap in instruction.traps:
        for part in t.walk(trap.when):
            if (
                isinstance(part, t.Compare)
                and part.op == ">="
                and part.left == register
                and isinstance(part.right, t.Operand)
            ):
                return part.right.name
    raise ValueError(f"`{instruction.mnemonic}` goes to a word that nothing bounds")


def _always_traps(instruction: Instruction) -> bool:
    return any(
        isinstance(w := trap.when, t.Compare) and w.op == "==" and w.left == w.right
        for trap in instruction.traps
    )


def _frame(instruction: Instruction, assigned: list[t.Assign]) -> tuple[str | None, str | None]:
    grows: str | None = None
    shrinks: str | None = None
    for stmt in assigned:
        if stmt.place != _SP or not isinstance(stmt.value, t.Binary) or stmt.value.left != _SP:
            if stmt.place == _SP:
                raise ValueError(
                    f"`{instruction.mnemonic}` sets sp in a way that can't be followed"
                )
            continue
        if isinstance(stmt.value.right, t.Operand):
            if stmt.value.op == "-":
                grows = stmt.value.right.name
            else:
                shrinks = stmt.value.right.name
    return grows, shrinks
