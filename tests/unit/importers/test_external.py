"""Tensor data beside the model: read if they lie below its folder, refused in every other case."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from dlc.diag import CompileError
from dlc.importers.model import import_onnx
from tests.unit.importers.models import info, model, node

DATA = np.arange(4, dtype=np.float32)


def write(folder: Path, **entries: str) -> Path:
    """A model in `folder/model` whose weight lies where the entries say."""
    m = model([node("Add", "x w", "y")], [info("x", [4])], [info("y", [4])], {"w": DATA})
    t = m.graph.initializer[0]
    t.ClearField("raw_data")
    t.data_location = TensorProto.EXTERNAL
    for k, v in entries.items():
        t.external_data.add(key=k, value=v)
    home = folder / "model"
    home.mkdir(exist_ok=True)
    path = home / "m.onnx"
    path.write_bytes(m.SerializeToString())
    return path


def weight(path: Path) -> list[float]:
    (found,) = import_onnx(path).weights.values()
    return found.tolist()


def test_read_at_an_offset_in_a_folder_below(tmp_path: Path) -> None:
    path = write(tmp_path, location="data/w.bin", offset="8", length="16")
    (path.parent / "data").mkdir()
    (path.parent / "data" / "w.bin").write_bytes(b"\xff" * 8 + DATA.tobytes() + b"\xff" * 3)
    assert weight(path) == DATA.tolist()


def _plain(home: Path, name: str = "w.bin") -> None:
    (home / name).write_bytes(DATA.tobytes())


def _parent(home: Path) -> None:
    _plain(home.parent)


def _link(home: Path) -> None:
    _plain(home.parent)
    (home / "w.bin").symlink_to(home.parent / "w.bin")


def _linked_folder(home: Path) -> None:
    (home.parent / "other").mkdir()
    _plain(home.parent / "other")
    (home / "data").symlink_to(home.parent / "other")


def _hard_link(home: Path) -> None:
    _plain(home.parent)
    os.link(home.parent / "w.bin", home / "w.bin")


def _pipe(home: Path) -> None:
    os.mkfifo(home / "w.bin")


def _folder(home: Path) -> None:
    (home / "w.bin").mkdir()


def _nothing(home: Path) -> None:
    return


CASES: dict[str, tuple[dict[str, str], Callable[[Path], None]]] = {
    "parent": ({"location": "../w.bin"}, _parent),
    "parent by way of a folder": ({"location": "a/../../w.bin"}, _parent),
    "absolute": ({"location": "/etc/hostname"}, _nothing),
    "no location": ({}, _nothing),
    "a zero byte": ({"location": "w.bin\0x"}, _plain),
    "backslashes": ({"location": "..\\w.bin"}, _parent),
    "missing": ({"location": "w.bin"}, _nothing),
    "symbolic link": ({"location": "w.bin"}, _link),
    "folder that is a link": ({"location": "data/w.bin"}, _linked_folder),
    "hard link": ({"location": "w.bin"}, _hard_link),
    "named pipe": ({"location": "w.bin"}, _pipe),
    "folder": ({"location": "w.bin"}, _folder),
    "offset below 0": ({"location": "w.bin", "offset": "-4"}, _plain),
    "offset past the end": ({"location": "w.bin", "offset": "4"}, _plain),
    "offset that is no number": ({"location": "w.bin", "offset": "0x0"}, _plain),
    "offset of 40 digits": ({"location": "w.bin", "offset": "9" * 40}, _plain),
    "length of another tensor": ({"location": "w.bin", "length": "12"}, _plain),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(case: str, tmp_path: Path) -> None:
    entries, prepare = CASES[case]
    path = write(tmp_path, **entries)
    prepare(path.parent)
    with pytest.raises(CompileError) as caught:
        import_onnx(path)
    (found,) = caught.value.diagnostics
    assert found.code == "E0703"
    assert str(path) in found.message and found.helps


def test_a_model_that_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.onnx")
    for path in (tmp_path / "m.onnx", tmp_path, tmp_path / "nothing.onnx"):
        with pytest.raises(CompileError) as caught:
            import_onnx(path)
        assert [d.code for d in caught.value.diagnostics] == ["E0901"]
