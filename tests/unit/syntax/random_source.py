"""Random sources that parse: every construct, odd spacing, comments in odd places."""

from __future__ import annotations

import random

NAMES = ("x", "y", "h2", "m", "weights", "a_rather_long_name_of_a_value", "i", "f", "Tree", "_")
TYPES = ("f32", "Tree", "i32[N]", "f32[N, 4*H]", "nn.GRU[D, H=3]", "List[(i32, f32[D])]")
BINARY = ("+", "-", "*", "/", "//", "%", "@", "**")


class RandomSource:
    """Writes one source; the same seed gives the same text."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.inside = 0
        """How many brackets are open: there, line ends and comments may stand between tokens."""

    def pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def chance(self, p: float) -> bool:
        return self.random.random() < p

    def gap(self) -> str:
        """What may stand between two tokens."""
        if self.inside and self.chance(0.06):
            return self.pick("\n", "\n        ", " # inside\n", "\n  # a line\n")
        return self.pick("", "", " ", "  ")

    def space(self) -> str:
        return " " + self.gap()

    def bracket(self, opening: str, parts: list[str], closing: str, *, comma: bool = True) -> str:
        self.inside += 1
        text = (self.gap() + "," + self.gap()).join(parts)
        tail = "," if comma and parts and self.chance(0.2) else ""
        text = f"{opening}{self.gap()}{text}{self.gap()}{tail}{self.gap()}{closing}"
        self.inside -= 1
        return text

    def several(self, make: object, most: int, least: int = 0) -> list[str]:
        return [make() for _ in range(self.random.randint(least, most))]  # type: ignore[operator]

    # -- expressions

    def expr(self, depth: int = 4) -> str:
        if depth <= 0 or self.chance(0.2):
            return self.atom()
        kind = self.random.randrange(14)
        e = lambda: self.nested(depth)  # noqa: E731
        if kind <= 3:
            op = self.random.choice(BINARY)
            return f"{e()}{self.space()}{op}{self.space()}{e()}"
        if kind == 4:
            return f"-{self.gap()}{e()}"
        if kind == 5:
            return f"not {e()}"
        if kind == 6:
            return f"({e()} {self.pick('<', '==', '>=')} {e()})"
        if kind == 7:
            return f"({e()} {self.pick('and', 'or')} {e()} {self.pick('and', 'or')} {e()})"
        if kind == 8:
            return f"({e()} if {e()} else {e()})"
        if kind == 9:
            return self.bracket("(", self.several(e, 3, 2), ")", comma=False)
        if kind == 10:
            return self.bracket("[", self.several(e, 3), "]")
        if kind == 11:
            return f"{self.postfix(depth)}{self.bracket('[', self.several(self.sub, 3, 1), ']')}"
        if kind == 12:
            return f"(fn(a, b) => {e()})"
        return f"{self.postfix(depth)}{self.bracket('(', self.arguments(depth), ')')}"

    def nested(self, depth: int) -> str:
        """An operand: often in parentheses, so that any operator may stand in it."""
        inner = self.expr(depth - 1)
        if self.chance(0.75) or not inner.isalnum():
            self.inside += 1
            inner = f"({self.gap()}{self.expr(depth - 1)}{self.gap()})"
            self.inside -= 1
        return inner

    def atom(self) -> str:
        return self.pick("x", "m.w", "3", "0.5", "1e-6", "true", "f(x)", "x[i]", *NAMES)

    def postfix(self, depth: int) -> str:
        return self.pick(*NAMES[:6], f"({self.expr(depth - 2)})", "grad(f, wrt=x)")

    def sub(self) -> str:
        return self.pick("i", ":", "a:b", "a + 1 : b - 1", "_", "K=3", self.expr(2))

    def arguments(self, depth: int) -> list[str]:
        by_place = self.several(lambda: self.pick("", "", "mut ") + self.expr(depth - 1), 4)
        return by_place + [f"{self.pick('axis', 'wrt')}={self.expr(1)}" for _ in range(2)]

    # -- statements

    def line(self, level: int, text: str) -> str:
        before = self.pick("", "", "", "\n", "\n\n\n", "    " * level + "# above\n", "# left\n")
        beside = self.pick("", "", "", "  # beside", "#close")
        return f"{before}{'    ' * level}{text}{beside}\n"

    def block(self, level: int, depth: int) -> str:
        text = "".join(self.several(lambda: self.statement(level, depth), 3, 1))
        return text + self.pick("", "", "    " * level + "# end of block\n")

    def statement(self, level: int, depth: int) -> str:
        line = lambda text: self.line(level, text)  # noqa: E731
        kind = self.random.randrange(9 if depth <= 0 else 13)
        if kind <= 1:
            return line(f"{self.pick('x', 'a, b', 'x[i]', '_')} = {self.expr()}")
        if kind == 2:
            return line(f"x: {self.random.choice(TYPES)} = {self.expr()}")
        if kind == 3:
            return line(f"x {self.pick('+=', '-=', '*=')} {self.expr()}")
        if kind == 4:
            return line(f"return {', '.join(self.several(self.expr, 3, 1))}")
        if kind == 5:
            return line(self.pick("return", "break", "continue", "push(mut xs, x)"))
        if kind == 6:
            return line(f"assert {self.expr()}" + self.pick("", ', "a text"'))
        if kind <= 8:
            return line(self.expr())
        inner = lambda: self.block(level + 1, depth - 1)  # noqa: E731
        if kind == 9:
            text = line(f"if {self.expr(2)}:") + inner()
            for _ in range(self.random.randrange(2)):
                text += line(f"elif {self.expr(2)}:") + inner()
            return text + (line("else:") + inner() if self.chance(0.5) else "")
        if kind == 10:
            return line(f"while ({self.expr(2)}):") + inner()
        if kind == 11:
            head = self.pick("", "static ") + f"for {self.pick('i', 'a, b')} in "
            return line(f"{head}{self.pick('0..n', '0..n-1', 'xs', self.expr(1))}:") + inner()
        arms = ""
        for pattern in ("Leaf(w)", "t.Node(a, _)", "Nil", "_")[: self.random.randint(1, 4)]:
            arms += self.line(level + 1, f"{pattern}:") + self.block(level + 2, depth - 1)
        return line(f"match {self.pick('t', self.expr(1))}:") + arms

    # -- items

    def item(self) -> str:
        kind = self.random.randrange(7)
        if kind == 0:
            return self.line(0, self.pick("import nn, loss", 'import onnx "a b.onnx" as B'))
        if kind == 1:
            names = ["gru"] * self.random.randint(1, 30)
            listed = ", ".join(names) if self.chance(0.5) else self.bracket("(", names, ")")
            return self.line(0, f"from nn import {listed}")
        if kind == 2:
            return self.typedef()
        if kind == 3:
            members = "".join(
                self.line(1, f"{self.random.choice(NAMES)}: {self.random.choice(TYPES)}" + init)
                for init in self.several(lambda: self.pick("", " ~ glorot()", "~normal(0.1)"), 5, 1)
            )
            return self.line(0, f"model M{self.generics()}:") + members
        if kind == 4:
            return self.line(0, 'test "it holds":') + self.block(1, 2)
        return self.function()

    def typedef(self) -> str:
        variants = []
        for name in ("Leaf", "Node", "Nil")[: self.random.randint(1, 3)]:
            fields = self.several(lambda: f"a: {self.random.choice(TYPES)}", 4)
            variants.append(name + (self.bracket("(", fields, ")") if fields else ""))
        head = f"type T{self.generics()} ="
        if self.chance(0.6):
            return self.line(0, f"{head} {' | '.join(variants)}")
        return self.line(0, head) + "".join(self.line(1, f"| {v}") for v in variants)

    def generics(self) -> str:
        return self.pick("", "[N]", "[N, K: const, D = 300]", "[ T : float ]")

    def function(self) -> str:
        decorators = "".join(
            self.line(0, self.pick("@checkpoint", "@checkpoint(sqrt)", "@batch(every = 3,)"))
            for _ in range(self.random.randrange(2))
        )
        params = self.several(self.param, 7)
        result = self.pick("", " -> f32", " -> (f32[N], i32)", f" -> {self.random.choice(TYPES)}")
        head = f"{self.pick('', 'export ')}fn f{self.generics()}"
        head = f"{head}{self.bracket('(', params, ')')}{result}:"
        return decorators + self.line(0, head) + self.block(1, 2)

    def param(self) -> str:
        kind = self.pick(*TYPES, "const", "fn(f32, i32) -> f32")
        default = self.pick("", "", f" = {self.pick('0.1', '-1', 'true')}")
        return self.pick("*S", f"x: {self.pick('', 'mut ')}{kind}{default}")

    def source(self) -> str:
        return "".join(self.several(self.item, 5, 1)) + self.pick("", "# the end\n", "# no end")
