"""Regenerate every file that is derived from another: `make docs`.

A generator is a function without arguments that returns `{path from the project's root: text}`.
Tests compare the same texts with the files, so a stale file fails `make test`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GENERATORS = (
    "tools.derived.syntax",
    "tools.derived.ops",
    "tools.derived.isa",
    "tools.derived.manual",
)


def derived() -> dict[str, str]:
    """All derived files and what should be in them."""
    files: dict[str, str] = {}
    for name in GENERATORS:
        make: Callable[[], dict[str, str]] = importlib.import_module(name).derived
        files.update(make())
    return files


def main() -> None:
    for path, text in derived().items():
        target = ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")
            print(f"wrote {path}")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
