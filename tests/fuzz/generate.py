"""Random well-typed dl programs with control flow: `program(seed)` gives a source and fitting
arguments.

A program has a tree type, a few helper functions, one recursion over the tree, and an exported
`main`. Every construct of the language's core appears: nested `if`, counted loops with `break` and
`continue`, `while`, early `return`, lists, element assignment, `match`, calls, `mut` parameters,
gathers, graphs, segments, sparse vectors, draws, `stop_grad`, `@vjp`, `@checkpoint`, and gradients
inside the program. Values are kept small (everything float passes through `tanh` now and then),
indices in bounds, and conditions on floats away from ties, so that back ends may round differently
without taking different paths.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

FLOAT, INT, BOOL = "f32", "i32", "bool"
VEC, MAT = "f32[N]", "f32[N, N]"
LIST, VECS = "List[f32]", "List[f32[N]]"
TREE = "Tree"

HEADER = """type Tree = Leaf(word: i32) | Node(left: Tree, right: Tree)

fn energy(w: f32[N, N], z: f32[N]) -> f32:
    return dot(tanh(w @ z), sin(z)) + 0.5 * dot(z, z)

@vjp(twist_rule)
fn twist(x: f32[N]) -> f32[N]:
    return sin(x)

fn twist_rule(x: f32[N], d: f32[N]) -> f32[N]:
    return cos(x) * d

fn around(x: f32[N], k: i32) -> f32[N]:
    g = graph(N, (iota(N) + abs(k)) % N, iota(N))
    p = softmax_in(g, at_dst(g, sin(x)))
    return sum_in(g, p * at_src(g, x)) + mean_in(g, at_src(g, cos(x)))

fn groups(x: f32[N], k: i32) -> f32[N]:
    n = abs(k) % (N + 1)
    s = segs([n, N - n], N)
    return to_items(s, mean_segs(s, sin(x))) + softmax_segs(s, x)

fn write(m: mut f32[N, N], x: f32[N], i: i32) -> f32:
    j = abs(i) % N
    m[j] = tanh(x + m[0])
    m[0, j] += 0.25
    return sum(sin(m[j]))
"""
USES = {
    "second order": "grad(energy",
    "vjp": "twist(",
    "graph": "around(",
    "segments": "groups(",
    "mut": "write(mut",
    "draw": "normal(",
    "stop_grad": "stop_grad(",
    "checkpoint": "@checkpoint",
    "sparse": "nonzero(",
    "gather": ")[[",
    "match": "match ",
    "while": "while ",
    "for": "for ",
    "break": "break",
    "continue": "continue",
    "return": ":\n        return",
    "list": "push(",
    "recursion": "= walk(",
}
"""What marks each construct in a program's own text, for the test that all are drawn."""


@dataclass
class Scope:
    """Variables by type; those in `fixed` are not assignable (parameters, loop variables)."""

    names: dict[str, str] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)

    def copy(self) -> Scope:
        return Scope(dict(self.names), set(self.fixed))

    def of(self, t: str) -> list[str]:
        return [n for n, u in self.names.items() if u == t]

    def assignable(self, *types: str) -> list[str]:
        return [n for n, u in self.names.items() if n not in self.fixed and u in types]


@dataclass(frozen=True)
class Program:
    """A source text, the exported function's arguments in order, and the seed."""

    source: str
    args: dict[str, Any]
    seed: int


