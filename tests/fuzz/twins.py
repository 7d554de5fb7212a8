"""Generated programs of control flow, each in two languages: dl, and Python that means the same.

What the compiler's own stages share (the checker, lowering) cannot be found wrong by comparing
evaluator and native code; Python runs none of it. Statements are drawn once and written twice."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

HEADER_DL = """\
type One = Pair(k: i32, v: i32)
type Tree = Leaf(x: i32) | Node(a: Tree, b: Tree) | Many(cs: List[Tree])
type Mode = Red | Green | Blue

fn wrap(x: i32) -> i32:
    y = x % 997
    return (y + 997) % 997

fn take(xs: mut List[i32], n: i32) -> i32:
    if len(xs) > 12:
        return n
    push(mut xs, n)
    return wrap(n + len(xs))

fn size(t: Tree, n: i32) -> i32:
    s = n
    match t:
        Leaf(x):
            return wrap(s + x)
        Node(a, b):
            s = wrap(size(a, s) - size(b, 1))
        Many(cs):
            for c in cs:
                if s % 7 == 3:
                    break
                s = size(c, s)
    return wrap(2 * s)
"""

HEADER_PY = """\
from dataclasses import dataclass
@dataclass
class Pair: k: int; v: int
@dataclass
class Leaf: x: int
@dataclass
class Node: a: object; b: object
@dataclass
class Many: cs: list
class Red: pass
class Green: pass
class Blue: pass

def wrap(x):
    return x % 997

def take(xs, n):
    if len(xs) > 12:
        return n
    xs.append(n)
    return wrap(n + len(xs))

def size(t, n):
    s = n
    match t:
        case Leaf(x):
            return wrap(s + x)
        case Node(a, b):
            s = wrap(size(a, s) - size(b, 1))
        case Many(cs):
            for c in cs:
                if s % 7 == 3:
                    break
                s = size(c, s)
    return wrap(2 * s)
