"""The bufferised form: structured regions over mutable scalar registers and views of places.

There are no tensor values and no control-flow graph. Scalars (rank-0 tensors), list and variant
handles and addresses live in `Reg`s, which may be assigned more than once (merges are moves). Every
tensor operand is a `View` of a place. Destinations come first. All storage is in one caller-given
arena: frames grow up from its start, the heap grows down from its end; when they meet the status is
`arena`.

Invariants, checked by `dlc.memory.verify`:
1. A destination overlaps no source, except the identical view for `Map` (element-wise).
2. A place that is an `in` parameter is never a destination.
3. `out` and `inout` places of one call are disjoint from each other and from its `in` places.
4. Every read is preceded by a write of the same bytes on every path (tested by poisoning).
5. Every slot's size is a polynomial of the function's own dim parameters; storage whose size
   depends on a dim defined inside is allocated on the heap by `Alloc`.
6. Nothing allocates but `Alloc Variant ListNew ListPush ListCopy` and entering a frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from dlc.ir.core import NOWHERE, AdtDecl, Attr, Loc
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DType
from dlc.typesys.types import ListType, Type

RegKind = Literal["place", "list", "variant"]


@dataclass(frozen=True, eq=False, slots=True)
class Reg:
    """A mutable scalar register. Its type is an element type, an address (`place`) or a handle."""

    type: DType | RegKind
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in the function's frame, by number."""

    index: int


Place = Slot | Reg
"""A register of type "place" holds the address of a parameter, of heap storage, of a list's
element, of a record's tensor, of constant data, or of a ring buffer."""


@dataclass(frozen=True)
class View:
    """Elements of `place` at `offset + sum of strides[d] * i_d`, all in elements of `dtype`.

    The offset is `base + sum of register * dim`. Strides may be 0 (broadcast) or negative
    (reverse).
    """

    place: Place
    dtype: DType
    shape: tuple[Dim, ...]
    strides: tuple[Dim, ...]
    base: Dim
    terms: tuple[tuple[Reg, Dim], ...] = ()

    @property
    def is_contiguous(self) -> bool:
        return self.strides == row_major(self.shape)


def row_major(shape: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """The strides of a dense array: `strides[d] = product of shape[d+1:]`."""
    out: list[Dim] = []
    n = Dim.const(1)
    for d in reversed(shape):
        out.append(n)
        n = n * d
    return tuple(reversed(out))


Operand = Reg | View
Immediate = int | float | bool
ScalarArg = Reg | Immediate


# -- statements


@dataclass(frozen=True, eq=False)
class Const:
    """`dst := value`; of a handle, 0: a handle of nothing, which is never followed."""

    dst: Reg
    value: Immediate


@dataclass(frozen=True, eq=False)
class Data:
    """`dst := the address of read-only data`: the array's elements, row-major, 64-byte aligned."""

    dst: Reg
    dtype: DType
    value: np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Move:
    """`dst := src`, registers of one type."""

    dst: Reg
    src: Reg


@dataclass(frozen=True, eq=False)
class DimValue:
    """`dst := dim`, converted to the register's type."""

    dst: Reg
    dim: Dim


@dataclass(frozen=True, eq=False)
class BindDim:
    """Defines the dim `name` as `src` from here on; status `shape` if negative. Not more than
    `at_most`, where that is known."""

    name: str
    src: Reg
    at_most: Dim | None = None
    loc: Loc = NOWHERE


@dataclass(frozen=True, eq=False)
class Scalar:
    """`dst := op(args)`, an element-wise operation of `dlc.ops` on scalars (attrs: `dtype` of
    convert)."""

    dst: Reg
    op: str
    args: tuple[ScalarArg, ...]
    attrs: Mapping[str, Attr] = field(default_factory=lambda: MappingProxyType({}))
    loc: Loc = NOWHERE


@dataclass(frozen=True, eq=False)
class Address:
    """`dst := the address of the view's first element`."""

    dst: Reg
    view: View


@dataclass(frozen=True, eq=False)
class Load:
    """`dst := the one element of a rank-0 view`."""

    dst: Reg
    view: View


@dataclass(frozen=True, eq=False)
class Store:
    """The one element of a rank-0 view `:= src`."""

    view: View
    src: ScalarArg


@dataclass(frozen=True, slots=True)
class Lane:
    """In a `Map` body: the result of an earlier instruction (`temp`), an element of an input, or
    the point's position along an axis (`index`)."""

    kind: Literal["input", "temp", "index"]
    index: int


MapArg = Lane | ScalarArg


@dataclass(frozen=True, eq=False)
class MapInstr:
    """One element-wise operation of a `Map` body; its result is temp number = its position."""

    op: str
    args: tuple[MapArg, ...]
    dtype: DType
    attrs: Mapping[str, Attr] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, eq=False)
