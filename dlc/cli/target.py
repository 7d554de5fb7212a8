"""`--target` as users write it: `cpu`, `evaluate`, `sparrow`, `sparrow:eie64`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from dlc.driver.options import Options

F = TypeVar("F", bound=Callable[..., Any])
NAMES = ("cpu", "evaluate", "sparrow")


def options_of(target: str, **more: Any) -> Options:
    """The driver's options for a target.

    Raises click.UsageError for one that is none, CompileError E0810 for a preset that is none."""
    from dlc.diag.suggest import near
    from dlc.driver.options import Options

    name, sign, _ = target.partition(":")
    if name == "sparrow":
        from dlc.driver.sparrow import preset_of

        return Options(target="sparrow", preset=preset_of(target) or "sparrow", **more)
    if sign or name not in ("cpu", "evaluate"):
        close = near(name, NAMES)
        hint = f"did you mean `{close[0]}`?" if close else f"there is {', '.join(NAMES)}"
        raise click.UsageError(f"--target {target}: {hint} (`dlc targets`)")
    return Options(target="cpu" if name == "cpu" else "evaluate", **more)


def announce_machine() -> None:
    """Says, on a terminal, that the accelerator's machine is compiled first, which takes seconds
    once for every version of its instruction set."""
    import sys

    if sys.stderr.isatty():
        from dlc.cli.outcome import say
        from dlc.isa.fast.machine import is_at_hand
        from dlc.isa.project import load_isa

        if not is_at_hand(load_isa()):
            say("compiling the machine's model, once: some seconds")


def target_option(command: F) -> F:
    """`--target`, for commands that run what they compile."""
    return click.option(
        "--target", default="cpu", show_default=True, metavar="NAME",
        help="cpu, evaluate, sparrow or sparrow:PRESET.",
    )(command)  # fmt: skip
