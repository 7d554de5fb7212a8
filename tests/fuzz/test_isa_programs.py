"""Verified ⇒ the machine finishes or raises a listed trap: programs made by running, then
mutated; and random ones.

The fast machine here is a build that tests every access to memory; an access that no trap excluded
would be a bug, and ends the run as one.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from dlc.isa import program as p
from dlc.isa.codec import Decoded, decode, encode
from dlc.isa.fast.machine import fast_machine
from dlc.isa.layout import S
from dlc.isa.project import load_isa
from dlc.isa.reference import ReferenceMachine
from dlc.isa.verify import RULES, Verified, verify
from tests.fuzz.isa_programs import Generator, World, differences, draw, make_world, with_text

ISA = load_isa()
FUEL = 1 << 14
WORLDS, MUTANTS, RANDOM = 40, 4000, 1000


def pool() -> list[tuple[World, p.Program]]:
    found: list[tuple[World, p.Program]] = []
    for seed in range(WORLDS):
        world = make_world(ISA, 1000 + seed, special=0.2)
        found.append((world, Generator(world, fast_machine(ISA), seed).program()))
    return found


def mutated(rng: random.Random, world: World, program: p.Program) -> p.Program:
    """The program with a few words, or a row of its tables, changed."""
    text = list(program.text)
    table = list(program.table)
    for _ in range(rng.randrange(1, 4)):
        word = rng.randrange(len(text))
        match rng.randrange(6):
            case 0 | 1:
                text[word] ^= 1 << rng.randrange(64)
            case 2:
                chosen = draw(world, rng, rng.choice(list(ISA.instructions.values())))
                names = [str(f.name) for f in chosen.instruction.operands]
                text[word] = encode(
                    chosen.instruction, dict(zip(names, chosen.values, strict=True))
                )
            case 3:
                other = rng.randrange(len(text))
                text[word], text[other] = text[other], text[word]
            case 4:
                found = decode(ISA, text[word])
                if isinstance(found, Decoded) and found.values:
                    drawn = draw(world, rng, found.instruction)
                    names = [str(f.name) for f in found.instruction.operands]
                    text[word] = encode(
                        found.instruction, dict(zip(names, drawn.values, strict=True))
                    )
            case _:
                k = rng.randrange(len(table))
                row, sizes = (
                    table[k],
                    (0, 1, 2, 3, 4, 6, 7, 1 << 20, p.FromRegister(rng.randrange(64))),
                )
                shape = tuple(rng.choice(sizes) for _ in row.shape)
                table[k] = replace(
                    row, shape=shape, offset=max(0, row.offset + rng.choice((-4, 0, 2, 8, 64)))
                )
    return replace(program, text=tuple(text), table=tuple(table))


def run_all(programs: list[p.Program], compare_every: int) -> tuple[dict[str, int], dict[str, int]]:
    """(how verified programs ended, how many each rule rejected)."""
    checked, plain = fast_machine(ISA, checked=True), fast_machine(ISA)
    ends: dict[str, int] = {}
    rejected: dict[str, int] = {}
    for number, program in enumerate(programs):
        found = verify(ISA, program)
        if not isinstance(found, Verified):
            assert found[0].rule in RULES
            rejected[found[0].rule] = rejected.get(found[0].rule, 0) + 1
            continue
        found.state.scalars[S.FUEL] = FUEL
        before = found.state.copy()
        status = checked.run(found.state, found.text)  # an access outside is an InternalError
        assert 0 <= status <= len(ISA.traps)
        name = ISA.traps[status - 1].name if status else "done"
        ends[name] = ends.get(name, 0) + 1
        if sum(ends.values()) % compare_every == 0:
            other = before.copy()
            assert plain.run(before, found.text) == status and not differences(
                before, found.state
            ), number
            assert ReferenceMachine(ISA, other, found.text).run() == status, number
            assert not differences(other, found.state), number
    return ends, rejected


def test_mutated_programs() -> None:
    rng, made = random.Random(2024), pool()
    programs = [mutated(rng, *rng.choice(made)) for _ in range(MUTANTS)]
    ends, rejected = run_all(programs, compare_every=15)
    assert sum(ends.values()) > 800 and len(ends) >= 8, ends
    assert sum(rejected.values()) > 800 and len(rejected) >= 8, rejected


def test_random_programs() -> None:
    """Straight lines of drawn instructions, with their jumps where they fall."""
    rng = random.Random(7)
    worlds = [make_world(ISA, 2000 + k) for k in range(20)]
    every = [
        i for i in ISA.instructions.values() if i.mnemonic not in ("ret", "leave", "enter", "jtab")
    ]
    halt = Decoded(ISA.instructions["halt"], ())
    programs: list[p.Program] = []
    for _ in range(RANDOM):
        world = rng.choice(worlds)
        text = [draw(world, rng, rng.choice(every)) for _ in range(rng.randrange(1, 12))]
        programs.append(with_text(world.program, [*text, halt, halt, halt]))
    ends, rejected = run_all(programs, compare_every=5)
    assert sum(ends.values()) > 200, (ends, rejected)


@pytest.mark.full
def test_many_mutated_programs() -> None:
    rng, made = random.Random(99), pool()
    for _ in range(5):
        run_all([mutated(rng, *rng.choice(made)) for _ in range(2000)], compare_every=40)