class Generator:
    def __init__(self, seed: int, size: int = 12, floats_only: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        self.seed = seed
        self.size = size
        self.fresh = 0
        self.helpers: list[tuple[str, str, str]] = []
        self.lines: list[str] = []
        self.loops = 0
        self.differentiable = floats_only
        self.special = {14 + int(k) for k in self.rng.choice(8, size=3, replace=False)}

    # -- choices

    def pick(self, xs: list[Any]) -> Any:
        return xs[int(self.rng.integers(len(xs)))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def name(self, base: str = "v") -> str:
        self.fresh += 1
        return f"{base}{self.fresh}"

    # -- expressions

    def expr(self, t: str, s: Scope, depth: int = 0) -> str:
        options = s.of(t)
        if options and (depth > 2 or self.chance(0.35)):
            return str(self.pick(options))
        return str(getattr(self, "expr_" + KIND[t])(s, depth + 1))

    def literal(self) -> str:
        return (
            f"{self.rng.uniform(-1.5, 1.5):.3f}".replace("-", "0.0 - ")
            if self.chance(0.3)
            else f"{self.rng.uniform(0.1, 1.5):.3f}"
        )

    def expr_float(self, s: Scope, d: int) -> str:
        e = self.expr
        k = int(self.rng.integers(13))
        if d > 3 or k == 0:
            return f"({self.literal()})"
        if k == 12:
            return f"energy(sin({e(MAT, s, d)}), tanh({e(VEC, s, d)}))"
        if k == 1:
            return f"sum(tanh({e(VEC, s, d)}))"
        if k == 2:
            return f"dot(tanh({e(VEC, s, d)}), tanh({e(VEC, s, d)}))"
        if k == 3:
            return f"tanh({e(FLOAT, s, d)} {self.pick(['+', '-', '*'])} {e(FLOAT, s, d)})"
        if k == 4:
            return f"max(sin({e(VEC, s, d)}))"
        if k == 5:
            return f"({e(FLOAT, s, d)} if {self.cond(s, d)} else {e(FLOAT, s, d)})"
        if k == 6:
            return f"tanh({e(VEC, s, d)})[{self.index(s, 'N')}]"
        if k == 7:
            return f"sigmoid({e(FLOAT, s, d)})"
        if k == 8:
            return f"f32({e(INT, s, d)} % 5)"
        if k == 9 and s.of(LIST):
            xs = self.pick(s.of(LIST))
            return f"({xs}[0] if len({xs}) > 0 else {self.literal()})"
        if k == 10:
            return f"mean(cos({e(MAT, s, d)})[{self.index(s, 'N')}])"
        return f"norm(tanh({e(VEC, s, d)}) + 2.0)"

    def expr_vec(self, s: Scope, d: int) -> str:
        e = self.expr
        k = int(self.rng.integers(22))
        if d > 3 or k == 0:
            return f"fill({self.literal()}, N)"
        if k in self.special:
            return self.special_vec(k, s, d)
        k %= 14
        if k == 1:
            return f"tanh({e(MAT, s, d)} @ {e(VEC, s, d)})"
        if k == 2:
            return f"tanh({e(VEC, s, d)} @ {e(MAT, s, d)})"
        if k == 3:
            return f"({e(VEC, s, d)} {self.pick(['+', '-', '*'])} tanh({e(VEC, s, d)}))"
        if k == 4:
            return f"softmax(tanh({e(VEC, s, d)}))"
        if k == 5:
            return f"relu(sin({e(VEC, s, d)}) + 0.317)"
        if k == 6:
            return f"tanh({e(MAT, s, d)})[{self.index(s, 'N')}]"
        if k == 7:
            return f"where(sin({e(VEC, s, d)}) > 0.211, tanh({e(VEC, s, d)}), {e(VEC, s, d)})"
        if k == 8:
            return f"reverse({e(VEC, s, d)})"
        if k == 9:
            return f"({e(FLOAT, s, d)} * tanh({e(VEC, s, d)}))"
        if k == 10 and s.of(VECS):
            xs = self.pick(s.of(VECS))
            return f"({xs}[len({xs}) - 1] if len({xs}) > 0 else {e(VEC, s, d)})"
        if k == 11:
            return f"map(fn(z) => tanh(z * {self.literal()}) + {e(FLOAT, s, d)}, {e(VEC, s, d)})"
        if k == 12:
            return f"sum(tanh({e(MAT, s, d)}), {self.pick([0, 1])})"
        return f"cumsum(tanh({e(VEC, s, d)}))"

    def special_vec(self, k: int, s: Scope, d: int) -> str:
        """What only some programs use, so that each stays small."""
        e = self.expr
        x = f"tanh({e(VEC, s, d)})"
        if k == 14:
            return f"tanh(grad(energy, wrt=z)(sin({e(MAT, s, d)}), {x}))"
        if k == 15:
            return f"twist({e(VEC, s, d)})"
        if k == 16:
            return f"around({x}, {e(INT, s, d)})"
        if k == 17:
            return f"groups({x}, {e(INT, s, d)})"
        if k == 18:
            return f"({x} + 0.2 * normal(key({int(self.rng.integers(99))}), N))"
        if k == 19:
            return f"(stop_grad({x}) * sin({e(VEC, s, d)}))"
        if k == 20:
            return f"tanh({e(MAT, s, d)} @ nonzero(relu(sin({e(VEC, s, d)}) + 0.113)))"
        rows = ", ".join(self.index(s, "N") for _ in range(int(self.rng.integers(1, 4))))
        return f"sum(tanh({e(MAT, s, d)})[[{rows}]], 0)"

    def expr_mat(self, s: Scope, d: int) -> str:
        e = self.expr
        k = int(self.rng.integers(7))
        if d > 3 or k == 0:
            return f"fill({self.literal()}, N, N)"
        if k == 1:
            return f"outer(tanh({e(VEC, s, d)}), tanh({e(VEC, s, d)}))"
        if k == 2:
            return f"tanh({e(MAT, s, d)} @ {e(MAT, s, d)})"
        if k == 3:
            return f"({e(MAT, s, d)} + {e(VEC, s, d)})"
        if k == 4:
            return f"tanh({e(MAT, s, d)}).T"
        if k == 5:
            return f"(column({e(VEC, s, d)}) * tanh({e(MAT, s, d)}))"
        return f"softmax(tanh({e(MAT, s, d)}))"

    def expr_int(self, s: Scope, d: int) -> str:
        e = self.expr
        k = int(self.rng.integers(8))
        if d > 3 or k < 2:
            return str(int(self.rng.integers(0, 9)))
        if k == 2:
            return f"({e(INT, s, d)} {self.pick(['+', '-', '*'])} {e(INT, s, d)}) % 17"
        if k == 3:
            return f"({e(INT, s, d)} // {int(self.rng.integers(1, 6))})"
        if k == 4 and s.of(LIST):
            return f"len({self.pick(s.of(LIST))})"
        if k == 5:
            return f"({e(INT, s, d)} if {self.cond(s, d)} else {e(INT, s, d)})"
        if k == 6:
            return f"maximum({e(INT, s, d)}, {e(INT, s, d)})"
        return f"abs({e(INT, s, d)})"

    def expr_tree(self, s: Scope, d: int) -> str:
        if d > 2 or self.chance(0.5):
            return f"Leaf({self.expr(INT, s, d)})"
        return f"Node({self.expr(TREE, s, d)}, {self.expr(TREE, s, d)})"

    def cond(self, s: Scope, d: int = 0) -> str:
        k = int(self.rng.integers(4))
        if k == 0:
            a, b = self.expr(INT, s, d + 1), self.expr(INT, s, d + 1)
            return f"{a} {self.pick(['<', '>', '==', '!='])} {b}"
        if k == 1:
            return f"sin({self.expr(FLOAT, s, d + 1)}) > {self.rng.uniform(-0.9, 0.9):.3f}"
        if k == 2 and d < 2:
            return f"({self.cond(s, d + 1)} {self.pick(['and', 'or'])} {self.cond(s, d + 1)})"
        return f"{self.expr(INT, s, d + 1)} % 3 == {int(self.rng.integers(3))}"

    def index(self, s: Scope, dim: str) -> str:
        """A whole number in bounds, whatever it is made of."""
        return f"abs({self.expr(INT, s, 2)}) % {dim}"

    # -- statements

    def block(self, s: Scope, indent: int, n: int, *, in_loop: bool, returns: str | None) -> None:
        before = len(self.lines)
        for _ in range(n):
            self.statement(s, indent, in_loop=in_loop, returns=returns)
        if len(self.lines) == before:
            v = self.name()
            self.emit(indent, f"{v} = {self.expr(FLOAT, s)}")
            s.names[v] = FLOAT

    def emit(self, indent: int, text: str) -> None:
        self.lines.append("    " * indent + text)

    def statement(self, s: Scope, indent: int, *, in_loop: bool, returns: str | None) -> None:
        k = int(self.rng.integers(15))
        deep = indent > 3
        if k <= 2 or (deep and k > 5):
            t = self.pick([FLOAT, INT, VEC, VEC, MAT, BOOL if self.chance(0.2) else FLOAT, TREE])
            v = self.name()
            text = self.cond(s) if t == BOOL else self.expr(t, s)
            self.emit(indent, f"{v} = {text}")
            s.names[v] = t
        elif k == 3:
            self.reassign(s, indent)
        elif k == 4:
            self.lists(s, indent)
        elif k == 5:
            self.element(s, indent)
        elif k in (6, 7):
            self.branch(s, indent, in_loop=in_loop, returns=returns)
        elif k in (8, 9):
            self.for_loop(s, indent, returns=returns)
        elif k == 10:
            self.while_loop(s, indent, returns=returns)
        elif k == 11:
            self.match(s, indent, returns=returns)
        elif k == 12 and self.helpers:
            name, result, params = self.pick(self.helpers)
            v = self.name()
            args = ", ".join(self.expr(p, s) for p in params.split("; "))
            self.emit(indent, f"{v} = {name}({args})")
            s.names[v] = result
        elif k == 14:
            self.write(s, indent)
        elif in_loop and k == 13:
            self.emit(indent, f"if {self.cond(s)}:")
            self.emit(indent + 1, self.pick(["break", "continue"]))
        elif returns is not None and self.chance(0.4):
            self.emit(indent, f"if {self.cond(s)}:")
            self.emit(indent + 1, f"return {self.expr(returns, s)}")

    def reassign(self, s: Scope, indent: int) -> None:
        xs = s.assignable(FLOAT, INT, VEC, MAT)
        if not xs:
            return
        v = self.pick(xs)
        t = s.names[v]
        if t in (FLOAT, VEC) and self.chance(0.4):
            self.emit(indent, f"{v} {self.pick(['+=', '-=', '*='])} tanh({self.expr(t, s)})")
        elif t == INT:
            self.emit(indent, f"{v} = ({self.expr(INT, s)}) % 23")
        else:
            self.emit(indent, f"{v} = tanh({self.expr(t, s)})")

    def lists(self, s: Scope, indent: int) -> None:
        xs = s.assignable(LIST, VECS)
        if xs and self.chance(0.7):
            v = self.pick(xs)
            t = FLOAT if s.names[v] == LIST else VEC
            self.emit(indent, f"push(mut {v}, tanh({self.expr(t, s)}))")
            return
        t = self.pick([LIST, VECS])
        v = self.name("xs")
        self.emit(indent, f"{v}: {t} = []")
        s.names[v] = t

    def write(self, s: Scope, indent: int) -> None:
        """A call that changes a matrix in place; its other arguments don't read it."""
        m, v = self.name("m"), self.name()
        if s.assignable(MAT):
            m = self.pick(s.assignable(MAT))
        else:
            self.emit(indent, f"{m} = tanh({self.expr(MAT, s)})")
        rest = Scope({n: t for n, t in s.names.items() if n != m}, s.fixed)
        self.emit(indent, f"{v} = write(mut {m}, {self.expr(VEC, rest)}, {self.expr(INT, rest)})")
        s.names |= {m: MAT, v: FLOAT}

    def element(self, s: Scope, indent: int) -> None:
        xs = s.assignable(VEC, MAT)
        if not xs:
            return
        v = self.pick(xs)
        i = self.index(s, "N")
        if s.names[v] == VEC:
            self.emit(indent, f"{v}[{i}] = {self.expr(FLOAT, s)}")
        elif self.chance(0.5):
            self.emit(indent, f"{v}[{i}] = tanh({self.expr(VEC, s)})")
        else:
            self.emit(indent, f"{v}[{i}, {self.index(s, 'N')}] += {self.expr(FLOAT, s)}")

    def branch(self, s: Scope, indent: int, *, in_loop: bool, returns: str | None) -> None:
        self.emit(indent, f"if {self.cond(s)}:")
        self.block(s.copy(), indent + 1, 2, in_loop=in_loop, returns=returns)
        if self.chance(0.3):
            self.emit(indent, f"elif {self.cond(s)}:")
            self.block(s.copy(), indent + 1, 1, in_loop=in_loop, returns=returns)
        if self.chance(0.6):
            self.emit(indent, "else:")
            self.block(s.copy(), indent + 1, 2, in_loop=in_loop, returns=returns)

    def for_loop(self, s: Scope, indent: int, *, returns: str | None) -> None:
        if self.loops >= 2:
            return
        self.loops += 1
        inner = s.copy()
        i = self.name("i")
        kind = int(self.rng.integers(4))
        if kind == 0 and s.of(LIST):
            self.emit(indent, f"for {i} in {self.pick(s.of(LIST))}:")
            inner.names[i] = FLOAT
        elif kind == 1:
            v = self.pick(s.of(VEC)) if s.of(VEC) else "fill(0.5, N)"
            self.emit(indent, f"for {i} in {v}:")
            inner.names[i] = FLOAT
        else:
            hi = self.pick(["N", "3", "4", f"abs({self.expr(INT, s, 2)}) % 5", "0"])
            self.emit(indent, f"for {i} in {self.pick(['0', '0', '1'])}..{hi}:")
            inner.names[i] = INT
        inner.fixed.add(i)
        # A list that is walked over must not be pushed to in the body.
        for n in inner.of(LIST):
            inner.fixed.add(n)
        self.block(inner, indent + 1, 3, in_loop=True, returns=returns)
        self.loops -= 1

    def while_loop(self, s: Scope, indent: int, *, returns: str | None) -> None:
        if self.loops >= 2:
            return
        self.loops += 1
        c = self.name("n")
        self.emit(indent, f"{c} = 0")
        inner = s.copy()
        inner.names[c] = INT
        inner.fixed.add(c)
        limit = int(self.rng.integers(1, 5))
        extra = f" and {self.cond(inner)}" if self.chance(0.4) else ""
        self.emit(indent, f"while {c} < {limit}{extra}:")
        self.emit(indent + 1, f"{c} += 1")
        self.block(inner, indent + 1, 2, in_loop=True, returns=returns)
        s.names[c] = INT
        self.loops -= 1

    def match(self, s: Scope, indent: int, *, returns: str | None) -> None:
        t = self.expr(TREE, s)
        self.emit(indent, f"match {t}:")
        w, a, b = self.name("w"), self.name("a"), self.name("b")
        self.emit(indent + 1, f"Leaf({w}):")
        inner = s.copy()
        inner.names[w] = INT
        inner.fixed.add(w)
        self.block(inner, indent + 2, 1, in_loop=False, returns=returns)
        self.emit(indent + 1, f"Node({a}, {b}):")
        inner = s.copy()
        inner.names |= {a: TREE, b: TREE}
        inner.fixed |= {a, b}
        self.block(inner, indent + 2, 2, in_loop=False, returns=returns)

    # -- functions

    def decorate(self) -> None:
        if self.chance(0.3):
            self.emit(0, f"@checkpoint({self.pick(['none', 'sqrt', 'every=2'])})")

    def function(self, head: str, params: dict[str, str], result: str, n: int) -> None:
        self.decorate()
        self.emit(0, head)
        s = Scope(dict(params), set(params))
        for t in (FLOAT, VEC):  # something to assign to from the start
            v = self.name()
            self.emit(1, f"{v} = tanh({self.expr(t, s)})")
            s.names[v] = t
        self.block(s, 1, n, in_loop=False, returns=result)
        self.emit(1, f"return {self.expr(result, s)}")
        self.emit(0, "")

    def recursion(self) -> None:
        """One structural recursion: a vector up from the leaves, through random code."""
        self.decorate()
        self.emit(0, "fn walk(w: f32[N, N], t: Tree, x: f32[N]) -> f32[N]:")
        s = Scope({"w": MAT, "x": VEC, "t": TREE}, {"w", "x", "t"})
        self.emit(1, "match t:")
        self.emit(2, "Leaf(word):")
        leaf = s.copy()
        leaf.names["word"] = INT
        leaf.fixed.add("word")
        self.block(leaf, 3, 1, in_loop=False, returns=None)
        self.emit(3, f"return tanh({self.expr(VEC, leaf)} + w[abs(word) % N])")
        self.emit(2, "Node(left, right):")
        self.emit(3, "a = walk(w, left, x)")
        self.emit(3, f"b = walk(w, right, {self.pick(['x', 'a', 'tanh(w @ x)'])})")
        node = s.copy()
        node.names |= {"a": VEC, "b": VEC}
        self.block(node, 3, 2, in_loop=False, returns=None)
        self.emit(3, "return tanh(w @ a + b)")
        self.emit(0, "")
        self.helpers.append(("walk", VEC, "; ".join([MAT, TREE, VEC])))

    def program(self) -> Program:
        self.recursion()
        for k in range(int(self.rng.integers(0, 3))):
            types = [self.pick([FLOAT, INT, VEC, MAT]) for _ in range(2)] + [VEC]
            params = {f"p{i}": t for i, t in enumerate(types)}
            result = self.pick([FLOAT, VEC])
            text = ", ".join(f"{n}: {t}" for n, t in params.items())
            self.function(f"fn helper{k}({text}) -> {result}:", params, result, 3)
            self.helpers.append((f"helper{k}", result, "; ".join(types)))
        params = {"x": VEC, "y": FLOAT, "w": MAT, "k": INT, "t": TREE}
        text = ", ".join(f"{n}: {t}" for n, t in params.items())
        self.function(f"export fn main({text}) -> f32[N]:", params, VEC, self.size)
        return Program(HEADER + "\n" + "\n".join(self.lines), self.arguments(), self.seed)

    def arguments(self) -> dict[str, Any]:
        n = int(self.pick([1, 2, 3, 5, 7]))
        draw = self.rng.standard_normal
        return {
            "x": draw(n).astype(np.float32),
            "y": np.float32(draw()),
            "w": draw((n, n)).astype(np.float32),
            "k": int(self.rng.integers(0, 7)),
            "t": self.tree(int(self.rng.integers(1, 7))),
        }

    def tree(self, leaves: int) -> Any:
        if leaves == 1:
            return ("Leaf", int(self.rng.integers(0, 9)))
        k = int(self.rng.integers(1, leaves))
        return ("Node", self.tree(k), self.tree(leaves - k))


KIND = {FLOAT: "float", INT: "int", VEC: "vec", MAT: "mat", TREE: "tree", BOOL: "bool"}


def program(seed: int, size: int = 12) -> Program:
    """The program of this seed."""
    return Generator(seed, size).program()
