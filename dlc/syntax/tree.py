"""The frozen tree of a dl module.

Every node is immutable and knows its place. Nodes compare by identity, so a node can be a key of a
table; `same` in dlc/syntax/walk.py compares two trees by structure, without places. A list of
children is a tuple.

Dims stand in types as expressions (`f32[N, 4*H]`), and a plain name between the brackets of a type
may be a dim or a type (`Array[Block, B]`): that is for the checker to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from dlc.diag import SourceFile, Span

BinaryOp: TypeAlias = Literal["+", "-", "*", "/", "//", "%", "@", "**"]
CompareOp: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]
AugOp: TypeAlias = Literal["+=", "-=", "*="]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Node:
    """Base of all nodes: a place in a source."""

    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Ident(Node):
    """A name where it is introduced or mentioned without being an expression; `_` is "no name"."""

    text: str

    def __str__(self) -> str:
        return self.text


# -- types


@dataclass(frozen=True, slots=True, eq=False)
class TypeRef(Node):
    """`f32`, `f32[N, 4*H]`, `Mlp[I=g.O, O=1]`, `nn.GRU[D, H]`. `args` is None without brackets."""

    module: Ident | None
    name: Ident
    args: tuple[TypeArg, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class TypeArg(Node):
    """What stands between the brackets of a type: `N`, `O=1` (`name` is `O`), `*S`, `List[i32]`.

    A `Name` or an `Attr` is a dim or a type (`Block`, `nn.Block`); the parser can't tell. Anything
    with brackets of its own is a `TypeRef` and a tuple is a `TupleType`; `*S` is a `ShapeVar`; the
    dim that is left open, `_`, is the `Name` `_`."""

    name: Ident | None
    value: Expr | TypeExpr | ShapeVar


@dataclass(frozen=True, slots=True, eq=False)
class ShapeVar(Node):
    """`*S` among the dims of a type: any run of dims."""

    name: Ident


@dataclass(frozen=True, slots=True, eq=False)
class TupleType(Node):
    """`(f32[H], i32)`: two or more types."""

    items: tuple[TypeExpr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FnType(Node):
    """`fn(f32[D], i32) -> f32`, the type of a static function parameter."""

    params: tuple[TypeExpr, ...]
    result: TypeExpr


@dataclass(frozen=True, slots=True, eq=False)
class ConstType(Node):
    """`const`: a whole number or a text that is known when compiling."""


TypeExpr: TypeAlias = TypeRef | TupleType | FnType | ConstType


# -- expressions


@dataclass(frozen=True, slots=True, eq=False)
class Name(Node):
    """`x`; also the constants `true` and `false`."""

    id: str


@dataclass(frozen=True, slots=True, eq=False)
class Number(Node):
    """`3` (an int) or `0.5`, `1e-6` (a float); `text` is how it was written."""

    value: int | float
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class String(Node):
    """`"text"`, without the quotes. There are no escapes."""

    value: str


@dataclass(frozen=True, slots=True, eq=False)
class FreshDim(Node):
    """`?k` in a type: an unknown dim, called `k`."""

    name: Ident


@dataclass(frozen=True, slots=True, eq=False)
class TupleExpr(Node):
    """`(a, b)`: two or more values."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ListExpr(Node):
    """`[a, b]`: a tensor of equal parts, or a `List` where one is expected; `[]`."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Arg(Node):
    """An argument: `x`, `axis=1` (`name` is `axis`) or `mut xs`."""

    value: Expr
    name: Ident | None = None
    mut: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Call(Node):
    """`f(x, axis=1, mut xs)`; the callee may be any expression, as in `grad(f, wrt=x)(a, b)`."""

    callee: Expr
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Slice(Node):
    """`a:b` between brackets; either side may be left out."""

    start: Expr | None
    stop: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class NamedDim(Node):
    """`O=1` between the brackets of a type among expressions: `init(Mlp[I=4, O=1], k)`."""

    name: Ident
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Index(Node):
    """`x[i, a:b]`; also a type with dims among expressions: `init(Net[10, H=4], k)`."""

    base: Expr
    subs: tuple[Expr | Slice | NamedDim, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Attr(Node):
    """`m.w`: a field, a dim of a value (`g.nodes`), a member of a module (`nn.gru`), or `x.T`."""

    base: Expr
    name: Ident


@dataclass(frozen=True, slots=True, eq=False)
class Unary(Node):
    """`-x`."""

    op: Literal["-"]
    operand: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Not(Node):
    """`not x`."""

    operand: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Binary(Node):
    """`left op right` for arithmetic and `@`; `op_span` is the place of the operator."""

    op: BinaryOp
    left: Expr
    right: Expr
    op_span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Compare(Node):
    """`left op right`; comparisons do not chain."""

    op: CompareOp
    left: Expr
    right: Expr
    op_span: Span


@dataclass(frozen=True, slots=True, eq=False)
class BoolOp(Node):
    """`a and b and c`, `a or b`: two or more values, left to right."""

    op: Literal["and", "or"]
    values: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class IfExpr(Node):
    """`then if cond else orelse`."""

    cond: Expr
    then: Expr
    orelse: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Lambda(Node):
    """`fn(x, y) => body`; only a static argument."""

    params: tuple[Ident, ...]
    body: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Range(Node):
    """`a..b`: the whole numbers from `a` up to, without, `b`."""

    start: Expr
    stop: Expr


Expr: TypeAlias = (
    Name
    | Number
    | String
    | FreshDim
    | TupleExpr
    | ListExpr
    | Call
    | Index
    | Attr
    | Unary
    | Not
    | Binary
    | Compare
    | BoolOp
    | IfExpr
    | Lambda
    | Range
)


# -- statements


@dataclass(frozen=True, slots=True, eq=False)
class Assign(Node):
    """`a = e`, `a, b = e` (a tuple is taken apart), `a[i] = e`, `a, b = c, d`; `_ = e` discards.

    A target is a `Name` or an `Index`; anything else is a syntax error.
    """

    targets: tuple[Expr, ...]
    values: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class AnnAssign(Node):
    """`x: f32[m.D] = e`."""

    name: Ident
    type: TypeExpr
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class AugAssign(Node):
    """`a += e`, `a[i] -= e`, `a *= e`."""

    target: Expr
    op: AugOp
    value: Expr
    op_span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Branch(Node):
    """A condition and its block: an `if` or `elif`."""

    cond: Expr
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True, eq=False)
class If(Node):
    """`if … elif … else …`; `header` is the first line; `orelse` is None without `else`."""

    branches: tuple[Branch, ...]
    orelse: tuple[Stmt, ...] | None
    header: Span


@dataclass(frozen=True, slots=True, eq=False)
class While(Node):
    """`while cond:`."""

    cond: Expr
    body: tuple[Stmt, ...]
    header: Span


@dataclass(frozen=True, slots=True, eq=False)
class For(Node):
    """`for a, b in e:`; `static for` is unrolled when compiling."""

    targets: tuple[Ident, ...]
    iterable: Expr
    body: tuple[Stmt, ...]
    static: bool
    header: Span


@dataclass(frozen=True, slots=True, eq=False)
class Arm(Node):
    """`Node(left, right):`, `tree.Leaf(w):` or `_:` and its block; a field `_` binds nothing."""

    module: Ident | None
    name: Ident
    fields: tuple[Ident, ...]
    body: tuple[Stmt, ...]
    header: Span

    @property
    def is_wildcard(self) -> bool:
        return self.module is None and self.name.text == "_"


@dataclass(frozen=True, slots=True, eq=False)
class Match(Node):
    """`match e:` and its arms, one or more."""

    subject: Expr
    arms: tuple[Arm, ...]
    header: Span


@dataclass(frozen=True, slots=True, eq=False)
class Return(Node):
    """`return`, `return e`, `return a, b`."""

    values: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Break(Node):
    """`break`."""


@dataclass(frozen=True, slots=True, eq=False)
class Continue(Node):
    """`continue`."""


@dataclass(frozen=True, slots=True, eq=False)
class Assert(Node):
    """`assert cond, "text"`; the text may be left out."""

    cond: Expr
    message: String | None


@dataclass(frozen=True, slots=True, eq=False)
class ExprStmt(Node):
    """An expression as a statement, such as `push(mut xs, v)`."""

    value: Expr


Stmt: TypeAlias = (
    Assign
    | AnnAssign
    | AugAssign
    | If
    | While
    | For
    | Match
    | Return
    | Break
    | Continue
    | Assert
    | ExprStmt
)


# -- items


@dataclass(frozen=True, slots=True, eq=False)
class Import(Node):
    """`import nn, loss`."""

    names: tuple[Ident, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FromImport(Node):
    """`from nn import GRU, gru`."""

    module: Ident
    names: tuple[Ident, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ImportOnnx(Node):
    """`import onnx "mobilenet.onnx" as Backbone`."""

    path: String
    name: Ident


@dataclass(frozen=True, slots=True, eq=False)
class Generic(Node):
    """`V`, `D = 300`, `K: const`, `T: float`; `kind` is `const`, `value`, `float` … or None."""

    name: Ident
    kind: Ident | None
    default: Number | None


@dataclass(frozen=True, slots=True, eq=False)
class Field(Node):
    """`left: Tree`, a field of a variant."""

    name: Ident
    type: TypeExpr


@dataclass(frozen=True, slots=True, eq=False)
class Variant(Node):
    """`Node(left: Tree, right: Tree)` or `Leaf`."""

    name: Ident
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TypeDef(Node):
    """`type Tree[D] = Leaf(v: f32[D]) | Node(left: Tree, right: Tree)`."""

    name: Ident
    generics: tuple[Generic, ...]
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Member(Node):
    """`w: f32[O, I] ~ glorot()`, a field of a model; `init` is the initialiser."""

    name: Ident
    type: TypeExpr
    init: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class ModelDef(Node):
    """`model Linear[I, O]:` and its members, one or more; `header` is the first line."""

    name: Ident
    generics: tuple[Generic, ...]
    members: tuple[Member, ...]
    header: Span


@dataclass(frozen=True, slots=True, eq=False)
class Param(Node):
    """`x: f32[N]`, `xs: mut List[f32]`, `eps: f32 = 0.1`."""

    name: Ident
    type: TypeExpr
    mut: bool
    default: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class DimsParam(Node):
    """`*S` as a parameter: any number of dims, given one by one."""

    name: Ident


@dataclass(frozen=True, slots=True, eq=False)
class Decorator(Node):
    """`@checkpoint(sqrt)`, `@vjp(rule)`; `args` is None without parentheses."""

    name: Ident
    args: tuple[Arg, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class FnDef(Node):
    """A function. `body` is None exactly for `builtin fn`; `header` is all before the body."""

    name: Ident
    generics: tuple[Generic, ...]
    params: tuple[Param | DimsParam, ...]
    result: TypeExpr | None
    body: tuple[Stmt, ...] | None
    decorators: tuple[Decorator, ...]
    exported: bool
    header: Span

    @property
    def is_builtin(self) -> bool:
        return self.body is None


@dataclass(frozen=True, slots=True, eq=False)
class Test(Node):
    """`test "name":` and its block."""

    name: String
    body: tuple[Stmt, ...]


Item: TypeAlias = Import | FromImport | ImportOnnx | TypeDef | ModelDef | FnDef | Test


@dataclass(frozen=True, slots=True, eq=False)
class Comment(Node):
    """`# text`: what the formatter must keep. `own_line`: nothing but spaces stands before it."""

    text: str
    own_line: bool


@dataclass(frozen=True, slots=True, eq=False)
class Module(Node):
    """A source file.

    `comments` and `parens` (the expressions that stand in parentheses, by their place without
    these) do not matter to the meaning; the formatter keeps them."""

    source: SourceFile
    items: tuple[Item, ...]
    comments: tuple[Comment, ...]
    parens: tuple[Span, ...]
