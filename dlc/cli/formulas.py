"""Formulas of the manifest for people: roundings by name, repeated parts once, or in a word."""

from __future__ import annotations

import ast
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

WIDE = 90
"""A formula of so many characters stays in one line."""
TALL = 6
"""So many lines are shown of a formula with named parts; a longer one is told in a word."""
REPEATED = 24
"""A repeated part of so many characters gets a name."""

UNIT = 64
NOTES = {
    "up": "up(n): n rounded up to a multiple of 64",
    "chunks": "chunks(n, b): what a list that has had n elements of b bytes takes",
}


@dataclass(frozen=True)
class Shown:
    """`lines` are the formula and its named parts (`A = …`), or None if they would fill a page;
    `notes` explain what they use. `names` are the sizes in the formula."""

    lines: tuple[str, ...] | None
    notes: tuple[str, ...]
    names: tuple[str, ...]


def shown(formula: str) -> Shown:
    """The shortest form of a formula in the manifest's words."""
    try:
        tree = _Roundings().visit(ast.parse(formula, mode="eval").body)
    except (SyntaxError, RecursionError):
        return Shown(None, (), ("sizes",))
    names = tuple(dict.fromkeys(_sizes(tree)))
    lines = [_text(tree)]
    if len(lines[0]) > WIDE:
        lines = _parted(tree)
    used = "\n".join(lines)
    lines = [x for line in lines for x in textwrap.wrap(line, WIDE, break_long_words=False)]
    if len(lines) > TALL:
        return Shown(None, (), names)
    return Shown(tuple(lines), tuple(t for f, t in NOTES.items() if f"{f}(" in used), names)


def _sizes(tree: ast.AST) -> Iterator[str]:
    """The names in order. `nodes.t` and `m.H` are one name each."""
    if isinstance(tree, (ast.Attribute, ast.Name)):
        yield ast.unparse(tree)
        return
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(tree, ast.Call) and child is tree.func):
            yield from _sizes(child)


def _text(tree: ast.expr) -> str:
    """As `ast.unparse`, with products, powers and quotients close together."""
    text = ast.unparse(tree)
    for sign in ("*", "//", "**"):
        text = text.replace(f" {sign} ", sign)
    return text


# -- roundings


class _Roundings(ast.NodeTransformer):
    """`64*((n + 63) // 64)` is `up(n)`, `192*(…)` is `3*up(n)`."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Mult) or not isinstance(node.left, ast.Constant):
            return node
        factor, n = node.left.value, _rounded(node.right)
        if n is None or not isinstance(factor, int) or factor % UNIT:
            return node
        up = ast.Call(ast.Name("up"), [n], [])
        times = ast.Constant(factor // UNIT)
        return up if factor == UNIT else ast.BinOp(times, ast.Mult(), up)


def _rounded(x: ast.expr) -> ast.expr | None:
    """n, if x is `(n + 63) // 64`."""
    if not (isinstance(x, ast.BinOp) and isinstance(x.op, ast.FloorDiv) and _is(x.right, UNIT)):
        return None
    top = x.left
    if isinstance(top, ast.BinOp) and isinstance(top.op, ast.Add) and _is(top.right, UNIT - 1):
        return top.left
    return None


def _is(x: ast.expr, n: int) -> bool:
    return isinstance(x, ast.Constant) and x.value == n


# -- parts


class _Named(ast.NodeTransformer):
    """Parts with these texts are replaced by names."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def visit(self, node: ast.AST) -> ast.AST:
        name = self.names.get(_text(node)) if isinstance(node, ast.expr) else None
        return ast.Name(name) if name is not None else self.generic_visit(node)

    def of(self, tree: ast.expr) -> ast.expr:
        """The expression with the names in it."""
        return cast("ast.expr", self.visit(tree))


def _parted(tree: ast.expr) -> list[str]:
    """The formula, then a line for each part that occurs more than once, the largest first."""
    counts = Counter(
        _text(x) for x in ast.walk(tree) if isinstance(x, (ast.BinOp, ast.Call, ast.IfExp))
    )
    parts = [t for t, n in counts.items() if n > 1 and len(t) >= REPEATED]
    parts.sort(key=len, reverse=True)
    names: dict[str, str] = {}
    out: list[tuple[str, ast.expr]] = []
    body = tree
    for text in parts:
        # A part that occurs in named parts only, once, is no repetition any more.
        left = sum(_text(x) == text for _, t in [("", body), *out] for x in ast.walk(t)
                   if isinstance(x, ast.expr))  # fmt: skip
        if left < 2 or len(names) == 26:
            continue
        name = chr(ord("A") + len(names))
        names[text] = name
        rule = _Named({text: name})
        body = rule.of(body)
        out = [(n, rule.of(t)) for n, t in out]
        out.append((name, ast.parse(text, mode="eval").body))
    return [_text(body), *(f"{n} = {_text(t)}" for n, t in out)]
