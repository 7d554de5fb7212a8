"""Expressions and types as documents: operators with the fewest parentheses, brackets that can
break.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dlc.diag import InternalError
from dlc.syntax import tree
from dlc.syntax.layout import LINE, SOFT, Doc, Group, Hard, IfBroken, Nest, concat, join

Style = int
"""How operators are spaced: SPACED, DIMS (`2*D + 1`) or TIGHT (`n-1`, in slices and ranges)."""

SPACED, DIMS, TIGHT = 0, 1, 2

_LAMBDA, _IF, _OR, _AND, _NOT, _COMPARE, _RANGE, _SUM, _TERM, _UNARY, _POWER, _POSTFIX = range(12)

_BINARY = {
    "+": (_SUM, _SUM, _TERM),
    "-": (_SUM, _SUM, _TERM),
    "*": (_TERM, _TERM, _UNARY),
    "/": (_TERM, _TERM, _UNARY),
    "//": (_TERM, _TERM, _UNARY),
    "%": (_TERM, _TERM, _UNARY),
    "@": (_TERM, _TERM, _UNARY),
    "**": (_POWER, _POSTFIX, _UNARY),
}
"""How tight an operator binds, and what its operands have to bind at least."""

TakeComments = Callable[[int, int], list[tree.Comment]]
"""Gives the comments between two offsets that nobody took yet, and marks them as taken."""


@dataclass(frozen=True, slots=True)
class _Visit:
    node: tree.Node
    style: Style
    keeps_parens: bool
    """Whether the place is one where parentheses of the writer are worth keeping."""


class ExprFormatter:
    """Makes documents of the expressions of one module."""

    def __init__(self, parens: Sequence[tuple[int, int]], take: TakeComments) -> None:
        self._parens = frozenset(parens)
        self._take = take

    def doc(self, node: tree.Node, style: Style = SPACED) -> Doc:
        """The document of an expression, a type or an argument. Does not recurse."""
        order: list[_Visit] = []
        stack = [_Visit(node, style, False)]
        while stack:
            visit = stack.pop()
            order.append(visit)
            stack += self._below(visit)
        docs: dict[tree.Node, Doc] = {}
        for visit in reversed(order):
            doc = self._node(visit, docs)
            if self._is_in_parens(visit):
                doc = _paren(doc)
            docs[visit.node] = doc
        return docs[node]

    def value(self, node: tree.Expr) -> Doc:
        """An expression as a statement has it: in parentheses if it has to break at an operator."""
        doc = self.doc(node)
        if precedence(node) >= _POSTFIX:
            return doc
        return Group(concat(IfBroken("("), Nest(concat(SOFT, doc)), SOFT, IfBroken(")")))

    # -- which way down

    def _below(self, visit: _Visit) -> list[_Visit]:
        node, style = visit.node, visit.style
        match node:
            case tree.Binary(left=left, right=right):
                return [_Visit(left, style, True), _Visit(right, style, True)]
            case tree.Unary(operand=operand) | tree.Not(operand=operand):
                return [_Visit(operand, style, True)]
            case tree.Compare(left=left, right=right):
                return [_Visit(left, style, True), _Visit(right, style, True)]
            case tree.Range(start=start, stop=stop):
                return [_Visit(start, TIGHT, True), _Visit(stop, TIGHT, True)]
            case tree.BoolOp(values=values):
                return [_Visit(v, style, True) for v in values]
            case tree.IfExpr(cond=cond, then=then, orelse=orelse):
                return [_Visit(n, style, True) for n in (cond, then, orelse)]
            case tree.Lambda(body=body):
                return [_Visit(body, SPACED, True)]
            case tree.Slice(start=start, stop=stop):
                return [_Visit(n, TIGHT, False) for n in (start, stop) if n is not None]
            case tree.TypeRef(args=args):
                return [_Visit(a, DIMS, False) for a in args or ()]
            case tree.TypeArg(value=value) | tree.NamedDim(value=value):
                return [_Visit(value, DIMS, False)]
            case tree.Index(base=base, subs=subs):
                return [_Visit(base, SPACED, False), *[_Visit(s, SPACED, False) for s in subs]]
            case tree.Call(callee=callee, args=args):
                return [_Visit(callee, SPACED, False), *[_Visit(a, SPACED, False) for a in args]]
            case tree.Attr(base=base):
                return [_Visit(base, SPACED, False)]
            case tree.Arg(value=value):
                return [_Visit(value, SPACED, False)]
            case tree.TupleExpr(items=items) | tree.ListExpr(items=items):
                return [_Visit(i, SPACED, False) for i in items]
            case tree.TupleType(items=items):
                return [_Visit(i, SPACED, False) for i in items]
            case tree.FnType(params=params, result=result):
                return [_Visit(p, SPACED, False) for p in (*params, result)]
            case _:
                return []

    def _is_in_parens(self, visit: _Visit) -> bool:
        """Whether to keep parentheses that the writer put around an operator."""
        span = visit.node.span
        return (
            visit.keeps_parens
            and (span.start, span.end) in self._parens
            and precedence(visit.node) < _POSTFIX
        )

    # -- the way up

    def _node(self, visit: _Visit, docs: dict[tree.Node, Doc]) -> Doc:
        node = visit.node
        match node:
            case tree.Name(id=name):
                return name
            case tree.Number(text=text):
                return text
            case tree.String(value=value):
                return f'"{value}"'
            case tree.FreshDim(name=name):
                return f"?{name}"
            case tree.ShapeVar(name=name):
                return f"*{name}"
            case tree.ConstType():
                return "const"
            case tree.Attr(base=base, name=name):
                inner = docs[base]
                inner = _paren(inner) if isinstance(base, tree.Number) else inner
                return concat(self._wrapped(base, inner, _POSTFIX), f".{name}")
            case tree.Call() | tree.Index() | tree.TupleExpr() | tree.ListExpr():
                return self._brackets(node, docs)
            case tree.TypeRef() | tree.TupleType() | tree.FnType():
                return self._type(node, docs)
            case tree.Arg(value=value, name=name, mut=mut):
                lead = f"{name}=" if name else "mut " if mut else ""
                return concat(lead, docs[value])
            case tree.TypeArg(name=name, value=value):
                return concat(f"{name}=", docs[value]) if name else docs[value]
            case tree.NamedDim(name=name, value=value):
                return concat(f"{name}=", docs[value])
            case tree.Slice(start=start, stop=stop):
                return concat(docs[start] if start else "", ":", docs[stop] if stop else "")
            case tree.Lambda(params=params, body=body):
                names = ", ".join(p.text for p in params)
                return Group(concat(f"fn({names}) =>", Nest(concat(LINE, docs[body]))))
            case _:
                return self._operator(visit, docs)

    def _operator(self, visit: _Visit, docs: dict[tree.Node, Doc]) -> Doc:
        node = visit.node
        match node:
            case tree.Binary():
                return self._binary(node, visit.style, docs)
            case tree.Unary(operand=operand):
                return concat("-", self._operand(operand, visit, docs, _UNARY))
            case tree.Not(operand=operand):
                return concat("not ", self._operand(operand, visit, docs, _NOT))
            case tree.Compare(op=op, left=left, right=right):
                a = self._operand(left, visit, docs, _RANGE)
                b = self._operand(right, visit, docs, _RANGE)
                return concat(a, LINE, f"{op} ", b)
            case tree.Range(start=start, stop=stop):
                a = self._operand(start, visit, docs, _SUM)
                b = self._operand(stop, visit, docs, _SUM)
                return concat(a, "..", b)
            case tree.BoolOp(op=op, values=values):
                least = _NOT if op == "and" else _AND
                parts = [self._operand(v, visit, docs, least) for v in values]
                return join(concat(LINE, f"{op} "), parts)
            case tree.IfExpr(cond=cond, then=then, orelse=orelse):
                a = self._operand(then, visit, docs, _OR)
                c = self._operand(cond, visit, docs, _OR)
                b = self._operand(orelse, visit, docs, _IF)
                return concat(a, LINE, "if ", c, LINE, "else ", b)
            case _:
                raise InternalError(f"no form for {type(node).__name__}", stage="format")

    def _binary(self, node: tree.Binary, style: Style, docs: dict[tree.Node, Doc]) -> Doc:
        _, left_least, right_least = _BINARY[node.op]
        visit = _Visit(node, style, False)
        left = self._operand(node.left, visit, docs, left_least)
        right = self._operand(node.right, visit, docs, right_least)
        if style == TIGHT or (style == DIMS and node.op == "*"):
            return concat(left, node.op, right)
        return concat(left, LINE, f"{node.op} ", right)

    def _operand(
        self, node: tree.Node, visit: _Visit, docs: dict[tree.Node, Doc], least: int
    ) -> Doc:
        """The document of an operand, in parentheses if it binds less than `least`."""
        if self._is_in_parens(_Visit(node, visit.style, True)):
            return docs[node]
        if precedence(node) < least:
            return _paren(docs[node])
        if precedence(visit.node) < precedence(node) < _POSTFIX:
            return Group(docs[node])
        return docs[node]

    def _wrapped(self, node: tree.Node, doc: Doc, least: int) -> Doc:
        return _paren(doc) if precedence(node) < least else doc

    # -- brackets

    def _brackets(
        self,
        node: tree.Call | tree.Index | tree.TupleExpr | tree.ListExpr,
        docs: dict[tree.Node, Doc],
    ) -> Doc:
        end = node.span.end
        match node:
            case tree.Call(callee=callee, args=args):
                head = self._wrapped(callee, docs[callee], _POSTFIX)
                return concat(head, self.listed("(", args, ")", docs, callee.span.end, end))
            case tree.Index(base=base, subs=subs):
                head = self._wrapped(base, docs[base], _POSTFIX)
                return concat(head, self.listed("[", subs, "]", docs, base.span.end, end))
            case tree.TupleExpr(items=items):
                # A trailing comma has no meaning in a tuple, so it is not allowed.
                return self.listed("(", items, ")", docs, node.span.start, end, comma=False)
            case tree.ListExpr(items=items):
                return self.listed("[", items, "]", docs, node.span.start, end)

    def _type(
        self, node: tree.TypeRef | tree.TupleType | tree.FnType, docs: dict[tree.Node, Doc]
    ) -> Doc:
        start, end = node.span.start, node.span.end
        match node:
            case tree.TypeRef(module=module, name=name, args=args):
                head = f"{module}.{name}" if module else str(name)
                if args is None:
                    return head
                return concat(head, self.listed("[", args, "]", docs, name.span.end, end))
            case tree.TupleType(items=items):
                return self.listed("(", items, ")", docs, start, end, comma=False)
            case tree.FnType(params=params, result=result):
                stop = result.span.start
                listed = self.listed("(", params, ")", docs, start, stop, comma=False)
                return concat("fn", listed, " -> ", docs[result])

    def listed(
        self,
        opening: str,
        nodes: Sequence[tree.Node],
        closing: str,
        docs: dict[tree.Node, Doc],
        start: int,
        end: int,
        *,
        comma: bool = True,
    ) -> Doc:
        """Elements between brackets: on one line, or all on the next, or one a line.

        `start` and `end` are the offsets between which comments belong to the elements; `comma`
        says whether the last element may be followed by a comma."""
        comments = self._between(nodes, start, end)
        if comments:
            return self._commented(opening, nodes, closing, docs, comments, comma)
        if not nodes:
            return opening + closing
        elements = join(concat(",", LINE), [_element(docs[n]) for n in nodes])
        inner = Group(concat(elements, IfBroken("," if comma else "")))
        return Group(concat(opening, Nest(concat(SOFT, inner)), SOFT, closing))

    def _between(
        self, nodes: Sequence[tree.Node], start: int, end: int
    ) -> list[tuple[int, tree.Comment]]:
        """Comments between the elements, each with the number of elements before it."""
        found: list[tuple[int, tree.Comment]] = []
        edges = [start, *[e for n in nodes for e in (n.span.start, n.span.end)], end]
        for i in range(0, len(edges), 2):
            found += [(i // 2, c) for c in self._take(edges[i], edges[i + 1])]
        return found

    def _commented(
        self,
        opening: str,
        nodes: Sequence[tree.Node],
        closing: str,
        docs: dict[tree.Node, Doc],
        comments: list[tuple[int, tree.Comment]],
        comma: bool,
    ) -> Doc:
        """One element a line, with comments on lines of their own or beside an element."""
        rows: list[tuple[Doc, str]] = []
        for i in range(len(nodes) + 1):
            here = [c for at, c in comments if at == i]
            if rows and here and not here[0].own_line:
                rows[-1] = rows[-1][0], f"  {here[0].text}"
                here = here[1:]
            rows += [(c.text, "") for c in here]
            if i < len(nodes):
                after = "," if comma or i < len(nodes) - 1 else ""
                rows.append((concat(_element(docs[nodes[i]]), after), ""))
        inner: list[Doc] = [Hard()]
        for doc, suffix in rows[:-1]:
            inner += [doc, Hard(suffix)]
        last, suffix = rows[-1]
        return Group(concat(opening, Nest(concat(*inner, last)), Hard(suffix), closing))


def precedence(node: tree.Node) -> int:
    """How tight the outermost operator of an expression binds."""
    match node:
        case tree.Binary(op=op):
            return _BINARY[op][0]
        case tree.Lambda():
            return _LAMBDA
        case tree.IfExpr():
            return _IF
        case tree.BoolOp(op=op):
            return _OR if op == "or" else _AND
        case tree.Not():
            return _NOT
        case tree.Compare():
            return _COMPARE
        case tree.Range():
            return _RANGE
        case tree.Unary():
            return _UNARY
        case _:
            return _POSTFIX


def _element(doc: Doc) -> Doc:
    """An element between brackets breaks by itself."""
    return doc if isinstance(doc, str) else Group(doc)


def _paren(doc: Doc) -> Doc:
    return Group(concat("(", Nest(concat(SOFT, doc)), SOFT, ")"))
