"""Compute the parse table of `grammar/dl.lark`; `make docs` saves it, a test checks that it is
fresh.

Needs lark, which the compiler itself does not import.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from dlc import resources
from dlc.diag import InternalError

START = "item"


def grammar_text() -> str:
    return resources.grammar("dl.lark").read_text(encoding="utf-8")


def table_text(grammar: str) -> str:
    """The saved form of the table of a grammar in lark's notation. Same grammar, same text.

    Raises lark's GrammarError if the grammar has a conflict.
    """
    import lark

    made: Any = lark.Lark(
        grammar, parser="lalr", lexer="basic", start=START, maybe_placeholders=True
    )
    rules: list[Any] = list(made.rules)
    _check_conflicts(rules)
    parse_table: Any = made.parser.parser._parse_table
    place = {rule: i for i, rule in enumerate(rules)}
    order = _state_order(parse_table)
    number = {state: i for i, state in enumerate(order)}
    symbols: dict[str, int] = {}
    rows: dict[tuple[int, ...], int] = {}
    states: list[int] = []
    for state in order:
        row: list[int] = []
        for symbol, (action, target) in sorted(parse_table.states[state].items()):
            move = 2 * place[target] + 1 if str(action) == "Reduce" else 2 * number[target]
            row += [symbols.setdefault(symbol, len(symbols)), move]
        states.append(rows.setdefault(tuple(row), len(rows)))
    saved = {
        "grammar": hashlib.sha256(grammar.encode()).hexdigest(),
        "start": number[parse_table.start_states[START]],
        "accept": number[parse_table.end_states[START]],
        "symbols": list(symbols),
        "rules": [_rule(rule, symbols) for rule in rules],
        "states": states,
        "rows": list(rows),
        "terminals": [_terminal(t) for t in made.terminals if not t.name.startswith("_")],
    }
    parts = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in saved.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _check_conflicts(rules: list[Any]) -> None:
    """Lark settles a shift/reduce conflict in silence; here it is an error."""
    from lark.common import ParserConf
    from lark.parsers.lalr_analysis import LALR_Analyzer

    no_actions: dict[Any, Any] = {}
    conf: Any = ParserConf(rules, no_actions, [START])
    analysis: Any = LALR_Analyzer(conf, strict=True)
    analysis.compute_lalr()


def _state_order(parse_table: Any) -> list[Any]:
    """States in the order of a walk from the start, so that the numbering does not depend on
    hashes.
    """
    order = [parse_table.start_states[START]]
    seen = set(order)
    for state in order:
        for _, (action, target) in sorted(parse_table.states[state].items()):
            if str(action) != "Reduce" and target not in seen:
                seen.add(target)
                order.append(target)
    if parse_table.end_states[START] not in seen:
        raise InternalError("the accepting state is out of reach", stage="grammar")
    return order


def _rule(rule: Any, symbols: dict[str, int]) -> list[Any]:
    """`[lhs, length, action, plan]`, see `dlc.syntax.table.Rule`."""
    length = len(rule.expansion)
    missing = _placeholders(rule.options.empty_indices, length)
    plan: list[int] = []
    for i, symbol in enumerate(rule.expansion):
        plan += [-1] * missing[i]
        if symbol.is_term and symbol.filter_out:
            continue
        inlined = not symbol.is_term and symbol.name.startswith("_")
        plan.append(-2 - i if inlined else i)
    plan += [-1] * missing[length]
    name: str = rule.alias or rule.origin.name
    if name.startswith("_"):
        name = ""
    elif rule.options.expand1 and not rule.alias:
        if len(plan) != 1 or plan[0] < 0:
            raise InternalError(f"rule {name} needs an alias: {rule}", stage="grammar")
        name = ""
    if not length:
        raise InternalError(f"rule {name} may be empty", stage="grammar")
    return [symbols.setdefault(str(rule.origin.name), len(symbols)), length, name, plan]


def _placeholders(empty: Any, length: int) -> list[int]:
    """How many optional parts are missing before each symbol of the rule, and at its end."""
    missing = [0] * (length + 1)
    at = 0
    for is_missing in empty:
        if is_missing:
            missing[at] += 1
        else:
            at += 1
    return missing


def _terminal(terminal: Any) -> list[str | None]:
    """`[name, pattern, word]`; a terminal of one text has it as `word`."""
    text: str | None = terminal.pattern.value if terminal.pattern.type == "str" else None
    return [str(terminal.name), str(terminal.pattern.to_regexp()), text]
