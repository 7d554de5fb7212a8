"""How many operators a model has once its functions are inlined, counted before any is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dlc.importers.messages import FunctionBody, Graph, Node
from dlc.importers.refusal import refuse
from dlc.importers.scope import subgraphs

Key = tuple[str, str, str]
"""Domain, name, overload of a function."""


def check_expansion(graph: Graph, functions: Mapping[Key, FunctionBody], most: int) -> None:
    """Raises E0702 if inlining gives more than `most` operators, E0711 if a function that the graph
    uses calls itself. Each function is counted once, however often it is called."""
    sizes: dict[Key, int] = {}
    for key in _calls(graph.nodes, functions):
        _count(key, functions, sizes)
    total = _own(graph.nodes, functions, sizes)
    if total > most:
        raise refuse(
            "E0702",
            f"the model has {_shown(total)} operators once its functions are inlined; at most "
            f"{most} are imported",
        ).with_help("raise the limit `nodes` if you trust the file")


def _shown(n: int) -> str:
    return str(n) if n < 10**12 else "more than 10**12"


def _all_nodes(nodes: Sequence[Node]) -> list[Node]:
    """The nodes and those of the graphs inside them."""
    out: list[Node] = []
    work = list(nodes)
    while work:
        node = work.pop()
        out.append(node)
        for g in subgraphs(node):
            work.extend(g.nodes)
    return out


def _calls(nodes: Sequence[Node], functions: Mapping[Key, FunctionBody]) -> list[Key]:
    keys = ((n.domain, n.op, n.overload) for n in _all_nodes(nodes))
    return list(dict.fromkeys(k for k in keys if k in functions))


def _own(
    nodes: Sequence[Node], functions: Mapping[Key, FunctionBody], sizes: Mapping[Key, int]
) -> int:
    every = _all_nodes(nodes)
    return sum(1 + sizes.get((n.domain, n.op, n.overload), 0) for n in every)


def _count(root: Key, functions: Mapping[Key, FunctionBody], sizes: dict[Key, int]) -> None:
    """Fills `sizes` for a function and all that it calls, callees first."""
    stack: list[Key] = [root]
    open_: dict[Key, None] = {}
    while stack:
        key = stack[-1]
        if key in sizes:
            stack.pop()
            continue
        calls = _calls(functions[key].nodes, functions)
        missing = [k for k in calls if k not in sizes]
        if not missing:
            sizes[key] = _own(functions[key].nodes, functions, sizes)
            open_.pop(key, None)
            stack.pop()
            continue
        open_[key] = None
        circle = next((k for k in missing if k in open_), None)
        if circle is not None:
            chain = " → ".join(k[1] for k in (*open_, circle))
            raise refuse("E0711", f"the function `{circle[1]}` calls itself: {chain}")
        stack.extend(missing)
