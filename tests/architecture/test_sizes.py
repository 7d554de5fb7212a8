"""Small files, small functions, plain names, no state that a second compile could see.

Lines of at most 100 columns are ruff's to check (`make check`).
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAX_FILE, MAX_FUNCTION = 600, 60
FORBIDDEN = {"utils", "util", "helpers", "helper", "common", "misc"}
TOPS = ("dlc", "tests", "tools", "bench", "demo")


def parsed() -> dict[str, ast.Module]:
    found = sorted(p for top in TOPS for p in (ROOT / top).rglob("*.py"))
    return {p.relative_to(ROOT).as_posix(): ast.parse(p.read_text(encoding="utf-8")) for p in found}


FILES = parsed()


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from `def` on, without its docstring."""
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def large_functions(tree: ast.Module) -> list[str]:
    return [
        f"{node.name}: {body_lines(node)} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and body_lines(node) > MAX_FUNCTION
    ]


def test_files_are_small() -> None:
    sizes = {f: len((ROOT / f).read_text(encoding="utf-8").splitlines()) for f in FILES}
    assert not {f: n for f, n in sizes.items() if n > MAX_FILE}


def test_functions_are_small() -> None:
    assert not [f"{f}: {large}" for f, tree in FILES.items() for large in large_functions(tree)]


def test_large_functions_are_found() -> None:
    source = "def f():\n" + "    x = 1\n" * MAX_FUNCTION
    assert large_functions(ast.parse(source)) == [f"f: {MAX_FUNCTION + 1} lines"]


def test_names_say_something() -> None:
    assert not [f for f in FILES if {p.removesuffix(".py") for p in f.split("/")} & FORBIDDEN]


def state(tree: ast.Module) -> list[int]:
    """Lines of module-level variables that begin as an empty container, and of `global`."""
    found: list[int] = []
    for node in tree.body:
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
            if value.func.id in ("dict", "list", "set", "defaultdict", "deque"):
                found += [node.lineno] if not value.args or value.func.id == "defaultdict" else []
        if isinstance(value, ast.Dict | ast.List) and ast.unparse(value) in ("{}", "[]"):
            found.append(node.lineno)
    return found + [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Global)]


def test_no_state_outlives_a_compile() -> None:
    assert not [
        f"{f}:{n}" for f, tree in FILES.items() if f.startswith("dlc/") for n in state(tree)
    ]


def test_state_is_found() -> None:
    source = "cache: dict[str, int] = {}\nseen = set()\nnames = {'a': 1}\n"
    assert state(ast.parse(source)) == [1, 2]
