"""The verifier finds every way in which a form can be broken."""

from __future__ import annotations

import pytest

from dlc.diag import InternalError
from dlc.memory.read import read_module
from dlc.memory.verify import problems, verify

GOOD = """
bfn @g[N](in "a" %a: f32[N], inout "b" %b: f32[N], out "out0" %o: f32[N]) -> (%s: f32) returns [%o, %b, %s] {
  reg f32 %s
  frame dim(0)
  const %s 1.0
  tensor "copy" [<f32 %o[N]>] [<f32 %a[N]>] {} [] [] false
}

bfn @f[N](in "x" %x: f32[N, N], in "n" %n: i32, out "out0" %y: f32[N]) -> () returns [%y] {
  reg f32 %s, %t
  reg i32 %i
  reg i64 %mark
  reg bool %c
  slot 0 f32 size 2*N at 0 bytes 64*((8*N+63)//64)
  slot 1 f32 size N at 64*((8*N+63)//64) bytes 64*((4*N+63)//64)
  frame dim(64*((8*N+63)//64)+64*((4*N+63)//64))
  mark %mark
  tensor "contract" [<f32 slot0[N] + (N)>] [<f32 %x[N, N](1, N)>, <f32 slot1[N]>] {spec="ij,j->i"} [] [] false
  call "g" [dim(N)] [<f32 slot0[N]>, <f32 slot0[N] + (N)>] [<f32 slot1[N]>] [%s] [] dim(0)
  map [dim(N)] [<f32 slot0[N]>] [<f32 slot0[N]>, <f32 slot1[N]>] [mul($in0, $in1): f32] [$t0]
  for %i 0 %n {
    const %t 1.0
  } false none
  const %c true
  if %c {
    const %t 2.0
  } {
    const %t 3.0
  }
  store <f32 slot0[]> %t
  tensor "copy" [<f32 %y[N]>] [<f32 slot0[N]>] {} [] [] false
  release %mark
}
"""  # noqa: E501


def test_what_is_right() -> None:
    verify(read_module(GOOD))


BROKEN = {
    "a register is unwritten on one path": ("const %t 3.0", "const %s 3.0", "register t"),
    "a turn may not happen": (
        "  const %c true\n  if %c {\n    const %t 2.0\n  } {\n    const %t 3.0\n  }\n",
        "",
        "register t",
    ),
    "an argument is written": ("store <f32 slot0[]>", "store <f32 %x[]>", "which is lent"),
    "a product writes its operand": (
        "slot0[N] + (N)>] [<f32 %x", "slot1[N]>] [<f32 %x", "contract: views of one place"
    ),
    "a map reads what it writes elsewhere": (
        "map [dim(N)] [<f32 slot0[N]>]", "map [dim(N)] [<f32 slot0[N] + (1)>]", "map: views"
    ),
    "places of a call overlap": (
        "[<f32 slot0[N]>, <f32 slot0[N] + (N)>] [<f32 slot1[N]>]",
        "[<f32 slot0[N]>, <f32 slot1[N]>] [<f32 slot1[N]>]",
        "call of @g: views",
    ),
    "an updated argument is read, too": (
        "[<f32 slot0[N]>, <f32 slot0[N] + (N)>]", "[<f32 slot0[N]>, <f32 slot0[N]>]", "call of @g"
    ),
    "a strided argument": (
        "[<f32 slot0[N]>, <f32 slot0", "[<f32 slot0[N](2)>, <f32 slot0", "strided view in a call"
    ),
    "a call that does not fit": ('[%s] [] dim(0)', '[] [] dim(0)', "does not fit"),
    "nobody is called": ('call "g"', 'call "h"', "does not exist"),
    "a result of another type": ("[%s] [] dim(0)", "[%i] [] dim(0)", "a result of f32"),
    "a slot that is not there": ("store <f32 slot0", "store <f32 slot7", "slot 7"),
    "slots that overlap": ("size N at 64*((8*N+63)//64)", "size N at 0", "begins at"),
    "a size that nobody knows": ("size 2*N at 0", "size K at 0", "not known at entry"),
    "a dim that nobody knows": ("map [dim(N)]", "map [dim(Q)]", "the dim Q"),
    "a map over another space": ("<f32 slot1[N]>] [mul", "<f32 slot1[2*N]>] [mul", "with a view"),
    "something else in a map": ("[mul($in0", "[sort($in0", "sort in a map"),
    "no such operation": ('tensor "contract"', 'tensor "produce"', "is no operation"),
    "a strided operand": ('tensor "contract"', 'tensor "cumsum"', "strided view"),
    "a move between types": ("const %c true", "const %c true\n  move %s %i", "a move from i32"),
    "a release of another block's mark": (
        "const %t 1.0", "const %t 1.0\n    release %mark", "a release of a mark"
    ),
    "a store of many": ("store <f32 slot0[]>", "store <f32 slot0[N]>", "more than one element"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong(name: str) -> None:
    old, new, message = BROKEN[name]
    assert old in GOOD
    found = problems(read_module(GOOD.replace(old, new, 1)))
    assert any(message in p for p in found), found


def test_all_is_said_at_once() -> None:
    text = GOOD.replace("const %t 3.0", "const %s 3.0").replace('call "g"', 'call "h"')
    with pytest.raises(InternalError) as e:
        verify(read_module(text))
    assert "register t" in str(e.value) and "@h" in str(e.value)
