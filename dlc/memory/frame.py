"""Explicit frames of recursive functions, and the layout of heap objects, for all targets.

A recursive group of functions runs without native recursion. A frame is

    [resume][caller][dims…][params…][results…][result dims…][saved registers…] [slots]

in cells of 8 bytes up to the slots, which start at the next multiple of 64. `resume` says where the
caller goes on, `caller` where its frame is. Only what is live across a call of the group has a cell
of its own; every other register is free to live wherever the target likes.

A frame of a function outside any group is its slots alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from dlc.ir.core import AdtDecl, Constructor
from dlc.memory.form import (
    BFunction,
    BindDim,
    Block,
    Call,
    For,
    If,
    ListAt,
    ListCopy,
    ListNew,
    ListPush,
    Loop,
    Map,
    Reg,
    Statement,
    Switch,
    Tensor,
    View,
)
from dlc.typesys.dims import Dim
from dlc.typesys.types import ListType, TensorType, Type

CELL = 8
"""Bytes of a cell: a scalar of any type, a handle, an address or a dim."""
BLOCK = 64
"""Frames, slots and heap objects are multiples of this many bytes, at multiples of it."""
RESUME, CALLER, FIRST_CELL = 0, CELL, 2 * CELL

LIST_CHUNKS = 28
"""Chunk k of a list holds `4 * 2**k` elements, so a list has at most `4 * (2**28 - 1)`."""
LIST_HEADER = 256
"""Bytes of a list's header: `[length][address of chunk 0..27]`, rounded up to a block."""

Home = Reg | str
"""What a function keeps from statement to statement: a register, or the value of a dim name."""


