"""Matching arguments against parameters: element types, runs, structures, and equations between
dims.

The dims of the callee are flexible names (`?H`). Matching collects equations; `solve` takes any
equation in which one flexible name occurs linearly, divides exactly, and repeats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from dlc.typesys.dims import ZERO, Dim, DimError
from dlc.typesys.dtypes import DType
from dlc.typesys.surface import (
    Adt,
    Array,
    DTypeKind,
    DTypeVar,
    Element,
    Flex,
    FlexKind,
    Function,
    Item,
    List,
    Model,
    Option,
    Rewrite,
    Rows,
    Shape,
    ShapeVar,
    Sparse,
    Tangent,
    Tensor,
    Tuple,
    Type,
    Unit,
    Unknown,
    ValueVar,
    own_items,
    parts,
    tangent,
)

KIND_HOLDS: dict[DTypeKind, tuple[str, ...]] = {
    "float": ("float",),
    "int": ("int",),
    "number": ("float", "int", "number"),
    "any": ("float", "int", "number", "any", "bool"),
}
"""Kinds of element types that a variable of each kind may stand for."""

FLEX_FITS: dict[FlexKind, tuple[str, ...]] = {
    "int": ("float", "int", "number"),
    "dim": ("int",),
    "float": ("float",),
}
"""Kinds of element types that a literal becomes silently."""


def flex_fits(flex: Flex, dtype: DType | DTypeVar) -> bool:
    """Whether a literal may become an element of the type."""
    return dtype.kind in FLEX_FITS[flex.kind]


def join_elements(a: Element, b: Element) -> Element | None:
    """The element type of an operation on both, or None: nothing but literals converts."""
    if isinstance(a, Flex) and isinstance(b, Flex):
        kinds = {a.kind, b.kind}
        if len(kinds) == 1:
            return a
        if kinds == {"dim", "float"}:
            return None
        return Flex("float" if "float" in kinds else "dim")
    if isinstance(a, Flex):
        a, b = b, a
    if isinstance(b, Flex):
        assert not isinstance(a, Flex)
        return a if flex_fits(b, a) else None
    return a if a == b else None


@dataclass(frozen=True, slots=True)
class Equation:
    """`want` (of the callee, flexible names inside) must be `got` (of the caller); from argument
    `arg`."""

    want: Dim
    got: Dim
    arg: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """An equation that does not hold: `want` and `got` after substitution. `never`: for no numbers
    at all; `inexact`: only if a division has no rest; `open`: names that nothing determines."""

    equation: Equation
    want: Dim
    got: Dim
    kind: Literal["differs", "never", "inexact", "open"]


@dataclass
class Matcher:
    """One call. `norm` brings a dim of the caller into normal form under the facts of the place."""

    norm: Callable[[Dim], Dim]
    arg: int = 0
    equations: list[Equation] = field(default_factory=list[Equation])
    dims: dict[str, Dim] = field(default_factory=dict[str, Dim])
    solved_by: dict[str, int] = field(default_factory=dict[str, int])
    dtypes: dict[str, Element] = field(default_factory=dict[str, Element])
    runs: dict[str, Shape] = field(default_factory=dict[str, Shape])
    values: dict[str, Type] = field(default_factory=dict[str, Type])
    rows: dict[int, tuple[str, ...]] = field(default_factory=dict[int, tuple[str, ...]])
    poisoned: bool = False

    # -- types

    def match(self, p: Type, a: Type) -> bool:
        """Whether an argument of type `a` has the form of the parameter type `p`; notes what
        follows."""
        if isinstance(p, Unknown) or isinstance(a, Unknown):
            self.poisoned = True
            return True
        if isinstance(p, Tangent):
            return self._match_tangent(p, a)
        if isinstance(p, ValueVar):
            return self._match_value(p, a)
        if isinstance(a, Tangent) and a.rows:
            a = Tangent(a.of)
        if isinstance(p, Tensor) and isinstance(a, Tensor):
            return self.match_element(p.dtype, a.dtype) and self._match_shape(p.shape, a.shape)
        if type(p) is not type(a):
            return False
        if isinstance(p, (Sparse, Rows)) and isinstance(a, (Sparse, Rows)):
            if not self.match_element(p.dtype, a.dtype):
                return False
        if isinstance(p, (Adt, Model)) and isinstance(a, (Adt, Model)) and p.name != a.name:
            return False
        ps, as_ = parts(p), parts(a)
        if len(ps) != len(as_):
            return False
        if isinstance(p, (Adt, Model, Array, Sparse, Rows)) or not ps:
            self._equate_items(own_items(p), own_items(a))
        return all(self.match(x, y) for x, y in zip(ps, as_, strict=True))

    def match_element(self, p: Element, a: Element) -> bool:
        """Element types: a variable of the callee is bound, a literal fits what it may become."""
        if isinstance(p, DTypeVar):
            if isinstance(a, Flex):
                flex_ok = any(k in KIND_HOLDS[p.kind] for k in FLEX_FITS[a.kind])
                if not flex_ok and not (p.kind == "any"):
                    return False
            elif a.kind not in KIND_HOLDS[p.kind]:
                return False
            before = self.dtypes.get(p.name)
            joined = a if before is None else join_elements(before, a)
            if joined is None:
                return False
            self.dtypes[p.name] = joined
            return True
        if isinstance(p, Flex):
            return True
        if isinstance(a, Flex):
            return flex_fits(a, p)
        return p == a

    def _match_shape(self, p: Shape, a: Shape) -> bool:
        at = next((i for i, d in enumerate(p) if isinstance(d, ShapeVar)), None)
        if at is None:
            if len(p) != len(a) or any(isinstance(d, ShapeVar) for d in a):
                return False
            self._equate_items(p, a)
            return True
        run = p[at]
        after = len(p) - at - 1
        if len(a) < at + after:
            return False
        middle = a[at : len(a) - after]
        head, tail = a[:at], a[len(a) - after :] if after else ()
        if any(isinstance(d, ShapeVar) for d in (*head, *tail)):
            return False
        self._equate_items(p[:at], head)
        self._equate_items(p[at + 1 :], tail)
        assert isinstance(run, ShapeVar)
        before = self.runs.setdefault(run.name, middle)
        return before is middle or self.equate_shapes(before, middle)

    def equate_shapes(self, a: Shape, b: Shape) -> bool:
        """Two shapes of the caller: equal length and kind of items; dims become equations."""
        if len(a) != len(b):
            return False
        for x, y in zip(a, b, strict=True):
            if isinstance(x, Dim) != isinstance(y, Dim):
                return False
            if isinstance(x, ShapeVar) and x != y:
                return False
        self._equate_items(a, b)
        return True

    def _equate_items(self, p: tuple[Item, ...], a: tuple[Item, ...]) -> None:
        for x, y in zip(p, a, strict=True):
            if isinstance(x, Dim) and isinstance(y, Dim) and x != y:
                self.equations.append(Equation(x, y, self.arg))
            elif isinstance(x, Dim) and isinstance(y, Dim):
                self.equations.append(Equation(x, y, self.arg))

    def _match_value(self, p: ValueVar, a: Type) -> bool:
        if isinstance(a, (Unit, Function)):
            return False
        if p.name not in self.values:
            self.values[p.name] = strip_rows(a)
            return True
        return self.equate(self.values[p.name], a)

    def _match_tangent(self, p: Tangent, a: Type) -> bool:
        if isinstance(p.of, ValueVar):
            if p.of.name not in self.values:
                self.values[p.of.name] = tangent_of(a)
            wanted = tangent(self.values[p.of.name])
        else:
            wanted = p
        if isinstance(a, Rows) and isinstance(wanted, Tensor) and len(wanted.shape) == 2:
            self.rows[self.arg] = ("",)
            self._equate_items(wanted.shape, (a.count, a.width))
            return wanted.dtype == a.dtype
        if isinstance(a, Tangent):
            if a.rows:
                self.rows[self.arg] = a.rows
            if not isinstance(wanted, Tangent):
                return False
            if isinstance(p.of, ValueVar):
                return self.equate(wanted.of, a.of)
            return self.match(wanted.of, a.of)
        if isinstance(p.of, ValueVar):
            return self.equate(wanted, a)
        return False

    def equate(self, a: Type, b: Type) -> bool:
        """Two types of the caller: equal form; dims become equations."""
        if isinstance(a, Unknown) or isinstance(b, Unknown):
            self.poisoned = True
            return True
        if isinstance(a, Tensor) and isinstance(b, Tensor):
            same = join_elements(a.dtype, b.dtype) is not None
            return same and self.equate_shapes(a.shape, b.shape)
        if type(a) is not type(b) or (isinstance(a, (ValueVar, Unit)) and a != b):
            return False
        if isinstance(a, (Adt, Model)) and isinstance(b, (Adt, Model)) and a.name != b.name:
            return False
        if isinstance(a, (Sparse, Rows)) and isinstance(b, (Sparse, Rows)) and a.dtype != b.dtype:
            return False
        ps, qs = parts(a), parts(b)
        if len(ps) != len(qs):
            return False
        self._equate_items(own_items(a), own_items(b))
        return all(self.equate(x, y) for x, y in zip(ps, qs, strict=True))

    # -- dims

    def solve(self) -> list[Conflict]:
        """Bind flexible dims as far as the equations tell; the equations that cannot hold."""
        pending = self.equations
        conflicts: list[Conflict] = []
        progress = True
        while progress and pending:
            progress = False
            rest: list[Equation] = []
            for e in pending:
                done = self._step(e, conflicts)
                progress = progress or done
                if not done:
                    rest.append(e)
            pending = rest
        self.equations = pending
        return conflicts

    def left(self) -> list[Conflict]:
        """What is left when nothing can be solved any more."""
        out: list[Conflict] = []
        for e in self.equations:
            want, got = self._now(e.want), self._now(e.got)
            out.append(Conflict(e, want, got, "open"))
        self.equations = []
        return out

    def _now(self, d: Dim) -> Dim:
        try:
            return self.norm(d.substitute(self.dims))
        except DimError:
            return d

    def _step(self, e: Equation, conflicts: list[Conflict]) -> bool:
        want, got = self._now(e.want), self._now(e.got)
        try:
            difference = want - got
        except DimError:
            conflicts.append(Conflict(e, want, got, "differs"))
            return True
        open = [s for s in difference.symbols() if s.startswith("?")]
        if not open:
            if difference != ZERO:
                never = difference.never_zero() or (-difference).never_zero()
                conflicts.append(Conflict(e, want, got, "never" if never else "differs"))
            return True
        if len(open) > 1:
            return False
        factor = difference.coefficient(open[0])
        if factor is None or factor == ZERO:
            return False
        remainder = factor * Dim.sym(open[0]) - difference
        value = remainder.divide_exactly(factor)
        if value is None:
            conflicts.append(Conflict(e, want, got, "inexact"))
            return True
        self.dims[open[0]] = self.norm(value)
        self.solved_by[open[0]] = e.arg
        return True

    # -- results

    def knows(self, t: Type) -> bool:
        """Whether all generics in a type of the callee are bound, dims aside."""
        dtype = getattr(t, "dtype", None)
        if isinstance(dtype, DTypeVar) and dtype.name not in self.dtypes:
            return False
        if isinstance(t, ValueVar) and t.name not in self.values:
            return False
        if any(isinstance(d, ShapeVar) and d.name not in self.runs for d in own_items(t)):
            return False
        return all(map(self.knows, parts(t)))

    def rewrite(self) -> Rewrite:
        """What the generics of the callee are here."""

        def dtype(e: Element) -> Element:
            return self.dtypes.get(e.name, e) if isinstance(e, DTypeVar) else e

        def run(s: ShapeVar) -> Shape:
            return self.runs.get(s.name, (s,))

        def value(v: ValueVar) -> Type:
            return self.values.get(v.name, v)

        return Rewrite(dim=self._now, run=run, dtype=dtype, value=value)


def strip_rows(t: Type) -> Type:
    """A type with tangents stored densely."""
    if isinstance(t, Tangent):
        return Tangent(t.of)
    if isinstance(t, Tuple):
        return Tuple(tuple(map(strip_rows, t.items)))
    if isinstance(t, List):
        return List(strip_rows(t.element))
    if isinstance(t, Option):
        return Option(strip_rows(t.element))
    return t


def tangent_of(t: Type) -> Type:
    """A structure whose tangent the type is."""
    if isinstance(t, Tangent):
        return t.of
    if isinstance(t, Rows):
        return Tensor(t.dtype, (t.count, t.width))
    return strip_rows(t)


def flexible(names: tuple[str, ...]) -> dict[str, Dim]:
    """Names of the callee as flexible ones."""
    return {n: Dim.sym(f"?{n}") for n in names}
