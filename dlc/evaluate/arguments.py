"""From Python values to the evaluator's and back, and dims from the shapes of arguments.

A tensor is a numpy array, or a number for a scalar. A list is a Python list; its elements are
tuples if it has several columns. An algebraic value is an `AdtValue`, or a tuple or list whose
first item is the constructor's name: `("Node", ("Leaf", 1), ("Leaf", 2))`. Structures may be nested
as deep as memory allows: nothing here recurses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy

from dlc.ir.core import AdtDecl, Constructor, Function
from dlc.ops.card import RunError
from dlc.ops.numeric import COMPLEX, np
from dlc.ops.values import AdtValue, ListValue
from dlc.typesys.dims import Dim
from dlc.typesys.types import AdtType, ListType, TensorType, Type


@dataclass(eq=False)
class _Slot:
    """A place that a converted value goes to: item `index` of `target`."""

    target: list[Any]
    index: int


class Arguments:
    """Converts the arguments of one call and finds the values of the function's dims."""

    def __init__(self, adts: Mapping[str, AdtDecl], *, complex_step: bool = False) -> None:
        self.adts = adts
        self.complex_step = complex_step
        self.env: dict[str, int] = {}
        self._pending: list[tuple[str, Dim, int]] = []
        self._known: dict[tuple[AdtType, str], tuple[Type, ...]] = {}
        self._shown: dict[str, Dim] = {}

    def convert(
        self, fn: Function, args: Sequence[Any], dims: Mapping[str, int] | None
    ) -> tuple[list[Any], dict[str, int]]:
        """The arguments as values, and all dims. Raises RunError (`arg`, `shape`, `struct`)."""
        if len(args) != len(fn.params):
            message = f"@{fn.name} takes {len(fn.params)} arguments, not {len(args)}"
            raise RunError("arg", message, len(args), len(fn.params))
        for name, n in (dims or {}).items():
            if name not in fn.dims:
                raise RunError("arg", f"@{fn.name} has no dim {name}")
            self.env[name] = n
        values = [self._value(p.hint, p.type, a) for p, a in zip(fn.params, args, strict=True)]
        self._solve()
        for d in fn.dims:
            if d not in self.env:
                raise RunError("shape", f"no argument of @{fn.name} determines the dim {d}")
        return values, {d: self.env[d] for d in fn.dims}

    # -- dims

    def _shape(self, what: str, t: TensorType, shape: tuple[int, ...]) -> None:
        if len(shape) != t.rank:
            message = f"`{what}` must be {t}, not of rank {len(shape)}"
            raise RunError("shape", message, len(shape), t.rank)
        for d, n in zip(t.shape, shape, strict=True):
            self._equal(what, d, n)

    def _equal(self, what: str, d: Dim, n: int) -> None:
        if d.name is not None and d.name not in self.env:
            self.env[d.name] = n
        elif all(s in self.env for s in d.symbols()):
            want = d.evaluate(self.env)
            if want != n:
                shown = d.substitute(self._shown)
                raise RunError("shape", f"`{what}`: {shown} is {want}, not {n}", n, want)
        else:
            self._pending.append((what, d, n))

    def _solve(self) -> None:
        """Dims like `4*H`, once the rest of their names is known."""
        progress = True
        while self._pending and progress:
            pending, self._pending, progress = self._pending, [], False
            for what, d, n in pending:
                unknown = [s for s in d.symbols() if s not in self.env]
                if len(unknown) == 1:
                    self._linear(what, d, n, unknown[0])
                    progress = True
                elif not unknown:
                    self._equal(what, d, n)
                    progress = True
                else:
                    self._pending.append((what, d, n))

    def _linear(self, what: str, d: Dim, n: int, unknown: str) -> None:
        k = d.coefficient(unknown)
        if k is None:
            raise RunError("shape", f"`{what}`: {d} = {n} doesn't determine {unknown}")
        rest = d.substitute({unknown: Dim.const(0)}).evaluate(self.env)
        factor = k.evaluate(self.env)
        if factor == 0 or (n - rest) % factor or (n - rest) // factor < 0:
            raise RunError("shape", f"`{what}`: no {unknown} makes {d} = {n}", n)
        self.env[unknown] = (n - rest) // factor

    # -- values

    def _value(self, what: str, t: Type, given: Any) -> Any:
        """One argument, converted with a work list: places are filled when their parts are
        ready."""
        out: list[Any] = [None]
        work: list[Callable[[], None]] = []
        self._push(work, what, t, given, _Slot(out, 0))
        while work:
            work.pop()()
        return out[0]

    def _push(
        self, work: list[Callable[[], None]], what: str, t: Type, given: Any, to: _Slot
    ) -> None:
        if isinstance(t, TensorType):
            to.target[to.index] = self._tensor(what, t, given)
        elif isinstance(t, ListType):
            self._list(work, what, t, given, to)
        else:
            self._variant(work, what, t, given, to)

    def _list(
        self, work: list[Callable[[], None]], what: str, t: ListType, given: Any, to: _Slot
    ) -> None:
        items = list(given)
        columns = [[None] * len(t.columns) for _ in items]

        def done() -> None:
            to.target[to.index] = ListValue([tuple(c) for c in columns])

        work.append(done)
        for item, parts in zip(items, columns, strict=True):
            given_parts = (
                (item,) if len(t.columns) == 1 and not isinstance(given, ListValue) else tuple(item)
            )
            if len(given_parts) != len(t.columns):
                message = f"`{what}`: an element of {t} has {len(t.columns)} parts"
                raise RunError("arg", message, len(given_parts), len(t.columns))
            for i, (c, part) in enumerate(zip(t.columns, given_parts, strict=True)):
                work.append(
                    lambda c=c, part=part, parts=parts, i=i: self._push(
                        work, what, c, part, _Slot(parts, i)
                    )
                )

    def _variant(
        self, work: list[Callable[[], None]], what: str, t: AdtType, given: Any, to: _Slot
    ) -> None:
        name, fields = taken_apart(what, given)
        decl = self.adts[t.name]
        c = next((c for c in decl.constructors if c.name == name), None)
        if c is None:
            raise RunError("struct", f"`{what}`: {t} has no constructor {name}")
        if len(fields) != len(c.fields):
            message = f"`{what}`: {name} has {len(c.fields)} fields, not {len(fields)}"
            raise RunError("struct", message, len(fields), len(c.fields))
        types, own = self._field_types(decl, t, c)
        parts: list[Any] = [None] * len(fields)

        def done() -> None:
            if own:
                self._solve()
            sizes = tuple(self.env.pop(n, -1) for n in own)
            if isinstance(given, AdtValue) and len(given.dims) == len(own):
                given_sizes = given.dims
                sizes = tuple(g if s < 0 else s for g, s in zip(given_sizes, sizes, strict=True))
            if any(s < 0 for s in sizes):
                raise RunError("struct", f"`{what}`: no field of {name} determines its sizes")
            to.target[to.index] = AdtValue(name, tuple(parts), sizes)

        work.append(done)
        for i in reversed(range(len(fields))):
            slot = _Slot(parts, i)
            work.append(
                lambda ft=types[i], f=fields[i], slot=slot: self._push(work, what, ft, f, slot)
            )

    def _field_types(
        self, decl: AdtDecl, t: AdtType, c: Constructor
    ) -> tuple[tuple[Type, ...], tuple[str, ...]]:
        """Types of the fields of one value, and the names that stand in them for the hidden
        dims, which are the value's own and are found from its fields."""
        if c.dims:
            own = tuple(f"{d}.{len(self._shown)}" for d in c.dims)
            self._shown.update(zip(own, map(Dim.sym, c.dims), strict=True))
            return decl.field_types(t, c.name, tuple(map(Dim.sym, own))), own
        types = self._known.get((t, c.name))
        if types is None:
            types = self._known[t, c.name] = decl.field_types(t, c.name)
        return types, ()

    def _tensor(self, what: str, t: TensorType, given: Any) -> Any:
        want = t.dtype.numpy
        if isinstance(given, (numpy.ndarray, numpy.generic)):
            x = cast(Any, given)
            if x.dtype != want and not (t.dtype.is_float and x.dtype == COMPLEX):
                raise RunError("arg", f"`{what}` must be {t}, not an array of {x.dtype}")
        else:
            x = _from_numbers(what, t, given)
        self._shape(what, t, tuple(x.shape))
        if self.complex_step and t.dtype.is_float and x.dtype != COMPLEX:
            x = x.astype(COMPLEX)
        return np.asarray(x)[()]


