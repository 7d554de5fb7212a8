"""The rules of the language, one small program each: evaluator, native code and the expected
numbers agree; what is refused has the code that the page says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dlc
from dlc.check.program import check_program
from dlc.diag import CompileError, SourceFile
from tests.programs.language_refusals import REFUSED
from tests.programs.language_rules import RULES, SAME, Rule
from tests.programs.language_rules_mixed import RULES as MIXED
from tests.programs.language_rules_more import RULES as MORE


def agrees(got: Any, want: Any) -> bool:
    if isinstance(want, dlc.Some):
        return isinstance(got, dlc.Some) and agrees(got.value, want.value)
    if isinstance(want, (dlc.Sparse, dlc.Graph, dlc.Segs)):
        return all(agrees(getattr(got, n), getattr(want, n)) for n in type(want).__slots__)
    if want is None:
        return got is None
    if isinstance(want, (tuple, list)) and isinstance(got, (tuple, list)):
        return len(got) == len(want) and all(map(agrees, got, want))
    if type(want).__module__.startswith("dlc."):
        return repr(got) == repr(want)
    x, y = np.asarray(got, np.float64), np.asarray(want, np.float64)
    return x.shape == y.shape and np.allclose(x, y, rtol=1e-4, atol=1e-4, equal_nan=True)


def given(net: dlc.Net, args: tuple[Any, ...]) -> list[Any]:
    made = (x(net.types) if callable(x) else x for x in args)
    return [x.copy() if isinstance(x, np.ndarray) else x for x in made]


@pytest.mark.parametrize("rule", [*RULES, *MORE, *MIXED], ids=lambda r: r.name)
def test_a_rule(rule: Rule) -> None:
    nets: list[dlc.Net] = []
    for target in ("evaluate", "cpu"):
        net = dlc.compile(rule.text, target=target, bind=rule.bind, level=0)
        if rule.dims:
            net.init(1, dims=rule.dims)
        nets.append(net)
    for entry, args, want in rule.calls:
        seen: list[Any] = []
        for net in nets:
            mine = given(net, args)
            seen.append((net.entries[entry](*mine), [x for x in mine if isinstance(x, np.ndarray)]))
        assert agrees(seen[1], seen[0]), (entry, args, seen)
        assert want is SAME or agrees(seen[0][0], want), (entry, args, seen[0][0], want)


@pytest.mark.parametrize(("code", "text"), REFUSED)
def test_what_is_refused(code: str, text: str) -> None:
    with pytest.raises(CompileError) as e:
        check_program(SourceFile("main.dl", text))
    assert {d.code for d in e.value.diagnostics} == {code}


def test_sizes_that_nothing_would_tell() -> None:
    """E0610: tensors in a list, of a size that only the run decides."""
    text = "export fn f(x: f32[N]) -> List[i32[?k]]:\n    return [nonzero_indices(x > 0.0)]\n"
    with pytest.raises(CompileError, match="E0610"):
        dlc.compile(text)


def modules(**texts: str) -> dict[str, SourceFile]:
    return {n: SourceFile(f"{n}.dl", t) for n, t in texts.items()}


def test_imports() -> None:
    """Types, constructors, models and functions of other modules; own names hide the library's."""
    shapes = "type Shape = Dot | Box(w: f32, h: f32)\nfn area(s: Shape) -> f32:\n    match s:\n"
    shapes += "        Dot:\n            return 0.0\n        Box(w, h):\n            return w * h\n"
    mid = "from shapes import Shape, Dot, Box, area\nimport loss\nfn grown(s: Shape) -> Shape:\n"
    mid += "    match s:\n        Dot:\n            return Box(1.0, 1.0)\n        Box(w, h):\n"
    mid += "            return Box(w + 1.0, h)\nfn mse(a: f32) -> f32:\n    return -a\n"
    text = """
import shapes, mid
from mid import grown, mse
from shapes import Shape
export fn f(s: Shape, n: i32) -> (Shape, f32):
    t = s
    for i in 0..n:
        t = grown(t)
    return t, shapes.area(t) + mse(1.0)
export fn kind(s: shapes.Shape) -> i32:
    match mid.grown(s):
        shapes.Box(w, _):
            return i32(w)
        shapes.Dot:
            return -1
"""
    for target in ("evaluate", "cpu"):
        net = dlc.compile(text, target, modules={"shapes": shapes, "mid": mid}, level=0)
        shape = net.types.Shape
        assert net.f(shape.Dot(), 3) == (shape.Box(3.0, 1.0), 2.0)
        assert net.kind(shape.Box(4.0, 2.0)) == 5


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ("E0206", {"a": "import b\n", "b": "import a\n"}),
        ("E0202", {"a": "import nowhere\n"}),
        ("E0203", {"a": "from b import gone\n", "b": "fn there() -> i32:\n    return 1\n"}),
        ("E0204", {"a": "from b import f\nfn f() -> i32:\n    return 1\n",
                   "b": "fn f() -> i32:\n    return 1\n"}),
        ("E0205", {"a": "import nn\n", "nn": "fn f() -> i32:\n    return 1\n"}),
    ],
)  # fmt: skip
def test_imports_that_fail(code: str, texts: dict[str, str]) -> None:
    with pytest.raises(CompileError) as e:
        check_program(SourceFile("a.dl", texts["a"]), modules=modules(**texts))
    assert {d.code for d in e.value.diagnostics} == {code}
