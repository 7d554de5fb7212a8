"""What an ONNX file says, as frozen values: models, graphs, nodes, attributes, tensors, types.

Only what a program's meaning depends on is kept; descriptions, metadata and annotations never are
(they can't make an import fail). Source: onnx.proto of ONNX 1.23 (IR version 13 and below)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, Union

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, slots=True)
class TensorData:
    """A TensorProto. `raw` is its data as bytes; `whole` and `real` are the typed fields, by the
    field's name; `strings` counts texts. `external` says where else the data is."""

    name: str
    dims: tuple[int, ...]
    element: int
    raw: memoryview | None
    whole: Mapping[str, Array]
    real: Mapping[str, Array]
    strings: int
    external: Mapping[str, str] | None


@dataclass(frozen=True, eq=False, slots=True)
class SparseData:
    """A SparseTensorProto: `values` at `indices` of a tensor of zeros."""

    values: TensorData
    indices: TensorData
    dims: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor's type. Each dim is a number, a name, or nothing; `shape` is None if even the rank
    is open."""

    element: int
    shape: tuple[int | str | None, ...] | None


@dataclass(frozen=True, slots=True)
class SequenceInfo:
    of: TypeInfo


@dataclass(frozen=True, slots=True)
class OptionalInfo:
    of: TypeInfo


@dataclass(frozen=True, slots=True)
class OtherInfo:
    """A type that is only named in messages: map, sparse tensor, opaque, or none at all."""

    kind: str


TypeInfo: TypeAlias = TensorInfo | SequenceInfo | OptionalInfo | OtherInfo


@dataclass(frozen=True, slots=True)
class ValueInfo:
    name: str
    type: TypeInfo


AttributeValue: TypeAlias = Union[
    float,
    int,
    bytes,
    TensorData,
    "Graph",
    SparseData,
    "TypeInfo",
    tuple[float, ...],
    tuple[int, ...],
    tuple[bytes, ...],
    tuple[TensorData, ...],
    tuple["Graph", ...],
    tuple["TypeInfo", ...],
]

KINDS = {
    1: "FLOAT", 2: "INT", 3: "STRING", 4: "TENSOR", 5: "GRAPH", 6: "FLOATS", 7: "INTS",
    8: "STRINGS", 9: "TENSORS", 10: "GRAPHS", 11: "SPARSE_TENSOR", 12: "SPARSE_TENSORS",
    13: "TYPE_PROTO", 14: "TYPE_PROTOS",
}  # fmt: skip
"""AttributeProto.AttributeType."""


@dataclass(frozen=True, eq=False, slots=True)
class Attribute:
    """An attribute's `kind` (as in `KINDS`) and value; or `refers`, the name of the attribute of
    the function around it whose value it has."""

    name: str
    kind: str
    value: AttributeValue | None
    refers: str = ""


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One operator of a graph. An empty input or output name means that there is none. `raw` is its
    NodeProto."""

    op: str
    domain: str
    name: str
    overload: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    raw: memoryview


@dataclass(frozen=True, eq=False, slots=True)
class Graph:
    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[ValueInfo, ...]
    outputs: tuple[ValueInfo, ...]
    initialisers: tuple[TensorData, ...]
    sparse: tuple[SparseData, ...]


@dataclass(frozen=True, eq=False, slots=True)
class FunctionBody:
    """A FunctionProto: `defaults` are attributes with a value, `attributes` names without one."""

    name: str
    domain: str
    overload: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: tuple[str, ...]
    defaults: Mapping[str, Attribute]
    nodes: tuple[Node, ...]
    opsets: Mapping[str, int]


@dataclass(frozen=True, eq=False, slots=True)
class Model:
    ir_version: int
    opsets: Mapping[str, int]
    graph: Graph
    functions: tuple[FunctionBody, ...]
    producer: str


def domain_of(name: str) -> str:
    """A domain in its one spelling: `ai.onnx` is the empty one."""
    return "" if name == "ai.onnx" else name
