"""Drops statements that only write registers which nobody reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dlc.memory.form import (
    Address,
    BFunction,
    Block,
    Const,
    Data,
    DimValue,
    For,
    If,
    ListAt,
    ListLen,
    Load,
    Loop,
    Move,
    Reg,
    Scalar,
    Statement,
    Switch,
)
from dlc.memory.frame import nested, reads, statements
from dlc.typesys.dtypes import DType

_PURE = (Const, Data, Move, DimValue, Address, Load, ListLen)
_DIVIDING = frozenset({"floordiv", "mod"})


def tidy(fn: BFunction) -> BFunction:
    """The function without useless statements."""
    while True:
        read = _read(fn)
        body = filtered(fn.body, lambda s, read=read: not _useless(s, read))
        if sum(1 for _ in statements(body)) == sum(1 for _ in statements(fn.body)):
            return fn
        fn = replace(fn, body=body)


def _read(fn: BFunction) -> set[Reg]:
    out: set[Reg] = set(fn.results)
    for s in statements(fn.body):
        out.update(h for h in reads(s) if isinstance(h, Reg))
        if isinstance(s, (For, Loop)) and s.go is not None:
            out.add(s.go)
    return out


def _useless(s: Statement, read: set[Reg]) -> bool:
    if isinstance(s, _PURE):
        return s.dst not in read
    if isinstance(s, ListAt):
        return not any(c in read for c in s.columns)
    if isinstance(s, Scalar):
        d = s.dst.type
        fails = s.op in _DIVIDING and isinstance(d, DType) and d.is_int
        return s.dst not in read and not fails
    return False


def filtered(b: Block, keep: Callable[[Statement], bool]) -> Block:
    """The block with only the statements that are to be kept, at any depth."""
    return tuple(_inner(s, keep) if nested(s) else s for s in b if keep(s))


def _inner(s: Statement, keep: Callable[[Statement], bool]) -> Statement:
    if isinstance(s, If):
        return replace(s, then=filtered(s.then, keep), otherwise=filtered(s.otherwise, keep))
    if isinstance(s, Switch):
        cases = tuple(replace(c, body=filtered(c.body, keep)) for c in s.cases)
        return replace(s, cases=cases)
    assert isinstance(s, (For, Loop))
    return replace(s, body=filtered(s.body, keep))
