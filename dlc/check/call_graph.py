"""Who mentions whom: reachable functions, groups of mutual recursion, and effects by group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dlc.check.entities import Entity, FunctionItem, ModuleItem, Modules
from dlc.check.typed import Effects
from dlc.syntax import tree
from dlc.syntax.walk import walk

Graph = Mapping[str, tuple[str, ...]]


def mentioned(
    modules: Modules,
    module: str,
    body: Sequence[tree.Node],
    params: Sequence[tree.Param | tree.DimsParam] = (),
) -> tuple[str, ...]:
    """The functions and builtins that a body names, in order. A name that the body has
    given to a value of its own (`g = …` beside `fn g`) is that value."""
    out: dict[str, None] = {}
    for n in _names(body, {p.name.text for p in params if isinstance(p, tree.Param)}):
        found: Entity | None = None
        if isinstance(n, tree.Name):
            found = modules.find(module, n.id)
        elif isinstance(n.base, tree.Name):
            owner = modules.find(module, n.base.id)
            if isinstance(owner, ModuleItem):
                found = modules.by_name[owner.name].own.get(n.name.text)
        if isinstance(found, FunctionItem):
            out[found.name] = None
    return tuple(out)


def _names(body: Sequence[tree.Node], own: set[str]) -> Iterator[tree.Name | tree.Attr]:
    """The names in a block but those of its own values, in order. `own` are the latter; those that
    the block assigns on every path are added."""
    for s in body:
        if isinstance(s, tree.If):
            arms: list[set[str]] = []
            for branch in s.branches:
                yield from _names_at(branch.cond, own)
                arms.append(set(own))
                yield from _names(branch.body, arms[-1])
            arms.append(set(own))
            yield from _names(s.orelse or (), arms[-1])
            own |= arms[0].intersection(*arms)
        elif isinstance(s, tree.Match):
            yield from _names_at(s.subject, own)
            arms = []
            for arm in s.arms:
                fields = {f.text for f in arm.fields} - own
                inner = own | fields
                yield from _names(arm.body, inner)
                arms.append(inner - fields)
            own |= arms[0].intersection(*arms)
        elif isinstance(s, tree.For):
            yield from _names_at(s.iterable, own)
            yield from _names(s.body, own | {t.text for t in s.targets})
        elif isinstance(s, tree.While):
            yield from _names_at(s.cond, own)
            yield from _names(s.body, set(own))
        else:
            yield from _names_at(s, own)
            if isinstance(s, tree.Assign):
                own |= {t.id for t in s.targets if isinstance(t, tree.Name)}
            elif isinstance(s, tree.AnnAssign):
                own.add(s.name.text)


def _names_at(node: tree.Node, own: set[str]) -> Iterator[tree.Name | tree.Attr]:
    """The same of an expression or a simple statement."""
    targets: tuple[tree.Expr, ...] = node.targets if isinstance(node, tree.Assign) else ()
    lambdas: list[tree.Lambda] = []
    for n in walk(node):
        if isinstance(n, tree.Attr):
            yield n
        elif isinstance(n, tree.Lambda):
            lambdas.append(n)
        elif isinstance(n, tree.Name) and n.id not in own and n not in targets:
            if not any(_binds(f, n) for f in lambdas):
                yield n


def _binds(f: tree.Lambda, n: tree.Name) -> bool:
    inside = f.span.start <= n.span.start < f.span.end
    return inside and any(p.text == n.id for p in f.params)


def call_graph(
    modules: Modules, functions: Mapping[str, FunctionItem], roots: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """For each function that the roots lead to those that its body, or its `@vjp` rule, names; in
    the order in which they are met. Builtins name nothing."""
    out: dict[str, tuple[str, ...]] = {}
    stack = list(reversed(roots))
    while stack:
        name = stack.pop()
        if name in out or name not in functions:
            continue
        item = functions[name]
        found = mentioned(modules, item.module, item.node.body or (), item.node.params)
        rules = tuple(
            m
            for d in item.node.decorators
            if d.name.text == "vjp"
            for a in d.args or ()
            for m in mentioned(modules, item.module, (a.value,))
        )
        out[name] = (*found, *(r for r in rules if r not in found))
        stack.extend(reversed(out[name]))
    return out


def groups(graph: Graph) -> tuple[tuple[str, ...], ...]:
    """The strongly connected components, callees before callers (Tarjan, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    on_stack: set[str] = set()
    stack: list[str] = []
    out: list[tuple[str, ...]] = []
    for root in graph:
        if root in index:
            continue
        work: list[tuple[str, int]] = [(root, 0)]
        while work:
            node, at = work.pop()
            if at == 0:
                index[node] = low[node] = len(index)
                stack.append(node)
                on_stack.add(node)
            next_at = at
            descended = False
            edges = graph.get(node, ())
            while next_at < len(edges):
                child = edges[next_at]
                next_at += 1
                if child not in graph:
                    continue
                if child not in index:
                    work.append((node, next_at))
                    work.append((child, 0))
                    descended = True
                    break
                if child in on_stack:
                    low[node] = min(low[node], index[child])
            if descended:
                continue
            for child in edges:
                if child in on_stack and child in low:
                    low[node] = min(low[node], low[child])
            if low[node] == index[node]:
                component: list[str] = []
                while True:
                    top = stack.pop()
                    on_stack.discard(top)
                    component.append(top)
                    if top == node:
                        break
                out.append(tuple(reversed(component)))
    return tuple(out)


def recursive(graph: Graph, group: tuple[str, ...]) -> bool:
    """Whether the functions of a group call themselves."""
    return any(name in graph.get(name, ()) for name in group) or len(group) > 1


def join_effects(a: Effects, c: Effects) -> Effects:
    """What two things may do together; writing stays with the function that does it."""
    return Effects(a.writes, a.draws or c.draws, a.fails or c.fails, a.diverges or c.diverges)


def group_effects(
    own: Mapping[str, Effects],
    graph: Graph,
    order: Sequence[tuple[str, ...]],
    loops: Mapping[str, bool],
) -> dict[str, Effects]:
    """Effects of every function: its own and those of what it calls. `loops`: its recursion is not
    structural."""
    out: dict[str, Effects] = {}
    for group in order:
        together = Effects()
        for name in group:
            together = join_effects(together, own.get(name, Effects()))
            for callee in graph.get(name, ()):
                together = join_effects(together, out.get(callee, Effects()))
        diverges = together.diverges or any(loops.get(n, False) for n in group)
        for name in group:
            mine = own.get(name, Effects())
            out[name] = Effects(mine.writes, together.draws, together.fails, diverges)
    return out
