"""Every import of dlc follows the table of docs/architecture.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "dlc"
ROW = re.compile(r"^\| (\d+) \| `(dlc/[^`]+)` \|")

THIRD_PARTY = {
    "llvmlite": ("dlc/targets/cpu/", "dlc/isa/fast/"),
    "onnx": ("dlc/importers/",),
    "click": ("dlc/cli/",),
    "rich": ("dlc/cli/",),
    "lark": ("dlc/syntax/generate.py", "dlc/isa/", "dlc/ir/"),
    "hypothesis": (),
    "pytest": (),
}
LAZY = ("onnx", "rich")


@dataclass(frozen=True)
class Import:
    """`module` imported by a file; `is_lazy` inside a function."""

    file: str
    line: int
    module: str
    is_lazy: bool


def table() -> dict[str, int]:
    """Row of each folder or file of the table."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    found = [ROW.match(line) for line in page.splitlines()]
    return {m.group(2): int(m.group(1)) for m in found if m}


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[Import]:
    file = path.relative_to(ROOT).as_posix()
    stack: list[tuple[ast.AST, bool]] = [(ast.parse(path.read_text(encoding="utf-8")), False)]
    while stack:
        node, is_lazy = stack.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, alias.name, is_lazy)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: imports are absolute"
            module = node.module or ""
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                name = inner if is_module(inner) else module
                yield Import(file, node.lineno, name, is_lazy)
        inside = is_lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        stack += [(child, inside) for child in ast.iter_child_nodes(node)]


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def file_of(module: str) -> str:
    path = module.replace(".", "/")
    return f"{path}/__init__.py" if (ROOT / path / "__init__.py").is_file() else f"{path}.py"


def owner(file: str, rows: dict[str, int]) -> str | None:
    """The entry of the table that a file belongs to, the longest that fits."""
    fits = [e for e in rows if file == e or (e.endswith("/") and file.startswith(e))]
    return max(fits, key=len, default=None)


ALL = [(path, list(imports(path))) for path in sources()]


def test_the_table_is_read() -> None:
    rows = table()
    assert rows["dlc/diag/"] == 0
    assert rows["dlc/cli/"] == 9
    assert len(rows) >= 18


def test_every_file_has_a_row() -> None:
    rows = table()
    files = {path.relative_to(ROOT).as_posix() for path in sources()} - {"dlc/targets/__init__.py"}
    assert not [file for file in sorted(files) if owner(file, rows) is None]


def violations(found: list[Import], rows: dict[str, int]) -> list[str]:
    wrong: list[str] = []
    for one in found:
        if one.module.split(".")[0] != "dlc":
            continue
        source, target = owner(one.file, rows), owner(file_of(one.module), rows)
        if source is None or target is None or source == target:
            continue
        if rows[target] >= rows[source]:
            wrong.append(f"{one.file}:{one.line}: {source} may not import {one.module} ({target})")
    return wrong


def test_imports_point_down() -> None:
    rows = table()
    assert not [line for _, found in ALL for line in violations(found, rows)]


def test_the_check_can_fail() -> None:
    rows = table()
    up = Import("dlc/diag/render.py", 1, "dlc.syntax", False)
    across = Import("dlc/ops/contract.py", 1, "dlc.check", True)
    down = Import("dlc/check/names.py", 1, "dlc.syntax.tree", False)
    assert len(violations([up, across, down], rows)) == 2


def test_third_parties_stay_in_their_places() -> None:
    wrong: list[str] = []
    for _, found in ALL:
        for one in found:
            name = one.module.split(".")[0]
            allowed = THIRD_PARTY.get(name)
            if allowed is not None and not one.file.startswith(allowed):
                wrong.append(f"{one.file}:{one.line}: {name} has no place here")
            if name in LAZY and not one.is_lazy:
                wrong.append(f"{one.file}:{one.line}: {name} is imported inside functions only")
    assert not wrong
