"""Finding and reading modules, and the names that each of them declares and imports.

A module is looked up beside the importing file, then in the library; a name found in both is an
error, so that adding a file never changes what an import means silently."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dlc import resources
from dlc.check.entities import (
    RESERVED,
    SPECIALS,
    AdtItem,
    BrokenItem,
    ConstructorItem,
    Entity,
    FunctionItem,
    ModelItem,
    ModuleItem,
    Modules,
    ModuleScope,
    SpecialItem,
)
from dlc.diag import CompileError, Diagnostic, InternalError, SourceFile, Span, error
from dlc.diag.bag import Bag
from dlc.diag.suggest import did_you_mean, near
from dlc.syntax import parse, read_source, tree

PRELUDE = "prelude"


@dataclass(frozen=True, slots=True)
class SearchPath:
    """Where modules are: `given` ones first (by name), then files of `folder`, then the library.
    Files are named in messages as the main one is: with `shown` before them."""

    folder: Path | None
    shown: Path = Path()
    given: Mapping[str, SourceFile] = field(default_factory=dict[str, SourceFile])

    def beside(self, name: str) -> SourceFile | None:
        if name in self.given:
            return self.given[name]
        if self.folder is None or self.folder.resolve() == resources.std_folder():
            return None
        path = self.folder / f"{name}.dl"
        return read_source(path, (self.shown / path.name).as_posix()) if path.is_file() else None

    def names(self) -> tuple[str, ...]:
        here = () if self.folder is None else tuple(p.stem for p in self.folder.glob("*.dl"))
        return (*sorted(self.given), *sorted(here), *resources.std_modules())


@functools.cache
def std_tree(name: str) -> tree.Module:
    """The tree of a module of the library, or of the prelude; read once."""
    path = resources.prelude() if name == PRELUDE else resources.std_module(name)
    if path is None:
        raise InternalError(f"no module `{name}` in the library", stage="check")
    source = read_source(path, f"{resources.LIBRARY}{name}.dl")
    return parse(source, allow_builtin=name == PRELUDE)


def declared_names(module: str, *, functions: bool = True) -> tuple[str, ...]:
    """The functions, models and types that a module of the library declares."""
    kinds = (
        (tree.FnDef, tree.ModelDef, tree.TypeDef) if functions else (tree.ModelDef, tree.TypeDef)
    )
    return tuple(i.name.text for i in std_tree(module).items if isinstance(i, kinds))


class Reader:
    """Reads a module and everything that it imports, depth first."""

    def __init__(self, path: SearchPath, bag: Bag) -> None:
        self._path = path
        self._bag = bag
        self._done: dict[str, ModuleScope | None] = {}
        self._open: list[str] = []
        self._prelude = prelude_names()

    def program(self, source: SourceFile) -> Modules:
        """All modules, in the order in which they can be checked."""
        main = module_name(source)
        self._done[PRELUDE] = _prelude_scope()
        scope = self._read(main, source, std=False)
        if scope is None:
            self._bag.raise_errors()
            raise InternalError("a module without a tree and without an error", stage="check")
        found = {n: s for n, s in self._done.items() if s is not None}
        return Modules(main, found, self._prelude)

    def _read(self, name: str, source: SourceFile | None, std: bool) -> ModuleScope | None:
        self._open.append(name)
        try:
            module = std_tree(name) if source is None else parse(source)
        except CompileError as problem:
            self._bag.extend(problem.diagnostics)
            module = None
        scope = None if module is None else self._scope(name, module, std)
        self._open.pop()
        self._done[name] = scope
        return scope

    # -- imports

    def _module(self, at: tree.Ident) -> ModuleScope | None:
        """The module of an import, read if it has not been; None after an error."""
        name = at.text
        if name in self._open:
            circle = " -> ".join([*self._open[self._open.index(name) :], name])
            found = error("E0206", f"modules import each other in a circle: {circle}", at.span)
            self._bag.add(found.with_help("move what both need into a third module"))
            return None
        if name in self._done:
            return self._done[name]
        try:
            source = self._path.beside(name)
        except CompileError as problem:
            self._bag.extend(problem.diagnostics)
            return None
        library = resources.std_module(name) is not None
        if source is not None and library:
            found = error("E0205", f"`{name}` is a file here and a module of the library", at.span)
            self._bag.add(found.with_help(f"give the file `{name}.dl` another name"))
            return None
        if source is None and not library:
            found = error("E0202", f"no module `{name}`", at.span)
            found = found.with_note(f"looked for `{name}.dl` beside this file and in the library")
            near = did_you_mean(found, name, self._path.names(), at.span)
            listed = ", ".join(resources.std_modules())
            self._bag.add(near if near.helps else near.with_note(f"the library has {listed}"))
            return None
        return self._read(name, source, std=library)

    def _scope(self, name: str, module: tree.Module, std: bool) -> ModuleScope:
        own: dict[str, Entity] = {}
        imported: dict[str, Entity] = {}
        seen: dict[str, tuple[Span, Entity]] = {}
        for item in module.items:
            if isinstance(item, tree.FromImport):
                self._from_import(item, imported, seen)
            elif isinstance(item, tree.Import):
                for at in item.names:
                    found = self._module(at)
                    entity = ModuleItem(at.text, at) if found else BrokenItem(at.text)
                    self._declare(at, entity, imported, seen)
            else:
                for at, entity in _declared(name, item):
                    self._declare(at, entity, own, seen)
        return ModuleScope(name, module.source, module, own, imported, std)

    def _from_import(
        self,
        item: tree.FromImport,
        imported: dict[str, Entity],
        seen: dict[str, tuple[Span, Entity]],
    ) -> None:
        scope = self._module(item.module)
        for at in item.names:
            entity: Entity = BrokenItem(at.text)
            if scope is not None:
                found = scope.own.get(at.text)
                if found is None:
                    self._bag.add(no_member(scope, at))
                else:
                    entity = found
            self._declare(at, entity, imported, seen)

    def _declare(
        self,
        at: tree.Ident,
        entity: Entity,
        names: dict[str, Entity],
        seen: dict[str, tuple[Span, Entity]],
    ) -> None:
        """Adds a name to `names`; `seen` are those of the file and of its imports."""
        name = at.text
        if name in seen:
            first, other = seen[name]
            found = error("E0204", f"`{name}` is defined twice", at.span)
            found = found.with_label(first, "first here")
            kinds = {type(other), type(entity)}
            if ConstructorItem in kinds and kinds & {AdtItem, ModelItem}:
                found = found.with_note("types and constructors share the names of a file")
            self._bag.add(found.with_help("give one of them another name"))
            return
        if name in RESERVED or name == "_":
            found = error("E0208", f"`{name}` is a name of the language", at.span)
            self._bag.add(found.with_help("choose another name"))
        seen[name] = at.span, entity
        names[name] = entity


def no_member(scope: ModuleScope, at: tree.Ident) -> Diagnostic:
    """E0203: the module has no such name."""
    found = error("E0203", f"module `{scope.name}` has no `{at.text}`", at.span)
    if not near(at.text, scope.own):
        listed = ", ".join(f"`{n}`" for n in list(scope.own)[:12])
        more = ", …" if len(scope.own) > 12 else ""
        return found.with_note(f"it has {listed}{more}" if listed else "it declares nothing")
    return did_you_mean(found, at.text, scope.own, at.span)


def _declared(module: str, item: tree.Item) -> list[tuple[tree.Ident, Entity]]:
    """The names that an item declares."""
    if isinstance(item, tree.FnDef):
        return [(item.name, FunctionItem(f"{module}.{item.name.text}", module, item))]
    if isinstance(item, (tree.ModelDef, tree.ImportOnnx)):
        return [(item.name, ModelItem(f"{module}.{item.name.text}", module, item))]
    if isinstance(item, tree.TypeDef):
        name = f"{module}.{item.name.text}"
        variants = [(v.name, ConstructorItem(v.name.text, name, v)) for v in item.variants]
        return [(item.name, AdtItem(name, module, item)), *variants]
    return []


def module_name(source: SourceFile) -> str:
    """The name of a source as a module: its file's name, if that can be one."""
    stem = Path(source.name).stem
    fits = stem.isidentifier() and stem.isascii() and stem != PRELUDE
    return stem if fits and resources.std_module(stem) is None else "main"


def prelude_names() -> Mapping[str, Entity]:
    """The names that are visible without an import."""
    names: dict[str, Entity] = {name: SpecialItem(name) for name in SPECIALS}
    for item in std_tree(PRELUDE).items:
        names.update((at.text, entity) for at, entity in _declared(PRELUDE, item))
    return names


def _prelude_scope() -> ModuleScope:
    module = std_tree(PRELUDE)
    own: dict[str, Entity] = {}
    for item in module.items:
        own.update((at.text, entity) for at, entity in _declared(PRELUDE, item))
    return ModuleScope(PRELUDE, module.source, module, own, {}, True)
