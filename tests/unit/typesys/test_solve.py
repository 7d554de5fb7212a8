"""Dims from shapes: equations over a whole set of weights, and the entry checks of a call."""

from __future__ import annotations

import json

import pytest

from dlc.typesys import interface as I
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import F32, I32
from dlc.typesys.interface_json import from_json, to_json
from dlc.typesys.solve import (
    DimMismatch,
    Fact,
    UnknownDim,
    solve,
    solve_entry,
    weight_facts,
)
from dlc.typesys.types import AdtType, ListType, TensorType, tensor

PLACE = I.Place("a.dl", 3, 5)


def fact(what: str, size: str, got: int, axis: int | None = 0) -> Fact:
    return Fact(what, axis, Dim.of(size), got, PLACE)


def test_equations_are_solved_together():
    facts = [fact("m.wn", "5*H", 640), fact("m.ctl", "X+M", 40), fact("m.key", "M", 8)]
    assert solve(facts, {}, ["H", "X", "M"]) == {"H": 128, "X": 32, "M": 8}


def test_a_contradiction_names_both():
    with pytest.raises(DimMismatch) as e:
        solve([fact("m.a", "H", 4), fact("m.b", "2*H", 9)], {}, ["H"])
    assert str(e.value) == "m.b axis 0: 9 where 2*H is 8 (m.a says so)"
    assert e.value.want == 8 and e.value.other is not None


def test_an_inexact_equation_says_which():
    with pytest.raises(DimMismatch, match=r"m.a axis 0: no number makes 3\*H equal 10"):
        solve([fact("m.a", "3*H", 10)], {}, ["H"])
    with pytest.raises(DimMismatch, match="no number"):
        solve([fact("m.a", "H+4", 3)], {}, ["H"])


def test_what_nothing_shows():
    with pytest.raises(UnknownDim, match="nothing determines H, X"):
        solve([fact("m.a", "H*X", 6)], {}, ["H", "X"])
    assert solve([fact("m.a", "H*X", 6)], {"H": 2}, ["X"]) == {"H": 2, "X": 3}


def test_weights_of_a_set():
    weight = I.WeightInfo(("w",), F32, (Dim.of("m.O"), Dim.of("m.I")), (), None, PLACE)
    model = surface.Model("nn.Linear", (Dim.of("m.I"), Dim.of("m.O")))
    s = I.ParameterSet("m", model, ("m.I", "m.O"), (), (weight,), None)
    facts = weight_facts(s, {"w": (3, 5), "other": (1,)})
    assert solve(facts, {}, s.dims) == {"m.O": 3, "m.I": 5}


def entry() -> I.EntryInfo:
    """`fn f(x: f32[N, 2*D], n: i32, g: Graph, y: f32[g.nodes, N]) -> f32[n]`."""
    n, d, nodes, arcs = (Dim.sym(x) for x in ("N", "D", "g.nodes", "g.arcs"))

    def leaf(number: int, t, *path: str) -> I.LeafInfo:
        return I.LeafInfo(path, t, number)

    def parameter(name: str, t: surface.Type, *leaves: I.LeafInfo) -> I.ParameterInfo:
        return I.ParameterInfo(name, t, False, name == "n", leaves, None, PLACE)

    ends = TensorType(I32, (arcs,))
    return I.EntryInfo(
        "f",
        "f",
        (
            parameter("x", surface.Tensor(F32, (n, 2 * d)), leaf(0, tensor(F32, n, 2 * d))),
            parameter("n", surface.I32_SCALAR, leaf(1, TensorType(I32))),
            parameter("g", surface.Graph(nodes, arcs), leaf(2, ends, "src"), leaf(3, ends, "dst")),
            parameter("y", surface.Tensor(F32, (nodes, n)), leaf(4, tensor(F32, nodes, n))),
        ),
        surface.Tensor(F32, (Dim.sym("n"),)),
        (leaf(0, tensor(F32, "n")),),
        (
            I.DimInfo("N", I.Axis(0, 0, n), PLACE),
            I.DimInfo("D", I.Axis(0, 1, 2 * d), PLACE),
            I.DimInfo("n", I.ScalarValue(1), PLACE),
            I.DimInfo("g.nodes", I.Told("g", "nodes"), PLACE),
            I.DimInfo("g.arcs", I.Axis(2, 0, arcs), PLACE),
        ),
        (
            I.Check("g", I.Axis(3, 0, arcs), arcs, PLACE),
            I.Check("y", I.Axis(4, 0, nodes), nodes, PLACE),
            I.Check("y", I.Axis(4, 1, n), n, PLACE),
        ),
        (),
        PLACE,
    )


