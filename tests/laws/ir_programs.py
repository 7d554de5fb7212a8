"""Random IR modules with every structured operation, and arguments for them.

`program(seed)` is a module whose `@main` may be run, differentiated, rewritten. Numbers stay small
(results pass through `tanh`), indices in range; nothing fails. Types are f64 unless said; dims are
partly names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dlc.ir.core import AdtDecl, Constructor, Field, Function, Module, Signature, Value
from dlc.ops.build import Builder, DimNames
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import F64, I32
from dlc.typesys.types import SCALAR_I32, AdtType, ListType, TensorType, Type, tensor

N, M = Dim.sym("N"), Dim.sym("M")
SCALAR, VECTOR, MATRIX = tensor(F64), tensor(F64, N), tensor(F64, M, N)
TREE, LIST = AdtType("Tree", (N,)), ListType((VECTOR, SCALAR_I32))
SIZES = {"N": 3, "M": 2}

TREES = AdtDecl(
    "Tree",
    ("N",),
    (
        Constructor("Leaf", (Field("x", VECTOR),)),
        Constructor("Node", (Field("l", TREE), Field("r", TREE), Field("k", SCALAR_I32))),
        Constructor("Nil"),
    ),
)


@dataclass
class Program:
    """A module, and arguments of `@main` at the sizes SIZES."""

    module: Module
    args: list[Any]


class Maker:
    """Emits random operations into a builder, on values that are in scope there."""

    def __init__(self, seed: int, calls: list[Signature]) -> None:
        self.rng = np.random.default_rng(seed)
        self.calls = calls

    def pick(self, items: list[Any]) -> Any:
        return items[int(self.rng.integers(len(items)))]

    def have(self, b: Builder, scope: list[Value], t: Type) -> Value:
        """A value of the type: one in scope, or a new one."""
        found = [v for v in scope if v.type == t]
        if found and self.rng.random() < 0.9:
            return self.pick(found[-6:])
        if isinstance(t, TensorType) and t.dtype.is_float:
            return b.full(round(float(self.rng.uniform(-1, 1)), 2), t)
        if isinstance(t, TensorType):
            return b.full(int(self.rng.integers(0, 2)), t)
        if isinstance(t, ListType):
            v = b.emit_typed("list_new", t)
            return b.emit("list_push", v, self.have(b, scope, VECTOR), b.scalar(1, I32))
        return b.variant(TREE, "Leaf", [self.have(b, scope, VECTOR)])

    def grow(self, b: Builder, scope: list[Value], steps: int, depth: int) -> None:
        """`steps` random statements; their results join the scope."""
        simple = [self.unary, self.binary, self.product, self.pieces, self.lists, self.selection]
        nested = [
            self.branch,
            self.counted,
            self.general,
            self.matching,
            self.mapping,
            self.calling,
        ]
        for _ in range(steps):
            make = self.pick(simple + nested if depth else simple)
            scope += make(b, scope, depth)

    # -- straight operations

    def unary(self, b: Builder, s: list[Value], depth: int) -> list[Value]:
        x = self.have(b, s, self.pick([SCALAR, VECTOR, MATRIX]))
        name = self.pick(["tanh", "sin", "sigmoid", "neg", "relu", "abs", "erf", "atan"])
        return [b.emit(name, x)]

    def binary(self, b: Builder, s: list[Value], depth: int) -> list[Value]:
        t = self.pick([SCALAR, VECTOR, MATRIX])
        name = self.pick(["add", "sub", "mul", "max", "min"])
        return [b.emit("tanh", b.emit(name, self.have(b, s, t), self.have(b, s, t)))]

    def product(self, b: Builder, s: list[Value], depth: int) -> list[Value]:
        spec, left, right = self.pick([
            ("ij,j->i", MATRIX, VECTOR), ("i,i->", VECTOR, VECTOR), ("ij,kj->ik", MATRIX, MATRIX),
            (",i->i", SCALAR, VECTOR),
        ])  # fmt: skip
        y = b.emit("contract", self.have(b, s, left), self.have(b, s, right), spec=spec)
        return [b.emit("tanh", y)]

    def pieces(self, b: Builder, s: list[Value], depth: int) -> list[Value]:
        x, m = self.have(b, s, VECTOR), self.have(b, s, MATRIX)
        zero = b.scalar(0, I32)
        k = int(self.rng.integers(6))
        if k == 0:
            return [b.emit("index", m, zero), b.emit("index", x, zero)]
        if k == 1:
            total = b.emit("reduce", m, kind="sum", axes=(0,))
            # One into an array that dies here, one into an array that others still see.
            y = b.emit("insert", b.emit("tanh", m), x, zero)
            return [total, y, b.emit("insert", y, b.emit("index", m, zero), zero), y]
        if k == 2:
            both = b.emit("concat", x, x, axis=0)
            return [b.emit("slice", both, b.scalar(1, I32), axis=0, size=N, in_bounds=True)]
        if k == 3:
            at = b.emit("argmax", x, axis=0, in_bounds=True)
            return [at, b.emit("take", x, at)]
        if k == 4:
            value, _ = b.emit_many("sort", x, axis=0)
            return [b.emit("reverse", value, axis=0), b.emit("cumsum", x, axis=0)]
        spread = b.emit("broadcast", x, shape=(M, N))
        return [b.emit("transpose", b.emit("transpose", spread, perm=(1, 0)), perm=(1, 0))]

    def lists(self, b: Builder, s: list[Value], depth: int) -> list[Value]:
        l = b.emit("list_push", self.have(b, s, LIST), self.have(b, s, VECTOR), b.scalar(2, I32))
        if self.rng.random() < 0.5:
            return [l, *b.emit_many("list_get", l, b.scalar(0, I32))]
        rest, x, _ = b.emit_many("list_pop", l)
        n = b.emit("list_len", rest)
        return [b.emit("list_push", rest, x, n)]

    def selection(self, b: Builder, s: list[Value], depth: int) -> list[Value]:
        x, y = self.have(b, s, VECTOR), self.have(b, s, VECTOR)
        return [b.emit("select", b.emit("lt", x, y), x, b.emit("mul", y, x))]

    # -- structured operations

    def condition(self, b: Builder, s: list[Value]) -> Value:
        x = self.have(b, s, self.pick([SCALAR, SCALAR_I32]))
        return b.emit("gt", x, b.full(0, x.tensor))

    def yields(self, b: Builder, s: list[Value], types: list[Type], depth: int) -> list[Value]:
        inner = list(s)
        self.grow(b, inner, int(self.rng.integers(1, 4)), depth - 1)
        return [self.have(b, inner, t) for t in types]

    def some_types(self) -> list[Type]:
        kinds: list[Type] = [SCALAR, VECTOR, VECTOR, MATRIX, SCALAR_I32, LIST, TREE]
        return [self.pick(kinds) for _ in range(int(self.rng.integers(1, 4)))]

    def branch(self, b: Builder, s: list[Value], depth: int) -> list[Value]:
        c, types = self.condition(b, s), self.some_types()
        regions = []
        for _ in range(2):
            r = b.nested()
            regions.append(r.yield_(*self.yields(r, s, types, depth)))
        return list(b.if_(c, *regions))

    def counted(self, b: Builder, s: list[Value], depth: int) -> list[Value]:
        types, exits = self.some_types(), self.rng.random() < 0.3
        inits = [self.have(b, s, t) for t in types]
        body = b.nested([SCALAR_I32, *types])
        ys = self.yields(body, [*s, *body.params], types, depth)
        go = [self.condition(body, [*s, *body.params])] if exits else []
        lo, hi = b.scalar(int(self.rng.integers(-1, 2)), I32), b.scalar(2, I32)
        reverse = bool(self.rng.integers(2))
        return list(b.for_(lo, hi, inits, body.yield_(*go, *ys), exits=exits, reverse=reverse))

    def general(self, b: Builder, s: list[Value], depth: int) -> list[Value]:
        types = self.some_types()
        inits = [b.scalar(0, I32), *(self.have(b, s, t) for t in types)]
        body = b.nested([SCALAR_I32, *types])
        ys = self.yields(body, [*s, *body.params], types, depth)
        k = body.emit("add", body.params[0], body.scalar(1, I32))
        go = body.emit("lt", k, body.scalar(3, I32))
        return list(b.loop(inits, body.yield_(go, k, *ys)))

    def matching(self, b: Builder, s: list[Value], depth: int) -> list[Value]:
        t, types = self.have(b, s, TREE), self.some_types()
        cases = self.pick([["Leaf", "Node", "Nil"], ["Node", "_"], ["Nil", "Leaf", "_"]])
        regions = []
        for c in cases:
            r = b.case(t, c)
            regions.append(r.yield_(*self.yields(r, [*s, *r.params], types, depth)))
        out = list(b.match_(t, cases, regions))
        return [*out, b.variant(TREE, "Node", [t, t, b.scalar(1, I32)])]

    def mapping(self, b: Builder, s: list[Value], depth: int) -> list[Value]:
        x = self.have(b, s, self.pick([VECTOR, MATRIX]))
        shape = x.tensor.shape[:1]
        body = b.map_body(shape, [x], indexed=bool(self.rng.integers(2)))
        types: list[Type] = [self.pick([SCALAR, VECTOR])]
        (y,) = self.yields(body, [*s, *body.params], types, depth)
        used = body.emit("reduce", body.params[-1], kind="sum", axes=tuple(
            range(body.params[-1].tensor.rank)))  # fmt: skip
        y = body.emit("tanh", body.emit("add", y, body.emit("broadcast", used, shape=y.tensor.shape)
                                        if y.tensor.shape else used))  # fmt: skip
        return list(b.map_(shape, [x], body.yield_(y)))

    def calling(self, b: Builder, s: list[Value], depth: int) -> list[Value]:
        if not self.calls:
            return self.unary(b, s, depth)
        f = self.pick(self.calls)
        return list(b.call(f, [self.have(b, s, t) for t in f.params], [N, M]))


def _recursion() -> Function:
    """A recursion over trees that uses its depth and both children."""
    sig = Signature("fold", ("N", "M"), (TREE, VECTOR), (VECTOR,))
    b = Builder({"Tree": TREES}, DimNames(("N", "M"))).nested(sig.params, ["t", "w"])
    t, w = b.params
    leaf, node, nil = (b.case(t, c) for c in ("Leaf", "Node", "Nil"))
    (x,) = leaf.params
    left, right, _ = node.params
    (u,) = node.call(sig, [left, node.emit("tanh", w)], [N, M])
    (v,) = node.call(sig, [right, w], [N, M])
    both = node.emit("tanh", node.emit("add", node.emit("mul", u, w), v))
    regions = [leaf.yield_(leaf.emit("mul", x, w)), node.yield_(both), nil.yield_(w)]
    return b.function("fold", sig.dims, b.return_(*b.match_(t, ["Leaf", "Node", "Nil"], regions)))


def program(seed: int, *, steps: int = 6, depth: int = 2) -> Program:
    """A random module with a recursion, one or two random functions, and `@main`."""
    functions = {"fold": _recursion()}
    calls = [functions["fold"].signature]
    kinds: list[Type] = [SCALAR, VECTOR, MATRIX, TREE, LIST, SCALAR_I32]
    for name in ("g", "h", "main"):
        m = Maker(seed * 3 + len(functions), calls)
        params = kinds if name == "main" else [m.pick(kinds) for _ in range(3)]
        b = Builder({"Tree": TREES}, DimNames(("N", "M"))).nested(params)
        scope = list(b.params)
        m.grow(b, scope, steps, depth)
        results = [m.have(b, scope, t) for t in (kinds[:3] if name == "main" else [VECTOR])]
        functions[name] = b.function(name, ("N", "M"), b.return_(*results))
        calls.append(functions[name].signature)
    return Program(Module.of({"Tree": TREES}, functions), arguments(seed))


def arguments(seed: int) -> list[Any]:
    """Scalar, vector, matrix, tree, list, whole number."""
    rng = np.random.default_rng(seed + 1)

    def vector() -> Any:
        return rng.uniform(-1, 1, SIZES["N"])

    def tree(n: int) -> Any:
        if n <= 1:
            return "Nil" if n == 0 else ("Leaf", vector())
        return ("Node", tree(n // 2), tree(n - n // 2), int(rng.integers(3)))

    rows = [(vector(), int(rng.integers(3))) for _ in range(int(rng.integers(1, 4)))]
    matrix = rng.uniform(-1, 1, (SIZES["M"], SIZES["N"]))
    return [float(rng.uniform(-1, 1)), vector(), matrix, tree(int(rng.integers(6))), rows, 1]
