"""A checked program, and typed trees of its functions on demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from dlc.check.decls import AdtDecl, FunctionDecl, ModelDecl, TestDecl
from dlc.check.instances import InstanceKey, Static
from dlc.check.typed import TypedFunction
from dlc.diag import Diagnostic, SourceFile
from dlc.typesys.surface import Type


class Instances(Protocol):
    """What makes typed trees; each key is checked once and remembered."""

    def instance(self, key: InstanceKey) -> TypedFunction: ...

    def entry(self, function: str, consts: Mapping[str, Static]) -> InstanceKey: ...


@dataclass(frozen=True)
class Checked:
    """A program without errors.

    `main` is the module that was asked for; names are qualified by module (`treelstm.train`), in
    order of appearance, modules that are imported first. `exports` and `tests` are those of `main`.
    `parameter_sets` gives the model types of the artefact by exported parameter name."""

    main: str
    modules: Mapping[str, SourceFile]
    adts: Mapping[str, AdtDecl]
    models: Mapping[str, ModelDecl]
    functions: Mapping[str, FunctionDecl]
    exports: tuple[str, ...]
    tests: tuple[TestDecl, ...]
    parameter_sets: Mapping[str, Type]
    warnings: tuple[Diagnostic, ...]
    _instances: Instances = field(repr=False)

    def entry(self, function: str, consts: Mapping[str, Static] | None = None) -> InstanceKey:
        """The key of an exported (or other closed) function; `consts` by dim or parameter name.

        Raises CompileError E0601 for a const dim that is neither given nor has a default.
        """
        return self._instances.entry(function, consts or {})

    def instance(self, key: InstanceKey) -> TypedFunction:
        """The typed tree of a function instance, checked once.

        Raises CompileError where this instance is wrong though its generic text is not (`static
        for`)."""
        return self._instances.instance(key)
