"""Products with gathered rows become sums of rows; and only those."""

from __future__ import annotations

import numpy as np
import pytest

from dlc.evaluate import run
from dlc.ir.core import Module, walk
from dlc.ir.reader import read_module
from dlc.ops.verify import verify
from dlc.passes.gathers import sum_gathered_rows

SIZES = {"M": 6, "K": 5, "E": 4}


def module(body: str, shape: str = "f64[M, K]", index: str = "i32[E]") -> Module:
    return verify(
        read_module(
            f"""
fn @f[M, K, E](%w: {shape}, %i: {index}, %v: f64[E]) -> (f64[M]) {{entry=true, public=true}} {{
  {body}
  return %y
}}
"""
        )
    )


def names(m: Module) -> list[str]:
    return [op.name for op in walk(m.functions["f"].body)]


CASES = {
    "columns": ("f64[M, K]", 1, "ae,e->a"),
    "columns, vector first": ("f64[M, K]", 1, "e,ae->a"),
    "rows": ("f64[K, M]", 0, "ea,e->a"),
}


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("events", [0, 1, 4, 9])
def test_the_sum_is_the_product(name: str, events: int) -> None:
    shape, axis, spec = CASES[name]
    table = "f64[M, E]" if axis else "f64[E, M]"
    first, second = ("%v", "%t") if spec.startswith("e,") else ("%t", "%v")
    m = module(
        f"""%t = take %w, %i {{axis={axis}, in_bounds=true}} : {table}
  %y = contract {first}, {second} {{spec="{spec}"}} : f64[M]""",
        shape,
    )
    after = verify(sum_gathered_rows(m))
    assert "contract" not in names(after) and "for" in names(after)
    rng = np.random.default_rng(events)
    w = rng.normal(size=(6, 5) if axis else (5, 6))
    args = [w, rng.integers(0, 5, events).astype(np.int32), rng.normal(size=events)]
    (want,), (got,) = run(m, "f", args), run(after, "f", args)
    assert np.allclose(want, got, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(
    ("body", "index"),
    [
        # The gathered table is read again.
        ("""%t = take %w, %i {axis=1, in_bounds=true} : f64[M, E]
  %a = contract %t, %v {spec="ae,e->a"} : f64[M]
  %b = reduce %t {axes=[1], kind="sum"} : f64[M]
  %y = add %a, %b : f64[M]""", "i32[E]"),
        # It may fail, and would fail elsewhere.
        ("""%t = take %w, %i {axis=1} : f64[M, E]
  %y = contract %t, %v {spec="ae,e->a"} : f64[M]""", "i32[E]"),
        # The axis that is gathered stays.
        ("""%t = take %w, %i {axis=1, in_bounds=true} : f64[M, E]
  %q = broadcast %v {shape=[dim(M), dim(E)]} : f64[M, E]
  %y = contract %t, %q {spec="ae,ae->a"} : f64[M]""", "i32[E]"),
    ],
    ids=["read twice", "may fail", "no vector"],
)  # fmt: skip
def test_what_stays(body: str, index: str) -> None:
    m = module(body, index=index)
    assert names(sum_gathered_rows(m)) == names(m)
