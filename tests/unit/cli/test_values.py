from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlc.cli.values import ValueTextError, parse_value, read_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-1.5e3", -1500.0),
        ("true", True),
        ("1,2,3", [1, 2, 3]),
        ("1,", [1]),
        ("[]", []),
        ("[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
        ("Leaf(3)", ("Leaf", 3)),
        ("None", ("None",)),
        ("Node(Leaf(1), Leaf(2))", ("Node", ("Leaf", 1), ("Leaf", 2))),
        ("Rose(1.5, [Rose(2, [])])", ("Rose", 1.5, [("Rose", 2, [])])),
        ("inf, nan", [float("inf"), pytest.approx(float("nan"), nan_ok=True)]),
    ],
)
def test_values(text: str, value: object) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1),
        ("1 2", 3),
        ("(1)", 1),
        ("[1, 2", 1),
        ("1)", 2),
        ("[1,,2]", 4),
        ("a#", 2),
        ("f(1,)", 5),
    ],
)
def test_what_is_no_value(text: str, column: int) -> None:
    with pytest.raises(ValueTextError) as e:
        parse_value(text)
    assert e.value.column == column


def test_a_bracket_that_closes_another_names_the_open_one() -> None:
    with pytest.raises(ValueTextError, match=r"`\)` is missing before this: `Pair\(` .* column 6"):
        parse_value("Obj([Pair(1])")
    with pytest.raises(ValueTextError, match=r"`\]` is missing before this: `\[` .* column 1"):
        parse_value("[1)")
    with pytest.raises(ValueTextError, match=r"`\]` closes nothing"):
        parse_value("1]")


def test_a_deep_value() -> None:
    n = 100_000
    v = parse_value("Node(" * n + "Leaf(1)" + ", Leaf(2))" * n)
    depth = 0
    while v[0] == "Node":
        v, depth = v[1], depth + 1
    assert depth == n


def test_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(6).reshape(2, 3))
    assert read_value(f"@{tmp_path / 'a.npy'}").shape == (2, 3)
    np.savez(tmp_path / "g.npz", src=[0, 1], dst=[1, 0])
    assert set(read_value(f"@{tmp_path / 'g.npz'}")) == {"src", "dst"}
    (tmp_path / "t.txt").write_text("Node(Leaf(1), Leaf(2))\n")
    assert read_value(f"@{tmp_path / 't.txt'}")[0] == "Node"
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueTextError):
        read_value(f"@{tmp_path / 'o.npy'}")
