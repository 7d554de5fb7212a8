"""Actions of the grammar for expressions and types: each makes one node of the tree.

An action takes the children that the grammar keeps (tokens, nodes, lists, None for what is missing)
and the place of the whole, parentheses included. What the grammar can't rule out is reported here.
"""

from __future__ import annotations

from typing import Any

from dlc.diag import Diagnostic, Edit, SourceFile, Span, error
from dlc.syntax import tree
from dlc.syntax.table import Token


class ExprBuilder:
    """Builds expressions and types of one source; collects errors and parenthesised places."""

    def __init__(self, source: SourceFile) -> None:
        self.source = source
        self.errors: list[Diagnostic] = []
        self.parens: list[Span] = []
        self._in_parens: set[tuple[int, int]] = set()
        self._outside: list[tree.FreshDim | tree.ShapeVar] = []
        """`?k` and `*S` that are not, so far, between the brackets of a type."""

    def at(self, start: int, end: int) -> Span:
        return Span(self.source, start, end)

    def ident(self, token: Token) -> tree.Ident:
        return tree.Ident(token.text, span=self.at(token.start, token.end))

    # -- atoms

    def name(self, c: list[Any], start: int, end: int) -> tree.Name:
        return tree.Name(c[0].text, span=self.at(start, end))

    def number(self, c: list[Any], start: int, end: int) -> tree.Number:
        text: str = c[0].text
        value = int(text) if text.isdigit() else float(text)
        return tree.Number(value, text, span=self.at(start, end))

    def string(self, c: list[Any], start: int, end: int) -> tree.String:
        return tree.String(c[0].text[1:-1], span=self.at(start, end))

    def fresh_dim(self, c: list[Any], start: int, end: int) -> tree.FreshDim:
        made = tree.FreshDim(self.ident(c[0]), span=self.at(start, end))
        self._outside.append(made)
        return made

    def paren(self, c: list[Any], start: int, end: int) -> tree.Expr:
        inner: tree.Expr = c[0]
        self.parens.append(inner.span)
        self._in_parens.add((inner.span.start, inner.span.end))
        return inner

    def tuple_(self, c: list[Any], start: int, end: int) -> tree.TupleExpr:
        return tree.TupleExpr(tuple(c), span=self.at(start, end))

    def list_(self, c: list[Any], start: int, end: int) -> tree.ListExpr:
        items = tuple(item for item in c if item is not None)
        return tree.ListExpr(items, span=self.at(start, end))

    # -- postfix

    def call(self, c: list[Any], start: int, end: int) -> tree.Call:
        args: tuple[tree.Arg, ...] = tuple(c[1] or ())
        self.check_args(args)
        return tree.Call(c[0], args, span=self.at(start, end))

    def check_args(self, args: tuple[tree.Arg, ...]) -> None:
        named: tree.Arg | None = None
        for arg in args:
            if arg.name is not None:
                named = named or arg
            elif named is not None:
                found = error("E0122", "an argument without a name after one with a name", arg.span)
                found = found.with_label(named.span, "the first with a name")
                self.errors.append(found.with_help("arguments by position come first"))
                return

    def args(self, c: list[Any], start: int, end: int) -> list[tree.Arg]:
        return c

    def arg(self, c: list[Any], start: int, end: int) -> tree.Arg:
        return tree.Arg(c[0], span=self.at(start, end))

    def kwarg(self, c: list[Any], start: int, end: int) -> tree.Arg:
        return tree.Arg(c[1], self.ident(c[0]), span=self.at(start, end))

    def mut_arg(self, c: list[Any], start: int, end: int) -> tree.Arg:
        return tree.Arg(c[1], mut=True, span=self.at(start, end))

    def index(self, c: list[Any], start: int, end: int) -> tree.Index:
        return tree.Index(c[0], tuple(c[1:]), span=self.at(start, end))

    def slice(self, c: list[Any], start: int, end: int) -> tree.Slice:
        return tree.Slice(c[0], c[1], span=self.at(start, end))

    def named_dim(self, c: list[Any], start: int, end: int) -> tree.NamedDim:
        return tree.NamedDim(self.ident(c[0]), c[1], span=self.at(start, end))

    def shape_var(self, c: list[Any], start: int, end: int) -> tree.ShapeVar:
        made = tree.ShapeVar(self.ident(c[0]), span=self.at(start, end))
        self._outside.append(made)
        return made

    def attr(self, c: list[Any], start: int, end: int) -> tree.Attr:
        return tree.Attr(c[0], self.ident(c[1]), span=self.at(start, end))

    # -- operators

    def negate(self, c: list[Any], start: int, end: int) -> tree.Unary:
        return tree.Unary("-", c[1], span=self.at(start, end))

    def binary(self, c: list[Any], start: int, end: int) -> tree.Binary:
        left, op, right = c
        return tree.Binary(
            op.text, left, right, self.at(op.start, op.end), span=self.at(start, end)
        )

    def range_(self, c: list[Any], start: int, end: int) -> tree.Range:
        return tree.Range(c[0], c[1], span=self.at(start, end))

    def compare(self, c: list[Any], start: int, end: int) -> tree.Compare:
        left, op, right = c
        place = self.at(op.start, op.end)
        if isinstance(left, tree.Compare) and not self.is_in_parens(left):
            a, b, d = left.left.span.text, left.right.span.text, right.span.text
            found = error("E0106", "comparisons do not chain", place)
            found = found.with_label(left.op_span, "the first comparison")
            text = f"{a} {left.op} {b} and {b} {op.text} {d}"
            self.errors.append(found.with_help(f"`{text}`", Edit(self.at(start, end), text)))
        return tree.Compare(op.text, left, right, place, span=self.at(start, end))

    def is_in_parens(self, node: tree.Node) -> bool:
        return (node.span.start, node.span.end) in self._in_parens

    def not_(self, c: list[Any], start: int, end: int) -> tree.Not:
        return tree.Not(c[0], span=self.at(start, end))

    def and_(self, c: list[Any], start: int, end: int) -> tree.BoolOp:
        return tree.BoolOp("and", tuple(c), span=self.at(start, end))

    def or_(self, c: list[Any], start: int, end: int) -> tree.BoolOp:
        return tree.BoolOp("or", tuple(c), span=self.at(start, end))

    def if_expr(self, c: list[Any], start: int, end: int) -> tree.IfExpr:
        then, cond, orelse = c
        return tree.IfExpr(cond, then, orelse, span=self.at(start, end))

    def lambda_(self, c: list[Any], start: int, end: int) -> tree.Lambda:
        return tree.Lambda(tuple(c[0] or ()), c[1], span=self.at(start, end))

    # -- lists of names and values

    def names(self, c: list[Any], start: int, end: int) -> list[tree.Ident]:
        return [self.ident(t) for t in c]

    def exprs(self, c: list[Any], start: int, end: int) -> list[tree.Expr]:
        return c

    def types(self, c: list[Any], start: int, end: int) -> list[tree.TypeExpr]:
        return c

    # -- types

    def qname(self, c: list[Any], start: int, end: int) -> tuple[tree.Ident | None, tree.Ident]:
        names = [self.ident(t) for t in c]
        return (names[0] if len(names) == 2 else None), names[-1]

    def type_name(self, c: list[Any], start: int, end: int) -> tree.TypeRef:
        module, name = c[0]
        return tree.TypeRef(module, name, None, span=self.at(start, end))

    def type_args(self, c: list[Any], start: int, end: int) -> tree.TypeRef:
        module, name = c[0]
        while self._outside and self._outside[-1].span.start >= start:
            self._outside.pop()
        return tree.TypeRef(module, name, tuple(c[1:]), span=self.at(start, end))

    def tyarg(self, c: list[Any], start: int, end: int) -> tree.TypeArg:
        name, value = None, c[0]
        if isinstance(value, tree.NamedDim):
            name, value = value.name, value.value
        return tree.TypeArg(name, self._type_or_dim(value), span=self.at(start, end))

    def type_tuple(self, c: list[Any], start: int, end: int) -> tree.TupleType:
        return tree.TupleType(tuple(c), span=self.at(start, end))

    def type_fn(self, c: list[Any], start: int, end: int) -> tree.FnType:
        return tree.FnType(tuple(c[0] or ()), c[1], span=self.at(start, end))

    def type_const(self, c: list[Any], start: int, end: int) -> tree.ConstType:
        return tree.ConstType(span=self.at(start, end))

    def _type_or_dim(
        self, value: tree.Expr | tree.ShapeVar
    ) -> tree.Expr | tree.TypeExpr | tree.ShapeVar:
        """Between the brackets of a type, what was read as `Block[W]` or `(a, b)` is a type."""
        if isinstance(value, tree.TupleExpr):
            items = [self._as_type(item) for item in value.items]
            return tree.TupleType(tuple(items), span=value.span)
        if not isinstance(value, tree.Index):
            return value
        base = value.base
        if isinstance(base, tree.Name):
            module, name = None, tree.Ident(base.id, span=base.span)
        elif isinstance(base, tree.Attr) and isinstance(base.base, tree.Name):
            module, name = tree.Ident(base.base.id, span=base.base.span), base.name
        else:
            return value
        args = tuple(self._sub_as_arg(sub) for sub in value.subs)
        return tree.TypeRef(module, name, args, span=value.span)

    def _sub_as_arg(
        self, sub: tree.Expr | tree.Slice | tree.NamedDim | tree.ShapeVar
    ) -> tree.TypeArg:
        if isinstance(sub, tree.Slice):
            found = error("E0121", "`:` has no meaning in a type", sub.span)
            self.errors.append(
                found.with_help("the dims of a type are numbers, names and sums of them")
            )
            return tree.TypeArg(None, tree.Name("_", span=sub.span), span=sub.span)
        if isinstance(sub, tree.NamedDim):
            return tree.TypeArg(sub.name, self._type_or_dim(sub.value), span=sub.span)
        return tree.TypeArg(None, self._type_or_dim(sub), span=sub.span)

    def _as_type(self, value: tree.Expr) -> tree.TypeExpr:
        made = self._type_or_dim(value)
        if isinstance(made, tree.TypeRef | tree.TupleType):
            return made
        if isinstance(made, tree.Name):
            name = tree.Ident(made.id, span=made.span)
            return tree.TypeRef(None, name, None, span=made.span)
        if isinstance(made, tree.Attr) and isinstance(made.base, tree.Name):
            module = tree.Ident(made.base.id, span=made.base.span)
            return tree.TypeRef(module, made.name, None, span=made.span)
        found = error("E0121", "a type is expected here", value.span)
        self.errors.append(
            found.with_help("the parts of a tuple type are types, as in `(i32, f32[D])`")
        )
        return tree.TypeRef(None, tree.Ident("_", span=value.span), None, span=value.span)

    def forget_outside(self) -> None:
        """The item is wrong anyway."""
        self._outside.clear()

    def report_outside(self) -> None:
        """Report every `?k` and `*S` that stood outside a type; called at the end of an item."""
        for node in self._outside:
            sign = "?" if isinstance(node, tree.FreshDim) else "*"
            text = f"`{sign}{node.name.text}` stands only between the brackets of a type"
            found = error("E0120", text, node.span)
            if sign == "?":
                found = found.with_help(
                    f"name the dim in an annotation: `x: i32[?{node.name.text}] = …`"
                )
            else:
                found = found.with_help("give the dims one by one")
            self.errors.append(found)
        self._outside.clear()