class Map:
    """For every point of `space`: `outs[k][point] := results[k]`, a straight program of
    element-wise operations over `ins[j][point]`, the point's indices (lane `index d`: i32) and
    scalar registers.

    Every view has the shape `space` (broadcast inputs have stride 0). Points are independent.
    """

    space: tuple[Dim, ...]
    outs: tuple[View, ...]
    ins: tuple[View, ...]
    body: tuple[MapInstr, ...]
    results: tuple[MapArg, ...]
    loc: Loc = NOWHERE


@dataclass(frozen=True, eq=False)
class Tensor:
    """Any other tensor operation of `dlc.ops`, by name and attributes, plus `copy`
    (outs[0] := ins[0]), and `fill` (outs[0] := the scalar). Rank-0 results and operands are
    registers. Which operands may be strided: `dlc.memory.facts.STRIDED_INPUTS`.

    `accumulate` adds to the destination instead of overwriting it (contract, reduce sum).
    For updates (`scatter_add` …) the destination already holds operand 0, which is not in `ins`.
    `dims` are names that the operation defines (`nonzero_indices`), set when it has run; their
    destinations are sized by the stated upper bound.
    """

    op: str
    outs: tuple[Operand, ...]
    ins: tuple[Operand | Immediate, ...]
    attrs: Mapping[str, Attr] = field(default_factory=lambda: MappingProxyType({}))
    scratch: tuple[View, ...] = ()
    dims: tuple[str, ...] = ()
    accumulate: bool = False
    loc: Loc = NOWHERE


@dataclass(frozen=True, eq=False)
class CheckIndex:
    """Status `bounds` unless `0 <= index < bound`."""

    index: Reg
    bound: Dim | Reg
    loc: Loc = NOWHERE


@dataclass(frozen=True, eq=False)
class CheckDims:
    """Status `shape` unless the two dims are equal numbers."""

    left: Dim
    right: Dim
    message: str
    loc: Loc = NOWHERE


@dataclass(frozen=True, eq=False)
class Assert:
    """Status `assert` with the message unless the register is true."""

    condition: Reg
    message: str
    loc: Loc = NOWHERE


@dataclass(frozen=True, eq=False)
class Alloc:
    """`dst := address of fresh heap storage` for `size` elements of `dtype`, 64-byte aligned."""

    dst: Reg
    dtype: DType
    size: Dim
    loc: Loc = NOWHERE


@dataclass(frozen=True, eq=False)
class Mark:
    """`dst := the heap's present end` (register of type i64)."""

    dst: Reg


@dataclass(frozen=True, eq=False)
class Release:
    """Gives back all heap storage allocated since the mark."""

    mark: Reg


@dataclass(frozen=True, eq=False)
class Variant:
    """`dst := a new record` of the constructor. Fields are scalars, handles, or `place` registers
    for tensors (whose storage outlives the record: heap, constant data, or a field of another
    record). `dims` are the values of the constructor's hidden dims."""

    dst: Reg
    type: str
    constructor: str
    fields: tuple[ScalarArg, ...]
    dims: tuple[Dim, ...] = ()
    loc: Loc = NOWHERE


@dataclass(frozen=True, eq=False)
class ListNew:
    """`dst := an empty list`. The element layout follows from the type: one inline column per
    scalar (its dtype), handle (read and written as an i64), or tensor (dense, by value). `reuse`:
    the register holds a list that nobody else has; its storage is taken."""

    dst: Reg
    type: ListType
    loc: Loc = NOWHERE
    reuse: bool = False


@dataclass(frozen=True, eq=False)
class ListPush:
    """Appends one element in place and gives the addresses of its columns, which must be stored
    next."""

    list: Reg
    type: ListType
    columns: tuple[Reg, ...]
    loc: Loc = NOWHERE


@dataclass(frozen=True, eq=False)
class ListAt:
    """`columns := addresses of the columns of element index` (already checked)."""

    list: Reg
    type: ListType
    index: Reg
    columns: tuple[Reg, ...]


@dataclass(frozen=True, eq=False)
class ListLen:
    dst: Reg
    list: Reg


@dataclass(frozen=True, eq=False)
class ListDrop:
    """Shortens the list by its last element, in place; status `bounds` if empty."""

    list: Reg
    loc: Loc = NOWHERE


@dataclass(frozen=True, eq=False)
class ListCopy:
    """`dst := a copy of the list`: columns by value; handles in it are shared, what they stand for
    never changes. `reuse`: as for `ListNew`."""

    dst: Reg
    src: Reg
    type: ListType
    loc: Loc = NOWHERE
    reuse: bool = False


