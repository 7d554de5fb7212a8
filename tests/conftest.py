"""Options and fixtures of all tests.

`--bless` writes the expected texts instead of comparing them; `--full` runs the long tests as well.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# The same examples on every run; a failure prints how to see it again.
settings.register_profile("dlc", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("dlc")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bless", action="store_true", help="write the expected texts")
    parser.addoption("--full", action="store_true", help="run the full tier")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full"):
        return
    skip = pytest.mark.skip(reason="full tier: pytest --full")
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(skip)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)`: the text must be that of the file `name` beside the test's own file.

    With `--bless` the file is written. The whole text is compared, so that a change is seen whole.
    """
    folder = Path(request.path).parent

    def compare(name: str, text: str) -> None:
        path = folder / name
        if request.config.getoption("--bless"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
            return
        shown = path.relative_to(ROOT)
        assert path.is_file(), f"{shown} is missing; pytest --bless writes it"
        wanted = path.read_bytes().decode("utf-8")
        if wanted != text:
            diff = difflib.unified_diff(
                wanted.splitlines(), text.splitlines(), str(shown), "now", lineterm=""
            )
            pytest.fail("\n".join(diff) or "line ends differ", pytrace=False)

    return compare
