"""Checking a program, and the result: declarations, and typed trees of its functions on demand."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from dlc.check import typed
from dlc.check.call_graph import call_graph, group_effects, groups, mentioned, recursive
from dlc.check.declare import declare
from dlc.check.decls import AdtDecl, FunctionDecl, ModelDecl, TestDecl
from dlc.check.decorators import decorated
from dlc.check.engine import Engine, callees
from dlc.check.entities import FunctionItem
from dlc.check.instances import InstanceKey, Static
from dlc.check.modules import Reader, SearchPath
from dlc.check.onnx_model import OnnxReader, OnnxSignature
from dlc.check.row_only import row_only
from dlc.check.sets import parameter_sets
from dlc.check.signature import read_signature
from dlc.check.structural import not_structural
from dlc.check.tables import Tables
from dlc.check.typed import Effects, TypedFunction
from dlc.check.typed.walk import nodes
from dlc.diag import CompileError, Diagnostic, SourceFile
from dlc.diag.bag import Bag
from dlc.syntax import read_source, tree
from dlc.typesys.surface import Type

DEPTH = 20_000
"""Python frames that checking may use: sources nest up to 256 deep, and instances nest in
instances."""


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
    onnx: Mapping[str, OnnxSignature] = field(default_factory=dict[str, OnnxSignature])

    def entry(self, function: str, consts: Mapping[str, Static] | None = None) -> InstanceKey:
        """The key of an exported (or other closed) function, named with or without the module;
        `consts` by dim or parameter name.

        Raises CompileError: E0601 for a const that is neither given nor has a default, E0602 for a
        function that is no entry.
        """
        name = function if function in self.functions else f"{self.main}.{function}"
        return self._instances.entry(name, consts or {})

    def open_entries(self) -> tuple[Diagnostic, ...]:
        """Why exports cannot be compiled as they are: E0601 for those that need numbers."""
        out: list[Diagnostic] = []
        for name in self.exports:
            try:
                self._instances.entry(name, {})
            except CompileError as e:
                out.extend(d for d in e.diagnostics if d.code == "E0601")
        return tuple(out)

    def instance(self, key: InstanceKey) -> TypedFunction:
        """The typed tree of a function instance, checked once.

        Raises CompileError where this instance is wrong though its generic text is not (`static
        for`)."""
        with deep_stack():
            return self._instances.instance(key)


@contextmanager
def deep_stack() -> Generator[None]:
    """Room for sources that nest deeply."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEPTH))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def check_file(path: Path | str, *, onnx: OnnxReader | None = None) -> Checked:
    """Check the program of a file. Raises CompileError."""
    source = read_source(path)
    return check_program(source, folder=Path(path).parent, onnx=onnx)


def check_program(
    source: SourceFile,
    *,
    folder: Path | None = None,
    modules: Mapping[str, SourceFile] | None = None,
    onnx: OnnxReader | None = None,
) -> Checked:
    """Check a program: its main module, and what it imports from `modules`, `folder` and the
    library.

    Raises CompileError with all that was found, at most 20 errors.
    """
    bag = Bag()
    with deep_stack():
        path = SearchPath(folder, Path(source.name).parent, modules or {})
        return _check(source, path, onnx, bag)


def _check(source: SourceFile, path: SearchPath, onnx: OnnxReader | None, bag: Bag) -> Checked:
    found = Reader(path, bag).program(source)
    tables = Tables(found, bag)
    declare(tables, onnx)
    graph = call_graph(found, tables.functions, _roots(tables))
    wanted = [n for n in graph if tables.functions[n].node.body is not None]
    for name in _in_file_order(tables, tuple(graph)):
        tables.signatures[name] = read_signature(tables, tables.functions[name])
    order = groups(graph)
    for i, group in enumerate(order):
        if recursive(graph, group):
            tables.groups.update((n, i) for n in group)
    row_only(tables, wanted)
    engine = Engine(tables)
    for name in wanted:
        engine.decorated[name] = decorated(tables, tables.functions[name])
    own: dict[str, Effects] = {}
    for name in _in_file_order(tables, wanted):
        if bag.is_full:
            break
        own[name] = engine.generic(tables.functions[name]).effects
    loops = not_structural(found, tables.functions, graph, order)
    engine.effects_of = group_effects(own, graph, order, loops)
    main = found.by_name[found.main]
    exports = _exports(tables, main.tree, found.main)
    sets = parameter_sets(tables, exports)
    tests = tuple(
        TestDecl(t.name.value, found.main, engine.test(found.main, t), t.span)
        for t in main.tree.items
        if isinstance(t, tree.Test)
    )
    bag.raise_errors()
    _check_instances(engine, tables, exports, tests, bag)
    bag.raise_errors()
    return Checked(
        main=found.main,
        modules={n: s.source for n, s in found.by_name.items()},
        adts=tables.adts,
        models=tables.models,
        functions=_functions(tables, engine, wanted),
        exports=exports,
        tests=tests,
        parameter_sets=sets,
        warnings=bag.diagnostics,
        _instances=engine,
        onnx=tables.onnx,
    )


def _roots(tables: Tables) -> list[str]:
    """Functions that are checked in any case: all of the program's own modules."""
    modules = tables.modules
    out: list[str] = []
    for scope in modules.by_name.values():
        if scope.std:
            continue
        for item in scope.tree.items:
            if isinstance(item, tree.FnDef) and item.body is not None:
                entity = scope.own.get(item.name.text)
                if isinstance(entity, FunctionItem):
                    out.append(entity.name)
            elif isinstance(item, tree.Test):
                out.extend(mentioned(modules, scope.name, item.body))
    return out


def _in_file_order(tables: Tables, names: Sequence[str]) -> list[str]:
    wanted = set(names)
    return [n for n in tables.functions if n in wanted]


def _exports(tables: Tables, module: tree.Module, name: str) -> tuple[str, ...]:
    out: list[str] = []
    for item in module.items:
        if isinstance(item, tree.FnDef) and item.exported:
            full = f"{name}.{item.name.text}"
            if full in tables.functions:
                out.append(full)
    return tuple(dict.fromkeys(out))


def _functions(tables: Tables, engine: Engine, wanted: Sequence[str]) -> dict[str, FunctionDecl]:
    out: dict[str, FunctionDecl] = {}
    for name in _in_file_order(tables, wanted):
        sig, item = tables.signatures[name], tables.functions[name]
        if sig is not None:
            rows = tuple(tables.row_only.get(name, {}).items())
            out[name] = FunctionDecl(sig, item.node, item.module, engine.effects(name), rows)
    return out


def _check_instances(
    engine: Engine,
    tables: Tables,
    exports: Sequence[str],
    tests: Sequence[TestDecl],
    bag: Bag,
) -> None:
    """Errors that only instances show: of everything that exports without open consts, and tests,
    call."""
    work: list[InstanceKey] = []
    for name in exports:
        try:
            work.append(engine.entry(name, {}))
        except CompileError:
            continue
    for t in tests:
        for n in nodes(t.body):
            if isinstance(n, (typed.CallFunction, typed.Gradient, typed.FixpointCall)):
                work.append(n.key)
    seen: set[InstanceKey] = set()
    while work and not bag.is_full:
        key = work.pop()
        if key in seen:
            continue
        seen.add(key)
        try:
            work.extend(reversed(callees(engine.instance(key))))
        except CompileError as problem:
            bag.extend(problem.diagnostics)
