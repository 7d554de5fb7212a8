"""Control flow means what it says: random loops, branches and exits against their Python."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import numpy as np
import pytest

from dlc import evaluate
from dlc.check.program import check_program
from dlc.diag import SourceFile
from dlc.ir.core import Module, walk
from dlc.lower.lowered import lower
from dlc.ops.verify import verify

SEEDS = 100


class Programs:
    """Well-typed functions of two whole numbers; every loop ends."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.names = 0

    def fresh(self, base: str) -> str:
        self.names += 1
        return f"{base}{self.names}"

    def value(self, names: list[str], depth: int = 2) -> str:
        if depth == 0 or self.r.random() < 0.3:
            parts = ["a[1]", "a[n % 4]", "xs[-1]", "len(xs)"]
            return self.r.choice([*names, str(self.r.randint(0, 5)), self.r.choice(parts)])
        left, right = self.value(names, depth - 1), self.value(names, depth - 1)
        return f"({left} {self.r.choice('+-')} {right})"

    def condition(self, names: list[str]) -> str:
        compare = self.r.choice(["<", ">", "==", "!=", "<=", ">="])
        out = f"{self.value(names, 1)} {compare} {self.value(names, 1)}"
        if self.r.random() < 0.2:
            both = self.r.choice(["and", "or"])
            out = f"({out}) {both} ({self.value(names, 1)} < {self.value(names, 1)})"
        return out

    def block(
        self, names: list[str], indent: int, depth: int, loop: bool
    ) -> tuple[list[str], bool]:
        names = list(names)
        out: list[str] = []
        for _ in range(self.r.randint(1, 4)):
            lines, ends = self.statement(names, indent, depth, loop)
            out += lines
            if ends:
                return out, True
        return out, False

    def simple(self, names: list[str]) -> str:
        """A statement without control flow: a new variable, an assignment, a part that changes."""
        k, value = self.r.random(), self.value(names)
        if k < 0.25:
            name = self.fresh("v")
            names.append(name)
            return f"{name} = {value}"
        if k < 0.45:
            return f"a[{self.value(names, 1)} % 4] = {value} % 1000"
        if k < 0.55:
            return f"push(mut xs, {value} % 1000)"
        if k < 0.65:
            return f"xs[{self.value(names, 1)} % len(xs)] = {value} % 1000"
        if k < 0.7:
            return f"bump(mut a, mut xs, {self.r.choice(names)} % 4)"
        target = self.r.choice([n for n in names if n[0] in "xyv"])
        return f"{target} = {value} % 1000"

    def statement(
        self, names: list[str], indent: int, depth: int, loop: bool
    ) -> tuple[list[str], bool]:
        pad, k = "    " * indent, self.r.random()
        if k < 0.35 or depth == 0:
            return [pad + self.simple(names)], False
        if k < 0.6:
            then, a = self.block(names, indent + 1, depth - 1, loop)
            lines = [f"{pad}if {self.condition(names)}:", *then]
            if self.r.random() < 0.4:
                return lines, False
            other, b = self.block(names, indent + 1, depth - 1, loop)
            return [*lines, f"{pad}else:", *other], a and b
        if k < 0.72:
            i = self.fresh("i")
            body, _ = self.block([*names, i], indent + 1, depth - 1, True)
            bounds = f"{self.r.choice('01')}..{self.r.choice('3nm')}"
            return [f"{pad}for {i} in {bounds}:", *body], False
        if k < 0.8:
            w = self.fresh("w")
            body, _ = self.block(names, indent + 1, depth - 1, True)
            head = [f"{pad}{w} = 0", f"{pad}while {w} < {self.r.randint(1, 4)}:"]
            return [*head, f"{pad}    {w} += 1", *body], False
        if k < 0.88 and loop:
            return [f"{pad}{self.r.choice(['break', 'continue'])}"], True
        if k < 0.93:
            return [f"{pad}return {self.value(names)}"], True
        return [f"{pad}x += 1"], False

    def text(self) -> str:
        body, ends = self.block(["x", "y", "n", "m"], 1, 4, False)
        end = [] if ends else ["    return x + y + a[0] + a[3] + xs[0] + len(xs)"]
        return HEAD + "\n".join([*body, *end]) + "\n"


HEAD = """fn bump(a: mut i32[4], xs: mut List[i32], i: i32):
    if a[i] > 5:
        push(mut xs, i)
        return
    a[i] += 1
export fn f(n: i32, m: i32) -> i32:
    x = 1
    y = n
    a = fill(0, 4)
    xs: List[i32] = [7]
"""


def python(text: str) -> Callable[..., int]:
    """The function, as Python has it."""
    text = re.sub(r"(?:export )?fn (\w+)\(.*", lambda h: f"def {h[1]}({PARAMETERS[h[1]]}):", text)
    text = re.sub(r"in (\S+?)\.\.(\S+):", r"in range(\1, \2):", text)
    text = text.replace("fill(0, 4)", "[0] * 4").replace("xs: List[i32] =", "xs =")
    text = re.sub(r"push\(mut xs, (.*)\)", r"xs.append(\1)", text).replace("mut ", "")
    space: dict[str, Callable[..., int]] = {}
    exec(text, space)
    return space["f"]


PARAMETERS = {"bump": "a, xs, i", "f": "n, m"}


def module(text: str) -> Module:
    checked = check_program(SourceFile("f.dl", text))
    return verify(lower(checked).module)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_programs(seed):
    text = Programs(seed).text()
    made, want = module(text), python(text)
    program = evaluate.Program(made)
    for n, m in [(0, 0), (3, 1), (2, 5)]:
        got = int(evaluate.run(program, "f", [n, m])[0])
        assert got == want(n, m), f"f({n}, {m}) in\n{text}"


