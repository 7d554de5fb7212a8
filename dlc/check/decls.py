"""What a program declares: algebraic types, models, functions and tests, with resolved types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dlc.check.instances import Static
from dlc.check.typed import Block, Effects
from dlc.diag import Span
from dlc.syntax import tree
from dlc.typesys.dims import Dim
from dlc.typesys.surface import DTypeKind, Function, Type


@dataclass(frozen=True, slots=True)
class DimDecl:
    """A dim of a model or an algebraic type: `V`, `D = 300`, `B: const`."""

    name: str
    const: bool
    default: int | None
    span: Span


@dataclass(frozen=True, slots=True)
class FieldDecl:
    name: str
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class ConstructorDecl:
    name: str
    fields: tuple[FieldDecl, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class AdtDecl:
    """`type Tree[D] = Leaf(…) | Node(…)`; field types mention the declared dims only."""

    name: str
    dims: tuple[DimDecl, ...]
    constructors: tuple[ConstructorDecl, ...]
    span: Span

    def constructor(self, name: str) -> ConstructorDecl:
        return next(c for c in self.constructors if c.name == name)


@dataclass(frozen=True, slots=True)
class Initialiser:
    """`~ normal(0.1)`: one of glorot, he, orthogonal, normal, uniform, zeros, ones, fill, and its
    numbers."""

    name: str
    arguments: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ModelField:
    """`w: f32[O, I] ~ glorot()`. A field without an initialiser must be given its weights."""

    name: str
    type: Type
    init: Initialiser | None
    span: Span


@dataclass(frozen=True, slots=True)
class ModelDecl:
    """`model Linear[I, O]`. `onnx` is the path of the file where the model comes from ONNX."""

    name: str
    dims: tuple[DimDecl, ...]
    fields: tuple[ModelField, ...]
    span: Span
    onnx: str | None = None


@dataclass(frozen=True, slots=True)
class GenericDecl:
    """`[T: float]` (dtype), `[K: const]`, `[M: value]` or a dim, written out or found in a
    parameter."""

    name: str
    kind: DTypeKind | None
    const: bool
    value: bool
    default: int | None
    span: Span


Default: TypeAlias = Static | float | None


@dataclass(frozen=True, slots=True)
class ParamDecl:
    """A parameter with its type; path dims of nominal types are filled in (`TreeLSTM[m.V, …]`)."""

    name: str
    type: Type
    mut: bool
    default: Default
    span: Span
    run: bool = False  # `*S` given as arguments, one dim each


@dataclass(frozen=True, slots=True)
class Signature:
    """Everything that a call has to know about a function.

    `dims` are all dim names in order of appearance: implicit generics, path dims, whole-number
    parameters that types mention (`value_dims`). `consts` are names of dims and parameters known
    when compiling. `unknowns` are the `?k` of the result; `bounds` gives their upper bounds where
    they are known. `aliases` are names of the source for dims that are called something else."""

    name: str
    generics: tuple[GenericDecl, ...]
    params: tuple[ParamDecl, ...]
    result: Type
    dims: tuple[str, ...]
    consts: tuple[str, ...]
    value_dims: tuple[str, ...]
    runs: tuple[str, ...]
    unknowns: tuple[str, ...]
    bounds: tuple[tuple[str, Dim], ...]
    spans: tuple[tuple[str, Span], ...]
    builtin: bool
    exported: bool
    span: Span
    aliases: tuple[tuple[str, str], ...] = ()

    def param(self, name: str) -> ParamDecl | None:
        return next((p for p in self.params if p.name == name), None)

    @property
    def is_generic(self) -> bool:
        """Whether instances differ by more than dims."""
        kinds = any(g.kind is not None or g.value for g in self.generics)
        functions = any(isinstance(p.type, Function) for p in self.params)
        return kinds or functions or bool(self.consts or self.runs)


@dataclass(frozen=True, slots=True)
class FunctionDecl:
    """A function: its signature, its tree, its effects, and for each parameter the float tables
    that are only gathered from (`row_only`: field paths, `""` for the parameter itself)."""

    signature: Signature
    node: tree.FnDef
    module: str
    effects: Effects
    row_only: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class TestDecl:
    """`test "name":`; its body is a function without parameters and result."""

    __test__ = False
    name: str
    module: str
    body: Block
    span: Span
