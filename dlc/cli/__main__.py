"""`python -m dlc.cli`."""

from dlc.cli import main

main()
