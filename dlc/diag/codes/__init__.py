"""All error codes, one data file for each stage."""

from __future__ import annotations

import functools

from dlc.diag.codes import (
    e01_syntax,
    e02_names,
    e03_types,
    e04_control,
    e05_autodiff,
    e06_target,
    e07_onnx,
    e08_isa,
    e09_files,
)
from dlc.diag.codes.code import Code

STAGES = (
    ("E01", "syntax", e01_syntax.CODES),
    ("E02", "names", e02_names.CODES),
    ("E03", "types", e03_types.CODES),
    ("E04", "control", e04_control.CODES),
    ("E05", "autodiff", e05_autodiff.CODES),
    ("E06", "target", e06_target.CODES),
    ("E07", "ONNX", e07_onnx.CODES),
    ("E08", "ISA", e08_isa.CODES),
    ("E09", "files", e09_files.CODES),
)
"""Prefix, name and codes of each stage, in the order of the compile."""

__all__ = ["STAGES", "Code", "all_codes", "explain", "find"]


@functools.cache
def _by_code() -> dict[str, Code]:
    return {code.code: code for _, _, codes in STAGES for code in codes}


def all_codes() -> tuple[Code, ...]:
    """Every code, sorted."""
    table = _by_code()
    return tuple(table[name] for name in sorted(table))


def find(code: str) -> Code | None:
    """The entry of a code; letters may be in either case, `302` means `E0302`."""
    name = code.strip().upper().removeprefix("E")
    return _by_code().get(f"E{name:0>4}")


def explain(code: Code) -> str:
    """The page of a code, for `dlc explain`: title, explanation and examples."""
    parts = [f"{code.code}: {code.title}", code.explanation]
    for heading, example in (("Wrong:", code.bad), ("Right:", code.good)):
        if example:
            parts.append(f"{heading}\n\n{_indented(example)}")
            if heading == "Wrong:":
                parts += [f"with {name}:\n\n{_indented(text)}" for name, text in code.files]
    return "\n\n".join(parts) + "\n"


def _indented(text: str) -> str:
    lines = text.rstrip("\n").split("\n")
    return "\n".join(f"    {line}".rstrip() for line in lines)
