"""A reader who follows a page: its commands run in order, in one folder; what it says to save is
saved; its C programs compile without a warning as C99, C11 and C++17, and print what it says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.S | re.M)
SAVED = re.compile(r"\(save it as\s+`([\w./]+)`")
COMMAND = re.compile(r"(dlc|cc|build/\w+) ")
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
COMPILERS = (["gcc", "-std=c99"], ["gcc", "-std=c11"], ["g++", "-std=c++17", "-xc++"])


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, and the file that the text before says to save it as."""

    kind: str
    text: str
    file: str | None


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    out: list[Block] = []
    end = 0
    for m in BLOCK.finditer(text):
        saved = SAVED.search(text, end, m.start())
        out.append(Block(m[1], m[2], saved and saved[1]))
        end = m.end()
    return out


def commands(block: Block) -> list[str]:
    lines = block.text.splitlines() if block.kind in ("", "sh") else []
    return [line for line in lines if COMMAND.match(line)]


FOLLOWED = [p for p in PAGES if any(map(commands, blocks(p)))]


def prepare(page: Path) -> None:
    """What the page's reader has."""
    Path("samples").symlink_to(ROOT / "samples")
    if page.name == "onnx.md":
        np.save("image.npy", np.zeros((1, 3, 32, 32), np.float32))
    if page.name == "embedding.md":
        import dlc

        net = dlc.compile("samples/treelstm.dl", target="evaluate")
        net.init(0, V=10, D=4, H=3, C=2)
        net.save("treelstm.safetensors")
        for name, numbers in (("tags", [0, 0, 1]), ("children", [0, 1]), ("words", [3, 5])):
            np.save(f"{name}.npy", np.array(numbers, np.int32))


def run(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a line of a page prints on standard output."""
    from dlc.cli.app import run as dlc

    if line.startswith("dlc "):
        capsys.readouterr()
        status = dlc(shlex.split(line, comments=True)[1:])
        out, err = capsys.readouterr()
        assert status == 0, f"{line}\n{out}{err}"
        return out
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout


def compile_(source: str) -> None:
    """Every standard, every warning."""
    for command in COMPILERS:
        subprocess.run([*command, *WARNINGS, "-Ibuild", "-c", source, "-o", "main.o"], check=True)


def outputs(page: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[tuple[str, str]]:
    """Follows the page; what it shows as printed, and what was printed before."""
    printed = ""
    for block in blocks(page):
        if block.file is not None:
            Path(block.file).parent.mkdir(exist_ok=True)
            Path(block.file).write_text(block.text)
        if block.kind == "c":
            assert block.file is not None, "a program that nobody is told to save"
            compile_(block.file)
        elif block.kind == "python" and page.name == "README.md":
            exec(compile(block.text, page.name, "exec"), {})
            printed = capsys.readouterr().out
        elif block.kind == "text" and printed:
            yield block.text, printed
        for line in commands(block):
            printed = run(line, capsys)


@pytest.mark.skipif(not (shutil.which("gcc") and shutil.which("g++")), reason="no gcc")
@pytest.mark.parametrize("page", FOLLOWED, ids=lambda p: p.name)
def test_a_page_is_followed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(page)
    programs = sum(b.kind == "c" for b in blocks(page))
    shown = 0
    for said, printed in outputs(page, capsys):
        if shown < programs:
            assert printed == said
        shown += 1
    assert shown >= programs
    if page.name == "README.md":
        # Nothing is left where git would see it.
        assert {x.name for x in tmp_path.iterdir()} <= {"samples", "build", "main.o"}


def test_pages_have_programs_and_commands() -> None:
    found = {p.name: blocks(p) for p in FOLLOWED}
    assert {"README.md", "embedding.md", "onnx.md"} <= set(found)
    for name in ("README.md", "embedding.md"):
        assert [b for b in found[name] if b.kind == "c" and b.file]
    words = [c.split()[1] for b in found["README.md"] for c in commands(b) if c.startswith("dlc")]
    assert {"check", "run", "compile", "test", "explain", "verify", "import"} <= set(words)