def call(text: str, name: str, *args):
    return evaluate.run(module(text), name, args)


def test_a_while_that_never_runs():
    text = """export fn f(n: i32) -> i32:
    k = n
    while k < 0:
        k += 1
    return k
"""
    assert call(text, "f", 4)[0] == 4
    assert call(text, "f", -4)[0] == 0


def test_returns_of_every_shape_leave_loops():
    text = """type T = A(x: f32) | B
export fn f(xs: List[f32], limit: f32) -> (T, i32, f32[2]):
    for i in 0..len(xs):
        for j in 0..3:
            if xs[i] * f32(j) > limit:
                return A(xs[i]), i, [xs[i], limit]
    return B, -1, zeros(2)
"""
    tree, i, pair = call(text, "f", [1.0, 4.0, 9.0], 5.0)
    assert evaluate.to_python(tree) == ("A", 4.0) and i == 1 and list(pair) == [4.0, 5.0]
    tree, i, pair = call(text, "f", [1.0], 5.0)
    assert evaluate.to_python(tree) == ("B",) and i == -1 and list(pair) == [0.0, 0.0]


def test_results_of_unknown_size_leave_loops():
    text = """export fn f(x: f32[N, M], limit: f32) -> i32[?k]:
    for i in 0..N:
        if sum(x[i]) > limit:
            return nonzero_indices(x[i] > 0.0)
    return nonzero_indices(x[0] > 1.0)
"""
    x = np.array([[0, 1, 0], [2, -1, 3]], np.float32)
    assert list(call(text, "f", x, 3.0)[0]) == [0, 2]
    assert list(call(text, "f", x, 9.0)[0]) == []


def test_an_unknown_that_stands_nowhere_alone():
    text = """export fn f(x: f32[N], c: bool) -> f32[2 * ?k]:
    i = nonzero_indices(x > 0.0)
    for t in 0..1:
        if c:
            return concat(x[i], x[i])
    return concat(x[i], -x[i])
"""
    x = np.array([1, -1, 2], np.float32)
    assert list(call(text, "f", x, True)[0]) == [1, 2, 1, 2]
    assert list(call(text, "f", x, False)[0]) == [1, 2, -1, -2]


def test_mut_parameters_come_back_from_every_exit():
    text = """fn grow(x: mut f32[N], n: i32):
    for i in 0..n:
        if i == 2:
            return
        x += 1.0
export fn f(x: mut f32[N], n: i32) -> f32:
    grow(mut x, n)
    y = x
    grow(mut y, 1)
    return sum(y)
"""
    total, x = call(text, "f", np.zeros(2, np.float32), 5)
    assert total == 6.0 and list(x) == [2.0, 2.0]


def test_short_circuit_protects():
    text = """export fn f(xs: List[f32], i: i32) -> bool:
    return i < len(xs) and xs[i] > 0.0 or i == 7
"""
    made = module(text)
    assert evaluate.run(made, "f", [[1.0], 0])[0]
    assert not evaluate.run(made, "f", [[1.0], 1])[0]
    assert evaluate.run(made, "f", [[1.0], 7])[0]


def test_only_what_is_read_again_is_carried():
    text = """export fn f(n: i32) -> i32:
    total = 0
    scratch = 0
    for i in 0..n:
        scratch = i * i
        total += scratch
    return total
"""
    (loop,) = [o for o in walk(module(text).functions["f"].body) if o.name == "for"]
    assert len(loop.results) == 1
    assert call(text, "f", 4)[0] == 14


def test_nothing_is_lowered_twice():
    """The rest of a block stands once, however many exits there are before it."""
    one = "    if n == {0}:\n        if m > 3:\n            return {0}\n        x += 1\n"
    exits = "".join(one.format(i) for i in range(12))
    text = f"export fn f(n: i32, m: i32) -> i32:\n    x = 0\n{exits}    return x * 1000\n"
    made = module(text)
    assert sum(1 for _ in walk(made.functions["f"].body)) < 400
    assert evaluate.run(made, "f", [5, 4])[0] == 5
    assert evaluate.run(made, "f", [5, 1])[0] == 1000


def test_deep_nesting_is_refused_in_words():
    from dlc.diag import CompileError

    def text(count: int) -> str:
        exits = "".join(f"    if n == {i}:\n        return {i}\n" for i in range(count))
        return f"export fn f(n: i32) -> i32:\n{exits}    return -1\n"

    assert evaluate.run(module(text(60)), "f", [50])[0] == 50
    with pytest.raises(CompileError) as e:
        module(text(300))
    assert e.value.diagnostics[0].code == "E0634"


def test_dims_that_the_only_arm_of_a_match_defines():
    text = """
type Pair = Both(a: i32, b: f32)

export fn f(n: i32, y: f32[N]) -> f32:
    match Both(n, 1.5):
        Both(a, b):
            xs = nonzero_indices(y > b)
            k = a
    z = fill(2.0, k)
    return sum(f32(xs)) + sum(z)
"""
    assert call(text, "f", 3, np.array([1, 2, 3, 0], np.float32))[0] == 1 + 2 + 6


def test_matches_with_one_arm_are_deep():
    from dlc.diag import CompileError

    def text(count: int) -> str:
        one = "    match p:\n        Both(a, b):\n            s += b - a\n"
        head = "type Pair = Both(a: i32, b: i32)\n\nexport fn f(n: i32) -> i32:\n"
        return f"{head}    p, s = Both(n, 3 * n), 0\n{one * count}    return s\n"

    assert evaluate.run(module(text(60)), "f", [2])[0] == 240
    with pytest.raises(CompileError, match=r"E0634.*levels deep") as e:
        module(text(300))
    assert any("`match` with one arm" in note for note in e.value.diagnostics[0].notes)
