"""The form's text: the same after reading it back, and errors with their place."""

from __future__ import annotations

import numpy as np
import pytest

from dlc.ir.reader import read_module as read_ir
from dlc.memory.bufferise import bufferise
from dlc.memory.print import print_module
from dlc.memory.read import FormError, read_module
from dlc.memory.verify import verify
from tests.fuzz.memory_programs import program
from tests.unit.memory.programs import ALL
from tests.unit.memory.running import evaluated, interpreted, outcome, same


@pytest.mark.parametrize("name", ALL)
def test_written_programs(name: str) -> None:
    text = print_module(bufferise(read_ir(ALL[name])))
    again = read_module(text)
    verify(again)
    assert print_module(again) == text


def test_random_programs() -> None:
    for seed in range(20):
        p = program(seed)
        text = print_module(bufferise(p.module))
        again = read_module(text)
        assert print_module(again) == text
        want = outcome(lambda p=p: evaluated(p.module, "main", p.args, p.dims))
        got = outcome(lambda p=p, again=again: interpreted(p.module, again, "main", p.args, p.dims))
        assert same(want, got), seed


def test_the_same_bytes_twice() -> None:
    for seed in range(10):
        one, two = (print_module(bufferise(program(seed).module)) for _ in range(2))
        assert one == two


def test_numbers_keep_their_bits() -> None:
    text = """
fn @main[N](%x: f32[N]) -> (f32[N], f64) {
  %a = const {value=0.1} : f32
  %i = const {value=inf} : f32
  %n = const {value=nan} : f64
  %b = broadcast %a {shape=[dim(N)]} : f32[N]
  %c = broadcast %i {shape=[dim(N)]} : f32[N]
  %d = min %b, %c : f32[N]
  %e = add %d, %x : f32[N]
  return %e, %n
}"""
    m = read_ir(text)
    b = read_module(print_module(bufferise(m)))
    (y, n) = interpreted(m, b, "main", [np.zeros(2, np.float32)], None)
    assert y.tolist() == [np.float32(0.1)] * 2 and np.isnan(n)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bfn @f() -> () returns [] {\n  frame dim(0)\n  jump\n}\n", "3:3: `jump` is no statement"),
        ("bfn @f() -> () returns [] {\n  frame dim(0)\n  const %x 1\n}\n", "register %x"),
        ("bfn @f() -> () returns [] {\n  frame dim(", "not a dim"),
        ('bfn @f(in "x" %x: g32) -> ()', "`g32` is no type"),
        ("bfn @f() -> () returns [] ?", "unexpected '?'"),
    ],
)
def test_what_is_no_form(text: str, message: str) -> None:
    with pytest.raises(FormError) as e:
        read_module(text)
    assert message in str(e.value)
