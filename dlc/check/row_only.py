"""Which float tables of a parameter a function only ever gathers rows from.

The tangent of such a table is `Rows`: a few rows, never the whole table. A use is a gather (`p[i]`,
`p[idx]`), or passing the table (or a record around it) to a function that only gathers from it;
anything else makes it dense. Cycles of calls start optimistic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dlc.check.entities import FunctionItem, ModuleItem, SpecialItem
from dlc.check.paths import dim_of_type, field_type
from dlc.check.structure import table_leaves
from dlc.check.tables import Tables
from dlc.syntax import tree
from dlc.syntax.walk import children, walk
from dlc.typesys.surface import Model, Tensor, Type, ValueVar

DERIVATIVES = ("grad", "value_and_grad", "vjp", "jvp")


@dataclass
class _Uses:
    """How one body uses paths of its parameters."""

    dense: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    passed: list[tuple[str, str, str, str]] = field(default_factory=list[tuple[str, str, str, str]])
    """(parameter, path, callee, parameter of the callee)"""


def row_only(tables: Tables, names: Sequence[str]) -> None:
    """Fill `tables.row_only` for these functions: the tables of each parameter that are only
    gathered."""
    uses = {n: _function_uses(tables, n) for n in names}
    changed = True
    while changed:
        changed = False
        for u in uses.values():
            for param, path, callee, target in u.passed:
                for dense in _dense_paths(uses, callee, target):
                    whole = _joined(path, dense)
                    if (param, whole) not in u.dense:
                        u.dense.add((param, whole))
                        changed = True
    for n in names:
        sig = tables.signatures.get(n)
        if sig is None:
            continue
        tables.row_only[n] = {
            p.name: leaves
            for p in sig.params
            if (leaves := _leaves(tables, p.type, p.name, uses[n])) and not p.mut
        }


def _leaves(tables: Tables, t: Type, param: str, u: _Uses) -> tuple[str, ...]:
    dense = [path for name, path in u.dense if name == param]
    return tuple(
        leaf for leaf in table_leaves(tables, t) if not any(_covers(path, leaf) for path in dense)
    )


def _covers(path: str, leaf: str) -> bool:
    return path == "" or leaf == path or leaf.startswith(f"{path}.") or path.startswith(f"{leaf}.")


def _joined(path: str, rest: str) -> str:
    return f"{path}.{rest}" if path and rest else path or rest


def _dense_paths(uses: Mapping[str, _Uses], callee: str, param: str) -> list[str]:
    u = uses.get(callee)
    if u is None:
        return [""]
    return sorted(path for name, path in u.dense if name == param)


def _function_uses(tables: Tables, name: str) -> _Uses:
    item = tables.functions[name]
    sig = tables.signatures.get(name)
    u = _Uses()
    if sig is None or item.node.body is None:
        return u
    types = {p.name: p.type for p in sig.params if not p.run}
    if any(d.name.text == "vjp" for d in item.node.decorators):
        u.dense.update((name, "") for name in types)  # its rule gives whole tables
        return u
    scan = _Scan(tables, item.module, types, u)
    for s in item.node.body:
        scan.visit(s)
    for other in _bound_names(item.node.body):
        if other in types:
            u.dense.add((other, ""))
    return u


def lambda_row_only(
    tables: Tables, module: str, node: tree.Lambda, types: Sequence[Type]
) -> dict[str, tuple[str, ...]]:
    """The same for the parameters of a lambda."""
    u = _Uses()
    named = {p.text: t for p, t in zip(node.params, types, strict=False)}
    _Scan(tables, module, named, u).visit(node.body)
    for param, path, callee, target in u.passed:
        sig = tables.signatures.get(callee)
        p = None if sig is None else sig.param(target)
        if p is None or not isinstance(p.type, (Model, Tensor)):
            u.dense.add((param, path))
            continue
        kept = tables.row_only.get(callee, {}).get(target, ())
        for leaf in table_leaves(tables, p.type):
            if leaf not in kept:
                u.dense.add((param, _joined(path, leaf)))
    return {n: leaves for n, t in named.items() if (leaves := _leaves(tables, t, n, u))}


def _bound_names(body: Sequence[tree.Stmt]) -> set[str]:
    """Names that loops, patterns and lambdas bind: a parameter of this name cannot be followed."""
    out: set[str] = set()
    for s in body:
        for n in walk(s):
            if isinstance(n, tree.For):
                out.update(t.text for t in n.targets)
            elif isinstance(n, tree.Arm):
                out.update(f.text for f in n.fields)
            elif isinstance(n, tree.Lambda):
                out.update(p.text for p in n.params)
    return out


@dataclass
class _Scan:
    """One body being looked at."""

    tables: Tables
    module: str
    types: Mapping[str, Type]
    uses: _Uses

    def path(self, e: tree.Node) -> tuple[str, str, Type] | None:
        """The parameter and field path that an expression is; a dim of it is no use."""
        if isinstance(e, tree.Name) and e.id in self.types:
            return e.id, "", self.types[e.id]
        if isinstance(e, tree.Attr):
            base = self.path(e.base)
            if base is None:
                return None
            param, path, t = base
            inner = field_type(self.tables, t, e.name.text)
            return None if inner is None else (param, _joined(path, e.name.text), inner)
        return None

    def is_dim(self, e: tree.Attr) -> bool:
        base = self.path(e.base)
        return base is not None and dim_of_type(self.tables, base[2], e.name.text) is not None

    def visit(self, e: tree.Node) -> None:
        found = self.path(e)
        if found is not None:
            self.uses.dense.add(found[:2])
            return
        if isinstance(e, tree.Attr) and self.is_dim(e):
            return
        if isinstance(e, tree.Index) and self._gathers(e):
            for s in e.subs:
                self.visit(s)
            return
        if isinstance(e, tree.Call) and self._call(e):
            return
        for c in children(e):
            self.visit(c)

    def _gathers(self, e: tree.Index) -> bool:
        base = self.path(e.base)
        if base is None or len(e.subs) != 1 or isinstance(e.subs[0], (tree.Slice, tree.NamedDim)):
            return False
        return isinstance(base[2], (Tensor, ValueVar)) and getattr(base[2], "rank", None) == 2

    def _call(self, e: tree.Call) -> bool:
        """A call of a function of the program, or of the derivative of one; `len` of a table."""
        callee = self._callee(e.callee)
        if isinstance(callee, SpecialItem) and callee.name == "len":
            return len(e.args) == 1 and self.path(e.args[0].value) is not None
        if not isinstance(callee, FunctionItem) or callee.node.is_builtin:
            return False
        params = [p.name.text for p in callee.node.params if isinstance(p, tree.Param)]
        for i, a in enumerate(e.args):
            found = self.path(a.value)
            target = a.name.text if a.name else params[i] if i < len(params) else None
            if found is None or target is None or a.mut:
                self.visit(a.value)
            else:
                self.uses.passed.append((found[0], found[1], callee.name, target))
        return True

    def _callee(self, e: tree.Expr) -> object:
        if isinstance(e, tree.Index):
            return self._callee(e.base)
        if isinstance(e, tree.Call):
            inner = self._callee(e.callee)
            if isinstance(inner, SpecialItem) and inner.name in DERIVATIVES and e.args:
                return self._callee(e.args[0].value)
            return None
        if isinstance(e, tree.Name) and e.id not in self.types:
            return self.tables.modules.find(self.module, e.id)
        if isinstance(e, tree.Attr) and isinstance(e.base, tree.Name):
            owner = self.tables.modules.find(self.module, e.base.id)
            if isinstance(owner, ModuleItem):
                return self.tables.modules.by_name[owner.name].own.get(e.name.text)
        return None
