"""Sessions shown in the pages of `docs/`: blocks of `console`, where `$ dlc …` is a command and
the lines after it are what it prints: standard output, standard error, a status other than 0.

The blocks of a page run in order, in one folder with the repository's samples. A line `…` stands
for any lines, `…` in a line for anything. Blocks of `console numbers` show figures that the
compiler's progress changes: there a number may be a tenth, or 10, off. `--bless` writes what is
printed now, but for commands with a `…`.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from dlc.cli.app import run

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```console( numbers)?\n(.*?)```", re.S)
PAGES = [p for p in sorted((ROOT / "docs").glob("*.md")) if BLOCK.search(p.read_text())]


@dataclass(frozen=True)
class Step:
    """A command and what it prints."""

    command: str
    output: str


def steps(block: str) -> list[Step]:
    parts = re.split(r"^\$ (.*)\n", block, flags=re.M)
    assert not parts[0], f"text before the first command: {parts[0]!r}"
    return [Step(c, o) for c, o in zip(parts[1::2], parts[2::2], strict=True)]


def printed(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    words = shlex.split(command)
    assert words[0] == "dlc", command
    status = run(words[1:])
    out, err = capsys.readouterr()
    lines = [line.rstrip() for line in (out + err).splitlines()]
    return "".join(
        f"{line}\n" for line in [*lines, *([f"(exit status {status})"] if status else [])]
    )


NUMBER = re.compile(r" *[-+]?\d[\d,.]*(?:e[-+]\d+)?")


def number(text: str) -> float:
    return float(text.replace(",", "").strip().rstrip("."))


def near(a: str, b: str) -> bool:
    """Whether figures that progress changes still say what they said."""
    x, y = number(a), number(b)
    return abs(x - y) <= max(0.1 * max(abs(x), abs(y)), 10 if "." not in a else 0.01)


def matches(shown: str, found: str, roughly: bool = False) -> bool:
    """Whether a text stands for another; with `roughly`, numbers are compared as `near` does."""
    lines = ["(?:.*\n)*?" if x == "…\n" else pattern(x, roughly) for x in shown.splitlines(True)]
    m = re.fullmatch("".join(lines), found)
    figures = NUMBER.findall(shown) if roughly else []
    return m is not None and all(map(near, figures, m.groups()))


def pattern(line: str, roughly: bool) -> str:
    """What a line of a page stands for; with `roughly`, any number for a number."""
    if roughly:
        parts = [pattern(x, False) for x in NUMBER.split(line)]
        return f"({NUMBER.pattern})".join(parts)
    return ".*".join(map(re.escape, line.split("…")))


def test_lines_are_compared() -> None:
    assert matches("a\n…\nd\n", "a\nb\nc\nd\n") and matches("a\n…\n", "a\n")
    assert not matches("a\n", "a\nb\n") and not matches("a.c\n", "abc\n")
    assert matches("isa …2\n", "isa 0f12\n") and not matches("isa …2\n", "isa 0f1\n2\n")
    assert matches("x  1,054 of 2\n", "x 1,000 of -7\n", True) and not matches("1\n", "2\n")
    assert not matches("x 1,054\n", "x 900\n", True) and not matches("0.5\n", "0.6\n", True)
    assert matches("…\nx 5\n", "1\n\nx 7\n", True) and matches("1e-3\n", " 1.05e-03\n", True)
    assert steps("$ dlc x\n1\n\n2\n$ dlc y\n") == [Step("dlc x", "1\n\n2\n"), Step("dlc y", "")]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_page(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    for name in ("samples", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    new, at = "", 0
    for m in BLOCK.finditer(text):
        told = [(s, printed(s.command, capsys)) for s in steps(m.group(2))]
        if request.config.getoption("--bless"):
            made = "".join(f"$ {s.command}\n{s.output if '…' in s.output else o}" for s, o in told)
            new += text[at : m.start(2)] + made
            at = m.end(2)
            continue
        for s, found in told:
            assert matches(s.output, found, bool(m.group(1))), f"{page.name}: {s.command}\n{found}"
    if request.config.getoption("--bless"):
        page.write_text(new + text[at:], encoding="utf-8")
