"""Programs that run by themselves (`--emit exe`) give what the same functions give in Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlc.artifact.python.net import Net
from dlc.artifact.python.structures import Graph, Segs, Sparse
from dlc.artifact.standalone import main_source
from dlc.driver.build import with_roles
from dlc.driver.options import Options
from dlc.driver.python import build

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
F = np.float32

SOURCE = """
from optim import sgd

type Sign = Nothing | Amount(x: f32)
type Tree = Leaf(x: f32) | Node(left: Tree, right: Tree)

model Net[H]:
    w: f32[H]

export fn axpy(a: f32, x: f32[N], y: f32[N]) -> f32[N]:
    return a * x + y

export fn kinds(a: f64, b: i64, c: i16, d: i8, e: u8, f: bool, g: f16[N]) -> (f64, i64, i16, i8,
        u8, bool, f16[N]):
    return a * 2.0, b + i64(1), c, d, e, f, g + g

export fn table(x: i32[N, M]) -> i32[M, N]:
    return x.T

export fn scale(x: mut f32[N], k: f32):
    x *= k

export fn step(n: mut i32) -> i32:
    old = n
    n += 1
    return old

export fn spread(g: Graph, x: f32[g.nodes, D]) -> f32[g.nodes, D]:
    return sum_in(g, at_src(g, x))

export fn sums(s: Segs, x: f32[s.items]) -> f32[s.rows]:
    return sum_segs(s, x)

export fn positive(x: f32[N]) -> i32[?k]:
    return nonzero_indices(x > 0.0)

export fn active(x: f32[N]) -> Sparse[f32, N]:
    return nonzero(relu(x))

export fn mirror(t: Tree) -> Tree:
    match t:
        Leaf(x):
            return Leaf(x)
        Node(left, right):
            return Node(mirror(right), mirror(left))

export fn sized(s: Sign) -> f32:
    match s:
        Nothing:
            return -1.0
        Amount(x):
            return x

export fn running(xs: List[f32]) -> (List[f32], f32):
    out: List[f32] = []
    s = 0.0
    for x in xs:
        s += x
        push(mut out, s)
    return out, s

export fn weighted(xs: List[(i32, f32)]) -> f32:
    s = 0.0
    for n, x in xs:
        s += f32(n) * x
    return s

export fn longer(xs: mut List[i32], x: i32):
    push(mut xs, x)

export fn rows(xs: List[f32[D]], y: f32[D]) -> List[f32[D]]:
    out: List[f32[D]] = []
    for x in xs:
        push(mut out, x + y)
        push(mut out, x)
    return out

export fn upto(n: i32) -> List[i32]:
    out: List[i32] = []
    for i in 0..n:
        push(mut out, i)
    return out

export fn forever(x: f32) -> f32:
    y = x
    while y == y:
        y *= 0.5
    return y

export fn at(x: f32[N], i: i32) -> f32:
    return x[i]

fn fit(m: Net, x: f32[m.H]) -> f32:
    return -dot(m.w, x)

export fn learn(m: mut Net, x: f32[m.H]) -> f32:
    m = sgd(m, grad(fit, wrt=m)(m, x), 1.0)
    return sum(m.w)

export fn weigh(m: Net, x: f32[m.H]) -> f32:
    return dot(m.w, x)
