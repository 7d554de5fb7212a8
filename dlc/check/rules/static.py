"""Values known when compiling, found in the tree without checking it: numbers, truth values,
texts."""

from __future__ import annotations

from dlc.check.body import Body, Constant, Variable
from dlc.check.instances import Static
from dlc.check.paths import dim_of_type
from dlc.check.read_type import combine_dims
from dlc.syntax import tree
from dlc.typesys.dims import Dim, DimError

_BIG = 2**63


def static_value(b: Body, e: tree.Expr) -> Static | None:
    """The value of an expression of const names and literals, or None."""
    if isinstance(e, tree.Number):
        return e.value if isinstance(e.value, int) else None
    if isinstance(e, tree.String):
        return e.value
    if isinstance(e, (tree.Name, tree.Attr)):
        return _named(b, e)
    if isinstance(e, tree.Unary):
        n = static_number(b, e.operand)
        return None if n is None else -n
    if isinstance(e, tree.Not):
        v = static_value(b, e.operand)
        return not v if isinstance(v, bool) else None
    if isinstance(e, tree.Binary):
        return _binary(b, e)
    if isinstance(e, tree.Compare):
        return _compare(b, e)
    if isinstance(e, tree.BoolOp):
        return _logic(b, e)
    return None


def _is_int(v: Static | None) -> bool:
    return isinstance(v, int) and not isinstance(v, bool)


def _named(b: Body, e: tree.Name | tree.Attr) -> Static | None:
    if isinstance(e, tree.Attr):
        if not isinstance(e.base, tree.Name):
            return None
        v = b.lookup(e.base.id)
        if not isinstance(v, Variable):
            return None
        return _constant(dim_of_type(b.tables, v.type, e.name.text))
    binding = b.lookup(e.id)
    if isinstance(binding, Constant):
        v = binding.value
        return _constant(v) if isinstance(v, Dim) else v
    if binding is None and e.id in ("true", "false"):
        return e.id == "true"
    if binding is None and e.id in b.dim_names:
        return _constant(b.dim_names[e.id])
    return None


def _constant(d: Dim | None) -> int | None:
    return d.constant if d is not None and d.is_constant else None


def _binary(b: Body, e: tree.Binary) -> Static | None:
    x, y = static_number(b, e.left), static_number(b, e.right)
    if x is None or y is None:
        return None
    try:
        d = combine_dims(e.op, Dim.const(x), Dim.const(y))
    except DimError:
        return None
    return d.constant if d is not None and abs(d.constant) < _BIG else None


def _compare(b: Body, e: tree.Compare) -> Static | None:
    x, y = static_value(b, e.left), static_value(b, e.right)
    if x is None or y is None or type(x) is not type(y):
        return None
    if e.op == "==":
        return x == y
    if e.op == "!=":
        return x != y
    if not (_is_int(x) and _is_int(y)):
        return None
    assert isinstance(x, int) and isinstance(y, int)
    return {"<": x < y, "<=": x <= y, ">": x > y, ">=": x >= y}[e.op]


def _logic(b: Body, e: tree.BoolOp) -> Static | None:
    absorbing = e.op == "or"
    all_known = True
    for v in e.values:
        known = static_value(b, v)
        if known is absorbing:
            return absorbing if all_known else None
        all_known = all_known and isinstance(known, bool)
    return (not absorbing) if all_known else None


def static_number(b: Body, e: tree.Expr) -> int | None:
    """A whole number known when compiling."""
    v = static_value(b, e)
    return v if isinstance(v, int) and not isinstance(v, bool) else None
