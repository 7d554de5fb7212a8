"""The command group. Commands are imported when they are used, so that `dlc --help` is fast."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from dlc.cli.outcome import EXIT_BUG, EXIT_DIAGNOSTICS, EXIT_INTERRUPTED, EXIT_USAGE

COMMANDS: dict[str, tuple[str, str]] = {
    "compile": ("build", "A program to an object, a library, a header, an accelerator program."),
    "import": ("import_", "Write an ONNX model as a program, with its weights beside it."),
    "check": ("check", "Find the mistakes in programs."),
    "run": ("run", "Compile a program in memory and call one of its functions."),
    "test": ("test", "Run the `test` items of programs, by the evaluator and natively."),
    "verify": ("verify", "Compare every back end with the evaluator, on random or given inputs."),
    "opt": ("opt", "Run passes on IR text."),
    "fmt": ("fmt", "Format programs."),
    "explain": ("explain", "What a diagnostic, a status or a name of the library means."),
    "sim": ("sim", "Run an accelerator program on its model: results, cycles, energy."),
    "asm": ("asm", "Assembly text to an accelerator program."),
    "dis": ("dis", "An accelerator program as assembly text."),
    "inspect": ("inspect", "What is in an artefact."),
    "doctor": ("doctor", "What this machine has, and what is missing for what."),
    "targets": ("targets", "The targets that programs compile for."),
}
"""Command -> (module below `dlc.cli.commands`, one line). Help needs no import but this."""


class Lazy(click.Group):
    """Knows its commands' names and lines by heart, and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command = importlib.import_module(f"dlc.cli.commands.{module}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and name not in COMMANDS and not name.startswith("-"):
            from dlc.diag.suggest import near

            close = near(name, COMMANDS)
            hint = f" Did you mean `{close[0]}`?" if close else ""
            raise click.UsageError(f"there is no command `{name}`.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.command(
    cls=Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="A compiler for networks that change shape with every input.",
)
@click.version_option(package_name="dlc", prog_name="dlc")
def group() -> None:
    pass


def run(args: Sequence[str]) -> int:
    """Runs a command line and gives the exit status: 0 fine, 1 diagnostics, 2 usage, 3 a limit, 4
    verification mismatch, 70 a bug of ours, 130 interrupted."""
    from dlc.cli.outcome import Outcome, report
    from dlc.diag import CompileError, InternalError

    try:
        value = group.main(args=list(args), prog_name="dlc", standalone_mode=False)
        return value if isinstance(value, int) else 0
    except Outcome as e:
        return e.status
    except click.UsageError as e:
        e.show(sys.stderr)
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return EXIT_INTERRUPTED
    except click.ClickException as e:
        e.show(sys.stderr)
        return EXIT_DIAGNOSTICS
    except CompileError as e:
        report(e.diagnostics)
        return EXIT_DIAGNOSTICS
    except BrokenPipeError:
        # The reader has gone; nothing more can be said on standard output.
        sys.stderr.close()
        return EXIT_DIAGNOSTICS
    except (InternalError, RecursionError, MemoryError, Exception) as e:
        from dlc.cli.bug import report_bug

        report_bug(e, args)
        return EXIT_BUG
