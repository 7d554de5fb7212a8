"""The saved LALR(1) table of `grammar/dl.lark` and the machine that runs it.

The table is computed from the grammar by `dlc/syntax/generate.py` (with lark) and saved as JSON, so
that a compile neither builds nor imports a parser generator. Every reduction knows the place and
the depth of what it reduces, which is what the builder of the tree and the limit of nesting need.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from dlc import resources
from dlc.diag import InternalError

END = "$END"

Action = Callable[[list[Any], int, int], Any]


class Token(NamedTuple):
    """A terminal of the grammar with its text and its place (character offsets)."""

    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal and the regular expression it matches; `word` is its text if it has only one."""

    name: str
    pattern: str
    word: str | None


@dataclass(frozen=True, slots=True)
class Rule:
    """`lhs: <length symbols>`. `plan` says what becomes a child: `i` symbol i, `-1` None (something
    optional is missing), `-2 - i` every value of the list that symbol i made. `action` is the
    builder's method, or empty: then the only child stands for the whole, or, for a rule `_x`, the
    list of all."""

    lhs: str
    length: int
    action: str
    plan: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """`moves[state][symbol]` is `2 * state` to shift or go to, `2 * rule + 1` to reduce."""

    start: int
    accept: int
    moves: tuple[dict[str, int], ...]
    rules: tuple[Rule, ...]
    terminals: tuple[Terminal, ...]
    grammar: str


class Unexpected(Exception):
    """A token that no rule allows here; `expected` are the terminals that may stand there."""

    def __init__(self, index: int, token: Token, expected: tuple[str, ...]) -> None:
        super().__init__(token.kind)
        self.index = index
        self.token = token
        self.expected = expected


class TooDeep(Exception):
    """A construct nested deeper than the limit, from `start` to `end`."""

    def __init__(self, start: int, end: int) -> None:
        super().__init__()
        self.start = start
        self.end = end


@functools.cache
def load_table() -> Table:
    """The saved table."""
    data: dict[str, Any] = json.loads(
        resources.grammar("dl.table.json").read_text(encoding="utf-8")
    )
    symbols: list[str] = data["symbols"]
    saved: list[list[int]] = data["rows"]
    rows = [{symbols[r[i]]: r[i + 1] for i in range(0, len(r), 2)} for r in saved]
    states: list[int] = data["states"]
    rules: list[tuple[int, int, str, list[int]]] = data["rules"]
    return Table(
        start=data["start"],
        accept=data["accept"],
        moves=tuple(rows[i] for i in states),
        rules=tuple(Rule(symbols[r[0]], r[1], r[2], tuple(r[3])) for r in rules),
        terminals=tuple(Terminal(*t) for t in data["terminals"]),
        grammar=data["grammar"],
    )


def run(
    table: Table,
    tokens: Iterable[Token],
    actions: dict[str, Action],
    deeper: frozenset[str],
    limit: int,
) -> Any:
    """Parse `tokens`, which end with END, into what the action of the start rule returns.

    `deeper` names the actions that make one level of nesting; `limit` is how many levels there may
    be. Raises Unexpected and TooDeep."""
    moves, accept = table.moves, table.accept
    plans = [
        (r.lhs, r.length, actions[r.action] if r.action else None, r.plan, r.action in deeper)
        for r in table.rules
    ]
    states: list[int] = [table.start]
    values: list[Any] = []
    starts: list[int] = []
    ends: list[int] = []
    depths: list[int] = []
    for index, token in enumerate(tokens):
        kind = token.kind
        while True:
            move = moves[states[-1]].get(kind)
            if move is None:
                raise Unexpected(index, token, expected(table, states))
            if not move & 1:
                states.append(move >> 1)
                values.append(token)
                starts.append(token.start)
                ends.append(token.end)
                depths.append(0)
                break
            lhs, length, action, plan, is_deeper = plans[move >> 1]
            if length == 1 and action is None and lhs[0] != "_":
                # A unit rule: the value stays where it is, only the state changes.
                states[-1] = moves[states[-2]][lhs] >> 1
            else:
                children = values[-length:]
                start = starts[-length]
                depth = max(depths[-length:])
                del values[-length:], starts[-length:], states[-length:], depths[-length:]
                end = ends[-1]
                del ends[-length:]
                if is_deeper:
                    depth += 1
                    if depth > limit:
                        raise TooDeep(start, end)
                values.append(_reduce(lhs, children, action, plan, start, end))
                starts.append(start)
                ends.append(end)
                depths.append(depth)
                states.append(moves[states[-1]][lhs] >> 1)
            if kind == END and states[-1] == accept:
                return values[-1]
    raise InternalError("the tokens do not end", stage="parse")


def _reduce(
    lhs: str,
    children: list[Any],
    action: Action | None,
    plan: tuple[int, ...],
    start: int,
    end: int,
) -> Any:
    kept: list[Any] = []
    for i in plan:
        if i >= 0:
            kept.append(children[i])
        elif i == -1:
            kept.append(None)
        elif kept:
            kept.extend(children[-2 - i])
        else:
            kept = children[-2 - i]  # its only owner: growing needs no copy
    if action is not None:
        return action(kept, start, end)
    return kept if lhs[0] == "_" else kept[0]


def expected(table: Table, states: list[int]) -> tuple[str, ...]:
    """The terminals that may follow when the stack is `states`, in the grammar's order."""
    names = [t.name for t in table.terminals] + ["_NL", "_INDENT", "_DEDENT", END]
    row = table.moves[states[-1]]
    return tuple(n for n in names if n in row and _accepts(table, list(states), n))


def _accepts(table: Table, states: list[int], kind: str) -> bool:
    while True:
        move = table.moves[states[-1]].get(kind)
        if move is None:
            return False
        if not move & 1:
            return True
        rule = table.rules[move >> 1]
        del states[-rule.length :]
        states.append(table.moves[states[-1]][rule.lhs] >> 1)
        if kind == END and states[-1] == table.accept:
            return True
