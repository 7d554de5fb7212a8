"""The tables of a program while it is checked: heads of nominal types, fields, signatures."""

from __future__ import annotations

from dataclasses import dataclass, field

from dlc.check.decls import AdtDecl, DimDecl, ModelDecl, Signature
from dlc.check.entities import FunctionItem, Modules
from dlc.check.onnx_model import OnnxSignature
from dlc.diag.bag import Bag
from dlc.typesys.surface import (
    Adt,
    Array,
    DTypeVar,
    Element,
    Flex,
    List,
    Model,
    Option,
    Rows,
    Sparse,
    Tangent,
    Tensor,
    Tuple,
    Type,
    Unknown,
    ValueVar,
    substitute_dims,
)

RowOnly = dict[str, tuple[str, ...]]


@dataclass
class Tables:
    """Filled in order: heads, fields, signatures, groups of recursion, row-only parameters.

    Read-only while bodies are checked."""

    modules: Modules
    bag: Bag
    heads: dict[str, tuple[DimDecl, ...] | None] = field(
        default_factory=dict[str, tuple[DimDecl, ...] | None]
    )
    adts: dict[str, AdtDecl] = field(default_factory=dict[str, AdtDecl])
    models: dict[str, ModelDecl] = field(default_factory=dict[str, ModelDecl])
    onnx: dict[str, OnnxSignature] = field(default_factory=dict[str, OnnxSignature])
    signatures: dict[str, Signature | None] = field(default_factory=dict[str, Signature | None])
    functions: dict[str, FunctionItem] = field(default_factory=dict[str, FunctionItem])
    row_only: dict[str, RowOnly] = field(default_factory=dict[str, RowOnly])
    groups: dict[str, int] = field(default_factory=dict[str, int])

    def dims_of(self, name: str) -> tuple[DimDecl, ...] | None:
        """The dims of a model or an algebraic type; None if it is broken."""
        return self.heads.get(name)

    def same_group(self, a: str, b: str) -> bool:
        """Whether two functions may call each other in turn (or are one that calls itself)."""
        return a in self.groups and self.groups.get(b) == self.groups[a]

    def model_fields(self, t: Model) -> tuple[tuple[str, Type], ...]:
        """The fields of a model at its dims; none if it is broken."""
        decl = self.models.get(t.name)
        if decl is None:
            return ()
        bind = {d.name: v for d, v in zip(decl.dims, t.dims, strict=False)}
        return tuple((f.name, substitute_dims(f.type, bind)) for f in decl.fields)

    def constructor_fields(self, t: Adt, name: str) -> tuple[tuple[str, Type], ...]:
        """The fields of a constructor of an algebraic type at its dims."""
        decl = self.adts[t.name]
        bind = {d.name: v for d, v in zip(decl.dims, t.dims, strict=False)}
        fields = decl.constructor(name).fields
        return tuple((f.name, substitute_dims(f.type, bind)) for f in fields)

    def has_float(self, t: Type) -> bool:
        """Whether a float is somewhere below the type: whether a derivative by it says anything."""
        return self._has_float(t, set())

    def _has_float(self, t: Type, seen: set[str]) -> bool:
        if isinstance(t, Tensor):
            return may_be_float(t.dtype)
        if isinstance(t, Tuple):
            return any(self._has_float(i, seen) for i in t.items)
        if isinstance(t, (List, Option, Array)):
            return self._has_float(t.element, seen)
        if isinstance(t, Model):
            return any(self._has_float(f, seen) for _, f in self.model_fields(t))
        if isinstance(t, Adt):
            if t.name in seen or t.name not in self.adts:
                return False
            inner = seen | {t.name}
            fields = (f.type for c in self.adts[t.name].constructors for f in c.fields)
            return any(self._has_float(f, inner) for f in fields)
        return isinstance(t, (Sparse, Rows, Tangent, ValueVar, Unknown))


def may_be_float(dtype: Element) -> bool:
    """Whether an element type is a float, or open and possibly one."""
    if isinstance(dtype, (DTypeVar, Flex)):
        return dtype.kind in ("float", "number", "any")
    return dtype.is_float
