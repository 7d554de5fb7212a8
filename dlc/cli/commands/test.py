"""`dlc test`: the `test` items of programs, by the evaluator and natively."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from dlc.cli.outcome import EXIT_DIAGNOSTICS, Outcome, emit, json_option, report, say

if TYPE_CHECKING:
    from dlc.artifact.python.net import Net
    from dlc.check.program import Checked
    from dlc.diag import Diagnostic
    from dlc.typesys.interface import Interface, TestInfo

TARGETS = ("evaluate", "cpu")
"""What tests run on unless a target is named."""


@click.command(help="Run the `test` items of programs, by the evaluator and natively.")
@click.argument("files", nargs=-1, required=True)
@click.option("-k", "only", metavar="TEXT", help="Only the tests whose names contain this.")
@click.option(
    "--target", metavar="NAME", help="Only this back end: evaluate, cpu, sparrow, sparrow:PRESET."
)
@json_option
def command(files: tuple[str, ...], only: str | None, target: str | None, as_json: bool) -> None:
    from dlc.diag import CompileError

    targets = (target,) if target else TARGETS
    ran = failed = 0
    broken = False
    for name in files:
        try:
            n, bad = _file(name, only, targets, as_json)
        except CompileError as e:
            report(e.diagnostics, as_json=as_json)
            broken = True
            continue
        ran, failed = ran + n, failed + bad
    if not as_json:
        say(f"{ran - failed} ok, {failed} failed" if ran else "no tests")
    if failed or broken:
        raise Outcome(EXIT_DIAGNOSTICS)


def _file(path: str, only: str | None, targets: tuple[str, ...], as_json: bool) -> tuple[int, int]:
    """How many tests ran, and how many of them failed."""
    from dlc.cli import program
    from dlc.cli.target import options_of

    checked = program.check(path)
    if not any(only is None or only in t.name for t in checked.tests):
        return 0, 0
    low = program.lowered(checked, {}, [], tests=True)
    tests = [t for t in low.interface.tests if only is None or only in t.name]
    low = replace(low, interface=_as_entries(low.interface, tests))
    ran = failed = 0
    for target in targets:
        net = program.net_of(program.program_of(checked, low), options_of(target))
        for i, t in enumerate(tests):
            found = _failure(net, f"test{i}", t, checked)
            ran, failed = ran + 1, failed + (found is not None)
            _say(path, t, target, found, as_json)
    return ran, failed


def _as_entries(interface: Interface, tests: list[TestInfo]) -> Interface:
    """The tests as functions that can be called: they take nothing and give nothing."""
    from dlc.typesys.interface import EntryInfo
    from dlc.typesys.surface import UNIT

    entries = tuple(
        EntryInfo(f"test{i}", t.function, (), UNIT, (), (), (), (), t.place)
        for i, t in enumerate(tests)
    )
    return replace(interface, entries=entries)


def _failure(net: Net, name: str, test: TestInfo, checked: Checked) -> Diagnostic | None:
    from dlc.artifact.python.errors import CallError
    from dlc.cli.failures import diagnostic

    try:
        net.entries[name]()
    except CallError as e:
        found = diagnostic(e, checked.modules)
        prefix = next((p for p in (name, test.function) if found.message.startswith(f"{p}: ")), "")
        text = found.message.removeprefix(f"{prefix}: ") if prefix else found.message
        return replace(found, message=f'"{test.name}": {text}')
    return None


def _say(path: str, test: TestInfo, target: str, found: Diagnostic | None, as_json: bool) -> None:
    if as_json:
        from dlc.diag.jsonform import to_json

        emit(
            {
                "file": path,
                "test": test.name,
                "line": test.place.line,
                "target": target,
                "ok": found is None,
                "diagnostic": None if found is None else to_json(found),
            }
        )
        return
    click.echo(f"{'ok    ' if found is None else 'FAILED'} {target:8} {path}: {test.name}")
    if found is not None:
        report([found], as_json=False)
