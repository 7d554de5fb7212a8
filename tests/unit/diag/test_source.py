from __future__ import annotations

from dlc.diag import SourceFile

TEXT = "ab\r\n\n  cd\nlast"
SOURCE = SourceFile("t.dl", TEXT)


def test_positions_of_every_offset() -> None:
    line, column = 1, 1
    for offset, char in enumerate(TEXT):
        assert SOURCE.position(offset) == (line, column)
        line, column = (line + 1, 1) if char == "\n" else (line, column + 1)
    assert SOURCE.position(len(TEXT)) == (4, 5)
    assert SOURCE.position(10**6) == (4, 5)
    assert SOURCE.position(-1) == (1, 1)


def test_lines() -> None:
    assert SOURCE.line_count == 4
    assert [SOURCE.line_text(n) for n in range(1, 5)] == ["ab", "", "  cd", "last"]
    assert [TEXT[SOURCE.line_start(n)] for n in (1, 2, 3, 4)] == ["a", "\n", " ", "l"]


def test_spans() -> None:
    a, b = SOURCE.span(7, 9), SOURCE.span(10, 14)
    assert (a.text, a.line, a.column, a.end_line) == ("cd", 3, 3, 3)
    whole = a.to(b)
    assert (whole.text, whole.line, whole.end_line) == ("cd\nlast", 3, 4)
    assert b.to(a) == whole
    assert str(b) == "t.dl:4:1"
    assert b.first().text == "l"
    assert SOURCE.span(3, 3).first().text == ""


def test_an_empty_source_has_one_line() -> None:
    empty = SourceFile("e", "")
    assert empty.line_count == 1
    assert empty.position(0) == (1, 1)
    assert empty.line_text(1) == ""
