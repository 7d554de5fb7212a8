"""The canonical form of a source: `format_source`.

    parse(format(s)) is parse(s), but for places            format(format(s)) == format(s)

Comments stay, where they stood or, if they stood where no line can break, above their statement.
One empty line at most separates lines, where the writer had any. Lines are at most 100 columns long
where the grammar lets them break, which is between brackets."""

from __future__ import annotations

from collections.abc import Sequence

from dlc.diag import InternalError, SourceFile
from dlc.syntax import tree
from dlc.syntax.comments import Comments, Lines
from dlc.syntax.format_expr import ExprFormatter
from dlc.syntax.layout import INDENT, LINE, SOFT, Doc, Group, IfBroken, Nest, concat, flatten, join
from dlc.syntax.parse import parse

WIDTH = 100


def format_source(source: SourceFile, *, allow_builtin: bool = False) -> str:
    """The canonical text of a source. Raises CompileError if it does not parse."""
    return format_module(parse(source, allow_builtin=allow_builtin))


def format_module(module: tree.Module) -> str:
    """The canonical text of a parsed module."""
    return _Formatter(module).run()


class _Formatter:
    def __init__(self, module: tree.Module) -> None:
        self.module = module
        self.comments = Comments(module)
        self.lines = Lines(module.source)
        parens = [(span.start, span.end) for span in module.parens]
        self.exprs = ExprFormatter(parens, self.comments.between)

    def run(self) -> str:
        for item in self.module.items:
            self.item(item)
        self.above(len(self.module.source.text), 0)
        return self.lines.text()

    # -- lines and their comments

    def above(self, offset: int, level: int) -> None:
        """Write the comments before `offset` that nobody took, each on a line of its own."""
        for comment in self.comments.before(offset):
            self.lines.add([" " * level * INDENT + comment.text], comment.span)

    def line(self, node: tree.Node, level: int, doc: Doc, end: int | None = None) -> None:
        """Write a logical line, which in the source goes from `node` to offset `end`."""
        span = node.span
        stop = span.end if end is None else end
        self.above(span.start, level)
        self.hoist(span.start, stop, level)
        rows = flatten(doc, level * INDENT, WIDTH)
        self.lines.add(rows, self.module.source.span(span.start, stop), self.comments.beside(stop))

    def hoist(self, start: int, end: int, level: int) -> None:
        """Write the comments inside a logical line that no bracket took above it."""
        for comment in self.comments.between(start, end):
            self.lines.add([" " * level * INDENT + comment.text], comment.span)

    def body(self, statements: Sequence[tree.Stmt], level: int) -> None:
        """Write a block and the comments at its end that are indented as much as it is."""
        for statement in statements:
            self.statement(statement, level)
        self.end_of_block(statements[0].span.column, statements[-1].span.end, level)

    def end_of_block(self, column: int, end: int, level: int) -> None:
        for comment in self.comments.following(end, column):
            self.lines.add([" " * level * INDENT + comment.text], comment.span)

    # -- items

    def item(self, item: tree.Item) -> None:
        match item:
            case tree.Import(names=names):
                self.line(item, 0, "import " + ", ".join(n.text for n in names))
            case tree.FromImport(module=module, names=names):
                listed = join(concat(",", LINE), [n.text for n in names])
                inner = Group(concat(listed, IfBroken(",")))
                doc = concat(IfBroken("("), Nest(concat(SOFT, inner)), SOFT, IfBroken(")"))
                self.line(item, 0, concat(f"from {module} import ", Group(doc)))
            case tree.ImportOnnx(path=path, name=name):
                self.line(item, 0, f'import onnx "{path.value}" as {name}')
            case tree.TypeDef():
                self.typedef(item)
            case tree.ModelDef():
                self.model(item)
            case tree.FnDef():
                self.function(item)
            case tree.Test(name=name, body=body):
                self.line(item, 0, f'test "{name.value}":', name.span.end)
                self.body(body, 1)

    def typedef(self, item: tree.TypeDef) -> None:
        head = concat(f"type {item.name}", self.generics(item.generics), " =")
        variants = [self.variant(v) for v in item.variants]
        name, first = item.name.span, item.variants[0].span
        if first.line == name.line:
            doc = concat(head, " ", join(" | ", variants))
            rows = flatten(doc, 0, WIDTH)
            if len(rows) == 1 and len(rows[0]) <= WIDTH:
                self.line(item, 0, doc)
                return
        self.line(item, 0, head, item.generics[-1].span.end if item.generics else name.end)
        for node, variant in zip(item.variants, variants, strict=True):
            self.line(node, 1, concat("| ", variant))
        self.end_of_block(2, item.span.end, 1)  # whatever is indented at all

    def variant(self, variant: tree.Variant) -> Doc:
        if not variant.fields:
            return variant.name.text
        docs: dict[tree.Node, Doc] = {
            f: concat(f"{f.name}: ", self.exprs.doc(f.type)) for f in variant.fields
        }
        start, end = variant.name.span.end, variant.span.end
        listed = self.exprs.listed("(", variant.fields, ")", docs, start, end)
        return concat(variant.name.text, listed)

    def generics(self, generics: Sequence[tree.Generic]) -> Doc:
        if not generics:
            return ""
        return "[" + ", ".join(_generic(g) for g in generics) + "]"

    def model(self, item: tree.ModelDef) -> None:
        head = concat(f"model {item.name}", self.generics(item.generics), ":")
        self.line(item, 0, head, item.header.end)
        section: list[tree.Member] = []
        for member in item.members:
            if section and self.is_apart(section[-1], member):
                self.members(section)
                section = []
            section.append(member)
        self.members(section)
        self.end_of_block(item.members[0].span.column, item.span.end, 1)

    def is_apart(self, a: tree.Node, b: tree.Node) -> bool:
        """Whether anything but a line end stands between two lines."""
        return b.span.line > a.span.end_line + 1

    def members(self, section: Sequence[tree.Member]) -> None:
        """Members without an empty line between them have their types and initialisers aligned."""
        name_width = max(len(m.name.text) for m in section)
        types = [self.exprs.doc(m.type) for m in section]
        texts = [_one_line(t) or "" for t in types]
        with_init = [len(t) for m, t in zip(section, texts, strict=True) if m.init is not None]
        type_width = max(with_init, default=0)
        fits = INDENT + name_width + 2 + type_width + 3 + 20 <= WIDTH
        is_aligned = fits and all(texts)
        for member, kind, text in zip(section, types, texts, strict=True):
            init = concat(" ~ ", self.exprs.value(member.init)) if member.init else ""
            name = f"{member.name}:"
            if is_aligned:
                name = name.ljust(name_width + 1)
                kind = text.ljust(type_width) if member.init else text
            self.line(member, 1, concat(f"{name} ", kind, init))

    def function(self, item: tree.FnDef) -> None:
        for decorator in item.decorators:
            self.line(decorator, 0, self.decorator(decorator))
        lead = "builtin " if item.is_builtin else "export " if item.exported else ""
        name = concat(f"{lead}fn {item.name}", self.generics(item.generics))
        before = item.generics[-1] if item.generics else item.name
        end = item.result.span.start if item.result else item.header.end
        docs: dict[tree.Node, Doc] = {p: self.param(p) for p in item.params}
        params = self.exprs.listed("(", item.params, ")", docs, before.span.end, end)
        tail: Doc = "" if item.is_builtin else ":"
        if item.result is not None:
            result = self.exprs.doc(item.result)
            flat = _one_line(result) or ""
            # The parameters break before the result does.
            fits = 0 < len(flat) <= WIDTH - len(") -> :")
            tail = concat(" -> ", flat if fits else result, tail)
        header = tree.Ident(item.name.text, span=item.header)
        self.line(header, 0, concat(name, params, tail), item.header.end)
        if item.body is not None:
            self.body(item.body, 1)

    def decorator(self, decorator: tree.Decorator) -> Doc:
        head = f"@{decorator.name}"
        if decorator.args is None:
            return head
        docs: dict[tree.Node, Doc] = {a: self.exprs.doc(a) for a in decorator.args}
        start, end = decorator.name.span.end, decorator.span.end
        return concat(head, self.exprs.listed("(", decorator.args, ")", docs, start, end))

    def param(self, param: tree.Param | tree.DimsParam) -> Doc:
        if isinstance(param, tree.DimsParam):
            return f"*{param.name}"
        mut = "mut " if param.mut else ""
        kind = self.exprs.doc(param.type)
        default = concat(" = ", self.exprs.doc(param.default)) if param.default else ""
        return concat(f"{param.name}: {mut}", kind, default)

    # -- statements

    def statement(self, node: tree.Stmt, level: int) -> None:
        match node:
            case tree.If() | tree.While() | tree.For() | tree.Match():
                self.compound(node, level)
            case _:
                self.line(node, level, self.simple(node))

    def simple(self, node: tree.Stmt) -> Doc:
        match node:
            case tree.Assign(targets=targets, values=values):
                left = join(", ", [self.exprs.doc(t) for t in targets])
                return concat(left, " = ", self.values(values))
            case tree.AnnAssign(name=name, type=kind, value=value):
                return concat(f"{name}: ", self.exprs.doc(kind), " = ", self.exprs.value(value))
            case tree.AugAssign(target=target, op=op, value=value):
                return concat(self.exprs.doc(target), f" {op} ", self.exprs.value(value))
            case tree.Return(values=values):
                return concat("return ", self.values(values)) if values else "return"
            case tree.Break():
                return "break"
            case tree.Continue():
                return "continue"
            case tree.Assert(cond=cond, message=message):
                text = f', "{message.value}"' if message else ""
                return concat("assert ", self.exprs.value(cond), text)
            case tree.ExprStmt(value=value):
                return self.exprs.value(value)
            case _:
                raise InternalError(f"no form for {type(node).__name__}", stage="format")

    def values(self, values: Sequence[tree.Expr]) -> Doc:
        return join(", ", [self.exprs.value(v) for v in values])

    def compound(self, node: tree.If | tree.While | tree.For | tree.Match, level: int) -> None:
        end = node.header.end
        match node:
            case tree.If():
                self.if_(node, level)
            case tree.While(cond=cond, body=body):
                self.line(node, level, concat("while ", self.exprs.value(cond), ":"), end)
                self.body(body, level + 1)
            case tree.For(targets=targets, iterable=iterable, body=body, static=static):
                names = ", ".join(t.text for t in targets)
                head = f"{'static ' if static else ''}for {names} in "
                self.line(node, level, concat(head, self.exprs.value(iterable), ":"), end)
                self.body(body, level + 1)
            case tree.Match(subject=subject, arms=arms):
                self.line(node, level, concat("match ", self.exprs.value(subject), ":"), end)
                for arm in arms:
                    fields = ", ".join(f.text for f in arm.fields)
                    name = f"{arm.module}.{arm.name}" if arm.module else arm.name.text
                    head = f"{name}({fields}):" if fields else f"{name}:"
                    self.line(arm, level + 1, head, arm.header.end)
                    self.body(arm.body, level + 2)
                self.end_of_block(arms[0].span.column, node.span.end, level + 1)

    def if_(self, node: tree.If, level: int) -> None:
        word = "if"
        for branch in node.branches:
            doc = concat(f"{word} ", self.exprs.value(branch.cond), ":")
            self.line(branch, level, doc, self.comments.colon(branch.cond.span.end))
            self.body(branch.body, level + 1)
            word = "elif"
        if node.orelse is not None:
            start = self.comments.word("else", node.branches[-1].span.end)
            place = self.module.source.span(start, start + len("else"))
            mark = tree.Ident("else", span=place)
            self.line(mark, level, "else:", self.comments.colon(place.end))
            self.body(node.orelse, level + 1)


def _one_line(doc: Doc) -> str | None:
    """The text of a document without a line break; None if a comment in it asks for one."""
    rows = flatten(doc, 0, 10**9)
    return rows[0] if len(rows) == 1 else None


def _generic(generic: tree.Generic) -> str:
    kind = f": {generic.kind}" if generic.kind else ""
    default = f" = {generic.default.text}" if generic.default else ""
    return f"{generic.name}{kind}{default}"
