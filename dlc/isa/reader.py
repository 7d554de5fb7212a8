"""The files of `isa/` to one `Isa`: declarations first, then every instruction elaborated, derived
from and proof-read.

Nothing is cached here beyond one process; `dlc.isa.load` keeps the project's own ISA.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal, TypeAlias, TypeVar, cast

from lark import Token

from dlc.diag import CompileError, Diagnostic, SourceFile, error
from dlc.isa import terms as t
from dlc.isa.control import control_of
from dlc.isa.costs import read_energy, read_preset, read_quantities
from dlc.isa.derive import clause_terms, derived_traps, places_read, places_written, tensors
from dlc.isa.elaborate import Elaborator, Names, Refusal
from dlc.isa.model import (
    Adjoint,
    Count,
    Field,
    Instruction,
    Isa,
    Items,
    Named,
    OperandKind,
    PlaceName,
    RegisterFile,
    Space,
    Steps,
    TrapWhen,
    Unit,
    Work,
    counter_names,
    wrap64,
)
from dlc.isa.proofread import check_instruction, check_templates, resolve_places
from dlc.isa.syntax import Node, node, number, parse, parts, place, present, text

LIMIT = 20
DECLARED = tuple("constant space file special kind enum trap unit action energy preset".split())
Access: TypeAlias = Literal["readonly", "writable", "lifo"]
Model: TypeAlias = Literal["rate", "array"]
T = TypeVar("T")


def read_isa(sources: Iterable[SourceFile]) -> Isa:
    """The ISA that the files declare together, in any order.

    Raises CompileError E0801 (form) or E0802 (it doesn't hold together; at most 20 at once).
    """
    items = [(source, node(item)) for source in sources for item in present(parse(source))]
    return _Reading(items).isa()


class _Reading:
    """One reading of a set of files; made, used once, dropped."""

    def __init__(self, items: list[tuple[SourceFile, Node]]) -> None:
        self.items = items
        self.findings: list[Diagnostic] = []

    def of(self, *kinds: str) -> Iterator[tuple[SourceFile, Node]]:
        return ((source, item) for source, item in self.items if item.data in kinds)

    def refuse(self, source: SourceFile, message: str, at: Node | Token | None) -> None:
        self.findings.append(error("E0802", message, place(source, at)))
        if len(self.findings) >= LIMIT:
            raise CompileError(self.findings)

    def unique(self, what: str, names: Iterable[tuple[SourceFile, str, Node]]) -> None:
        seen: set[str] = set()
        for source, name, at in names:
            if name in seen:
                self.refuse(source, f"two {what} are called `{name}`", at)
            seen.add(name)

    # -- declarations ------------------------------------------------------------------------------

    def isa(self) -> Isa:
        heads = list(self.of("isa"))
        if len(heads) != 1:
            raise CompileError(
                error("E0802", f"there must be one `isa` item; here are {len(heads)}")
            )
        name, version, _, doc = parts(heads[0][1])
        self.check_names()
        self.kinds = self.operand_kinds()
        self.enums = {text(parts(i)[0]): self.members(s, i) for s, i in self.of("enum")}
        constants = {text(parts(i)[0]): wrap64(number(parts(i)[1])) for _, i in self.of("constant")}
        spaces = tuple(
            Space(text(p[0]), cast(Access, text(p[1])), text(p[2])) for p in self.rows("space")
        )
        specials = self.named("special")
        self.units = tuple(
            Unit(text(p[0]), cast(Model, text(p[1])), text(p[2])) for p in self.rows("unit")
        )
        self.actions, self.traps = self.named("action"), self.named("trap")
        accesses = {s.name: s.access for s in spaces}
        names = frozenset(s.name for s in specials)
        self.names = Names(constants, self.enums, names, accesses)
        instructions = self.instructions()
        quantities = self.each("quantities", read_quantities)
        counted = counter_names(self.actions, spaces)
        energies = self.each("energy", lambda item: read_energy(item, quantities, counted))
        presets = self.each("preset", lambda item: read_preset(item, self.units, spaces, energies))
        if self.findings:
            raise CompileError(self.findings)
        files = self.register_files()
        state = (
            constants,
            [(space.name, space.access) for space in spaces],
            [(file.name, file.count, file.of) for file in files],
            [special.name for special in specials],
            {name: dict(members) for name, members in self.enums.items()},
            [trap.name for trap in self.traps],
        )
        return Isa(
            name=text(name),
            version=number(version),
            doc=text(doc),
            constants=MappingProxyType(constants),
            spaces=spaces,
            files=files,
            specials=specials,
            kinds=MappingProxyType(self.kinds),
            enums=MappingProxyType(self.enums),
            traps=self.traps,
            units=self.units,
            actions=self.actions,
            instructions=MappingProxyType(instructions),
            opcodes=MappingProxyType({i.opcode: i for i in instructions.values()}),
            quantities=MappingProxyType(quantities),
            energies=MappingProxyType(energies),
            presets=MappingProxyType(presets),
            digest=_digest(state, instructions),
        )

    def check_names(self) -> None:
        """No two declarations of a kind share a name."""
        for kind in DECLARED:
            found = ((s, text(parts(i)[0]), i) for s, i in self.of(kind))
            self.unique(f"declarations of {kind}", found)

    def named(self, kind: str) -> tuple[Named, ...]:
        return tuple(Named(text(p[0]), text(p[1])) for p in self.rows(kind))

    def register_files(self) -> tuple[RegisterFile, ...]:
        rows = self.rows("file")
        return tuple(RegisterFile(text(p[0]), number(p[1]), text(p[2]), text(p[3])) for p in rows)

    def each(self, kind: str, read: Callable[[Node], T]) -> dict[str, T]:
        made: dict[str, T] = {}
        for source, item in self.of(kind):
            try:
                made[text(parts(item)[0])] = read(item)
            except Refusal as e:
                self.refuse(source, e.message, e.at if e.at is not None else item)
        return made

    def rows(self, kind: str) -> list[list[Node | Token | None]]:
        return [parts(item) for _, item in self.of(kind)]

    def members(self, source: SourceFile, item: Node) -> Mapping[str, int]:
        children = parts(item)
        width = number(children[1])
        found: dict[str, int] = {}
        for child in children[2:-1]:
            name, value = parts(node(child))
            if (
                text(name) in found
                or number(value) in found.values()
                or number(value) >= 1 << width
            ):
                self.refuse(
                    source,
                    f"`{text(name)}` stands twice, or its value does, or it needs more than "
                    f"{width} bits",
                    child,
                )
            found[text(name)] = number(value)
        return MappingProxyType(found)

    def operand_kinds(self) -> dict[str, OperandKind]:
        kinds: dict[str, OperandKind] = {}
        for _, item in self.of("kind"):
            name, width, prefix, of, below, signed, doc = parts(item)
            kinds[text(name)] = OperandKind(
                text(name),
                number(width),
                text(prefix),
                None if of is None else text(of),
                None if below is None else number(below),
                signed is not None,
                text(doc),
            )
        for source, item in self.of("enum"):
            members = tuple(self.members(source, item).items())
            name, width, doc = text(parts(item)[0]), number(parts(item)[1]), text(parts(item)[-1])
            kinds[name] = OperandKind(name, width, "", None, None, False, doc, members)
        return kinds

    # -- instructions ------------------------------------------------------------------------------

    def instructions(self) -> dict[str, Instruction]:
        made: dict[str, Instruction] = {}
        where: dict[str, SourceFile] = {}
        opcodes: dict[int, str] = {}
        for source, item in self.of("instruction"):
            mnemonic = text(parts(item)[0])
            try:
                instruction = self.instruction(source, item)
                if mnemonic in made:
                    raise Refusal("the mnemonic is taken")
                if instruction.opcode in opcodes:
                    raise Refusal(
                        f"opcode {instruction.opcode:#04x} is taken by "
                        f"`{opcodes[instruction.opcode]}`"
                    )
                made[mnemonic] = instruction
                where[mnemonic] = source
                opcodes[instruction.opcode] = mnemonic
            except Refusal as e:
                self.refuse(
                    source,
                    f"`{mnemonic}`: {e.message}",
                    e.at if e.at is not None else parts(item)[0],
                )
        for mnemonic, instruction in made.items():
            for message in check_templates(instruction, made):
                self.findings.append(error("E0802", f"`{mnemonic}`: {message}", instruction.span))
        return made

    def instruction(self, source: SourceFile, item: Node) -> Instruction:
        children = present(item)
        clauses = self.clauses(children[2:])
        fields = self.fields(clauses["encode"])
        operands = {field.name: field for field in fields if field.name is not None}
        do = Elaborator(self.names, operands)
        cost = Elaborator(self.names, operands, costs=True)
        body = do.block(node(parts(clauses["do"])[0]))
        counts = (
            tuple(self.count(node(c), cost) for c in present(clauses["actions"]))
            if "actions" in clauses
            else ()
        )
        work = self.work(clauses["work"], cost)
        traps = (
            tuple(self.fault(node(f), do) for f in present(clauses["traps"]))
            if "traps" in clauses
            else ()
        )
        others = list(clause_terms(counts, work, traps))
        try:
            used = tensors(body, others, operands)
        except ValueError as e:
            raise Refusal(str(e), clauses["do"]) from None
        reads = places_read(body, others)
        writes = places_written(body)
        instruction = Instruction(
            mnemonic=text(children[0]),
            doc=text(children[1]),
            fields=fields,
            assembly=text(parts(clauses["assembly"])[0]),
            reads=tuple(self.place(node(p)) for p in present(clauses["reads"]))
            if "reads" in clauses
            else (),
            writes=tuple(self.place(node(p)) for p in present(clauses["writes"]))
            if "writes" in clauses
            else (),
            body=body,
            counts=counts,
            work=work,
            traps=(*derived_traps(body, used, writes, reads, self.enums["dtype"]), *traps),
            adjoints=tuple(self.adjoint(node(a)) for a in present(clauses["adjoint"]))
            if "adjoint" in clauses
            else (),
            tensors=used,
            span=place(source, children[0]),
        )
        resolve_places(instruction, reads, writes, self.names)
        check_instruction(instruction, self.names, self.kinds)
        try:
            return replace(instruction, control=control_of(instruction))
        except ValueError as e:
            raise Refusal(str(e), clauses["do"]) from None

    def clauses(self, trees: list[Node | Token]) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for part in trees:
            clause = node(part)
            name = str(clause.data)
            if (
                name in found
                or (name == "no_adjoint" and "adjoint" in found)
                or (name == "adjoint" and "no_adjoint" in found)
            ):
                raise Refusal(f"`{name}` is given twice", clause)
            found[name] = clause
        for name in ("encode", "assembly", "do", "work"):
            if name not in found:
                raise Refusal(f"there is no `{name}` clause")
        if "adjoint" not in found and "no_adjoint" not in found:
            raise Refusal("there is no `adjoint` clause; say `adjoint none` if it has none")
        return found

    def fields(self, clause: Node) -> tuple[Field, ...]:
        made: list[Field] = []
        at = 64
        names: set[str] = set()
        for child in present(clause):
            first, second = parts(node(child))
            if node(child).data == "literal":
                width, literal = number(second), number(first)
                if literal >= 1 << width:
                    raise Refusal(f"{literal:#x} needs more than {width} bits", child)
                made.append(Field(width, at - width, literal))
            else:
                name, kind = text(first), self.kinds.get(text(second))
                if kind is None:
                    raise Refusal(f"there is no operand kind `{text(second)}`", child)
                if name in names:
                    raise Refusal(f"the operand `{name}` is encoded twice", child)
                names.add(name)
                made.append(Field(kind.width, at - kind.width, 0, name, kind))
            at -= made[-1].width
        if at != 0:
            raise Refusal(f"the fields are {64 - at} bits wide; a word has 64", clause)
        if made[0].name is not None or made[0].width != 8 or made[0].literal == 0:
            raise Refusal("the first field must be an opcode of 8 bits, and not 0", clause)
        return tuple(made)

    def place(self, tree: Node) -> PlaceName:
        described, base, operand = parts(tree)
        return PlaceName(
            text(base), None if operand is None else text(operand), described is not None
        )

    def count(self, tree: Node, elaborator: Elaborator) -> Count:
        children = parts(tree)
        value = elaborator.typed(children[-1], "i")
        if tree.data == "count":
            name = text(children[0])
            if name not in {a.name for a in self.actions}:
                raise Refusal(f"there is no action `{name}`", tree)
            return Count(name, value)
        way, base = text(children[0]), text(children[1])
        if tree.data == "space_traffic":
            if base not in self.names.spaces:
                raise Refusal(f"there is no space `{base}`", tree)
            return Count(f"{base}.{way}", value)
        operand = text(children[2])
        kind = elaborator.operands[operand].kind if operand in elaborator.operands else None
        if base not in ("T", "W") or kind is None or kind.of != base:
            raise Refusal(f"`{way} {base}[{operand}]` names no tensor or matrix", tree)
        return Count(way, value, t.Ref(base, operand))

    def work(self, clause: Node, elaborator: Elaborator) -> Work:
        unit_token, body = parts(clause)
        unit = next((u for u in self.units if u.name == text(unit_token)), None)
        if unit is None:
            raise Refusal(f"there is no unit `{text(unit_token)}`", clause)
        tree = node(body)
        if (tree.data == "items") != (unit.model == "rate"):
            raise Refusal(
                f"`{unit.name}` is {'a rate' if unit.model == 'rate' else 'an array'} unit", clause
            )
        if tree.data == "items":
            return Items(unit.name, elaborator.typed(parts(tree)[0], "i"))
        var, bound_tree, rows = parts(tree)
        bound = elaborator.typed(bound_tree, "i")
        head = node(rows)
        name = text(parts(head)[0]) if head.data == "call" else ""
        args = [node(arg) for arg in present(head)[1:]] if head.data == "call" else []
        added = elaborator.bind({text(var): "i"}, tree)
        try:
            if name == "all_rows" and len(args) == 1:
                return Steps(unit.name, text(var), bound, elaborator.typed(args[0], "i"))
            if name == "column" and len(args) in (2, 3):
                matrix = elaborator.term(args[0])
                if isinstance(matrix, t.Ref) and matrix.file == "W":
                    weight = elaborator.typed(args[2], "i") if len(args) == 3 else t.Int(1)
                    return Steps(
                        unit.name, text(var), bound, weight, matrix, elaborator.typed(args[1], "i")
                    )
        finally:
            elaborator.unbind(added)
        raise Refusal(
            "the rows of a step are `all_rows(n)`, `column(W[a], j)` or `column(W[a], j, entries)`",
            tree,
        )

    def fault(self, tree: Node, elaborator: Elaborator) -> TrapWhen:
        name, code, when = parts(tree)
        if text(name) not in {trap.name for trap in self.traps}:
            raise Refusal(f"there is no trap `{text(name)}`", tree)
        payload = None if code is None else elaborator.typed(code, "i")
        return TrapWhen(text(name), elaborator.typed(when, "b"), payload)

    def adjoint(self, tree: Node) -> Adjoint:
        file, operand, part, template = parts(tree)
        return Adjoint(
            text(file), text(operand), None if part is None else text(part), text(template)
        )


def _digest(state: tuple[object, ...], instructions: Mapping[str, Instruction]) -> str:
    """SHA-256 over all that a program can observe."""
    meaning = repr((state, [_meaning(instruction) for instruction in instructions.values()]))
    return hashlib.sha256(meaning.encode()).hexdigest()


def _meaning(instruction: Instruction) -> tuple[object, ...]:
    """What a program can observe of an instruction; costs beyond fuel, and texts, are left out."""
    fields = [
        (f.width, f.shift, f.literal, f.name, f.kind.name if f.kind else None)
        for f in instruction.fields
    ]
    return (instruction.mnemonic, fields, instruction.body, instruction.traps, instruction.work)
