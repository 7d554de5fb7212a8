"""What an instruction's clauses must agree on, beyond names and types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from dlc.isa import terms as t
from dlc.isa.derive import accesses, clause_terms
from dlc.isa.elaborate import Names, Refusal
from dlc.isa.model import Instruction, OperandKind, PlaceName, TrapWhen

HOLE = re.compile(r"\{(\w+)\}")


def resolve_places(
    instruction: Instruction,
    reads: frozenset[PlaceName],
    writes: frozenset[PlaceName],
    names: Names,
) -> None:
    """`reads` and `writes` must say exactly what `do` and the other clauses do."""
    for what, declared, actual in (
        ("reads", instruction.reads, reads),
        ("writes", instruction.writes, writes),
    ):
        for place in declared:
            known = place.base in (*"rfTWQ", *names.specials, *names.spaces)
            if not known or (
                place.operand is not None
                and place.operand not in {f.name for f in instruction.fields}
            ):
                raise Refusal(f"`{what} {place}` names no place")
        if len(set(declared)) != len(declared):
            raise Refusal(f"`{what}` names a place twice")
        missing = sorted(str(place) for place in actual - set(declared))
        idle = sorted(str(place) for place in set(declared) - actual)
        if missing:
            raise Refusal(f"it {what} {', '.join(missing)}, which isn't declared")
        if idle:
            raise Refusal(f"it is declared that it {what} {', '.join(idle)}, but it doesn't")


def check_instruction(
    instruction: Instruction, names: Names, kinds: Mapping[str, OperandKind]
) -> None:
    """Assembly, operands, order of reads and writes, divisors, axes and order of traps."""
    _check_assembly(instruction)
    _check_used(instruction)
    _check_order(instruction)
    _check_spaces(instruction, names)
    _check_divisors(instruction)
    _check_axes(instruction)
    _check_traps(instruction)


def _check_assembly(instruction: Instruction) -> None:
    holes = HOLE.findall(instruction.assembly)
    operands = [field.name for field in instruction.operands]
    if instruction.assembly.split(" ")[0] != instruction.mnemonic:
        raise Refusal(f"the assembly text must begin with `{instruction.mnemonic}`")
    if sorted(holes) != sorted(str(name) for name in operands):
        raise Refusal(
            f"the assembly text names {', '.join(holes) or 'nothing'}; the word holds "
            f"{', '.join(map(str, operands)) or 'nothing'}"
        )


def _terms(instruction: Instruction) -> Iterator[t.Term]:
    for stmt in t.statements(instruction.body):
        yield from t.statement_terms(stmt)
    yield from clause_terms(instruction.counts, instruction.work, instruction.traps)


def _check_used(instruction: Instruction) -> None:
    used: set[str] = set()
    for term in _terms(instruction):
        for part in t.walk(term):
            match part:
                case t.Operand(name=name):
                    used.add(name)
                case (
                    t.Register(operand=name)
                    | t.Ref(operand=name)
                    | t.Element(operand=name)
                    | t.Match(operand=name)
                ):
                    used.add(name)
                case _:
                    pass
    for field in instruction.operands:
        if field.name not in used:
            raise Refusal(f"the operand `{field.name}` is never used")


def _check_order(instruction: Instruction) -> None:
    """A register may be the one that was just written: none is read after a write of its file, and
    none is written in a loop."""
    written: set[str] = set()

    def visit(block: tuple[t.Stmt, ...], looped: bool) -> None:
        for stmt in block:
            for term in t.statement_terms(stmt):
                if isinstance(stmt, t.Assign) and term is stmt.place:
                    continue
                for part in t.walk(term):
                    if isinstance(part, t.Register) and part.file in written:
                        raise Refusal(
                            f"{part.file}[{part.operand}] is read after a register of its file "
                            "was written; name it by `let` first"
                        )
            if isinstance(stmt, t.Assign) and isinstance(stmt.place, t.Register):
                if looped:
                    raise Refusal("a register is written in a loop")
                written.add(stmt.place.file)
            if isinstance(stmt, t.Loop | t.When):
                visit(stmt.body, looped or isinstance(stmt, t.Loop))

    visit(instruction.body, False)


def _check_spaces(instruction: Instruction, names: Names) -> None:
    """Words of a space and data of tensors can't be told apart by overlap checks, so they don't
    meet in one instruction."""
    words = {
        p.place.space
        for p in t.statements(instruction.body)
        if isinstance(p, t.Assign) and isinstance(p.place, t.Word)
    }
    for space in words:
        if names.spaces[space] == "readonly":
            raise Refusal(f"it writes words of {space}, which can't be written")
        if names.spaces[space] != "lifo" and accesses(instruction.body):
            raise Refusal(f"it writes words of {space} and uses tensors")


def _is_positive(term: t.Term) -> bool:
    match term:
        case t.Int(value=value):
            return value > 0
        case t.Call(name="max", args=args):
            return any(_is_positive(arg) for arg in args)
        case t.Call(name="shl", args=(t.Int(value=value), t.Int(value=by))):
            return value > 0 and 0 <= by and value << by < 1 << 63
        case _:
            return False


def _check_divisors(instruction: Instruction) -> None:
    zero_tests = {
        part.left
        for trap in instruction.traps
        for part in t.walk(trap.when)
        if isinstance(part, t.Compare) and part.op == "==" and part.right == t.Int(0)
    }
    for term in _terms(instruction):
        for part in t.walk(term):
            if (
                isinstance(part, t.Binary)
                and part.op in ("//", "%")
                and not _is_positive(part.right)
                and part.right not in zero_tests
            ):
                raise Refusal("a divisor may be 0: no trap tests it")


def _check_axes(instruction: Instruction) -> None:
    for term in _terms(instruction):
        for part in t.walk(term):
            match part:
                case t.Call(name="dim", args=(t.Ref(operand=operand), t.Int(value=axis))):
                    tensor = instruction.tensor(operand)
                    if not 0 <= axis < 4 or (
                        tensor is not None and tensor.rank is not None and axis >= tensor.rank
                    ):
                        raise Refusal(
                            f"T[{operand}] has no axis {axis}: `do` gives it "
                            f"{tensor.rank if tensor else 4} indices"
                        )
                case t.Element(operand=operand, indices=indices) if len(indices) > 4:
                    raise Refusal(f"T[{operand}] has more than 4 indices")
                case _:
                    pass


def _check_traps(instruction: Instruction) -> None:
    """Conditions that take time come after those that don't: only then is the order of traps the
    order of the text."""
    slow: TrapWhen | None = None
    for trap in instruction.traps:
        if any(isinstance(part, t.Quantifier | t.Fold) for part in t.walk(trap.when)):
            slow = trap
        elif slow is not None:
            raise Refusal(
                f"the trap `{trap.trap}` is tested in one step, so it belongs before "
                f"`{slow.trap}`, which isn't"
            )


def check_templates(
    instruction: Instruction, instructions: Mapping[str, Instruction]
) -> Iterator[str]:
    """What is wrong with the adjoint templates; they may name any instruction."""
    names = {str(field.name) for field in instruction.operands}
    for adjoint in instruction.adjoints:
        field = next((f for f in instruction.operands if f.name == adjoint.operand), None)
        if field is None or field.kind is None or field.kind.of != adjoint.file:
            yield f"the adjoint of {adjoint.file}[{adjoint.operand}] is of no operand"
            continue
        for line in adjoint.template.split(";"):
            mnemonic, _, rest = line.strip().partition(" ")
            target = instructions.get(mnemonic)
            if target is None:
                yield f"its adjoint names `{mnemonic}`, which is no instruction"
                continue
            given = [word.strip() for word in rest.split(",")] if rest else []
            if len(given) != len(target.operands):
                yield (
                    f"its adjoint gives `{mnemonic}` {len(given)} operands; it takes "
                    f"{len(target.operands)}"
                )
            for word in given:
                hole = HOLE.fullmatch(word)
                if hole and hole[1] not in names and hole[1].removeprefix("d") not in names:
                    yield f"its adjoint names {word}, which is no operand nor the cotangent of one"
