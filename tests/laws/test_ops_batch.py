"""The batching rule of every card is a loop over the rows, for every choice of mapped operands."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import tests.laws.ops_makers  # noqa: F401
from dlc.evaluate import Limits, run
from dlc.ir.core import Module
from dlc.ops.card import NotBatchable
from dlc.ops.registry import CARDS
from dlc.ops.tolerance import mismatch
from dlc.ops.verify import verify
from dlc.typesys.dtypes import F32, I32
from dlc.typesys.types import TensorType
from tests.laws.ops_cases import MAKERS, Case, case, dtypes_of
from tests.laws.ops_drivers import batched_function

SEEDS = range(5)
"""Uses of each operation in the fast tier; the full tier has 40."""


@pytest.fixture(name="seeds")
def _seeds(pytestconfig: pytest.Config) -> range:
    return range(40) if pytestconfig.getoption("--full") else SEEDS


ROWS = (0, 1, 3)

REFUSED = {
    "nonzero_indices", "as_dim", "check_segments", "random_bits", "random_uniform", "key_split",
    "conv_weight_grad", "list_len", "list_get", "list_set", "list_push", "list_pop", "list_fill",
}  # fmt: skip
"""Cards whose rule refuses, whatever is mapped."""

BATCHED = sorted(n for n in MAKERS if n not in REFUSED and CARDS[n].operands)


def rows_of(c: Case, i: int, rows: int, seed: int) -> list[Any]:
    """Values for operand i in each row: other uses of the same operation at the same sizes."""
    rng = np.random.default_rng([seed, i])
    x = np.asarray(c.args[i])
    out, names = [x], CARDS[c.name].operands
    kind = names[min(i, len(names) - 1)]
    for _ in range(rows - 1):
        if kind == "starts":
            y = x.copy()
            y[1:-1] = np.sort(rng.integers(0, x[-1] + 1, max(len(x) - 2, 0)))
        else:
            # Permuting elements keeps indices in range and everything in its domain.
            y = rng.permutation(x.reshape(-1)).reshape(x.shape)
        out.append(np.sort(y) if kind == "sorted" else y)
    return out[:rows]


def check(c: Case, mapped: tuple[bool, ...], rows: int, seed: int) -> None:
    m = c.module()
    fn, with_rows = batched_function(m.functions["f"], mapped, "g")
    both = verify(Module.of({}, {**m.functions, "g": fn}))
    values = [rows_of(c, i, rows, seed) if on else [] for i, on in enumerate(mapped)]
    args = [
        np.stack(v).reshape((rows, *np.shape(a))) if v else
        np.zeros((rows, *np.shape(a)), np.asarray(a).dtype) if on else a
        for v, a, on in zip(values, c.args, mapped, strict=True)
    ]  # fmt: skip
    got = run(both, "g", args, {**c.env, "R": rows}, limits=Limits(check=True))
    for r in range(rows):
        row = [v[r] if on else a for v, a, on in zip(values, c.args, mapped, strict=True)]
        want = run(both, "f", row, c.env)
        for y, w, on, t in zip(got, want, with_rows, m.functions["f"].result_types, strict=True):
            assert isinstance(t, TensorType)
            wrong = mismatch(y[r] if on else y, w, t.dtype, length=64, scale=8)
            assert wrong is None, f"{c.name} {c.attrs} mapped {mapped}, row {r}: {wrong}"


@pytest.mark.parametrize("name", BATCHED)
def test_batch_is_a_loop_over_rows(name: str, seeds: range) -> None:
    checked = 0
    dtype = F32 if F32 in dtypes_of(name) else dtypes_of(name)[0]
    for d in (dtype, I32) if I32 in dtypes_of(name) else (dtype,):
        for seed in seeds:
            c = case(name, seed, d)
            for mapped in product((False, True), repeat=len(c.args)):
                if any(mapped):
                    try:
                        check(c, mapped, ROWS[(seed + sum(mapped)) % 3], seed)
                    except NotBatchable:
                        assert name in ("conv", "conv_input_grad") and mapped[1]
                        continue
                    checked += 1
    assert checked


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refusals_say_why(name: str) -> None:
    c = case(name, 0)
    with pytest.raises(NotBatchable, match="row"):
        op = c.module().functions["f"].body.ops[0]
        from dlc.ops.card import Rows

        CARDS[name].batch(None, op, tuple(Rows(v) for v in op.operands))  # type: ignore[arg-type]


def test_a_row_out_of_bounds_fails() -> None:
    """A batched gather must not read another row's element."""
    from dlc.evaluate import RunError

    for name in ("take", "index", "slice", "insert", "insert_slice", "scatter_add"):
        found = 0
        for seed in range(30):
            c = case(name, seed, F32)
            if c.attrs.get("in_bounds"):
                continue
            at = {"insert": 2, "insert_slice": 2}.get(name, 1)
            if not np.size(c.args[at]):
                continue
            mapped = tuple(i in (0, at) for i in range(len(c.args)))
            fn, _ = batched_function(c.module().functions["f"], mapped, "g")
            args = [np.stack([a, a]) if on else a for a, on in zip(c.args, mapped, strict=True)]
            args[at] = args[at] + np.asarray(6, args[at].dtype)
            with pytest.raises(RunError) as e:
                run(Module.of({}, {"g": fn}), "g", args, {**c.env, "R": 2})
            assert e.value.status == "bounds"
            found += 1
        assert found, name
