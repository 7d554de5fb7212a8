from __future__ import annotations

import re

from dlc.diag import Diagnostic, Edit, SourceFile, Span, error, warning
from dlc.diag.jsonform import to_json
from dlc.diag.render import MAX_WIDTH, render, render_all

MLP = SourceFile(
    "samples/mlp.dl", "\n" * 11 + "    w: f32[H, 10] ~ glorot()\n\n    y = h @ w\n    return y\n"
)


def place(source: SourceFile, text: str) -> Span:
    start = source.text.index(text)
    return source.span(start, start + len(text))


def matmul() -> Diagnostic:
    found = error("E0302", "cannot multiply these matrices", place(MLP, "@"), "128 rows")
    found = found.with_label(place(MLP, "f32[H, 10]"), "rows of `w`: `H`, which is 128")
    found = found.with_label(place(MLP, "h @").first(), "64 columns")
    found = found.with_note("`a @ b` needs columns of `a` = rows of `b`")
    return found.with_help("did you mean `h2`, which has 128 columns?")


def test_labels_on_two_lines() -> None:
    assert render(matmul()) == (
        "error[E0302]: cannot multiply these matrices\n"
        "  --> samples/mlp.dl:14:11\n"
        "   |\n"
        "12 |     w: f32[H, 10] ~ glorot()\n"
        "   |        ---------- rows of `w`: `H`, which is 128\n"
        "14 |     y = h @ w\n"
        "   |         - ^ 128 rows\n"
        "   |         |\n"
        "   |         64 columns\n"
        "   = note: `a @ b` needs columns of `a` = rows of `b`\n"
        "   = help: did you mean `h2`, which has 128 columns?\n"
    )


def test_colours_only_add_sequences() -> None:
    coloured = render(matmul(), colour=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(matmul())
    assert coloured.count("\x1b[0m") >= coloured.count("\x1b[1;31m")


def test_a_place_of_several_lines() -> None:
    span = place(MLP, "y = h @ w\n    return y")
    assert render(error("E0401", "these", span, "two lines")) == (
        "error[E0401]: these\n"
        "  --> samples/mlp.dl:14:5\n"
        "   |\n"
        "14 |     y = h @ w\n"
        "   |     ^^^^^^^^^\n"
        "15 |     return y\n"
        "   |     ^^^^^^^^ two lines\n"
    )


def test_places_in_two_files_and_far_apart() -> None:
    other = SourceFile("b.dl", "a\n" * 9 + "fn f():\n")
    found = error("E0420", "say so", place(MLP, "w: f32")).with_label(place(other, "fn"), "here")
    found = found.with_label(other.span(0, 1), "and here")
    assert render(found) == (
        "error[E0420]: say so\n"
        "  --> samples/mlp.dl:12:5\n"
        "   |\n"
        "12 |     w: f32[H, 10] ~ glorot()\n"
        "   |     ^^^^^^\n"
        "  ::: b.dl:10:1\n"
        "   |\n"
        " 1 | a\n"
        "   | - and here\n"
        "...\n"
        "10 | fn f():\n"
        "   | -- here\n"
    )


def test_three_labels_on_a_line() -> None:
    source = SourceFile("t", "alpha + beta * gamma\n")
    found = error("E0318", "m", place(source, "+"), "here")
    found = found.with_label(place(source, "alpha"), "f32").with_label(
        place(source, "gamma"), "i32"
    )
    assert render(found).splitlines()[3:] == [
        "1 | alpha + beta * gamma",
        "  | ----- ^        ----- i32",
        "  | |     |",
        "  | |     here",
        "  | f32",
    ]


def test_no_place_and_many_lines_of_notes() -> None:
    found = error("E0901", 'cannot read "x"').with_note("one\ntwo").with_help("do")
    assert render(found) == (
        'error[E0901]: cannot read "x"\n  = note: one\n          two\n  = help: do\n'
    )


def test_tabs_wide_and_control_characters() -> None:
    source = SourceFile("t\x1b[31m", "\té漢 = \x1b\x00 @\n")
    text = render(error("E0107", "bad \x1b", place(source, "@")))
    assert "\x1b" not in text and "\x00" not in text
    shown, carets = text.splitlines()[3:5]
    assert shown == "1 |     é漢 = \ufffd\ufffd @"
    # The wide character takes two columns, so the caret is one further right than the character.
    assert carets.index("^") == shown.index("@") + 1


def test_surrogates_can_be_printed() -> None:
    source = SourceFile("t", "x \ud800 y\n")
    render(error("E0107", "m \ud800", source.span(2, 3))).encode("utf-8")


def test_a_long_line_is_cut_around_the_place() -> None:
    source = SourceFile("t", "a" * 5000 + "@" + "b" * 5000)
    shown, carets = render(error("E0107", "m", place(source, "@"))).splitlines()[3:5]
    assert len(shown) < MAX_WIDTH + 20
    assert shown[carets.index("^")] == "@"
    both = error("E0107", "m", source.span(9000, 9001)).with_label(source.span(0, 9001), "all")
    shown, carets, *_ = render(both).splitlines()[3:]
    assert shown[carets.index("^")] == "b"


def test_the_end_of_a_file() -> None:
    source = SourceFile("t", "x = (")
    assert render(error("E0104", "m", source.span(5, 5))).splitlines()[4] == "  |      ^"


def test_several_are_counted() -> None:
    one, two = error("E0201", "a"), error("E0202", "b")
    assert render_all([one]).endswith("\n1 error\n")
    assert render_all([one, warning("E0402", "w"), two]).endswith("\n2 errors\n")
    assert "error" not in render_all([warning("E0402", "w")])
    assert render_all([]) == ""


def test_json() -> None:
    source = SourceFile("t.dl", "é = sofmax(x)\n")
    span = place(source, "sofmax")
    found = error("E0201", "no `sofmax`", span, "here").with_label(source.span(0, 1), "é")
    found = found.with_note("n").with_help("did you mean `softmax`?", Edit(span, "softmax"))
    made = to_json(found)
    assert made["level"] == "error" and made["code"] == {"code": "E0201"}
    assert made["rendered"] == render(found)
    first, second = made["spans"]  # type: ignore[misc]
    assert first == {
        "file_name": "t.dl",
        "byte_start": 5,
        "byte_end": 11,
        "line_start": 1,
        "line_end": 1,
        "column_start": 5,
        "column_end": 11,
        "is_primary": True,
        "label": "here",
    }
    assert (second["byte_start"], second["byte_end"], second["is_primary"]) == (0, 2, False)
    note, remedy = made["children"]  # type: ignore[misc]
    assert (note["level"], note["message"], note["spans"]) == ("note", "n", [])
    assert remedy["spans"][0]["suggested_replacement"] == "softmax"
