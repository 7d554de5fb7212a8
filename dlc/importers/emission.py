"""Where operations go while a graph is imported: the regions that are open, the weights that became
parameters, and what is computed at once because it is known."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dlc.importers import symbolic
from dlc.importers.dims import DimReasoning
from dlc.importers.elements import INT64, Element
from dlc.importers.limits import Budget
from dlc.importers.messages import Array
from dlc.importers.refusal import refuse
from dlc.importers.tensor import MAX_SYMBOLS, Number, Shape, Tensor, View
from dlc.ir.core import NOWHERE, Attr, Function, Loc, Op, Region, Value, freeze_attrs
from dlc.ir.names import DimNames
from dlc.ops.build import Builder
from dlc.ops.card import CardError, Run, RunError, Site
from dlc.ops.registry import card_of
from dlc.typesys.dims import ZERO, Dim, DimError
from dlc.typesys.dtypes import BOOL, DType
from dlc.typesys.types import TensorType, Type

INLINE = 64
"""Known numbers of at most so many elements are written into the IR; more become weights."""


@dataclass(eq=False)
class Frame:
    """An open region: its builder, the IR values of tensors that were needed in it, and dims that
    were computed in it."""

    builder: Builder
    made: dict[Tensor, Value] = field(default_factory=dict[Tensor, Value])
    dims: dict[object, Dim] = field(default_factory=dict[object, Dim])


@dataclass(frozen=True, eq=False)
class Weight:
    """Numbers that are a parameter of the function."""

    name: str
    data: Array
    value: Value


class Emission:
    """The function that is being made from a graph."""

    def __init__(self, budget: Budget, function: str = "main") -> None:
        self.budget, self.function = budget, function
        self.functions: dict[str, Function] = {}
        self.names = DimNames()
        self.frames: list[Frame] = [Frame(Builder({}, self.names))]
        self.weights: list[Weight] = []
        self._shared: dict[tuple[object, ...], Weight] = {}
        self._taken: set[str] = set()
        self.reason = DimReasoning()

    # -- regions

    @property
    def b(self) -> Builder:
        return self.frames[-1].builder

    @property
    def loc(self) -> Loc:
        return self.b.loc

    def locate(self, loc: Loc) -> None:
        self.b.loc = loc

    @contextmanager
    def region(
        self, params: Sequence[Type] = (), hints: Sequence[str] = (), dims: tuple[str, ...] = ()
    ) -> Generator[Builder]:
        """Opens a region: what is emitted inside goes into it."""
        builder = self.b.nested(params, hints, dims)
        depth = len(self.frames)
        self.frames.append(Frame(builder))
        try:
            yield builder
        finally:
            del self.frames[depth:]

    def tensor(self, v: Value, element: Element) -> Tensor:
        """An IR value as a tensor."""
        return Tensor(self, element, v.tensor.shape, v)

    # -- IR values

    def value(self, t: Tensor) -> Value:
        """The tensor as an IR value in the open region; what is known becomes a constant or a
        weight."""
        if t.value is not None:
            return t.value
        for frame in reversed(self.frames):
            if t in frame.made:
                return frame.made[t]
        v = self._make(t)
        self.frames[-1].made[t] = v
        return v

    def _make(self, t: Tensor) -> Value:
        d = t.element.storage
        if t.sparse is not None:
            return self._known(t, t.sparse.dense(), d)
        if t.known is not None:
            return self._known(t, t.known, d)
        assert t.dims is not None
        if not t.shape:
            return self.b.dim(_scalar(t.dims), d)
        flat = t.dims.reshape(-1)
        numbers = np.array([x.constant if x.is_constant else 0 for x in flat], d.numpy)
        v = self.b.array(numbers, d)
        for i, x in enumerate(flat):
            if not x.is_constant:
                at = self.b.scalar(i, INT64.storage)
                v = self.b.emit("insert", v, self.b.dim(x, d), at, in_bounds=True)
        return v if t.rank == 1 else self.b.emit("reshape", v, shape=t.shape)

    def _known(self, t: Tensor, a: Array, d: DType) -> Value:
        if not a.shape:
            return self.b.scalar(_item(a, d), d)
        if t.is_parameter and a.size:
            return self._weight(t, a).value
        if t.view_of is not None and a.size and _is_view_of_parameter(t):
            xs = [self.value(x) for x in t.view_of.of]
            return self.b.emit(t.view_of.name, *xs, **t.view_of.attrs)
        if a.size and _is_uniform(a):
            return self.b.full(_item(a.reshape(-1)[0], d), TensorType(d, t.shape))
        if a.size <= INLINE:
            return self.b.array(np.ascontiguousarray(a), d)
        if t.view_of is not None:
            xs = [self.value(x) for x in t.view_of.of]
            return self.b.emit(t.view_of.name, *xs, **t.view_of.attrs)
        if d.is_int and a.ndim == 1 and bool((np.diff(a) == 1).all()):
            v = self.b.emit("iota", size=len(a), dtype=d)
            first = self.b.full(_item(a[0], d), TensorType(d, t.shape))
            return self.b.emit("add", v, first) if a[0] else v
        return self._weight(t, a).value

    def _weight(self, t: Tensor, a: Array) -> Weight:
        """The parameter for these numbers; equal arrays share one."""
        a = np.require(a, requirements=("A", "C"))
        key = (a.__array_interface__["data"][0], a.shape, a.dtype.str)
        if key not in self._shared:
            name, n = identifier(t.hint or "constant"), 1
            while name in self._taken:
                n += 1
                name = f"{identifier(t.hint or 'constant')}_{n}"
            self._taken.add(name)
            made = Weight(name, a, Value(TensorType(t.element.storage, t.shape), name))
            self.weights.append(made)
            self._shared[key] = made
        return self._shared[key]

    # -- constants

    def scalar(self, x: Number, element: Element) -> Tensor:
        """A number of rank 0. Raises E0707 if the type doesn't hold it."""
        return self.array(np.asarray(_stored(x, element), element.storage.numpy), element)

    def array(self, a: Any, element: Element, hint: str = "") -> Tensor:
        """Known numbers, as the IR stores them."""
        a = np.asarray(a)
        if a.dtype != element.storage.numpy:
            a = a.astype(element.storage.numpy)
        return Tensor(self, element, tuple(map(Dim.const, a.shape)), known=a, hint=hint)

    def integers(self, xs: Sequence[int]) -> Tensor:
        """An int64 vector."""
        return self.array(np.array(xs, np.int64), INT64)

    def full(self, x: Number, shape: Shape, element: Element) -> Tensor:
        """Equal elements."""
        return self.broadcast(self.scalar(x, element), shape)

    def dim(self, d: Dim | int, element: Element = INT64) -> Tensor:
        """A dim as a scalar."""
        return self.symbols(symbolic.evaluate("add", [_one(Dim.of(d)), _one(Dim.const(0))], {},
                                              self.reason.not_negative), element)  # fmt: skip

    def symbols(self, a: Array | None, element: Element = INT64) -> Tensor:
        """An array of dims as a tensor."""
        assert a is not None
        shape = tuple(map(Dim.const, a.shape))
        if all(d.is_constant for d in a.reshape(-1)):
            numbers = np.array([d.constant for d in a.reshape(-1)], object).reshape(a.shape)
            return Tensor(self, element, shape, known=_wrapped(numbers, element))
        return Tensor(self, element, shape, dims=a)

    def dim_vector(self, ds: Sequence[Dim], element: Element = INT64) -> Tensor:
        """Dims as a vector."""
        a = np.empty(len(ds), object)
        for i, d in enumerate(ds):
            a[i] = d
        return self.symbols(a, element)

    # -- operations

    def emit(
        self,
        name: str,
        *xs: Tensor,
        element: Element | None = None,
        attrs: Mapping[str, Attr] | None = None,
        **more: Attr,
    ) -> Tensor:
        """The one result of an operation, computed at once if it can be. Its element type is that
        of the first operand unless it is given."""
        elements = (element or xs[0].element,)
        (out,) = self.emit_many(name, *xs, elements=elements, attrs={**(attrs or {}), **more})
        return out

    def emit_many(
        self,
        name: str,
        *xs: Tensor,
        elements: Sequence[Element] = (),
        attrs: Mapping[str, Attr] | None = None,
        **more: Attr,
    ) -> tuple[Tensor, ...]:
        """All results of an operation, of these element types."""
        attrs = {**(attrs or {}), **more}
        if len(elements) == 1:
            now = self._symbolic(name, xs, elements[0], attrs)
            if now is not None:
                return (now,)
            if name not in _NEVER and all(x.known is not None for x in xs):
                folded = self._fold(name, xs, elements[0], attrs)
                if folded is not None:
                    return (folded,)
        self.budget.take_operation()
        op = self.b.emit_op(name, [self.value(x) for x in xs], attrs)
        for v in op.results:
            self.budget.check_size(v.tensor)
        return tuple(
            Tensor(self, e, v.tensor.shape, v) for v, e in zip(op.results, elements, strict=True)
        )

    def elementwise(self, name: str, *xs: Tensor) -> Tensor:
        """An element-wise operation after broadcasting. `eq` … `ge` give bools."""
        full = self.broadcast_all(*xs)
        from dlc.importers.elements import BOOLEAN

        out = BOOLEAN if name in _TO_BOOL else full[1 if name == "select" else 0].element
        return self.emit(name, *full, element=out)

    def convert(self, x: Tensor, element: Element) -> Tensor:
        """The IR's conversion between the storage types (`numbers.cast` is ONNX's)."""
        if x.element == element:
            return x
        if x.element.storage == element.storage:
            return replace(x, element=element, is_parameter=False)
        if x.dims is not None and element.is_int and element.storage.bits >= 32:
            return Tensor(self, element, x.shape, dims=x.dims)
        return self.emit("convert", x, element=element, dtype=element.storage)

    # -- what is computed at once

    def _symbolic(
        self, name: str, xs: Sequence[Tensor], element: Element, attrs: Mapping[str, Attr]
    ) -> Tensor | None:
        """The result as dims, if an operand is made of dims and the others are known."""
        if not any(x.dims is not None for x in xs):
            return None
        arrays: list[Array] = []
        for x in xs:
            a = x.known if x.element.is_bool else x.symbols
            if a is None:
                return None
            arrays.append(a)
        out = symbolic.evaluate(name, arrays, attrs, self.reason.not_negative)
        if out is None or out.size > MAX_SYMBOLS:
            return None
        return self.array(out, element) if out.dtype == np.bool_ else self.symbols(out, element)

    def _fold(
        self, name: str, xs: Sequence[Tensor], element: Element, attrs: Mapping[str, Attr]
    ) -> Tensor | None:
        card = card_of(name)
        types: tuple[Type, ...] = tuple(TensorType(x.element.storage, x.shape) for x in xs)
        frozen = freeze_attrs(attrs)
        try:
            (t,) = card.result_types(Site(name, types, frozen))
        except (CardError, DimError, ValueError):
            return None  # the builder says why
        if not isinstance(t, TensorType) or not t.size.is_constant or not _constant(frozen):
            return None
        self.budget.check_size(t)
        if not self._worth(name, xs, t):
            return None
        op = Op(name, tuple(map(Value, types)), (Value(t),), frozen)
        try:
            with np.errstate(all="ignore"):
                (y,) = card.evaluate(Run(op, {}), *(x.known for x in xs))
        except RunError:
            return None  # it fails at run time, with its place
        y = np.asarray(y)
        kept = y.size > INLINE or any(map(_is_view_of_parameter, xs))
        view = View(name, tuple(xs), frozen) if name in _VIEWS and kept else None
        # What is made of an initialiser keeps its name.
        return Tensor(self, element, t.shape, known=y, hint=xs[0].hint, view_of=view)

    def _worth(self, name: str, xs: Sequence[Tensor], t: TensorType) -> bool:
        """Whether the budget allows it; views cost nothing."""
        if name in _VIEWS and xs[0].known is not None and t.dtype == xs[0].element.storage:
            return name != "reshape" or t.size.constant <= MAX_SYMBOLS or self.budget.may_fold(
                t.size.constant * t.dtype.bytes, t.size.constant
            )  # fmt: skip
        n = t.size.constant
        steps = max(n, *(int(x.known.size) for x in xs if x.known is not None), 1)
        if name == "contract":
            steps = n * max(1, max(int(x.known.size) for x in xs if x.known is not None))
        return self.budget.may_fold(n * t.dtype.bytes, steps)

    # -- shapes

    def broadcast(self, x: Tensor, shape: Shape) -> Tensor:
        """Stretched to a shape that it fits as it is (equal dims, or 1)."""
        return x if x.shape == shape else self.emit("broadcast", x, shape=shape)

    def broadcast_all(self, *xs: Tensor) -> tuple[Tensor, ...]:
        """All of one shape, by numpy's rules; sizes that nobody knows yet are compared when the
        program runs."""
        if len({x.shape for x in xs}) == 1:
            return xs
        from dlc.importers.broadcasting import common_shape, stretch

        shape = common_shape(self, [x.shape for x in xs])
        return tuple(stretch(x, shape) for x in xs)

    def reshape(self, x: Tensor, shape: Sequence[Dim | int]) -> Tensor:
        """The elements in another shape; compared at run time unless the sizes are equal as
        dims."""
        to = tuple(map(Dim.of, shape))
        if x.shape == to:
            return x
        try:
            same = TensorType(BOOL, x.shape).size == TensorType(BOOL, to).size
        except DimError:
            same = False
        if not same and all(d.is_constant for d in (*x.shape, *to)):
            raise refuse(
                "E0707", f"{_shape(x.shape)} cannot be reshaped to {_shape(to)}: they differ in "
                "the number of elements",
            )  # fmt: skip
        attrs: dict[str, Attr] = {"shape": to} if same else {"shape": to, "checked": True}
        return self.emit("reshape", x, attrs=attrs)

    def transpose(self, x: Tensor, perm: Sequence[int]) -> Tensor:
        if tuple(perm) == tuple(range(x.rank)):
            return x
        return self.emit("transpose", x, perm=tuple(perm))

    def concat(self, xs: Sequence[Tensor], axis: int) -> Tensor:
        return xs[0] if len(xs) == 1 else self.emit("concat", *xs, axis=axis)

    def slice(
        self, x: Tensor, axis: int, start: Dim | int, size: Dim | int, step: int = 1
    ) -> Tensor:
        """Elements `start, start+step, …` along an axis, known to be there."""
        if Dim.of(size) == x.shape[axis] and Dim.of(start) == ZERO and step == 1:
            return x
        attrs: dict[str, Attr] = {"axis": axis, "size": Dim.of(size), "in_bounds": True}
        if step != 1:
            attrs["step"] = step
        return self.emit("slice", x, self.dim(start), attrs=attrs)

    def reduce(self, kind: str, x: Tensor, axes: Sequence[int], *, keep: bool = False) -> Tensor:
        """The fold over axes; with `keep` they stay as 1."""
        out = self.emit("reduce", x, kind=kind, axes=tuple(axes)) if axes else x
        if not keep or not axes:
            return out
        return self.reshape(out, [Dim.const(1) if a in axes else d for a, d in enumerate(x.shape)])

    def iota(self, n: Dim | int, element: Element = INT64) -> Tensor:
        """0, 1, … n-1."""
        size = Dim.of(n)
        if size.is_constant and self.budget.may_fold(8 * size.constant, size.constant):
            return self.array(np.arange(size.constant), element)
        (out,) = self.emit_many("iota", elements=(element,), size=size, dtype=element.storage)
        return out

    def contract(self, spec: str, a: Tensor, b: Tensor, element: Element | None = None) -> Tensor:
        """The sum of products over the letters of `spec`."""
        out = element or a.element
        attrs: dict[str, Attr] = {"spec": spec}
        if out.storage != a.element.storage:
            attrs["dtype"] = out.storage
        return self.emit("contract", a, b, element=out, attrs=attrs)

    def retype(self, x: Tensor, shape: Shape) -> Tensor:
        """The same value with dims that were checked to be equal to its own."""
        if x.shape == shape:
            return x
        if x.known is not None:
            return x  # all its dims are numbers, and the check is on the others
        v = self.b.emit_typed("retype", TensorType(x.element.storage, shape), self.value(x))
        return Tensor(self, x.element, shape, v)

    def check(self, c: Tensor, message: str) -> None:
        """The program ends with a status unless the scalar is true. Raises E0707 if it is false
        already."""
        if c.known is not None:
            if not bool(c.known):
                raise refuse("E0707", message)
            return
        self.b.emit_many("assert", self.value(c), message=message)

    def to_dim(self, t: Tensor, hint: str = "n") -> Dim:
        """The value of a tensor of one element as a dim; negative ones end the program."""
        s = t.symbols
        if s is not None:
            if s.size != 1:
                raise refuse("E0707", f"{t} where one number is needed")
            d: Dim = s.reshape(-1)[0]
            if d.is_constant and d.constant < 0:
                raise refuse("E0707", f"{d} where a size is needed")
            return d
        x = self.reshape(t, ()) if t.shape else t
        v = self.value(x)
        for frame in self.frames:
            if v in frame.dims:
                return frame.dims[v]
        made = self.b.as_dim(v, hint)
        self.frames[-1].dims[v] = made
        return made

    def remembered(self, key: object) -> Dim | None:
        """A dim that was computed for this key in an open region."""
        return next((f.dims[key] for f in self.frames if key in f.dims), None)

    def remember(self, key: object, d: Dim) -> Dim:
        self.frames[-1].dims[key] = d
        return d

    def yield_region(self, *xs: Tensor) -> Region:
        """Ends the open region with these values."""
        return self.b.yield_(*(self.value(x) for x in xs))


