"""The pages about the library and about errors."""

from __future__ import annotations

from dlc.check.manual import library_page
from dlc.diag.page import errors_page


def derived() -> dict[str, str]:
    return {"docs/library.md": library_page(), "docs/errors.md": errors_page()}
