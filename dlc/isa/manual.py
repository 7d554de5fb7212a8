"""The manual `isa/manual.md`, from the files that it describes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dlc.diag import SourceFile
from dlc.isa.model import Instruction, Isa, Items, TrapWhen, Work
from dlc.isa.primitives import EFFECTS, PRIMITIVES
from dlc.isa.printing import Printer
from dlc.isa.verify import RULES

_TYPES = {
    "i": "integer",
    "f": "float",
    "b": "truth",
    "n": "either",
    "T": "tensor",
    "W": "matrix",
    "Q": "queue",
}
_HEAD = """# {title}

{doc} Made from the files of `isa/` by `make docs`; a test keeps it fresh.

A program is a text of {word}-bit words, tables, and what memories hold at the start (`.spw`, or
assembly text). It is verified, then it runs; a verified program ends normally or with one of the
traps below, and a trap changes nothing: the state is that before the instruction. Conditions are
tested in this order: those that follow from `do` (element types, ranks, read-only results,
overlaps), those of the file that take one step, fuel, those that take time. Fuel is charged
before an instruction runs: its items (at least 1), or 1 and the entries of its steps.

Integers have 64 bits and wrap; `//` and `%` round down. Floats are f32, every operation is
rounded, none is fused; comparisons with NaN are false, but `!=`. bf16 widens when read and rounds
to nearest even when written. A NaN that is written to memory is 0x7fc00000. `exp` and its like go
through 64 bits and round once. **Order of sums**: where results lie across processing elements
each one adds in ascending order of the reduced index, from the accumulator (`mac(s, x, y) = s +
x*y`, two roundings); where the reduced axis lies across them, `banksum` keeps 64 partial sums by
index mod 64 (for matrices: by row, not by place among the stored entries) and adds them as a
tree, p[:32] + p[32:] and so on. So results don't depend on a preset, nor on sparsity.