def round_up(n: int, to: int = BLOCK) -> int:
    """The least multiple of `to` that is not below `n`."""
    return -(-n // to) * to


def blocks(size: Dim) -> Dim:
    """Bytes, rounded up to whole blocks."""
    return (size + (BLOCK - 1)) // BLOCK * BLOCK


# -- heap objects


def record_bytes(c: Constructor) -> int:
    """Bytes of a record: `[tag][hidden dims…][fields…]` in cells. A constructor without fields has
    one record for the whole program, which is not on the heap."""
    return round_up(CELL * (1 + len(c.dims) + len(c.fields))) if c.fields or c.dims else 0


def field_offset(c: Constructor, field: int) -> int:
    """Byte offset of a field's cell in a record."""
    return CELL * (1 + len(c.dims) + field)


def column_bytes(t: Type) -> Dim:
    """Bytes of one value in a list: scalars and tensors as they are, handles in a cell."""
    return t.size * t.dtype.bytes if isinstance(t, TensorType) else Dim.const(CELL)


def element_layout(t: ListType) -> tuple[tuple[Dim, ...], Dim]:
    """Byte offset of every column in a list's element, and the bytes from element to element.

    Elements of one column are dense; of several, each column takes whole cells.
    """
    if len(t.columns) == 1:
        return (Dim.const(0),), column_bytes(t.columns[0])
    offsets: list[Dim] = []
    at = Dim.const(0)
    for c in t.columns:
        offsets.append(at)
        at = at + (column_bytes(c) + (CELL - 1)) // CELL * CELL
    return tuple(offsets), at


def chunk_start(k: int) -> int:
    """The number of the first element in chunk k."""
    return 4 * (2**k - 1)


def tag_base(types: Mapping[str, AdtDecl]) -> dict[str, int]:
    """For every type, the module-wide number of its first constructor (types in module order)."""
    out: dict[str, int] = {}
    n = 0
    for name, t in types.items():
        out[name] = n
        n += len(t.constructors)
    return out


# -- what a statement reads and writes


def _homes(x: object) -> Iterator[Home]:
    """Registers, and names of dims, in an operand."""
    if isinstance(x, Reg):
        yield x
    elif isinstance(x, Dim):
        yield from x.symbols()
    elif isinstance(x, View):
        if isinstance(x.place, Reg):
            yield x.place
        for d in (*x.shape, *x.strides, x.base):
            yield from d.symbols()
        for r, d in x.terms:
            yield r
            yield from d.symbols()
    elif isinstance(x, ListType):
        for c in x.columns:
            yield from _homes(c)
    elif isinstance(x, TensorType):
        for d in x.shape:
            yield from d.symbols()
    elif isinstance(x, tuple):
        for item in x:  # pyright: ignore[reportUnknownVariableType]
            yield from _homes(item)  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(x, Mapping):
        for v in x.values():  # pyright: ignore[reportUnknownVariableType]
            yield from _homes(v)  # pyright: ignore[reportUnknownArgumentType]


def writes(s: Statement) -> tuple[Home, ...]:
    """Registers and dim names that the statement itself assigns (not what is nested in it)."""
    if isinstance(s, Tensor):
        return (*(o for o in s.outs if isinstance(o, Reg)), *s.dims)
    if isinstance(s, BindDim):
        return (s.name,)
    if isinstance(s, Call):
        return (*s.results, *s.defines)
    if isinstance(s, For):
        return (s.index,)
    if isinstance(s, (ListPush, ListAt)):
        return s.columns
    dst = getattr(s, "dst", None)
    return (dst,) if isinstance(dst, Reg) else ()


def reads(s: Statement) -> tuple[Home, ...]:
    """Registers and dim names that the statement itself reads."""
    if isinstance(s, If):
        return (s.condition,)
    if isinstance(s, Switch):
        return (s.value,)
    if isinstance(s, For):
        return tuple(_homes((s.lo, s.hi)))
    if isinstance(s, Loop):
        return ()
    if isinstance(s, Map):
        args = tuple(a for instr in s.body for a in instr.args)
        return tuple(_homes((s.space, s.outs, s.ins, args, s.results)))
    if isinstance(s, Tensor):
        outs = s.outs if s.accumulate else tuple(o for o in s.outs if isinstance(o, View))
        return tuple(_homes((outs, s.ins, s.attrs, s.scratch)))
    if isinstance(s, Call):
        return tuple(_homes((s.dims, s.args, s.outs, s.keep)))
    skip = {"loc", "dst", "columns", "name", "at_most"}
    taken = (s.dst,) if isinstance(s, (ListCopy, ListNew)) and s.reuse else ()
    named = (h for f in fields(s) if f.name not in skip for h in _homes(getattr(s, f.name)))
    return (*taken, *named)


def nested(s: Statement) -> tuple[Block, ...]:
    """The blocks inside a structured statement."""
    if isinstance(s, If):
        return (s.then, s.otherwise)
    if isinstance(s, Switch):
        return tuple(c.body for c in s.cases)
    if isinstance(s, (For, Loop)):
        return (s.body,)
    return ()


def statements(block: Block) -> Iterator[Statement]:
    """Every statement in a block, outer before inner."""
    for s in block:
        yield s
        for b in nested(s):
            yield from statements(b)


# -- frames


class _Liveness:
    """One backward walk; `across` collects what is live after a call of the group, but not made by
    it."""

    def __init__(self, group: frozenset[str]) -> None:
        self.group = group
        self.across: frozenset[Home] = frozenset()
        self.counted: list[For] = []

    def block(self, b: Block, after: frozenset[Home]) -> frozenset[Home]:
        live = after
        for s in reversed(b):
            live = self.statement(s, live)
        return live

    def statement(self, s: Statement, after: frozenset[Home]) -> frozenset[Home]:
        if isinstance(s, If):
            before = self.block(s.then, after) | self.block(s.otherwise, after)
        elif isinstance(s, Switch):
            before = frozenset[Home]()
            for c in s.cases:
                before |= self.block(c.body, after) - set(c.payload) - set(c.dims)
        elif isinstance(s, For):
            extra = frozenset[Home]() if s.go is None else frozenset[Home]({s.go})
            before = self._turns(s.body, after, extra, frozenset({s.index}))
            if calls_group(s.body, self.group):
                self.counted.append(s)
        elif isinstance(s, Loop):
            # A loop runs at least one turn, but `after` also holds what flows through it untouched.
            before = self._turns(s.body, after, frozenset[Home]({s.go}), frozenset())
        else:
            before = after - set(writes(s))
            if isinstance(s, Call) and s.function in self.group:
                self.across |= before
        return before | set(reads(s))

    def _turns(
        self, body: Block, after: frozenset[Home], tested: frozenset[Home], index: frozenset[Home]
    ) -> frozenset[Home]:
        """What is live before a turn, and so also after one."""
        live = after
        while True:
            grown = live | (self.block(body, live | tested) - index)
            if grown == live:
                return live
            live = grown


def calls_group(b: Block, group: frozenset[str]) -> bool:
    """Whether a call of the group lies in the block."""
    return any(isinstance(s, Call) and s.function in group for s in statements(b))


def _appearance(fn: BFunction) -> dict[Home, int]:
    """Every register and dim name with the number of its first mention: a deterministic order."""
    order: dict[Home, int] = {}
    for s in statements(fn.body):
        mentioned: tuple[Home, ...] = (*reads(s), *writes(s))
        if isinstance(s, Switch):
            mentioned += tuple(h for c in s.cases for h in (*c.payload, *c.dims))
        if isinstance(s, (For, Loop)) and s.go is not None:
            mentioned += (s.go,)
        for h in mentioned:
            order.setdefault(h, len(order))
    for r in (*fn.results, *(n for d in fn.result_dims for n in d.symbols())):
        order.setdefault(r, len(order))
    return order


@dataclass(frozen=True)
class FrameLayout:
    """Byte offsets in a frame: of homes that have a cell, of the results, and of the counter and
    bound of every `for` that a call of the group interrupts. `header` bytes come before the slots.

    `saved` are the homes that are live across a call of the group. Parameters and dims have a cell
    in any case, because the caller writes them there; if they are not saved, they may be read once.
    """

    cells: Mapping[Home, int]
    saved: frozenset[Home]
    results: tuple[int, ...]
    result_dims: tuple[int, ...]
    counters: Mapping[For, int]
    header: int


def frame_layout(fn: BFunction, group: frozenset[str]) -> FrameLayout:
    """The frame of a function of a recursive group; `group` are the names of all its functions."""
    live = _Liveness(group)
    # The frame's size and the slots' offsets are asked for anywhere.
    always = (*fn.result_dims, fn.frame, *(s.offset for s in fn.slots))
    end = frozenset[Home]((*fn.results, *(n for d in always for n in d.symbols())))
    live.block(fn.body, end)
    order = _appearance(fn)
    kept = sorted(live.across, key=lambda h: order.get(h, -1))
    given: tuple[Home, ...] = (*fn.dims, *(p.reg for p in fn.params))
    counted = frozenset(live.counted)
    loops = tuple(s for s in statements(fn.body) if isinstance(s, For) and s in counted)
    at = iter(range(FIRST_CELL, 1 << 30, CELL))
    cells: dict[Home, int] = {h: next(at) for h in given}
    results = tuple(next(at) for _ in fn.results)
    dims = tuple(next(at) for _ in fn.result_dims)
    cells |= {h: next(at) for h in kept if h not in cells}
    counters = {s: (next(at), next(at))[0] for s in loops}
    return FrameLayout(cells, live.across, results, dims, counters, round_up(next(at)))
