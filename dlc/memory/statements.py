"""Collects the statements of a block; checks, rooms and copies that many operations need."""

from __future__ import annotations

from dlc.ir.core import Loc, Op, Value
from dlc.memory.access import part_access
from dlc.memory.facts import is_list, is_tensor
from dlc.memory.form import (
    Alloc,
    Block,
    CheckIndex,
    Const,
    DimValue,
    ListCopy,
    ListPush,
    Load,
    Reg,
    Scalar,
    Statement,
    Store,
    Tensor,
    View,
)
from dlc.memory.places import Places, column_view, reg_type
from dlc.memory.storage import Kind
from dlc.typesys.dims import ZERO, Dim
from dlc.typesys.dtypes import I64
from dlc.typesys.types import ListType, TensorType, Type


class Writer:
    """The statements of the present block."""

    def __init__(self, places: Places) -> None:
        self.places, self.n = places, places.n
        self.out: list[Statement] = []
        self._dims = 0

    def fresh_dim(self) -> str:
        """A name for a dim of the emitter's own."""
        self._dims += 1
        return f"own.{self._dims}"

    def begin(self) -> list[Statement]:
        """Starts a nested block; gives what `end` needs to go back to this one."""
        outer, self.out = self.out, []
        return outer

    def end(self, outer: list[Statement]) -> Block:
        block, self.out = tuple(self.out), outer
        return block

    def put(self, s: Statement) -> None:
        self.out.append(s)

    # -- scalars

    def reg(self, v: Value) -> Reg:
        """A register that holds the scalar or handle, even if it is a constant."""
        x = self.places.arg(v)
        if isinstance(x, Reg):
            return x
        r = Reg(reg_type(v.type), v.hint)
        self.put(Const(r, x))
        return r

    def dim(self, d: Dim, hint: str = "") -> Reg:
        """A register with the dim's value."""
        r = Reg(I64, hint)
        self.put(DimValue(r, d))
        return r

    # -- checks

    def check_index(self, v: Value, bound: Dim, loc: Loc) -> None:
        """`0 <= v < bound`, unless that can be seen."""
        at = self.n.numbers.get(v)
        if at is not None and at.at_least(ZERO) and bound.at_least(at + 1):
            return
        self.put(CheckIndex(self.index(v), bound, loc))

    def index(self, v: Value) -> Reg:
        """An index's register. That of a dim's value is made here: a check may come before it."""
        at = self.n.numbers.get(v)
        return self.reg(v) if at is None else self.dim(at)

    def check_indices(self, op: Op, indices: tuple[Value, ...], shape: tuple[Dim, ...]) -> None:
        if not op.attr_flag("in_bounds"):
            for v, n in zip(indices, shape, strict=False):
                self.check_index(v, n, op.loc)

    def check_slice(self, op: Op, start: Value, length: Dim, size: Dim) -> None:
        """`0 <= start <= length - span`, where the span of an empty slice is 0."""
        if op.attr_flag("in_bounds"):
            return
        step = op.attr_int("step", 1)
        if step == 1 or size.never_zero() or size == ZERO:
            span = ZERO if size == ZERO else (size - 1) * step + 1
            self.check_index(start, length - span + 1, op.loc)
            return
        span_reg, bound = Reg(I64, "span"), Reg(I64, "bound")
        self.put(Scalar(span_reg, "max", (self.dim((size - 1) * step + 1), 0), loc=op.loc))
        self.put(Scalar(bound, "sub", (self.dim(length + 1), span_reg), loc=op.loc))
        self.put(CheckIndex(self.index(start), bound, op.loc))

    def check_part(self, op: Op) -> None:
        """The bounds of `insert` or `insert_slice`."""
        x, v, *at = op.operands
        if op.name == "insert":
            self.check_indices(op, tuple(at), x.tensor.shape)
        else:
            axis = op.attr_int("axis")
            self.check_slice(op, at[0], x.tensor.shape[axis], v.tensor.shape[axis])

    # -- storage

    def make_room(self, op: Op, v: Value, size: Dim | None = None) -> None:
        """Allocates storage for a result on the heap, unless it takes over an operand's."""
        if self.n.kinds[v] is not Kind.HEAP or not is_tensor(v):
            return
        classes, index = self.places.p.classes, self.places.p.live.index
        mine = classes.of_value(v)
        if any(classes.of_value(w) is mine for ws in self.places.p.early.values() for w in ws):
            return
        for x in op.operands:
            root = self.n.root(x)
            if root is not None and root in index and classes.of_value(root) is mine:
                return
        t = v.tensor
        self.put(Alloc(self.places.reg(v), t.dtype, t.size if size is None else size, op.loc))

    def early_rooms(self, op: Op) -> None:
        """Storage of what the operation makes only a piece of."""
        for v in self.places.p.early.get(op, ()):
            t = v.tensor
            self.put(Alloc(self.places.reg(v), t.dtype, t.size, op.loc))

    def rooms(self, op: Op) -> None:
        for v in op.results:
            self.make_room(op, v)

    def scratch(self, op: Op) -> tuple[View, ...]:
        """Temporary tensors of the operation."""
        made = self.places.p.live.scratch.get(op, ())
        for v in made:
            if self.n.kinds[v] is Kind.HEAP:
                self.put(Alloc(self.places.reg(v), v.tensor.dtype, v.tensor.size, op.loc))
        return tuple(map(self.places.destination, made))

    def copy(self, to: View, source: View, loc: Loc) -> None:
        if to != source:
            self.put(Tensor("copy", (to,), (source,), loc=loc))

    def copy_value(self, op: Op) -> None:
        """`copy` or `box`, unless both are the same bytes."""
        (x,), v = op.operands, op.result
        if self.places.p.elided(op):
            return
        if is_list(v):
            assert isinstance(v.type, ListType)
            self.put(ListCopy(self.places.reg(v), self.places.reg(x), v.type, op.loc))
            return
        self.make_room(op, v)
        self.copy(self.places.destination(v), self.places.view(x), op.loc)

    # -- columns of lists

    def columns(self, t: ListType) -> tuple[Reg, ...]:
        return tuple(Reg("place", "column") for _ in t.columns)

    def push(self, op: Op) -> None:
        """The new element of a `list_push`, its columns not yet written."""
        t = op.result.type
        assert isinstance(t, ListType)
        columns = self.places.column_registers(op)
        self.put(ListPush(self.places.reg(op.result), t, columns, op.loc))

    def store_columns(
        self, t: ListType, columns: tuple[Reg, ...], values: tuple[Value, ...], loc: Loc
    ) -> None:
        for c, ct, v in zip(columns, t.columns, values, strict=True):
            self.store(column_view(c, ct), v, loc)

    def store(self, to: View, v: Value, loc: Loc) -> None:
        """Writes a value to a view: one element, or all of a tensor."""
        if is_tensor(v):
            self.copy(to, self.places.view(v), loc)
        else:
            self.put(Store(to, self.places.arg(v)))

    def load_column(self, column: Reg, t: Type, to: Value) -> None:
        """Reads a scalar or a handle from a list's element."""
        assert not isinstance(t, TensorType) or not t.rank
        self.put(Load(self.places.reg(to), column_view(column, t)))

    def part_of(self, op: Op) -> View:
        """Where `insert` or `insert_slice` writes in its result."""
        base = self.n.access[op.operands[0]]
        return self.places.seen(part_access(op, base, self.n.numbers))
