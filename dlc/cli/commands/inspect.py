"""`dlc inspect`: what is in an artefact, or what a program would be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from dlc.cli.outcome import emit, json_option
from dlc.cli.program import bind_option

if TYPE_CHECKING:
    from dlc.artifact.manifest import Manifest, Memory
    from dlc.artifact.product import Artifact
    from dlc.typesys.interface import DimInfo, EntryInfo, Interface, ParameterSet


@click.command(help="Say what is in an artefact or a file of weights, or what a program exports.")
@click.argument("path")
@bind_option
@json_option
def command(path: str, bind: tuple[str, ...], as_json: bool) -> None:
    from dlc.cli import program

    if path == "-" or path.endswith(".dl") or path.lower().endswith(".onnx"):
        checked = program.front(path)
        low = program.lowered(checked, program.parse_bind(bind), tests=True)
        if as_json:
            from dlc.typesys.interface_json import to_json

            emit(to_json(low.interface))
            return
        click.echo(f"program {checked.main}")
        _interface(low.interface, {})
        return
    if path.lower().endswith((".safetensors", ".npz")):
        _weights(path, as_json)
        return
    if bind:
        raise click.UsageError("--bind is for programs; the dims of an artefact are bound")
    from dlc.artifact.load import read_artifact

    if path.endswith(".spw") and _named(path) == path:
        _program(path, as_json)
        return
    artifact = read_artifact(_named(path))
    if as_json:
        emit(json.loads(artifact.manifest.text()))
        return
    _artefact(artifact.manifest)
    _device(artifact)


def _device(artifact: Artifact) -> None:
    """The programs of an artefact for the accelerator."""
    if artifact.manifest.kind != "sparrow":
        return
    from dlc.artifact.device import device_of
    from dlc.cli.accelerator import description, functions, head

    device = device_of(artifact)
    for role, program in (("program", device.program), ("twin", device.twin)):
        if program is not None:
            told = description(program.program, artifact.manifest.file(role) or role)
            click.echo("\n" + "\n".join((*head(told), *functions(told))))
            for entry, text in program.bounds.items():
                click.echo(f"  bound     {entry}: {text}")


def _program(path: str, as_json: bool) -> None:
    from dlc.cli.accelerator import description, lines
    from dlc.isa.commands import load_program

    told = description(load_program(path), path)
    if as_json:
        emit(told)
    else:
        click.echo("\n".join(lines(told)))


def _weights(path: str, as_json: bool) -> None:
    """The arrays of a file of weights."""
    from dlc.artifact.weights.files import read_weights

    for name, x in read_weights(path).items():
        if as_json:
            emit({"name": name, "dtype": x.dtype.name, "shape": list(x.shape)})
        else:
            click.echo(f"{name}: {x.dtype.name}{_square([str(n) for n in x.shape])}")


def _named(path: str) -> str:
    """The artefact's path, for that of any of its files."""
    from pathlib import Path

    at = Path(path)
    suffix = ".manifest.json"
    if at.name.endswith(suffix) or at.with_name(at.name + suffix).exists():
        return path
    for known in (".weights.bin", *((at.suffix,) if at.suffix else ())):
        base = at.name.removesuffix(known)
        if base != at.name and at.with_name(base + suffix).exists():
            return str(at.with_name(base))
    return path


def _artefact(m: Manifest) -> None:
    click.echo(f"artefact {m.name}, compiled by dlc {m.dlc} for {m.kind}")
    if m.machine is not None:
        click.echo(f"  machine  {m.machine.triple}, {m.machine.cpu}")
        click.echo(f"  C names  {m.prefix}_*")
    for name, info in m.files.items():
        click.echo(f"  file     {name}: {info.role}, {info.bytes} bytes")
    if m.layout.weights:
        sizes = f" with {_numbers(m.dims)}" if m.dims else ""
        where = f"included{sizes}" if m.dims is not None else "not included"
        click.echo(f"  weights  {where} ({m.weights_mode})")
    _interface(m.interface, m.memory)


