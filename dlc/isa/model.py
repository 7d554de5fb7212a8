"""What the files of `isa/` declare, as frozen values: the machine's state, its instructions, its
costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from dlc.diag import Span
from dlc.isa.terms import Expr, Ref, Stmt

MASK64 = (1 << 64) - 1


def wrap64(value: int) -> int:
    """A whole number modulo 2^64, as a signed one."""
    value &= MASK64
    return value - (1 << 64) if value >> 63 else value


@dataclass(frozen=True, slots=True)
class Space:
    """A separate memory. `lifo` spaces can't be named by descriptors."""

    name: str
    access: Literal["readonly", "writable", "lifo"]
    doc: str


@dataclass(frozen=True, slots=True)
class RegisterFile:
    """Numbered registers or descriptors."""

    name: str
    count: int
    of: str
    doc: str


@dataclass(frozen=True, slots=True)
class OperandKind:
    """What a field of a word may name: width in bits, prefix in assembly text, and range.

    `of` is the register file or table that it indexes; `members` are the names of an enum's values.
    """

    name: str
    width: int
    prefix: str
    of: str | None
    below: int | None
    signed: bool
    doc: str
    members: tuple[tuple[str, int], ...] = ()

    @property
    def count(self) -> int | None:
        """Values below this one are legal; None where every value of the field is."""
        if self.members:
            return max(value for _, value in self.members) + 1
        return self.below

    def member(self, value: int) -> str | None:
        return next((name for name, v in self.members if v == value), None)


@dataclass(frozen=True, slots=True)
class Field:
    """Bits `shift` up to `shift + width` of the word: a literal, or the operand `name`."""

    width: int
    shift: int
    literal: int = 0
    name: str | None = None
    kind: OperandKind | None = None


@dataclass(frozen=True, slots=True)
class TrapWhen:
    """A trap with its condition on the state before, and the code that the user's trap carries."""

    trap: str
    when: Expr
    code: Expr | None = None
    derived: bool = False


@dataclass(frozen=True, slots=True)
class PlaceName:
    """A place of `reads` or `writes`: `T[d]`, `desc T[d]`, a space, a special register, or the
    whole file `r`."""

    base: str
    operand: str | None = None
    descriptor: bool = False

    def __str__(self) -> str:
        text = self.base if self.operand is None else f"{self.base}[{self.operand}]"
        return f"desc {text}" if self.descriptor else text


@dataclass(frozen=True, slots=True)
class Count:
    """So many of an action. `counter` is the action's or `SPACE.read`; or, with `of`, elements read
    from or written to what `of` names, charged as bytes to the space it lies in (`counter` is then
    `read` or `write`)."""

    counter: str
    value: Expr
    of: Ref | None = None


@dataclass(frozen=True, slots=True)
class Items:
    """Work of a rate unit: so many items."""

    unit: str
    count: Expr


@dataclass(frozen=True, slots=True)
class Steps:
    """Work of an array unit: for every `var` < bound, entries on rows.

    `matrix` and `column`: the stored rows of that column, each `weight` entries; without a matrix:
    rows 0 .. weight - 1, one entry each.
    """

    unit: str
    var: str
    bound: Expr
    weight: Expr
    matrix: Ref | None = None
    column: Expr | None = None


Work: TypeAlias = Items | Steps


@dataclass(frozen=True, slots=True)
class Adjoint:
    """How a cotangent of the result reaches an operand: assembly text over the operands, `{dx}`
    standing for the cotangent of `x`."""

    file: str
    operand: str
    part: str | None
    template: str


@dataclass(frozen=True, slots=True)
class Tensor:
    """How `do` uses the data of a descriptor operand: derived, never written.

    `float`: its elements are floats (else integers); `rank`: the rank its indices fix (None: any);
    `flat`: it is counted row by row.
    """

    operand: str
    float: bool
    rank: int | None
    flat: bool
    read: bool
    written: bool