@dataclass(frozen=True, eq=False)
class If:
    condition: Reg
    then: Block
    otherwise: Block


@dataclass(frozen=True, eq=False)
class Case:
    """`constructor` None is the default. Payload registers: scalar, handle, or `place` for a
    tensor. `dims` are names that the constructor's hidden dims get here."""

    constructor: str | None
    payload: tuple[Reg, ...]
    body: Block
    dims: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Switch:
    value: Reg
    type: str
    cases: tuple[Case, ...]


@dataclass(frozen=True, eq=False)
class For:
    """`for index in lo..hi` (from the top down if `reverse`). `go`, if given, is read after every
    turn: a false one ends the loop. The bounds are read once."""

    index: Reg
    lo: ScalarArg
    hi: ScalarArg
    body: Block
    reverse: bool = False
    go: Reg | None = None


@dataclass(frozen=True, eq=False)
class Loop:
    """Runs the body, again while `go` is true after it. `visits`: at most once for each node of the
    function's one algebraic parameter."""

    body: Block
    go: Reg
    visits: bool = False
    loc: Loc = NOWHERE


@dataclass(frozen=True, eq=False)
class Call:
    """`results := function(args)`, destinations `outs` passed by address.

    args: scalars, handles and, for tensors, contiguous views, in the order of the callee's `in` and
    `inout` parameters; `outs`: contiguous views for its `out` parameters; `results`: registers for
    its scalar, handle and heap-place results; `dims`: the callee's dim parameters; `defines`: the
    names of dims that the callee returns. `keep`: bytes of the caller's slots, from the first, that
    stay; the callee's frame may begin behind them.
    """

    function: str
    dims: tuple[Dim, ...]
    args: tuple[Operand | Immediate, ...]
    outs: tuple[View, ...]
    results: tuple[Reg, ...]
    defines: tuple[str, ...] = ()
    keep: Dim = field(default_factory=lambda: Dim.const(0))
    loc: Loc = NOWHERE


Statement = (
    Const | Data | Move | DimValue | BindDim | Scalar | Address | Load | Store | Map | Tensor
    | CheckIndex | CheckDims | Assert | Alloc | Mark | Release | Variant
    | ListNew | ListPush | ListAt | ListLen | ListDrop | ListCopy
    | If | Switch | For | Loop | Call
)  # fmt: skip

Block = tuple[Statement, ...]


@dataclass(frozen=True)
class FrameSlot:
    """`size` elements of `dtype`, at `offset` bytes in the frame; all multiples of 64 bytes."""

    dtype: DType
    size: Dim
    offset: Dim
    bytes: Dim


@dataclass(frozen=True, eq=False)
class Param:
    """One parameter of a function.

    mode: `in` (by value; tensors by address, not written), `inout` (tensor, updated in place),
    `out` (tensor destination). `type` is the IR type; `reg` holds the scalar, handle or address.
    An `owned` list is given away by the caller: the function may update it in place.
    """

    name: str
    mode: Literal["in", "inout", "out"]
    type: Type
    reg: Reg
    owned: bool = False


@dataclass(frozen=True, eq=False)
class BFunction:
    """`params`: those of the IR in order, then one `out` parameter for every IR result that is a
    tensor of known size and not made in an `inout` place, in order. `results` are the registers
    returned by value, in the order of the other IR results (scalars, handles, tensors on the heap);
    `result_types` their types, which call hidden dims by `result_names`, and `result_dims` the
    values of these. `returns` has one entry
    for every IR result in order: the register of `results`, or that of the parameter whose place
    holds it. `group` numbers the recursive group of functions that it belongs to, or is None.
    `frame` is the size of all slots in bytes."""

    name: str
    dims: tuple[str, ...]
    params: tuple[Param, ...]
    results: tuple[Reg, ...]
    result_types: tuple[Type, ...]
    result_dims: tuple[Dim, ...]
    returns: tuple[Reg, ...]
    slots: tuple[FrameSlot, ...]
    frame: Dim
    body: Block
    group: int | None = None
    entry: bool = False
    loc: Loc = NOWHERE
    remarks: tuple[tuple[Loc, str], ...] = ()
    result_names: tuple[str, ...] = ()
    """The names that `result_types` have for `result_dims`, in the same order."""


@dataclass(frozen=True, eq=False)
class BModule:
    """Bufferised functions, callees before callers where not recursive, and the IR's type
    declarations."""

    types: Mapping[str, AdtDecl]
    functions: Mapping[str, BFunction]
