"""Program files with wrong bytes: refused with a code, or run to an end or a listed trap; never
anything else. Most mutants are sealed again, so that checksums don't hide what is behind them.

The fast machine here is a build that tests every access to memory.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
import struct
import zlib
from collections import Counter
from typing import Any

import pytest

from dlc.diag import CompileError
from dlc.isa.fast.machine import fast_machine
from dlc.isa.layout import S
from dlc.isa.machine import Machine
from dlc.isa.program import Program
from dlc.isa.project import load_isa
from dlc.isa.spw import read_program, write_program
from tests.fuzz.isa_programs import Generator, make_world
from tests.unit.isa.test_machine import scaled, tree_sum

ISA = load_isa()
FUEL = 1 << 13
LIMIT = 1 << 24
HEAD, ROW = struct.Struct("<8sII32s"), struct.Struct("<4sIQQ")
CODES = {"E0805", "E0806", "E0807", "E0808"}
STRANGE = (0, 1, -1, 63, 64, 65, 1 << 31, 1 << 40, 1 << 61, "", "x", "SP", None, True, [], {})


def files() -> list[bytes]:
    """Programs made by running, and two written by hand that have entries and symbols."""
    worlds = [make_world(ISA, 3000 + seed, special=0.2) for seed in range(12)]
    made = [Generator(w, fast_machine(ISA), k).program() for k, w in enumerate(worlds)]
    return [write_program(p) for p in (*made, scaled(), tree_sum())]


def sections(data: bytes) -> dict[bytes, bytes]:
    """The sections of a file, by the head alone."""
    count = HEAD.unpack_from(data)[2]
    rows = [ROW.unpack_from(data, HEAD.size + ROW.size * k) for k in range(count)]
    return {tag: data[offset : offset + length] for tag, _, offset, length in rows}


def sealed(head: bytes, parts: dict[bytes, bytes]) -> bytes:
    """A file with right checksums."""
    at = HEAD.size + ROW.size * len(parts)
    rows, body = b"", b""
    for tag, payload in parts.items():
        rows += ROW.pack(tag, zlib.crc32(payload), at + len(body), len(payload))
        body += payload + bytes(-len(payload) % 8)
    whole = head[: HEAD.size] + rows + body
    return whole + hashlib.sha256(whole).digest()


def test_sealing_gives_the_writer_s_bytes() -> None:
    for data in files():
        assert sealed(data, sections(data)) == data


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all values inside JSON data."""
    out = [path] if path else []
    keys = (
        list(value)
        if isinstance(value, dict)
        else range(len(value))
        if isinstance(value, list)
        else ()
    )
    return [*out, *(p for k in keys for p in places(value[k], (*path, k)))]


def changed_json(rng: random.Random, payload: bytes) -> bytes:
    """A section of JSON with a value changed, removed or doubled, in the canonical spelling."""
    value = copy.deepcopy(json.loads(payload))
    found = places(value)
    if not found:
        return json.dumps([rng.choice(STRANGE)]).encode()
    *path, last = rng.choice(found)
    inside = value
    for key in path:
        inside = inside[key]
    old = inside[last]
    match rng.randrange(8):
        case 0 if isinstance(inside, list):
            del inside[last]
        case 1 if isinstance(inside, list):
            inside.insert(last, copy.deepcopy(old))
        case 2 | 3 | 4 if type(old) is int:
            inside[last] = old + rng.choice((-64, -8, -4, -1, 1, 4, 8, 64, 1 << 20))
        case 5 | 6 if type(old) is int:
            inside[last] = rng.choice([n for n in STRANGE if type(n) is int])
        case _:
            inside[last] = rng.choice(STRANGE)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def flipped(rng: random.Random, payload: bytes) -> bytes:
    out = bytearray(payload)
    for _ in range(rng.randrange(1, 4)):
        if out:
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def mutant(rng: random.Random, data: bytes) -> bytes:
    """A file that differs: raw bytes, or a section that is sealed again."""
    kind = rng.randrange(8)
    if kind == 0:
        cut = rng.randrange(len(data))
        return rng.choice((flipped(rng, data), data[:cut], data + b"\0", data[cut:]))
    parts = sections(data)
    tag = rng.choice([t for t in parts if t not in (b"TEXT", b"DATA")])
    if kind == 1:
        tag = rng.choice((b"TEXT", b"DATA"))
        parts[tag] = flipped(rng, parts[tag])
    elif kind == 2:
        parts[tag] = flipped(rng, parts[tag])
    else:
        parts[tag] = changed_json(rng, parts[tag])
    return sealed(data, parts)


def ends(data: bytes) -> list[str]:
    """How a file ends: a code, or how each entry and the first word do."""
    try:
        program = read_program(ISA, data, "mutant.spw")
        machine = Machine.load(program, name="mutant.spw", limit=LIMIT)
    except CompileError as e:
        codes = {d.code for d in e.diagnostics}
        assert codes <= CODES and len(codes) == 1
        return [codes.pop()]
    return [run(machine, start) for start in starts(program)]


def starts(program: Program) -> list[int]:
    return [entry.start for entry in program.entries] or [0]


def run(machine: Machine, start: int) -> str:
    machine.reset()
    machine.state.scalars[S.PC], machine.state.scalars[S.FUEL] = start, FUEL
    status = fast_machine(ISA, checked=True).run(machine.state, machine.text)
    assert 0 <= status <= len(ISA.traps)
    return ISA.traps[status - 1].name if status else "done"


def attempt(seed: int, count: int) -> Counter[str]:
    rng, made = random.Random(seed), files()
    found: Counter[str] = Counter()
    for k in range(count):
        data = mutant(rng, rng.choice(made))
        try:
            found.update(ends(data))
        except Exception as e:
            raise AssertionError(f"mutant {k} of seed {seed}") from e
    return found


def test_mutated_files() -> None:
    found = attempt(5, 600)
    assert found["E0805"] > 150 and found["E0807"] > 80 and found["done"] > 20, found
    assert sum(n for name, n in found.items() if not name.startswith("E")) > 60, found


@pytest.mark.full
def test_many_mutated_files() -> None:
    assert attempt(6, 6000)["done"] > 200
