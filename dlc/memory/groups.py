"""Recursive groups: strongly connected sets of the call graph, callees before callers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dlc.memory.form import BFunction, Call
from dlc.memory.frame import statements


def call_order(calls: Mapping[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Strongly connected sets of names, callees first (Tarjan 1972, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    waiting: set[str] = set()
    out: list[tuple[str, ...]] = []
    for start in calls:
        if start in index:
            continue
        work = [(start, iter(calls[start]))]
        index[start] = low[start] = len(index)
        stack.append(start)
        waiting.add(start)
        while work:
            name, rest = work[-1]
            callee = next(rest, None)
            if callee is None:
                work.pop()
                if work:
                    caller = work[-1][0]
                    low[caller] = min(low[caller], low[name])
                if low[name] == index[name]:
                    at = stack.index(name)
                    out.append(tuple(stack[at:]))
                    waiting.difference_update(stack[at:])
                    del stack[at:]
            elif callee not in index:
                index[callee] = low[callee] = len(index)
                stack.append(callee)
                waiting.add(callee)
                work.append((callee, iter(calls[callee])))
            elif callee in waiting:
                low[name] = min(low[name], index[callee])
    return out


def callees(fn: BFunction) -> tuple[str, ...]:
    """The functions that it calls, each once, in order."""
    return tuple(dict.fromkeys(s.function for s in statements(fn.body) if isinstance(s, Call)))


def numbered_groups(functions: Mapping[str, BFunction]) -> dict[str, BFunction]:
    """Callees before callers where not recursive; recursive groups numbered from 0."""
    calls = {name: callees(fn) for name, fn in functions.items()}
    out: dict[str, BFunction] = {}
    number = 0
    for names in call_order(calls):
        recursive = len(names) > 1 or any(n in calls[n] for n in names)
        for name in names:
            out[name] = replace(functions[name], group=number if recursive else None)
        number += recursive
    return out
