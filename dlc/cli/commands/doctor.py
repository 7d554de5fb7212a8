"""`dlc doctor`: what this machine has."""

from __future__ import annotations

import click

from dlc.cli.outcome import emit, json_option


@click.command(help="Say what this machine has, and what is missing for what.")
@json_option
def command(as_json: bool) -> None:
    rows = [*_versions(), *_tools(), _processor()]
    for name, value, note in rows:
        if as_json:
            emit({"name": name, "value": value, "note": note})
        else:
            click.echo(f"{name:12} {value or 'missing':28} {note}".rstrip())


def _versions() -> list[tuple[str, str | None, str]]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    out: list[tuple[str, str | None, str]] = [("python", platform.python_version(), "")]
    needed_for = {
        "dlc": "",
        "numpy": "the evaluator, arrays in and out",
        "llvmlite": "native code",
        "lark": "reading the instruction set, making parser tables",
        "onnx": "importing ONNX models",
        "safetensors": "weights",
        "ziglang": "linking without a C compiler (optional: the `link` extra)",
    }
    for name, note in needed_for.items():
        try:
            out.append((name, version(name), note))
        except PackageNotFoundError:
            out.append((name, None, note))
    return out


def _tools() -> list[tuple[str, str | None, str]]:
    import shutil

    # Only whether it is there: where it is says nothing to anyone else.
    found = "found" if shutil.which("cc") else None
    return [("cc", found, "shared libraries and executables; objects need none")]


def _processor() -> tuple[str, str | None, str]:
    from dlc.targets.cpu.llvm import host_target

    target = host_target()
    return ("processor", target.cpu, f"{target.triple}, {target.f32_lanes} lanes of f32")