_TO_BOOL = frozenset(("eq", "ne", "lt", "le", "gt", "ge", "is_nan", "is_inf", "is_finite"))
_VIEWS = frozenset(("broadcast", "transpose", "reverse", "slice", "reshape"))
_NEVER = frozenset(("iota", "as_dim", "stop_grad", "retype", "random_bits", "random_uniform"))


def identifier(name: str) -> str:
    """A name that IR text and dl sources can hold."""
    out = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)
    return out if out and not out[0].isdigit() else f"x{out}"


def _is_view_of_parameter(t: Tensor) -> bool:
    """Whether it is a parameter seen otherwise (stretched, turned), which stays one."""
    while t.view_of is not None and len(t.view_of.of) == 1:
        t = t.view_of.of[0]
    return t.is_parameter


def _shape(shape: Shape) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _scalar(a: Array) -> Dim:
    """The one element of an array of dims."""
    d: Dim = a.reshape(-1)[0]
    return d


def _one(d: Dim) -> Array:
    a = np.empty((), object)
    a[()] = d
    return a


def _is_uniform(a: Array) -> bool:
    """Whether all elements have the bits of the first, looked for where it is cheap."""
    if all(s == 0 or n == 1 for s, n in zip(a.strides, a.shape, strict=True)):
        return True
    if a.size > MAX_SYMBOLS:
        return False
    flat = np.ascontiguousarray(a).reshape(-1)
    raw = flat.view(np.uint8).reshape(flat.size, -1)
    return bool((raw == raw[0]).all())


