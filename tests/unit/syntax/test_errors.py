"""What the parser says about wrong programs: code, place and remedy of each."""

from __future__ import annotations

import pytest

from dlc.diag import CompileError, Diagnostic, SourceFile
from dlc.syntax import parse

FN = "fn f(x: f32) -> f32:\n"


def errors(text: str) -> list[Diagnostic]:
    with pytest.raises(CompileError) as caught:
        parse(SourceFile("t.dl", text))
    return list(caught.value.diagnostics)


def one(text: str) -> Diagnostic:
    (found,) = errors(text)
    assert found.primary is not None
    assert found.helps, "a remedy"
    return found


def where(found: Diagnostic) -> tuple[str, int, int]:
    assert found.primary is not None
    return found.code, found.primary.span.line, found.primary.span.column


CASES = [
    # the program, code, line, column, what the message or a help says
    ("def f(x):\n    return x\n", "E0110", 1, 1, "a function starts with `fn`"),
    ("x = 1\n", "E0110", 1, 1, "at this level are imports"),
    ("return x\n", "E0110", 1, 1, "cannot stand outside a function"),
    ("class A:\n    x\n", "E0110", 1, 1, "`model` or `type`"),
    (FN + "    return x +\n", "E0110", 2, 14, "a value is missing after `+`"),
    (FN + "    return x y\n", "E0110", 2, 14, "an operator or a comma is missing"),
    (FN + "    x /= 2.0\n", "E0110", 2, 8, "write `x = x / …`"),
    (FN + "    x++\n", "E0110", 2, 7, "no `++`"),
    (FN + "    y = lambda x: x\n", "E0110", 2, 16, "`fn(x) => e`"),
    (FN + "    fn g(y: f32):\n        return y\n", "E0110", 2, 8, "stand at the left margin"),
    (FN + "    else:\n        x\n", "E0110", 2, 5, "this `else` belongs to no `if`"),
    (FN + "    if x:\n        y\n    else if z:\n        y\n", "E0110", 4, 10, "write `elif`"),
    (FN + "    if x = y:\n        y\n", "E0110", 2, 10, "`==` compares"),
    (FN + "    a = b = c\n", "E0110", 2, 11, "one `=` a statement"),
    (FN + "    a, b\n", "E0110", 2, 8, "`a, b = …` assigns"),
    (FN + "    y: f32\n", "E0110", 2, 10, "gets a value when it is made"),
    (FN + "    y = if x: 1 else 2\n", "E0110", 2, 9, "`a if x > 0.0 else b`"),
    (FN + "    return [y for y in x]\n", "E0110", 2, 15, "`map(fn(x) => e, xs)`"),
    (FN + "    return a || b\n", "E0110", 2, 14, "`or` joins conditions"),
    (FN + "    return ()\n", "E0110", 2, 13, "there is no empty tuple"),
    (FN + "    return x[]\n", "E0110", 2, 14, "an index is"),
    (FN + "    return f(a,, b)\n", "E0110", 2, 16, "remove the comma"),
    (FN + "    import nn\n", "E0110", 2, 5, "at the top of a file"),
    (FN + "    match x:\n        _(a):\n            y\n", "E0110", 3, 11, "write `_:`"),
    ("fn f(x) -> f32:\n    return x\n", "E0110", 1, 7, "the form is `fn name(x: f32[N]"),
    ("fn f(mut x: f32):\n    return x\n", "E0110", 1, 6, "`x: mut T`"),
    ("model A[D]:\n    w: f32[D] = 1\n", "E0110", 2, 15, "after `~`"),
    ("model A[D]:\n    w = 1\n", "E0110", 2, 7, "a member of a model is"),
    ("type T: A\n", "E0110", 1, 7, "the form is `type Tree ="),
    ("@checkpoint\nmodel A:\n    w: f32\n", "E0110", 2, 1, "stands before a function"),
    ("@checkpoint\n", "E0110", 1, 11, "stands before a function"),
    ("export model A:\n    w: f32\n", "E0110", 1, 8, "expected `fn`"),
    ("from nn import *\n", "E0110", 1, 16, "`from nn import GRU, gru`"),
    ('import onx "f" as B\n', "E0110", 1, 8, "expected `onnx`"),
    ("test foo:\n    x\n", "E0110", 1, 6, "a text in quotes"),
    (FN + "    assert x, y\n", "E0110", 2, 15, "a text in quotes"),
    ("builtin fn f(x: f32):\n    return x\n", "E0110", 1, 21, "the end of the line"),
    (FN + "    type = 3\n", "E0111", 2, 5, "`type_`"),
    (FN + "    return m.in\n", "E0111", 2, 14, "`in_`"),
    (FN + "    return f(from, 1)\n", "E0111", 2, 14, "`from_`"),
    ("fn match(x: f32):\n    return x\n", "E0111", 1, 4, "`match_`"),
    (FN + "    if x > 0.0\n        return x\n", "E0112", 2, 14, "add `:`"),
    (FN + "    if x > 0.0\n    return x\n", "E0112", 2, 14, "add `:`"),
    ("fn f(x: f32)\n    return x\n", "E0112", 1, 12, "add `:`"),
    ("model A[D]\n    w: f32\n", "E0112", 1, 10, "add `:`"),
    (FN + "    match x:\n        A(b)\n            y\n", "E0112", 3, 12, "add `:`"),
    (FN + "    while x:\n", "E0113", 2, 12, "nothing indented follows"),
    ("fn f(x: f32):\nreturn x\n", "E0113", 1, 13, "nothing indented follows"),
    ("fn f(x: f32): return x\n", "E0114", 1, 15, "a line of its own"),
    (FN + "    m.w = x\n", "E0115", 2, 5, "a field is never assigned"),
    (FN + "    (a, b) = x\n", "E0115", 2, 5, "without parentheses"),
    (FN + "    f(x)[0] += x\n", "E0115", 2, 5, "name it first"),
    (FN + "\treturn x\n", "E0101", 2, 1, "four spaces"),
    (FN + "    return\tx\n", "E0101", 2, 11, "four spaces"),
    (FN + "    y = x\n        return y\n", "E0102", 3, 1, "indent it by 4 spaces"),
    (FN + "    return x\n        + y\n", "E0102", 3, 1, "use parentheses"),
    ("    import nn\n", "E0102", 1, 1, "indent it by 0 spaces"),
    (FN + "        x\n    y\n", "E0103", 3, 5, "open blocks are at 0 and 8 spaces"),
    (FN + "    f(a, b\n    y = 1\n    return y\n", "E0104", 2, 6, "noticed at line 4, at `return`"),
    (FN + "    f(a, b\n", "E0104", 2, 6, "noticed at the end of the file"),
    (FN + "    return f(x[0, 1)\n", "E0105", 2, 20, "`]` closes it"),
    (FN + "    return x)\n", "E0105", 2, 13, "closes nothing"),
    (FN + "    return a < b <= c\n", "E0106", 2, 18, "`a < b and b <= c`"),
    (FN + "    return 'abc'\n", "E0107", 2, 12, 'between `"`'),
    (FN + "    return x;\n", "E0107", 2, 13, "one statement a line"),
    (FN + "    return x ≤ y\n", "E0107", 2, 14, "`<=`"),
    (FN + "    return x\0\n", "E0107", 2, 13, "U+0000"),
    (FN + "    return x \\\n", "E0107", 2, 14, "inside brackets a line may go on"),
    (FN + "    return été\n", "E0107", 2, 12, "the letters a to z"),
    (FN + '    assert x, "a\n    return x\n', "E0108", 2, 15, 'add `"`'),
    (FN + "    return 3x\n", "E0109", 2, 12, "starts with a letter"),
    (FN + "    return 1_000\n", "E0109", 2, 12, "not grouped"),
    (FN + "    return 1.\n", "E0109", 2, 12, "a digit after the point"),
    (FN + "    return x + .5\n", "E0109", 2, 16, "a digit before the point"),
    (FN + "    return 0x1F\n", "E0109", 2, 12, "decimal"),
    (FN + "    return 1.2.3\n", "E0109", 2, 12, "one point"),
    (FN + "    return 1e\n", "E0109", 2, 12, "an exponent needs digits"),
    (FN + "    return 007\n", "E0109", 2, 12, "does not start with 0"),
    (FN + "    return 9223372036854775809\n", "E0109", 2, 12, "64 bits"),
    (FN + "    return " + "9" * 5000 + "\n", "E0109", 2, 12, "64 bits"),
    (FN + "    return 1e999\n", "E0109", 2, 12, "too large for f64"),
    ("builtin fn f(x: f32) -> f32\n", "E0119", 1, 1, "write a body"),
    (FN + "    return zeros(?n)\n", "E0120", 2, 18, "in an annotation"),
    (FN + "    return zeros(x[*S])\n", "E0120", 2, 20, "one by one"),
    ("fn f(x: List[f32[1:2]]):\n    x\n", "E0121", 1, 18, "no meaning in a type"),
    ("fn f(x: List[(i32, 3)]):\n    x\n", "E0121", 1, 20, "a type is expected"),
    (FN + "    return f(a=x, x)\n", "E0122", 2, 19, "come first"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0].replace(FN, "").strip()[:40])
