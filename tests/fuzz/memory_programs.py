"""Random IR programs that merge, share, update and move storage in every way that the IR allows.

`program(seed)` gives a verified module, and arguments for its function `main`. Numbers stay small
whole ones, also in floats, so that every order of summation gives the same bits and results can be
compared exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlc.ir.core import AdtDecl, Constructor, Field, Function, Module, Signature, Value
from dlc.ir.names import DimNames
from dlc.ops.build import Builder
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import F32, I32, DType
from dlc.typesys.types import AdtType, ListType, TensorType, Type, tensor

N, M = Dim.sym("N"), Dim.sym("M")
BOX = AdtType("Box", (N,))


@dataclass(frozen=True)
class Program:
    module: Module
    args: list[Any]
    dims: dict[str, int]
    seed: int


class _Types:
    """The types that a program's values have."""

    def __init__(self, d: DType) -> None:
        self.d = d
        self.s, self.i = tensor(d), tensor(I32)
        self.v, self.w, self.m = tensor(d, N), tensor(d, 2 * N), tensor(d, M, N)
        self.li = ListType((self.i,))
        self.lv = ListType((self.v, self.i))
        self.ll = ListType((self.li,))
        self.box = BOX
        self.all: tuple[Type, ...] = (
            self.s, self.i, self.v, self.w, self.m, self.li, self.lv, self.ll, self.box,
        )  # fmt: skip

    def adt(self) -> AdtDecl:
        box = AdtType("Box", (N,))
        return AdtDecl(
            "Box",
            ("N",),
            (
                Constructor("Nil", (Field("i", self.i),)),
                Constructor("Pair", (Field("x", self.v), Field("l", self.li), Field("r", box))),
            ),
        )


