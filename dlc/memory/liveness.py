"""Which values with storage may not share bytes: one backward walk over the region tree.

A use of a view is a use of the value that owns the storage. Sets are bits of whole numbers: value k
is bit k. An edge means: when one of the two is written, the other still holds something needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from dlc.ir.core import Op, Region, Value
from dlc.memory.access import VIEWS
from dlc.memory.facts import is_tensor, is_update
from dlc.memory.normalise import Normal
from dlc.memory.storage import MOVED, OWNING, Kind
from dlc.ops.registry import CARDS
from dlc.typesys.types import TensorType


@dataclass(frozen=True, eq=False)
class LoopFacts:
    """A loop's carried values with storage, and everything live in or defined by its body."""

    op: Op
    body: Region
    inside: int
    """Bits of all values that the body defines, carried ones too."""
    through: int
    """Bits of what is live through the body or after the loop."""
    region: int


@dataclass
class Liveness:
    """`values[k]` is bit k. `edges[k]` are the values that k must not share bytes with; `soft[k]`
    those that it must not share bytes with unless it is placed inside them (pieces of a `concat`).
    `region[k]` numbers the region that defines k, `parent` its enclosing one."""

    values: list[Value] = field(default_factory=list[Value])
    index: dict[Value, int] = field(default_factory=dict[Value, int])
    edges: list[int] = field(default_factory=list[int])
    soft: list[int] = field(default_factory=list[int])
    region: list[int] = field(default_factory=list[int])
    parents: list[int] = field(default_factory=list[int])
    depth: list[int] = field(default_factory=list[int])
    loops: list[LoopFacts] = field(default_factory=list[LoopFacts])
    at_call: dict[Op, int] = field(default_factory=dict[Op, int])
    """What a call site needs of the frame: operands, destinations and what is live after."""
    exempt: dict[int, int] = field(default_factory=dict[int, int])
    """Pairs that may share bytes only if they are exactly the same bytes, known when compiling: a
    copy and what it copies, a map's result and an operand that it reads point by point."""
    scratch: dict[Op, tuple[Value, ...]] = field(default_factory=dict[Op, tuple[Value, ...]])
    steps: dict[Op, tuple[int, int]] = field(default_factory=dict[Op, tuple[int, int]])
    """Every operation's region and position in it."""

    def add(self, v: Value, region: int) -> int:
        k = self.index[v] = len(self.values)
        self.values.append(v)
        self.edges.append(0)
        self.soft.append(0)
        self.region.append(region)
        return k

    def inside(self, k: int, region: int) -> bool:
        """Whether value k is defined in the region or one nested in it."""
        r = self.region[k]
        while r > region:
            r = self.parents[r]
        return r == region


