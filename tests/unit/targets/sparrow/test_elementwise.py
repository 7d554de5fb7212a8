"""Every element-wise operation, for every element type that the machine has, on tensors and on
scalars."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.evaluate import run
from dlc.ir.reader import read_module
from dlc.ops.elementwise import Elementwise
from dlc.targets.sparrow import run_entry
from dlc.typesys.dtypes import DTYPES, DType
from tests.unit.targets.cpu.emit.test_elementwise import OPS, TOLERANCE, functions, operands
from tests.unit.targets.sparrow.agreement import LACKS, agree, compiled, main, same

HAS = [d for d in DTYPES.values() if d.name not in LACKS]
SIZES = (0, 1, 3, 37)


@pytest.mark.parametrize("card", OPS, ids=lambda c: c.name)
def test_operation(card: Elementwise) -> None:
    dtypes = [d for d in HAS if card.accepts(d)]
    module = read_module("".join(functions(card, d) for d in dtypes))
    program = compiled(module)
    for d in dtypes:
        for n in SIZES:
            xs = operands(card, d, n)
            with np.errstate(all="ignore"):
                (want,) = run(module, d.name, xs)
            (got,) = run_entry(program, d.name, xs).results
            same(got, want, TOLERANCE.get(d.name, 0))
        xs = operands(card, d, 12)
        with np.errstate(all="ignore"):
            (want,) = run(module, d.name, xs)
        for i in range(12):
            (one,) = run_entry(program, f"{d}_scalar", [x[i] for x in xs]).results
            same(one, want[i], TOLERANCE.get(d.name, 0))


@pytest.mark.parametrize("source", HAS, ids=str)
def test_conversions(source: DType) -> None:
    text = ""
    for to in HAS:
        for suffix, shape in (("", "[N]"), ("_scalar", "")):
            dims = "[N]" if shape else ""
            text += f"fn @{to}{suffix}{dims}(%x: {source}{shape}) -> ({to}{shape}) {{entry=true}}"
            text += f" {{\n  %y = convert %x {{dtype=dtype({to})}} : {to}{shape}\n  return %y\n}}\n"
    module, x = read_module(text), numbers(source)
    program = compiled(module)
    for to in HAS:
        with np.errstate(all="ignore"):
            (want,) = run(module, to.name, [x])
        (got,) = run_entry(program, to.name, [x]).results
        same(got, want, 0)
        for i in range(len(x)):
            (one,) = run_entry(program, f"{to}_scalar", [x[i]]).results
            same(one, want[i], 0)


def numbers(d: DType) -> Any:
    if d.is_bool:
        return np.array([True, False])
    if d.is_float:
        given = [0, -0.0, 1.5, -2.5, 200.7, -3e9, 3e9, np.inf, -np.inf, np.nan, 1e-30]
        return np.array(given, np.float32).astype(d.numpy)
    info = np.iinfo(d.numpy)
    return np.array([0, 1, -1, 77, info.min, info.max], d.numpy)


def test_bits() -> None:
    text = ""
    for a, b in (("f32", "i32"), ("i32", "f32")):
        text += f"fn @{a}[N](%x: {a}[N]) -> ({b}[N]) {{entry=true}} {{\n"
        text += f"  %y = bitcast %x {{dtype=dtype({b})}} : {b}[N]\n  return %y\n}}\n"
    module = read_module(text)
    program = compiled(module)
    x = np.array([0, -0.0, 1.5, -3e20, np.inf], np.float32)
    for name, given in (("f32", x), ("i32", x.view(np.int32))):
        (got,) = run_entry(program, name, [given]).results
        assert np.array_equal(got, run(module, name, [given])[0])


@pytest.mark.parametrize("shape", ["[N]", "[N, 3]", "[2, N, 1, 2, 3]"])
def test_positions(shape: str) -> None:
    """Counting tensors that fuse with what is made of them, along any axis."""
    rank = shape.count(",") + 1
    axis = 0 if rank < 3 else 1
    ones = "".join(f"{'N' if k == axis else 1}, " for k in range(rank))[:-2]
    body = "  %i = iota {size=dim(N)} : i32[N]\n"
    body += "  %f = convert %i {dtype=dtype(f32)} : f32[N]\n"
    body += f"  %r = reshape %f {{shape=[{ones.replace('N', 'dim(N)')}]}} : f32[{ones}]\n"
    sizes = shape[1:-1].replace("N", "dim(N)")
    body += f"  %b = broadcast %r {{shape=[{sizes}]}} : f32{shape}\n"
    body += f"  %y = add %b, %x : f32{shape}\n  return %y"
    dims = [5 if s == "N" else int(s) for s in shape[1:-1].split(", ")]
    x = np.random.default_rng(0).standard_normal(dims).astype(np.float32)
    agree(main(f"[N](%x: f32{shape})", f"f32{shape}", body), [x])
