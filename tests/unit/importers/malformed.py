"""Models that must be refused: what each is, and the code that refuses it.

Some are wrong, some are bombs: small files that ask for more time or memory than there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import AttributeProto, TensorProto, helper

from tests.unit.importers.models import INT64, info, model, node, stored, unary

Make = Callable[[], bytes]


def _changed(change: Callable[[Any], object], make: Callable[[], Any] = unary) -> Make:
    """A right model with one change."""

    def build() -> bytes:
        m = make()
        change(m)
        return m.SerializeToString()

    return build


def _with_tensor(change: Callable[[Any], object]) -> Make:
    def make() -> Any:
        return model(
            [node("Add", "x w", "y")], [info("x", [4])], [info("y", None)],
            {"w": np.ones(4, np.float32)},
        )  # fmt: skip

    return _changed(lambda m: change(m.graph.initializer[0]), make)


def _one(op: str, inputs: dict[str, Any], opset: int = 21, **attributes: Any) -> Make:
    """A model of one operator; inputs are shapes, or arrays for initialisers."""

    def build() -> bytes:
        given = {n: a for n, a in inputs.items() if isinstance(a, np.ndarray)}
        open_ = [info(n, s) for n, s in inputs.items() if n not in given]
        nodes = [node(op, " ".join(inputs), "y", **attributes)]
        return model(nodes, open_, [info("y", None)], given, opset=opset).SerializeToString()

    return build


def _function_bomb(levels: int = 27) -> bytes:
    """Each function calls the one below twice: 2**levels operators in a few hundred bytes."""
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("f", 1)]
    made = []
    for k in range(levels):
        inner = ("Relu", "") if k == 0 else (f"f{k - 1}", "f")
        body = [node(inner[0], "a", "b", inner[1]), node(inner[0], "b", "c", inner[1])]
        made.append(helper.make_function("f", f"f{k}", ["a"], ["c"], body, imports))
    top = [node(f"f{levels - 1}", "x", "y", "f")]
    m = model(top, [info("x", [1])], [info("y", None)], opsets={"f": 1}, functions=made)
    return m.SerializeToString()


def _recursive() -> bytes:
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("f", 1)]
    f = helper.make_function("f", "f", ["a"], ["b"], [node("f", "a", "b", "f")], imports)
    top = [node("f", "x", "y", "f")]
    m = model(top, [info("x", [1])], [info("y", None)], opsets={"f": 1}, functions=[f])
    return m.SerializeToString()


def _deep_graphs(depth: int = 200) -> bytes:
    """Ifs inside of Ifs, written from the inside out as bytes: the library's own writer stops at
    100."""

    def field(n: int, data: bytes) -> bytes:
        return _varint(n << 3 | 2) + _varint(len(data)) + data

    graph = field(2, b"g")
    for _ in range(depth):
        a = field(1, b"then_branch") + _varint(20 << 3) + _varint(5) + field(6, graph)
        graph = field(1, field(4, b"If") + field(1, b"c") + field(2, b"y") + field(5, a))
    return _varint(1 << 3) + _varint(10) + field(7, graph)


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def _empty_fields(count: int = 3_000_000) -> bytes:
    """A graph with millions of empty nodes, two bytes each."""
    body = b"\x0a\x00" * count
    return _varint(7 << 3 | 2) + _varint(len(body)) + body


def _cycle() -> bytes:
    nodes = [node("Add", "x b", "a"), node("Relu", "a", "b")]
    return model(nodes, [info("x", [1])], [info("b", None)]).SerializeToString()


def _endless_dims(m: Any) -> None:
    m.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1 << 40


def _twice(m: Any) -> None:
    m.graph.node.append(node("Relu", "x", "y"))


def _no_graph(m: Any) -> None:
    m.ClearField("graph")


def _attribute_twice(m: Any) -> None:
    for v in (1.0, 2.0):
        m.graph.node[0].attribute.append(helper.make_attribute("alpha", v))


def _untyped_attribute(m: Any) -> None:
    m.graph.node[0].attribute.append(AttributeProto(name="alpha"))


def _text_attribute(m: Any) -> None:
    m.graph.node[0].attribute.append(helper.make_attribute("alpha", "one"))


def _strings(t: Any) -> None:
    t.Clear()
    t.name, t.data_type = "w", TensorProto.STRING
    t.dims.append(1)
    t.string_data.append(b"text")


def _huge(t: Any) -> None:
    del t.dims[:]
    t.dims.extend([1 << 31, 1 << 31])


def _sparse_out_of_range() -> bytes:
    m = unary("Relu", (4,))
    s = m.graph.sparse_initializer.add()
    s.values.CopyFrom(stored("w", np.ones(2, np.float32)))
    s.indices.CopyFrom(stored("", np.array([1, 9])))
    s.dims.append(4)
    return m.SerializeToString()


def _unsupported() -> bytes:
    return unary("NoSuchOperator").SerializeToString()


def _loop_of_types() -> bytes:
    """A loop whose carried value changes its element type."""
    body = helper.make_graph(
        [node("Cast", "v", "w", to=INT64), node("Identity", "c", "d")], "body",
        [info("i", [], INT64), info("c", [], TensorProto.BOOL), info("v", [2])],
        [info("d", [], TensorProto.BOOL), info("w", [2], INT64)],
    )  # fmt: skip
    nodes = [node("Loop", "n - x", "y", body=body)]
    m = model(nodes, [info("n", [], INT64), info("x", [2])], [info("y", None)])
    return m.SerializeToString()


def _broken(change: Callable[[bytes], bytes]) -> Make:
    return lambda: change(unary().SerializeToString())


def _raw(n: int) -> Callable[[Any], None]:
    def change(t: Any) -> None:
        t.raw_data = b"\0" * n

    return change


def _external(**entries: str) -> Make:
    def change(t: Any) -> None:
        t.ClearField("raw_data")
        t.data_location = TensorProto.EXTERNAL
        for k, v in entries.items():
            t.external_data.add(key=k, value=v)

    return _with_tensor(change)


I = np.int64
KINDS: dict[str, tuple[Make, str]] = {
    # -- bytes
    "empty": (lambda: b"", "E0701"),
    "a text": (lambda: b"this is not a model at all\n" * 9, "E0701"),
    "truncated": (_broken(lambda b: b[:-7]), "E0701"),
    "long length": (lambda: b"\x3a\xff\xff\xff\xff\x0f", "E0701"),
    "long number": (lambda: b"\x08" + b"\xff" * 12, "E0701"),
    "group": (lambda: b"\x0b\x0c", "E0701"),
    "wrong wire type": (lambda: b"\x38\x01", "E0701"),
    "no graph": (_changed(_no_graph), "E0701"),
    "two graphs": (_broken(lambda b: b + b"\x3a\x00"), "E0701"),
    "no text": (_broken(lambda b: b.replace(b"Relu", b"\xff\xfe\xff\xfe")), "E0701"),
    # -- bombs
    "function bomb": (_function_bomb, "E0702"),
    "deep graphs": (_deep_graphs, "E0702"),
    "millions of fields": (_empty_fields, "E0702"),
    "huge initialiser": (_with_tensor(_huge), "E0702"),
    "huge axis": (_changed(_endless_dims), "E0702"),
    "long name": (_broken(lambda b: unary("R" * 5000).SerializeToString()), "E0702"),
    "tile bomb": (
        _one("Tile", {"x": [1], "r": np.array([1 << 40], I)}), "E0702"),
    "resize bomb": (
        _one("Resize", {"x": [1, 1, 8, 8], "roi": np.zeros(0, np.float32),
                        "s": np.array([1, 1, 1e12, 1e12], np.float32)}), "E0702"),
    "constant bomb": (
        _one("ConstantOfShape", {"s": np.array([1 << 40, 1 << 40], I)}), "E0702"),
    "pad bomb": (_one("Pad", {"x": [1], "p": np.array([1 << 50, 0], I)}), "E0702"),
    "recursive function": (_recursive, "E0711"),
    # -- tensors
    "long data": (_with_tensor(_raw(17)), "E0704"),
    "short data": (_with_tensor(_raw(15)), "E0704"),
    "two fields of data": (_with_tensor(lambda t: t.float_data.append(1.0)), "E0704"),
    "negative shape": (_with_tensor(lambda t: t.dims.__setitem__(0, -4)), "E0704"),
    "no such element type": (_with_tensor(lambda t: setattr(t, "data_type", 99)), "E0704"),
    "texts": (_with_tensor(_strings), "E0710"),
    "sparse index out of range": (_sparse_out_of_range, "E0704"),
    "external offset of -4": (_external(location="w.bin", offset="-4"), "E0703"),
    "external without a folder": (_external(location="w.bin"), "E0703"),
    # -- graphs
    "cycle": (_cycle, "E0706"),
    "a value twice": (_changed(_twice), "E0706"),
    "undefined value": (
        _changed(lambda m: m.graph.node[0].input.__setitem__(0, "nowhere")), "E0706"),
    "undefined output": (
        _changed(lambda m: setattr(m.graph.output[0], "name", "nowhere")), "E0706"),
    "an attribute twice": (_changed(_attribute_twice, lambda: unary("Elu")), "E0706"),
    "an attribute without a type": (_changed(_untyped_attribute, lambda: unary("Elu")), "E0706"),
    # -- operator sets
    "opset 999": (
        _changed(lambda m: setattr(m.opset_import[0], "version", 999)), "E0705"),
    "opset 0": (_changed(lambda m: setattr(m.opset_import[0], "version", 0)), "E0705"),
    "unknown domain": (
        _changed(lambda m: setattr(m.graph.node[0], "domain", "no.such")), "E0705"),
    # -- operators
    "no such operator": (_unsupported, "E0708"),
    "unknown attribute": (lambda: unary("Relu", alpha=1.0).SerializeToString(), "E0707"),
    "attribute of another kind": (_changed(_text_attribute, lambda: unary("Elu")), "E0707"),
    "an input too many": (_changed(lambda m: m.graph.node[0].input.append("x")), "E0707"),
    "an output too many": (_changed(lambda m: m.graph.node[0].output.append("z")), "E0707"),
    "an element type that it doesn't take": (
        lambda: model([node("Sqrt", "x", "y")], [info("x", [2], INT64)], [info("y", None)]
                      ).SerializeToString(), "E0707"),
    "attribute of a later version": (
        lambda: model([node("Squeeze", "x", "y", axes=[0])], [info("x", [1, 2])],
                      [info("y", None)], opset=13).SerializeToString(), "E0707"),
    "convolution in 0 groups": (
        _one("Conv", {"x": [1, 4, 8, 8], "w": np.ones((4, 4, 3, 3), np.float32)}, group=0),
        "E0707"),
    "a kernel larger than the image": (
        _one("Conv", {"x": [1, 1, 2, 2], "w": np.ones((1, 1, 5, 5), np.float32)}), "E0707"),
    "shapes that don't fit": (_one("Add", {"a": [2, 3], "b": [4, 3]}), "E0707"),
    "product of shapes that don't fit": (_one("MatMul", {"a": [2, 3], "b": [4, 5]}), "E0707"),
    "reshape to another size": (
        _one("Reshape", {"x": [2, 3], "s": np.array([7], I)}), "E0707"),
    "a negative size": (_one("ConstantOfShape", {"s": np.array([2, -1])}), "E0707"),
    "a negative size to resize to": (
        lambda: model(
            [node("Resize", "x - - s", "y")], [info("x", [1, 1, 2, 2])], [info("y", None)],
            {"s": np.array([1, 1, 2, -2])},
        ).SerializeToString(), "E0707",
    ),
    "a window of billions": (_one("LRN", {"x": [1, 3, 2, 2]}, size=1 << 33), "E0702"),
    "a vector where a matrix is needed": (
        _one("RotaryEmbedding", {"x": [1, 2, 4], "c": [4], "s": [4]}, 23, num_heads=1), "E0707"
    ),
    "peepholes of no direction": (
        _one("LSTM", {"x": [2, 1, 3], "w": [1, 8, 3], "r": [1, 8, 2], "b": [1, 16], "l": [1],
                      "h": [1, 1, 2], "c": [1, 1, 2], "p": [6]}, hidden_size=2), "E0707"
    ),
    "two open sizes": (_one("Reshape", {"x": [2, 3], "s": np.array([-1, -1], I)}), "E0707"),
    "an axis that isn't there": (_one("Softmax", {"x": [2, 3]}, axis=5), "E0707"),
    "no permutation": (_one("Transpose", {"x": [2, 3]}, perm=[0, 0]), "E0707"),
    "an equation of letters that aren't there": (
        _one("Einsum", {"a": [2, 3]}, equation="ij->ik"), "E0707"),
    "a step of 0": (
        _one("Slice", {"x": [4], "b": np.array([0], I), "e": np.array([4], I),
                       "a": np.array([0], I), "s": np.array([0], I)}), "E0707"),
    "a loop that changes the type": (_loop_of_types, "E0709"),
    "no rank": (lambda: unary("Relu", None).SerializeToString(), "E0709"),
}  # fmt: skip
