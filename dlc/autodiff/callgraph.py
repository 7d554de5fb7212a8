"""Who calls whom: strongly connected groups and the parameters that a function really reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dlc.ir.core import Function, Op, Region, walk

GRADS = ("value_and_grad", "vjp", "jvp")


def callees(fn: Function) -> tuple[str, ...]:
    """Names of the functions that `fn` calls or differentiates, each once, in order."""
    names = [str(op.attrs["fn"]) for op in walk(fn.body) if op.name == "call" or op.name in GRADS]
    return tuple(dict.fromkeys(names))


def has_derivatives(fn: Function) -> bool:
    """Whether the function takes a derivative itself."""
    return any(op.name in GRADS for op in walk(fn.body))


def groups(functions: Mapping[str, Function], *, rules: bool = False) -> list[tuple[str, ...]]:
    """Strongly connected components of the call graph, callees before callers (Tarjan,
    iterative). With `rules`, a function with a derivative rule of its own counts as a caller of it:
    derivatives inside of a rule are expanded before the rule is differentiated."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    on: set[str] = set()
    stack: list[str] = []
    out: list[tuple[str, ...]] = []
    edges = {n: [c for c in callees(f) if c in functions] for n, f in functions.items()}
    if rules:
        for n, f in functions.items():
            if "vjp" in f.attrs:
                edges[n].append(str(f.attrs["vjp"]))
    for root in functions:
        if root in index:
            continue
        work: list[tuple[str, Iterator[str]]] = [(root, iter(edges[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on.add(root)
        while work:
            name, rest = work[-1]
            nxt = next(rest, None)
            if nxt is not None:
                if nxt not in index:
                    index[nxt] = low[nxt] = len(index)
                    stack.append(nxt)
                    on.add(nxt)
                    work.append((nxt, iter(edges[nxt])))
                elif nxt in on:
                    low[name] = min(low[name], index[nxt])
                continue
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[name])
            if low[name] == index[name]:
                group: list[str] = []
                while True:
                    m = stack.pop()
                    on.discard(m)
                    group.append(m)
                    if m == name:
                        break
                out.append(tuple(reversed(group)))
    return out


def is_recursive(fn: Function, group: tuple[str, ...]) -> bool:
    return len(group) > 1 or fn.name in callees(fn)


def parameter_reads(functions: Mapping[str, Function]) -> dict[str, frozenset[int]]:
    """For every function the numbers of the parameters that it reads, not counting an argument that
    the callee doesn't read (least fixpoint: a parameter only handed round in a recursion is not
    read)."""
    reads: dict[str, frozenset[int]] = {n: frozenset() for n in functions}
    changed = True
    while changed:
        changed = False
        for name, fn in functions.items():
            found = set(reads[name])
            number = {p: i for i, p in enumerate(fn.params)}
            for op in _ops(fn.body):
                known = reads.get(str(op.attrs["fn"])) if op.name == "call" else None
                for k, v in enumerate(op.operands):
                    if v in number and (known is None or k in known):
                        found.add(number[v])
            if len(found) > len(reads[name]):
                reads[name] = frozenset(found)
                changed = True
    return reads


def _ops(r: Region) -> Iterator[Op]:
    return walk(r)
