"""Typed expressions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as Choice
from typing import TypeAlias

from dlc.check.instances import InstanceKey, Static
from dlc.diag import Span
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DType
from dlc.typesys.surface import Type

DimBinding: TypeAlias = tuple[str, Dim]
Born: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Local:
    """A variable or parameter of one function instance; `index` makes it unique there."""

    name: str
    index: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Typed:
    """Base of all nodes: the place in the source."""

    span: Span


# -- expressions


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Expression(Typed):
    type: Type


@dataclass(frozen=True, slots=True, eq=False)
class Literal(Expression):
    """A number or truth value, already of the final element type; always a scalar."""

    value: int | float | bool


@dataclass(frozen=True, slots=True, eq=False)
class Read(Expression):
    """The current value of a slot."""

    local: Local


@dataclass(frozen=True, slots=True, eq=False)
class DimValue(Expression):
    """A dim as a whole number (i32 unless another int type was asked for)."""

    dim: Dim


@dataclass(frozen=True, slots=True, eq=False)
class TupleOf(Expression):
    """`(a, b)`."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TensorOf(Expression):
    """`[a, b]` of equal types, stacked along a new first axis."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ListOf(Expression):
    """`[a, b]` or `[]` where a List is expected."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Elementwise(Expression):
    """`op(args…)` for each element. Operands have the shape of the result (see `Broadcast`).

    `op`: add sub mul div (floats) floordiv mod (ints, rounding down) pow (floats) neg not and or,
    eq ne lt le gt ge, minimum maximum, where (condition first)."""

    op: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Power(Expression):
    """`operand ** exponent` with a whole-number literal, any number type; negative only for
    floats."""

    operand: Expr
    exponent: int


@dataclass(frozen=True, slots=True, eq=False)
class Convert(Expression):
    """The operand in another element type. Float to int rounds to zero and saturates; to bool is
    `!= 0`."""

    operand: Expr
    dtype: DType


@dataclass(frozen=True, slots=True, eq=False)
class Broadcast(Expression):
    """The operand stretched to the shape of the type: aligned at the right, dims written 1
    repeated."""

    operand: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Retype(Expression):
    """The same value; its dims are written differently but known to be equal at this place."""

    operand: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Densify(Expression):
    """The same tangent with fewer (or no) leaves stored as `Rows`."""

    operand: Expr


@dataclass(frozen=True, slots=True, eq=False)
class ShortCircuit(Expression):
    """`left and right`, `left or right` on scalars; `right` is evaluated only if it matters."""

    op: Choice["and", "or"]
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True, eq=False)
class IfElse(Expression):
    """`then if cond else orelse`; only the chosen one is evaluated."""

    cond: Expr
    then: Expr
    orelse: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Contract(Expression):
    """A sum of products by einsum text, `ij,jk->ik`; `@` is one of these. `i8 @ i8` has an i32
    result."""

    spec: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SparseProduct(Expression):
    """`matrix @ vector` where the vector is `Sparse`."""

    matrix: Expr
    vector: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Transpose(Expression):
    """`result.shape[i] = operand.shape[perm[i]]`."""

    operand: Expr
    perm: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class At(Typed):
    """One index on an axis, an i32 (or i64) scalar; negative literals are already counted from the
    end. `checked`: it has to be compared with the size when the program runs."""

    index: Expr
    checked: bool


@dataclass(frozen=True, slots=True, eq=False)
class Cut(Typed):
    """`start : start + length` on an axis; `start` is an i32 scalar."""

    start: Expr
    length: Dim
    checked: bool


@dataclass(frozen=True, slots=True, eq=False)
class Whole(Typed):
    """`:` on an axis."""


Sub: TypeAlias = At | Cut | Whole