`T[d]` is the data of descriptor d; `desc T[d]` the descriptor. `.flat` and `.iflat` count
elements row by row whatever the rank; the number of indices elsewhere is the rank that an
instruction demands. Descriptors are valid whenever they exist: in range and aligned; only
instructions that make one check that. Two views overlap when their byte intervals meet, unless
they are columns side by side of rows of one pitch; they clash when they overlap and aren't the
same view.
"""


def manual_text(isa: Isa, files: Iterable[SourceFile]) -> str:
    """The whole manual."""
    sources = tuple(files)
    lines = [
        _HEAD.format(
            title=f"The {isa.name.capitalize()} instruction set, version {isa.version}",
            doc=isa.doc,
            word=64,
        )
    ]
    lines += _state(isa)
    lines += _tables(isa)
    printer = Printer(isa.enums["dtype"])
    for source in sources:
        mine = [i for i in isa.instructions.values() if i.span.source.name == source.name]
        if mine:
            lines += ["", f"## {_title(source)}", ""]
            lines += [f"| opcode | assembly | |\n|---|---|---|\n{_index(mine)}", ""]
            for instruction in mine:
                lines += _instruction(isa, printer, instruction)
    lines += _presets(isa)
    return "\n".join(lines) + "\n"


def _title(source: SourceFile) -> str:
    first = source.text.split("\n", 1)[0]
    return first.removeprefix("# ").rstrip(".")


def _index(instructions: list[Instruction]) -> str:
    return "\n".join(
        f"| `{i.opcode:#04x}` | `{i.assembly}` | {_cell(i.doc)} |" for i in instructions
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(_cell(str(cell)) for cell in row) + " |" for row in rows)]


def _state(isa: Isa) -> Iterator[str]:
    yield "## State\n"
    yield from _table(
        ("registers", "", ""), ((f"`{f.name}[{f.count}]`", f.of, f.doc) for f in isa.files)
    )
    yield ""
    yield from _table(("special", ""), ((f"`{s.name}`", s.doc) for s in isa.specials))
    yield ""
    yield from _table(
        ("space", "access", ""), ((f"`{s.name}`", s.access, s.doc) for s in isa.spaces)
    )
    yield "\n## Operands\n"
    kinds = (
        (
            f"`{k.name}`",
            k.width,
            f"`{k.prefix}`" if k.prefix else "",
            ", ".join(m for m, _ in k.members) or k.doc,
        )
        for k in isa.kinds.values()
    )
    yield from _table(("kind", "bits", "prefix", "names"), kinds)
    yield "\n## Traps\n"
    yield from _table(
        ("", "trap", ""), ((k + 1, f"`{t.name}`", t.doc) for k, t in enumerate(isa.traps))
    )


def _tables(isa: Isa) -> Iterator[str]:
    yield "\n## Rules of the verifier\n"
    yield from _table(("rule", ""), ((f"`{name}`", doc) for name, doc in RULES.items()))
    yield "\n## The language of `do`\n"
    functions = (
        (f"`{p.name}({', '.join(_TYPES[a] for a in p.args)})`", _TYPES[p.result], p.doc)
        for p in PRIMITIVES.values()
    )
    yield from _table(("function", "gives", ""), functions)
    yield ""
    effects = (
        (f"`{e.name}!({', '.join(_TYPES[a] for a in e.args)})`", e.doc) for e in EFFECTS.values()
    )
    yield from _table(("effect", ""), effects)
    yield "\n## Costs\n"
    yield from _table(("unit", "", ""), ((f"`{u.name}`", u.model, u.doc) for u in isa.units))
    yield ""
    yield from _table(("action", ""), ((f"`{a.name}`", a.doc) for a in isa.actions))


def _instruction(isa: Isa, printer: Printer, i: Instruction) -> Iterator[str]:
    yield f"### `{i.mnemonic}`\n"
    yield f"{i.doc}\n"
    fields = " · ".join(
        f"{f.name}:{f.kind.name if f.kind else ''}" if f.name else f"{f.literal:#x}:{f.width}"
        for f in i.fields
    )
    yield f"- word: `{fields}`"
    for what, places in (("reads", i.reads), ("writes", i.writes)):
        if places:
            yield f"- {what}: {', '.join(f'`{place}`' for place in places)}"
    derived = list(dict.fromkeys(_derived(i)))
    if derived:
        yield f"- traps that follow: {'; '.join(derived)}"
    for trap in i.traps:
        if not trap.derived:
            yield f"- trap `{trap.trap}`{_code(printer, trap)} when `{printer.expr(trap.when)}`"
    yield f"- work: `{work_text(printer, i.work)}`"
    counts = ", ".join(
        f"{c.counter}{f' {c.of.file}[{c.of.operand}]' if c.of else ''}: {printer.expr(c.value)}"
        for c in i.counts
    )
    if counts:
        yield f"- counts: `{counts}`"
    for adjoint in i.adjoints:
        part = f".{adjoint.part}" if adjoint.part else ""
        yield f"- adjoint of {adjoint.file}[{adjoint.operand}]{part}: `{adjoint.template}`"
    yield "\n```"
    yield from printer.block(i.body)
    yield "```\n"


def _code(printer: Printer, trap: TrapWhen) -> str:
    return "" if trap.code is None else f" with code `{printer.expr(trap.code)}`"


def _derived(i: Instruction) -> Iterator[str]:
    """Traps that follow from `do`, in words."""
    for tensor in i.tensors:
        kind = "float" if tensor.float else "integer"
        rank = "any rank" if tensor.rank is None else f"rank {tensor.rank}"
        yield f"`T[{tensor.operand}]` {kind}, {rank}"
    for tensor in i.tensors:
        if tensor.written:
            yield f"`T[{tensor.operand}]` writable, no two elements in one place"
    for trap in i.traps:
        if trap.derived and trap.trap == "overlap":
            text = Printer({}).expr(trap.when)
            if not text.startswith("not injective"):
                yield f"not `{text}`"


def work_text(printer: Printer, work: Work) -> str:
    """A work clause as text."""
    if isinstance(work, Items):
        return f"{work.unit}: items {printer.expr(work.count)}"
    weight = printer.expr(work.weight)
    rows = f"all_rows({weight})"
    if work.matrix is not None and work.column is not None:
        extra = "" if weight == "1" else f", {weight}"
        rows = f"column({printer.expr(work.matrix)}, {printer.expr(work.column)}{extra})"
    return f"{work.unit}: steps {work.var} < {printer.expr(work.bound, 5)}: {rows}"


def _presets(isa: Isa) -> Iterator[str]:
    yield "## Presets\n"
    for preset in isa.presets.values():
        yield f"### `{preset.name}`\n\n{preset.doc}\n"
        yield f"Clock {preset.clock_mhz:g} MHz, energy by `{preset.energy}`.\n"
        rows = (
            (f"`{name}`", ", ".join(f"{k} {getattr(numbers, k):,}" for k in numbers.__slots__))
            for name, numbers in preset.units.items()
        )
        yield from _table(("unit", "numbers"), rows)
        yield ""
    for table in isa.energies.values():
        yield f"### Energy `{table.name}`\n\n{table.doc}\n"
        rows = (
            (p.component, f"`{p.counter}`", f"{p.picojoule:g}", f"`{p.source}`")
            for p in table.prices
        )
        yield from _table(("component", "counter", "pJ", "from"), rows)
        yield ""
        for reason in dict.fromkeys(why for _, why in table.included):
            names = ", ".join(f"`{counter}`" for counter, why in table.included if why == reason)
            yield f"Not priced by itself: {names}: {reason}.\n"