"""
WEIGHTS = {"m.w": np.array([1, 2, 3], F)}


class Made:
    def __init__(self, folder: Path) -> None:
        made = build(SOURCE, weights=WEIGHTS, options=Options(level=1, weights_mode="blob"))
        self.net = Net(made.artifact, params=made.params)
        self.artifact = with_roles(made.artifact, ["exe"], "net").publish(folder / "net")
        self.folder = folder
        self.path = folder / "net"

    def run(self, *args: str, status: int = 0) -> str:
        command = [str(self.path), *args]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout if not status else done.stderr

    def arrays(self, *args: str) -> dict[str, np.ndarray[Any, Any]]:
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        assert self.run(*args, "-o", "out") == ""
        return {p.stem: np.load(p) for p in out.glob("*.npy")}

    def give(self, **arrays: Any) -> list[str]:
        """Arrays as files; the arguments that name them."""
        out: list[str] = []
        for name, x in arrays.items():
            np.save(self.folder / f"{name}.npy", x)
            out.append(f"{name.replace('__', '.')}=@{name}.npy")
        return out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("standalone"))


def test_numbers_and_arrays_as_text(made: Made) -> None:
    assert made.run("axpy", "a=2", "x=1,2,3", "y=10,20,30.5") == "result[3] = 12 24 36.5\n"
    assert made.run("axpy", "a=2", "x=", "y=") == "result[0] =\n"
    assert made.run("axpy", "a=-1e-3", "x=1", "y=0") == "result[1] = -0.00100000005\n"


def test_every_element_type(made: Made) -> None:
    g = np.array([0.5, -32752, 6e-8], np.float16)
    args = ("a=0.1", f"b={2**62}", "c=-32768", "d=-128", "e=255", "f=true", *made.give(g=g))
    text = made.run("kinds", *args)
    assert text.splitlines()[:6] == [
        "result_0 = 0.20000000000000001", f"result_1 = {2**62 + 1}", "result_2 = -32768",
        "result_3 = -128", "result_4 = 255", "result_5 = true",
    ]  # fmt: skip
    out = made.arrays("kinds", *args)
    assert np.array_equal(out["result_6"], g + g) and out["result_5"].dtype == np.bool_
    assert (out["result_0"], out["result_1"].dtype) == (0.2, np.int64)


def test_arrays_of_several_axes(made: Made) -> None:
    x = np.arange(6, dtype=np.int32).reshape(2, 3)
    assert np.array_equal(made.arrays("table", *made.give(x=x))["result"], x.T)
    assert made.run("table", *made.give(x=x)) == "result[3, 2] = 0 3 1 4 2 5\n"
    assert made.arrays("table", *made.give(x=x[:0]))["result"].shape == (3, 0)


def test_what_is_changed_is_delivered(made: Made) -> None:
    assert made.run("scale", "x=1,2", "k=3") == "x[2] = 3 6\n"
    assert made.run("step", "n=4") == "result = 4\nn = 5\n"
    assert made.run("longer", "xs=1,2", "x=9") == "xs.length = 3\nxs.items[3] = 1 2 9\n"
    assert made.run("longer", "xs=", "x=9") == "xs.length = 1\nxs.items[1] = 9\n"


def test_structures(made: Made) -> None:
    x = np.eye(3, dtype=F)
    got = made.arrays("spread", "g.nodes=3", "g.src=0,1", "g.dst=1,2", *made.give(x=x))
    assert np.array_equal(got["result"], made.net.spread(Graph([0, 1], [1, 2], 3), x))
    assert made.run("sums", "s.starts=0,1,1,3", "x=1,2,3") == "result[3] = 1 0 5\n"
    assert np.array_equal(made.net.sums(Segs([1, 0, 2]), np.array([1, 2, 3], F)), [1, 0, 5])
    assert made.run("positive", "x=-1,2,0,3") == "result[2] = 1 3\n"
    want = made.net.active(np.array([-1, 2, 0], F))
    assert isinstance(want, Sparse)
    assert made.run("active", "x=-1,2,0").splitlines() == [
        "result.size = 3", "result.indices[1] = 1", "result.values[1] = 2",
    ]  # fmt: skip


def test_trees_and_lists(made: Made) -> None:
    tree = ("t.tags=0,0,1,0,1", "t.children=0,1,2,3", "t.Leaf_x=1,2,3")
    assert made.run("mirror", *tree).splitlines() == [
        "result.tags[5] = 0 0 0 1 1", "result.children[4] = 1 2 0 3", "result.root = 4",
        "result.Leaf_x[3] = 3 2 1",
    ]  # fmt: skip
    assert made.run("running", "xs=1,2,3").splitlines() == [
        "result_0.length = 3", "result_0.items[3] = 1 3 6", "result_1 = 6",
    ]  # fmt: skip
    xs = np.arange(6, dtype=F).reshape(3, 2)
    got = made.arrays("rows", *made.give(xs=xs), "y=10,20")
    want = made.net.rows(list(xs), np.array([10, 20], F))
    assert np.array_equal(got["result.items"], np.stack(want)) and got["result.length"] == 6


def test_results_of_any_length(made: Made) -> None:
    for n in (0, 1, 1000, 100_000):
        got = made.arrays("upto", f"n={n}")
        assert np.array_equal(got["result.items"], np.arange(n))
    x = np.ones(5000, F)
    assert len(made.arrays("positive", *made.give(x=x))["result"]) == 5000


def test_weights(made: Made) -> None:
    w = ("-w", "net.weights.bin")
    assert made.run("weigh", "x=1,1,1", *w) == "result = 6\n"
    assert made.arrays("learn", "x=1,1,1", *w)["result"] == 9
    assert made.run("weigh", "x=1,1,1", "-w", "out/weights.bin") == "result = 9\n"
    assert "there are no weights" in made.run("weigh", "x=1,1,1", status=2)
    (made.folder / "cut.bin").write_bytes(b"none")
    assert "not one of this program" in made.run("weigh", "x=1", "-w", "cut.bin", status=1)


def test_weights_inside(tmp_path: Path) -> None:
    made = build(SOURCE, weights=WEIGHTS, options=Options(level=0, weights_mode="embed"))
    with_roles(made.artifact, ["exe"], "net").publish(tmp_path / "net")
    for call, want in (("weigh", "result = 6\n"), ("learn", "result = 9\n")) * 2:
        done = subprocess.run(
            [str(tmp_path / "net"), call, "x=1,1,1"], capture_output=True, text=True, check=True
        )
        assert done.stdout == want


def test_matrices_as_text_and_constructors_that_no_node_has(made: Made) -> None:
    np.save(made.folder / "x2.npy", np.array([[1, 2], [3, 4.5]], F))
    graph = ("spread", "g.nodes=2", "g.src=0", "g.dst=1")
    assert made.run(*graph, "x=[[1, 2], [3,4.5]]") == made.run(*graph, "x=@x2.npy")
    assert made.run("at", "x=[1,2]", "i=1") == made.run("at", "x=1,2", "i=1")
    for text, said in (
        ("[[1,2],[3]]", "unequal"), ("[[1,2],3]", "unequal"), ("[1,[2]]", "unequal"),
        ("[[1,2],[3,4]", "`]` is missing"), ("[[1,2]]]", "more behind"), ("[[1 2]]", "commas"),
        ("1,2", "@FILE.npy"), ("[[1,]]", "no number"),
    ):  # fmt: skip
        assert said in made.run(*graph, f"x={text}", status=2)
    assert made.run("sized", "s.tags=2", "s.children=", "s.Amount_x=") == "result = -1\n"
    assert made.run("sized", "s.tags=2", "s.children=") == "result = -1\n"
    assert "too few rows of Amount.x" in made.run("sized", "s.tags=3", "s.children=", status=1)
    assert "is missing: s" in made.run("sized", status=2)
    assert made.run("weighted", "xs.items_0=1,2", "xs.items_1=3,4") == "result = 11\n"


WRONG: list[tuple[Sequence[str], int, str]] = [
    (("nothing",), 2, "no function is called so (--help lists them): nothing"),
    (("axpy", "a=2", "x=1"), 2, "is missing: y"),
    (("weighted", "xs.items_0=1,2"), 2, "is missing: xs.items_1"),
    (("axpy", "a=2", "x=1", "y=1", "z=1"), 2, "nothing is called so: z=1"),
    (("axpy", "a=2", "a=3", "x=1", "y=1"), 2, "given twice: a"),
    (("axpy", "a=two", "x=1", "y=1"), 2, "no number of its type, or out of range: a"),
    (("axpy", "a=1,2", "x=1", "y=1"), 2, "one number is wanted: a"),
    (("axpy", "a=1", "x=1;2", "y=1"), 2, "separated by commas: x"),
    (("axpy", "a=1", "x=1,2", "y=1"), 1, "sizes that do not fit together: y, axis 0"),
    (("axpy", "a=1", "x=@none.npy", "y=1"), 1, "No such file"),
    (("at", "x=1,2", "i=2"), 1, "an index out of range"),
    (("at", "x=1,2", "i=2147483648"), 2, "out of range: i"),
    (("at", "x=1,2", "i=0.5"), 2, "separated by commas: i"),
    (("mirror", "t.tags=0,7", "t.children=", "t.Leaf_x=1"), 1, "a tag that no node may have"),
    (("forever", "x=1", "--fuel", "1000"), 3, "a loop without a bound took too many turns"),
    (("spread", "g.nodes=2", "g.src=0", "g.dst=0,1", "x=@x2.npy"), 2, "not as long as"),
]


@pytest.mark.parametrize(("args", "status", "said"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_said(made: Made, args: Sequence[str], status: int, said: str) -> None:
    np.save(made.folder / "x2.npy", np.ones((2, 2), F))
    assert said in made.run(*args, status=status)


def test_wrong_files(made: Made) -> None:
    np.save(made.folder / "wide.npy", np.ones(3))
    np.save(made.folder / "fortran.npy", np.asfortranarray(np.ones((2, 2), np.int32)))
    np.save(made.folder / "good.npy", np.ones(3, F))
    whole = (made.folder / "good.npy").read_bytes()
    (made.folder / "cut.npy").write_bytes(whole[:-4])
    (made.folder / "short.npy").write_bytes(whole[:20])
    (made.folder / "none.npy").write_bytes(b"no npy file at all")
    for name, said in (
        ("wide", "another type"), ("cut", "cut short"), ("short", "cut short"),
        ("none", "no npy file"),
    ):  # fmt: skip
        assert said in made.run("axpy", "a=1", f"x=@{name}.npy", "y=1", status=1)
    (made.folder / "none.npy").unlink()
    assert "order of Fortran" in made.run("table", "x=@fortran.npy", status=1)


def test_help(made: Made) -> None:
    text = made.run("--help")
    assert "usage: " in text and "--fuel N" in text and "Exit status: 0 fine" in text
    for line in (
        "  t.tags      i32[nodes]: each node's constructor (0 Leaf, 1 Node), parts before wholes",
        "  t.root      the last node; may be left out",
        "  t.Leaf_x    f32[rows]: a row for each `x` of a Leaf; may be left out if there is none",
        "  xs.items_1  f32[rows]: a row for each element\n",
        "VALUE is 2, or 1,2,3, or [[1,2],[3,4]], or @FILE.npy of exactly the type.",
        "  g.src    i32[arcs]: where each arc begins",
    ):
        assert line in text
    assert "  -w FILE      the weights\n" in text
    own = made.run("axpy", "a=1", "--help")
    assert own.startswith("usage: ") and "axpy NAME=VALUE" in own and "t.tags" not in own
    assert "-w FILE" not in own  # it takes no weights
    assert made.run("axpy", "-h") == own
    assert subprocess.run([str(made.path)], capture_output=True, check=False).returncode == 2


def test_the_source_has_no_warning(made: Made, tmp_path: Path) -> None:
    header = made.artifact.contents["header"].decode()
    (tmp_path / "main.c").write_text(main_source(made.artifact.api, header))
    for standard in ("c99", "c11"):
        flags = [f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow"]
        command = ["cc", *flags, "-Werror", "-O1", "-c", "main.c", "-o", "main.o"]
        subprocess.run(command, cwd=tmp_path, check=True)


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
def test_under_valgrind(tmp_path: Path) -> None:
    options = Options(level=1, triple="x86_64-unknown-linux-gnu", cpu="x86-64-v2")
    artifact = build(SOURCE, options=options).artifact
    with_roles(artifact, ["exe"], "net").publish(tmp_path / "net")
    for args in (
        ("mirror", "t.tags=0,0,1", "t.children=0,1", "t.Leaf_x=1,2"), ("upto", "n=900"),
        ("longer", "xs=", "x=9"), ("scale", "x=1,2", "k=3"), ("positive", "x=1,-1"),
    ):  # fmt: skip
        command = ["valgrind", "-q", "--error-exitcode=9", str(tmp_path / "net"), *args]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def test_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlc.cli.app import run

    (tmp_path / "net.dl").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    assert run(["compile", "net.dl", "-o", "build/net", "--emit", "exe", "-O0"]) == 0
    assert os.access(tmp_path / "build" / "net", os.X_OK)
    done = subprocess.run(["build/net", "step", "n=1"], capture_output=True, text=True, check=True)
    assert done.stdout == "result = 1\nn = 2\n"
    manifest = json.loads((tmp_path / "build" / "net.manifest.json").read_text())
    assert [f["role"] for f in manifest["files"].values()] == ["exe"]
