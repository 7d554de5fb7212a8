"""Names of values in a graph and the graphs around it; the order in which its nodes are needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from dlc.importers.messages import Graph, Node, TensorData
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Item


class Scope:
    """The values of one graph by name; what it lacks is looked for in the graph around it."""

    def __init__(self, outer: Scope | None = None) -> None:
        self.outer = outer
        self.items: dict[str, Item] = {}
        self.stored: dict[str, TensorData] = {}
        self.nodes: Sequence[Node] = ()

    def find(self, name: str) -> Item | TensorData | None:
        """A value, or an initialiser that nobody needed before."""
        here: Scope | None = self
        while here is not None:
            found = here.items.get(name) or here.stored.get(name)
            if found is not None:
                return found
            here = here.outer
        return None

    def keep(self, name: str, x: Item) -> None:
        """The decoded initialiser, where it was found."""
        here: Scope | None = self
        while here is not None:
            if name in here.stored:
                here.items[name] = x
                return
            here = here.outer


def subgraphs(node: Node) -> Iterator[Graph]:
    """The graphs in a node's attributes."""
    for a in node.attributes.values():
        if isinstance(a.value, Graph):
            yield a.value
        elif isinstance(a.value, tuple):
            yield from (g for g in a.value if isinstance(g, Graph))


class Uses:
    """Which names a node needs, those that its graphs take from around them included."""

    def __init__(self) -> None:
        self._free: dict[Graph, frozenset[str]] = {}

    def of_node(self, node: Node) -> tuple[str, ...]:
        names = dict.fromkeys(n for n in node.inputs if n)
        for g in subgraphs(node):
            names.update(dict.fromkeys(sorted(self.of_graph(g))))
        return tuple(names)

    def of_graph(self, g: Graph) -> frozenset[str]:
        """The names that a graph uses and doesn't define."""
        if g not in self._free:
            own = {v.name for v in g.inputs} | {t.name for t in g.initialisers}
            own |= {s.values.name for s in g.sparse}
            own |= {n for node in g.nodes for n in node.outputs}
            used = {n for node in g.nodes for n in self.of_node(node)}
            used |= {v.name for v in g.outputs}
            self._free[g] = frozenset(used - own - {""})
        return self._free[g]


def producers(nodes: Sequence[Node], taken: Iterable[str]) -> Mapping[str, int]:
    """The number of the node that makes each value. Raises E0706 for a name that is used twice."""
    known = set(taken)
    out: dict[str, int] = {}
    for i, node in enumerate(nodes):
        for name in node.outputs:
            if not name:
                continue
            if name in out or name in known:
                raise refuse("E0706", f"the value `{name}` is made twice")
            out[name] = i
    return out


def needed_order(
    nodes: Sequence[Node], makers: Mapping[str, int], wanted: Iterable[str], uses: Uses
) -> list[int]:
    """The nodes that the wanted values need, each after those that it needs; the file's order
    where that is right. Raises E0706 for a cycle."""
    needed: set[int] = set()
    work = [makers[n] for n in wanted if n in makers]
    while work:
        i = work.pop()
        if i not in needed:
            needed.add(i)
            work += [makers[n] for n in uses.of_node(nodes[i]) if n in makers]
    out: list[int] = []
    state: dict[int, int] = {}
    for root in sorted(needed):
        stack = [root]
        while stack:
            i = stack[-1]
            if state.get(i) == 2:
                stack.pop()
                continue
            if state.get(i) == 1:
                state[i] = 2
                out.append(i)
                stack.pop()
                continue
            state[i] = 1
            for n in reversed(uses.of_node(nodes[i])):
                j = makers.get(n)
                if j is None or state.get(j) == 2:
                    continue
                if state.get(j) == 1:
                    raise refuse("E0706", f"the operators need each other in a circle, by `{n}`")
                stack.append(j)
    return out
