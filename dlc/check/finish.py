"""The end of checking a body: dims that nothing mentions are not defined; where a path runs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dlc.check import typed
from dlc.check.typed import Block, Stmt
from dlc.check.typed.walk import mentioned_dims
from dlc.diag import Span
from dlc.syntax import tree


def pruned(body: Sequence[Stmt]) -> Block:
    """The block without definitions of dims that nothing mentions."""
    return _block(tuple(body), mentioned_dims(tuple(body)))


def _block(body: Block, used: Mapping[str, None]) -> Block:
    out: list[Stmt] = []
    for s in body:
        if isinstance(s, typed.DefineDim):
            if s.name in used:
                out.append(s)
        elif isinstance(s, typed.If):
            out.append(replace(s, then=_block(s.then, used), orelse=_block(s.orelse, used)))
        elif isinstance(s, typed.Match):
            arms = tuple(replace(a, body=_block(a.body, used)) for a in s.arms)
            out.append(replace(s, arms=arms))
        elif isinstance(s, (typed.While, typed.ForRange, typed.ForEach)):
            out.append(replace(s, body=_block(s.body, used)))
        else:
            out.append(s)
    return tuple(out)


def runs_out(body: Sequence[tree.Stmt]) -> tuple[Span, str] | None:
    """The place where a path reaches the end of a body, and why."""
    if not body:
        return None
    last = body[-1]
    if isinstance(last, tree.If):
        for branch in last.branches:
            if not _ends(branch.body):
                return runs_out(branch.body)
        if last.orelse is None:
            return last.header, "without an `else`, the end is reached"
        return runs_out(last.orelse)
    if isinstance(last, tree.Match):
        for arm in last.arms:
            if not _ends(arm.body):
                return runs_out(arm.body)
    if isinstance(last, (tree.For, tree.While)):
        return last.header, "a loop may have no turn; after it the end is reached"
    return last.span, "after this the end is reached"


def _ends(body: Sequence[tree.Stmt]) -> bool:
    """Whether every path through a body returns, by its text."""
    if not body:
        return False
    last = body[-1]
    if isinstance(last, tree.Return):
        return True
    if isinstance(last, tree.If):
        arms = [*(x.body for x in last.branches), *((last.orelse,) if last.orelse else ())]
        return last.orelse is not None and all(map(_ends, arms))
    if isinstance(last, tree.Match):
        return all(_ends(a.body) for a in last.arms)
    return False
