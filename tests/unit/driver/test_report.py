"""The page about a compile: whole HTML that needs nothing else, with what the compile made."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from dlc.cli.app import run
from dlc.driver.build import Compilation
from dlc.driver.options import Options
from dlc.driver.python import build
from dlc.driver.report import TEXTS, report

SOURCE = """
model Net[H]:
    w: f32[H, H]

export fn f(m: Net, x: f32[m.H]) -> f32[m.H]:
    return tanh(m.w @ x)

export fn grow(n: i32) -> List[i32]:
    out: List[i32] = []
    i = 0
    while i < n:
        push(mut out, i)
        i += 1
    return out
"""


class Checker(HTMLParser):
    """Collects text; every tag must be closed by its own end."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not {"src", "href", "onclick"} & {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


def read(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    assert not checker.open and "script" not in checker.tags
    return checker


@pytest.fixture(scope="module")
def made() -> Compilation:
    weights = {"m.w": np.eye(3, dtype=np.float32)}
    made = build(SOURCE, weights=weights, options=Options(level=1, dump=TEXTS))
    manifest = replace(made.artifact.manifest, name="n<e>t")
    return replace(made, artifact=replace(made.artifact, manifest=manifest))


def test_the_page_says_what_was_made(made: Compilation) -> None:
    words = read(report(made)).words
    for want in (
        "n<e>t", "f(m: Net[m.H], x: f32[m.H]) -> f32[m.H]", "unbounded", "exact", "net_f",
        "f32[m.H, m.H]", "36", "object", "header", "weights", "bufferise", "need", "cse",
    ):  # fmt: skip
        assert want in words, want
    size = f"{len(made.artifact.contents['object']):,}"
    assert size in words


def test_only_the_times_differ(made: Compilation) -> None:
    again = report(replace(made, times=made.times))
    assert again == report(made)
    assert re.sub(r"[\d.]+ ms", "", again) != again


def test_what_is_not_there_is_left_out() -> None:
    for options in (Options(target="evaluate"), Options(level=0)):
        made = build("export fn f(x: f32) -> f32:\n    return x\n", options.target, options=options)
        words = read(report(made)).words
        assert "Functions and kernels" not in words and "Weights" not in words


def test_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.dl").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    assert run(["compile", "net.dl", "-o", "net", "-O1", "--report", "pages/net.html"]) == 0
    assert "grow(n: i32) -> List[i32]" in read((tmp_path / "pages/net.html").read_text()).words
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "net.dl", "net.h", "net.manifest.json", "net.o", "pages",
    ]  # fmt: skip
