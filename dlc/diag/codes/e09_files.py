"""E09xx: files, artefacts and weights."""

from __future__ import annotations

from dlc.diag.codes.code import Code

CODES: tuple[Code, ...] = (
    Code(
        "E0901",
        "a file cannot be read",
        "The file does not exist, is a folder, or may not be read. The name of a file in a source "
        "is looked up beside that source.",
        shown_by="tests/unit/syntax/test_files.py::test_missing_file",
    ),
)
