"""Which rule is for which node, and which builtin has which rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias

from dlc.check.body import Body, Rule, Special
from dlc.check.entities import DTYPE_NAMES
from dlc.check.rules import (
    assign,
    blocks,
    calls,
    construct,
    indexing,
    lambdas,
    loops,
    names,
    operators,
)
from dlc.check.special import data, derivative, elements, higher, shapes
from dlc.syntax import tree

Statement: TypeAlias = Callable[[Body, Any], str]

RULES: Mapping[type[tree.Node], Rule] = MappingProxyType(
    {
        tree.Name: names.name,
        tree.Number: names.number,
        tree.String: names.string,
        tree.FreshDim: names.fresh_dim,
        tree.Attr: names.attr,
        tree.TupleExpr: indexing.tuple_expr,
        tree.ListExpr: indexing.display,
        tree.Index: indexing.index,
        tree.Range: indexing.range_expr,
        tree.Call: calls.call,
        tree.Unary: operators.negate,
        tree.Not: operators.logical_not,
        tree.Binary: operators.binary,
        tree.Compare: operators.compare,
        tree.BoolOp: operators.bool_op,
        tree.IfExpr: operators.if_expr,
        tree.Lambda: lambdas.lambda_value,
    }
)

STATEMENTS: Mapping[type[tree.Node], Statement] = MappingProxyType(
    {
        tree.Assign: assign.assign,
        tree.AnnAssign: assign.ann_assign,
        tree.AugAssign: assign.aug_assign,
        tree.Return: assign.return_,
        tree.Assert: assign.assert_,
        tree.ExprStmt: assign.expr_stmt,
        tree.If: blocks.if_,
        tree.Match: blocks.match_,
        tree.While: loops.while_,
        tree.For: loops.for_,
        tree.Break: loops.break_,
        tree.Continue: loops.continue_,
    }
)

SPECIAL_RULES: Mapping[str, Special] = MappingProxyType(
    {
        **{n: partial(elements.reduction, n) for n in elements.REDUCTIONS},
        **{n: partial(elements.conversion, n) for n in DTYPE_NAMES},
        "minimum": partial(elements.extremum, "minimum"),
        "maximum": partial(elements.extremum, "maximum"),
        "where": elements.where,
        "len": shapes.length,
        "reshape": shapes.reshape,
        "transpose": shapes.transpose,
        "concat": shapes.concat,
        "chunk": shapes.chunk,
        "einsum": shapes.einsum,
        "push": data.push,
        "init": data.init,
        "Some": construct.some,
        "None": construct.none_called,
        "map": higher.map_,
        "scan": higher.scan,
        "fold": higher.fold,
        "each": higher.each,
        "total": higher.total,
        "fixpoint": higher.fixpoint,
        "derivative": derivative.derivative,
        **dict.fromkeys(("grad", "value_and_grad", "vjp", "jvp"), derivative.unapplied),
    }
)
