"""From the bytes of a file to `messages`: what each field of each message means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

from dlc.importers.limits import Budget
from dlc.importers.messages import (
    KINDS,
    Array,
    Attribute,
    AttributeValue,
    FunctionBody,
    Graph,
    Model,
    Node,
    OptionalInfo,
    OtherInfo,
    SequenceInfo,
    SparseData,
    TensorData,
    TensorInfo,
    TypeInfo,
    ValueInfo,
    domain_of,
)
from dlc.importers.protobuf import (
    Field,
    content,
    fields,
    number,
    real,
    reals,
    text,
    whole_numbers,
)
from dlc.importers.refusal import refuse

T = TypeVar("T")


class _Message:
    """The fields of one message by number."""

    def __init__(self, data: memoryview, budget: Budget) -> None:
        self.budget = budget
        self.by: dict[int, list[Field]] = {}
        for f in fields(data, budget):
            self.by.setdefault(f[0], []).append(f)

    def many(self, n: int) -> list[Field]:
        return self.by.get(n, [])

    def one(self, n: int, what: str) -> memoryview | None:
        """A message that may be there once."""
        found = self.many(n)
        if len(found) > 1:
            raise refuse("E0701", f"this is not an ONNX model: {what} is given twice")
        return content(found[0]) if found else None

    def int(self, n: int, default: int = 0) -> int:
        found = self.many(n)
        return number(found[-1]) if found else default

    def text(self, n: int) -> str:
        found = self.many(n)
        return text(found[-1], self.budget) if found else ""

    def texts(self, n: int) -> tuple[str, ...]:
        return tuple(text(f, self.budget) for f in self.many(n))

    def whole(self, n: int) -> Array:
        return whole_numbers(self.many(n))

    def each(self, n: int, read: Callable[[memoryview], T]) -> tuple[T, ...]:
        return tuple(read(content(f)) for f in self.many(n))


_WHOLE = MappingProxyType({5: "int32_data", 7: "int64_data", 11: "uint64_data"})
_REAL = MappingProxyType({4: ("float_data", 4), 10: ("double_data", 8)})
"""Typed fields of TensorProto: number, name, bytes of a number."""


class Parser:
    """Reads the messages of one file."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.depth = 0

    def model(self, data: memoryview) -> Model:
        """ModelProto. Raises E0701 (no model), E0702 (limits)."""
        m = _Message(data, self.budget)
        graph = m.one(7, "the graph")
        if graph is None:
            raise refuse("E0701", "this is not an ONNX model: there is no graph in it")
        producer = bytes(content(m.many(2)[-1])[:200]) if m.many(2) else b""
        return Model(
            m.int(1),
            _opsets(self._opset(content(f)) for f in m.many(8)),
            self.graph(graph),
            m.each(25, self.function),
            producer.decode("utf-8", "replace"),
        )

    def _opset(self, data: memoryview) -> tuple[str, int]:
        m = _Message(data, self.budget)
        return domain_of(m.text(1)), m.int(2)

    def graph(self, data: memoryview) -> Graph:
        """GraphProto."""
        self._enter()
        m = _Message(data, self.budget)
        out = Graph(
            m.text(2),
            m.each(1, self.node),
            m.each(11, self.value_info),
            m.each(12, self.value_info),
            m.each(5, self.tensor),
            m.each(15, self.sparse),
        )
        self.depth -= 1
        return out

    def _enter(self) -> None:
        self.depth += 1
        self.budget.check_depth(self.depth, "graphs and types")

    def node(self, data: memoryview) -> Node:
        """NodeProto."""
        m = _Message(data, self.budget)
        return Node(
            m.text(4),
            domain_of(m.text(7)),
            m.text(3),
            m.text(8),
            m.texts(1),
            m.texts(2),
            self._attributes(m, 5),
            data,
        )

    def _attributes(self, m: _Message, n: int) -> Mapping[str, Attribute]:
        found = m.many(n)
        if len(found) > self.budget.limits.attributes:
            raise refuse("E0702", f"an operator with {len(found)} attributes")
        out: dict[str, Attribute] = {}
        for f in found:
            a = self.attribute(content(f))
            if a.name in out:
                raise refuse("E0706", f"the attribute `{a.name}` is given twice")
            out[a.name] = a
        return MappingProxyType(out)

    def attribute(self, data: memoryview) -> Attribute:
        """AttributeProto."""
        m = _Message(data, self.budget)
        name, refers, code = m.text(1), m.text(21), m.int(20)
        if refers:
            return Attribute(name, KINDS.get(code, ""), None, refers)
        if code not in KINDS:
            code = self._guess(m)
        kind = KINDS.get(code, "")
        if not kind:
            raise refuse("E0706", f"the attribute `{name}` has no type")
        return Attribute(name, kind, self._value(m, kind, name))

    def _guess(self, m: _Message) -> int:
        """The type of an attribute of an old file, which doesn't say it: the one field that is
        set."""
        given = {2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 7: 6, 8: 7, 9: 8, 10: 9, 11: 10}
        found = [code for n, code in given.items() if m.many(n)]
        return found[0] if len(found) == 1 else 0

    def _value(self, m: _Message, kind: str, name: str) -> AttributeValue:
        if kind == "FLOAT":
            return real(m.many(2)[-1]) if m.many(2) else 0.0
        if kind == "INT":
            return m.int(3)
        if kind == "STRING":
            return bytes(content(m.many(4)[-1])) if m.many(4) else b""
        if kind == "FLOATS":
            return tuple(map(float, reals(m.many(7), 4)))
        if kind == "INTS":
            return tuple(map(int, m.whole(8)))
        if kind == "STRINGS":
            return tuple(bytes(content(f)) for f in m.many(9))
        readers: dict[str, tuple[int, Callable[[memoryview], AttributeValue]]] = {
            "TENSOR": (5, self.tensor),
            "GRAPH": (6, self.graph),
            "SPARSE_TENSOR": (22, self.sparse),
            "TYPE_PROTO": (14, self.type),
        }
        if kind in readers:
            n, read = readers[kind]
            inner = m.one(n, f"the attribute `{name}`")
            if inner is None:
                raise refuse("E0706", f"the attribute `{name}` has no value")
            return read(inner)
        if kind == "TENSORS":
            return m.each(10, self.tensor)
        if kind == "GRAPHS":
            return m.each(11, self.graph)
        if kind == "TYPE_PROTOS":
            return m.each(15, self.type)
        raise refuse("E0709", f"the attribute `{name}` is of type {kind}, which is not supported")

    # -- tensors

    def tensor(self, data: memoryview) -> TensorData:
        """TensorProto."""
        m = _Message(data, self.budget)
        if m.many(3):
            raise refuse("E0704", f"the tensor `{m.text(8)}` is a segment of another")
        external = None
        if m.int(14) == 1:
            external = dict(m.each(13, self._pair))
        elif m.int(14) != 0:
            raise refuse("E0704", f"the tensor `{m.text(8)}` has data location {m.int(14)}")
        whole = {name: m.whole(k) for k, name in _WHOLE.items() if m.many(k)}
        reals_ = {name: reals(m.many(k), w) for k, (name, w) in _REAL.items() if m.many(k)}
        return TensorData(
            m.text(8), _dims(m.whole(1)), m.int(2), m.one(9, "raw_data"), whole, reals_,
            len(m.many(6)), external,
        )  # fmt: skip

    def _pair(self, data: memoryview) -> tuple[str, str]:
        m = _Message(data, self.budget)
        return m.text(1), m.text(2)

    def sparse(self, data: memoryview) -> SparseData:
        """SparseTensorProto."""
        m = _Message(data, self.budget)
        values, indices = m.one(1, "values"), m.one(2, "indices")
        if values is None or indices is None:
            raise refuse("E0704", "a sparse tensor without values or indices")
        return SparseData(self.tensor(values), self.tensor(indices), _dims(m.whole(3)))

    # -- types

    def value_info(self, data: memoryview) -> ValueInfo:
        """ValueInfoProto."""
        m = _Message(data, self.budget)
        inner = m.one(2, "a type")
        return ValueInfo(m.text(1), OtherInfo("none") if inner is None else self.type(inner))

    def type(self, data: memoryview) -> TypeInfo:
        """TypeProto."""
        self._enter()
        m = _Message(data, self.budget)
        tensor, sequence, optional = (m.one(n, "a type") for n in (1, 4, 9))
        out: TypeInfo
        if tensor is not None:
            out = self._tensor_type(tensor)
        elif sequence is not None:
            out = SequenceInfo(self._element_type(sequence))
        elif optional is not None:
            out = OptionalInfo(self._element_type(optional))
        else:
            others = {5: "map", 8: "sparse tensor", 7: "opaque value"}
            out = OtherInfo(next((k for n, k in others.items() if m.many(n)), "none"))
        self.depth -= 1
        return out

    def _element_type(self, data: memoryview) -> TypeInfo:
        inner = _Message(data, self.budget).one(1, "a type")
        return OtherInfo("none") if inner is None else self.type(inner)

    def _tensor_type(self, data: memoryview) -> TensorInfo:
        m = _Message(data, self.budget)
        shape = m.one(2, "a shape")
        if shape is None:
            return TensorInfo(m.int(1), None)
        return TensorInfo(m.int(1), _Message(shape, self.budget).each(1, self._dim))

    def _dim(self, data: memoryview) -> int | str | None:
        m = _Message(data, self.budget)
        if m.many(1):
            return m.int(1)
        return m.text(2) or None

    # -- functions

    def function(self, data: memoryview) -> FunctionBody:
        """FunctionProto."""
        m = _Message(data, self.budget)
        return FunctionBody(
            m.text(1),
            domain_of(m.text(10)),
            m.text(13),
            m.texts(4),
            m.texts(5),
            m.texts(6),
            self._attributes(m, 11),
            m.each(7, self.node),
            _opsets(self._opset(content(f)) for f in m.many(9)),
        )


def _opsets(pairs: Iterable[tuple[str, int]]) -> Mapping[str, int]:
    out: dict[str, int] = {}
    for domain, version in pairs:
        if out.setdefault(domain, version) != version:
            raise refuse("E0705", f"two versions of the operators of `{domain or 'ai.onnx'}`")
    return MappingProxyType(out)


def _dims(found: Array) -> tuple[int, ...]:
    return tuple(int(n) for n in found.tolist())
