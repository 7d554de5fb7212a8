"""The commands. The only place of the project that prints or exits."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `dlc` script."""
    try:
        from dlc.cli.app import run

        status = run(sys.argv[1:])
    except KeyboardInterrupt:  # while modules were imported
        sys.stderr.write("interrupted\n")
        status = 130
    sys.exit(status)


__all__ = ["main"]