class _Generator:
    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.t = _Types(F32 if seed % 2 else I32)
        self.adts = {"Box": self.t.adt()}
        self.helpers: list[Function] = []
        self.left = 0
        self.common: list[Type] = []

    # -- choices

    def below(self, n: int) -> int:
        return int(self.rng.integers(n))

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def pick(self, xs: Sequence[Any]) -> Any:
        return xs[self.below(len(xs))]

    # -- functions

    def module(self) -> tuple[Module, list[Any], dict[str, int]]:
        for k in range(self.below(3)):
            self.helpers.append(self.function(f"help{k}", 4 + self.below(5), helper=True))
        if self.chance(0.5):
            self.helpers.append(self.recursion("walk", 2 + self.below(6)))
        main = self.function("main", 8 + self.below(14), helper=False)
        functions = {f.name: f for f in (*self.helpers, main)}
        dims = {"N": self.pick([1, 2, 3, 5]), "M": self.pick([1, 2, 3])}
        args = [self.argument(p.type, dims) for p in main.params]
        return Module.of(self.adts, functions), args, dims

    def function(self, name: str, size: int, *, helper: bool) -> Function:
        params = [self.pick(self.t.all) for _ in range(2 + self.below(4))]
        self.common = [self.pick(self.t.all) for _ in range(3)]
        b = Builder(self.adts, DimNames(("N", "M")), params=tuple(map(Value, params)))
        values = list(b.params)
        self.left = size
        self.block(b, values, 0, size)
        results = [self.find(b, values, self.pick(self.t.all)) for _ in range(1 + self.below(3))]
        if not helper:
            results += [self.pick(values) for _ in range(self.below(5))]
        inout: list[tuple[int, int]] = []
        for i, p in enumerate(params):
            if isinstance(p, (TensorType, ListType)) and self.chance(0.4 if helper else 0.2):
                inout.append((i, len(results)))
                results.append(self.find(b, values, p))
        attrs = {"inout": tuple(inout)} if inout else {}
        if not helper:
            attrs["entry"] = True
        return b.function(name, ("N", "M"), b.return_(*results), attrs=attrs)

    def recursion(self, name: str, size: int) -> Function:
        """A function that calls itself with the rest of a box, and merges what comes back."""
        params = [BOX, *(self.pick(self.t.all) for _ in range(1 + self.below(3)))]
        results = [self.pick(self.t.all) for _ in range(1 + self.below(3))]
        inout: list[tuple[int, int]] = []
        for i, p in enumerate(params):
            if isinstance(p, (TensorType, ListType)) and self.chance(0.5):
                inout.append((i, len(results)))
                results.append(p)
        attrs = {"inout": tuple(inout)} if inout else {}
        b = Builder(self.adts, DimNames(("N", "M")), params=tuple(map(Value, params)))
        signature = Signature(name, ("N", "M"), tuple(params), tuple(results))
        self.left, self.common = size, results
        leaf, node = b.case(b.params[0], "Nil"), b.case(b.params[0], "Pair")
        out = self.inner(leaf, [*b.params, *leaf.params], 1, results)
        regions = [leaf.yield_(*out)]
        self.left = size
        mine = [*b.params, *node.params]
        for _ in range(1 + self.chance(0.3)):
            self.block(node, mine, 2, 1 + self.below(3))
            args = [node.params[2], *(self.find(node, mine, t) for t in params[1:])]
            mine += node.call(signature, args, [N, M])
        out = self.inner(node, mine, 1, results)
        regions.append(node.yield_(*out))
        made = b.match_(b.params[0], ("Nil", "Pair"), regions)
        return b.function(name, ("N", "M"), b.return_(*made), attrs=attrs)

    def argument(self, t: Type, dims: dict[str, int]) -> Any:
        if isinstance(t, TensorType):
            shape = tuple(d.evaluate(dims) for d in t.shape)
            x = self.rng.integers(-4, 5, shape)
            return np.asarray(x).astype(t.dtype.numpy)[()]
        if isinstance(t, ListType):
            rows = [tuple(self.argument(c, dims) for c in t.columns) for _ in range(self.below(4))]
            return [r[0] for r in rows] if len(t.columns) == 1 else rows
        if self.chance(0.5):
            return ("Nil", self.argument(self.t.i, dims))
        parts = (self.argument(x, dims) for x in (self.t.v, self.t.li, self.t.box))
        return ("Pair", *parts)

    # -- values

    def find(self, b: Builder, values: list[Value], t: Type) -> Value:
        """A value of the type: one that is there, or a new one."""
        have = [v for v in values if v.type == t]
        if have and self.chance(0.9):
            return have[-1 - min(self.below(len(have)), self.below(len(have)))]
        v = self.fresh(b, values, t)
        values.append(v)
        return v

    def fresh(self, b: Builder, values: list[Value], t: Type) -> Value:
        if isinstance(t, TensorType):
            return b.full(self.below(5) - 2, t)
        if isinstance(t, ListType):
            return b.emit_typed("list_new", t)
        return b.variant(BOX, "Nil", [b.scalar(self.below(5), I32)])

    def index(self, b: Builder, values: list[Value], n: Dim) -> Value:
        """A position below `n`: some scalar modulo it, or 0."""
        if self.chance(0.3):
            return b.scalar(0, I32)
        return b.emit("mod", self.find(b, values, self.t.i), b.dim(n))

    def squash(self, b: Builder, v: Value) -> Value:
        """-9 to 9, so that numbers stay exact."""
        t = v.tensor
        return b.emit("max", b.emit("min", v, b.full(9, t)), b.full(-9, t))

    # -- blocks

    def block(self, b: Builder, values: list[Value], depth: int, size: int) -> None:
        for _ in range(size):
            if self.left <= 0:
                return
            self.left -= 1
            rules: list[Callable[[Builder, list[Value]], None]] = list(_SIMPLE)
            rules = [getattr(self, r) for r in rules]  # type: ignore[arg-type]
            if depth < 3 and self.chance(0.35):
                self.control(b, values, depth)
            else:
                self.pick(rules)(b, values)

    def control(self, b: Builder, values: list[Value], depth: int) -> None:
        kind = self.pick(["if", "match", "for", "for", "loop", "map"])
        getattr(self, f"do_{kind}")(b, values, depth)

    def inner(self, b: Builder, values: list[Value], depth: int, types: list[Type]) -> list[Value]:
        """The values of a nested block, and what it yields."""
        self.block(b, values, depth + 1, 1 + self.below(5))
        return [self.find(b, values, t) for t in types]

    def some_types(self) -> list[Type]:
        kinds = self.common if self.chance(0.7) else self.t.all
        return [self.pick(kinds) for _ in range(self.below(4))]

    def do_if(self, b: Builder, values: list[Value], depth: int) -> None:
        types = self.some_types()
        c = b.emit("lt", self.find(b, values, self.t.i), b.scalar(self.below(4), I32))
        regions = []
        for _ in range(2):
            inner = b.nested()
            regions.append(inner.yield_(*self.inner(inner, list(values), depth, types)))
        values += b.if_(c, *regions)

    def do_match(self, b: Builder, values: list[Value], depth: int) -> None:
        types, t = self.some_types(), self.find(b, values, BOX)
        cases = self.pick([("Nil", "Pair"), ("Pair", "_"), ("Nil", "_"), ("_",)])
        regions = []
        for c in cases:
            inner = b.case(t, c)
            out = self.inner(inner, [*values, *inner.params], depth, types)
            regions.append(inner.yield_(*out))
        values += b.match_(t, cases, regions)

    def yields(self, carried: Sequence[Value], values: list[Value], b: Builder) -> list[Value]:
        """What a turn hands on: often other carried values, to make rings."""
        out: list[Value] = []
        for c in carried:
            same = [x for x in carried if x.type == c.type]
            out.append(self.pick(same) if self.chance(0.35) else self.find(b, values, c.type))
        return out

    def do_for(self, b: Builder, values: list[Value], depth: int) -> None:
        types = self.some_types()
        if types and self.chance(0.6):
            types = [self.pick(types) for _ in range(len(types) + 1)]
        inits = [self.find(b, values, t) for t in types]
        exits = self.chance(0.3)
        inner = b.nested([self.t.i, *types])
        mine = [*values, *inner.params]
        self.block(inner, mine, depth + 1, 1 + self.below(5))
        out = self.yields(inner.params[1:], mine, inner)
        if exits:
            go = inner.emit("lt", self.find(inner, mine, self.t.i), inner.scalar(2, I32))
            out = [go, *out]
        lo, hi = b.scalar(self.below(2), I32), b.scalar(self.below(5), I32)
        values += b.for_(lo, hi, inits, inner.yield_(*out), exits=exits, reverse=self.chance(0.2))

    def do_loop(self, b: Builder, values: list[Value], depth: int) -> None:
        types = [self.t.i, *self.some_types()]
        inits = [b.scalar(0, I32), *(self.find(b, values, t) for t in types[1:])]
        inner = b.nested(types)
        mine = [*values, *inner.params]
        self.block(inner, mine, depth + 1, 1 + self.below(5))
        count = inner.emit("add", inner.params[0], inner.scalar(1, I32))
        out = self.yields(inner.params[1:], mine, inner)
        go = inner.emit("lt", count, inner.scalar(1 + self.below(4), I32))
        values += b.loop(inits, inner.yield_(go, count, *out))

    def do_map(self, b: Builder, values: list[Value], depth: int) -> None:
        """A map over the rows of a matrix."""
        x = self.find(b, values, self.t.m)
        inner = b.map_body((M,), [x], indexed=True)
        mine = [*(v for v in values if isinstance(v.type, TensorType)), *inner.params]
        y = self.find(inner, mine, self.t.v)
        if self.chance(0.7):
            y = inner.emit("add", inner.params[1], y)
        s = inner.emit("reduce", y, kind="max", axes=(0,))
        out = b.map_((M,), [x], inner.yield_(self.squash(inner, y), s))
        values.append(out[0])

    # -- operations

    def elementwise(self, b: Builder, values: list[Value]) -> None:
        t = self.pick([self.t.s, self.t.i, self.t.v, self.t.v, self.t.w, self.t.m])
        x, y = self.find(b, values, t), self.find(b, values, t)
        z = b.emit(self.pick(["add", "sub", "max", "min"]), x, y)
        if self.chance(0.5):
            z = b.emit("neg", z)
        values.append(self.squash(b, z))
        if self.chance(0.3):
            values.append(self.squash(b, b.emit("add", z, x)))

    def selected(self, b: Builder, values: list[Value]) -> None:
        x, y = self.find(b, values, self.t.v), self.find(b, values, self.t.v)
        values.append(b.emit("select", b.emit("lt", x, y), x, b.emit("neg", y)))

    def row(self, b: Builder, values: list[Value]) -> None:
        x = self.find(b, values, self.t.m)
        values.append(b.emit("index", x, self.index(b, values, M)))

    def element(self, b: Builder, values: list[Value]) -> None:
        x = self.find(b, values, self.t.v)
        values.append(b.emit("index", x, self.index(b, values, N)))

    def half(self, b: Builder, values: list[Value]) -> None:
        x = self.find(b, values, self.t.w)
        start = self.pick([b.scalar(0, I32), b.dim(N), self.index(b, values, N)])
        values.append(b.emit("slice", x, start, axis=0, size=N))

    def turned(self, b: Builder, values: list[Value]) -> None:
        x = self.find(b, values, self.t.v)
        values.append(b.emit("reverse", x, axis=0))

    def spread(self, b: Builder, values: list[Value]) -> None:
        x = self.find(b, values, self.t.v)
        values.append(b.emit("broadcast", x, shape=(M, N)))

    def filled(self, b: Builder, values: list[Value]) -> None:
        t = self.pick([self.t.v, self.t.w, self.t.m])
        values.append(b.emit("broadcast", self.find(b, values, self.t.s), shape=t.shape))

    def counted(self, b: Builder, values: list[Value]) -> None:
        values.append(b.emit("iota", size=N, dtype=self.t.d))

    def joined(self, b: Builder, values: list[Value]) -> None:
        x, y = self.find(b, values, self.t.v), self.find(b, values, self.t.v)
        values.append(b.emit("concat", x, y, axis=0))

    def put_row(self, b: Builder, values: list[Value]) -> None:
        x, v = self.find(b, values, self.t.m), self.find(b, values, self.t.v)
        values.append(b.emit("insert", x, v, self.index(b, values, M)))

    def made_row(self, b: Builder, values: list[Value]) -> None:
        """A row made for its place, with something else going on in between."""
        x = self.find(b, values, self.t.m)
        at = self.pick([b.scalar(0, I32), b.emit("sub", b.dim(M), b.scalar(1, I32))])
        v = self.find(b, values, self.t.v)
        if self.chance(0.3):
            v = b.emit("index", x, at, in_bounds=True)
        v = b.emit("neg", v)
        if self.chance(0.4):
            self.pick([self.row, self.summed, self.called, self.product])(b, values)
        y = b.emit("insert", x, v, at, in_bounds=True)
        values += [y] if self.chance(0.8) else [v, y]

    def put_element(self, b: Builder, values: list[Value]) -> None:
        x, v = self.find(b, values, self.t.v), self.find(b, values, self.t.s)
        values.append(b.emit("insert", x, v, self.index(b, values, N)))

    def put_slice(self, b: Builder, values: list[Value]) -> None:
        x, v = self.find(b, values, self.t.w), self.find(b, values, self.t.v)
        start = self.pick([b.scalar(0, I32), b.dim(N), self.index(b, values, N)])
        values.append(b.emit("insert_slice", x, v, start, axis=0))

    def summed(self, b: Builder, values: list[Value]) -> None:
        x = self.find(b, values, self.t.m)
        axis = self.below(2)
        y = self.squash(b, b.emit("reduce", x, kind="sum", axes=(axis,)))
        if axis == 0:
            values.append(y)
        else:
            values.append(self.squash(b, b.emit("reduce", y, kind="sum", axes=(0,))))

    def product(self, b: Builder, values: list[Value]) -> None:
        x, v = self.find(b, values, self.t.m), self.find(b, values, self.t.v)
        p = self.squash(b, b.emit("contract", x, v, spec="ij,j->i"))
        q = b.emit("contract", p, x, spec="i,ij->j")
        values.append(self.squash(b, q))

    def outer(self, b: Builder, values: list[Value]) -> None:
        """A sum into an accumulator."""
        x, v = self.find(b, values, self.t.m), self.find(b, values, self.t.v)
        u = b.emit("reduce", x, kind="max", axes=(1,))
        o = b.emit("contract", u, v, spec="i,j->ij")
        values.append(b.emit("add", self.find(b, values, self.t.m), o))
        values.append(self.squash(b, values[-1]))

    def scattered(self, b: Builder, values: list[Value]) -> None:
        x, v = self.find(b, values, self.t.v), self.find(b, values, self.t.v)
        i = b.emit("mod", b.emit("iota", size=N), b.full(2, tensor(I32, N)))
        i = b.emit("min", i, b.full(0, tensor(I32, N)))
        values.append(self.squash(b, b.emit("scatter_add", x, i, v)))

    def hidden(self, b: Builder, values: list[Value]) -> None:
        x = self.find(b, values, self.t.v)
        k = b.emit("nonzero_indices", b.emit("lt", x, b.full(1, x.tensor)))
        y = b.emit("take", self.find(b, values, self.t.v), k)
        values.append(self.squash(b, b.emit("reduce", b.emit("neg", y), kind="sum", axes=(0,))))

    def pushed(self, b: Builder, values: list[Value]) -> None:
        t = self.pick([self.t.li, self.t.lv, self.t.ll])
        columns = [self.find(b, values, c) for c in t.columns]
        values.append(b.emit("list_push", self.find(b, values, t), *columns))

    def taken(self, b: Builder, values: list[Value]) -> None:
        """One more element, and then the element somewhere in the list, or a changed one."""
        t = self.pick([self.t.li, self.t.lv, self.t.ll])
        columns = [self.find(b, values, c) for c in t.columns]
        l = b.emit("list_push", self.find(b, values, t), *columns)
        i = b.emit("mod", self.find(b, values, self.t.i), b.emit("list_len", l))
        kind = self.below(3)
        if kind == 0:
            values += b.emit_many("list_get", l, i)
        elif kind == 1:
            values += b.emit_many("list_pop", l)
        else:
            new = [self.find(b, values, c) for c in t.columns]
            values.append(b.emit("list_set", l, i, *new))
        values.append(l)

    def boxed(self, b: Builder, values: list[Value]) -> None:
        parts = [self.find(b, values, t) for t in (self.t.v, self.t.li, self.t.box)]
        values.append(b.variant(BOX, "Pair", parts))

    def called(self, b: Builder, values: list[Value]) -> None:
        if self.helpers:
            f = self.pick(self.helpers)
            args = [self.find(b, values, p.type) for p in f.params]
            values += b.call(f.signature, args, [N, M])


_SIMPLE: tuple[Any, ...] = (
    "elementwise", "elementwise", "elementwise", "selected", "row", "element", "half", "turned",
    "spread", "filled", "counted", "joined", "joined", "put_row", "made_row", "put_element",
    "put_slice", "summed", "product", "outer", "scattered", "hidden", "pushed", "pushed", "taken",
    "taken", "boxed", "called", "called",
)  # fmt: skip


def program(seed: int) -> Program:
    """The program of a seed."""
    module, args, dims = _Generator(seed).module()
    return Program(module, args, dims, seed)
