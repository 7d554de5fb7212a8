"""Files that are derived from others are fresh, and the error codes are complete."""

from __future__ import annotations

import re
from pathlib import Path

from dlc.diag.codes import STAGES, all_codes, explain, find
from tools.generate import derived

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"\"(E0\d{3})\"")


def used_codes() -> set[str]:
    found: set[str] = set()
    for path in sorted((ROOT / "dlc").rglob("*.py")):
        if "codes" not in path.parts:
            found |= set(CODE.findall(path.read_text(encoding="utf-8")))
    return found


def test_derived_files_are_fresh() -> None:
    stale = [
        path
        for path, text in derived().items()
        if not (ROOT / path).is_file() or (ROOT / path).read_text(encoding="utf-8") != text
    ]
    assert not stale, "run `make docs`"


def test_every_code_that_is_used_is_explained() -> None:
    assert not sorted(used_codes() - {c.code for c in all_codes()})


def test_every_code_that_is_explained_is_used() -> None:
    assert not sorted({c.code for c in all_codes()} - used_codes())


def test_codes_are_whole() -> None:
    codes = [code for _, _, codes in STAGES for code in codes]
    assert len({c.code for c in codes}) == len(codes), "a code stands twice"
    for prefix, _, of_stage in STAGES:
        for code in of_stage:
            assert code.code.startswith(prefix)
            assert code.title and code.explanation.endswith(".")
            assert bool(code.bad) == bool(code.good), code.code
            assert bool(code.bad) != bool(code.shown_by), f"{code.code}: an example or a test"
            assert find(code.code.lower()) is code
            assert code.explanation in explain(code)


def test_tests_that_show_a_code_exist() -> None:
    for code in all_codes():
        if code.shown_by:
            file, _, test = code.shown_by.partition("::")
            assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), code.code