def _wrapped(numbers: Array, element: Element) -> Array:
    """Whole numbers of any size as the type stores them."""
    bits = element.storage.bits
    half = 0 if element.storage.name == "u8" else 1 << (bits - 1)
    out = np.empty(numbers.shape, element.storage.numpy)
    for at, n in np.ndenumerate(numbers):
        out[at] = (int(n) + half) % (1 << bits) - half
    return out


def _item(x: Any, d: DType) -> Number:
    return float(x) if d.is_float else x.item()


def _stored(x: Number, element: Element) -> Number:
    """A number as the IR stores it."""
    if element.is_float or element.is_bool:
        return x
    low, high = element.range
    n = int(x) if math.isfinite(x) else high + 1
    if not low <= n <= high:
        raise refuse("E0707", f"{x} is no {element}")
    if element.unsigned and element.storage.signed and n >= 1 << (element.storage.bits - 1):
        return n - (1 << element.storage.bits)
    return n


def _constant(attrs: Mapping[str, Attr]) -> bool:
    def known(a: Attr) -> bool:
        if isinstance(a, Dim):
            return a.is_constant
        return all(map(known, a)) if isinstance(a, tuple) else True

    return all(map(known, attrs.values()))


__all__ = ["INLINE", "NOWHERE", "Emission", "Frame", "Weight", "identifier"]
