"""`run`: one switch over decoded words, special registers in phis."""

from __future__ import annotations

from dlc.isa.cost.layout import cost_layout
from dlc.isa.fast.context import ARGUMENTS, PARAMETERS
from dlc.isa.fast.cost_support import cost_support_text
from dlc.isa.fast.costs import CostText
from dlc.isa.fast.module import CODE_WORDS, SPECIALS, InstructionText, result_type, written_specials
from dlc.isa.fast.support import support_text
from dlc.isa.fast.text import PLAIN_LOOPS, Builder
from dlc.isa.layout import S
from dlc.isa.model import Instruction, Isa


def run_text(isa: Isa, costing: bool) -> str:
    """`run`, or `run_cost`, which also keeps two cost states: steps until a word stops it. The
    state's special registers are loaded first and stored last."""
    costs = ", ptr noalias %C0, ptr noalias %C1" if costing else ""
    name = "run_cost" if costing else "run"
    b = Builder(f"define i64 @{name}({PARAMETERS}, ptr noalias readonly %code{costs})")
    first = {name: b.load("i64", "%S", str(int(word)), 8) for name, word in _words().items()}
    names = list(first)
    b.jump("next")
    latches: list[dict[str, str]] = []
    exits: list[dict[str, str]] = []
    body: list[str] = []
    cases: list[str] = []
    for number, instruction in enumerate(isa.instructions.values()):
        cases.append(f"i64 {number}, label %case{number}")
        body += _case(number, instruction, costing, latches, exits)
    lines = ["next:"]
    for name in names:
        found = [
            f"[ {first[name]}, %start ]",
            *(f"[ {latch[name]}, %{latch['from']} ]" for latch in latches),
        ]
        lines.append(f"  %{name} = phi i64 {', '.join(found)}")
    lines += [
        f"  %offset = mul i64 %pc, {CODE_WORDS}",
        "  %word = getelementptr i64, ptr %code, i64 %offset",
        "  %opcode = load i64, ptr %word, align 8",
        f"  switch i64 %opcode, label %unknown [ {' '.join(cases)} ]",
    ]
    lines += ["unknown:", "  unreachable"]
    end = ["stop:"]
    for name in ("status", *names):
        end.append(
            f"  %end_{name} = phi i64 "
            + ", ".join(f"[ {leave[name]}, %{leave['from']} ]" for leave in exits)
        )
    for name, word in _words().items():
        end += [
            f"  %at_{name} = getelementptr i64, ptr %S, i64 {int(word)}",
            f"  store i64 %end_{name}, ptr %at_{name}, align 8",
        ]
    end.append("  ret i64 %end_status")
    b.lines += [*lines, *body, *end]
    return b.finish()


def _words() -> dict[str, S]:
    return {"pc": S.PC, "sp": S.SP, "heap": S.HEAP, "tape": S.TAPE, "fuel": S.FUEL}


def _case(
    number: int,
    instruction: Instruction,
    costing: bool,
    latches: list[dict[str, str]],
    exits: list[dict[str, str]],
) -> list[str]:
    p = f"%c{number}_"
    lines = [f"case{number}:"]
    arguments: list[str] = []
    for k, _ in enumerate(instruction.operands):
        lines += [
            f"  {p}p{k} = getelementptr i64, ptr %word, i64 {k + 1}",
            f"  {p}o{k} = load i64, ptr {p}p{k}, align 8",
        ]
        arguments.append(f", i64 {p}o{k}")
    specials = "".join(f", i64 %{name}" for name in SPECIALS)
    type_ = result_type(instruction)
    costs = "i1 true, ptr %C0, ptr %C1" if costing else "i1 false, ptr null, ptr null"
    values = f"{ARGUMENTS}{''.join(arguments)}, i64 %fuel{specials}, {costs}"
    lines += [
        f"  {p}r = call {type_} @op_{number}({values})",
        f"  {p}s = extractvalue {type_} {p}r, 0",
    ]
    lines.append(f"  {p}fuel = extractvalue {type_} {p}r, 1")
    after = {name: f"%{name}" for name in SPECIALS} | {"fuel": f"{p}fuel", "from": f"case{number}"}
    for k, name in enumerate(written_specials(instruction)):
        lines.append(f"  {p}{name} = extractvalue {type_} {p}r, {k + 2}")
        after[name] = f"{p}{name}"
    exits.append(after | {"status": f"{p}s"})
    latch = dict(after)
    if "pc" not in written_specials(instruction):
        lines.append(f"  {p}following = add i64 %pc, 1")
        latch["pc"] = f"{p}following"
    latches.append(latch)
    return [*lines, f"  {p}go = icmp eq i64 {p}s, 0", f"  br i1 {p}go, label %next, label %stop"]


def module_text(isa: Isa, checked: bool = False) -> str:
    """The whole module. `checked`: every access to memory is tested; a bad one ends the run with
    BUG."""
    texts = [support_text()]
    texts += [
        InstructionText(isa, instruction, checked).text()
        for instruction in isa.instructions.values()
    ]
    if checked:
        return "\n".join([*texts, run_text(isa, False), PLAIN_LOOPS])
    layout = cost_layout(isa)
    texts.append(cost_support_text(isa, layout))
    texts += [CostText(isa, layout, i, SPECIALS).text() for i in isa.instructions.values()]
    texts += [run_text(isa, costing) for costing in (False, True)]
    return "\n".join([*texts, PLAIN_LOOPS])
