from __future__ import annotations

import pytest

from dlc.diag import CompileError, InternalError, SourceFile, error, warning
from dlc.diag.bag import LIMIT, Bag

SOURCE = SourceFile("t.dl", "x" * 100)


def test_one_for_each_code_and_place() -> None:
    bag = Bag()
    bag.add(error("E0201", "first", SOURCE.span(0, 1)))
    bag.add(error("E0201", "again", SOURCE.span(0, 1)))
    bag.add(error("E0202", "other code", SOURCE.span(0, 1)))
    bag.add(error("E0201", "other place", SOURCE.span(0, 2)))
    bag.add(error("E0901", "no place"))
    bag.add(error("E0901", "no place"))
    bag.add(error("E0901", "no place, other file"))
    messages = [d.message for d in bag.diagnostics]
    assert messages == ["first", "other code", "other place", "no place", "no place, other file"]


def test_errors_stop_at_the_limit_but_warnings_do_not_count() -> None:
    bag = Bag()
    bag.extend(warning("E0402", "w", SOURCE.span(i, i + 1)) for i in range(30))
    assert not bag.has_errors and not bag.is_full
    bag.raise_errors()
    bag.extend(error("E0201", "e", SOURCE.span(i, i + 1)) for i in range(30))
    assert bag.is_full
    with pytest.raises(CompileError) as caught:
        bag.raise_errors()
    assert len(caught.value.diagnostics) == 30 + LIMIT


def test_diagnostics_are_values() -> None:
    plain = error("E0419", "key `k` is used twice", SOURCE.span(5, 6), "again")
    rich = plain.with_label(SOURCE.span(1, 2), "first").with_note("n").with_help("h")
    assert plain.labels == () and plain.notes == () and plain.helps == ()
    assert [label.text for label in rich.labels] == ["first"]
    assert (rich.notes, rich.helps[0].text) == (("n",), "h")


def test_exceptions_say_what_they_are() -> None:
    assert str(CompileError(error("E0201", "no name `x`"))) == "E0201: no name `x`"
    internal = InternalError("no gradient", stage="autodiff", op="matmul", span=SOURCE.span(2, 3))
    assert str(internal) == "no gradient [stage autodiff] [op matmul] [at t.dl:1:3]"