def _interface(interface: Interface, memory: Mapping[str, Memory]) -> None:
    from dlc.artifact.header import signature

    for e in interface.entries:
        click.echo(f"\nentry {signature(e)}")
        for d in e.dims:
            click.echo(f"  dim    {d.name}: {_source(e, d)}")
        models = {p.name for p in e.parameters if p.parameter_set is not None}
        for c in e.checks:
            if c.parameter in models:
                continue  # what the weights' own types say
            click.echo(f"  check  a size of `{c.parameter}` is {c.size}")
        if e.name in memory:
            _needed(memory[e.name], e.name)
    for s in interface.parameter_sets:
        _parameters(s)
    for a in interface.types:
        cases = " | ".join(
            f"{c.name}({', '.join(f'{f.name}: {f.type}' for f in c.fields)})"
            if c.fields
            else c.name
            for c in a.constructors
        )
        click.echo(f"\ntype {a.name}{_square(a.dims)} = {cases}")
    for t in interface.tests:
        click.echo(f'\ntest "{t.name}"')


def _needed(m: Memory, entry: str) -> None:
    """What an entry takes of the arena."""
    from dlc.cli.formulas import shown

    if m.bytes is not None:
        click.echo(f"  needs  {m.bytes} bytes of arena")
        return
    if m.formula is None:
        click.echo(f"  needs  arena that nothing bounds: {m.reason or 'data decide'}")
        return
    most = "at most " if m.kind == "bound" else ""
    found = shown(m.formula)
    if found.lines is None:
        click.echo(
            f"  needs  {most}a number of bytes of arena that {', '.join(found.names)} decide:"
        )
        click.echo(f"         --json has the formula, …_{entry}_bytes computes it")
        return
    first, *rest = found.lines
    click.echo(f"  needs  {most}{first}" + ("" if rest else " bytes of arena"))
    for i, line in enumerate(rest, 1):
        click.echo(f"         {line}" + (" bytes of arena" if i == len(rest) else ""))
    for note in found.notes:
        click.echo(f"         {note}")


def _parameters(s: ParameterSet) -> None:
    numbers = {**dict(s.defaults), **dict(s.fixed)}
    bound = f" with {_numbers(numbers)}" if numbers else ""
    click.echo(f"\nparameters {s.name}: {s.type}{bound}")
    for w in s.weights:
        i = w.initialiser
        arguments = "" if i is None else ", ".join(f"{a:g}" for a in i.arguments)
        start = "" if i is None else f"  ~ {i.name}({arguments})"
        click.echo(f"  {s.name}.{w.name}: {w.dtype}{_square([str(d) for d in w.shape])}{start}")


def _source(e: EntryInfo, d: DimInfo) -> str:
    """Where a dim's number comes from, in words."""
    from dlc.typesys.interface import (
        Axis,
        ElementAxis,
        Fixed,
        LastElement,
        Payload,
        ScalarValue,
        Told,
    )

    leaves = {
        leaf.number: ".".join((p.name, *leaf.path)) for p in e.parameters for leaf in p.leaves
    }

    def of(number: int) -> str:
        return f"`{leaves.get(number, '?')}`"

    match d.source:
        case Fixed(value):
            return str(value)
        case Axis(leaf, axis, size):
            solved = "" if str(size) == d.name else f" = {size}"
            return f"axis {axis} of {of(leaf)}{solved}"
        case ScalarValue(leaf):
            return f"the value of {of(leaf)}"
        case LastElement(leaf):
            return f"the items of {of(leaf)}"
        case Told(parameter, what):
            return f"{what} of `{parameter}`"
        case Payload(leaf):
            return f"a size in the values of {of(leaf)}"
        case ElementAxis(leaf, _, axis):
            return f"axis {axis} of the elements of {of(leaf)}"


def _numbers(numbers: Mapping[str, Any]) -> str:
    return ", ".join(f"{n}={v}" for n, v in numbers.items())


def _square(items: Sequence[str]) -> str:
    return f"[{', '.join(items)}]" if items else ""
