"""Actions of the grammar for statements and items."""

from __future__ import annotations

from typing import Any

from dlc.diag import Edit, Span, error
from dlc.syntax import tree
from dlc.syntax.build import ExprBuilder

Head = tuple[Any, Span]
"""What stands in a header, and its place."""


class ItemBuilder(ExprBuilder):
    """Builds the items of one source."""

    # -- statements

    def suite(self, c: list[Any], start: int, end: int) -> tuple[tree.Stmt, ...]:
        return tuple(c)

    def expr_stmt(self, c: list[Any], start: int, end: int) -> tree.ExprStmt:
        values: list[tree.Expr] = c[0]
        if len(values) > 1:
            place = self.at(values[1].span.start, end)
            found = error("E0110", "several values, but nothing takes them", place)
            self.errors.append(found.with_help("`a, b = …` assigns; `return a, b` returns both"))
        return tree.ExprStmt(values[0], span=self.at(start, end))

    def assign(self, c: list[Any], start: int, end: int) -> tree.Assign:
        targets, values = c
        for target in targets:
            self._check_target(target)
        return tree.Assign(tuple(targets), tuple(values), span=self.at(start, end))

    def _check_target(self, target: tree.Expr) -> None:
        if isinstance(target, tree.Name | tree.Index):
            if isinstance(target, tree.Index) and not isinstance(target.base, tree.Name):
                self._bad_target(target, "only the parts of a variable can be assigned")
            return
        if isinstance(target, tree.Attr):
            self._bad_target(target, "a field is never assigned", "make a new value of the whole")
        elif isinstance(target, tree.TupleExpr):
            remedy = "targets stand without parentheses: `a, b = …`"
            self._bad_target(target, "a tuple in parentheses cannot be assigned", remedy)
        else:
            self._bad_target(target, "this cannot be assigned", "a target is `x` or `x[i]`")

    def _bad_target(self, target: tree.Expr, text: str, remedy: str = "") -> None:
        found = error("E0115", text, target.span)
        self.errors.append(found.with_help(remedy or "name it first: `y = …`, then `y[i] = …`"))

    def ann_assign(self, c: list[Any], start: int, end: int) -> tree.AnnAssign:
        return tree.AnnAssign(self.ident(c[0]), c[1], c[2], span=self.at(start, end))

    def aug_assign(self, c: list[Any], start: int, end: int) -> tree.AugAssign:
        target, op, value = c
        self._check_target(target)
        place = self.at(op.start, op.end)
        return tree.AugAssign(target, op.text, value, place, span=self.at(start, end))

    def return_(self, c: list[Any], start: int, end: int) -> tree.Return:
        return tree.Return(tuple(c[0] or ()), span=self.at(start, end))

    def break_(self, c: list[Any], start: int, end: int) -> tree.Break:
        return tree.Break(span=self.at(start, end))

    def continue_(self, c: list[Any], start: int, end: int) -> tree.Continue:
        return tree.Continue(span=self.at(start, end))

    def assert_(self, c: list[Any], start: int, end: int) -> tree.Assert:
        message = None
        if c[1] is not None:
            message = tree.String(c[1].text[1:-1], span=self.at(c[1].start, c[1].end))
        return tree.Assert(c[0], message, span=self.at(start, end))

    def if_head(self, c: list[Any], start: int, end: int) -> Head:
        return c[0], self.at(start, end)

    while_head = match_head = if_head

    def if_(self, c: list[Any], start: int, end: int) -> tree.If:
        (cond, header), body, *elifs, orelse = c
        first = tree.Branch(cond, body, span=self.at(start, body[-1].span.end))
        return tree.If((first, *elifs), orelse, header, span=self.at(start, end))

    def elif_(self, c: list[Any], start: int, end: int) -> tree.Branch:
        return tree.Branch(c[0], c[1], span=self.at(start, end))

    def else_(self, c: list[Any], start: int, end: int) -> tuple[tree.Stmt, ...]:
        return c[0]

    def while_(self, c: list[Any], start: int, end: int) -> tree.While:
        (cond, header), body = c
        return tree.While(cond, body, header, span=self.at(start, end))

    def for_head(self, c: list[Any], start: int, end: int) -> Head:
        static, names, iterable = c
        return (static is not None, tuple(names), iterable), self.at(start, end)

    def for_(self, c: list[Any], start: int, end: int) -> tree.For:
        ((static, names, iterable), header), body = c
        return tree.For(names, iterable, body, static, header, span=self.at(start, end))

    def match_(self, c: list[Any], start: int, end: int) -> tree.Match:
        subject, header = c[0]
        return tree.Match(subject, tuple(c[1:]), header, span=self.at(start, end))

    def arm_head(self, c: list[Any], start: int, end: int) -> Head:
        (module, name), fields = c
        if module is None and name.text == "_" and fields:
            place = self.at(fields[0].span.start, fields[-1].span.end)
            found = error("E0110", "`_` matches anything and has no fields", place)
            self.errors.append(found.with_help("write `_:`", Edit(self.at(start, end), "_:")))
        return (module, name, tuple(fields or ())), self.at(start, end)

    def arm(self, c: list[Any], start: int, end: int) -> tree.Arm:
        ((module, name, fields), header), body = c
        return tree.Arm(module, name, fields, body, header, span=self.at(start, end))

    # -- imports

    def import_modules(self, c: list[Any], start: int, end: int) -> tree.Import:
        return tree.Import(tuple(self.ident(t) for t in c), span=self.at(start, end))

    def import_onnx(self, c: list[Any], start: int, end: int) -> tree.ImportOnnx:
        kind, path, name = c
        if kind.text != "onnx":
            place = self.at(kind.start, kind.end)
            found = error("E0110", f"expected `onnx`, found `{kind.text}`", place)
            self.errors.append(
                found.with_help('a file is imported by `import onnx "f.onnx" as Name`')
            )
        file = tree.String(path.text[1:-1], span=self.at(path.start, path.end))
        return tree.ImportOnnx(file, self.ident(name), span=self.at(start, end))

    def from_import(self, c: list[Any], start: int, end: int) -> tree.FromImport:
        module, *names = [self.ident(t) for t in c]
        return tree.FromImport(module, tuple(names), span=self.at(start, end))

    # -- types and models

    def typedef(self, c: list[Any], start: int, end: int) -> tree.TypeDef:
        name, generics, *variants = c
        return tree.TypeDef(
            self.ident(name), generics or (), tuple(variants), span=self.at(start, end)
        )

    def variant(self, c: list[Any], start: int, end: int) -> tree.Variant:
        name, *found = c
        fields = tuple(f for f in found if f is not None)
        return tree.Variant(self.ident(name), fields, span=self.at(start, end))

    def field(self, c: list[Any], start: int, end: int) -> tree.Field:
        return tree.Field(self.ident(c[0]), c[1], span=self.at(start, end))

    def generics(self, c: list[Any], start: int, end: int) -> tuple[tree.Generic, ...]:
        return tuple(c)

    def generic(self, c: list[Any], start: int, end: int) -> tree.Generic:
        name, kind, default = c
        number = None if default is None else self.number([default], default.start, default.end)
        return tree.Generic(self.ident(name), kind, number, span=self.at(start, end))

    def kind(self, c: list[Any], start: int, end: int) -> tree.Ident:
        return self.ident(c[0])

    def model_head(self, c: list[Any], start: int, end: int) -> Head:
        return (self.ident(c[0]), c[1] or ()), self.at(start, end)

    def modeldef(self, c: list[Any], start: int, end: int) -> tree.ModelDef:
        (name, generics), header = c[0]
        return tree.ModelDef(name, generics, tuple(c[1:]), header, span=self.at(start, end))

    def member(self, c: list[Any], start: int, end: int) -> tree.Member:
        return tree.Member(self.ident(c[0]), c[1], c[2], span=self.at(start, end))

    # -- functions and tests

    def params(self, c: list[Any], start: int, end: int) -> tuple[tree.Param | tree.DimsParam, ...]:
        return tuple(c)

    def param(self, c: list[Any], start: int, end: int) -> tree.Param:
        name, mut, kind, default = c
        return tree.Param(
            self.ident(name), kind, mut is not None, default, span=self.at(start, end)
        )

    def dims_param(self, c: list[Any], start: int, end: int) -> tree.DimsParam:
        return tree.DimsParam(self.ident(c[0]), span=self.at(start, end))

    def decorator(self, c: list[Any], start: int, end: int) -> tree.Decorator:
        args = tuple(c[1] or ())
        self.check_args(args)
        return tree.Decorator(self.ident(c[0]), args, span=self.at(start, end))

    def decorator_bare(self, c: list[Any], start: int, end: int) -> tree.Decorator:
        return tree.Decorator(self.ident(c[0]), None, span=self.at(start, end))

    def fn_head(self, c: list[Any], start: int, end: int) -> Head:
        exported, name, generics, params, result = c
        parts = self.ident(name), generics or (), params or (), result, exported is not None
        return parts, self.at(start, end)

    def fndef(self, c: list[Any], start: int, end: int) -> tree.FnDef:
        *decorators, ((name, generics, params, result, exported), header), body = c
        return tree.FnDef(
            name,
            generics,
            params,
            result,
            body,
            tuple(decorators),
            exported,
            header,
            span=self.at(start, end),
        )

    def builtin(self, c: list[Any], start: int, end: int) -> tree.FnDef:
        name, generics, params, result = c
        place = self.at(start, end)
        return tree.FnDef(
            self.ident(name),
            generics or (),
            params or (),
            result,
            None,
            (),
            False,
            place,
            span=place,
        )

    def test_head(self, c: list[Any], start: int, end: int) -> tree.String:
        return self.string(c, c[0].start, c[0].end)

    def test(self, c: list[Any], start: int, end: int) -> tree.Test:
        return tree.Test(c[0], c[1], span=self.at(start, end))