def test_one_error(case: tuple[str, str, int, int, str]) -> None:
    text, code, line, column, words = case
    found = one(text)
    assert where(found) == (code, line, column)
    said = [found.message, *found.notes, *(h.text for h in found.helps)]
    said += [found.primary.text] if found.primary else []
    assert any(words in part for part in said), said


def test_each_item_has_its_own_error() -> None:
    text = FN + "    return x +\n\nimport\n\nmodel M:\n    w = 1\n\ntype T = A\n\n" + FN + "    (\n"
    assert [where(d)[:2] for d in errors(text)] == [
        ("E0110", 2), ("E0110", 4), ("E0110", 7), ("E0104", 12),
    ]  # fmt: skip


def test_a_lexical_error_hides_no_other_item() -> None:
    text = 'import nn $\nimport loss +\nfn f():\n    return "x\n'
    assert [d.code for d in errors(text)] == ["E0107", "E0110", "E0108"]


def test_errors_are_in_order_and_at_most_twenty() -> None:
    found = errors("import +\nfn f(?): x\n" * 30)
    assert len(found) == 20
    lines = [where(d)[1] for d in found]
    assert lines == sorted(lines)


def test_only_the_first_tab_is_reported() -> None:
    assert [d.code for d in errors(FN + "\tx\n\ty\n\tif\tz:\n\t\tz\n")] == ["E0101"]


