"""Operators that are imported by their own definition: ONNX gives about 90 of them a body made of
simpler ones, and this is the rule for those that have no better one here."""

from __future__ import annotations

from typing import Any, cast

from dlc.importers.call import Call, Operator
from dlc.importers.limits import Budget, Limits
from dlc.importers.messages import FunctionBody
from dlc.importers.parsing import Parser
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Item, Sequence, Tensor


def expand(c: Call) -> tuple[Item, ...]:
    """The operator's body, inlined."""
    if any(isinstance(x, Sequence) for x in c.inputs):
        raise c.refused("sequences as inputs of this operator")
    f = _body(c)
    return c.inside.function(f, c.inputs, c.attributes, len(c.node.outputs))


def _body(c: Call) -> FunctionBody:
    import onnx.defs

    opset = c.inside.opsets.get("", 0)
    own = c.inside.opsets.get(c.node.domain, opset)
    schema: Any = onnx.defs.get_schema(c.op, max_inclusive_version=own, domain=c.node.domain)
    raw: bytes | None = None
    if schema.has_function:
        raw = schema.function_body.SerializeToString()
    elif schema.has_context_dependent_function:
        versions = [v for v in schema.context_dependent_function_opset_versions if v <= own]
        if versions:
            raw = schema.get_context_dependent_function_with_opset_version(
                max(versions), _node(c), [_type(x) for x in c.inputs]
            )
    if not raw:
        raise c.refused("this form, for which ONNX gives no body")
    parser = Parser(Budget(Limits()))
    f = parser.function(memoryview(raw))
    if not f.nodes:
        raise refuse("E0709", "ONNX gives no body for this form")
    return f


def _node(c: Call) -> bytes:
    """The operator as a NodeProto, in which attributes of the function around it have their
    values."""
    from onnx import NodeProto, helper

    node: Any = NodeProto()
    node.ParseFromString(bytes(c.node.raw))
    for a in [a for a in node.attribute if a.ref_attr_name]:
        node.attribute.remove(a)
        bound = c.node.attributes.get(a.name)
        if bound is None:
            continue
        if bound.kind not in ("INT", "FLOAT", "STRING", "INTS", "FLOATS", "STRINGS"):
            raise c.refused("the body of this operator inside of another function")
        node.attribute.append(helper.make_attribute(a.name, cast(Any, bound.value)))
    return node.SerializeToString()


def _type(x: Item) -> bytes:
    """The input's type as a TypeProto; nothing for one that is left out."""
    from onnx import TypeProto

    t: Any = TypeProto()
    if isinstance(x, Tensor):
        t.tensor_type.elem_type = x.element.code
        for d in x.shape:
            dim = t.tensor_type.shape.dim.add()
            if d.is_constant:
                dim.dim_value = d.constant
            else:
                dim.dim_param = str(d)
        if not x.shape:
            t.tensor_type.shape.SetInParent()
    return t.SerializeToString()


OPERATORS: tuple[Operator, ...] = (
    Operator("AffineGrid", (20,), expand),
    Operator("LinearAttention", (27,), expand),
    Operator("NegativeLogLikelihoodLoss", (12, 13, 22), expand),
    Operator("SoftmaxCrossEntropyLoss", (12, 13), expand),
    Operator("FlexAttention", (1,), expand, "ai.onnx.preview"),
)
