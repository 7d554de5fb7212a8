"""Structural recursion: every recursive call gets a part of what a parameter was matched into.

Such recursion ends. Other recursion may not: `plan(m, h, depth - 1)` is said to diverge, because
nothing in the text says that `depth` stops at 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from dlc.check.call_graph import Graph, recursive
from dlc.check.entities import FunctionItem, Modules
from dlc.syntax import tree
from dlc.syntax.walk import children

_MOST_CHOICES = 4096


@dataclass
class _Calls:
    """Recursive calls of one function: for each, pairs (parameter here, argument there) where the
    argument is a part of the parameter."""

    calls: list[tuple[str, frozenset[tuple[int, int]]]] = field(
        default_factory=list[tuple[str, frozenset[tuple[int, int]]]]
    )


def not_structural(
    modules: Modules,
    functions: Mapping[str, FunctionItem],
    graph: Graph,
    order: Sequence[tuple[str, ...]],
) -> dict[str, bool]:
    """For each function whether it recurses in a way that need not end."""
    out: dict[str, bool] = {}
    for group in order:
        if not recursive(graph, group) or any(n not in functions for n in group):
            continue
        found = {n: _collect(modules, functions[n], frozenset(group)) for n in group}
        ends = _has_measure(group, functions, found)
        out.update(dict.fromkeys(group, not ends))
    return out


def _has_measure(
    group: tuple[str, ...], functions: Mapping[str, FunctionItem], found: Mapping[str, _Calls]
) -> bool:
    """Whether one parameter of each function gets smaller in every call."""
    counts = [max(1, len(functions[n].node.params)) for n in group]
    total = 1
    for c in counts:
        total *= c
    if total > _MOST_CHOICES:
        return False
    place = {n: i for i, n in enumerate(group)}
    for choice in product(*(range(c) for c in counts)):
        if all(
            (choice[place[n]], choice[place[callee]]) in pairs
            for n in group
            for callee, pairs in found[n].calls
        ):
            return True
    return False


def _collect(modules: Modules, item: FunctionItem, group: frozenset[str]) -> _Calls:
    out = _Calls()
    params = {p.name.text: i for i, p in enumerate(item.node.params)}

    def visit(n: tree.Node, parts: Mapping[str, int]) -> None:
        if isinstance(n, tree.Match):
            visit(n.subject, parts)
            whole = n.subject.id if isinstance(n.subject, tree.Name) else ""
            owner = parts.get(whole, params.get(whole))
            for arm in n.arms:
                inner = {k: v for k, v in parts.items() if k not in {f.text for f in arm.fields}}
                if owner is not None:
                    inner.update({f.text: owner for f in arm.fields})
                for s in arm.body:
                    visit(s, inner)
            return
        if isinstance(n, tree.Call):
            callee = (
                modules.find(item.module, n.callee.id) if isinstance(n.callee, tree.Name) else None
            )
            if isinstance(callee, FunctionItem) and callee.name in group:
                out.calls.append((callee.name, _pairs(n, callee, parts)))
        elif isinstance(n, tree.Name):
            callee = modules.find(item.module, n.id)
            if isinstance(callee, FunctionItem) and callee.name in group and n.id not in params:
                out.calls.append((callee.name, frozenset()))
        for c in children(n):
            if not (isinstance(n, tree.Call) and c is n.callee and isinstance(c, tree.Name)):
                visit(c, parts)

    for s in item.node.body or ():
        visit(s, {})
    return out


def _pairs(
    call: tree.Call, callee: FunctionItem, parts: Mapping[str, int]
) -> frozenset[tuple[int, int]]:
    names = [p.name.text for p in callee.node.params]
    out: set[tuple[int, int]] = set()
    for i, a in enumerate(call.args):
        at = names.index(a.name.text) if a.name and a.name.text in names else i
        if isinstance(a.value, tree.Name) and a.value.id in parts:
            out.add((parts[a.value.id], at))
    return frozenset(out)
