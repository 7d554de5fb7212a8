"""What a name of a module can mean, and the scopes of modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from dlc.diag import SourceFile, Span
from dlc.syntax import tree


@dataclass(frozen=True, slots=True)
class FunctionItem:
    """`fn` or `builtin fn`; `name` is qualified (`nn.gru`)."""

    name: str
    module: str
    node: tree.FnDef

    kind = "a function"

    @property
    def span(self) -> Span:
        return self.node.name.span


@dataclass(frozen=True, slots=True)
class ModelItem:
    """`model`, or a model that is imported from ONNX."""

    name: str
    module: str
    node: tree.ModelDef | tree.ImportOnnx

    kind = "a model"

    @property
    def span(self) -> Span:
        return self.node.name.span


@dataclass(frozen=True, slots=True)
class AdtItem:
    """`type`."""

    name: str
    module: str
    node: tree.TypeDef

    kind = "a type"

    @property
    def span(self) -> Span:
        return self.node.name.span


@dataclass(frozen=True, slots=True)
class ConstructorItem:
    """A variant of an algebraic type; `adt` is the qualified name of the type."""

    name: str
    adt: str
    node: tree.Variant

    kind = "a constructor"

    @property
    def span(self) -> Span:
        return self.node.name.span


@dataclass(frozen=True, slots=True)
class ModuleItem:
    """An imported module."""

    name: str
    at: tree.Ident

    kind = "a module"

    @property
    def span(self) -> Span:
        return self.at.span


@dataclass(frozen=True, slots=True)
class SpecialItem:
    """A builtin whose rule no signature can say (`map`, `concat`, `grad`, …)."""

    name: str

    kind = "a builtin"


@dataclass(frozen=True, slots=True)
class BrokenItem:
    """A name whose declaration or import was wrong; it satisfies everything silently."""

    name: str

    kind = "a name"


Entity: TypeAlias = (
    FunctionItem | ModelItem | AdtItem | ConstructorItem | ModuleItem | SpecialItem | BrokenItem
)


@dataclass(frozen=True, slots=True)
class ModuleScope:
    """A module: its tree and its names. `own` are declared here, `imported` come from elsewhere."""

    name: str
    source: SourceFile
    tree: tree.Module
    own: Mapping[str, Entity]
    imported: Mapping[str, Entity]
    std: bool

    def find(self, name: str) -> Entity | None:
        return self.own.get(name) or self.imported.get(name)


@dataclass(frozen=True, slots=True)
class Modules:
    """All modules of a program, imported ones first; `prelude` is visible everywhere."""

    main: str
    by_name: Mapping[str, ModuleScope]
    prelude: Mapping[str, Entity]

    def find(self, module: str, name: str) -> Entity | None:
        """What a name means in a module: its own, imported, of the prelude."""
        return self.by_name[module].find(name) or self.prelude.get(name)

    def visible(self, module: str) -> tuple[str, ...]:
        """Every name that can be written in a module."""
        scope = self.by_name[module]
        return (*scope.own, *scope.imported, *self.prelude)


DTYPE_NAMES = ("f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8", "bool")
TYPE_NAMES = (
    "List", "Option", "Array", "Graph", "Segs", "Sparse", "Rows", "Key", "Keys", "Tangent", "int",
)  # fmt: skip
RESERVED = frozenset((*DTYPE_NAMES, *TYPE_NAMES, "true", "false", "Some", "None"))
INITIALISERS = ("glorot", "he", "orthogonal", "normal", "uniform", "zeros", "ones", "fill")
SPECIALS = (
    "sum", "mean", "max", "min", "prod", "argmax", "argmin", "any", "all",
    "minimum", "maximum", "where", "einsum", "transpose", "concat", "chunk", "len", "reshape",
    "push", "init", "map", "scan", "fold", "each", "total", "fixpoint",
    "grad", "value_and_grad", "vjp", "jvp",
    *DTYPE_NAMES, "Some", "None",
)  # fmt: skip
