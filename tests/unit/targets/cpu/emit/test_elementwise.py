"""Every element-wise operation, for every element type, on tensors and on scalars."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.evaluate import run
from dlc.ir.reader import read_module
from dlc.ops.card import Trait
from dlc.ops.elementwise import Elementwise
from dlc.ops.registry import CARDS
from dlc.typesys.dtypes import BOOL, DTYPES, DType
from tests.unit.targets.cpu.emit.agreement import QUICK, agree, main, native, same

SEED = 5
SIZES = (0, 1, 3, 37)
TOLERANCE = {"f64": 1e-12, "f32": 1e-5, "f16": 2e-3, "bf16": 2e-2}
OPS = [c for c in CARDS.values() if isinstance(c, Elementwise) and Trait.ELEMENTWISE in c.traits]
Array = np.ndarray[Any, Any]


def numbers(d: DType, n: int, operand: int) -> Array:
    """Random elements with the special ones in front."""
    rng = np.random.default_rng(SEED + operand)
    if d.is_bool:
        return rng.integers(0, 2, n).astype(bool)
    if d.is_int:
        info = np.iinfo(d.numpy)
        x = rng.integers(info.min, info.max, n, dtype=d.numpy, endpoint=True)
        small = rng.integers(-5 if d.signed else 0, 6, n).astype(d.numpy)
        x[::3] = small[::3]
        if n > 4:
            x[1], x[4] = info.min, info.max
        if n > 4 and operand:
            x[1] = -1 if d.signed else 1
        return x
    x = rng.standard_normal(n) * 3
    special = [0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 0.5, 100]
    x[: len(special)] = special[:n]
    return np.roll(x, 2 * operand).astype(d.numpy)


def operands(card: Elementwise, d: DType, n: int) -> list[Array]:
    xs = [numbers(d, n, i) for i in range(len(card.operands))]
    if card.name in ("floordiv", "mod") and d.is_int:
        xs[1][xs[1] == 0] = 1
    if card.name == "pow" and d.is_int:
        xs[1] = xs[1] % np.asarray(7, d.numpy)
    return xs


def functions(card: Elementwise, d: DType) -> str:
    result = "bool" if CARDS[card.name] is card and card._to_bool else d.name
    names = [f"%x{i}" for i in range(len(card.operands))]
    out = ""
    for suffix, shape in (("", "[N]"), ("_scalar", "")):
        params = ", ".join(f"{x}: {d}{shape}" for x in names)
        dims = "[N]" if shape else ""
        out += f"fn @{d}{suffix}{dims}({params}) -> ({result}{shape}) {{entry=true}} {{\n"
        out += f"  %y = {card.name} {', '.join(names)} : {result}{shape}\n  return %y\n}}\n"
    return out


@pytest.mark.parametrize("card", OPS, ids=lambda c: c.name)
def test_operation(card: Elementwise) -> None:
    dtypes = [d for d in DTYPES.values() if card.accepts(d)]
    module = read_module("".join(functions(card, d) for d in dtypes))
    compiled = native(module, QUICK)
    for d in dtypes:
        for n in SIZES:
            xs = operands(card, d, n)
            with np.errstate(all="ignore"):
                (want,) = run(module, d.name, xs)
            (got,) = compiled.call(d.name, xs)
            same(got, want, TOLERANCE.get(d.name, 0))
            for i in range(min(n, 9)):
                (one,) = compiled.call(f"{d}_scalar", [x[i] for x in xs])
                assert one.tobytes() == got[i].tobytes() or (one != one and got[i] != got[i])


def test_same_bits_in_vectors_and_tails() -> None:
    compiled = native(main("[N](%x: f32[N])", "f32[N]", "%y = tanh %x : f32[N]\nreturn %y"))
    x = numbers(DTYPES["f32"], 100, 0)
    whole = compiled.call("main", [x])[0]
    for n in range(1, 40):
        part = compiled.call("main", [x[:n].copy()])[0]
        assert part.tobytes() == whole[:n].tobytes(), n


@pytest.mark.parametrize("source", DTYPES.values(), ids=str)
def test_conversions(source: DType) -> None:
    text = ""
    for to in DTYPES.values():
        ops = ["convert"]
        if source.bits == to.bits and not source.is_bool and not to.is_bool:
            ops.append("bitcast")
        for op in ops:
            text += f"fn @{op}_{to}[N](%x: {source}[N]) -> ({to}[N]) {{entry=true}} {{\n"
            text += f"  %y = {op} %x {{dtype=dtype({to})}} : {to}[N]\n  return %y\n}}\n"
    module = read_module(text)
    compiled = native(module, QUICK)
    for fn in module.functions:
        for n in (1, 37):
            x = numbers(source, n, 0)
            with np.errstate(all="ignore"):
                (want,) = run(module, fn, [x])
            same(compiled.call(fn, [x])[0], want, 0)


@pytest.mark.parametrize("d", DTYPES.values(), ids=str)
def test_select(d: DType) -> None:
    body = f"%y = select %c, %a, %b : {d}[N]\nreturn %y"
    text = main(f"[N](%c: bool[N], %a: {d}[N], %b: {d}[N])", f"{d}[N]", body)
    agree(text, [numbers(BOOL, 37, 0), numbers(d, 37, 0), numbers(d, 37, 1)])


@pytest.mark.parametrize("op", ["floordiv", "mod"])
def test_division_by_zero_is_a_status_in_any_lane(op: str) -> None:
    text = main("[N](%a: i32[N], %b: i32[N])", "i32[N]", f"%y = {op} %a, %b : i32[N]\nreturn %y")
    cases = []
    for n in (1, 3, 16, 33):
        for at in {0, n // 2, n - 1}:
            b = np.full(n, -2, np.int32)
            b[at] = 0
            cases += [[np.full(n, 7, np.int32), b], [np.full(n, 7, np.int32), np.abs(b) + 1]]
    agree(text, *cases)
    text = main("(%a: i32, %b: i32)", "i32", f"%y = {op} %a, %b : i32\nreturn %y")
    agree(text, *([np.int32(a), np.int32(b)] for a in (7, -7) for b in (0, 2, -2)))


FUSED = """
  %t = transpose %m {perm=[1, 0]} : f32[A, B]
  %r = broadcast %v {shape=[dim(A), dim(B)]} : f32[A, B]
  %s = broadcast %k {shape=[dim(A), dim(B)]} : f32[A, B]
  %x = add %t, %r : f32[A, B]
  %c = gt %x, %s : bool[A, B]
  %e = exp %x : f32[A, B]
  %y = select %c, %e, %r : f32[A, B]
  return %y, %c
