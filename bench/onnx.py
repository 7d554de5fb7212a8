"""ONNX models, one thread: milliseconds of a call, ours beside ONNX Runtime, in one run.

    python -m bench onnx [--models FOLDER …] [--dense FOLDER] [--python PYTHON] [--only NAME …]

`--models` holds folders with `model.onnx` and `test_data_set_0` (`../shared/data/onnx_models`
beside the project if left out), `--dense` files NAME.onnx with NAME.npz (`x`, `y`), as
`../shared/bench/peers/dense_models.py --models FOLDER` writes them. PYTHON is an interpreter that
has onnxruntime. Each side has a process of its own, and they alternate; a side's number is the
median over rounds of its best call in each. ONNX Runtime optimises as it does by default.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
MODELS = ROOT.parent / "shared" / "data" / "onnx_models"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Subject:
    """A model, and an npz of its inputs by name and its expected outputs `y0`, `y1`, …"""

    name: str
    model: Path
    data: Path


# -- in the workers


def measured(call: Any, seconds: float) -> float:
    """Seconds of the best call of some."""
    call()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def ours(model: str, inputs: dict[str, Any]) -> tuple[Any, dict[str, float]]:
    """A call, and what making it took. Open dims are bound to the inputs' sizes."""
    import dlc
    from dlc.importers.emission import identifier
    from dlc.importers.model import import_onnx

    start = time.perf_counter()
    made = import_onnx(Path(model))
    bind = {
        d.name: size
        for p, x in zip(made.inputs, inputs.values(), strict=True)
        for d, size in zip(p.type.shape, np.shape(x), strict=True)  # type: ignore[union-attr]
        if d.name is not None
    }
    net = dlc.compile(model, bind=bind)
    compiled = time.perf_counter() - start
    given = {identifier(n): np.array(x, order="C") for n, x in inputs.items()}
    args = [given[p.identifier] for p in made.inputs]  # type: ignore[union-attr]
    args = [a if a.ndim else a[()] for a in args]
    return lambda: net.main(*args), {"compile": compiled}


def theirs(model: str, inputs: dict[str, Any]) -> tuple[Any, dict[str, float]]:
    import onnxruntime as ort  # pyright: ignore[reportMissingImports]

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    start = time.perf_counter()
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    compiled = time.perf_counter() - start
    return lambda: session.run(None, inputs), {"compile": compiled}


def worker(side: str, model: str, data: str, seconds: float) -> None:
    """Prints one JSON object: seconds of a call, of making it, and the largest deviation."""
    with np.load(data) as opened:
        inputs = {n: opened[n] for n in opened.files if not n.startswith("y:")}
        want = [opened[n] for n in opened.files if n.startswith("y:")]
    call, more = (ours if side == "ours" else theirs)(model, inputs)
    got = call()
    results = list(got) if isinstance(got, (tuple, list)) else [got]
    apart = max(
        float(np.max(np.abs(np.asarray(a, np.float64) - b)) / max(1.0, float(np.abs(b).max())))
        for a, b in zip(results, want, strict=True)
    )
    print(json.dumps({"call": measured(call, seconds), "apart": apart, **more}))


# -- the one that asks


def subjects(models: Path, dense: Path | None, scratch: Path) -> list[Subject]:
    """The models that are there."""
    found: list[Subject] = []
    for model in sorted(models.glob("*/model.onnx")):
        name = model.parent.name
        found.append(Subject(name, model, _from_protobuf(model, scratch / f"{name}.npz")))
    for model in sorted(dense.glob("*.onnx")) if dense is not None else ():
        with np.load(model.with_suffix(".npz")) as opened:
            data = scratch / f"{model.stem}.npz"
            np.savez(data, **{"x": opened["x"], "y:0": opened["y"]})
        found.append(Subject(model.stem, model, data))
    return found


def _from_protobuf(model: Path, data: Path) -> Path:
    """The first set of test data as one npz."""
    import onnx
    from onnx import numpy_helper

    loaded = onnx.load(str(model), load_external_data=False)
    stored = {t.name for t in loaded.graph.initializer}
    names = [v.name for v in loaded.graph.input if v.name not in stored]

    def arrays(kind: str) -> list[Any]:
        folder, out = model.parent / "test_data_set_0", []
        for i in range(len(list(folder.glob(f"{kind}_*.pb")))):
            t = onnx.TensorProto()
            t.ParseFromString((folder / f"{kind}_{i}.pb").read_bytes())
            out.append(numpy_helper.to_array(t))
        return out

    given = dict(zip(names, arrays("input"), strict=True))
    np.savez(data, **given, **{f"y:{i}": y for i, y in enumerate(arrays("output"))})
    return data


def asked(python: str, side: str, s: Subject, seconds: float) -> dict[str, float]:
    # -P: this file's folder must not hide the package onnx.
    line = [
        python,
        "-P",
        str(Path(__file__)),
        "--worker",
        side,
        str(s.model),
        str(s.data),
        str(seconds),
    ]
    env = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{s.name}, {side}: {done.stderr[-800:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("python -m bench onnx", description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--dense", type=Path)
    parser.add_argument("--python", help="an interpreter with onnxruntime")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.7, help="of one round of one side")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    from tempfile import TemporaryDirectory

    rows: list[dict[str, Any]] = []
    print(f"{'model':18}{'ours ms':>10}{'ORT ms':>10}{'ratio':>8}{'compile s':>11}{'apart':>10}")
    with TemporaryDirectory() as scratch:
        for s in subjects(args.models, args.dense, Path(scratch)):
            if args.only and s.name not in args.only:
                continue
            rows.append(_row(s, args))
    ratios = [r["ratio"] for r in rows if r["ratio"]]
    if ratios:
        print(f"geometric mean of the ratios: {float(np.exp(np.mean(np.log(ratios)))):.2f}")
    if args.json is not None:
        args.json.write_text(json.dumps(rows, indent=1))


def _row(s: Subject, args: argparse.Namespace) -> dict[str, Any]:
    mine: list[dict[str, float]] = []
    other: list[dict[str, float]] = []
    for _ in range(args.rounds):
        mine.append(asked(sys.executable, "ours", s, args.seconds))
        if args.python:
            other.append(asked(args.python, "theirs", s, args.seconds))
    a = median(r["call"] for r in mine)
    b = median(r["call"] for r in other) if other else None
    row = {
        "name": s.name, "ours": a, "theirs": b, "ratio": None if b is None else a / b,
        "compile": median(r["compile"] for r in mine), "apart": mine[0]["apart"],
    }  # fmt: skip
    shown = ("", "") if b is None else (f"{b * 1e3:.3f}", f"{a / b:.2f}")
    print(
        f"{s.name:18}{a * 1e3:>10.3f}{shown[0]:>10}{shown[1]:>8}{row['compile']:>11.1f}"
        f"{row['apart']:>10.1e}",
        flush=True,
    )
    return row


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2], sys.argv[3], sys.argv[4], float(sys.argv[5]))
    else:
        main(sys.argv[1:])
