"""Sources from files and bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlc.diag import CompileError, Diagnostic
from dlc.diag.render import render
from dlc.syntax import MAX_BYTES, decode_source, parse, read_source


def only(caught: pytest.ExceptionInfo[CompileError]) -> Diagnostic:
    (found,) = caught.value.diagnostics
    return found


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as caught:
        read_source(tmp_path / "none.dl", "none.dl")
    assert only(caught).code == "E0901"
    assert only(caught).message == 'cannot read "none.dl": No such file or directory'


@pytest.mark.parametrize("name", [".", "nul\0.dl"])
def test_what_is_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(CompileError) as caught:
        read_source(str(tmp_path) + "/" + name, "f.dl")
    assert only(caught).code == "E0901"


def test_too_large(tmp_path: Path) -> None:
    path = tmp_path / "large.dl"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(CompileError) as caught:
        read_source(path)
    assert only(caught).code == "E0117"
    path.write_bytes(b"#" * MAX_BYTES)
    assert len(read_source(path).text) == MAX_BYTES


def test_not_utf8() -> None:
    with pytest.raises(CompileError) as caught:
        decode_source("t.dl", "# é\n".encode() + b"fn \xff\n")
    found = only(caught)
    assert found.code == "E0118" and found.message == "this is not UTF-8: byte 0xff"
    assert found.primary is not None
    assert (found.primary.span.line, found.primary.span.column) == (2, 4)
    render(found)


def test_cut_utf8_at_the_end() -> None:
    with pytest.raises(CompileError) as caught:
        decode_source("t.dl", "# é".encode()[:-1])
    assert only(caught).code == "E0118"
    render(only(caught))


@pytest.mark.parametrize(
    "data", [b"\xef\xbb\xbfimport nn\r\nimport loss\r\n", b"import nn\nimport loss", b"\n\n"]
)
def test_byte_order_marks_line_ends_and_no_last_line_end(data: bytes) -> None:
    module = parse(decode_source("t.dl", data))
    assert len(module.items) in (0, 2)
    assert [item.span.column for item in module.items] == [2 if data[0] == 0xEF else 1, 1][
        : len(module.items)
    ]


def test_the_name_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "a.dl"
    path.write_text("import nn\n")
    assert read_source(path).name == str(path)
    assert read_source(path, "a.dl").name == "a.dl"
