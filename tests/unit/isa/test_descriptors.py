"""Descriptors: what they mean (numpy's strides), and that the fast machine makes the same ones."""

from __future__ import annotations

import itertools
import random

import numpy as np

from dlc.isa import descriptors
from dlc.isa.assembly import parse_instruction
from dlc.isa.builder import ProgramBuilder
from dlc.isa.fast.machine import fast_machine
from dlc.isa.layout import D, Flag, S
from dlc.isa.program import FromRegister, Program, Row
from dlc.isa.project import load_isa
from dlc.isa.reference import ReferenceMachine
from dlc.isa.state import make_state, read_packed


def elements(words: list[int]) -> list[int]:
    """Byte of every element, row by row."""
    rank, item = words[D.RANK], descriptors.ITEM_BYTES[words[D.DTYPE]]
    shape = words[D.SHAPE : D.SHAPE + rank]
    stride = words[D.STRIDE : D.STRIDE + rank]
    return [
        words[D.POINTER] + item * sum(i * s for i, s in zip(index, stride, strict=True))
        for index in itertools.product(*(range(n) for n in shape))
    ]


def random_view(rng: random.Random) -> list[int]:
    while True:
        shape = [rng.choice((1, 1, 2, 3, 4, 0)) for _ in range(rng.randrange(5))]
        stride = None if rng.random() < 0.4 else [rng.choice((0, 1, 1, 2, 4, 6, 12)) for _ in shape]
        pointer, dtype = rng.randrange(0, 160), rng.randrange(4)
        fault, words = descriptors.make(2, dtype, pointer, shape, stride, 0, 256)
        if not fault:
            return words


def test_flags_say_what_they_mean() -> None:
    rng = random.Random(1)
    for _ in range(3000):
        words = random_view(rng)
        found, item = elements(words), descriptors.ITEM_BYTES[words[D.DTYPE]]
        assert len(found) == words[D.SIZE]
        assert all(words[D.LO] <= byte and byte + item <= words[D.HI] for byte in found)
        if words[D.FLAGS] & Flag.PACKED:
            assert found == [words[D.POINTER] + item * k for k in range(len(found))]
        if words[D.FLAGS] & Flag.INJECTIVE:
            assert len(set(found)) == len(found)
        shape = words[D.SHAPE : D.SHAPE + words[D.RANK]]
        dense = [descriptors.row_major(shape)[k] for k, n in enumerate(shape) if n > 1]
        mine = [words[D.STRIDE + k] for k, n in enumerate(shape) if n > 1]
        assert bool(words[D.FLAGS] & Flag.PACKED) == (dense == mine or words[D.SIZE] <= 1)


def test_overlap_is_never_missed() -> None:
    rng = random.Random(2)
    apart = 0
    for _ in range(4000):
        a, b = random_view(rng), random_view(rng)
        if rng.random() < 0.3:  # the same pitch, moved
            moved = a[D.POINTER] + 4 * rng.randrange(8)
            b = descriptors.finish(
                2,
                a[D.DTYPE],
                moved,
                a[D.SHAPE : D.SHAPE + a[D.RANK]],
                a[D.STRIDE : D.STRIDE + a[D.RANK]],
            )
        bytes_of = [
            {byte + k for byte in elements(v) for k in range(descriptors.ITEM_BYTES[v[D.DTYPE]])}
            for v in (a, b)
        ]
        meet = a[D.LO] < b[D.HI] and b[D.LO] < a[D.HI]
        if bytes_of[0] & bytes_of[1]:
            assert descriptors.overlap(a, b) and descriptors.overlap(b, a)
        elif meet and not descriptors.overlap(a, b):
            apart += 1
    assert apart >= 5  # columns side by side are told apart


def test_columns_side_by_side() -> None:
    left = descriptors.finish(2, 0, 0, [4, 3], [6, 1])
    right = descriptors.finish(2, 0, 12, [4, 3], [6, 1])
    wide = descriptors.finish(2, 0, 8, [4, 3], [6, 1])
    assert not descriptors.overlap(left, right)
    assert descriptors.overlap(left, wide) and descriptors.overlap(wide, right)


