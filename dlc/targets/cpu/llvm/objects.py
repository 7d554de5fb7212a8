"""The symbols of an object file: ELF (32 and 64 bits), COFF, Mach-O and WebAssembly, little-endian.

Enough to say which symbols an object leaves to others, and which it gives: what a freestanding
artefact promises is checked on its own bytes, not on what the emitter meant to write.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dlc.diag import InternalError


@dataclass(frozen=True, slots=True)
class Symbols:
    """Names in the order of the object's symbol table."""

    defined: tuple[str, ...]
    """Visible outside."""
    undefined: tuple[str, ...]


def symbols(data: bytes) -> Symbols:
    """The external symbols of an object. Raises InternalError for a format that is none of the
    four."""
    if data[:4] == b"\x7fELF":
        return _elf(data)
    if data[:4] == b"\0asm":
        return _wasm(data)
    if data[:4] == b"\xcf\xfa\xed\xfe":
        return _macho(data)
    if data[:2] in (b"\x64\x86", b"\x64\xaa", b"\x4c\x01", b"\xc4\x01"):
        return _coff(data)
    raise InternalError("not an ELF, COFF, Mach-O or wasm object")


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()


def _elf(data: bytes) -> Symbols:
    wide = data[4] == 2
    if data[5] != 1:
        raise InternalError("big-endian ELF objects are not read")
    (headers,) = struct.unpack_from("<Q" if wide else "<I", data, 40 if wide else 32)
    size, count = struct.unpack_from("<HH", data, 58 if wide else 46)
    section = "<IIQQQQIIQQ" if wide else "<IIIIIIIIII"
    entry = "<IBBHQQ" if wide else "<IIIBBH"
    defined: list[str] = []
    undefined: list[str] = []
    sections: list[tuple[int, ...]] = [
        struct.unpack_from(section, data, headers + i * size) for i in range(count)
    ]
    for table in sections:
        if table[1] != 2:  # SHT_SYMTAB
            continue
        names = sections[table[6]][4]
        for at in range(table[4], table[4] + table[5], struct.calcsize(entry)):
            fields = struct.unpack_from(entry, data, at)
            info, index = (fields[1], fields[3]) if wide else (fields[3], fields[5])
            name = _text(data, names + fields[0])
            if not name or info >> 4 == 0:  # STB_LOCAL
                continue
            (undefined if index == 0 else defined).append(name)
    return Symbols(tuple(defined), tuple(undefined))


# Constants of floating-point code, which the linker merges by content.
_COFF_CONSTANTS = ("__real@", "__xmm@", "__ymm@", "__zmm@")


def _coff(data: bytes) -> Symbols:
    at, count = struct.unpack_from("<II", data, 8)
    strings = at + 18 * count
    defined: list[str] = []
    undefined: list[str] = []
    i = 0
    while i < count:
        raw, value, section, _, kind, extra = struct.unpack_from("<8sIhHBB", data, at + 18 * i)
        i += 1 + extra
        if kind != 2:  # IMAGE_SYM_CLASS_EXTERNAL
            continue
        if raw[:4] == b"\0\0\0\0":
            name = _text(data, strings + int.from_bytes(raw[4:], "little"))
        else:
            name = raw.rstrip(b"\0").decode()
        if not name.startswith(_COFF_CONSTANTS):
            (undefined if section == 0 and value == 0 else defined).append(name)
    return Symbols(tuple(defined), tuple(undefined))


def _macho(data: bytes) -> Symbols:
    (commands,) = struct.unpack_from("<I", data, 16)
    defined: list[str] = []
    undefined: list[str] = []
    at = 32
    for _ in range(commands):
        kind, size = struct.unpack_from("<II", data, at)
        if kind == 2:  # LC_SYMTAB
            table, count, strings, _ = struct.unpack_from("<IIII", data, at + 8)
            for i in range(count):
                name_at, type_, _, _, _ = struct.unpack_from("<IBBHQ", data, table + 16 * i)
                if type_ & 0xE0 or not type_ & 1:  # debugging, or not external
                    continue
                name = _text(data, strings + name_at).removeprefix("_")
                (undefined if type_ & 0x0E == 0 else defined).append(name)
        at += size
    return Symbols(tuple(defined), tuple(undefined))


# What every object of LLVM's imports from its embedder: the linear memory and its stack, not code.
_WASM_ENVIRONMENT = ("__linear_memory", "__stack_pointer", "__indirect_function_table")


def _wasm(data: bytes) -> Symbols:
    """Imports of functions and globals; definitions from the `linking` section's symbol table."""
    defined: list[str] = []
    undefined: list[str] = []
    at = 8
    while at < len(data):
        kind = data[at]
        size, body = _leb(data, at + 1)
        if kind == 2:
            undefined += [n for n in _wasm_imports(data, body) if n not in _WASM_ENVIRONMENT]
        elif kind == 0:
            name, start = _wasm_name(data, body)
            if name == "linking":
                defined += _wasm_linking(data, start, body + size)
        at = body + size
    return Symbols(tuple(defined), tuple(undefined))


def _leb(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _wasm_name(data: bytes, at: int) -> tuple[str, int]:
    size, at = _leb(data, at)
    return data[at : at + size].decode(), at + size


def _wasm_imports(data: bytes, at: int) -> list[str]:
    names: list[str] = []
    count, at = _leb(data, at)
    for _ in range(count):
        _, at = _wasm_name(data, at)
        name, at = _wasm_name(data, at)
        names.append(name)
        kind, at = data[at], at + 1
        if kind == 3:  # global: type and mutability
            at += 2
            continue
        if kind == 1:  # table: element type before the limits
            at += 1
        if kind == 0:  # function: type index
            _, at = _leb(data, at)
            continue
        flags, at = _leb(data, at)
        _, at = _leb(data, at)
        if flags & 1:
            _, at = _leb(data, at)
    return names


def _wasm_linking(data: bytes, at: int, end: int) -> list[str]:
    names: list[str] = []
    _, at = _leb(data, at)  # version
    while at < end:
        kind, size = data[at], _leb(data, at + 1)
        if kind == 8:  # WASM_SYMBOL_TABLE
            names += _wasm_symbols(data, size[1])
        at = size[1] + size[0]
    return names


def _wasm_symbols(data: bytes, at: int) -> list[str]:
    names: list[str] = []
    count, at = _leb(data, at)
    for _ in range(count):
        kind, at = data[at], at + 1
        flags, at = _leb(data, at)
        undefined, named, local = flags & 0x10, flags & 0x40, flags & 2
        name = ""
        if kind == 1:  # data: name, then segment, offset and size when defined
            name, at = _wasm_name(data, at)
            for _ in range(0 if undefined else 3):
                _, at = _leb(data, at)
        else:  # function, global, section, event, table: index, then the name of what is ours
            _, at = _leb(data, at)
            if kind != 3 and (not undefined or named):
                name, at = _wasm_name(data, at)
        if name and not undefined and not local:
            names.append(name)
    return names