"""

PARAMETERS = "a: i32, b: i32, ps: List[One], t: Tree, m: Mode"


@dataclass
class Names:
    """What may be read here, by type."""

    ints: list[str] = field(default_factory=lambda: ["a", "b"])
    ones: list[str] = field(default_factory=list[str])
    trees: list[str] = field(default_factory=lambda: ["t"])
    lists: list[str] = field(default_factory=list[str])
    forests: list[str] = field(default_factory=list[str])
    loops: int = 0
    """How many loops are around."""

    def nested(self, loops: int = 0) -> Names:
        """What a block inside may read: what it makes stays its own."""
        kinds = (self.ints, self.ones, self.trees, self.lists, self.forests)
        return Names(*([*names] for names in kinds), self.loops + loops)

    def without_lists(self) -> Names:
        return replace(self, lists=[])


class Writer:
    """One function. `dl` and `py` grow together."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.dl: list[str] = []
        self.py: list[str] = []
        self.made = 0
        self.left = 30

    def fresh(self, kind: str = "v") -> str:
        """A new name. Those that begin with `v` may be assigned to."""
        self.made += 1
        return f"{kind}{self.made}"

    def line(self, depth: int, dl: str, py: str | None = None) -> None:
        self.dl.append("    " * depth + dl)
        self.py.append("    " * depth + (dl if py is None else py))

    # -- expressions

    def number(self, n: Names, depth: int = 2) -> str:
        r = self.rng
        kind = r.randrange(8 if depth else 3)
        if kind == 0:
            return str(r.randrange(12))
        if kind < 3:
            return r.choice(n.ints)
        if kind == 3 and n.lists:
            return f"len({r.choice(n.lists)})"
        if kind == 4:
            return f"size({r.choice(n.trees)}, {self.number(n, 0)})"
        if kind == 5:
            return f"wrap({self.number(n, depth - 1)} * {self.number(n, 0)})"
        return f"wrap({self.number(n, depth - 1)} {r.choice('+-')} {self.number(n, depth - 1)})"

    def condition(self, n: Names, depth: int = 1) -> str:
        r = self.rng
        plain = f"{self.number(n, 1)} % {r.randrange(2, 5)} {r.choice(['==', '!=', '<'])} 1"
        if not depth or r.random() < 0.6:
            return plain
        other = self.condition(n, 0)
        return r.choice([f"{plain} and {other}", f"{plain} or {other}", f"not ({plain})"])

    # -- statements

    def block(self, n: Names, depth: int, most: int = 4) -> bool:
        """Statements; tells whether control never reaches the block's end."""
        return any(self.statement(n, depth) for _ in range(self.rng.randrange(1, most + 1)))

    def statement(self, n: Names, depth: int) -> bool:
        self.left -= 1
        r = self.rng
        simple = [self.assign, self.assign, self.add, self.new, self.push, self.put, self.call]
        compound = [self.choice, self.one, self.tree, self.mode, self.count, self.each, self.turn]
        leave = r.random()
        if depth > 1 and leave < 0.08:
            self.line(depth, f"return {self.result(n)}")
            return True
        if n.loops and leave < 0.2:
            self.line(depth, r.choice(["break", "continue"]))
            return True
        deep = depth > 4 or self.left < 0
        return bool(r.choice(simple if deep or r.random() < 0.5 else compound)(n, depth))

    def result(self, n: Names) -> str:
        return f"wrap({self.number(n, 1)} + {self.number(n, 1)})"

    def assign(self, n: Names, depth: int) -> None:
        self.line(depth, f"{self.variable(n)} = {self.number(n)}")

    def variable(self, n: Names) -> str:
        return self.rng.choice([x for x in n.ints if x[0] == "v"])

    def add(self, n: Names, depth: int) -> None:
        name = self.variable(n)
        self.line(depth, f"{name} += {self.number(n, 1)}")
        self.line(depth, f"{name} = wrap({name})")

    def new(self, n: Names, depth: int) -> None:
        name = self.fresh()
        if self.rng.random() < 0.4:
            self.line(depth, f"{name}: List[i32] = []", f"{name} = []")
            n.lists.append(name)
        else:
            self.line(depth, f"{name} = {self.number(n)}")
            n.ints.append(name)

    def push(self, n: Names, depth: int) -> None:
        if not n.lists:
            return self.new(n, depth)
        name, x = self.rng.choice(n.lists), self.number(n.without_lists())
        self.line(depth, f"if len({name}) < 12:")
        self.line(depth + 1, f"push(mut {name}, {x})", f"{name}.append({x})")

    def put(self, n: Names, depth: int) -> None:
        if not n.lists:
            return self.new(n, depth)
        name = self.rng.choice(n.lists)
        self.line(depth, f"if len({name}) > 0:")
        self.line(depth + 1, f"{name}[{self.number(n, 1)} % len({name})] = {self.number(n, 1)}")

    def call(self, n: Names, depth: int) -> None:
        if not n.lists:
            return self.new(n, depth)
        into, name = self.fresh(), self.rng.choice(n.lists)
        x = self.number(n.without_lists(), 1)
        self.line(depth, f"{into} = take(mut {name}, {x})", f"{into} = take({name}, {x})")
        n.ints.append(into)

    def choice(self, n: Names, depth: int) -> bool:
        self.line(depth, f"if {self.condition(n)}:")
        ends = self.block(n.nested(), depth + 1)
        if self.rng.random() < 0.3:
            self.line(depth, f"elif {self.condition(n)}:")
            ends &= self.block(n.nested(), depth + 1)
        if self.rng.random() < 0.5:
            self.line(depth, "else:")
            return ends & self.block(n.nested(), depth + 1)
        return False

    def arm(self, n: Names, depth: int, pattern: str, **found: str) -> bool:
        """An arm; `found` are the pattern's names with their types."""
        self.line(depth, f"{pattern}:", f"case {pattern}:")
        inner = n.nested()
        for name, kind in found.items():
            getattr(inner, kind).append(name)
        return self.block(inner, depth + 1, 3)

    def one(self, n: Names, depth: int) -> bool:
        if not n.ones:
            return self.each(n, depth)
        k, v = self.fresh("k"), self.fresh("k")
        self.line(depth, f"match {self.rng.choice(n.ones)}:")
        return self.arm(n, depth + 1, f"Pair({k}, {v})", **{k: "ints", v: "ints"})

    def tree(self, n: Names, depth: int) -> bool:
        x, left, right, cs = (self.fresh("k") for _ in range(4))
        self.line(depth, f"match {self.rng.choice(n.trees)}:")
        whole = [
            (f"Leaf({x})", {x: "ints"}),
            (f"Node({left}, {right})", {left: "trees", right: "trees"}),
            (f"Many({cs})", {cs: "forests"}),
        ]
        kept = whole if self.rng.random() < 0.5 else self.rng.sample(whole, self.rng.randrange(3))
        ends = [self.arm(n, depth + 1, p, **names) for p, names in kept]
        if len(kept) < len(whole):
            ends.append(self.arm(n, depth + 1, "_"))
        return all(ends)

    def mode(self, n: Names, depth: int) -> bool:
        self.line(depth, "match m:")
        kept = self.rng.sample(["Red", "Green", "Blue"], self.rng.randrange(4))
        ends: list[bool] = []
        for name in kept:
            self.line(depth + 1, f"{name}:", f"case {name}():")
            ends.append(self.block(n.nested(), depth + 2, 3))
        if len(kept) < 3:
            ends.append(self.arm(n, depth + 1, "_"))
        return all(ends)

    def count(self, n: Names, depth: int) -> None:
        i, hi = self.fresh("i"), f"{self.number(n, 1)} % 5"
        self.line(depth, f"for {i} in 0..{hi}:", f"for {i} in range(0, {hi}):")
        inner = n.nested(1)
        inner.ints.append(i)
        self.block(inner, depth + 1)

    def each(self, n: Names, depth: int) -> None:
        p = self.fresh("p")
        inner = n.nested(1)
        if n.lists and self.rng.random() < 0.4:
            name = self.rng.choice(n.lists)
            self.line(depth, f"for {p} in {name}:", f"for {p} in list({name}):")
            inner.ints.append(p)
        elif n.forests and self.rng.random() < 0.8:
            self.line(depth, f"for {p} in {self.rng.choice(n.forests)}:")
            inner.trees.append(p)
        else:
            self.line(depth, f"for {p} in ps:")
            inner.ones.append(p)
        self.block(inner, depth + 1)

    def turn(self, n: Names, depth: int) -> None:
        w = self.fresh("w")
        self.line(depth, f"{w} = 0")
        self.line(depth, f"while {w} < {self.rng.randrange(1, 5)} and ({self.condition(n)}):")
        self.line(depth + 1, f"{w} += 1")
        inner = n.nested(1)
        inner.ints.append(w)
        self.block(inner, depth + 1)


def function(rng: random.Random, name: str) -> tuple[str, str]:
    w, n = Writer(rng), Names()
    w.line(0, f"export fn {name}({PARAMETERS}) -> i32:", f"def {name}(a, b, ps, t, m):")
    w.line(1, "v0 = wrap(a - b)")
    n.ints.append("v0")
    if not any(w.statement(n, 1) for _ in range(6)):
        total = " + ".join(["v0", *(f"len({x})" for x in n.lists), *n.ints[-3:]])
        w.line(1, f"return wrap({total})")
    return "\n".join(w.dl), "\n".join(w.py)


def program(seed: int, functions: int = 4) -> tuple[str, str]:
    """The program in dl and in Python; its exports are `f0`, `f1`, …"""
    rng = random.Random(seed)
    made = [function(rng, f"f{i}") for i in range(functions)]
    dl = "\n\n".join([HEADER_DL, *(d for d, _ in made)])
    return dl + "\n", "\n\n".join([HEADER_PY, *(p for _, p in made)]) + "\n"