def test_an_error_in_one_item_leaves_no_trace_in_the_next() -> None:
    (found,) = errors(FN + "    x[?k] = +\n" + FN + "    return x\n")
    assert found.code == "E0110"


@pytest.mark.parametrize(
    "text",
    ["", "\n", "# c", "\ufeff", "  \n\t\n", "import nn", "\r\n\r\nimport nn\r\n", "   # c\n"],
)
def test_sources_without_errors(text: str) -> None:
    parse(SourceFile("t", text))


def edited(text: str, found: Diagnostic) -> str:
    for remedy in found.helps:
        for edit in sorted(remedy.edits, key=lambda e: -e.span.start):
            text = text[: edit.span.start] + edit.text + text[edit.span.end :]
        if remedy.edits:
            break
    return text


def has_edit(case: tuple[str, str, int, int, str]) -> bool:
    return any(remedy.edits for remedy in one(case[0]).helps)


@pytest.mark.parametrize("case", list(filter(has_edit, CASES)), ids=lambda c: c[0][-30:].strip())
def test_an_edit_that_is_offered_cures_its_error(case: tuple[str, str, int, int, str]) -> None:
    text = case[0]
    found = one(text)
    try:
        parse(SourceFile("t.dl", edited(text, found)))
    except CompileError as again:
        first = again.diagnostics[0]
        assert where(first) != where(found), first.message
