"""Program files `.spw`: the bytes of a program, the same for the same program on any day and
machine.

    magic 8 · version u32 · sections u32 · digest of the ISA 32
    a row per section: tag 4, CRC-32 u32, offset u64, length u64
    sections, each at a multiple of 8, zeros between
    SHA-256 of all before

Numbers are little-endian. `TEXT` holds words, `DATA` the images; every other section is JSON in one
canonical spelling. Reading refuses whatever writing wouldn't have written, so equal programs and
equal files are the same thing.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from dlc.diag import CompileError, error
from dlc.isa import program as p
from dlc.isa.model import Isa

MAGIC = b"\x8bSPW\r\n\x1a\n"
VERSION = 1
LARGEST = 1 << 31
_HEAD = struct.Struct("<8sII32s")
_ROW = struct.Struct("<4sIQQ")
_IMAGE = struct.Struct("<IIQQ")
_T = TypeVar("_T")


class Malformed(ValueError):
    """A section that no writer wrote."""


# -- writing ---------------------------------------------------------------------------------------


def write_program(program: p.Program) -> bytes:
    """The file of a program."""
    payloads = {tag: write(program) for tag, (write, _) in _SECTIONS.items()}
    at = _HEAD.size + _ROW.size * len(payloads)
    rows: list[bytes] = []
    body: list[bytes] = []
    for tag, payload in payloads.items():
        rows.append(_ROW.pack(tag, zlib.crc32(payload), at, len(payload)))
        padded = payload + bytes(-len(payload) % 8)
        body.append(padded)
        at += len(padded)
    head = _HEAD.pack(MAGIC, VERSION, len(payloads), bytes.fromhex(program.isa))
    whole = b"".join((head, *rows, *body))
    return whole + hashlib.sha256(whole).digest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _size_json(size: p.Size) -> object:
    return [size.number] if isinstance(size, p.FromRegister) else size


def _place_json(place: p.PortPlace) -> list[object]:
    match place:
        case p.InRegister(file=file, number=number):
            return ["in", file, number]
        case p.At(space=space, address=address, capacity=capacity):
            return ["at", space, address, capacity]
        case p.Given(register=register):
            return ["given", register]
        case p.Made(register=register):
            return ["made", register]


def _port_json(port: p.Port) -> list[object]:
    return [port.name, port.dtype, list(port.shape), _place_json(port.place)]


def entry_json(e: p.Entry) -> list[object]:
    dims = [[d.name, d.register, d.bound, d.made] for d in e.dims]
    return [
        e.name,
        e.start,
        dims,
        [_port_json(x) for x in e.parameters],
        [_port_json(x) for x in e.results],
    ]


def _row_json(r: p.Row) -> list[object]:
    stride = None if r.stride is None else [_size_json(s) for s in r.stride]
    return [r.space, r.dtype, [_size_json(s) for s in r.shape], stride, r.offset]


def _write_images(program: p.Program) -> bytes:
    names = sorted({image.space for image in program.images})
    out = [_json(names), b"\0"]
    for image in program.images:
        out.append(_IMAGE.pack(names.index(image.space), 0, image.address, len(image.data)))
        out.append(image.data)
    return b"".join(out)


# -- reading ---------------------------------------------------------------------------------------


def read_program(isa: Isa, data: bytes, name: str) -> p.Program:
    """The program of a file; `name` is for messages. What it says isn't verified yet.

    Raises CompileError E0805 (not a program file, damaged, or not canonical), E0806 (made for
    another ISA).
    """
    try:
        program = _read(data)
    except Malformed as e:
        raise CompileError(error("E0805", f"{name}: {e}")) from None
    if program.isa != isa.digest:
        raise CompileError(
            error("E0806", f"{name} was made for another instruction set").with_note(
                f"it names {program.isa[:16]}, this is {isa.digest[:16]}"
            )
        )
    return program


def _read(data: bytes) -> p.Program:
    if len(data) < _HEAD.size + 32 or data[:8] != MAGIC:
        raise Malformed("this isn't a Sparrow program file")
    if len(data) > LARGEST:
        raise Malformed("the file is larger than 2 GiB")
    _, version, count, digest = _HEAD.unpack_from(data)
    if version != VERSION:
        raise Malformed(f"version {version} of the format; this reads version {VERSION}")
    if hashlib.sha256(data[:-32]).digest() != data[-32:]:
        raise Malformed("the checksum of the file is wrong: it is damaged or was changed")
    if count != len(_SECTIONS):
        raise Malformed(f"{count} sections; there are {len(_SECTIONS)}")
    values: dict[str, Any] = {"isa": digest.hex()}
    at = _HEAD.size + _ROW.size * count
    for k, (tag, (_, read)) in enumerate(_SECTIONS.items()):
        found, crc, offset, length = _ROW.unpack_from(data, _HEAD.size + k * _ROW.size)
        label = tag.decode()
        if found != tag or offset != at or length > len(data) - 32 - at:
            raise Malformed(f"section {label} isn't where it belongs")
        payload = data[offset : offset + length]
        if zlib.crc32(payload) != crc:
            raise Malformed(f"section {label} is damaged")
        at += length + -length % 8
        if any(data[offset + length : at]):
            raise Malformed(f"bytes after section {label}")
        try:
            values.update(read(payload))
        except Malformed as e:
            raise Malformed(f"section {label}: {e}") from None
    if at != len(data) - 32:
        raise Malformed("bytes after the last section")
    program = p.Program(**values)
    if write_program(program) != data:
        raise Malformed("it isn't spelled as this format's writer would")
    return program


def _parsed(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        raise Malformed("not JSON") from None


def _int(value: Any) -> int:
    if type(value) is not int or not -(1 << 62) <= value < 1 << 62:
        raise Malformed("a number belongs here")
    return value


def _str(value: Any) -> str:
    if type(value) is not str or len(value) > 4096 or any(0xD800 <= ord(c) < 0xE000 for c in value):
        raise Malformed("a text belongs here")
    return value


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise Malformed("true or false belongs here")
    return value


def _optional(read: Callable[[Any], _T], value: Any) -> _T | None:
    return None if value is None else read(value)


def _list(read: Callable[[Any], _T], value: Any) -> tuple[_T, ...]:
    if type(value) is not list:
        raise Malformed("a list belongs here")
    return tuple(read(item) for item in cast("list[Any]", value))


def _fields(value: Any, count: int) -> list[Any]:
    if type(value) is not list or len(cast("list[Any]", value)) != count:
        raise Malformed(f"{count} values belong here")
    return cast("list[Any]", value)


def _members(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise Malformed("an object belongs here")
    return cast("dict[str, Any]", value)


def _size(value: Any) -> p.Size:
    return p.FromRegister(_int(_fields(value, 1)[0])) if type(value) is list else _int(value)


def _row(value: Any) -> p.Row:
    space, dtype, shape, stride, offset = _fields(value, 5)
    strides = None if stride is None else _list(_size, stride)
    return p.Row(_str(space), _str(dtype), _list(_size, shape), strides, _int(offset))


def _matrix(value: Any) -> p.Matrix:
    *numbers, dtype, codebook = _fields(value, 8)
    rows, cols, nnz, pointers, row, values = (_int(n) for n in numbers)
    return p.Matrix(rows, cols, nnz, pointers, row, values, _str(dtype), _int(codebook))


def _place(value: Any) -> p.PortPlace:
    if type(value) is list and value:
        kind, *rest = cast("list[Any]", value)
        if kind == "in" and len(rest) == 2:
            return p.InRegister(_str(rest[0]), _int(rest[1]))
        if kind == "at" and len(rest) == 3:
            return p.At(_str(rest[0]), _int(rest[1]), _int(rest[2]))
        if kind in ("given", "made") and len(rest) == 1:
            return p.Given(_int(rest[0])) if kind == "given" else p.Made(_int(rest[0]))
    raise Malformed("a place belongs here")


def _port(value: Any) -> p.Port:
    name, dtype, shape, place = _fields(value, 4)
    return p.Port(_str(name), _str(dtype), _list(_str, shape), _place(place))


def _dim(value: Any) -> p.Dim:
    name, register, bound, made = _fields(value, 4)
    return p.Dim(_str(name), _optional(_int, register), _optional(_int, bound), _bool(made))


def read_entry(value: Any) -> p.Entry:
    name, start, dims, parameters, results = _fields(value, 5)
    return p.Entry(
        _str(name), _int(start), _list(_dim, dims), _list(_port, parameters), _list(_port, results)
    )


def _symbol(value: Any) -> p.Symbol:
    name, space, address, dtype, shape = _fields(value, 5)
    return p.Symbol(_str(name), _str(space), _int(address), _str(dtype), _list(_int, shape))


def _relocation(value: Any) -> p.Relocation:
    word, operand, symbol, addend = _fields(value, 4)
    return p.Relocation(_int(word), _str(operand), _str(symbol), _int(addend))


def _function(value: Any) -> p.Function:
    name, start, frame, stack, tape = _fields(value, 5)
    return p.Function(
        _str(name), _int(start), _int(frame), _optional(_int, stack), _optional(_int, tape)
    )


def _mark(value: Any) -> p.Mark:
    word, file, line, column = _fields(value, 4)
    return p.Mark(_int(word), _str(file), _int(line), _int(column))


def _prediction(value: Any) -> tuple[str, int]:
    preset, cycles = _fields(value, 2)
    return _str(preset), _int(cycles)


def _read_text(payload: bytes) -> Mapping[str, Any]:
    if len(payload) % 8:
        raise Malformed("not whole words")
    return {"text": struct.unpack(f"<{len(payload) // 8}Q", payload)}


def _read_need(payload: bytes) -> Mapping[str, Any]:
    value = _members(_parsed(payload))
    if set(value) != {"memories", "heap", "queue"}:
        raise Malformed("memories, heap and queue belong here")
    memories = {_str(k): _int(v) for k, v in _members(value["memories"]).items()}
    return {"memories": memories, "heap": _int(value["heap"]), "queue": _int(value["queue"])}


def _read_images(payload: bytes) -> Mapping[str, Any]:
    end = payload.find(b"\0")
    if end < 0:
        raise Malformed("no names of spaces")
    names = _list(_str, _parsed(payload[:end]))
    at = end + 1
    images: list[p.Image] = []
    while at < len(payload):
        if len(payload) - at < _IMAGE.size:
            raise Malformed("cut short")
        space, zero, address, length = _IMAGE.unpack_from(payload, at)
        at += _IMAGE.size
        if space >= len(names) or zero or length > len(payload) - at or address >= 1 << 62:
            raise Malformed("an image of no space, or cut short")
        images.append(p.Image(names[int(space)], int(address), payload[at : at + length]))
        at += length
    return {"images": tuple(images)}


def _table(
    name: str, write: Callable[[Any], object], read: Callable[[Any], object]
) -> tuple[Any, Any]:
    def writer(program: p.Program) -> bytes:
        return _json([write(item) for item in getattr(program, name)])

    def reader(payload: bytes) -> Mapping[str, Any]:
        return {name: _list(read, _parsed(payload))}

    return writer, reader


_SECTIONS: dict[
    bytes, tuple[Callable[[p.Program], bytes], Callable[[bytes], Mapping[str, Any]]]
] = {
    b"TEXT": (lambda g: struct.pack(f"<{len(g.text)}Q", *g.text), _read_text),
    b"NEED": (
        lambda g: _json({"memories": dict(g.memories), "heap": g.heap, "queue": g.queue}),
        _read_need,
    ),
    b"DATA": (_write_images, _read_images),
    b"ROWS": _table("table", _row_json, _row),
    b"MATS": _table(
        "matrices",
        lambda m: [m.rows, m.cols, m.nnz, m.pointers, m.row, m.values, m.dtype, m.codebook],
        _matrix,
    ),
    b"SYMS": _table(
        "symbols", lambda s: [s.name, s.space, s.address, s.dtype, list(s.shape)], _symbol
    ),
    b"RELO": _table("relocations", lambda r: [r.word, r.operand, r.symbol, r.addend], _relocation),
    b"FUNC": _table(
        "functions",
        lambda f: [f.name, f.start, f.frame_words, f.stack_words, f.tape_words],
        _function,
    ),
    b"ENTR": _table("entries", entry_json, read_entry),
    b"MARK": _table("marks", lambda m: [m.word, m.file, m.line, m.column], _mark),
    b"COST": _table("predicted", list, _prediction),
}