def _from_numbers(what: str, t: TensorType, given: Any) -> Any:
    """Numbers and nested sequences of numbers, if every one is exactly of the element type's
    kind."""
    try:
        raw = np.asarray(given)
    except ValueError as e:
        raise RunError("arg", f"`{what}` must be {t}: {e}") from e
    if raw.size == 0:
        return raw.astype(t.dtype.numpy)
    kinds = {"bool": "b", "int": "iu", "float": "fiu"}[t.dtype.kind]
    if raw.dtype.kind not in kinds:
        raise RunError("arg", f"`{what}` must be {t}, not made of {raw.dtype}")
    if t.dtype.is_int:
        info = np.iinfo(t.dtype.numpy)
        if raw.min() < info.min or raw.max() > info.max:
            raise RunError("arg", f"`{what}` must be {t}: a number is out of range")
    return raw.astype(t.dtype.numpy)


def taken_apart(what: str, given: Any) -> tuple[str, tuple[Any, ...]]:
    """Constructor and fields of an algebraic value."""
    if isinstance(given, AdtValue):
        return given.constructor, given.fields
    if isinstance(given, str):
        return given, ()
    if isinstance(given, (tuple, list)):
        name, *fields = cast("Sequence[Any]", given) or [None]
        if isinstance(name, str):
            return name, tuple(fields)
    kind: str = type(cast(object, given)).__name__
    raise RunError("struct", f"`{what}`: {kind} is no algebraic value")


def to_python(v: Any) -> Any:
    """Arrays and numbers as they are, lists as Python lists (of tuples if there are several
    columns), and algebraic values as tuples `(constructor, fields…)`. Doesn't recurse."""
    out: list[Any] = [None]
    work: list[Callable[[], None]] = []

    def push(v: Any, target: list[Any], at: int) -> None:
        if isinstance(v, AdtValue):
            open_up([*v.fields], lambda parts: (v.constructor, *parts), target, at)
        elif isinstance(v, ListValue):
            rows = list(v)
            width = len(rows[0]) if rows else 1
            flat = [x for row in rows for x in row]

            def regroup(parts: list[Any]) -> list[Any]:
                if width == 1:
                    return parts
                return [tuple(parts[i : i + width]) for i in range(0, len(parts), width)]

            open_up(flat, regroup, target, at)
        else:
            target[at] = v

    def open_up(
        fields: list[Any], close: Callable[[list[Any]], Any], target: list[Any], at: int
    ) -> None:
        parts: list[Any] = [None] * len(fields)

        def done() -> None:
            target[at] = close(parts)

        work.append(done)
        for i, f in enumerate(fields):
            work.append(lambda f=f, i=i: push(f, parts, i))

    push(v, out, 0)
    while work:
        work.pop()()
    return out[0]
