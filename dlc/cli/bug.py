"""A bug of ours: a message with what to send, never a traceback."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import click


def report_bug(e: BaseException, args: Sequence[str]) -> None:
    """Writes what is needed to find the bug to a file, and says where it is."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        ours = version("dlc")
    except PackageNotFoundError:
        ours = "unknown"
    facts = {
        "dlc": ours,
        "python": platform.python_version(),
        "machine": platform.platform(),
        "arguments": list(args),
        "error": "".join(traceback.format_exception(e)),
    }
    where = "could not be written"
    try:
        folder = Path(tempfile.mkdtemp(prefix="dlc-bug-"))
        path = folder / "report.json"
        path.write_text(json.dumps(facts, indent=1), encoding="utf-8")
        where = str(path)
    except OSError:
        pass
    lines = str(e).strip().splitlines()
    what = f"{type(e).__name__}: {lines[0] if lines else ''}"
    click.echo(f"dlc: a bug of the compiler: {what}", err=True)
    click.echo(f"  the report to send with it: {where}", err=True)
    sys.stderr.flush()
