"""`dlc compile`: a program to files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast

import click

from dlc.cli.outcome import emit, json_option, say
from dlc.cli.program import bind_option

if TYPE_CHECKING:
    from dlc.artifact.product import Artifact
    from dlc.driver.build import Compilation
    from dlc.driver.options import Level, StageTime, Where
    from dlc.typesys.interface import Interface

ROLES = {
    "obj": "object", "header": "header", "shared": "shared", "static": "static", "exe": "exe",
    "wasm": "wasm",
    "spw": "program",
}  # fmt: skip
TEXTS = {"llvm": ("llvm", ".ll"), "asm": ("asm", ".s")}
"""What `--emit` calls it -> (stage, suffix)."""


@dataclass(frozen=True)
class Wanted:
    """What was asked for: files of the artefact by role, and texts by (stage, suffix)."""

    roles: tuple[str, ...]
    texts: tuple[tuple[str, str], ...]


@click.command(help="Compile a program to an object, a library, a header, or a stage's text.")
@click.argument("source")
@click.option(
    "-o", "--out", metavar="OUT", help="Where: a folder, the files' name without suffix, or `-`."
)
@click.option(
    "--emit", "kinds", metavar="KINDS",
    help="Comma-separated: obj, shared, static, header, exe, wasm, llvm, asm, ir:STAGE, spw; "
    "obj,header or, for sparrow, spw if left out.",
)  # fmt: skip
@click.option(
    "--target", default="cpu", show_default=True, metavar="NAME",
    help="cpu (this machine), evaluate, sparrow, sparrow:PRESET, or LLVM's triple of another "
    "machine, as aarch64-unknown-linux-gnu, wasm32.",
)  # fmt: skip
@click.option("--cpu", default="", metavar="NAME", help="A CPU of the target, in LLVM's words.")
@click.option(
    "-O", "level", default="3", show_default=True, type=click.Choice(["0", "1", "2", "3", "s"]),
    help="How much LLVM optimises; s: small code.",
)  # fmt: skip
@click.option("-g", "debug", is_flag=True, help="Map instructions to source lines.")
@bind_option
@click.option("--weights", metavar="FILE", help="Weights: safetensors or npz.")
@click.option(
    "--weights-mode", type=click.Choice(["blob", "embed"]), default="blob", show_default=True,
    help="Weights in a file, or in the object.",
)  # fmt: skip
@click.option("--entry", "entries", multiple=True, metavar="NAME", help="Only these exports.")
@click.option(
    "--name", "prefix", metavar="PREFIX",
    help="What the C names begin with; left out: the files' name, or net where that cannot be.",
)  # fmt: skip
@click.option("--dense", is_flag=True, help="For sparrow: no events, no compressed weights.")
@click.option("--report", metavar="FILE", help="Write a page of HTML about the compile.")
@click.option("--time-passes", is_flag=True, help="Say how long each stage took.")
@json_option
def command(
    source: str, out: str | None, kinds: str | None, target: str, cpu: str, level: str, debug: bool,
    bind: tuple[str, ...], weights: str | None, weights_mode: Literal["blob", "embed"],
    entries: tuple[str, ...], prefix: str | None, dense: bool, report: str | None,
    time_passes: bool, as_json: bool,
) -> None:  # fmt: skip
    from dlc.artifact.weights.files import read_weights
    from dlc.cli import program
    from dlc.driver.build import build
    from dlc.driver.options import Options

    where, triple, preset = _target(target, cpu)
    wanted = _wanted(kinds or ("spw" if where == "sparrow" else "obj,header"), where)
    if dense and where != "sparrow":
        raise click.UsageError("--dense is for --target sparrow")
    _names(prefix)
    base = _base(source, out)
    if out == "-" and (wanted.roles or len(wanted.texts) != 1):
        raise click.UsageError("-o - is for one text: --emit llvm, asm or ir:STAGE")
    numbers = program.parse_bind(bind)
    checked = program.front(source)
    exports = list(dict.fromkeys(entries)) or None
    low = program.lowered(checked, numbers, exports)
    arrays = None if weights is None else read_weights(weights)
    if weights_mode == "embed":
        given = program.program_of(checked, low, arrays).weights
        numbers |= _embedded(low.interface, given)
        low = program.lowered(checked, numbers, exports)
    options = Options(
        target=where, triple=triple, cpu=cpu, level=_level(level), debug=debug,
        bind=tuple(sorted(numbers.items())), entries=entries or None,
        prefix=prefix or _prefix(base),
        weights_mode=weights_mode, dump=_dumped(wanted, report),
        preset=preset, dense=dense,
    )  # fmt: skip
    made = build(program.program_of(checked, low, arrays), options)
    written = _write(made, wanted, base)
    if report is not None:
        written.append(_reported(made, report))
    if as_json:
        emit({"files": written, "seconds": {t.name: t.seconds for t in made.times}})
    elif out != "-":
        say("\n".join(f"wrote {w}" for w in written))
        _remark(made)
        if prefix is None and wanted.roles and where == "cpu" and options.prefix != _stem(base):
            say(f"remark: the C names begin with `net_`: `{_stem(base)}` cannot be (--name PREFIX)")
    if time_passes and not as_json:
        _times(made.times, 0)


def _dumped(wanted: Wanted, report: str | None) -> tuple[str, ...]:
    """The stages whose texts are needed."""
    from dlc.driver.report import TEXTS as READ

    stages = [stage for stage, _ in wanted.texts]
    return tuple(dict.fromkeys([*stages, *(READ if report is not None else ())]))


def _reported(made: Compilation, path: str) -> str:
    from dlc.artifact.publish import write_file
    from dlc.driver.report import report

    write_file(Path(path), report(made).encode())
    return path


def _embedded(interface: Interface, arrays: Mapping[str, Any] | None) -> dict[str, int]:
    """The dims of the weights: weights inside an object have fixed sizes."""
    from dlc.artifact.weights.block import block_layout, fixed_dims
    from dlc.artifact.weights.match import match

    layout = block_layout(interface)
    if not layout.weights:
        return {}
    if arrays is None:
        raise click.UsageError("--weights-mode embed needs the weights: --weights FILE")
    found = match(layout, arrays, fixed_dims(interface))
    return dict(found.dims)


def _remark(made: Compilation) -> None:
    """Which weights were not needed; which calls say a guess of their arena, and why."""
    if made.skipped:
        sets = ", ".join(f"`{s}`" for s in made.skipped)
        say(f"remark: the weights hold {sets} as well, which no compiled function takes: skipped")
    for name, memory in made.artifact.manifest.memory.items():
        if memory.kind == "unbounded":
            say(f"remark: nothing bounds the arena of `{name}`: {memory.reason or 'data decide'}")


def _base(source: str, out: str | None) -> Path:
    """The files' name without suffix: in a folder, that of the source."""
    folder = out is None or out.endswith(("/", os.sep)) or Path(out).is_dir()
    if folder and source == "-":
        raise click.UsageError("a program from standard input has no name: give one, with -o")
    return Path(out or "") / Path(source).stem if folder else Path(out or "")


