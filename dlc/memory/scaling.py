"""A `contract` that sums nothing and only scales (`",i->i"`, `"i,ij->ij"`) is element-wise: one
operand has all letters of the result, and the other repeats along the rest. As a `mul` it joins the
maps around it. Outer products stay products: they are better made in registers."""

from __future__ import annotations

from dlc.ir.core import Attr, Function, Op, Value, freeze_attrs
from dlc.ir.rewrite import rewrite_function
from dlc.ops.contract import parse_spec
from dlc.typesys.dims import ONE, Dim
from dlc.typesys.types import TensorType


def scale_element_wise(fn: Function) -> Function:
    """The function with such products as multiplications."""

    def change(op: Op) -> list[Op] | None:
        return _multiplication(op) if op.name == "contract" else None

    return rewrite_function(fn, change)


def _multiplication(op: Op) -> list[Op] | None:
    if op.attr_flag("accumulate") or "dtype" in op.attrs or not op.result.tensor.rank:
        return None
    spec = parse_spec(op.attr_str("spec"))
    letters = set(spec.out)
    if set(spec.a) | set(spec.b) != letters or letters not in (set(spec.a), set(spec.b)):
        return None
    out: list[Op] = []
    t = op.result.tensor
    a, b = (
        _spread(out, x, s, spec.out, t, op)
        for x, s in zip(op.operands, (spec.a, spec.b), strict=True)
    )
    return [*out, Op("mul", (a, b), op.results, freeze_attrs({}), (), (), op.loc)]


def _spread(out: list[Op], x: Value, letters: str, wanted: str, t: TensorType, op: Op) -> Value:
    """The operand with the result's axes: in their order, and repeated where it has none."""

    def view(name: str, shape: tuple[Dim, ...], key: str, attr: Attr) -> Value:
        v = Value(x.tensor.with_shape(shape), x.hint)
        out.append(Op(name, (now,), (v,), freeze_attrs({key: attr}), (), (), op.loc))
        return v

    now = x
    order = tuple(sorted(range(len(letters)), key=lambda k: wanted.index(letters[k])))
    if order != tuple(range(len(letters))):
        now = view("transpose", tuple(x.tensor.shape[k] for k in order), "perm", order)
    if len(letters) == len(wanted):
        return now
    if letters:
        sizes = {letters[k]: x.tensor.shape[k] for k in order}
        shape = tuple(sizes.get(c, ONE) for c in wanted)
        now = view("reshape", shape, "shape", shape)
    return view("broadcast", t.shape, "shape", t.shape)
