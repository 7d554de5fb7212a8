"""The verifier: what a program must satisfy before it runs, in time linear in its words.

Verified means: every word decodes, control stays in the function it is in until it calls, returns
or stops, frames are balanced and their slots stay inside (so a return address can't be
overwritten), tables hold what they claim. All else (shapes, element types, overlaps, bounds of
indices and addresses, queues, residuals, fuel) the machine checks as it runs, by listed traps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from dlc.isa.codec import Decoded, Undecodable, decode
from dlc.isa.formula import FormulaError, names_in
from dlc.isa.model import Control, Isa
from dlc.isa.program import PORT_BYTES, At, Entry, InRegister, Port, Program
from dlc.isa.state import PATTERNS, LoadError, State, make_state

RULES: dict[str, str] = {
    "unknown_opcode": "every word is an instruction of the ISA; the all-zero word is none",
    "reserved_bits": "bits that an instruction doesn't use are zero",
    "operand_range": "operands name what exists",
    "branch_range": "jumps and calls stay in the text",
    "table_range": "rows of tables exist",
    "static_row": "`td.const` takes rows that name no register",
    "falls_off": "control doesn't run past the end of the text",
    "runs_into_function": "control doesn't run or jump into a function; it calls it",
    "two_functions": "a word belongs to one function",
    "frame_depth": "the frame has one depth at every word, however control got there",
    "frame_balance": "a frame is released before a return, and no more than was reserved",
    "frame_size": "a frame fits the stack",
    "frame_slot": "words of the frame lie in it",
    "return_from_entry": "an entry ends by stopping, not by a return",
    "jump_table": "a jump table consists of jumps, and has at least one",
    "entry": "entries start at words, and their parameters and results have places",
    "symbol": "symbols name bytes of their space",
    "function": "a named function is one that is called or entered",
    "relocation": "relocations name words, operands and symbols, and agree with the words",
    "marks": "marks of sources ascend",
    "memories": "sizes of spaces are multiples of 64, and the heap starts inside DRAM",
    "images": "images lie in their spaces; frames and residuals start empty",
    "table_rows": "rows of the descriptor table are possible; those without registers are in range",
    "matrices": "compressed matrices are sorted and in range",
}
"""Every rule, by name."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule, at a word of the text or, without one, in a table."""

    rule: str
    message: str
    word: int | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """A program that keeps every rule, decoded, with the state that it starts from."""

    program: Program
    text: tuple[Decoded, ...]
    state: State


def verify(isa: Isa, program: Program) -> Verified | tuple[Finding, ...]:
    """The program ready to load, or the rules that it breaks (at least the first of each
    function)."""
    text: list[Decoded] = []
    findings: list[Finding] = []
    for word, bits in enumerate(program.text):
        found = decode(isa, bits)
        if isinstance(found, Undecodable):
            findings.append(Finding(found.rule, found.message, word))
        else:
            text.append(found)
    if findings:
        return tuple(findings[:20])
    decoded = tuple(text)
    flow = _Flow(program, decoded)
    findings = [
        *flow.findings(),
        *_tables(isa, program, decoded),
        *_metadata(isa, program, decoded, flow.heads),
    ]
    if findings:
        return tuple(findings[:20])
    try:
        return Verified(program, decoded, make_state(isa, program, len(decoded)))
    except LoadError as e:
        return (Finding(e.rule, e.message),)