def _stem(base: Path) -> str:
    """The files' name without any suffix."""
    return base.name.split(".", 1)[0]


def _prefix(base: Path) -> str:
    """What C names begin with if nobody says: the files' name, `net` where that cannot be."""
    from dlc.artifact.names import is_prefix

    return _stem(base) if is_prefix(_stem(base)) else "net"


def _target(target: str, cpu: str) -> tuple[Where, str | None, str]:
    """The back end, the triple, and the accelerator's preset. Raises CompileError E0810."""
    if target == "evaluate":
        return "evaluate", None, "sparrow"
    if target.split(":")[0] == "sparrow":
        from dlc.driver.sparrow import preset_of

        return "sparrow", None, preset_of(target) or "sparrow"
    if target in ("host", "cpu"):
        from dlc.targets.cpu.llvm import host_target

        # A named CPU is code for this machine's kind, not for all that this machine can do.
        return "cpu", host_target().triple if cpu else None, "sparrow"
    return "cpu", target, "sparrow"


def _level(given: str) -> Level:
    """What `-O` was given."""
    return cast("Level", given if given == "s" else int(given))


def _names(prefix: str | None) -> None:
    from dlc.artifact.names import is_prefix

    if prefix is not None and not is_prefix(prefix):
        text = "a letter, then up to 30 letters, digits and _, and no word of C"
        raise click.UsageError(f"--name `{prefix}` cannot begin C names: it must be {text}")