def random_rows(rng: random.Random) -> Program:
    """A program whose descriptor table holds rows of every kind."""
    b = ProgramBuilder(load_isa())
    b.reserve("SP", 512)
    b.reserve("DRAM", 256)
    sizes = (1, 2, 3, 4, FromRegister(5), FromRegister(6))
    for _ in range(60):
        shape = tuple(rng.choice(sizes) for _ in range(rng.randrange(5)))
        stride = tuple(rng.choice((0, 1, 2, 6, FromRegister(7))) for _ in shape)
        space, dtype = rng.choice(("SP", "DRAM")), rng.choice(("f32", "bf16", "i32", "i8"))
        b.row(Row(space, dtype, shape, rng.choice((None, stride)), 4 * rng.randrange(8)))
    return b.finish()


def test_both_machines_make_the_same_descriptors() -> None:
    isa, rng = load_isa(), random.Random(3)
    fast, program = fast_machine(isa), random_rows(rng)
    rows = len(program.table)
    outcomes: dict[int, int] = {}
    one = make_state(isa, program, 2)
    two = one.copy()
    for turn in range(3000):
        line = rng.choice(
            (
                f"td.at t{rng.randrange(6)}, r1, &{rng.randrange(rows)}",
                f"td.view t{rng.randrange(6)}, t{rng.randrange(6)}, &{rng.randrange(rows)}",
                f"td.slice t{rng.randrange(6)}, t{rng.randrange(6)}, r2, r3, "
                f"#{rng.randrange(-1, 5)}",
                f"td.perm t{rng.randrange(6)}, t{rng.randrange(6)}, "
                f"#{rng.choice((0, 1, 4, 6, 9, 27, 228))}",
                f"td.row t{rng.randrange(6)}, t{rng.randrange(6)}, r4",
            )
        )
        text = tuple(parse_instruction(isa, x) for x in (line, "halt"))
        one.r[1:8] = [
            rng.choice((0, 4, 64, 3, 500, -4, 1 << 62, 2 << 48, (2 << 48) + 64, 5 << 48, 6 << 48)),
            0,
            rng.randrange(3),
            1,
            rng.choice((2, 3, 0, -1)),
            rng.choice((2, 1 << 31, 4)),
            3,
        ]
        two.r[:] = one.r
        for state in (one, two):
            state.scalars[S.FUEL], state.scalars[S.PC] = 1000, 0
        status = fast.run(one, text)
        assert status == ReferenceMachine(isa, two, text).run(), (turn, line)
        assert np.array_equal(one.T, two.T) and np.array_equal(one.scalars, two.scalars), (
            turn,
            line,
        )
        outcomes[status] = outcomes.get(status, 0) + 1
    assert len(outcomes) >= 4 and outcomes[0] > 800


def test_read_packed_is_numpy() -> None:
    isa = load_isa()
    b = ProgramBuilder(isa)
    data = np.arange(24, dtype=np.float32)
    b.data("SP", data)
    b.row(Row("SP", "f32", (3, 4), (1, 6)))
    state = make_state(isa, b.finish(), 0)
    expected = np.lib.stride_tricks.as_strided(data, (3, 4), (4, 24))
    assert np.array_equal(read_packed(state, state.static[0].tolist()), expected)


def test_an_address_may_name_its_space() -> None:
    """From 2^48 on; frames and residuals have no descriptors."""
    isa = load_isa()
    b = ProgramBuilder(isa)
    b.reserve("DRAM", 64)
    b.reserve("SP", 64)
    b.stack_bytes = 64
    k = b.row(Row("DRAM", "f32", (2,)))
    state = make_state(isa, b.finish(), 2)
    text = tuple(parse_instruction(isa, x) for x in (f"td.at t1, r1, &{k}", "halt"))
    spaces = [space.name for space in isa.spaces]
    for name, wanted in (("SP", 0), ("WGT", 1), ("STACK", 1)):
        state.r[1] = (spaces.index(name) << 48) + 8
        state.scalars[S.FUEL], state.scalars[S.PC] = 1000, 0
        status = ReferenceMachine(isa, state, text).run()
        assert (status != 0) == wanted, name
    assert int(state.T[1, D.SPACE]) == spaces.index("SP")
    assert int(state.T[1, D.POINTER]) == state.base("SP") + 8