class _Flow:
    """Control flow of one text. Functions are what entries and calls name; bodies are what control
    reaches from there."""

    def __init__(self, program: Program, text: tuple[Decoded, ...]) -> None:
        self.text = text
        self.stack_words = program.memories.get("STACK", 0) // 8
        self.entries = {entry.start for entry in program.entries if 0 <= entry.start < len(text)}
        self.heads = set(self.entries)
        self.bad: list[Finding] = []
        for word, decoded in enumerate(text):
            control = decoded.instruction.control
            if control.target is not None:
                to = word + decoded[control.target]
                if not 0 <= to < len(text):
                    self.bad.append(
                        Finding(
                            "branch_range",
                            f"`{decoded.instruction.mnemonic}` goes to word {to} of {len(text)}",
                            word,
                        )
                    )
                elif control.call:
                    self.heads.add(to)
        self.owner: dict[int, int] = {}

    def findings(self) -> list[Finding]:
        if self.bad:
            return self.bad
        found: list[Finding] = []
        for head in sorted(self.heads):
            finding = self._function(head)
            if finding is not None:
                found.append(finding)
        return found

    def _function(self, head: int) -> Finding | None:
        """The first rule that a function breaks. Visits each of its words once."""
        depth_at = {head: 0}
        pending = [head]
        if head in self.owner:
            return Finding(
                "two_functions",
                f"word {head} belongs to the functions at {self.owner[head]} and {head}",
                head,
            )
        while pending:
            word = pending.pop()
            self.owner[word] = head
            depth = depth_at[word]
            decoded = self.text[word]
            control = decoded.instruction.control
            after, finding = self._frame(word, decoded, control, depth, head)
            if finding is not None:
                return finding
            for to in self._successors(word, decoded, control):
                finding = self._edge(word, to, head)
                if finding is not None:
                    return finding
                if to not in depth_at:
                    depth_at[to] = after
                    pending.append(to)
                elif depth_at[to] != after:
                    return Finding(
                        "frame_depth",
                        f"the frame has {depth_at[to]} or {after} words, depending on the way here",
                        to,
                    )
        return None

    def _successors(self, word: int, decoded: Decoded, control: Control) -> Iterator[int]:
        if control.table is not None:
            yield from range(word + 1, word + 1 + max(decoded[control.table], 0))
            return
        if control.target is not None and not control.call:
            yield word + decoded[control.target]
        if control.falls:
            yield word + 1

    def _edge(self, word: int, to: int, head: int) -> Finding | None:
        if to >= len(self.text):
            return Finding("falls_off", "control runs past the end of the text", word)
        if to in self.heads and to != head:
            return Finding(
                "runs_into_function",
                f"control goes from word {word} into the function at {to} without a call",
                word,
            )
        if self.owner.get(to, head) != head:
            return Finding(
                "two_functions",
                f"word {to} belongs to the functions at {self.owner[to]} and {head}",
                to,
            )
        return None

    def _frame(
        self, word: int, decoded: Decoded, control: Control, depth: int, head: int
    ) -> tuple[int, Finding | None]:
        mnemonic = decoded.instruction.mnemonic
        if control.slot is not None and not 0 <= decoded[control.slot] < depth:
            return depth, Finding(
                "frame_slot",
                f"`{mnemonic}` takes word {decoded[control.slot]} of a frame of {depth}",
                word,
            )
        if control.table is not None:
            words = decoded[control.table]
            body = self.text[word + 1 : word + 1 + max(words, 0)]
            if words < 1 or len(body) < words or any(not self._is_jump(w) for w in body):
                return depth, Finding(
                    "jump_table", f"`{mnemonic}` isn't followed by {words} jumps", word
                )
        if control.grows is not None:
            grown = decoded[control.grows]
            if grown < 0 or depth + grown > self.stack_words:
                return depth, Finding(
                    "frame_size",
                    f"a frame of {depth + grown} words; the stack has {self.stack_words}",
                    word,
                )
            return depth + grown, None
        if control.shrinks is not None:
            less = decoded[control.shrinks]
            if less < 0 or less > depth:
                return depth, Finding(
                    "frame_balance",
                    f"`{mnemonic}` releases {less} words of a frame of {depth}",
                    word,
                )
            return depth - less, None
        if control.returns:
            if head in self.entries:
                return depth, Finding(
                    "return_from_entry", "an entry has nothing to return to", word
                )
            if depth:
                return depth, Finding(
                    "frame_balance",
                    f"`{mnemonic}` with {depth} words of the frame not released",
                    word,
                )
        return depth, None

    def _is_jump(self, decoded: Decoded) -> bool:
        control = decoded.instruction.control
        return control.target is not None and not control.falls and not control.call


def _tables(isa: Isa, program: Program, text: tuple[Decoded, ...]) -> Iterator[Finding]:
    sizes = {
        "table": len(program.table),
        "static_table": len(program.table),
        "matrices": len(program.matrices),
    }
    for word, decoded in enumerate(text):
        for field, value in zip(decoded.instruction.operands, decoded.values, strict=True):
            assert field.kind is not None
            size = sizes.get(field.kind.of or "")
            if size is None:
                continue
            if value >= size:
                yield Finding(
                    "table_range",
                    f"`{decoded.instruction.mnemonic}` takes row {value} of {size}",
                    word,
                )
            elif field.kind.of == "static_table" and not program.table[value].is_static:
                yield Finding("static_row", f"row {value} takes sizes from registers", word)


