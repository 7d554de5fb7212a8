"""The library and the prelude: every function checks, and every typed tree is as promised."""

from __future__ import annotations

from pathlib import Path

import pytest
from verify_typed import closure, verify_function

from dlc import resources
from dlc.check.decls import Signature
from dlc.check.instances import InstanceKey, Static
from dlc.check.program import Checked, check_program
from dlc.diag import SourceFile
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DTYPES, DType
from dlc.typesys.surface import Function, Tensor, Tuple, Type

MODULES = resources.std_modules()


def key_of(sig: Signature) -> InstanceKey | None:
    """Some instance of a function: f32, or bool for `any`; rank 2; const 3; a pair of tensors."""
    if any(isinstance(p.type, Function) for p in sig.params):
        return None
    kinds = {"float": "f32", "number": "f64", "int": "i32", "any": "bool"}
    dtypes: list[tuple[str, DType]] = []
    structures: list[tuple[str, Type]] = []
    for g in sig.generics:
        if g.kind is not None:
            dtypes.append((g.name, DTYPES[kinds[g.kind]]))
        elif g.value:
            dims = (Dim.sym(f"{g.name}.0"), Dim.sym(f"{g.name}.1"))
            pair = Tuple((Tensor(DTYPES["f32"], dims), Tensor(DTYPES["f32"])))
            structures.append((g.name, pair))
    consts: list[tuple[str, Static]] = [(n, 3) for n in sig.consts]
    return InstanceKey(
        sig.name,
        dtypes=tuple(dtypes),
        ranks=tuple((r, 2) for r in sig.runs),
        consts=tuple(consts),
        structures=tuple(structures),
    )


def verify_all(c: Checked) -> int:
    keys = [k for f in c.functions.values() if (k := key_of(f.signature)) is not None]
    found = closure(c, keys)
    for f in found.values():
        verify_function(c, f)
    return len(found)


@pytest.mark.parametrize("name", MODULES)
def test_a_module(name: str) -> None:
    path = resources.std_module(name)
    assert path is not None
    text = path.read_text(encoding="utf-8")
    assert verify_all(check_program(SourceFile(f"{name}.dl", text), folder=path.parent)) >= 5


def test_the_prelude() -> None:
    text = resources.prelude().read_text(encoding="utf-8")
    with_bodies = text[text.index("\nfn ") + 1 :]
    c = check_program(SourceFile("own.dl", with_bodies))
    assert verify_all(c) >= 11


def test_functions_of_functions(tmp_path: Path) -> None:
    program = """
from search import descend, greedy
export fn least(a: f32[D, D], b: f32[D]) -> f32[D]:
    return descend(fn(y) => norm(a @ y - b), b, turns=5)
export fn tokens(w: f32[V, H], u: f32[H, H], h: f32[H]) -> List[i32]:
    return greedy(fn(t, s) => (w @ s, tanh(u @ s + w[t])), 0, h, 1, 9)
"""
    c = check_program(SourceFile("use.dl", program))
    found = closure(c, [c.entry(e) for e in c.exports])
    for f in found.values():
        verify_function(c, f)
    assert len(found) >= 5


def test_the_library_is_as_large_as_it_says() -> None:
    """The design's 107 functions and the additions."""
    count = 0
    for name in MODULES:
        path = resources.std_module(name)
        assert path is not None
        count += path.read_text(encoding="utf-8").count("\nfn ")
    assert count >= 120
