"""Program files: round trip, same bytes, and nothing damaged gets in."""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest

from dlc.diag import CompileError
from dlc.isa import program as p
from dlc.isa.builder import AddressOf, Label, ProgramBuilder
from dlc.isa.project import load_isa
from dlc.isa.spw import read_program, write_program


def sample() -> p.Program:
    """A program with something in every section."""
    isa = load_isa()
    b = ProgramBuilder(isa)
    b.queue, b.stack_bytes, b.heap_bytes = 16, 256, 128
    x = b.variable("x", "SP", "f32", (4,), np.arange(4, dtype=np.float32))
    b.matrix(np.eye(3, dtype=np.float32), "code4")
    b.row(p.Row("SP", "f32", (p.FromRegister(5), 2), (2, 1), 8))
    dims = (p.Dim("N", 5, 10), p.Dim("k", 6, None, True))
    given = p.Port("a", "f32", ("N", "2*N + 1"), p.Given(3))
    ports = (given, p.Port("i", "i64", (), p.InRegister("r", 4)))
    results = (
        p.Port("o", "f32", ("k",), p.Made(7)),
        p.Port("x", "f32", ("4",), p.At("SP", x.address, 16)),
    )
    b.entry(p.Entry("main", 0, dims, ports, results))
    with b.function("main", stack_words=3, tape_words=0):
        b.mark("net.dl", 1, 2)
        b.emit("li", d=1, v=AddressOf("x", 4))
        b.emit("call", to=Label("f"))
        b.emit("halt")
    with b.function("f"):
        b.mark("net.dl", 7, 1)
        b.emit("ret")
    b.predicted = (("sparrow", 12),)
    return b.finish()


def code_of(data: bytes) -> str:
    with pytest.raises(CompileError) as caught:
        read_program(load_isa(), data, "x.spw")
    return caught.value.diagnostics[0].code


def resealed(data: bytes) -> bytes:
    """The same file with its last checksum made right again."""
    return data[:-32] + hashlib.sha256(data[:-32]).digest()


def test_round_trip_and_same_bytes() -> None:
    program = sample()
    data = write_program(program)
    assert read_program(load_isa(), data, "x") == program
    assert write_program(sample()) == data
    assert len(data) % 8 == 0


def test_damage_is_refused() -> None:
    data, rng = write_program(sample()), random.Random(5)
    for _ in range(2000):
        broken = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        if broken != data:
            assert code_of(bytes(broken)) in ("E0805", "E0806")
    for length in range(0, len(data), 7):
        assert code_of(data[:length]) == "E0805"
    assert code_of(data + b"\0" * 8) == "E0805"


def test_damage_under_a_right_checksum_is_refused() -> None:
    """Flipped bits whose checksums were mended: refused, or a program that reads back as itself."""
    data, rng, read = write_program(sample()), random.Random(6), 0
    count = struct.unpack_from("<I", data, 12)[0]
    for _ in range(3000):
        broken = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            broken[rng.randrange(48, len(broken) - 32)] ^= 1 << rng.randrange(8)
        for k in range(count):
            tag, _, offset, length = struct.unpack_from("<4sIQQ", broken, 48 + 24 * k)
            crc = zlib.crc32(broken[offset : offset + length])
            struct.pack_into("<4sIQQ", broken, 48 + 24 * k, tag, crc, offset, length)
        whole = resealed(bytes(broken))
        try:
            found = read_program(load_isa(), whole, "x")
        except CompileError as e:
            assert e.diagnostics[0].code == "E0805"
        else:
            read += 1
            assert write_program(found) == whole
    assert read > 50


def test_another_isa() -> None:
    data = write_program(replace(sample(), isa="00" * 32))
    assert code_of(data) == "E0806"


@pytest.mark.parametrize(
    "section, payload",
    [
        (b"NEED", b"[" * 100_000),
        (b"NEED", b'{"memories":{},"heap":1e3,"queue":0}'),
        (b"ROWS", b"[[]]"),
        (b"SYMS", b'[["x","SP",0,"f32",["4"]]]'),
        (b"SYMS", b"[" + b"9" * 5000 + b"]"),
        (b"ENTR", b'[["\\ud800",0,[],[],[]]]'),
        (b"ROWS", b'[ ["SP","f32",[4],null,0]]'),
        (b"TEXT", b"\1"),
        (b"DATA", b'["SP"]\0' + b"\xff" * 24),
        (b"DATA", b'["SP"]'),
    ],
)
def test_hostile_sections(section: bytes, payload: bytes) -> None:
    data = write_program(sample())
    count = struct.unpack_from("<I", data, 12)[0]
    rows, bodies, at = [], [], 48 + 24 * count
    for k in range(count):
        tag, _, offset, length = struct.unpack_from("<4sIQQ", data, 48 + 24 * k)
        body = payload if tag == section else data[offset : offset + length]
        rows.append(struct.pack("<4sIQQ", tag, zlib.crc32(body), at, len(body)))
        bodies.append(body + bytes(-len(body) % 8))
        at += len(bodies[-1])
    whole = b"".join((data[:48], *rows, *bodies))
    assert code_of(whole + hashlib.sha256(whole).digest()) == "E0805"
