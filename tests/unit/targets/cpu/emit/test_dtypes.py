"""Every tensor operation for every element type that its card takes, against the evaluator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.evaluate import run
from dlc.ir.core import Module
from dlc.ir.reader import read_module
from dlc.ops.verify import verify
from dlc.typesys.dtypes import DTYPES, DType
from tests.unit.targets.cpu.emit.agreement import QUICK, native, same

PARAMS = {
    "x": "{d}[A, B]", "i": "i32[J]", "ib": "i32[B]", "v": "{d}[B]", "vv": "{d}[J, B]",
    "s": "i64[R + 1]", "c": "{d}[1, 2, 5, 5]", "k": "{d}[2, 2, 2, 2]", "pg": "{d}[1, 2, 4, 4]",
}  # fmt: skip
DIMS = {"A": 4, "B": 19, "J": 6, "R": 3}
KINDS = ("sum", "max", "min", "prod", "any", "all")
WINDOWS = "{d}[1, 2, 4, 4]"
OPS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "reduce": ('%x {{kind="{k}", axes=[0]}}', "{d}[B]", KINDS),
    "argmax": ("%x {{axis=0}}", "i32[B]", ("",)),
    "argmin": ("%x {{axis=1}}", "i32[A]", ("",)),
    "cumsum": ("%x {{axis=0}}", "{d}[A, B]", ("",)),
    "sort": ("%x {{axis=0}}", "{d}[A, B], i32[A, B]", ("",)),
    "top_k": ("%x {{axis=1, k=2}}", "{d}[A, 2], i32[A, 2]", ("",)),
    "take": ("%x, %i", "{d}[J, B]", ("",)),
    "take_along": ("%x, %ib {{axis=0}}", "{d}[B]", ("",)),
    "add_along": ("%x, %ib, %v {{axis=0}}", "{d}[A, B]", ("",)),
    "scatter": ("%x, %i, %vv", "{d}[A, B]", ("",)),
    "scatter_add": ("%x, %i, %vv", "{d}[A, B]", ("",)),
    "scatter_max": ("%x, %i, %vv", "{d}[A, B]", ("",)),
    "scatter_min": ("%x, %i, %vv", "{d}[A, B]", ("",)),
    "segment_reduce": ('%x, %s {{kind="{k}"}}', "{d}[R, B]", KINDS),
    "contract": ('%x, %x {{spec="{k}"}}', "{d}[A]", ("ij,ij->i",)),
    "conv": ("%c, %k", WINDOWS, ("",)),
    "conv_input_grad": ("%pg, %k {{shape=[1, 2, 5, 5]}}", "{d}[1, 2, 5, 5]", ("",)),
    "conv_weight_grad": ("%c, %pg {{shape=[2, 2, 2, 2]}}", "{d}[2, 2, 2, 2]", ("",)),
    "pool": ('%c {{kind="{k}", size=[2, 2]}}', WINDOWS, ("max", "mean")),
    "pool_grad": ('%c, %pg {{kind="{k}", size=[2, 2]}}', "{d}[1, 2, 5, 5]", ("max", "mean")),
    "concat": ("%x, %x {{axis=0}}", "{d}[2*A, B]", ("",)),
    "reverse": ("%x {{axis=0}}", "{d}[A, B]", ("",)),
    "transpose": ("%x {{perm=[1, 0]}}", "{d}[B, A]", ("",)),
}
TOLERANCE = {"f64": 1e-11, "f32": 1e-4, "f16": 3e-2, "bf16": 0.2}


def function(name: str, op: str, kind: str, d: DType) -> Module:
    args, result, _ = OPS[op]
    args, result = args.format(k=kind, d=d), result.format(d=d)
    params = ", ".join(f"%{p}: {t.format(d=d)}" for p, t in PARAMS.items())
    names = ", ".join(f"%y{i}" for i in range(1 + result.count("], ")))
    head = f"fn @{name}[A, B, J, R]({params}) -> ({result}) {{entry=true}}"
    return read_module(f"{head} {{\n{names} = {op} {args} : {result}\nreturn {names}\n}}")


def accepted(m: Module) -> bool:
    from dlc.diag import InternalError

    try:
        verify(m)
    except InternalError:
        return False
    return True


def arguments(d: DType) -> list[Any]:
    rng = np.random.default_rng(4)
    out: list[Any] = []
    for name, t in PARAMS.items():
        if name == "s":
            out.append(np.array([0, 1, 1, 4], np.int64))
            continue
        dims = t.split("[")[1].rstrip("]").split(", ")
        shape = [DIMS[n] if n in DIMS else int(n) for n in dims]
        if t.startswith("i32"):
            out.append(rng.integers(0, DIMS["A"], shape).astype(np.int32))
        else:
            low = -3 if d.signed else 0
            numbers = rng.integers(low, 4, shape) if not d.is_float else rng.standard_normal(shape)
            out.append((numbers > 0) if d.is_bool else numbers.astype(d.numpy))
    return out


@pytest.mark.parametrize("op", OPS)
def test_operation(op: str) -> None:
    functions: dict[str, tuple[Any, DType]] = {}
    for d in DTYPES.values():
        for n, kind in enumerate(OPS[op][2]):
            name = f"{d}_{n}"
            m = function(name, op, kind, d)
            if accepted(m):
                functions[name] = (m.functions[name], d)
    assert functions
    module = Module.of({}, {name: fn for name, (fn, _) in functions.items()})
    compiled = native(module, QUICK)
    for name, (_, d) in functions.items():
        args = arguments(d)
        want = run(module, name, args)
        got = compiled.call(name, args)
        for g, w in zip(got, want, strict=True):
            same(g, w, TOLERANCE.get(d.name, 0))
