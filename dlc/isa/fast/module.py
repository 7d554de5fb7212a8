"""The text of the fast machine: a function for each instruction, and `run`, one switch over decoded
words.

Each instruction is checked, charged and executed in the order of the reference machine. What loops
over tensors is compiled twice: for operands in the common form (there with one copy for each value
of an enum operand), and for any.
"""

from __future__ import annotations

from collections.abc import Callable

from dlc.isa import terms as t
from dlc.isa.derive import is_constant_time
from dlc.isa.fast.context import PARAMETERS, Context
from dlc.isa.fast.costs import cost_call
from dlc.isa.fast.terms import block, expr
from dlc.isa.fast.text import Builder
from dlc.isa.layout import D, Flag, M, S
from dlc.isa.model import Instruction, Isa, Tensor, TrapWhen
from dlc.isa.reference import fuel_term

SPECIALS = ("pc", "sp", "heap", "tape")
CODE_WORDS = 10
"""Words of a decoded instruction: its number, its operands in the order of the word."""
HALTED, BUG = -1, -2


def written_specials(instruction: Instruction) -> tuple[str, ...]:
    """The special registers that an instruction sets."""
    return tuple(
        name for name in SPECIALS if any(place.base == name for place in instruction.writes)
    )


def result_type(instruction: Instruction) -> str:
    """What an instruction's function returns: status, fuel left, then the special registers that it
    sets."""
    return "{ " + ", ".join(["i64"] * (2 + len(written_specials(instruction)))) + " }"


def is_small(instruction: Instruction) -> bool:
    """Whether an instruction belongs inline in the switch: no loop, no tensor, no choice of
    functions."""
    if instruction.tensors or any(
        isinstance(stmt, t.Loop) for stmt in t.statements(instruction.body)
    ):
        return False
    if any(field.kind and field.kind.of in ("T", "W") for field in instruction.operands):
        return False
    terms = [term for stmt in t.statements(instruction.body) for term in t.statement_terms(stmt)]
    return not any(
        isinstance(part, t.Match | t.Quantifier | t.Fold) for term in terms for part in t.walk(term)
    )


