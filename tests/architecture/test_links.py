"""The pages lead somewhere: every relative link names a file that is there, every decision has a
number of its own and stands in the list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "isa" / "manual.md"]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    kept = [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads]
    return set(kept)


def prose(page: Path) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{link}: no such heading"


def test_decisions_have_numbers() -> None:
    pages = sorted((ROOT / "docs" / "adr").glob("0*.md"))
    assert [p.name[:4] for p in pages] == [f"{i:04}" for i in range(1, len(pages) + 1)]
    listed = (ROOT / "docs" / "adr" / "README.md").read_text()
    for p in pages:
        assert f"[{p.name[:4]}]({p.name})" in listed
        assert p.read_text().startswith(f"# {p.name[:4]} ")
