"""Formulas of sizes over named dims: `2*H + 1`, `(N + 1) // 2`."""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping

_LONGEST = 200


class FormulaError(ValueError):
    """A text that is no formula of sizes."""


@functools.lru_cache(maxsize=4096)
def _parse(text: str) -> ast.expr:
    if len(text) > _LONGEST:
        raise FormulaError("a formula of more than 200 characters")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise FormulaError(f"`{text}` is no formula of sizes") from None
    for part in ast.walk(tree):
        whole = isinstance(part, ast.Constant) and type(part.value) is int
        signs = (
            ast.BinOp
            | ast.Add
            | ast.Sub
            | ast.Mult
            | ast.FloorDiv
            | ast.Mod
            | ast.Name
            | ast.Load
            | ast.UnaryOp
            | ast.USub
        )
        if not whole and not isinstance(part, signs):
            raise FormulaError(f"`{text}` is no formula of sizes")
    return tree


def names_in(text: str) -> frozenset[str]:
    """The dims that a formula names.

    Raises FormulaError.
    """
    return frozenset(part.id for part in ast.walk(_parse(text)) if isinstance(part, ast.Name))


def evaluate(text: str, dims: Mapping[str, int]) -> int:
    """The value of a formula. Quotients round down.

    Raises FormulaError for a form that isn't one, an unknown dim, or a division by zero.
    """
    return _value(_parse(text), text, dims)


def solve(text: str, value: int, dims: Mapping[str, int]) -> tuple[str, int] | None:
    """The one unknown dim of a formula and its value, where the formula is the dim itself or linear
    in it; None if there is no unknown.

    Raises FormulaError where that doesn't settle it.
    """
    unknown = sorted(name for name in names_in(text) if name not in dims)
    if not unknown:
        return None
    if len(unknown) > 1:
        raise FormulaError(f"`{text}` = {value} leaves {' and '.join(unknown)} open")
    name = unknown[0]
    at = [evaluate(text, {**dims, name: k}) for k in (0, 1, 2)]
    slope = at[1] - at[0]
    if slope == 0 or at[2] - at[1] != slope or (value - at[0]) % slope:
        raise FormulaError(f"`{text}` = {value} doesn't give `{name}`")
    return name, (value - at[0]) // slope


def _value(tree: ast.expr, text: str, dims: Mapping[str, int]) -> int:
    match tree:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name):
            if name not in dims:
                raise FormulaError(f"`{text}` names the dim `{name}`, which has no value")
            return dims[name]
        case ast.UnaryOp(operand=operand):
            return -_value(operand, text, dims)
        case ast.BinOp(left=left, op=op, right=right):
            x, y = _value(left, text, dims), _value(right, text, dims)
            match op:
                case ast.Add():
                    return x + y
                case ast.Sub():
                    return x - y
                case ast.Mult():
                    return x * y
                case ast.FloorDiv() if y:
                    return x // y
                case ast.Mod() if y:
                    return x % y
                case _:
                    raise FormulaError(f"`{text}` divides by 0")
        case _:
            raise FormulaError(f"`{text}` is no formula of sizes")
