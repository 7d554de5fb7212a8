"""Weights from files: everything that is wrong is said at once, and pickles are refused."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import dlc
from dlc.artifact.python.params import Params
from dlc.artifact.weights.block import BlockLayout, Weight
from dlc.artifact.weights.files import npz_bytes, read_weights, safetensors_bytes
from dlc.artifact.weights.match import match
from dlc.diag import CompileError
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DTYPES
from dlc.typesys.interface import WeightInfo
from tests.unit.artifact.programs import PLACE

F = np.float32


def weight(name: str, shape: str, *, dtype: str = "f32", arrays: tuple[int, ...] = ()) -> Weight:
    set_, *path = name.split(".")
    dims = tuple(Dim.of(d) for d in shape.split())
    return Weight(set_, WeightInfo(tuple(path), DTYPES[dtype], dims, arrays, None, PLACE))


def layout(*weights: Weight) -> BlockLayout:
    names = dict.fromkeys(s for w in weights for d in w.shape for s in d.symbols())
    return BlockLayout(tuple(names), weights)


def codes(caught: pytest.ExceptionInfo[CompileError]) -> list[str]:
    return [d.code for d in caught.value.diagnostics]


LAYOUT = layout(weight("m.w", "5*H H+X"), weight("m.b", "H"), weight("m.cell.u", "X"))


def test_dims_are_solved_over_the_whole_set() -> None:
    given = {"w": np.zeros((15, 5), F), "b": np.zeros(3, F), "cell.u": np.zeros(2, F)}
    assert match(LAYOUT, given, {}).dims == {"H": 3, "X": 2}
    both = layout(weight("m.w", "5*H H+X"), weight("m.v", "2*X"))
    solved = match(both, {"w": np.zeros((15, 5), F), "v": np.zeros(4, F)}, {}).dims
    assert solved == {"H": 3, "X": 2}


def test_missing_and_unexpected() -> None:
    given = {"m.w": np.zeros((15, 5), F), "m.bias": np.zeros(3, F), "extra": np.zeros(1, F)}
    with pytest.raises(CompileError) as caught:
        match(LAYOUT, given, {})
    assert codes(caught) == ["E0910", "E0910", "E0911", "E0911"]
    assert "`m.bias`" in caught.value.diagnostics[0].helps[0].text


def test_a_wrong_file_is_said_in_few_words() -> None:
    names = [f"m.layer{i}.w" for i in range(12)]
    many = layout(*(weight(n, "H") for n in names), weight("a.w", "H"), weight("a.v", "H"))
    given = {f"m.layer{i}.weight": np.zeros(3, F) for i in range(7)}
    given |= {f"m.layer{i}.w2": np.zeros((3, 3), F) for i in range(2)}
    given |= {f"{head}.x": np.zeros(3, F) for head in "zyxwvu"}
    said: list[list[str]] = []
    for order in (1, -1):  # what is said does not depend on the order of the file
        with pytest.raises(CompileError) as caught:
            match(many, dict(list(given.items())[::order]), {})
        said.append([str(d.message) for d in caught.value.diagnostics])
    assert said[0] == said[1]
    assert codes(caught) == ["E0910"] * 6 + ["E0911"] * 8
    assert said[0][4].endswith("(and 7 more of `m`)")
    assert said[0][5] == "no weight of `a`, which has 2: `a.w`, `a.v`, …"
    assert "nor 4 more that begin with `m.`" in said[0][10]
    assert said[0][13].endswith("`w.x`, nor 3 others")
    guesses = [d.helps[0].text for d in caught.value.diagnostics]
    assert guesses[0] == "is it the one that is called `m.layer0.weight`?"
    assert guesses[6:8] == ["leave it out of the file", "is it `m.layer0.w`?"]  # two axes, one


def test_a_name_is_guessed_where_the_shape_fits() -> None:
    given = {"m.w": np.zeros((15, 5), F), "m.b2": np.zeros(4, F), "m.cell.u": np.zeros(2, F)}
    with pytest.raises(CompileError) as caught:
        match(LAYOUT, given, {})
    assert codes(caught) == ["E0910", "E0911"]
    assert [d.helps[0].text for d in caught.value.diagnostics] == [
        "add it to the file, or draw all weights: net.init(seed)",
        "leave it out of the file",
    ]


def test_misshapen() -> None:
    given = {"w": np.zeros((15, 5), F), "b": np.zeros(4, F), "cell.u": np.zeros((2, 2), F)}
    with pytest.raises(CompileError) as caught:
        match(LAYOUT, given, {})
    assert codes(caught) == ["E0912", "E0912", "E0912"] or codes(caught) == ["E0912", "E0912"]
    said = " ".join(d.message for d in caught.value.diagnostics)
    assert "`m.cell.u` must have the shape [X]" in said
    assert "axis 0 of `m.w` is 15, but 5*H is 20" in said
    notes = [n for d in caught.value.diagnostics for n in d.notes]
    assert "H = 4 by axis 0 of `m.b`" in notes


def test_a_size_that_no_number_makes() -> None:
    with pytest.raises(CompileError, match=r"axis 0 of `m.w` is 7, which no H makes 5\*H"):
        match(layout(weight("m.w", "5*H")), {"w": np.zeros(7, F)}, {})


def test_a_bound_dim_is_compared() -> None:
    with pytest.raises(CompileError, match=r"axis 0 of `m\.b` is 3, but H is 4") as caught:
        match(layout(weight("m.b", "H")), {"b": np.zeros(3, F)}, {"H": 4})
    assert caught.value.diagnostics[0].notes == ("H = 4 was bound before",)


def test_wrong_element_type() -> None:
    with pytest.raises(CompileError) as caught:
        match(layout(weight("m.b", "H")), {"b": np.zeros(3)}, {})
    assert codes(caught) == ["E0913"]


def test_the_prefix_is_needed_with_two_sets() -> None:
    two = layout(weight("g.w", "N"), weight("d.w", "K"))
    with pytest.raises(CompileError) as caught:
        match(two, {"w": np.zeros(2, F)}, {})
    assert codes(caught) == ["E0910", "E0910", "E0911"]
    assert match(two, {"g.w": np.zeros(2, F), "d.w": np.zeros(3, F)}, {}).dims == {"N": 2, "K": 3}


def test_models_of_an_array_may_stand_alone() -> None:
    stacked = layout(weight("m.blocks.k", "B W", arrays=(1,)))
    one_by_one = {f"blocks.{i}.k": np.full(2, i, F) for i in (1, 0, 2)}
    found = match(stacked, one_by_one, {})
    assert found.dims == {"B": 3, "W": 2}
    assert found.arrays[0][:, 0].tolist() == [0, 1, 2]
    assert match(stacked, {"m.blocks.k": np.zeros((3, 2), F)}, {}).dims == {"B": 3, "W": 2}
    del one_by_one["blocks.1.k"]
    with pytest.raises(CompileError, match="number 1 is missing"):
        match(stacked, one_by_one, {})


# -- files

ARRAYS = {
    "a": np.arange(6, dtype=F).reshape(2, 3),
    "b": np.array([True, False]),
    "c": np.array([1, 2], ml_dtypes.bfloat16),
    "d": np.array(3, np.int64),
    "e": np.empty((0, 4), np.float16),
}


def test_safetensors_round_trip(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(safetensors_bytes(ARRAYS))
    found = read_weights(tmp_path / "w.safetensors")
    assert sorted(found) == sorted(ARRAYS)
    for name, x in ARRAYS.items():
        assert found[name].dtype == x.dtype and found[name].shape == x.shape
        assert found[name].tobytes() == x.tobytes()


def test_headers_of_every_length(tmp_path: Path) -> None:
    """A header of 128 bytes begins with the byte that pickles begin with."""
    first: set[int] = set()
    for n in range(1, 260, 8):
        path = tmp_path / "w.safetensors"
        path.write_bytes(safetensors_bytes({"w" * n: np.ones(2, np.float32)}))
        first.add(path.read_bytes()[0])
        assert list(read_weights(path)) == ["w" * n]
    assert 0x80 in first


def test_npz_round_trip(tmp_path: Path) -> None:
    (tmp_path / "w.npz").write_bytes(npz_bytes(ARRAYS))
    found = read_weights(tmp_path / "w.npz")
    assert all(found[n].tobytes() == x.tobytes() for n, x in ARRAYS.items())
    assert all(found[n].shape == x.shape for n, x in ARRAYS.items())
    bf16 = layout(weight("m.c", "N", dtype="bf16"))
    made = Params.matched(bf16, {"c": found["c"]}, {})
    assert made["m.c"].tolist() == [1, 2]


def test_a_mapping_of_anything_like_an_array() -> None:
    class Tensor:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            return np.zeros(2, F)

    assert read_weights({"x": Tensor(), "y": [1.0, 2.0]})["x"].shape == (2,)
    with pytest.raises(CompileError, match="`x` is no array"):
        read_weights({"x": object()})


class _Bomb:
    def __reduce__(self) -> object:
        raise AssertionError("a pickle was opened")


def test_pickles_are_refused(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as z:
        z.writestr("archive/data.pkl", b"x")
    objects = io.BytesIO()
    np.savez(objects, x=np.array([{}], object), allow_pickle=True)
    files = {
        "model.pt": archive.getvalue(),
        "model.bin": pickle.dumps({"w": 1}),
        "objects.npz": objects.getvalue(),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CompileError) as caught:
            read_weights(tmp_path / name)
        assert codes(caught) == ["E0914"], name
        assert "safetensors" in caught.value.diagnostics[0].helps[0].text


def test_files_that_are_not_written(tmp_path: Path) -> None:
    net = dlc.compile("export fn f(x: f32) -> f32:\n    return x\n", "evaluate")
    for name in ("x.pt", "x.ckpt", "x.NPY"):
        with pytest.raises(CompileError, match=r"write the weights as .*x\.safetensors") as caught:
            net.save(tmp_path / name)
        assert codes(caught) == ["E0917"]
    assert not list(tmp_path.iterdir())


def test_malformed_files(tmp_path: Path) -> None:
    whole = safetensors_bytes(ARRAYS)
    zipped = npz_bytes(ARRAYS)
    rng = np.random.default_rng(5)
    broken = [b"", b"abc", struct.pack("<Q", 1 << 60), whole[:40], zipped[:100], zipped[:-30]]
    for data in (whole, zipped):
        for _ in range(60):
            bad = bytearray(data)
            for at in rng.integers(0, len(bad), 3):
                bad[at] = int(rng.integers(256))
            broken.append(bytes(bad))
    for data in broken:
        (tmp_path / "w.safetensors").write_bytes(data)
        try:
            read_weights(tmp_path / "w.safetensors")
        except CompileError as e:
            assert {d.code for d in e.diagnostics} <= {"E0914", "E0915"}


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as caught:
        read_weights(tmp_path / "none.safetensors")
    assert codes(caught) == ["E0901"]


# -- the block


def test_the_block_tells_its_dims() -> None:
    env = {"H": 3, "X": 2}
    block = LAYOUT.format(env)
    assert block.ctypes.data % 64 == 0 and block.nbytes % 64 == 0
    views = LAYOUT.views(block, env)
    assert [v.shape for v in views] == [(15, 5), (3,), (2,)]
    assert all(v.ctypes.data % 64 == 0 for v in views)
    assert LAYOUT.read_dims(block) == env
    assert Params(LAYOUT, block, env)["cell.u"].shape == (2,)


def test_a_block_that_is_none_is_refused() -> None:
    block = LAYOUT.format({"H": 3, "X": 2})
    other = layout(weight("m.w", "H")).format({"H": 3})
    for bad in (block[:64], block[:-64], other, np.zeros(256, np.uint8)):
        with pytest.raises(ValueError):
            LAYOUT.read_dims(bad)
    for at in (*range(0, 32, 4), *range(64, 104, 4)):  # all of the header that says something
        bad = block.copy()
        bad[at] ^= 0xFF
        with pytest.raises(ValueError):
            LAYOUT.read_dims(bad)