def _wanted(kinds: str, where: str) -> Wanted:
    from dlc.diag.suggest import near
    from dlc.driver.stages import STAGES
    from dlc.passes.pipeline import PASSES

    stages = list(dict.fromkeys((*STAGES, *PASSES)))
    known = (*ROLES, *TEXTS, "ir:STAGE")
    roles: list[str] = []
    texts: list[tuple[str, str]] = []
    for kind in (k.strip() for k in kinds.split(",")):
        stage = kind.partition(":")[2]
        if kind in ROLES:
            roles.append(ROLES[kind])
        elif kind in TEXTS:
            texts.append(TEXTS[kind])
        elif kind.startswith("ir:") and stage in stages:
            texts.append((stage, f".{stage}.ir"))
        elif kind == "ir" or kind.startswith("ir:"):
            raise click.UsageError(f"--emit ir:STAGE: the stages are {', '.join(stages)}")
        else:
            close = near(kind, (*ROLES, *TEXTS))
            hint = f"did you mean `{close[0]}`?" if close else f"there is {', '.join(known)}"
            raise click.UsageError(f"--emit: nothing is called `{kind}`; {hint}")
    _fitting(where, roles, [stage for stage, _ in texts])
    return Wanted(tuple(dict.fromkeys(roles)), tuple(dict.fromkeys(texts)))


def _fitting(where: str, roles: Sequence[str], stages: Sequence[str]) -> None:
    """Refuses kinds that a back end doesn't make."""
    if where == "evaluate" and any(stage != "lower" for stage in stages):
        raise click.UsageError("--target evaluate has only the stage ir:lower")
    if where == "sparrow" and (
        any(role != "program" for role in roles) or any("llvm" in stage for stage in stages)
    ):
        raise click.UsageError("--target sparrow: --emit spw, asm or ir:STAGE")
    if where != "sparrow" and "program" in roles:
        raise click.UsageError("--emit spw is a program for the accelerator: --target sparrow")


def _write(made: Compilation, wanted: Wanted, base: Path) -> list[str]:
    """Writes what was asked for, and gives the names of the files."""
    from dlc.artifact.publish import write_file

    missing = [stage for stage, _ in wanted.texts if stage not in made.dumps]
    if missing:
        raise click.UsageError(f"--emit ir:{missing[0]}: that stage was not needed here")
    if str(base) == "-":
        click.echo(made.dumps[wanted.texts[0][0]], nl=False)
        return []
    written: list[str] = []
    if wanted.roles:
        base = _without_suffix(made.artifact, base)
        if not base.name:
            raise click.UsageError(f"-o {base}: the name of the files is missing")
        published = _chosen(made.artifact, wanted.roles, base.name).publish(base)
        m = published.manifest
        written += [str(base.parent / name) for name in m.files]
        written.append(str(base.parent / published.file_name(base.name, "manifest")))
    for stage, suffix in wanted.texts:
        # One text alone may be given its whole name.
        alone = not wanted.roles and len(wanted.texts) == 1 and bool(base.suffix)
        path = base if alone else base.with_name(base.name + suffix)
        write_file(path, made.dumps[stage].encode())
        written.append(str(path))
    return written


def _chosen(artifact: Artifact, roles: Sequence[str], base: str) -> Artifact:
    """The artefact with the files that were asked for, and those that it cannot do without."""
    from dlc.driver.build import with_roles

    artifact = with_roles(artifact, roles, base)
    keep = {*roles, "weights", "ir", *(["twin"] if "program" in roles else [])}
    contents = {role: data for role, data in artifact.contents.items() if role in keep}
    return replace(artifact, contents=MappingProxyType(contents))


def _without_suffix(artifact: Artifact, base: Path) -> Path:
    """`build/net` for `build/net.o`, `build/net.manifest.json`, …"""
    for role in ("twin", *ROLES.values(), "manifest"):
        suffix = artifact.file_name("", role)
        if suffix and base.name.endswith(suffix) and base.name != suffix:
            return base.with_name(base.name.removesuffix(suffix))
    return base


def _times(times: Sequence[StageTime], depth: int) -> None:
    for t in times:
        say(f"{'  ' * depth}{t.name:{16 - 2 * depth}} {t.seconds * 1e3:9.2f} ms")
        _times(t.inside, depth + 1)
