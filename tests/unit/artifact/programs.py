"""Programs as IR text with a border written by hand, for tests of what crosses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlc.ir.core import Function, Module
from dlc.typesys import surface as S
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import F32, I32
from dlc.typesys.interface import (
    AdtInfo,
    Axis,
    ConstructorInfo,
    DimInfo,
    EntryInfo,
    FieldInfo,
    Initialiser,
    Interface,
    LeafInfo,
    ParameterInfo,
    ParameterSet,
    Place,
    WeightInfo,
)

PLACE = Place("test.dl", 3, 5)


@dataclass(frozen=True)
class Program:
    module: Module
    interface: Interface


def f32(*shape: object) -> S.Tensor:
    return S.Tensor(F32, tuple(Dim.of(d) for d in shape))  # type: ignore[arg-type]


def i32(*shape: object) -> S.Tensor:
    return S.Tensor(I32, tuple(Dim.of(d) for d in shape))  # type: ignore[arg-type]


Records = Mapping[str, Sequence[tuple[str, S.Type]]]


def paths(t: S.Type, records: Records) -> list[tuple[str, ...]]:
    """Paths of the leaves of a surface type."""
    match t:
        case S.Tuple():
            return [(str(i), *p) for i, x in enumerate(t.items) for p in paths(x, records)]
        case S.Model():
            return [(n, *p) for n, x in records[t.name] for p in paths(x, records)]
        case S.Graph():
            return [("src",), ("dst",)]
        case S.Segs():
            return [("starts",)]
        case S.Sparse():
            return [("indices",), ("values",)]
        case S.Unit():
            return []
        case _:
            return [()]


def entry(
    module: Module,
    name: str,
    params: Mapping[str, S.Type],
    result: S.Type,
    *,
    mut: Sequence[str] = (),
    sets: Sequence[str] = (),
    is_dim: Sequence[str] = (),
    records: Records | None = None,
) -> EntryInfo:
    """The border of a function; the results of `mut` parameters follow the others."""
    fn: Function = module.functions[name]
    records = records or {}
    count = len(paths(result, records))
    number, back = 0, count
    parameters: list[ParameterInfo] = []
    for p, t in params.items():
        leaves: list[LeafInfo] = []
        for path in paths(t, records):
            comes = back if p in mut else None
            back += p in mut
            leaves.append(LeafInfo(path, fn.params[number].type, number, comes))
            number += 1
        set_ = p if p in sets else None
        parameters.append(ParameterInfo(p, t, p in mut, p in is_dim, tuple(leaves), set_, PLACE))
    assert number == len(fn.params), name
    results = tuple(
        LeafInfo(path, fn.result_types[i], i) for i, path in enumerate(paths(result, records))
    )
    # The border solves for itself, so where each dim comes from need not be right here.
    dims = tuple(DimInfo(d, Axis(0, 0, Dim.sym(d)), PLACE) for d in fn.dims)
    return EntryInfo(
        name, name, tuple(parameters), result, results, dims, (), fn.result_dims, PLACE
    )


def parameter_set(
    name: str,
    t: S.Model,
    fields: Sequence[tuple[str, S.Tensor]],
    *,
    init: str | None = None,
    defaults: Mapping[str, int] | None = None,
    arrays: Mapping[str, tuple[int, ...]] | None = None,
) -> ParameterSet:
    weights = tuple(
        WeightInfo(
            tuple(n.split(".")), x.concrete, x.dims, (arrays or {}).get(n, ()),
            Initialiser("normal", (0.1,)), PLACE,
        )
        for n, x in fields
    )  # fmt: skip
    dims = S.dim_names(t)
    return ParameterSet(name, t, dims, tuple((defaults or {}).items()), weights, init)


TREE = AdtInfo(
    "Tree",
    "Tree",
    (),
    (
        ConstructorInfo("Leaf", (FieldInfo("word", S.I32_SCALAR, 0, 1),)),
        ConstructorInfo(
            "Node",
            (FieldInfo("left", S.Adt("t.Tree"), 0, 1), FieldInfo("right", S.Adt("t.Tree"), 1, 1)),
        ),
    ),
    PLACE,
)

TREE_LSTM_TEXT = """
source 0 "test.dl"
type @Tree = Leaf(word: i32) | Node(left: @Tree, right: @Tree)

fn @encode[V, H](%emb: f32[V, H], %w: f32[H, 2*H], %t: @Tree) -> (f32[H]) {
  %r = match %t {cases=["Leaf", "Node"]}
    (%word: i32) {
      %x = index %emb, %word : f32[H] !0:7:5
      yield %x
    }
    (%left: @Tree, %right: @Tree) {
      %a = call %emb, %w, %left {fn="encode", dims=[dim(V), dim(H)]} : f32[H]
      %b = call %emb, %w, %right {fn="encode", dims=[dim(V), dim(H)]} : f32[H]
      %c = concat %a, %b {axis=0} : f32[2*H]
      %d = contract %w, %c {spec="ij,j->i"} : f32[H]
      %e = tanh %d : f32[H]
      yield %e
    } : f32[H]
  return %r
}

fn @logits[V, H, C](%emb: f32[V, H], %w: f32[H, 2*H], %wo: f32[C, H], %t: @Tree) -> (f32[C])
    {entry=true, public=true} {
  %h = call %emb, %w, %t {fn="encode", dims=[dim(V), dim(H)]} : f32[H]
  %y = contract %wo, %h {spec="ij,j->i"} : f32[C]
  return %y
}
"""
