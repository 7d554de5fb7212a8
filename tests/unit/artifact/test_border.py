"""How dims are bound at the border, in Python; native code follows the same plan (`test_net`)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dlc.artifact.border import BindError, ColumnExtent, Extent, Told, bind, border_of
from dlc.artifact.capi import capi
from dlc.artifact.flat import flat_type
from dlc.artifact.names import Scope, identifier, is_prefix
from dlc.diag import CompileError
from dlc.ir.reader import read_module
from dlc.targets.cpu.schema import Schema
from dlc.targets.cpu.values import columns_of
from dlc.typesys import surface as S
from dlc.typesys.dims import Dim
from dlc.typesys.interface import DimInfo, Fixed, Interface
from dlc.typesys.types import AdtType, ListType
from tests.unit.artifact.programs import PLACE, entry, f32, i32
from tests.unit.artifact.zoo import ENTRIES, INTERFACE, MODULE

BY_NAME = {e.name: e for e in ENTRIES}


def test_a_dim_that_stands_alone_is_bound_first() -> None:
    b = border_of(BY_NAME["quarter"], INTERFACE, MODULE.types)
    assert [(s.dim, s.mention.text) for s in b.steps] == [("H", "y, axis 0")]
    assert [m.text for m in b.compares] == ["x, axis 0"]
    shown = {Extent(0, 0, 0): 8, Extent(1, 0, 0): 2}
    assert bind(b, {}, shown) == {"H": 2}
    with pytest.raises(BindError, match=r"x, axis 0 is 9, not 8 \(4\*H\)"):
        bind(b, {}, {**shown, Extent(0, 0, 0): 9})


def test_dims_of_the_model_come_with_it() -> None:
    b = border_of(BY_NAME["linear"], INTERFACE, MODULE.types)
    assert not b.steps and b.model_dims == ("m.O", "m.I")
    assert bind(b, {"m.O": 3, "m.I": 2}, {Extent(0, 0, 0): 2}) == {"m.O": 3, "m.I": 2}


def test_numbers_that_come_with_a_structure() -> None:
    b = border_of(BY_NAME["rows"], INTERFACE, MODULE.types)
    steps = {s.dim: s.mention.size for s in b.steps}
    assert steps == {"R": Dim.of("R+1"), "I": Dim.of("I")}
    b = border_of(BY_NAME["inflow"], INTERFACE, MODULE.types)
    shown = {Told(0, "nodes"): 4, Extent(0, 0, 0): 2, Extent(1, 0, 0): 4, Extent(1, 0, 1): 7}
    assert bind(b, {}, shown) == {"N": 4, "A": 2, "F": 7}


def test_columns_without_rows_say_nothing() -> None:
    b = border_of(BY_NAME["total"], INTERFACE, MODULE.types)
    column = ColumnExtent(0, 0, 0)
    assert bind(b, {}, {column: None, Extent(1, 0, 0): 3}) == {"D": 3}
    with pytest.raises(BindError, match="xs, axis 0 is 2, not 3"):
        bind(b, {}, {column: 2, Extent(1, 0, 0): 3})
    alone = border_of(BY_NAME["same"], INTERFACE, MODULE.types)
    assert bind(alone, {}, {column: None}) == {"D": 0}
    assert bind(alone, {}, {column: 5}) == {"D": 5}


def test_a_bound_dim_is_compared() -> None:
    e = BY_NAME["total"]
    fixed = replace(e, dims=(DimInfo("D", Fixed(4), PLACE),))
    b = border_of(fixed, INTERFACE, MODULE.types)
    assert not b.steps and b.fixed == {"D": 4}
    with pytest.raises(BindError, match="x0, axis 0 is 3, not 4"):
        bind(b, {}, {ColumnExtent(0, 0, 0): None, Extent(1, 0, 0): 3})


def test_a_dim_that_nothing_shows() -> None:
    m = read_module("fn @f[N](%x: i32) -> (i32) {entry=true, public=true} {\n return %x\n}\n")
    e = entry(m, "f", {"x": i32()}, i32())
    with pytest.raises(CompileError, match="nothing that `f` takes shows `N`") as caught:
        border_of(e, Interface("t", (e,), (), (), (), ()), m.types)
    assert caught.value.diagnostics[0].code == "E0620"


def test_names_that_the_interface_uses() -> None:
    text = "fn @{n}(%x: f32) -> (f32) {{entry=true, public=true}} {{\n return %x\n}}\n"
    for names in (["model_init"], ["a", "a_bytes"], ["status"]):
        m = read_module("\n".join(text.format(n=n) for n in names))
        entries = tuple(entry(m, n, {"x": f32()}, f32()) for n in names)
        with pytest.raises(CompileError) as caught:
            capi(Interface("t", entries, (), (), (), ()), m.types, "net")
        assert caught.value.diagnostics[0].code == "E0621"


def test_a_changed_graph_cannot_come_back() -> None:
    text = """
    fn @f[A](%s: i32[A], %d: i32[A]) -> (i32[A], i32[A])
        {entry=true, public=true, inout=[[0, 0], [1, 1]]} {
      return %s, %d
    }
    """
    m = read_module(text)
    g = S.Graph(Dim.const(3), Dim.sym("A"))
    e = entry(m, "f", {"g": g}, S.UNIT, mut=["g"])
    with pytest.raises(CompileError) as caught:
        capi(Interface("t", (e,), (), (), (), ()), m.types, "net")
    assert caught.value.diagnostics[0].code == "E0622"


def test_columns_are_those_of_the_raw_entries() -> None:
    schema = Schema.of(MODULE.types)
    for e in ENTRIES:
        for leaf in (*(x for p in e.parameters for x in p.leaves), *e.results):
            if isinstance(leaf.type, (AdtType, ListType)):
                flat = flat_type(leaf.type, MODULE.types)
                raw = columns_of(schema, leaf.type)
                assert flat.total == len(raw)
                for c in flat.columns:
                    assert raw[c.number].dtype == c.dtype
                    assert len(raw[c.number].shape) == len(c.shape)


def test_identifiers() -> None:
    assert identifier("m", "cell.wx") == "m_cell_wx"
    assert identifier("class") == "class_" and identifier("0") == "x0"
    assert identifier("größe") == "gruf6udfe"
    scope = Scope()
    assert [scope.take("a.b"), scope.take("a_b"), scope.take("a", "b")] == ["a_b", "a_b_2", "a_b_3"]
    assert is_prefix("net2") and not is_prefix("2net") and not is_prefix("int")
