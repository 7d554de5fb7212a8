"""Who mentions whom: reachable functions, groups of mutual recursion, and effects by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dlc.check.entities import Entity, FunctionItem, ModuleItem, Modules
from dlc.check.typed import Effects
from dlc.diag import Span
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
    own = _Own(params, body)
    for s in body:
        for n in walk(s):
            found: Entity | None = None
            if isinstance(n, tree.Name) and not own.has(n):
                found = modules.find(module, n.id)
            elif isinstance(n, tree.Attr) and isinstance(n.base, tree.Name):
                owner = modules.find(module, n.base.id)
                if isinstance(owner, ModuleItem):
                    found = modules.by_name[owner.name].own.get(n.name.text)
            if isinstance(found, FunctionItem):
                out[found.name] = None
    return tuple(out)


class _Own:
    """The values of a body that have names, and where each name means its value."""

    def __init__(
        self, params: Sequence[tree.Param | tree.DimsParam], body: Sequence[tree.Node]
    ) -> None:
        self.params = {p.name.text for p in params if isinstance(p, tree.Param)}
        self.targets: set[int] = set()
        self.callees: set[int] = set()
        self.since: dict[str, int] = {}
        self.inside: dict[str, list[Span]] = {}
        for s in body:
            for n in walk(s):
                self._note(n)

    def _note(self, n: tree.Node) -> None:
        bound: tuple[tree.Ident, ...] = ()
        if isinstance(n, tree.Assign):
            for t in n.targets:
                if isinstance(t, tree.Name):
                    self.targets.add(t.span.start)
                    self.since.setdefault(t.id, n.span.end)
        elif isinstance(n, tree.AnnAssign):
            self.since.setdefault(n.name.text, n.span.end)
        elif isinstance(n, tree.Call):
            self.callees.add(n.callee.span.start)
        elif isinstance(n, tree.For):
            bound = n.targets
        elif isinstance(n, tree.Arm):
            bound = n.fields
        elif isinstance(n, tree.Lambda):
            bound = n.params
        for name in bound:
            self.inside.setdefault(name.text, []).append(n.span)

    def has(self, n: tree.Name) -> bool:
        """Whether the name stands for a value. What is called is taken for the function: a value is
        called only if it is a model, and then this errs on the safe side."""
        at = n.span.start
        if n.id in self.params or at in self.targets:
            return True
        if any(s.start <= at < s.end for s in self.inside.get(n.id, ())):
            return True
        return at not in self.callees and n.id in self.since and at >= self.since[n.id]


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
