"""Gradients of IR programs with every construct: against exact directional derivatives (complex
step through the evaluator), at first and second order, before and after all passes; and the
transform's own invariants.

Each `autodiff/*.ir` defines `@f`, whose first result is a scalar; the gradient is taken with
respect to its float tensor parameters.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlc.autodiff.expand import differentiate
from dlc.evaluate import ListValue, complex_step, run
from dlc.ir.core import Function, Module, walk
from dlc.ir.printer import print_module
from dlc.ir.reader import read_module
from dlc.ops.verify import verify
from dlc.passes.base import run_passes
from dlc.passes.pipeline import AFTER_AUTODIFF, BEFORE_AUTODIFF
from dlc.typesys.types import AdtType, TensorType

PROGRAMS = sorted((Path(__file__).parent / "autodiff").glob("*.ir"))
SIZES = {"N": 4, "V": 5, "H": 3}


def tree(rng: np.random.Generator, leaves: int, words: int) -> Any:
    if leaves == 1:
        return ("Leaf", int(rng.integers(words)))
    k = int(rng.integers(1, leaves))
    return ("Node", tree(rng, k, words), tree(rng, leaves - k, words))


def arguments(f: Function, rng: np.random.Generator, sizes: dict[str, int]) -> list[Any]:
    out: list[Any] = []
    for p in f.params:
        if isinstance(p.type, AdtType):
            out.append(tree(rng, int(rng.integers(1, 8)), sizes["N"] if "V" not in f.dims else 5))
        elif p.tensor.dtype.is_int:
            out.append(np.int32(rng.integers(0, 4)))
        else:
            out.append(rng.normal(size=tuple(d.evaluate(sizes) for d in p.tensor.shape)))
    return out


def floats(f: Function) -> list[int]:
    return [
        i
        for i, p in enumerate(f.params)
        if isinstance(p.type, TensorType) and p.type.dtype.is_float
    ]


def with_gradient(module: Module, fn: str, name: str, rows: bool = False) -> Module:
    """The module and a public function `name` that gives value and gradients of `fn`."""
    f = module.functions[fn]
    wrt = floats(f)
    dims = f"[{', '.join(f.dims)}]" if f.dims else ""
    params = ", ".join(f"%p{i}: {p.type}" for i, p in enumerate(f.params))
    args = ", ".join(f"%p{i}" for i in range(len(f.params)))
    given = ", ".join(f"dim({d})" for d in f.dims)
    kinds = [str(f.params[i].type) for i in wrt]
    flags = ", rows=[" + ", ".join(["false"] * len(wrt)) + "]"
    if rows:
        kinds[0] = f"List[i32, {f.params[wrt[0]].tensor.dtype}[{f.params[wrt[0]].tensor.shape[1]}]]"
        flags = ", rows=[" + ", ".join(["true"] + ["false"] * (len(wrt) - 1)) + "]"
    outs = ", ".join(f"%g{i}" for i in range(len(wrt) + 1))
    types = ", ".join(["f64", *kinds])
    text = (
        print_module(module)
        + f"""
