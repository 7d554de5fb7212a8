"""Every pass preserves `evaluate(module)`, leaves a module that verifies and round-trips, and every
exact rule holds bit for bit on special values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlc.evaluate import AdtValue, ListValue, run
from dlc.ir.core import Function, Module, Op
from dlc.ir.printer import print_module
from dlc.ir.reader import read_module
from dlc.ops.build import Builder
from dlc.ops.verify import verify
from dlc.passes.fold import fold_constants
from dlc.passes.inline import bind_dims
from dlc.passes.pipeline import PASSES
from dlc.passes.rules.algebra import RULES, Licence
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import BOOL, F32, I32
from dlc.typesys.types import AdtType, TensorType

PROGRAMS = [
    p
    for p in sorted((Path(__file__).parent / "autodiff").glob("*.ir"))
    if "value_and_grad" not in p.read_text()
]
SIZES = {"N": 4, "V": 5, "H": 3}


def tree(rng: np.random.Generator, leaves: int) -> Any:
    if leaves == 1:
        return ("Leaf", int(rng.integers(4)))
    k = int(rng.integers(1, leaves))
    return ("Node", tree(rng, k), tree(rng, leaves - k))


def arguments(f: Function, rng: np.random.Generator) -> list[Any]:
    out: list[Any] = []
    for p in f.params:
        if isinstance(p.type, AdtType):
            out.append(tree(rng, int(rng.integers(1, 8))))
        elif p.tensor.dtype.is_int:
            out.append(np.int32(rng.integers(0, 4)))
        else:
            out.append(rng.normal(size=tuple(d.evaluate(SIZES) for d in p.tensor.shape)))
    return out


REASSOCIATING = ("levels", "gathers", "parts")
"""Passes that may change the order of sums: same up to rounding, in f64."""


def close(a: Any, b: Any) -> bool:
    return len(a) == len(b) and all(
        np.allclose(np.asarray(x), np.asarray(y), rtol=1e-11, atol=1e-12)
        for x, y in zip(a, b, strict=True)
    )


def same(a: Any, b: Any) -> bool:
    if isinstance(a, ListValue):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, AdtValue):
        return repr(a) == repr(b)
    if isinstance(a, tuple):
        return all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True))


@pytest.mark.parametrize("name", sorted(PASSES))
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_a_pass_preserves_the_meaning(name: str, path: Path) -> None:
    module = read_module(path.read_text())
    after = PASSES[name].run(module)
    verify(after)
    text = print_module(after)
    assert print_module(read_module(text)) == text
    assert print_module(PASSES[name].run(after)) is not None
    for seed in range(4):
        args = arguments(module.functions["f"], np.random.default_rng(seed))
        agree = close if name in REASSOCIATING else same
        assert agree(run(module, "f", args), run(after, "f", args))


def test_all_passes_in_several_orders() -> None:
    rng = np.random.default_rng(5)
    for path in PROGRAMS:
        module = read_module(path.read_text())
        args = arguments(module.functions["f"], rng)
        want = run(module, "f", args)
        for _ in range(6):
            now = module
            for name in rng.permutation(sorted(set(PASSES).difference(REASSOCIATING))):
                now = PASSES[str(name)].run(now)
                verify(now)
            assert same(run(now, "f", args), want)


SPECIAL = {
    F32: np.array([0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 1e-40, 3e38], np.float32),
    I32: np.array([0, 1, -1, 7, -(2**31), 2**31 - 1, 2, -8, 100], np.int32),
    BOOL: np.array([0, 1, 1, 0, 1, 0, 0, 1, 1], np.bool_),
}
UNARY = {F32: ["neg", "abs"], I32: ["neg", "abs"], BOOL: ["not"]}
BINARY = {
    F32: ["add", "sub", "mul", "div", "max", "pow", "pow"],
    I32: ["add", "sub", "mul", "max", "floordiv"],
    BOOL: ["and", "or"],
}
COMPARE = ["eq", "ne", "lt", "le"]


def random_expression(rng: np.random.Generator) -> tuple[Module, list[Any]]:
    """A straight-line function over special values, with many small constants."""
    t = {d: TensorType(d, (Dim.const(9),)) for d in (F32, I32, BOOL)}
    b = Builder().nested((t[F32], t[I32], t[BOOL]), ("x", "i", "c"))
    pool = {F32: [b.params[0]], I32: [b.params[1]], BOOL: [b.params[2]]}

    def constant(d: Any) -> Any:
        number = rng.choice([0.0, 1.0, -0.0, 2.0]) if d is F32 else rng.integers(0, 2)
        return b.full(float(number) if d is F32 else int(number), t[d])

    for _ in range(14):
        d = [F32, I32, BOOL][int(rng.integers(3))]

        def pick(d: Any = d) -> Any:
            if rng.random() < 0.35:
                return constant(d)
            return pool[d][int(rng.integers(len(pool[d])))]

        kind = int(rng.integers(9))
        if kind == 0:
            v = b.emit(str(rng.choice(UNARY[d])), pick())
        elif kind == 1 and d is not BOOL:
            v, d = b.emit(str(rng.choice(COMPARE)), pick(), pick()), BOOL
        elif kind == 2:
            c = constant(BOOL) if rng.random() < 0.5 else pool[BOOL][-1]
            v = b.emit("select", c, pick(), pick())
        elif kind == 3 and rng.random() < 0.5:
            v = b.emit_typed("retype", t[d], pick())
        elif kind == 3:
            v = b.emit("convert", pick(), dtype=d)
        elif kind == 4:
            two = b.emit("reshape", pick(), shape=(3, 3))
            if rng.random() < 0.5:
                two = b.emit("transpose", b.emit("transpose", two, perm=(1, 0)), perm=(1, 0))
            v = b.emit("reshape", b.emit("reshape", two, shape=(9, 1)), shape=(9,))
        elif kind == 5:
            v = b.emit("reverse", pick(), axis=0)
            v = b.emit("reverse", v, axis=0) if rng.random() < 0.7 else v
        elif kind == 6:
            at = b.scalar(int(rng.integers(9)), I32)
            e = b.emit("index", pick(), at, in_bounds=True)
            new = b.emit("insert", pick(), e, at, in_bounds=True)
            v = b.emit("broadcast", b.emit("index", new, at, in_bounds=True), shape=(9,))
        elif kind == 7:
            two = b.emit("reshape", pick(), shape=(3, 3))
            row = b.emit("index", two, b.scalar(1, I32), in_bounds=True)
            e = b.emit("index", row, b.scalar(2, I32), in_bounds=True)
            v = b.emit("broadcast", b.emit("broadcast", e, shape=(9,)), shape=(9,))
        else:
            name = str(rng.choice(BINARY[d]))
            right = b.full(1, t[I32]) if name == "floordiv" else pick()
            v = b.emit(name, pick(), right)
        pool[d].append(v)
    outs = [pool[d][-1] for d in (F32, I32, BOOL)]
    fn = b.function("f", (), b.return_(*outs))
    return Module.of({}, {"f": fn}), [SPECIAL[F32], SPECIAL[I32], SPECIAL[BOOL]]


def bits(x: Any) -> Any:
    a = np.asarray(x)
    if a.dtype.kind != "f":
        return a
    # There is one NaN in the language: its bits are not compared.
    return np.where(np.isnan(a), np.int32(-1), a.view(np.int32))


def test_exact_rules_hold_bit_for_bit() -> None:
    fired: set[str] = set()
    undo: list[tuple[Any, Any]] = []
    for op, rules in RULES.items():
        for rule in rules:
            original = rule.apply

            def apply(m: Any, original: Any = original, name: str = rule.name) -> Any:
                out = original(m)
                if out is not None:
                    fired.add(name)
                return out

            # The rule is frozen; its function is put back when the test ends.
            object.__setattr__(rule, "apply", apply)
            undo.append((rule, original))
            assert op in rule.name
    rng = np.random.default_rng(11)
    try:
        with np.errstate(all="ignore"):
            for _ in range(700):
                module, args = random_expression(rng)
                after = fold_constants(module)
                verify(after)
                want, got = run(module, "f", args), run(after, "f", args)
                for w, g in zip(want, got, strict=True):
                    assert np.array_equal(bits(w), bits(g)), print_module(module)
    finally:
        for rule, original in undo:
            object.__setattr__(rule, "apply", original)
    exact = {r.name for rules in RULES.values() for r in rules if r.licence is Licence.EXACT}
    assert exact <= fired, sorted(exact - fired)


def test_constants_fold_to_constants() -> None:
    module = read_module(
        """