def bits(mask: int) -> Iterator[int]:
    """The positions of the ones, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def analyse(n: Normal) -> Liveness:
    """Liveness and interference of a function in normal form."""
    walk = _Walk(n)
    walk.number(n.fn.body, 0, (*n.fn.params, *n.outs.values()), 0)
    live = walk.block(n.fn.body, 0)
    params = [k for p in n.fn.params if (k := walk.out.index.get(p)) is not None]
    walk.clash(params, live)
    walk.mirror()
    return walk.out


class _Walk:
    def __init__(self, n: Normal) -> None:
        self.n = n
        self.out = Liveness()
        self.inside: dict[int, int] = {}
        self.regions: dict[Region, int] = {}
        self.used: dict[Region, int] = {}

    # -- numbering

    def number(self, r: Region, parent: int, extra: Iterable[Value], depth: int) -> int:
        """Numbers the values of the region and everything nested, and gives their bits."""
        me = len(self.out.parents)
        self.out.parents.append(parent)
        self.out.depth.append(depth)
        self.regions[r] = me
        mask = 0
        for v in (*extra, *r.params):
            mask |= self.note(v, me)
        for i, op in enumerate(r.ops):
            self.out.steps[op] = (me, i)
            if op.name == "map":
                mask |= self.note_all(op.results, me)
                continue
            deeper = depth + (op.name in ("for", "loop"))
            for x in op.regions:
                mask |= self.number(x, me, (), deeper)
            mask |= self.note_all(op.results, me)
            mask |= self.note_scratch(op, me)
        self.inside[me] = mask
        return mask

    def note(self, v: Value, region: int) -> int:
        return 1 << self.out.add(v, region) if self.n.kinds.get(v) in OWNING else 0

    def note_all(self, values: Iterable[Value], region: int) -> int:
        mask = 0
        for v in values:
            mask |= self.note(v, region)
        return mask

    def note_scratch(self, op: Op, region: int) -> int:
        card = CARDS.get(op.name)
        if card is None or op.attr_flag("accumulate"):
            return 0
        made: list[Value] = []
        for t in card.scratch(op):
            v = Value(t, "scratch")
            self.n.kinds[v] = Kind.SLOT if self.n.sizes.of_type(t) is not None else Kind.HEAP
            made.append(v)
        if made:
            self.out.scratch[op] = tuple(made)
        return self.note_all(made, region)

    # -- sets

    def of(self, v: Value) -> int:
        """The bit of the value that owns the storage of `v`, 0 if none here does."""
        root = self.n.root(v)
        return 1 << self.out.index[root] if root is not None else 0

    def all_of(self, values: Iterable[Value]) -> int:
        mask = 0
        for v in values:
            if not (isinstance(v.type, TensorType) and not v.type.rank):
                mask |= self.of(v)
        return mask

    def clash(self, ks: Iterable[int], mask: int) -> None:
        for k in ks:
            self.out.edges[k] |= mask & ~(1 << k)

    def mirror(self) -> None:
        """Edges in both directions."""
        for table in (self.out.edges, self.out.soft):
            for k, mask in enumerate(list(table)):
                for j in bits(mask):
                    table[j] |= 1 << k

    # -- the walk

    def block(self, r: Region, after: int) -> int:
        """What is live before the region's first operation, given what is after its last."""
        boxes = 0
        for op in r.ops:
            if op.name == "box" and is_tensor(op.result):
                boxes |= self.of(op.result)
        live = after | boxes
        for op in reversed(r.ops):
            live = self.step(op, live)
        return live

    def step(self, op: Op, live: int) -> int:
        if op.name in ("for", "loop"):
            return self.loop(op, live)
        if op.name in ("if", "match"):
            return self.branches(op, live)
        if op.name in VIEWS and is_tensor(op.result):
            return live
        used = self.all_of(op.operands)
        results = self.owning(op.results)
        extra = self.owning(self.out.scratch.get(op, ()))
        own = _mask(results) | _mask(extra)
        if op.name == "call":
            self.out.at_call[op] = used | own | live
        for k in results:
            avoid, ignore = self.relation(op, self.out.values[k], used)
            self.clash([k], (live | own | avoid) & ~ignore)
        self.clash(extra, live | own | used)
        return (live & ~own) | used

    def owning(self, values: Iterable[Value]) -> list[int]:
        index = self.out.index
        return [index[v] for v in values if v in index]

    def relation(self, op: Op, result: Value, used: int) -> tuple[int, int]:
        """Operands whose bytes the result must not share though they may be dead afterwards, and
        those that it may share though they live on."""
        if op.name in ("copy", "box"):
            # A tensor's copy may share its bytes: nobody writes either while both live. A handle
            # that moves would make both one object for ever, so there the source must be dead.
            if not is_tensor(result):
                return 0, 0
            if not self.n.access[op.operands[0]].whole:
                return used, 0
            if op.name == "copy" and self.n.kinds[result] in MOVED:
                return 0, 0
            self.excuse(result, used)
            return 0, used
        if op.name == "map":
            return self.read_elsewhere(op, result), 0
        if op.name == "concat":
            self.out.soft[self.out.index[result]] |= used
            return 0, 0
        if is_update(op) and result is op.results[0]:
            return self.all_of(op.operands[1:]), 0
        if op.name == "call":
            return self.avoided_by_call(op, result, used), 0
        return used, 0

    def read_elsewhere(self, op: Op, result: Value) -> int:
        """Operands of a map that are not read exactly where the result is written."""
        mask = 0
        for v in op.operands:
            a = self.n.access[v]
            if a.whole and v.type == result.type and a.root.type == result.type:
                self.excuse(result, self.of(v))
            else:
                mask |= self.of(v)
        return mask

    def excuse(self, result: Value, sources: int) -> None:
        """Notes that the result may have exactly the bytes of the sources."""
        exempt, r = self.out.exempt, self.out.index[result]
        exempt[r] = exempt.get(r, 0) | sources
        for k in bits(sources):
            exempt[k] = exempt.get(k, 0) | 1 << r

    def avoided_by_call(self, op: Op, result: Value, used: int) -> int:
        """Arguments that must not be where the result is made: all but the one in whose place that
        is; none if the callee makes the storage."""
        face, i = self.n.faces[op.attr_str("fn")], op.results.index(result)
        p = face.in_place_of(i)
        if p is not None:
            return used & ~self.of(op.operands[p])
        return used if face.by_place[i] else 0

    def branches(self, op: Op, live: int) -> int:
        results = self.owning(op.results)
        after = live & ~_mask(results)
        self.clash(results, after | _mask(results))
        before = self.all_of(op.operands)
        for r in op.regions:
            before |= self.block(r, after)
        return before

    def loop(self, op: Op, live: int) -> int:
        (body,) = op.regions
        me = self.regions[body]
        results = self.owning(op.results)
        after = live & ~_mask(results)
        self.clash(results, after | _mask(results))
        inside = self.inside[me]
        through = after | (self.uses(body) & ~inside)
        start = self.block(body, through)
        carried = self.owning(body.params)
        self.clash(carried, start | _mask(carried))
        self.out.loops.append(LoopFacts(op, body, inside, through, me))
        return after | (start & ~inside) | self.all_of(op.operands)

    def uses(self, r: Region) -> int:
        """What operations of the region read, at any depth."""
        if r not in self.used:
            mask = 0
            for op in r.ops:
                mask |= self.all_of(op.operands)
                for x in op.regions if op.name != "map" else ():
                    mask |= self.uses(x)
            self.used[r] = mask
        return self.used[r]


def _mask(ks: Iterable[int]) -> int:
    m = 0
    for k in ks:
        m |= 1 << k
    return m
