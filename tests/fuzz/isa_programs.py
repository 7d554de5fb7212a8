"""Programs for the machine, made by running: an instruction is kept when the present state accepts
it.

A generator that draws operands blindly makes programs that trap at once. Here every draw is tried
on the fast machine (a trap changes nothing, so a refused draw costs microseconds), until one is
accepted; then the state has moved on, and the next instruction is drawn. The world below holds
consistent families of shapes, so that every instruction finds operands that fit.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import numpy as np

from dlc.isa.assembly import decoded
from dlc.isa.builder import ProgramBuilder
from dlc.isa.codec import Decoded, encode
from dlc.isa.fast.machine import FastMachine, decoded_rows, state_pointers
from dlc.isa.layout import D, Flag, S
from dlc.isa.model import Field, Instruction, Isa
from dlc.isa.program import DTYPES, Entry, FromRegister, Program, Row
from dlc.isa.state import State, make_state

FUEL = 1 << 20
TENSORS = 28
SHAPES = (
    (4,),
    (6,),
    (4, 6),
    (6, 4),
    (4, 4),
    (2, 6),
    (3, 4),
    (2, 4),
    (2, 4, 6),
    (3, 4, 4),
    (2, 4, 4),
    (2, 3, 2, 2),
    (3, 2, 2, 2),
    (),
    (1,),
    (0,),
    (4, 0),
)
SPECIAL_VALUES = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    np.inf,
    -np.inf,
    np.nan,
    1e-40,
    -1e-42,
    3.4e38,
    1e-8,
    88.0,
    -104.0,
)
CONTROL = (
    "jmp",
    "beq",
    "bne",
    "blt",
    "bge",
    "jtab",
    "call",
    "ret",
    "enter",
    "leave",
    "lds",
    "sts",
    "flds",
    "fsts",
    "halt",
    "trap",
    "assert",
)


@dataclass(slots=True)
class World:
    """A program without text, and what draws may name."""

    isa: Isa
    program: Program
    rows: int
    matrices: int
    parts: dict[str, object] = field(default_factory=dict)


def random_floats(rng: np.random.Generator, count: int, special: float) -> np.ndarray:
    values = np.round(rng.standard_normal(count) * 4, 2).astype(np.float32)
    values[rng.random(count) < 0.3] = 0
    odd = rng.random(count) < special
    values[odd] = rng.choice(np.array(SPECIAL_VALUES, np.float32), int(odd.sum()))
    return values


def make_world(isa: Isa, seed: int, special: float = 0.1) -> World:
    """Memories with data, a table of descriptor rows in families of shapes, compressed matrices."""
    rng = np.random.default_rng(seed)
    b = ProgramBuilder(isa)
    b.queue = int(rng.choice([4, 16, 64]))
    b.stack_bytes, b.tape_bytes, b.heap_bytes = 512, 1024, 1024
    data = {
        space: b.data(space, random_floats(rng, 512, special))
        for space in ("SP", "WGT", "ACC", "CONST", "DRAM")
    }
    index = b.data("SP", rng.integers(0, 3, 128).astype(np.int32))
    offsets = b.data("CONST", np.array([0, 1, 1, 3, 4, 4, 0, 2, 4, 6, 0, 3, 4], np.int32))
    ascending = b.data("CONST", np.sort(rng.permutation(8)[:6]).astype(np.int32))
    codes = b.data("SP", rng.integers(-3, 4, 256).astype(np.int8))
    b.data("IDX", np.zeros(16, np.int32))
    for space in ("SP", "ACC", "WGT", "DRAM", "CONST"):
        for shape in SHAPES:
            dtype = str(rng.choice(["f32", "f32", "f32", "bf16"]))
            step = 4 if dtype == "f32" else 2
            b.row(Row(space, dtype, shape, None, data[space] + step * int(rng.integers(0, 96))))
    for shape in ((4,), (6,), (4, 6), (4, 4), (6, 4), (2, 4, 6), (1,), (5,), (3,)):
        for dtype, at, item in (("i32", index, 4), ("i8", codes, 1)):
            b.row(Row("SP", dtype, shape, None, at + item * int(rng.integers(0, 64))))
    for shape, at in (
        ((4,), offsets),
        ((5,), offsets),
        ((4,), offsets + 24),
        ((3,), offsets + 40),
        ((6,), ascending),
        ((4,), ascending),
    ):
        b.row(Row("CONST", "i32", shape, None, at))
    b.row(Row("SP", "f32", (4, 6), (0, 1), data["SP"]))
    b.row(Row("ACC", "f32", (4, 6), (12, 2), data["ACC"]))
    b.row(Row("ACC", "f32", (4, 4), (1, 4), data["ACC"] + 64))
    b.row(Row("SP", "f32", (FromRegister(5), 4), None, data["SP"]))
    b.row(Row("ACC", "bf16", (FromRegister(5), FromRegister(6)), (FromRegister(6), 1)))
    b.row(Row("DRAM", "i32", (FromRegister(6),), None, 64))
    for rows, cols, dtype in ((4, 6, "f32"), (6, 4, "bf16"), (4, 4, "code4"), (6, 6, "f32")):
        dense = np.where(
            rng.random((rows, cols)) < 0.5,
            rng.choice(np.array([-2, -1, 0.5, 1, 3], np.float32), (rows, cols)),
            0,
        )
        k = b.matrix(dense.astype(np.float32), dtype)
        nnz = b.matrix_row(k).nnz
        for space in ("ACC", "SP"):
            b.row(Row(space, "f32", (nnz,), None, data[space]))
    b.entry(Entry("main", 0))
    program = b.finish()
    return World(isa, program, len(program.table), len(program.matrices))


# -- drawing ---------------------------------------------------------------------------------------


def draw_operand(world: World, rng: random.Random, operand: Field) -> int:
    """A value of an operand, from a small pool so that instructions meet."""
    kind = operand.kind
    assert kind is not None
    if kind.members:
        return rng.choice(kind.members)[1]
    match kind.of:
        case "r":
            return rng.choice((0, 1, 2, 3, 4, 5, 6, 7))
        case "f":
            return rng.randrange(6)
        case "T":
            return rng.randrange(TENSORS)
        case "W" | "Q":
            return rng.randrange(4)
        case "table" | "static_table":
            while True:
                row = rng.randrange(world.rows)
                if kind.of == "table" or world.program.table[row].is_static:
                    return row
        case "matrices":
            return rng.randrange(world.matrices)
        case _:
            pass
    if kind.name == "real":
        return int(np.float32(rng.choice((*SPECIAL_VALUES, 0.25, -3.0, 7.5))).view(np.uint32))
    if kind.name == "byte":
        return rng.choice((0, 1, 1, 2, 3))
    return rng.choice(
        (0, 0, 1, 1, 2, 3, 4, 6, 8, -1, 16, 64, 228, 0x1B, rng.randrange(-(1 << 31), 1 << 31))
    )


def draw(
    world: World, rng: random.Random, instruction: Instruction, views: list[list[int]] | None = None
) -> Decoded:
    """An instruction with drawn operands; with the present descriptors, tensors whose element type
    and rank fit."""
    values = {str(f.name): draw_operand(world, rng, f) for f in instruction.operands}
    for tensor in instruction.tensors if views is not None else ():
        kinds = (0, 1) if tensor.float else (2, 3)
        found = [
            k
            for k, view in enumerate(views or ())
            if view[D.DTYPE] in kinds
            and tensor.rank in (None, view[D.RANK])
            and (not tensor.written or view[D.FLAGS] & Flag.INJECTIVE)
        ]
        if found:
            values[tensor.operand] = rng.choice(found)
    return Decoded(instruction, tuple(values.values()))


class Generator:
    """Makes programs for one world. `coverage` counts accepted draws by mnemonic."""

    def __init__(self, world: World, fast: FastMachine, seed: int) -> None:
        self.world = world
        self.fast = fast
        self.rng = random.Random(seed)
        self.halt = decoded(world.isa.instructions["halt"])
        self.plain = [i for i in world.isa.instructions.values() if i.mnemonic not in CONTROL]
        self.weights = [self._weight(i) for i in self.plain]
        self.coverage: dict[str, int] = {}
        self.traps: dict[str, int] = {}
        self.numbers = {mnemonic: k for k, mnemonic in enumerate(world.isa.instructions)}
        self.rows = decoded_rows(world.isa, (self.halt, self.halt))
        self.arrays: list[int] | None = None

    @staticmethod
    def _weight(instruction: Instruction) -> int:
        """How often an instruction is drawn: more often where it fits more seldom."""
        if instruction.mnemonic.startswith("tp.pop") or len(instruction.tensors) > 2:
            return 8
        return (
            4 if any(f.kind and f.kind.of in ("T", "Q", "W") for f in instruction.operands) else 2
        )

    def accepts(self, state: State, tried: Decoded) -> bool:
        """Run one instruction; False, and nothing changed, if it traps."""
        self.rows[0, 1:] = 0
        self.rows[0, 0] = self.numbers[tried.instruction.mnemonic]
        self.rows[0, 1 : 1 + len(tried.values)] = tried.values
        state.scalars[S.PC] = 0
        state.scalars[S.FUEL] = FUEL
        status = self.fast.run_rows(state, self.rows, self.arrays)
        if status:
            name = self.world.isa.traps[status - 1].name
            self.traps[name] = self.traps.get(name, 0) + 1
        return status == 0

    def prologue(self, state: State) -> list[Decoded]:
        """Descriptors, matrices and registers to begin with."""
        isa, rng, made = self.world.isa, self.rng, []
        table = self.world.program.table
        for t in range(TENSORS):
            while True:
                row = rng.randrange(self.world.rows)
                if table[row].is_static and (
                    t < TENSORS - 8 or table[row].dtype == DTYPES[2 + (t % 4 == 0)]
                ):
                    break
            made.append(decoded(isa.instructions["td.const"], d=t, k=row))
        for w in range(4):
            made.append(
                decoded(isa.instructions["w.const"], d=w, k=rng.randrange(self.world.matrices))
            )
        for r in range(1, 8):
            made.append(
                decoded(isa.instructions["li"], d=r, v=rng.choice((0, 1, 2, 3, 4, 6, 64, 128)))
            )
        for step in made:
            assert self.accepts(state, step), step
        return made

    def body(self, state: State, length: int, repeats: bool = False) -> list[Decoded]:
        """So many instructions that this state accepts one after the other; with `repeats`, such
        that once more is likely to do as well."""
        made: list[Decoded] = []
        while len(made) < length:
            instruction = self.rng.choices(self.plain, self.weights)[0]
            if repeats and any(
                place.descriptor or place.base in ("r", "tape", "heap")
                for place in instruction.writes
            ):
                continue
            views = state.T[:TENSORS].tolist() if instruction.tensors else None
            for _ in range(40 if len(instruction.tensors) < 3 else 120):
                tried = draw(self.world, self.rng, instruction, views)
                if self.accepts(state, tried):
                    made.append(tried)
                    self.coverage[instruction.mnemonic] = (
                        self.coverage.get(instruction.mnemonic, 0) + 1
                    )
                    break
        return made

    def program(self, length: int = 40) -> Program:
        """A program with a loop, a branch and a function around accepted instructions; also a last
        one that may trap."""
        isa, rng = self.world.isa, self.rng
        state = make_state(isa, self.world.program, 2)
        self.arrays = state_pointers(state)
        main = self.prologue(state)
        main += self.body(state, length // 2)
        looped = self.body(state, length // 4, repeats=True)
        skipped = self.body(state, 1)
        called = self.body(state, length // 4)
        last = (
            self.body(state, 2)
            if rng.random() < 0.5
            else [draw(self.world, rng, rng.choice(self.plain)) for _ in range(2)]
        )

        def at(mnemonic: str, **operands: int) -> Decoded:
            return decoded(isa.instructions[mnemonic], **operands)

        text = [at("enter", n=2), at("li", d=9, v=rng.randrange(1, 3)), at("sts", a=9, k=0), *main]
        loop = [
            at("lds", d=9, k=0),
            at("assert", a=9, v=3),
            at("addi", d=9, a=9, v=-1),
            at("sts", a=9, k=0),
            at("fsts", a=1, k=1),
            at("flds", d=6, k=1),
            *looped,
        ]
        text += [*loop, at("bne", a=9, b=0, to=-len(loop))]
        branch = rng.choice(("beq", "bne", "blt", "bge"))
        text += [at(branch, a=rng.randrange(8), b=rng.randrange(8), to=2), *skipped]
        tail = [at("jtab", a=0, n=1), at("jmp", to=1), *last, at("leave", n=2), at("halt")]
        text += [
            at("call", to=1 + len(tail)),
            *tail,
            at("enter", n=1),
            *called,
            at("leave", n=1),
            at("ret"),
        ]
        return with_text(self.world.program, text)


def with_text(program: Program, text: list[Decoded]) -> Program:
    return replace(
        program,
        text=tuple(
            encode(
                d.instruction,
                {str(f.name): v for f, v in zip(d.instruction.operands, d.values, strict=True)},
            )
            for d in text
        ),
    )


# -- comparing -------------------------------------------------------------------------------------


def same_floats(a: np.ndarray, b: np.ndarray) -> bool:
    """Bit for bit, NaN as a class."""
    return bool(((a.view(np.uint32) == b.view(np.uint32)) | (np.isnan(a) & np.isnan(b))).all())


def differences(a: State, b: State) -> list[str]:
    """What of two states isn't the same."""
    found = [
        name
        for name in ("memory", "r", "T", "W", "Q", "scalars")
        if not np.array_equal(getattr(a, name), getattr(b, name))
    ]
    return found if same_floats(a.f, b.f) else [*found, "f"]