class InstructionText:
    """Builds the function of one instruction."""

    def __init__(self, isa: Isa, instruction: Instruction, checked: bool) -> None:
        self.isa = isa
        self.instruction = instruction
        names = [str(field.name) for field in instruction.operands]
        operands = "".join(f", i64 %o_{name}" for name in names)
        specials = "".join(f", i64 %{name}" for name in SPECIALS)
        attributes = " alwaysinline" if is_small(instruction) and not checked else " noinline"
        number = list(isa.instructions).index(instruction.mnemonic)
        head = (
            f"define internal {result_type(instruction)} @op_{number}({PARAMETERS}{operands}, i64 "
            f"%fuel{specials}, i1 %costing, ptr noalias %C0, ptr noalias %C1){attributes}"
        )
        self.b = Builder(head)
        self.ctx = Context(
            isa,
            self.b,
            {name: f"%o_{name}" for name in names},
            {name: f"%{name}" for name in SPECIALS},
            checked=checked,
        )

    def text(self) -> str:
        instruction, b = self.instruction, self.b
        for trap in instruction.traps:
            if is_constant_time(trap.when):
                self._trap(trap)
        needed = expr(self.ctx, fuel_term(instruction))
        enough = b.op(f"icmp sle i64 {needed}, %fuel")
        self._unless(enough, self.isa.trap_number("out_of_fuel"))
        left = b.op(f"sub i64 %fuel, {needed}")
        for trap in instruction.traps:
            if not is_constant_time(trap.when):
                self._trap(trap)
        if not self.ctx.checked:
            b.when("%costing", self._cost)
        self._variants()
        b.do(self._return(str(HALTED if self.ctx.halted else 0), left, self.ctx.specials))
        if self.ctx.checked:
            b.start("bug")
            b.do(self._return(str(BUG), "%fuel", {name: f"%{name}" for name in SPECIALS}))
        return b.finish()

    def _cost(self) -> None:
        for state in ("%C0", "%C1"):
            self.b.do(cost_call(self.isa, self.instruction, SPECIALS, state))

    def _return(self, status: str, fuel: str, specials: dict[str, str]) -> str:
        values = [status, fuel, *(specials[name] for name in written_specials(self.instruction))]
        type_ = result_type(self.instruction)
        whole = "undef"
        for k, value in enumerate(values):
            whole = self.b.op(f"insertvalue {type_} {whole}, i64 {value}, {k}")
        return f"ret {type_} {whole}"

    def _unless(self, holds: str, trap: int, code: t.Expr | None = None) -> None:
        """Leave with a trap unless the test holds; nothing has changed."""
        b = self.b
        tag = b.fresh()
        b.branch(holds, f"fine{tag}", f"trap{tag}")
        b.start(f"trap{tag}")
        if code is not None:
            self.ctx.store("S", str(int(S.CODE)), expr(self.ctx, code))
        b.do(self._return(str(trap), "%fuel", {name: f"%{name}" for name in SPECIALS}))
        b.start(f"fine{tag}")

    def _trap(self, trap: TrapWhen) -> None:
        faulty = expr(self.ctx, trap.when)
        self._unless(
            self.b.op(f"xor i1 {faulty}, true"), self.isa.trap_number(trap.trap), trap.code
        )

    # -- do ----------------------------------------------------------------------------------------

    def _variants(self) -> None:
        body = self.instruction.body
        if not any(isinstance(stmt, t.Loop) for stmt in t.statements(body)) and not self._reduces():
            block(self.ctx, body)
            return
        matrices = self._matrices()
        conditions = [c for tensor in self.instruction.tensors for c in self._common(tensor)]
        conditions += [
            self.ctx.test("eq", self.ctx.field("W", name, M.DTYPE), 0) for name in matrices
        ]
        if not conditions:
            block(self.ctx, body)
            return
        b = self.b
        common = conditions[0]
        for test in conditions[1:]:
            common = b.op(f"and i1 {common}, {test}")
        before = dict(self.ctx.specials)
        ends: list[tuple[dict[str, str], str]] = []

        def one() -> None:
            self.ctx.locals, self.ctx.specials = {}, dict(before)
            block(self.ctx, body)
            ends.append((self.ctx.specials, b.block))
            b.jump("finished")

        b.branch(common, "common", "general")
        b.start("common")
        b.vectorise = True
        self.ctx.packed = frozenset(
            (*(tensor.operand for tensor in self.instruction.tensors), *matrices)
        )
        self.ctx.expected = {
            tensor.operand: self._expected(tensor) for tensor in self.instruction.tensors
        }
        self._by_member(one)
        b.start("general")
        b.vectorise = False
        self.ctx.packed, self.ctx.expected = frozenset(), {}
        one()
        b.start("finished")
        self.ctx.specials = {
            name: before[name]
            if all(s[name] == before[name] for s, _ in ends)
            else b.phi("i64", [(s[name], label) for s, label in ends])
            for name in SPECIALS
        }

    def _reduces(self) -> bool:
        terms = [
            term for stmt in t.statements(self.instruction.body) for term in t.statement_terms(stmt)
        ]
        return any(
            isinstance(part, t.Quantifier | t.Fold) for term in terms for part in t.walk(term)
        )

    def _matrices(self) -> list[str]:
        terms = [
            term for stmt in t.statements(self.instruction.body) for term in t.statement_terms(stmt)
        ]
        names = [
            part.args[0]
            for term in terms
            for part in t.walk(term)
            if isinstance(part, t.Call) and part.name == "val"
        ]
        return sorted({name.operand for name in names if isinstance(name, t.Ref)})

    def _expected(self, tensor: Tensor) -> int:
        """The element type of the common form: i8 where a trap asks for it."""
        if tensor.float:
            return 0
        i8 = self.isa.enums["dtype"]["i8"]
        wanted = t.Compare("!=", t.Call("dtype", (t.Ref("T", tensor.operand),), "i"), t.Int(i8))
        asked = any(
            part == wanted
            for trap in self.instruction.traps
            if not trap.derived
            for part in t.walk(trap.when)
        )
        return i8 if asked else 2

    def _common(self, tensor: Tensor) -> list[str]:
        ctx, b = self.ctx, self.b
        uses = [
            part.access
            for stmt in t.statements(self.instruction.body)
            for term in t.statement_terms(stmt)
            for part in t.walk(term)
            if isinstance(part, t.Element) and part.operand == tensor.operand
        ]
        need = (Flag.PACKED if any(a in ("flat", "iflat") for a in uses) else 0) | (
            Flag.UNIT if any(a in ("at", "int") for a in uses) else 0
        )
        flags = b.op(f"and i64 {ctx.field('T', tensor.operand, D.FLAGS)}, {int(need)}")
        return [
            ctx.test("eq", flags, int(need)),
            ctx.test("eq", ctx.field("T", tensor.operand, D.DTYPE), self._expected(tensor)),
        ]

    def _by_member(self, body: Callable[[], None]) -> None:
        """The body once for each value of an enum operand that `do` chooses by."""
        terms = [
            term for stmt in t.statements(self.instruction.body) for term in t.statement_terms(stmt)
        ]
        chosen = [part for term in terms for part in t.walk(term) if isinstance(part, t.Match)]
        if not chosen:
            body()
            return
        b, operand = self.b, chosen[0].operand
        labels = [(value, f"member{value}") for _, value, _ in chosen[0].arms]
        table = " ".join(f"i64 {value}, label %{label}" for value, label in labels[:-1])
        b.do(f"switch i64 {self.ctx.operands[operand]}, label %{labels[-1][1]} [ {table} ]")
        for value, label in labels:
            b.start(label)
            self.ctx.members = {operand: value}
            body()
        self.ctx.members = {}
