"""Random well-typed dl programs whose answers are exact: `program(seed)` gives a source and
arguments.

Whole numbers of all widths with their corner cases (overflow, `//` and `%` by any sign and by
zero, conversions of NaN and of what is out of range), `bool`, floats of all widths through
operations that IEEE 754 rounds once, and the structures around them: options, lists of trees,
records in algebraic types, mutual recursion, arrays of models, keys, segments, graphs, sparse
vectors, `mut`, texts as `const`, returns out of loops and matches. Every back end must give the
same bits, or end with the same status.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

INTS = ("i64", "i32", "i16", "i8", "u8")
FLOATS = ("f64", "f32", "f16", "bf16")
LIMITS = {
    t: (int(np.iinfo(n).min), int(np.iinfo(n).max))
    for t, n in (("i64", "i8"), ("i32", "i4"), ("i16", "i2"), ("i8", "i1"), ("u8", "u1"))
}

HEADER = """type Tree = Leaf(word: i32) | Node(tag: u8, left: Tree, right: Tree)
type Shape = Dot | Box(w: i16, inner: Option[i32]) | Many(parts: List[i32])

model Cell[H]:
    w: i32[H]
    b: f32

model Stack[B: const, H]:
    cells: Array[Cell[H], B]

fn even(t: Tree, k: i32) -> i64:
    match t:
        Leaf(word):
            return i64(word) * 31 + i64(k)
        Node(tag, left, right):
            return odd(left, k + 1) * 3 - odd(right, k * 2) + i64(tag)

fn odd(t: Tree, k: i32) -> i64:
    match t:
        Leaf(word):
            return i64(word) - i64(k)
        Node(tag, left, right):
            if tag > 100:
                return even(left, k)
            return even(right, k - 1) * 7 + even(left, k)

fn grown(t: Tree, n: i32) -> Tree:
    r = t
    for i in 0..n % 4:
        if i % 2 == 0:
            r = Node(u8(i + n), r, Leaf(i - n))
        else:
            r = Node(u8(n), Leaf(n), r)
    return r

fn first_big(ts: List[Tree], least: i64) -> i64:
    for t in ts:
        match t:
            Leaf(word):
                if i64(word) > least:
                    return i64(word)
            Node(tag, left, _):
                for i in 0..i32(tag) % 5:
                    v = even(left, i)
                    if v > least:
                        return v
                    if v < -least:
                        break
    return -1

