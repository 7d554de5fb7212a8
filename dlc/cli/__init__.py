"""The commands. The only place of the project that prints or exits."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `dlc` script."""
    from dlc.cli.app import run

    sys.exit(run(sys.argv[1:]))


__all__ = ["main"]
