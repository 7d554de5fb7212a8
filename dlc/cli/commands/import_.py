"""`dlc import`: an ONNX model as a program in dl, with its weights beside it."""

from __future__ import annotations

from pathlib import Path

import click

from dlc.cli.outcome import emit, json_option, report, say, wants_json
from dlc.cli.program import bind_option


@click.command(help="Write an ONNX model as a program in dl, and its weights as safetensors.")
@click.argument("model")
@click.option("-o", "--out", metavar="FILE.dl", help="Where; `-` shows the program alone.")
@bind_option
@click.option("--force", is_flag=True, help="Replace files that are there.")
@json_option
def command(model: str, out: str | None, bind: tuple[str, ...], force: bool, as_json: bool) -> None:
    from dlc.artifact.publish import write_file
    from dlc.artifact.weights.files import safetensors_bytes
    from dlc.cli.program import parse_bind
    from dlc.driver.onnx import OnnxModel, is_onnx
    from dlc.driver.stack import deep
    from dlc.importers.model import import_onnx
    from dlc.importers.source.write import write

    if not is_onnx(model):
        raise click.UsageError(f"{model}: an ONNX model is a file *.onnx")
    numbers = parse_bind(bind)
    main = OnnxModel.of(model).main
    path = Path(f"{main}.dl") if out is None else Path(out)
    if out != "-" and path.suffix != ".dl":
        raise click.UsageError(f"-o {out}: a program is a file *.dl")
    weights = path.with_suffix(".safetensors")
    if out != "-" and not force:
        for there in (path, weights):
            if there.exists():
                raise click.UsageError(f"{there} is there already; --force replaces it")
    made = import_onnx(Path(model), bind=numbers)
    if made.warnings and not wants_json():
        report(made.warnings, as_json=False)
    source = deep(lambda: write(made, main if out == "-" else path.stem))
    if out == "-":
        click.echo(source.text, nl=False)
        return
    files = [str(path)]
    write_file(path, source.text.encode())
    if source.weights:
        write_file(weights, safetensors_bytes(dict(source.weights)))
        files.append(str(weights))
    if as_json:
        emit({"files": files, "operators": len(made.places), "weights": len(source.weights)})
    else:
        say("\n".join(f"wrote {f}" for f in files))