fn @f() -> (i32, f32[2]) {public=true} {
  %a = const {value=3} : i32
  %b = const {value=4} : i32
  %c = mul %a, %b : i32
  %t = const {value=array(f32, [2], [1.0, 2.0])} : f32[2]
  %u = mul %t, %t : f32[2]
  return %c, %u
}
"""
    )
    after = PASSES["dce"].run(fold_constants(module))
    names = [op.name for op in after.functions["f"].body.ops]
    assert names == ["const", "const", "return"]


def test_a_failing_operation_stays() -> None:
    """An unused division that may fail, and one in a loop that may not run, keep their places."""
    text = """
fn @f(%a: i32, %n: i32) -> (i32) {public=true} {
  %z = const {value=0} : i32
  %unused = floordiv %n, %a : i32
  %r = for %z, %n, %z
    (%i: i32, %s: i32) {
      %q = floordiv %n, %a : i32
      %s2 = add %s, %q : i32
      yield %s2
    } : i32
  return %r
}
"""
    module = read_module(text)
    dce, licm = PASSES["dce"].run(module), PASSES["licm"].run(module)
    assert "floordiv" in [op.name for op in dce.functions["f"].body.ops]
    loop = next(op for op in licm.functions["f"].body.ops if op.name == "for")
    assert "floordiv" in [op.name for op in loop.regions[0].ops]


def test_binding_dims_specialises_what_is_called() -> None:
    module = read_module((PROGRAMS[0].parent / "tree.ir").read_text())
    marked = Module.of(module.types, module.functions)
    bound = bind_dims(marked, "f", {"V": 5, "H": 3})
    verify(bound)
    assert bound.functions["f"].dims == ()
    rng = np.random.default_rng(3)
    args = arguments(module.functions["f"], rng)
    assert same(run(module, "f", args), run(bound, "f", args))
    called = [op.attr_str("fn") for op in _calls(bound.functions["f"])]
    assert called and all(bound.functions[c].dims == () for c in called)


def _calls(f: Function) -> list[Op]:
    return [op for op in f.body.ops if op.name == "call"]


def test_operations_on_equal_numbers_are_done_once() -> None:
    """An exponent, a denominator, an epsilon that is a number everywhere, of any size."""
    text = """
