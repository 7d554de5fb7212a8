"""Random recursive functions over a structure, as IR: state passed down, results handed up,
payloads, weights, several constructors with one to three parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlc.ir.core import AdtDecl, Constructor, Field, Module, Value
from dlc.ops.build import Builder
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import F64, I32
from dlc.typesys.types import AdtType, TensorType

H, V = Dim.sym("H"), Dim.sym("V")
SIZES = {"H": 3, "V": 5}
ROW, TABLE = TensorType(F64, (H,)), TensorType(F64, (V, H))
WEIGHT, INDEX, TREE = TensorType(F64, (H, H)), TensorType(I32), AdtType("T", (H,))
NAMES = ("emb", "w", "u", "b", "t", "s")
CONSTRUCTORS = (
    Constructor("A", (Field("word", INDEX),)),
    Constructor("B", (Field("left", TREE), Field("x", ROW), Field("right", TREE))),
    Constructor("C", (Field("part", TREE), Field("word", INDEX))),
    Constructor("D", (Field("x", ROW),)),
    Constructor("E", (Field("a", TREE), Field("b", TREE), Field("c", TREE))),
)


class Recursion:
    """One random program: `rec(weights, tree, state) -> (h, c)` and `f`, a scalar of its results.
    `state` says whether something is passed down, `loose` allows what must be refused."""

    def __init__(self, seed: int, *, state: bool, loose: str = "") -> None:
        self.rng = np.random.default_rng(seed)
        self.state, self.loose = state, loose
        count = int(self.rng.integers(1, len(CONSTRUCTORS)))
        picked = sorted(self.rng.choice(np.arange(1, len(CONSTRUCTORS)), count, replace=False))
        self.used = [CONSTRUCTORS[0], *(CONSTRUCTORS[int(i)] for i in picked)]
        if not any(f.type == TREE for c in self.used for f in c.fields):
            self.used.append(CONSTRUCTORS[1])
        self.types = {"T": AdtDecl("T", ("H",), tuple(self.used))}
        self.params = [TABLE, WEIGHT, WEIGHT, ROW, TREE, *([ROW] if state else [])]

    def module(self) -> Module:
        b = Builder(self.types).nested(self.params, NAMES[: len(self.params)])
        regions = [self.case(b, c) for c in self.used]
        results = b.match_(b.params[4], [c.name for c in self.used], regions)
        rec = b.function("rec", ("V", "H"), b.return_(*results))
        top = Builder(self.types).nested(self.params, NAMES[: len(self.params)])
        h, c = top.call(rec.signature, top.params, (V, H))
        total = top.emit("contract", h, top.emit("tanh", c), spec="a,a->")
        f = top.function("f", ("V", "H"), top.return_(total), attrs={"entry": True, "public": True})
        return Module.of(self.types, {"rec": rec, "f": f})

    def case(self, outer: Builder, c: Constructor) -> Any:
        b = outer.case(outer.params[4], c.name)
        emb, w, u, bias, _, *state = outer.params
        rows: list[Value] = [bias, *state]
        parts: list[Value] = []
        for f, v in zip(c.fields, b.params, strict=True):
            if f.type == TREE:
                parts.append(v)
            elif f.type == INDEX:
                rows.append(b.emit("index", emb, v, in_bounds=True))
            else:
                rows.append(v)
        weights = (w, u)
        for _ in range(int(self.rng.integers(2))):
            rows.append(self.step(b, rows, weights))
        before = list(rows)
        for t in parts:
            known = rows if self.loose == "sibling" and t is not parts[0] else before
            given = [self.step(b, known[-2:], weights)] if state else []
            rows += b.call(_Rec.signature(self), (emb, w, u, bias, t, *given), (V, H))
        for _ in range(int(self.rng.integers(1, 4))):
            rows.append(self.step(b, rows, weights))
        return b.yield_(rows[-1], rows[int(self.rng.integers(len(rows)))])

    def step(self, b: Builder, rows: list[Value], weights: tuple[Value, ...]) -> Value:
        """One more row: a product with weights, or arithmetic."""

        def pick() -> Value:
            return rows[-1 - int(self.rng.integers(min(4, len(rows))))]

        kind = int(self.rng.integers(8))
        w = weights[int(self.rng.integers(len(weights)))]
        if kind < 3:
            return b.emit("tanh", b.emit("contract", w, pick(), spec="ak,k->a"))
        if kind == 3:
            return b.emit("contract", pick(), w, spec="a,ak->k")
        if kind == 4:
            y = b.emit("concat", pick(), pick(), axis=0)
            at = b.dim(H) if self.rng.random() < 0.5 else b.scalar(1, I32)
            return b.emit("slice", y, at, axis=0, size=H, in_bounds=True)
        if kind == 5:
            total = b.emit("reduce", pick(), kind="sum", axes=(0,))
            total = b.emit("sin", total)
            return b.emit("mul", b.emit("broadcast", total, shape=(H,)), pick())
        if kind == 6:
            return b.emit("add", pick(), b.emit("sigmoid", pick()))
        x = pick()
        return b.emit("select", b.emit("lt", x, pick()), x, b.emit("neg", x))

    # -- inputs

    def arguments(self, nodes: int) -> list[Any]:
        out: list[Any] = []
        for t in self.params:
            if t == TREE:
                out.append(self.tree(nodes))
            else:
                shape = tuple(d.evaluate(SIZES) for d in t.shape)  # type: ignore[union-attr]
                out.append(self.rng.normal(size=shape))
        return out

    def tree(self, nodes: int) -> Any:
        """A structure of about so many nodes."""
        branching = [c for c in self.used if any(f.type == TREE for f in c.fields)]
        flat = [c for c in self.used if c not in branching]
        pool = flat if nodes <= 1 else branching
        c = pool[int(self.rng.integers(len(pool)))]
        parts = sum(f.type == TREE for f in c.fields)
        fields: list[Any] = []
        for f in c.fields:
            if f.type == TREE:
                fields.append(self.tree(int(self.rng.integers(0, max(1, 2 * nodes // parts)))))
            elif f.type == INDEX:
                fields.append(int(self.rng.integers(SIZES["V"])))
            else:
                fields.append(self.rng.normal(size=SIZES["H"]))
        return (c.name, *fields)


class _Rec:
    """The signature of the function while its body is written."""

    @staticmethod
    def signature(r: Recursion) -> Any:
        from dlc.ir.core import Signature

        return Signature("rec", ("V", "H"), tuple(r.params), (ROW, ROW))
