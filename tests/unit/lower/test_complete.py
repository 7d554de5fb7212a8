"""Nothing of the language is without a lowering."""

from __future__ import annotations

from typing import get_args

from dlc.check import typed
from dlc.check.entities import SPECIALS
from dlc.lower.builtins.table import BUILTINS
from dlc.lower.expression import EXPRESSIONS
from dlc.lower.flow import STATEMENTS
from dlc.resources import prelude
from dlc.syntax import parse, read_source
from dlc.syntax.tree import FnDef


def test_every_builtin_of_the_prelude():
    items = parse(read_source(prelude(), "prelude.dl"), allow_builtin=True).items
    names = {i.name.text for i in items if isinstance(i, FnDef) and i.is_builtin}
    assert len(names) > 80
    assert names - set(SPECIALS) <= set(BUILTINS)


def test_every_typed_expression():
    assert set(get_args(typed.Expr)) == set(EXPRESSIONS)


def test_every_typed_statement():
    ways_out = {typed.Return, typed.Break, typed.Continue}
    control = {typed.If, typed.Match, typed.While, typed.ForRange, typed.ForEach, *ways_out}
    assert set(get_args(typed.Stmt)) == set(STATEMENTS) | control