fn @f[N](%x: f32[N]) -> (f32[N]) {public=true} {
  %a = const {value=3.0} : f32
  %b = broadcast %a {shape=[dim(N)]} : f32[N]
  %one = const {value=1.0} : f32
  %ones = broadcast %one {shape=[dim(N)]} : f32[N]
  %n = sub %b, %ones : f32[N]
  %none = eq %n, %ones : bool[N]
  %m = select %none, %x, %n : f32[N]
  %y = pow %x, %m : f32[N]
  return %y
}
"""
    module = read_module(text)
    after = PASSES["dce"].run(fold_constants(module))
    assert [op.name for op in after.functions["f"].body.ops] == ["mul", "return"]
    x = np.array([-1.5, 0.0, 7.0], np.float32)
    for got in (run(module, "f", [x]), run(verify(after), "f", [x])):
        assert np.array_equal(got[0], x * x)


def test_parts_of_products_are_products_of_parts() -> None:
    """What the loop does not change is multiplied before it, and only the part that is read is
    multiplied; a product that is read whole as well stays."""
    text = """
fn @f[X, Y, H](%w: f64[H, X + Y], %x: f64[X], %y0: f64[Y], %n: i32) -> (f64[Y]) {public=true} {
  %z = const {value=0} : i32
  %at = dim {dtype=dtype(i32), value=dim(X)} : i32
  %r = for %z, %n, %y0
    (%i: i32, %y: f64[Y]) {
      %c = concat %x, %y {axis=0} : f64[X + Y]
      %h = contract %w, %c {spec="hk,k->h"} : f64[H]
      %t = tanh %h : f64[H]
      %d = contract %t, %w {spec="h,hk->k"} : f64[X + Y]
      %p = slice %d, %at {axis=0, in_bounds=true, size=dim(Y)} : f64[Y]
      %e = contract %t, %w {spec="h,hk->k"} : f64[X + Y]
      %q = slice %e, %z {axis=0, in_bounds=true, size=dim(Y)} : f64[Y]
      %s = reduce %e {axes=[0], kind="sum"} : f64
      %b = broadcast %s {shape=[dim(Y)]} : f64[Y]
      %u = add %p, %q : f64[Y]
      %v = add %u, %b : f64[Y]
      yield %v
    } : f64[Y]
  return %r
}
"""
    module = verify(read_module(text))
    after = verify(PASSES["dce"].run(PASSES["licm"].run(PASSES["parts"].run(module))))
    fn = after.functions["f"]
    loop = next(op for op in fn.body.ops if op.name == "for")
    assert [op.name for op in fn.body.ops].count("contract") == 1
    inside = [op for op in loop.regions[0].ops if op.name == "contract"]
    assert [str(op.result.tensor.shape[0]) for op in inside] == ["H", "Y", "X+Y"]
    assert not any(op.name == "concat" for op in loop.regions[0].ops)
    rng = np.random.default_rng(5)
    args = [0.3 * rng.normal(size=(3, 5)), rng.normal(size=3), rng.normal(size=2)]
    for n in (0, 1, 4):
        (want,), (got,) = (run(m, "f", [*args, n]) for m in (module, after))
        assert np.allclose(want, got, rtol=1e-12, atol=1e-12)


def test_a_part_that_each_turn_makes_is_not_known_earlier() -> None:
    """Both pieces change in the loop, one of them as a part of a product: nothing is split."""
    text = """
fn @f[H](%u: f64[H, 2*H], %y0: f64[H], %n: i32) -> (f64[H]) {public=true} {
  %z = const {value=0} : i32
  %r = for %z, %n, %y0
    (%i: i32, %y: f64[H]) {
      %d = contract %y, %u {spec="h,hk->k"} : f64[2*H]
      %p = slice %d, %z {axis=0, in_bounds=true, size=dim(H)} : f64[H]
      %c = concat %p, %y {axis=0} : f64[2*H]
      %h = contract %u, %c {spec="hk,k->h"} : f64[H]
      yield %h
    } : f64[H]
  return %r
}
"""
    after = PASSES["dce"].run(PASSES["parts"].run(verify(read_module(text))))
    loop = next(op for op in verify(after).functions["f"].body.ops if op.name == "for")
    assert [op.name for op in loop.regions[0].ops] == [
        "slice", "contract", "concat", "contract", "yield",
    ]  # fmt: skip
