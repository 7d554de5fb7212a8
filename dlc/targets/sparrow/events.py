"""What is known of zeros: vectors whose inactive elements are 0, and the queues that list the
active ones.

A rectified vector (`relu`, or `select(c, x, 0)`) is sparse from the `Map` that makes it until
something else is written to its place. Its list is made where it is first needed and stays in its
queue: the list of the forward pass is also the mask of the derivative (only listed elements of the
cotangent are needed, because the mask is `x > 0`) and the rows of the weight gradient.

Nothing is known across calls, branches and loops, whose code has the queues to itself, nor in
functions that take addresses of their own slots or copy addresses.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dlc.memory.form import (
    Address,
    BFunction,
    Block,
    Call,
    Lane,
    ListPush,
    Map,
    MapArg,
    Move,
    Place,
    Reg,
    Slot,
    Statement,
    Store,
    Tensor,
    View,
)
from dlc.memory.frame import nested, statements, writes
from dlc.typesys.dims import ONE, Dim

QUEUES = range(15)
"""Queues that keep a list; the last one is for the time of one statement."""
SPARE = 15


@dataclass(eq=False)
class EventList:
    """The active elements of a vector: the queue that holds them, once it has been filled."""

    queue: int | None = None


@dataclass(frozen=True)
class Gathered:
    """Columns of a matrix that a `take` along `axis` would gather for the product behind it:
    elements `index` of a sparse vector are `values`."""

    take: Tensor
    matrix: View
    axis: int
    index: View
    values: View
    ascends: bool
    """Whether the indices are known to ascend."""


@dataclass
class Events:
    """What is known at the present statement. `following` are the statements behind it in its
    block, `is_last` whether nothing of the function comes after that block."""

    enabled: bool
    sparse: dict[View, EventList] = field(default_factory=dict[View, EventList])
    positive: dict[View, EventList] = field(default_factory=dict[View, EventList])
    """Vectors that are above 0 exactly where the list has an element (or is NaN there)."""
    ascending: frozenset[tuple[Place, Dim]] = frozenset()
    """Where lists of indices begin that ascend."""
    gathered: Gathered | None = None
    """What the next statement gathers for itself."""
    following: Block = ()
    is_last: bool = False

    @staticmethod
    def of(fn: BFunction) -> Events:
        def takes_address(s: Statement) -> bool:
            return isinstance(s, Address) or (isinstance(s, Move) and s.dst.type == "place")

        return Events(not any(map(takes_address, statements(fn.body))))

    # -- moving on

    def before(self, s: Statement) -> None:
        if nested(s) or isinstance(s, (Call, ListPush)):
            self.clear()

    def after(self, s: Statement) -> None:
        """Forgets what the statement has written over, learns what a map has made."""
        if not self.enabled:
            return
        if nested(s) or isinstance(s, (Call, ListPush)):
            self.clear()
            return
        changed = {r for r in writes(s) if isinstance(r, Reg)}
        for known in (self.sparse, self.positive):
            for v in [v for v in known if v.place in changed or _mentions(v, changed)]:
                del known[v]
        for place in written(s):
            for known in (self.sparse, self.positive):
                for v in [v for v in known if v.place == place]:
                    del known[v]
            self.ascending = frozenset(x for x in self.ascending if x[0] != place)
        if isinstance(s, Map):
            self._learn(s)
        if isinstance(s, Tensor) and s.op == "nonzero_indices":
            self.ascending |= {(v.place, v.base) for v in written_views(s) if not v.terms}

    def clear(self) -> None:
        self.sparse.clear()
        self.positive.clear()
        self.ascending = frozenset()

    def _learn(self, s: Map) -> None:
        made: dict[MapArg, EventList] = {}
        for v, r in zip(s.outs, s.results, strict=True):
            source = _rectified(s, r)
            flat = whole(v)
            if source is not None and flat is not None:
                found = self.sparse[flat] = EventList()
                made[source] = found
        for v, r in zip(s.outs, s.results, strict=True):
            if r in made and v not in self.sparse and is_vector(v):
                self.positive[v] = made[r]
        places = written(s)
        for source, found in made.items():
            if isinstance(source, Lane) and source.kind == "input":
                v = s.ins[source.index]
                if is_vector(v) and v.place not in places:
                    self.positive[v] = found

    # -- queues

    def queue(self, found: EventList) -> tuple[int, bool] | None:
        """The queue of a list, and whether it must be filled now; None if all are taken."""
        if found.queue is not None:
            return found.queue, False
        taken = {x.queue for x in (*self.sparse.values(), *self.positive.values())}
        free = [q for q in QUEUES if q not in taken]
        if not free:
            return None
        found.queue = free[0]
        return found.queue, True

    @staticmethod
    def spare() -> int:
        """The queue for a list that nobody needs again."""
        return SPARE

    # -- products with sparse vectors

    def gathered_by_next(self, s: Tensor) -> Gathered | None:
        """What a `take` gathers, if only the next statement reads it, a product with a vector."""
        (out,), (x, index) = s.outs, s.ins
        head = self.following[0] if self.following else None
        if not (isinstance(head, Tensor) and head.op == "contract" and isinstance(out, View)):
            return None
        if not (isinstance(x, View) and isinstance(index, View) and isinstance(out.place, Slot)):
            return None
        if s.attrs.get("in_bounds") is not True or len(x.shape) != 2 or len(index.shape) != 1:
            return None
        if x.dtype.name != "f32" or index.dtype.name != "i32" or index.strides != (ONE,):
            return None
        (y,), values = head.outs, [v for v in head.ins if v != out]
        if len(values) != 1 or len(head.ins) != 2 or not isinstance(values[0], View):
            return None
        if not (isinstance(y, View) and is_vector(y) and is_vector(values[0])):
            return None
        axis, places = s.attrs["axis"], (x.place, out.place)
        if not isinstance(axis, int) or y.place in places or values[0].place == out.place:
            return None
        if not _sums_over(str(head.attrs["spec"]), head.ins[0] == out, axis):
            return None
        if not self._dies(out.place, list(self.following[1:])):
            return None
        ascends = not index.terms and (index.place, index.base) in self.ascending
        return Gathered(s, x, axis, index, values[0], ascends)

    # -- the derivative's mask

    def mask_of(self, v: View) -> EventList | None:
        """The list of the only elements of `v` that are looked at after this statement, which
        writes all of it: the next statement selects them, and nobody else reads `v`."""
        if not self.enabled or not isinstance(v.place, Slot) or not self.following:
            return None
        head, *rest = self.following
        if not isinstance(head, Map) or v not in head.ins or not self._dies(v.place, rest):
            return None
        lists: list[EventList] = []
        for k, x in enumerate(head.ins):
            if x.place != v.place:
                continue
            found = self._selection(head, k) if x == v else None
            if found is None:
                return None
            lists.append(found)
        same = all(x is lists[0] for x in lists)
        return lists[0] if same and lists[0].queue is not None else None

    def _dies(self, place: Slot, rest: list[Statement]) -> bool:
        """Whether nobody reads the place before it is written anew or the function ends."""
        for s in rest:
            if nested(s) or isinstance(s, Call):
                return False
            if any(v.place == place for v in read_views(s)):
                return False
            if any(v.place == place for v in written_views(s)):
                return False
        return self.is_last

    def _selection(self, s: Map, k: int) -> EventList | None:
        """The list behind `select(h > 0, input k, 0)`, if that is the only use of the input."""
        me = Lane("input", k)
        found: EventList | None = None
        if me in s.results:
            return None
        for i in s.body:
            if me not in i.args:
                continue
            if i.op != "select" or i.args[1] != me or i.args[0] == me or i.args[2] != 0.0:
                return None
            mask = i.args[0]
            if not (isinstance(mask, Lane) and mask.kind == "temp"):
                return None
            test = s.body[mask.index]
            h = test.args[0]
            if test.op != "gt" or test.args[1] != 0.0:
                return None
            if not (isinstance(h, Lane) and h.kind == "input"):
                return None
            view = s.ins[h.index]
            this = self.positive.get(view) or self.sparse.get(view)
            if this is None or (found is not None and this is not found):
                return None
            found = this
        return found


def _sums_over(spec: str, is_first: bool, axis: int) -> bool:
    """Whether a product of a matrix, the first operand or the second, and a vector sums over this
    axis of the matrix."""
    operands, result = spec.split("->")
    first, second = operands.split(",")
    matrix, vector = (first, second) if is_first else (second, first)
    return len(matrix) == 2 and vector == matrix[axis] and result == matrix[1 - axis]


def _mentions(v: View, registers: set[Reg]) -> bool:
    return any(r in registers for r, _ in v.terms)


def whole(v: View) -> View | None:
    """All elements of a dense view of f32, as a vector."""
    if v.dtype.name != "f32" or not v.is_contiguous:
        return None
    size = ONE
    for n in v.shape:
        size = size * n
    return View(v.place, v.dtype, (size,), (ONE,), v.base, v.terms)


def is_vector(v: View) -> bool:
    """A dense vector of f32."""
    return len(v.shape) == 1 and v.dtype.name == "f32" and v.strides == (ONE,)


def _rectified(s: Map, r: MapArg) -> MapArg | None:
    """What a result rectifies: x of `relu(x)`, itself of `select(c, x, 0)`."""
    if not (isinstance(r, Lane) and r.kind == "temp"):
        return None
    i = s.body[r.index]
    if i.op == "relu":
        return i.args[0]
    if i.op == "select" and not isinstance(i.args[2], (Lane, Reg)) and i.args[2] == 0.0:
        return r
    return None


def written_views(s: Statement) -> tuple[View, ...]:
    if isinstance(s, (Map, Tensor)):
        return tuple(v for v in s.outs if isinstance(v, View))
    return (s.view,) if isinstance(s, Store) else ()


def written(s: Statement) -> tuple[Place, ...]:
    """Places that a statement without statements inside writes to."""
    scratch = s.scratch if isinstance(s, Tensor) else ()
    return tuple(v.place for v in (*written_views(s), *scratch))


def read_views(s: Statement) -> tuple[View, ...]:
    """Views that the statement may read, those it only adds to included."""
    found: list[View] = []
    if isinstance(s, (Map, Tensor)):
        found += [v for v in s.ins if isinstance(v, View)]
    if isinstance(s, Tensor):
        found += [v for v in s.outs if isinstance(v, View)]
    view = getattr(s, "view", None)
    if isinstance(view, View) and not isinstance(s, Store):
        found.append(view)
    return tuple(found)
