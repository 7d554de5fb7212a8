"""What the machine lacks is refused in words."""

from __future__ import annotations

import pytest

from dlc.diag import CompileError
from tests.unit.targets.sparrow.agreement import compiled, main


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