fn halved(n: i32) -> Option[i32]:
    if n % 2 != 0:
        return None
    return Some(n // 2)

fn shape_of(n: i32, k: i32) -> Shape:
    if n % 3 == 0:
        return Dot
    if n % 3 == 1:
        return Box(i16(n), halved(k))
    xs: List[i32] = []
    for i in 0..k % 5:
        push(mut xs, i * n)
    return Many(xs)

fn weight(s: Shape) -> i32:
    match s:
        Dot:
            return -7
        Box(w, inner):
            match inner:
                Some(v):
                    return v + i32(w)
                None:
                    return i32(w)
        Many(parts):
            return fold(fn(a, x) => a * 3 + x, len(parts), parts)

fn styled(x: i32[N], how: const) -> i32[N]:
    if how == "twice":
        return x * 2
    elif how == "turned":
        return reverse(x)
    return -x

fn layers(m: Stack, x: i32[m.H], k: i32) -> i32[m.H]:
    y = x
    static for b in 0..m.B:
        y = y * m.cells[b].w + b
    return y - m.cells[k % m.B].w

fn bump(x: mut i32[N], n: mut i64, by: i32) -> bool:
    i = by % N
    x[i] += by
    if x[i] < 0:
        n = i64(x[i])
        return false
    n += 1
    return true

fn around(x: i32[N], k: i32) -> i32[N]:
    g = graph(N, (iota(N) + abs(k) % N) % N, iota(N))
    return sum_in(g, at_src(g, x)) + in_degree(g) - max_in(reversed(g), at_dst(reversed(g), x))

fn groups(x: i32[N], k: i32) -> i32[N]:
    n = k % (N + 1)
    s = segs([n, 0, N - n], N)
    return to_items(s, sum_segs(s, x)) - to_items(s, sizes(s)) * row_of(s)

fn drawn(k: Key, n: i32) -> i32[3]:
    a = fill(0, 3)
    for i in 0..n % 4:
        k, d = split(k)
        a[i % 3] += i32(bits(d)) // 1000
    k, p = split(k)
    return a + permutation(p, 3) + i32(1000.0 * uniform(k, 3))

fn active_sum(x: i32[N]) -> i32:
    i, v = active(nonzero(f32(x)))
    return sum(i * 10 + i32(v))
"""


@dataclass
class Program:
    """A source and the arguments of its exported `main`, trees as nested tuples."""

    source: str
    args: dict[str, Any]
    seed: int


@dataclass
class Scope:
    """Readable variables by type, and those of them that may be assigned."""

    names: dict[str, str] = field(default_factory=dict)
    free: set[str] = field(default_factory=set)

    def of(self, t: str) -> list[str]:
        return [n for n, u in self.names.items() if u == t]

    def copy(self) -> Scope:
        return Scope(dict(self.names), set(self.free))


class Generator:
    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.seed = seed
        self.fresh = 0
        self.lines: list[str] = []
        self.fails = self.chance(0.15)
        """Whether divisors may be 0."""

    def pick(self, xs: Any) -> Any:
        return xs[int(self.rng.integers(len(xs)))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def name(self) -> str:
        self.fresh += 1
        return f"v{self.fresh}"

    # -- expressions: a scalar type, or one with `[N]` behind it

    def expr(self, t: str, s: Scope, d: int = 0) -> str:
        known = s.of(t)
        if known and (d > 2 or self.chance(0.3)):
            return str(self.pick(known))
        if t.endswith("[N]"):
            return self.vector(t[:-3], s, d + 1)
        if t == "bool":
            return self.condition(s, d + 1)
        return self.whole(t, s, d + 1) if t in INTS else self.real(t, s, d + 1)

    def literal(self, t: str) -> str:
        low, high = LIMITS[t]
        v = self.pick([low, high, 0, 1, -1, 2, 7, high // 2, int(self.rng.integers(-99, 99))])
        v = max(low, min(high, v))
        return f"{t}({v})"

    def divisor(self, t: str, s: Scope, d: int) -> str:
        if self.fails and self.chance(0.3):
            return self.expr(t, s, d)
        if self.chance(0.5):
            return self.literal(t).replace("(0)", "(3)")
        v = self.expr(t, s, d)
        return f"({v} if {v} != 0 else {t}(5))"

    def whole(self, t: str, s: Scope, d: int) -> str:
        e, k = self.expr, int(self.rng.integers(16))
        if d > 4 or k == 0:
            return self.literal(t)
        if k < 4:
            return f"({e(t, s, d)} {self.pick('+-*')} {e(t, s, d)})"
        if k < 6:
            return f"({e(t, s, d)} {self.pick(['//', '%'])} {self.divisor(t, s, d)})"
        if k == 6:
            return f"{self.pick(['-', 'abs', 'sign'])}({e(t, s, d)})"
        if k == 7:
            return f"{t}({e(self.pick(INTS), s, d)})"
        if k == 8:
            return f"{t}({e(self.pick(FLOATS), s, d)})"
        if k == 9:
            return f"{self.pick(['minimum', 'maximum'])}({e(t, s, d)}, {e(t, s, d)})"
        if k == 10:
            return f"({e(t, s, d)} if {e('bool', s, d)} else {e(t, s, d)})"
        if k == 11:
            return f"{self.pick(['sum', 'prod', 'max', 'min'])}({e(t + '[N]', s, d)})"
        if k == 12:
            return f"({e(t, s, d)} ** {self.pick([0, 1, 2, 3, 5])})"
        if k == 13:
            return f"{e(t + '[N]', s, d)}[abs(i32({e('u8', s, d)})) % N]"
        if k == 14:
            return f"{t}({e('bool', s, d)})"
        return f"{t}({self.structure(s, d)})"

    def structure(self, s: Scope, d: int) -> str:
        """A whole number out of a structure."""
        e = self.expr
        tree = f"grown({self.pick(s.of('Tree'))}, {e('i32', s, d)})"
        return str(
            self.pick(
                [
                    f"even({tree}, {e('i32', s, d)})",
                    f"first_big(ts, {e('i64', s, d)})",
                    f"weight(shape_of({e('i32', s, d)}, {e('i32', s, d)}))",
                    f"active_sum({e('i32[N]', s, d)})",
                    f"argmax({e(self.pick(INTS) + '[N]', s, d)})",
                    f"len({self.pick(['ts', 'ns'])})",
                    f"sum(drawn(key({e('i64', s, d)}), {e('i32', s, d)}))",
                    f"sum(i32({e('bool[N]', s, d)}))",
                    f"(ns[{e('i32', s, d)} % len(ns)] if len(ns) > 0 else {e('i32', s, d)})",
                ]
            )
        )

    def real(self, t: str, s: Scope, d: int) -> str:
        e, k = self.expr, int(self.rng.integers(9))
        if d > 4 or k == 0:
            big = ["60000.0"] if t == "f16" else ["1e30", "65519.0"]
            return f"{t}({self.pick(['0.0', '1.5', '-2.5', '0.1', '-1e-9', *big])})"
        if k < 3:
            return f"({e(t, s, d)} {self.pick(['+', '-', '*', '/'])} {e(t, s, d)})"
        if k == 3:
            return f"{t}({e(self.pick(INTS), s, d)})"
        if k == 4:
            return f"{t}({e(self.pick(FLOATS), s, d)})"
        if k == 5:
            return f"{self.pick(['floor', 'ceil', 'round', 'abs', '-', 'sqrt'])}({e(t, s, d)})"
        if k == 6:
            return f"{self.pick(['minimum', 'maximum'])}({e(t, s, d)}, {e(t, s, d)})"
        if k == 7:
            return f"({e(t, s, d)} if {e('bool', s, d)} else {e(t, s, d)})"
        return f"{self.pick(['max', 'min'])}({e(t + '[N]', s, d)})"

    def condition(self, s: Scope, d: int) -> str:
        e, k = self.expr, int(self.rng.integers(6))
        if d > 4 or k == 0:
            return str(self.pick(["true", "false"]))
        if k < 3:
            t = self.pick(INTS + FLOATS)
            return f"({e(t, s, d)} {self.pick(['<', '<=', '==', '!=', '>', '>='])} {e(t, s, d)})"
        if k == 3:
            return f"({e('bool', s, d)} {self.pick(['and', 'or'])} {e('bool', s, d)})"
        if k == 4:
            return f"(not {e('bool', s, d)})"
        return f"{self.pick(['any', 'all'])}({e('bool[N]', s, d)})"

    def vector(self, t: str, s: Scope, d: int) -> str:
        e, v, k = self.expr, t + "[N]", int(self.rng.integers(10))
        if d > 4 or k == 0:
            return f"fill({e(t, s, d)}, N)"
        if t == "bool":
            u = self.pick(INTS + FLOATS)
            if k < 5:
                sign = self.pick(["<", "<=", "==", "!=", ">", ">="])
                return f"({e(u + '[N]', s, d)} {sign} {e(u, s, d)})"
            if k < 8:
                return f"({e(v, s, d)} {self.pick(['and', 'or'])} {e(v, s, d)})"
            return f"(not {e(v, s, d)})"
        if k < 3:
            signs = ["+", "-", "*"] if t in INTS else ["+", "-", "*", "/"]
            return f"({e(v, s, d)} {self.pick(signs)} {e(self.pick([v, t]), s, d)})"
        if k == 3:
            return f"{t}({e(self.pick(INTS + FLOATS) + '[N]', s, d)})"
        if k == 4:
            return f"where({e('bool[N]', s, d)}, {e(v, s, d)}, {e(self.pick([v, t]), s, d)})"
        if k == 5:
            return f"{self.pick(['reverse', 'abs', '-'])}({e(v, s, d)})"
        if k == 6:
            return f"{self.pick(['minimum', 'maximum'])}({e(v, s, d)}, {e(v, s, d)})"
        if k == 7:
            return f"{e(v, s, d)}[(iota(N) * 3 + {e('i32', s, d)}) % N]"
        if t in INTS and k == 8:
            return f"({e(v, s, d)} {self.pick(['//', '%'])} {self.divisor(t, s, d)})"
        inner = f"{e('i32[N]', s, d)}, {e('i32', s, d)}"
        made = [f"around({inner})", f"groups({inner})", f"layers(m, {inner})"]
        made.append(f'styled({e("i32[N]", s, d)}, "{self.pick(["twice", "turned", "other"])}")')
        if t in INTS:
            made.append(f"cumsum({e(v, s, d)})")
        return f"{t}({self.pick(made)})"

    # -- statements

    def emit(self, indent: int, text: str) -> None:
        self.lines.append("    " * indent + text)

    def block(self, s: Scope, indent: int, n: int, loop: bool) -> None:
        for _ in range(n):
            self.statement(s, indent, loop)

    def statement(self, s: Scope, indent: int, loop: bool) -> None:
        k = int(self.rng.integers(12))
        t = self.pick(INTS + FLOATS + ("bool",)) + self.pick(["", "", "[N]"])
        own = [n for n in s.free if s.names[n] == t]
        if k < 3 or indent > 3:
            if sorted(own) and self.chance(0.5):
                self.emit(indent, f"{self.pick(sorted(own))} = {self.expr(t, s)}")
                return
            value, v = self.expr(t, s), self.name()
            self.emit(indent, f"{v} = {value}")
            s.names[v] = t
            s.free.add(v)
        elif k == 3:
            self.update(s, indent)
        elif k == 4:
            self.emit(indent, f"if {self.expr('bool', s)}:")
            self.block(s.copy(), indent + 1, 2, loop)
            self.emit(indent, "else:")
            self.block(s.copy(), indent + 1, 1, loop)
        elif k == 5:
            i = self.name()
            self.emit(indent, f"for {i} in 0..{self.expr('i32', s)} % 4:")
            inner = s.copy()
            inner.names[i] = "i32"
            self.block(inner, indent + 1, 2, True)
            if self.chance(0.4):
                self.emit(indent + 1, f"if {self.expr('bool', inner)}:")
                self.emit(indent + 2, self.pick(["break", "continue"]))
        elif k == 6:
            self.match(s, indent, loop)
        elif k == 7:
            self.walk(s, indent, loop)
        elif k == 8:
            self.emit(indent, f"push(mut ns, {self.expr('i32', s)})")
        elif k == 9:
            self.emit(
                indent, f"push(mut ts, grown({self.pick(s.of('Tree'))}, {self.expr('i32', s)}))"
            )
        elif k == 10:
            by, v = self.name(), self.name()
            self.emit(indent, f"{by} = {self.expr('i32', s)}")
            self.emit(indent, f"{v} = bump(mut xs, mut count, {by})")
            s.names[v] = "bool"
            s.free.add(v)
        else:
            self.emit(indent, f"if {self.expr('bool', s)}:")
            self.leave(s, indent + 1)

    def update(self, s: Scope, indent: int) -> None:
        """`v += e` or `v[i] += e` of some variable."""
        own = sorted(n for n in s.free if not s.names[n].startswith("bool"))
        if not own:
            return self.emit(indent, "count += 1")
        v = self.pick(own)
        t = s.names[v].removesuffix("[N]")
        sign = self.pick(["+=", "-=", "*="])
        if s.names[v] == t:
            self.emit(indent, f"{v} {sign} {self.expr(t, s)}")
        else:
            self.emit(indent, f"{v}[{self.expr('i32', s)} % N] {sign} {self.expr(t, s)}")

    def match(self, s: Scope, indent: int, loop: bool) -> None:
        a, b, w = self.name(), self.name(), self.name()
        if self.chance(0.5):
            self.emit(indent, f"match halved({self.expr('i32', s)}):")
            self.emit(indent + 1, f"Some({w}):")
            inner = s.copy()
            inner.names[w] = "i32"
            self.block(inner, indent + 2, 2, loop)
            self.emit(indent + 1, "None:")
            return self.block(s.copy(), indent + 2, 1, loop)
        tree = self.pick(s.of("Tree"))
        self.emit(indent, f"match {tree}:")
        self.emit(indent + 1, f"Node({w}, {a}, {b}):")
        inner = s.copy()
        inner.names |= {w: "u8", a: "Tree", b: "Tree"}
        self.block(inner, indent + 2, 2, loop)
        if self.chance(0.3):
            self.leave(inner, indent + 2)
        self.emit(indent + 1, "_:")
        self.block(s.copy(), indent + 2, 1, loop)

    def walk(self, s: Scope, indent: int, loop: bool) -> None:
        """A loop over a list of trees, or of numbers."""
        v = self.name()
        trees = self.chance(0.5)
        inner = s.copy()
        inner.names[v] = "Tree" if trees else "i32"
        if trees:
            self.emit(indent, f"for {v} in {self.pick(['ts', 'given'])}:")
        else:
            self.emit(indent, f"for {v} in xs:")
        self.block(inner, indent + 1, 2, True)
        if self.chance(0.4):
            self.emit(indent + 1, f"if {self.expr('bool', inner)}:")
            if self.chance(0.5):
                self.leave(inner, indent + 2)
            else:
                self.emit(indent + 2, self.pick(["break", "continue"]))

    def leave(self, s: Scope, indent: int) -> None:
        parts = [self.expr(t, s) for t in RESULTS]
        self.emit(indent, f"return {', '.join(parts)}, ns, halved({self.expr('i32', s)})")

    def program(self) -> Program:
        params = {"x": "i32[N]", "y": "f64[N]", "a": "i64", "b": "u8", "c": "f32", "t": "Tree"}
        head = ", ".join(f"{n}: {t}" for n, t in params.items())
        results = ", ".join(RESULTS)
        mut = "xs: mut i32[N], count: mut i64, m: Stack[B=3, H=N]"
        self.emit(0, f"export fn main({head}, given: List[Tree], {mut})")
        self.lines[-1] += f" -> ({results}, List[i32], Option[i32]):"
        s = Scope(dict(params) | {"xs": "i32[N]", "count": "i64"})
        self.emit(1, "ns: List[i32] = []")
        self.emit(1, "ts = given")
        self.block(s, 1, 9, False)
        self.leave(s, 1)
        return Program(HEADER + "\n" + "\n".join(self.lines) + "\n", self.arguments(), self.seed)

    def arguments(self) -> dict[str, Any]:
        n = int(self.pick([1, 2, 3, 5]))
        whole = self.rng.integers
        odd = [np.nan, np.inf, -np.inf, 0.0, 1e300, -1e10, 2.5, -0.5]
        return {
            "x": whole(-50, 50, n).astype(np.int32),
            "y": np.array([self.pick(odd) for _ in range(n)]),
            "a": int(whole(-(2**63), 2**63)),
            "b": int(whole(0, 256)),
            "c": float(self.pick(odd[:4] + odd[5:])),
            "t": self.tree(int(whole(1, 6))),
            "given": [self.tree(int(whole(1, 4))) for _ in range(int(whole(0, 4)))],
            "xs": whole(-9, 9, n).astype(np.int32),
            "count": int(whole(-5, 5)),
            "m.cells.w": whole(-3, 4, (3, n)).astype(np.int32),
            "m.cells.b": np.zeros(3, np.float32),
        }

    def tree(self, leaves: int) -> Any:
        if leaves == 1:
            return ("Leaf", int(self.rng.integers(-300, 300)))
        k = int(self.rng.integers(1, leaves))
        tag = int(self.rng.integers(0, 256))
        return ("Node", tag, self.tree(k), self.tree(leaves - k))


RESULTS = ("i64", "i16", "u8", "f32", "bf16", "i8[N]", "f64[N]", "bool")


def program(seed: int) -> Program:
    """The program of this seed."""
    return Generator(seed).program()