@dataclass(frozen=True, slots=True, eq=False)
class Slice(Expression):
    """`x[i, a:b, :]`; one sub per axis of the operand (missing ones are `Whole`). `At` drops its
    axis."""

    operand: Expr
    subs: tuple[Sub, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Gather(Expression):
    """`x[idx]` with a tensor of whole numbers: `result[j…, r…] = x[idx[j…], r…]`; checked against
    the size."""

    operand: Expr
    indices: Expr


@dataclass(frozen=True, slots=True, eq=False)
class ListAt(Expression):
    """`xs[i]` of a List; checked against the length. Negative literals count from the end
    (`from_end`: the index is `len(xs) - index`)."""

    operand: Expr
    index: Expr
    from_end: bool


@dataclass(frozen=True, slots=True, eq=False)
class ArrayAt(Expression):
    """`m.blocks[b]`: model number `index` of an Array; `static` is its value if known when
    compiling."""

    operand: Expr
    index: Expr
    static: int | None
    checked: bool


@dataclass(frozen=True, slots=True, eq=False)
class FieldOf(Expression):
    """`m.w` of a record, or of the tangent of a record."""

    operand: Expr
    field: str


@dataclass(frozen=True, slots=True, eq=False)
class Length(Expression):
    """`len(xs)` of a List, an i32."""

    operand: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Construct(Expression):
    """`Node(a, b)`, `Some(x)`, `None`: a value of the type's constructor."""

    constructor: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CallFunction(Expression):
    """A call of a function instance.

    `args` match `TypedFunction.params` one by one (defaults filled in, captures of closures
    appended). `dims` binds every dim parameter of the callee, in its order. `born` pairs unknowns
    of the callee's result with the dims that they become here. `changed` says which slots the call
    writes, by parameter number; they are written in the order of evaluation, and keep their type.
    """

    key: InstanceKey
    args: tuple[Expr, ...]
    dims: tuple[DimBinding, ...]
    born: tuple[Born, ...]
    changed: tuple[tuple[int, Local], ...]


@dataclass(frozen=True, slots=True, eq=False)
class CallBuiltin(Expression):
    """A call of a `builtin fn` of the prelude. `dtypes`, `shapes` (of each `*S`), `dims` and
    `consts` are what its generics are bound to here."""

    name: str
    args: tuple[Expr, ...]
    dtypes: tuple[tuple[str, DType], ...]
    shapes: tuple[tuple[str, tuple[Dim, ...]], ...]
    dims: tuple[DimBinding, ...]
    consts: tuple[tuple[str, Static], ...]
    born: tuple[Born, ...]

    def dim(self, name: str) -> Dim:
        return dict(self.dims)[name]

    def const(self, name: str) -> Static:
        return dict(self.consts)[name]

    def shape(self, name: str) -> tuple[Dim, ...]:
        return dict(self.shapes)[name]


@dataclass(frozen=True, slots=True, eq=False)
class Reduce(Expression):
    """`sum mean max min prod argmax argmin any all` of all elements (`axis` None) or over one axis,
    dropped."""

    op: str
    operand: Expr
    axis: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Concat(Expression):
    """`concat(a, b, …, axis=k)`."""

    args: tuple[Expr, ...]
    axis: int


@dataclass(frozen=True, slots=True, eq=False)
class Chunk(Expression):
    """`chunk(x, n)`: a Tuple of `parts` equal parts of the first axis."""

    operand: Expr
    parts: int


@dataclass(frozen=True, slots=True, eq=False)
class Reshape(Expression):
    """The same elements in row-major order under another shape. `equation` (got, want) has to be
    checked when the program runs, unless None."""

    operand: Expr
    equation: tuple[Dim, Dim] | None


@dataclass(frozen=True, slots=True, eq=False)
class DefineDim(Typed):
    """From here on the dim `name` is the current value of the whole-number slot `local` (checked >=
    0)."""

    name: str
    local: Local


@dataclass(frozen=True, slots=True, eq=False)
class Lambda(Typed):
    """A function value in place: slots for the parameters and a body that reads the surrounding
    slots. `defines` are dims born from whole-number parameters, before the body."""

    params: tuple[Local, ...]
    param_types: tuple[Type, ...]
    defines: tuple[DefineDim, ...]
    body: Expr


@dataclass(frozen=True, slots=True, eq=False)
class InlineCall(Expression):
    """A lambda applied once: bind its parameters to `args` and evaluate the body."""

    function: Lambda
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MapCall(Expression):
    """`map(f, xs, …)`: rows of tensors (all `count` long), elements of lists (of one length,
    checked), keys. The result stacks tensors along a new first axis, or is a List; a tuple result
    is a Tuple of these."""

    function: Lambda
    args: tuple[Expr, ...]
    count: Dim | None


@dataclass(frozen=True, slots=True, eq=False)
class ScanCall(Expression):
    """`scan(f, x0, xs…)`: states `x1 = f(x0, xs[0]), …`, stacked (x0 itself is not among them)."""

    function: Lambda
    init: Expr
    args: tuple[Expr, ...]
    count: Dim | None


@dataclass(frozen=True, slots=True, eq=False)
class FoldCall(Expression):
    """`fold(f, x0, xs…)`: the last state of the same recurrence."""

    function: Lambda
    init: Expr
    args: tuple[Expr, ...]
    count: Dim | None


@dataclass(frozen=True, slots=True, eq=False)
class EachCall(Expression):
    """`each(f, m, g, …)`: a function of scalars at every float of equal structures; whole numbers,
    keys and structures are those of the first. `functions` holds one body per combination of
    element types (of the operands, in order) that occurs at the leaves. At a leaf that any operand
    stores as `Rows` only its rows are visited; the result is stored as the first operand's leaf."""

    functions: tuple[tuple[tuple[DType, ...], Lambda], ...]
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TotalCall(Expression):
    """`total(f, m, …)`: the sum of a function of scalars over every float of equal structures, an
    f32."""

    functions: tuple[tuple[tuple[DType, ...], Lambda], ...]
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FixpointCall(Expression):
    """`fixpoint(f, x0, tol, most)`: `x = f(x)` until the norm of the change is below `tol`, at most
    `most` turns; its derivative is implicit. `key` is the lifted function: captures of `f` first,
    then x."""

    key: InstanceKey
    captures: tuple[Expr, ...]
    init: Expr
    tolerance: Expr
    most: Expr
    dims: tuple[DimBinding, ...]


@dataclass(frozen=True, slots=True, eq=False)
class InitLeaf(Typed):
    """A tensor of a model being initialised: its path, its type (an axis per Array around it first)
    and its initialiser with numbers for arguments."""

    path: tuple[str, ...]
    type: Type
    initialiser: str
    arguments: tuple[float, ...]
    arrays: int


@dataclass(frozen=True, slots=True, eq=False)
class InitModel(Expression):
    """`init(Net[…], key)`: leaf number `i` draws with the i-th key of `splits(key,
    len(leaves))`."""

    key: Expr
    leaves: tuple[InitLeaf, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Gradient(Expression):
    """`grad`, `value_and_grad`, `vjp`, `jvp` of a function instance at `args`.

    `wrt` are numbers of parameters of the instance; `rows` lists for each of them the leaves whose
    tangent is stored as `Rows`. `extra` holds the cotangent of the (first) result for vjp, and one
    tangent per differentiated parameter for jvp. Results, as a Tuple where there are several: grad:
    tangents · value_and_grad: value, tangents · vjp: tangents · jvp: value, tangent of the first
    result. A result that is a tuple is differentiated in its first component, the others follow the
    tangents (grad) or stay in the value. Several `wrt` written as a tuple give a Tuple of tangents
    (`wrt_tuple`)."""

    kind: Choice["grad", "value_and_grad", "vjp", "jvp"]
    key: InstanceKey
    args: tuple[Expr, ...]
    dims: tuple[DimBinding, ...]
    wrt: tuple[int, ...]
    wrt_tuple: bool
    rows: tuple[tuple[str, ...], ...]
    extra: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CallOnnx(Expression):
    """A call of a model that came from ONNX: `model` is the record of its initialisers, `name`
    qualifies it."""

    name: str
    model: Expr
    args: tuple[Expr, ...]
    dims: tuple[DimBinding, ...]
    born: tuple[Born, ...]


Expr: TypeAlias = (
    Literal
    | Read
    | DimValue
    | TupleOf
    | TensorOf
    | ListOf
    | Elementwise
    | Power
    | Convert
    | Broadcast
    | Retype
    | Densify
    | ShortCircuit
    | IfElse
    | Contract
    | SparseProduct
    | Transpose
    | Slice
    | Gather
    | ListAt
    | ArrayAt
    | FieldOf
    | Length
    | Construct
    | CallFunction
    | CallBuiltin
    | Reduce
    | Concat
    | Chunk
    | Reshape
    | InlineCall
    | MapCall
    | ScanCall
    | FoldCall
    | EachCall
    | TotalCall
    | FixpointCall
    | InitModel
    | Gradient
    | CallOnnx
)