def read(shapes: dict[int, tuple[int, ...]], scalar: int, nodes: int):
    def at(source: I.Source) -> int | None:
        if isinstance(source, I.Axis):
            return shapes[source.leaf][source.axis]
        return scalar if isinstance(source, I.ScalarValue) else nodes

    return at


SHAPES = {0: (3, 8), 2: (6,), 3: (6,), 4: (5, 3)}


def test_the_dims_of_a_call():
    found = solve_entry(entry(), read(SHAPES, 4, 5))
    assert found == {"N": 3, "D": 4, "n": 4, "g.nodes": 5, "g.arcs": 6}


@pytest.mark.parametrize(
    ("change", "scalar", "text"),
    [
        ({0: (3, 7)}, 4, r"x axis 1: no number makes 2\*D equal 7"),
        ({3: (5,)}, 4, "g axis 0: 5 where g.arcs is 6 .g says so"),
        ({4: (5, 2)}, 4, "y axis 1: 2 where N is 3 .x says so"),
        ({}, -1, "n: no number makes n equal -1"),
        ({}, 2**31, "n: no number makes n equal 2147483648"),
    ],
)
def test_calls_that_do_not_fit(change, scalar, text):
    with pytest.raises(DimMismatch, match=text) as e:
        solve_entry(entry(), read({**SHAPES, **change}, scalar, 5))
    assert e.value.fact.place == PLACE


def test_json_and_back():
    model = surface.Model("nn.Linear", (Dim.of("m.I"), Dim.of("m.O")))
    weight = I.WeightInfo(
        ("l", "w"), F32, (Dim.of("4*m.O"),), (1,), I.Initialiser("normal", (0.1,)), PLACE
    )
    tree = I.AdtInfo(
        "Tree",
        "Tree",
        ("D",),
        (I.ConstructorInfo("Leaf", (I.FieldInfo("w", surface.I32_SCALAR, 0, 1),)),),
        PLACE,
    )
    whole = I.Interface(
        "a",
        (entry(),),
        (I.ParameterSet("m", model, ("m.I", "m.O"), (("m.I", 3),), (weight,), "init.m"),),
        (tree,),
        (I.RecordInfo("nn.Linear", ("I", "O"), (("w", surface.F32_SCALAR),)),),
        (I.TestInfo("t", "test.0", PLACE),),
    )
    odd = I.LeafInfo(("a",), ListType((AdtType("Tree", (Dim.of("D"),)), tensor(F32, "N//2"))), 0, 3)
    parameter = I.ParameterInfo("z", surface.KEY, True, False, (odd,), "m", PLACE)
    one = entry()
    whole = I.Interface(
        whole.name,
        (one, I.EntryInfo(
            "g", "g", (parameter,), surface.UNIT, (), (I.DimInfo("D", I.Payload(0, 0, 1), PLACE),
            I.DimInfo("E", I.Fixed(4), PLACE)), (), ("k",), PLACE,
        )),
        whole.parameter_sets,
        whole.types,
        whole.records,
        whole.tests,
    )  # fmt: skip
    text = json.dumps(to_json(whole))
    assert from_json(json.loads(text)) == whole
    with pytest.raises(ValueError, match="no record"):
        from_json({"is": "Os"})