def _metadata(
    isa: Isa, program: Program, text: tuple[Decoded, ...], heads: set[int]
) -> Iterator[Finding]:
    seen: set[str] = set()
    for entry in program.entries:
        message = _entry_fault(isa, program, entry, len(text))
        if entry.name in seen:
            message = "two entries have this name"
        seen.add(entry.name)
        if message is not None:
            yield Finding("entry", f"entry `{entry.name}`: {message}")
    for symbol in program.symbols:
        size = program.memories.get(symbol.space)
        length = PORT_BYTES.get(symbol.dtype, 0)
        for n in symbol.shape:
            length *= n
        if size is None or symbol.dtype not in PORT_BYTES or min(symbol.shape, default=0) < 0:
            yield Finding("symbol", f"`{symbol.name}` is {symbol.dtype} in `{symbol.space}`")
        elif symbol.address % PORT_BYTES[symbol.dtype] or not 0 <= symbol.address <= size - length:
            yield Finding(
                "symbol", f"`{symbol.name}` lies outside {symbol.space}, or isn't aligned"
            )
    for function in program.functions:
        if function.start not in heads:
            yield Finding(
                "function",
                f"`{function.name}` at word {function.start} is neither called nor entered",
            )
    symbols = {symbol.name: symbol.address for symbol in program.symbols}
    for r in program.relocations:
        names = (
            {f.name for f in text[r.word].instruction.operands} if 0 <= r.word < len(text) else ()
        )
        if (
            r.operand not in names
            or text[r.word][r.operand] != symbols.get(r.symbol, -1) + r.addend
        ):
            yield Finding("relocation", f"operand `{r.operand}` of word {r.word} as `{r.symbol}`")
    words = [mark.word for mark in program.marks]
    if any(a >= b for a, b in pairwise(words)) or (
        words and not 0 <= words[0] <= words[-1] < len(text)
    ):
        yield Finding("marks", "marks must ascend, and lie in the text")


def _entry_fault(isa: Isa, program: Program, entry: Entry, words: int) -> str | None:
    if not 0 <= entry.start < words:
        return f"starts at word {entry.start} of {words}"
    dims = {dim.name for dim in entry.dims}
    if len(dims) != len(entry.dims):
        return "two dims have one name"
    for dim in entry.dims:
        if (dim.register is not None and not 0 <= dim.register < isa.file("r").count) or (
            dim.made and dim.register is None
        ):
            return f"dim `{dim.name}` has no register"
    for ports in (entry.parameters, entry.results):
        if len({port.name for port in ports}) != len(ports):
            return "two parameters or two results have one name"
    for port in entry.parameters:
        if isinstance(port.place, At) and port.place.space == PATTERNS:
            return f"`{port.name}` would overwrite patterns of matrices"
    for port in (*entry.parameters, *entry.results):
        fault = _port_fault(isa, program, port, dims)
        if fault is not None:
            return f"`{port.name}` {fault}"
    return None


def _port_fault(isa: Isa, program: Program, port: Port, dims: set[str]) -> str | None:
    if port.dtype not in PORT_BYTES:
        return f"can't be {port.dtype}"
    try:
        unknown = sorted({name for formula in port.shape for name in names_in(formula)} - dims)
    except FormulaError as e:
        return str(e)
    if unknown:
        return f"has the unknown dim `{unknown[0]}`"
    match port.place:
        case InRegister(file=file, number=number):
            wants = "r" if port.dtype in ("i64", "i32", "i8") else "f"
            if (
                port.shape
                or file != wants
                or port.dtype == "bf16"
                or not 0 <= number < isa.file(file).count
            ):
                return "isn't a scalar of its register"
        case At(space=space, address=address, capacity=capacity):
            size = program.memories.get(space)
            lifo = {s.name for s in isa.spaces if s.access == "lifo"}
            if (
                size is None
                or space in lifo
                or address % PORT_BYTES[port.dtype]
                or not 0 <= address <= size
                or not 0 <= capacity <= size - address
            ):
                return f"has no place in `{space}`"
        case place:
            if not 0 <= place.register < isa.file("r").count:
                return f"names register {place.register}"
    return None
