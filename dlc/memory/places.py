"""From values to registers and views, once everything is placed."""

from __future__ import annotations

from dlc.diag import InternalError
from dlc.ir.core import Op, Value
from dlc.memory.access import Access, whole
from dlc.memory.classes import Class
from dlc.memory.coalesce import Placed
from dlc.memory.form import Immediate, Place, Reg, RegKind, ScalarArg, Slot, View, row_major
from dlc.memory.plan import Plan
from dlc.memory.storage import OWNING, Kind
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import I64, DType
from dlc.typesys.types import ListType, TensorType, Type


def reg_type(t: Type) -> DType | RegKind:
    """The type of the register that holds a value."""
    if isinstance(t, TensorType):
        return "place" if t.rank else t.dtype
    return "list" if isinstance(t, ListType) else "variant"


class Places:
    """Where every value of one function is."""

    def __init__(self, p: Placed, plan: Plan) -> None:
        self.p, self.n, self.plan = p, p.n, plan
        self.constants: dict[Value, Immediate] = {}
        self._regs: dict[Value, Reg] = {}
        self._class_regs: dict[int, Reg] = {}
        self._views: dict[Value, View] = {}
        self._columns: dict[Op, tuple[Reg, ...]] = {}
        for group in p.rings.values():
            for ring in group:
                for v in ring.registers:
                    self._class_regs[id(p.classes.of_value(v))] = Reg("place", v.hint or "ring")
                for v, r in zip(ring.carried, ring.results, strict=True):
                    home = self._class_regs[id(p.classes.of_value(v))]
                    self._class_regs[id(p.classes.of_value(r))] = home

    # -- registers

    def reg(self, v: Value) -> Reg:
        """The register of a scalar or a handle, or of a tensor's address."""
        if self.n.kinds[v] in OWNING:
            return self.class_reg(self.p.classes.of_value(v))
        if v in self.constants:
            raise InternalError(f"{v!r} is a constant and has no register", stage="memory")
        if v not in self._regs:
            self._regs[v] = Reg(reg_type(v.type), v.hint)
        return self._regs[v]

    def class_reg(self, c: Class) -> Reg:
        """The register of a class: a list's handle, or the address of a place."""
        if id(c) not in self._class_regs:
            first = c.pinned or self.p.live.values[c.members[0][0]]
            kind = "list" if c.kind is Kind.LIST else "place"
            self._class_regs[id(c)] = Reg(kind, first.hint)
        return self._class_regs[id(c)]

    def same_register(self, a: Value, b: Value) -> None:
        """Lets `a` live in the register of `b`."""
        self._regs[a] = self.reg(b)

    def arg(self, v: Value) -> ScalarArg:
        """A scalar or handle as an operand."""
        return self.constants[v] if v in self.constants else self.reg(v)

    # -- views

    def place(self, v: Value) -> tuple[Place, Dim]:
        """A tensor's place, and its offset there in elements."""
        if self.n.kinds[v] not in OWNING:
            return self.reg(v), Dim.const(0)
        if v in self.p.columns.home:
            push, k = self.p.columns.home[v]
            return self.column_registers(push)[k], Dim.const(0)
        classes = self.p.classes
        c = classes.of_value(v)
        slot = self.plan.slot(c)
        at = classes.offset[self.p.live.index[v]]
        return (self.class_reg(c) if slot is None else Slot(slot)), at

    def view(self, v: Value) -> View:
        """The tensor, as an operand."""
        if v not in self._views:
            self._views[v] = self.seen(self.n.access[v])
        return self._views[v]

    def seen(self, a: Access) -> View:
        """The elements of an access."""
        place, at = self.place(a.place)
        strides = row_major(a.shape) if a.is_contiguous else a.strides
        terms = tuple((self.reg(t), d) for t, d in a.terms)
        base = a.base + at
        return View(place, a.place.tensor.dtype, a.shape, strides, base, terms)

    def destination(self, v: Value) -> View:
        """Where an operation writes the tensor that it makes."""
        part = self.p.direct.parts.get(v)
        return self.seen(whole(v) if part is None else part)

    def column_registers(self, push: Op) -> tuple[Reg, ...]:
        """The addresses of the columns of the element that a `list_push` adds."""
        if push not in self._columns:
            self._columns[push] = tuple(Reg("place", "column") for _ in push.operands[1:])
        return self._columns[push]


def column_view(column: Reg, t: Type) -> View:
    """One value in a list's element; a handle is read and written as an i64."""
    zero = Dim.const(0)
    if not isinstance(t, TensorType):
        return View(column, I64, (), (), zero)
    return View(column, t.dtype, t.shape, row_major(t.shape), zero)
