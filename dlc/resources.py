"""Where the data files lie: `grammar/`, `isa/` and `std/`, in a checkout and in an installed wheel.

The only module that knows. In a checkout `grammar/` and `isa/` stand beside the package; a wheel
carries them inside the package. The library in dl (`dlc/std/`) is part of the package in both."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

LIBRARY = "std/"
"""What the names of the library's files begin with, as they are shown."""


def _beside_or_inside(name: str) -> Path:
    inside = _PACKAGE / "_resources" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def grammar(name: str) -> Path:
    """A file of `grammar/`, such as `dl.lark` or the saved parser table `dl.table.json`."""
    return _beside_or_inside("grammar") / name


def isa(name: str) -> Path:
    """A file of `isa/`, the accelerator as data."""
    return _beside_or_inside("isa") / name


def prelude() -> Path:
    """The prelude: signatures of the builtins, and functions visible without an import."""
    return std_folder() / "prelude.dl"


def std_folder() -> Path:
    """The folder of the library's modules."""
    return _PACKAGE / "std"


def std_module(name: str) -> Path | None:
    """The file of the library's module `name`, or None. The prelude is not a module."""
    path = std_folder() / f"{name}.dl"
    return path if name != "prelude" and path.is_file() else None


def std_modules() -> tuple[str, ...]:
    """The names of the library's modules, sorted."""
    return tuple(sorted(p.stem for p in std_folder().glob("*.dl") if p.stem != "prelude"))