@dataclass(frozen=True, slots=True)
class Control:
    """Successors and frame changes of an instruction; names are operands.

    `falls`: it may go on with the next word. `target`: operand of a jump. `call`: the target is
    called, and the next word is where it returns to. `returns`: goes to the address on top of
    STACK. `table`: operand with the number of words that follow, of which it chooses one. `grows`,
    `shrinks`: operand with the words by which the frame changes. `slot`: operand that numbers a
    word of the frame.
    """

    falls: bool = True
    target: str | None = None
    call: bool = False
    returns: bool = False
    table: str | None = None
    grows: str | None = None
    shrinks: str | None = None
    slot: str | None = None

    @property
    def is_plain(self) -> bool:
        """Nothing but the next word."""
        return self == Control()


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: everything about it that isn't derived, and the derived facts of its
    operands."""

    mnemonic: str
    doc: str
    fields: tuple[Field, ...]
    assembly: str
    reads: tuple[PlaceName, ...]
    writes: tuple[PlaceName, ...]
    body: tuple[Stmt, ...]
    counts: tuple[Count, ...]
    work: Work
    traps: tuple[TrapWhen, ...]
    adjoints: tuple[Adjoint, ...]
    tensors: tuple[Tensor, ...]
    span: Span
    control: Control = Control()

    @property
    def opcode(self) -> int:
        return self.fields[0].literal

    @property
    def operands(self) -> tuple[Field, ...]:
        """The fields that name operands, in the order of the word."""
        return tuple(field for field in self.fields if field.name is not None)

    def operand(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)

    def tensor(self, operand: str) -> Tensor | None:
        return next((t for t in self.tensors if t.operand == operand), None)


@dataclass(frozen=True, slots=True)
class Price:
    """A component of an energy table: pJ for each unit of a counter. `source` is the formula as
    written."""

    component: str
    counter: str
    picojoule: float
    source: str


@dataclass(frozen=True, slots=True)
class EnergyTable:
    """Prices of counters; `included` counters cost nothing of their own, for the reason given."""

    name: str
    doc: str
    prices: tuple[Price, ...]
    included: tuple[tuple[str, str], ...]

    def components(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(price.component for price in self.prices))


@dataclass(frozen=True, slots=True)
class RateUnit:
    """cycles = latency + ceil(items / per_cycle)."""

    latency: int
    per_cycle: int


@dataclass(frozen=True, slots=True)
class ArrayUnit:
    """Processing elements behind queues of steps; see `dlc.isa.cost.array` for the recurrence.

    `pes` elements; `lanes` entries an element takes a cycle; `index_bits` of relative row indices
    (0: none), a padding entry for every 2^bits skipped rows; `fifo` steps in flight; `issue` cycles
    between steps; `empty` cycles for an element on a step that brings it no entry; `drain` cycles
    after the last step.
    """

    pes: int
    lanes: int
    index_bits: int
    fifo: int
    issue: int
    empty: int
    drain: int


@dataclass(frozen=True, slots=True)
class Preset:
    """A machine's numbers: nothing here changes what a program computes."""

    name: str
    doc: str
    clock_mhz: float
    energy: str
    units: Mapping[str, RateUnit | ArrayUnit]
    memories: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of the cost model."""

    name: str
    model: Literal["rate", "array"]
    doc: str


@dataclass(frozen=True, slots=True)
class Named:
    """A name with its line: an action, a trap, a special register."""

    name: str
    doc: str


@dataclass(frozen=True, slots=True, eq=False)
class Isa:
    """An instruction set and its machine, as declared by the files of `isa/`. Compared and hashed
    by identity; `digest` tells equals."""

    name: str
    version: int
    doc: str
    constants: Mapping[str, int]
    spaces: tuple[Space, ...]
    files: tuple[RegisterFile, ...]
    specials: tuple[Named, ...]
    kinds: Mapping[str, OperandKind]
    enums: Mapping[str, Mapping[str, int]]
    traps: tuple[Named, ...]
    units: tuple[Unit, ...]
    actions: tuple[Named, ...]
    instructions: Mapping[str, Instruction]
    opcodes: Mapping[int, Instruction]
    quantities: Mapping[str, Mapping[str, float]]
    energies: Mapping[str, EnergyTable]
    presets: Mapping[str, Preset]
    digest: str
    """SHA-256 over the meaning: state, encodings and instructions, not costs; a program file names
    the ISA by it."""

    def space(self, name: str) -> int:
        """The number of a space, in the order of declaration."""
        return next(k for k, space in enumerate(self.spaces) if space.name == name)

    def file(self, name: str) -> RegisterFile:
        return next(file for file in self.files if file.name == name)

    def trap_number(self, name: str) -> int:
        """Traps count from 1; 0 is a normal end."""
        return next(k for k, trap in enumerate(self.traps) if trap.name == name) + 1

    def unit_number(self, name: str) -> int:
        return next(k for k, unit in enumerate(self.units) if unit.name == name)


DERIVED_COUNTERS: tuple[tuple[str, str], ...] = (
    ("padding", "entries stored only to bridge a gap of a relative index"),
    ("hop", "deliveries of a step to a processing element"),
    ("pe_cycle", "cycles of a processing element, busy or not, while the array works"),
)


def counter_names(actions: Iterable[Named], spaces: Iterable[Space]) -> tuple[str, ...]:
    """Every counter of a run: the declared actions, bytes read from and written to each space, and
    what the array adds."""
    traffic = [f"{space.name}.{way}" for space in spaces for way in ("read", "write")]
    return (*(a.name for a in actions), *traffic, *(name for name, _ in DERIVED_COUNTERS))
