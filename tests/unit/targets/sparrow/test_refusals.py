"""What the machine lacks is refused in words."""

from __future__ import annotations

import numpy as np
import pytest

from dlc.diag import CompileError
from dlc.typesys.dtypes import DTYPES
from tests.unit.targets.sparrow.agreement import agree, compiled, main


@pytest.mark.parametrize("dtype", ["f64", "f16", "i16", "u8"])
def test_an_element_type_that_the_machine_lacks(dtype: str) -> None:
    body = f"  %y = add %x, %x : {dtype}[N]\n  return %y"
    with pytest.raises(CompileError, match=f"Sparrow has no {dtype}") as e:
        compiled(main(f"[N](%x: {dtype}[N])", f"{dtype}[N]", body))
    assert [d.code for d in e.value.diagnostics] == ["E0640"]


def test_a_parameter_that_nobody_reads() -> None:
    with pytest.raises(CompileError, match="Sparrow has no f64"):
        compiled(main("(%x: f64, %y: f32)", "f32", "  return %y"))


def test_a_number_of_64_bits_is_refused_even_where_it_is_alone() -> None:
    with pytest.raises(CompileError, match="Sparrow has no f64"):
        compiled(main("(%x: f64)", "f64", "  %y = exp %x : f64\n  return %y"))


def contraction(axes: int, dtype: str) -> str:
    """`sum over a of x[a, …] y[…, a]`, every axis of a size of its own that the call tells."""
    letters = "abcdefghijklmnopqrstuvwxyz"[:axes]
    first, second, kept = letters[: axes // 2 + 1], letters[::-1], letters[1:]

    def typed(indices: str) -> str:
        return f"{dtype}[{', '.join(i.upper() for i in indices)}]"

    body = (
        f'  %z = contract %x, %y {{spec="{first},{second}->{kept}"}} : {typed(kept)}\n  return %z'
    )
    dims = ", ".join(letters.upper())
    return main(f"[{dims}](%x: {typed(first)}, %y: {typed(second)})", typed(kept), body)


@pytest.mark.parametrize("dtype", ["i8", "i32", "i64", "f32"])
def test_many_axes(dtype: str) -> None:
    rng = np.random.default_rng(5)
    sizes = rng.integers(1, 3, 12)
    x = rng.integers(-3, 4, sizes[:7]).astype(DTYPES[dtype].numpy)
    y = rng.integers(-3, 4, sizes[::-1]).astype(DTYPES[dtype].numpy)
    agree(contraction(12, dtype), [x, y])


def test_an_operation_with_too_many_axes() -> None:
    with pytest.raises(CompileError, match="`main` has too many axes for Sparrow") as e:
        compiled(contraction(16, "i8"))
    assert [d.code for d in e.value.diagnostics] == ["E0641"]