fn @{name}{dims}({params}) -> ({types}) {{entry=true, public=true}} {{
  {outs} = value_and_grad {args} {{dims=[{given}], fn="{fn}"{flags}, wrt={wrt}}} : {types}
  return {outs}
}}
"""
    )
    return read_module(text)


def with_scalar_of_gradient(module: Module, fn: str, grad: str, name: str) -> Module:
    """A function `name`: the sum of the sines of all gradients that `grad` gives, a scalar."""
    f = module.functions[fn]
    wrt = floats(f)
    dims = f"[{', '.join(f.dims)}]" if f.dims else ""
    params = ", ".join(f"%p{i}: {p.type}" for i, p in enumerate(f.params))
    args = ", ".join(f"%p{i}" for i in range(len(f.params)))
    given = ", ".join(f"dim({d})" for d in f.dims)
    outs = ", ".join(f"%g{i}" for i in range(len(wrt) + 1))
    types = ", ".join(["f64", *(str(f.params[i].type) for i in wrt)])
    lines = [f'  {outs} = call {args} {{dims=[{given}], fn="{grad}"}} : {types}']
    total = "%g0"
    for k, i in enumerate(wrt):
        t = f.params[i].tensor
        axes = list(range(t.rank))
        lines.append(f"  %s{k} = sin %g{k + 1} : {t}")
        lines.append(f'  %r{k} = reduce %s{k} {{axes={axes}, kind="sum"}} : f64')
        lines.append(f"  %t{k} = add {total}, %r{k} : f64")
        total = f"%t{k}"
    body = "\n".join(lines)
    text = f"\nfn @{name}{dims}({params}) -> (f64) {{\n{body}\n  return {total}\n}}\n"
    return read_module(print_module(module) + text)


def compiled(module: Module) -> Module:
    """All passes around autodiff, verified in between."""
    module, _ = run_passes(module, BEFORE_AUTODIFF, verify=verify)
    module = differentiate(module)
    verify(module)
    module, _ = run_passes(module, AFTER_AUTODIFF, verify=verify)
    return module


def agrees(reference: Module, of: str, module: Module, grad: str, seed: int) -> None:
    """`grad` of `module` against the exact derivative of `of` along random directions."""
    rng = np.random.default_rng(seed)
    f = reference.functions[of]
    args = arguments(f, rng, SIZES)
    out = run(module, grad, args)
    directions = [
        rng.normal(size=np.shape(a)) if i in floats(f) else None for i, a in enumerate(args)
    ]
    _, exact = complex_step(reference, of, args, directions)
    got = 0.0
    for k, i in enumerate(floats(f)):
        g = out[1 + k]
        if isinstance(g, ListValue):
            dense = np.zeros_like(args[i])
            numbers = [int(n) for n, _ in g]
            assert numbers == sorted(set(numbers)), "rows are merged and ascending"
            for n, row in g:
                dense[int(n)] += row
            g = dense
        got += float(np.sum(g * directions[i]))
    want = float(np.real(exact[0]))
    assert abs(got - want) <= 1e-10 * max(1.0, abs(want)), (of, seed, got, want)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_first_order(path: Path) -> None:
    source = read_module(path.read_text())
    module = with_gradient(source, "f", "g")
    plain = differentiate(module)
    verify(plain)
    assert read_module(print_module(plain)) and "%?" not in print_module(plain)
    reference = differentiate(source)
    for seed in range(6):
        agrees(reference, "f", plain, "g", seed)
        agrees(reference, "f", compiled(module), "g", seed)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_second_order(path: Path) -> None:
    """The gradient of a scalar of the gradient: the same pass on its own output."""
    first = with_gradient(read_module(path.read_text()), "f", "g")
    scalar = with_scalar_of_gradient(first, "f", "g", "s")
    module = with_gradient(scalar, "s", "h")
    done = differentiate(module)
    verify(done)
    reference = differentiate(scalar)
    for seed in range(3):
        agrees(reference, "s", done, "h", seed)
    agrees(reference, "s", compiled(module), "h", 7)


def test_rows_of_a_table_that_is_only_gathered_from() -> None:
    source = read_module((PROGRAMS[0].parent / "tree.ir").read_text())
    module = with_gradient(source, "f", "g", rows=True)
    for seed in range(5):
        agrees(source, "f", differentiate(module), "g", seed)
        agrees(source, "f", compiled(module), "g", seed)
    # No dense table of the vocabulary's size is made anywhere.
    for fn in compiled(module).functions.values():
        for op in walk(fn.body):
            for v in op.results:
                assert not (isinstance(v.type, TensorType) and str(v.type) == "f64[V, H]")


def test_differentiating_changes_nothing_else() -> None:
    source = read_module((PROGRAMS[0].parent / "tree.ir").read_text())
    assert print_module(differentiate(source)) == print_module(source)


def test_the_same_text_every_time() -> None:
    for path in PROGRAMS:
        module = with_gradient(read_module(path.read_text()), "f", "g")
        assert print_module(differentiate(module)) == print_module(differentiate(module))