"""


def test_strides_and_mixed_types() -> None:
    signature = "[A, B](%m: f32[B, A], %v: f32[B], %k: f32)"
    rng = np.random.default_rng(SEED)
    cases = [
        [*(rng.standard_normal(n, np.float32) for n in ((b, a), b)), np.float32(0.3)]
        for a, b in ((1, 1), (3, 5), (17, 40), (40, 17), (0, 3), (3, 0))
    ]
    agree(main(signature, "f32[A, B], bool[A, B]", FUSED), *cases)


INDEXED = """
  %y = map %x {shape=[dim(A), dim(B)], indexed=true}
    (%i: i32, %j: i32, %e: f32) {
      %fi = convert %i {dtype=dtype(f32)} : f32
      %fj = convert %j {dtype=dtype(f32)} : f32
      %ten = const {value=10.0} : f32
      %p = mul %fi, %ten : f32
      %q = add %p, %fj : f32
      %z = add %q, %e : f32
      yield %z
    } : f32[A, B]
  return %y
"""


def test_indices_as_lanes() -> None:
    cases = [[np.ones(s, np.float32)] for s in ((1, 1), (3, 5), (1, 20), (20, 1), (2, 33))]
    agree(main("[A, B](%x: f32[A, B])", "f32[A, B]", INDEXED), *cases)
