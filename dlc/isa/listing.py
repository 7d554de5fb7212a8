"""Whole programs as text, and back: `assemble ∘ disassemble` is the identity.

.memory SP 64                    bytes of a space
.heap 0  .queue 16               where the heap starts in DRAM; events a queue holds
.row SP f32 [4, r5] stride [r5, 1] offset 64
.matrix 4 6 12 pointers 0 row 64 values 0 dtype f32 codebook 0
.data SP 0                       an image; its bytes follow
.bytes 0000803f                  or .f32 1.0 2.0, .i32 1 2, .i64 1
.symbol "x" SP 0 f32 [4]
.entry ["main",0,[],[],[]]       as in a program file
.cycles "sparrow" 120
.function "main" frame 2 stack 8 tape -
.mark "net.dl" 3 5               the source of what follows
main:
    td.const t1, &0
    li r1, #x+4                  the address of a symbol, and bytes
    bne r1, r0, @main            a label
    halt                         ; a comment
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from dlc.diag import CompileError, Diagnostic, SourceFile, Span, error
from dlc.isa import program as p
from dlc.isa.assembly import NAME, AssemblyError, format_instruction, parse_instruction, shown
from dlc.isa.codec import Decoded, OperandError, Undecodable, decode, encode
from dlc.isa.model import Field, Isa
from dlc.isa.spw import Malformed, entry_json, read_entry

_BYTES = 32
_SYMBOL = re.compile(f"({NAME.pattern})([+-][0-9]+)?")
_LABEL = re.compile(f"({NAME.pattern}):")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^\s;]+')
_ARRAYS = {".f32": np.float32, ".i32": np.int32, ".i64": np.int64, ".i8": np.int8}


# -- to text ---------------------------------------------------------------------------------------


def disassemble(isa: Isa, program: p.Program) -> str:
    """The text of a program. Words that don't decode become `.word`, so that any file can be
    looked at."""
    words = [decode(isa, word) for word in program.text]
    labels = _labels(program, words)
    out = [f".isa {program.isa}"]
    out += [f".memory {space} {size}" for space, size in program.memories.items()]
    out += [f".heap {program.heap}", f".queue {program.queue}"]
    out += [_row_text(row) for row in program.table]
    out += [_matrix_text(matrix) for matrix in program.matrices]
    out += [line for image in program.images for line in _image_text(image)]
    out += [
        f".symbol {_quoted(s.name)} {s.space} {s.address} {s.dtype} {list(s.shape)}"
        for s in program.symbols
    ]
    out += [
        f".entry {json.dumps(entry_json(entry), separators=(',', ':'))}"
        for entry in program.entries
    ]
    out += [f".cycles {_quoted(preset)} {cycles}" for preset, cycles in program.predicted]
    out += _text_lines(program, words, labels)
    return "\n".join(out) + "\n"


def _quoted(name: str) -> str:
    return json.dumps(name)


def _sizes(sizes: tuple[p.Size, ...]) -> str:
    texts = [f"r{s.number}" if isinstance(s, p.FromRegister) else str(s) for s in sizes]
    return f"[{', '.join(texts)}]"


def _row_text(row: p.Row) -> str:
    stride = "" if row.stride is None else f" stride {_sizes(row.stride)}"
    return f".row {row.space} {row.dtype} {_sizes(row.shape)}{stride} offset {row.offset}"


def _matrix_text(m: p.Matrix) -> str:
    places = f"pointers {m.pointers} row {m.row} values {m.values}"
    return f".matrix {m.rows} {m.cols} {m.nnz} {places} dtype {m.dtype} codebook {m.codebook}"


def _image_text(image: p.Image) -> list[str]:
    pieces = [image.data[k : k + _BYTES] for k in range(0, len(image.data), _BYTES)]
    return [f".data {image.space} {image.address}", *(f".bytes {piece.hex()}" for piece in pieces)]


def _labels(program: p.Program, words: list[Decoded | Undecodable]) -> dict[int, str]:
    """Names of words: of functions, and of what is jumped to."""
    labels: dict[int, str] = {}
    taken = {symbol.name for symbol in program.symbols}
    for function in program.functions:
        if (
            NAME.fullmatch(function.name)
            and function.name not in taken
            and function.start not in labels
        ):
            labels[function.start] = function.name
            taken.add(function.name)
    for word, found in enumerate(words):
        if isinstance(found, Undecodable) or found.instruction.control.target is None:
            continue
        to = word + found[found.instruction.control.target]
        if 0 <= to < len(words) and to not in labels:
            name = f"L{to}"
            while name in taken:
                name += "_"
            labels[to] = name
            taken.add(name)
    return labels


def _text_lines(
    program: p.Program, words: list[Decoded | Undecodable], labels: dict[int, str]
) -> list[str]:
    out: list[str] = []
    marks = {mark.word: mark for mark in program.marks}
    functions: dict[int, list[p.Function]] = {}
    for function in program.functions:
        functions.setdefault(function.start, []).append(function)
    relocations = {(r.word, r.operand): r for r in program.relocations}
    for word, found in enumerate(words):
        for f in functions.get(word, ()):
            bounds = [str(b) if b is not None else "-" for b in (f.stack_words, f.tape_words)]
            out.append(
                f".function {_quoted(f.name)} frame {f.frame_words} stack {bounds[0]} tape "
                f"{bounds[1]}"
            )
        if word in marks:
            mark = marks[word]
            out.append(f".mark {_quoted(mark.file)} {mark.line} {mark.column}")
        if word in labels:
            out.append(f"{labels[word]}:")
        if isinstance(found, Undecodable):
            out.append(f"    .word {program.text[word]:#018x} ; {found.message}")
        else:
            out.append(f"    {format_instruction(found, _symbolic(word, labels, relocations))}")
    return out


def _symbolic(
    word: int, labels: dict[int, str], relocations: dict[tuple[int, str], p.Relocation]
) -> Callable[[Field, int], str | None]:
    def name(field: Field, value: int) -> str | None:
        assert field.kind is not None
        relocation = relocations.get((word, str(field.name)))
        if relocation is not None and NAME.fullmatch(relocation.symbol):
            addend = f"{relocation.addend:+d}" if relocation.addend else ""
            return f"{field.kind.prefix}{relocation.symbol}{addend}"
        if field.kind.name == "target" and word + value in labels:
            return f"{field.kind.prefix}{labels[word + value]}"
        return None

    return name


# -- from text -------------------------------------------------------------------------------------


def assemble(isa: Isa, source: SourceFile) -> p.Program:
    """The program of a text.

    Raises CompileError E0803 (a line that can't be read), E0804 (a label or symbol that is nowhere
    or twice); at most 20 at once.
    """
    return _Assembler(isa, source).program()


class _Assembler:
    """Reads one text in two passes: places of labels and symbols, then instructions."""

    def __init__(self, isa: Isa, source: SourceFile) -> None:
        self.isa = isa
        self.source = source
        self.findings: list[Diagnostic] = []
        self.made = p.Program(isa=isa.digest, text=())
        self.lists: dict[str, list[Any]] = {
            name: []
            for name in (
                "table",
                "matrices",
                "images",
                "symbols",
                "functions",
                "entries",
                "marks",
                "predicted",
                "relocations",
            )
        }
        self.memories: dict[str, int] = {}
        self.lines: list[tuple[int, int, str]] = []
        self.labels: dict[str, int] = {}
        self.data: list[list[bytes]] = []
        self.symbols: dict[str, p.Symbol] = {}

    def refuse(self, code: str, message: str, at: int, length: int) -> None:
        self.findings.append(error(code, message, Span(self.source, at, at + max(length, 1))))
        if len(self.findings) >= 20:
            raise CompileError(self.findings)

    def program(self) -> p.Program:
        at = 0
        for line in self.source.text.split("\n"):
            self._line(line, at)
            at += len(line) + 1
        text = [
            self._instruction(word, start, body) for word, (_, start, body) in enumerate(self.lines)
        ]
        if self.findings:
            raise CompileError(self.findings)
        images = zip(self.lists["images"], self.data, strict=True)
        self.lists["images"] = [replace(image, data=b"".join(parts)) for image, parts in images]
        self.lists["symbols"] = [*self.symbols.values()]
        lists = {name: tuple(values) for name, values in self.lists.items()}
        return replace(self.made, text=tuple(text), memories=self.memories, **lists)

    def _line(self, line: str, at: int) -> None:
        body = _without_comment(line).strip()
        start = at + line.find(body) if body else at
        if not body:
            return
        label = _LABEL.fullmatch(body)
        if label:
            if label[1] in self.labels:
                self.refuse("E0804", f"the label {shown(label[1])} stands twice", start, len(body))
            self.labels[label[1]] = len(self.lines)
        elif body.startswith(".") and not body.startswith(".word"):
            try:
                self._directive(
                    _TOKEN.findall(body) if not body.startswith(".entry") else [".entry", body[6:]]
                )
            except (ValueError, IndexError, TypeError, KeyError, OverflowError) as e:
                told = (
                    str(e)
                    if isinstance(e, Malformed)
                    else f"{shown(body.split()[0])} isn't used like this"
                )
                self.refuse("E0803", told, start, len(body))
        else:
            self.lines.append((len(self.lines), start, body))

    def _directive(self, words: list[str]) -> None:
        name, *rest = words
        here = len(self.lines)
        match name:
            case ".isa":
                (digest,) = rest
                if len(bytes.fromhex(digest)) != 32:
                    raise ValueError(digest)
                self.made = replace(self.made, isa=digest)
            case ".memory":
                space, size = rest
                self.memories[space] = int(size)
            case ".heap" | ".queue":
                (value,) = rest
                self.made = (
                    replace(self.made, heap=int(value))
                    if name == ".heap"
                    else replace(self.made, queue=int(value))
                )
            case ".function":
                function, *facts = rest
                keys = dict(zip(facts[::2], facts[1::2], strict=True))
                bounds = [None if (b := keys.pop(k)) == "-" else int(b) for k in ("stack", "tape")]
                self.lists["functions"].append(
                    p.Function(_name(function), here, int(keys.pop("frame")), *bounds)
                )
                _nothing_left(keys)
            case ".mark":
                file, line, column = rest
                self.lists["marks"].append(p.Mark(here, _name(file), int(line), int(column)))
            case _:
                self._table(name, rest)

    def _table(self, name: str, rest: list[str]) -> None:
        """A directive that adds to a table of the program."""
        match name:
            case ".row":
                self.lists["table"].append(_read_row(rest))
            case ".matrix":
                rows, cols, nnz, *places = rest
                keys = dict(zip(places[::2], places[1::2], strict=True))
                at = [int(keys.pop(k)) for k in ("pointers", "row", "values", "codebook")]
                sizes = int(rows), int(cols), int(nnz)
                made = p.Matrix(*sizes, at[0], at[1], at[2], keys.pop("dtype"), at[3])
                self.lists["matrices"].append(made)
                _nothing_left(keys)
            case ".data":
                space, address = rest
                self.lists["images"].append(p.Image(space, int(address), b""))
                self.data.append([])
            case ".bytes" | ".f32" | ".i32" | ".i64" | ".i8":
                data = (
                    bytes.fromhex("".join(rest))
                    if name == ".bytes"
                    else np.array(rest, _ARRAYS[name]).tobytes()
                )
                self.data[-1].append(data)
            case ".symbol":
                symbol, space, address, dtype, shape = rest
                made = p.Symbol(
                    _name(symbol), space, int(address), dtype, tuple(int(n) for n in _list(shape))
                )
                if made.name in self.symbols:
                    raise Malformed(f"the symbol {shown(made.name)} stands twice")
                self.symbols[made.name] = made
            case ".entry":
                self.lists["entries"].append(read_entry(json.loads(rest[0])))
            case ".cycles":
                preset, cycles = rest
                self.lists["predicted"].append((_name(preset), int(cycles)))
            case _:
                raise Malformed(f"there is no directive {shown(name)}")

    def _instruction(self, word: int, start: int, body: str) -> int:
        def resolve(field: Field, text: str) -> int:
            assert field.kind is not None
            found = _SYMBOL.fullmatch(text)
            name, addend = (found[1], int(found[2] or 0)) if found else (text, 0)
            if field.kind.name == "target":
                if name not in self.labels:
                    raise OperandError(f"there is no label {shown(name)}")
                return self.labels[name] + addend - word
            if name not in self.symbols:
                raise OperandError(f"there is no symbol {shown(name)}")
            self.lists["relocations"].append(p.Relocation(word, str(field.name), name, addend))
            return self.symbols[name].address + addend

        try:
            if body.startswith(".word"):
                return int(body.split()[1], 0) & (1 << 64) - 1
            decoded = parse_instruction(self.isa, body, resolve)
            names = [str(field.name) for field in decoded.instruction.operands]
            return encode(decoded.instruction, dict(zip(names, decoded.values, strict=True)))
        except AssemblyError as e:
            offset = max(body.find(e.piece), 0)
            nowhere = e.message.startswith(("there is no label", "there is no symbol"))
            self.refuse("E0804" if nowhere else "E0803", e.message, start + offset, len(e.piece))
        except (ValueError, IndexError):
            self.refuse("E0803", "`.word` takes a number", start, len(body))
        return 0


def _without_comment(line: str) -> str:
    quoted = False
    for k, c in enumerate(line):
        if c == '"' and (k == 0 or line[k - 1] != "\\"):
            quoted = not quoted
        elif c == ";" and not quoted:
            return line[:k]
    return line


def _name(word: str) -> str:
    value = json.loads(word)
    if not isinstance(value, str):
        raise ValueError(word)
    return value


def _list(word: str) -> list[str]:
    if not (word.startswith("[") and word.endswith("]")):
        raise ValueError(word)
    inner = word[1:-1].strip()
    return [piece.strip() for piece in inner.split(",")] if inner else []


def _nothing_left(keys: dict[str, str]) -> None:
    if keys:
        raise ValueError(next(iter(keys)))


def _read_row(words: list[str]) -> p.Row:
    space, dtype, shape, *rest = words
    keys = dict(zip(rest[::2], rest[1::2], strict=True))
    stride = keys.pop("stride", None)
    made = p.Row(
        space,
        dtype,
        tuple(_size(size) for size in _list(shape)),
        None if stride is None else tuple(_size(size) for size in _list(stride)),
        int(keys.pop("offset", "0")),
    )
    _nothing_left(keys)
    return made


def _size(text: str) -> p.Size:
    return p.FromRegister(int(text[1:])) if text.startswith("r") else int(text)
