"""How every command behaves: exit statuses, streams, `--json`, values of every kind."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from dlc.cli import main
from dlc.cli.app import COMMANDS, run

KINDS = """
type T = Leaf(x: f32) | Node(a: T, b: T)
export fn vector(x: f32[N]) -> f32[N]:
    return x
export fn matrix(x: f32[2, N]) -> f32:
    return sum(x)
export fn number(i: i32, k: i8, b: bool) -> i32:
    return i + i32(k) if b else i
export fn half(x: f16[N]) -> f16[N]:
    return x
export fn listed(xs: List[List[i32]]) -> List[List[i32]]:
    return xs
export fn maybe(o: Option[f32[2]]) -> Option[f32[2]]:
    return o
export fn pair(t: (f32, List[i32])) -> f32:
    x, xs = t
    return x + f32(len(xs))
export fn tree(t: T) -> T:
    return t
export fn graph(g: Graph, x: f32[g.nodes]) -> f32[g.nodes]:
    return sum_in(g, at_src(g, x))
export fn rows(s: Segs, x: f32[s.items]) -> f32[s.rows]:
    return sum_segs(s, x)
export fn drawn(k: Key) -> f32:
    return uniform(k)
export fn sparse(x: Sparse[f32, N]) -> f32[N]:
    return dense(x)
export fn endless(n: i32) -> i32:
    i = n
    while i != 0:
        i = i * 3 % 7 + 1
    return i
export fn nothing(x: mut f32[N]):
    x[0] = 1.0
"""


@pytest.fixture
def kinds(tmp_path: Path) -> str:
    path = tmp_path / "kinds.dl"
    path.write_text(KINDS)
    np.save(tmp_path / "v.npy", np.array([1, 2], np.float32))
    np.save(tmp_path / "wide.npy", np.array([1, 2], np.float64))
    np.save(tmp_path / "names.npy", np.array(["a"]))
    np.savez(tmp_path / "g.npz", src=[0, 1], dst=[1, 1])
    np.savez(tmp_path / "g3.npz", src=[0, 1], dst=[1, 1], nodes=3)
    np.savez(tmp_path / "bad.npz", src=[0], dst=[1, 1])
    np.savez(tmp_path / "odd.npz", source=[0], dst=[1])
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00")
    return str(path)


def call(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    status = run(args)
    out, err = capsys.readouterr()
    assert "Traceback" not in err and "Warning" not in err
    return status, out, err


def entry(
    capsys: pytest.CaptureFixture[str], kinds: str, name: str, inputs: str
) -> tuple[int, str, str]:
    """`inputs` are separated by `;`, `@` stands for the test's folder."""
    folder = str(Path(kinds).parent)
    given = [x.replace("@", f"@{folder}/") for x in inputs.split(";") if x]
    args = [a for x in given for a in ("--in", x)]
    return call(capsys, "run", kinds, "--entry", name, "--target", "evaluate", *args)


@pytest.mark.parametrize(
    ("name", "inputs", "said"),
    [
        ("vector", "x=1,2", "[1., 2.]"),
        ("vector", "x=3", "[3.]"),
        ("vector", "x=[]", "[]"),
        ("vector", "x=inf,nan,-1e3", "[   inf,    nan, -1000.]"),
        ("vector", "x=@v.npy", "[1., 2.]"),
        ("vector", "x=@wide.npy", "[1., 2.]"),
        ("matrix", "x=[[1,2],[3,4]]", "10.0"),
        ("number", "i=-7;k=-128;b=true", "-135"),
        ("number", "i=2147483647;k=0;b=false", "2147483647"),
        ("half", "x=0.5,65504", "[5.00e-01, 6.55e+04]"),
        ("listed", "xs=[[1],[],[2,3]]", "[[1], [], [2, 3]]"),
        ("listed", "xs=[]", "[]"),
        ("maybe", "o=None", "None"),
        ("maybe", "o=Some([1,2])", "[1., 2.]"),
        ("maybe", "o=[1,2]", "[1., 2.]"),
        ("pair", "t=[1.5,[1,2]]", "3.5"),
        ("tree", "t=Node(Leaf(1), Leaf(-2.5))", "Node(Leaf(1.0), Leaf(-2.5))"),
        ("graph", "g=@g.npz;x=1,2", "[0., 3.]"),
        ("graph", "g=@g3.npz;x=1,2,3", "[0., 3., 0.]"),
        ("graph", "g=Graph([0],[1]);x=5,2", "[0., 5.]"),
        ("graph", "g=Graph([],[],2);x=5,2", "[0., 0.]"),
        ("graph", "g=graph(2, [0], [1]);x=5,2", "[0., 5.]"),
        ("rows", "s=2,0,1;x=1,2,3", "[3., 0., 3.]"),
        ("rows", "s=segs([2, 0, 1], 3);x=1,2,3", "[3., 0., 3.]"),
        ("rows", "s=[];x=[]", "[]"),
        ("drawn", "k=-1", "0."),
        ("drawn", "k=key(-1)", "0."),
        ("sparse", "x=0,2,0", "[0., 2., 0.]"),
        ("sparse", "x=Sparse([1],[2.5],3)", "[0. , 2.5, 0. ]"),
        ("sparse", "x=sparse([1],[2.5],3)", "[0. , 2.5, 0. ]"),
        ("nothing", "x=5,6", "[1., 6.]"),
    ],
)
def test_values_that_are_taken(
    capsys: pytest.CaptureFixture[str], kinds: str, name: str, inputs: str, said: str
) -> None:
    status, out, err = entry(capsys, kinds, name, inputs)
    assert status == 0, err
    assert out.startswith(said)


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("f32[N, M]", "[[1, nan], [inf, -inf]]"),
        ("f32[N]", "[]"),
        ("f32[N]", ",".join(map(str, range(1500)))),
        ("bool[N]", "true,false"),
        ("f32", "-inf"),
        ("Key", "5"),
        ("Option[Option[i32]]", "Some(None)"),
        ("List[(i32, f32[2])]", "[[1, [2, 0.1]], [3, [4, 5]]]"),
        ("List[Option[T]]", "[None, Node(Leaf(1), Leaf(2.5))]"),
        ("Graph", "Graph([0], [1], 2)"),
        ("Segs", "2,0,1"),
        ("Sparse[f32, N]", "0,2,0"),
        ("Rows[f32, N, 2]", "Rows([1], [[1, 2]], 4)"),
    ],
)
def test_what_is_printed_can_be_given_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, type_: str, text: str
) -> None:
    result = {"Graph": "Graph[x.nodes, x.arcs]", "Segs": "Segs[x.rows, x.items]"}.get(type_, type_)
    path = tmp_path / "same.dl"
    path.write_text(
        "type T = Leaf(x: f32) | Node(a: T, b: T)\n"
        f"export fn same(x: {type_}) -> {result}:\n    return x\n"
    )
    status, first, err = entry(capsys, str(path), "same", f"x={text}")
    assert status == 0 and first, err
    assert entry(capsys, str(path), "same", f"x={first}")[:2] == (0, first)


@pytest.mark.parametrize(
    ("name", "inputs", "said"),
    [
        ("vector", "x=1e50,2", "`x` must be f32: 1e+50 is out of range"),
        ("vector", "x=[[1],[2]]", "`x` must be f32[N]"),
        ("vector", "x=[[1],[2,3]]", "rows of different lengths"),
        ("vector", "x=true", "must be f32, not bool"),
        ("vector", "x=abc", "must be numbers, not `abc`"),
        ("vector", "x=1,,2", "column 3"),
        ("vector", "x=@none.npy", "cannot read"),
        ("vector", "x=@names.npy", "`x`"),
        ("vector", "x=@broken.npy", "`x`"),
        ("vector", "x=@g.npz", "must be one array"),
        ("number", "i=1.5;k=1;b=true", "`i` must be i32"),
        ("number", "i=3000000000;k=1;b=true", "3000000000 is out of range"),
        ("number", "i=1;k=200;b=true", "200 is out of range"),
        ("number", "i=1;k=1;b=2", "`b`"),
        ("half", "x=70000", "out of range"),
        ("listed", "xs=[[1],[2.5]]", "xs[1][0]"),
        ("maybe", "o=Some(1,2)", "Some holds one value, not 2"),
        ("pair", "t=[1.5]", "must be 2 values, not 1"),
        ("tree", "t=Node(Leaf(1))", "has 2 fields, not 1"),
        ("tree", "t=Nod(Leaf(1), Leaf(2))", "did you mean `Node`?"),
        ("tree", "t=Leaf(a)", "T.Leaf.x"),
        ("graph", "g=@bad.npz;x=1,2", "src has 1 arcs, dst has 2"),
        ("graph", "g=@odd.npz;x=1,2", "no src"),
        ("graph", "g=3;x=1", "must be Graph(src, dst, nodes?)"),
        ("graph", "g=graph([0],[1]);x=1", "graph(nodes, src, dst) takes 3 values, not 2"),
        ("rows", "s=-1,2;x=1", "negative"),
        ("rows", "s=segs([1], 2);x=1", "the lengths add up to 1, not 2"),
        ("drawn", "k=1.5", "whole number"),
        ("drawn", "k=99999999999999999999", "64 bits"),
        ("vector", "xx=1", "did you mean `x`?"),
        ("vector", "x=1;x=2", "twice"),
    ],
)
def test_values_that_are_refused(
    capsys: pytest.CaptureFixture[str], kinds: str, name: str, inputs: str, said: str
) -> None:
    status, out, err = entry(capsys, kinds, name, inputs)
    assert (status, out) == (2, ""), (out, err)
    assert said in err


@pytest.mark.parametrize(("name", "inputs"), [("maybe", "o=[1,2,3]"), ("rows", "s=2;x=1")])
def test_sizes_that_do_not_fit(
    capsys: pytest.CaptureFixture[str], kinds: str, name: str, inputs: str
) -> None:
    status, out, err = entry(capsys, kinds, name, inputs)
    assert (status, out) == (1, "") and "error[SHAPE]" in err and "kinds.dl:" in err


# -- exit statuses


def test_a_limit_is_three(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kinds: str
) -> None:
    from dlc.artifact.python.errors import CallError

    def fails(*args: object, **given: object) -> None:
        raise CallError("vector: a loop may not take more turns", status="fuel")

    monkeypatch.setattr("dlc.artifact.python.entry.Entry.__call__", fails)
    status, out, err = entry(capsys, kinds, "vector", "x=1")
    assert (status, out) == (3, "") and "error[FUEL]" in err


def test_a_bug_of_ours_is_seventy(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    kinds: str,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def breaks(*args: object, **given: object) -> None:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr("dlc.cli.program.lowered", breaks)
    status, out, err = entry(capsys, kinds, "vector", "x=1")
    assert (status, out) == (70, "") and "bug" in err


def test_interrupted_is_one_hundred_and_thirty(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kinds: str
) -> None:
    def stop(*args: object, **given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dlc.cli.program.lowered", stop)
    status, out, err = entry(capsys, kinds, "vector", "x=1")
    assert (status, out, err.strip()) == (130, "", "interrupted")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_json_and_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    status, out, err = call(capsys, command, "--help")
    assert (status, err) == (0, "")
    assert "--json" in out and "\t" not in out
    assert call(capsys, command, "--no-such-option")[0] == 2


def test_there_is_no_such_command(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = call(capsys, "complie", "x.dl")
    assert status == 2 and "Did you mean `compile`?" in err


# -- streams


def given(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


@pytest.mark.parametrize(
    "args",
    [
        ("check", "-"),
        ("run", "-", "--entry", "vector", "--in", "x=1", "--target", "evaluate"),
        ("inspect", "-"),
        ("fmt", "-"),
        ("test", "-"),
    ],
)
def test_programs_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    given(monkeypatch, KINDS.encode())
    assert call(capsys, *args)[0] == 0
    given(monkeypatch, b"fn f() -> i32:\n    return x\n")
    if args[0] != "fmt":
        status, _, err = call(capsys, *args)
        assert status == 1 and "<stdin>:2:12" in err
    given(monkeypatch, b"\xff")
    assert call(capsys, *args)[0] == 1


def test_a_program_without_a_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given(monkeypatch, KINDS.encode())
    assert call(capsys, "compile", "-")[0] == 2
    given(monkeypatch, KINDS.encode())
    out = str(tmp_path / "k")
    args = ("--entry", "vector", "--emit", "obj", "-O", "0")
    assert call(capsys, "compile", "-", "-o", out, *args)[0] == 0
    assert (tmp_path / "k.o").exists()


def test_values_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kinds: str
) -> None:
    given(monkeypatch, b"1, 2\n")
    args = ("--entry", "vector", "--target", "evaluate", "--in", "x=@-")
    assert call(capsys, "run", kinds, *args)[:2] == (0, "[1., 2.]\n")


# -- files that are something else


def test_weights_are_listed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    save_file({"m.w": np.ones((2, 3), np.float32)}, tmp_path / "w.safetensors")
    np.savez(tmp_path / "w.npz", a=np.arange(4))
    path = str(tmp_path / "w.safetensors")
    assert call(capsys, "inspect", path)[:2] == (0, "m.w: float32[2, 3]\n")
    _, out, _ = call(capsys, "inspect", path, "--json")
    assert json.loads(out) == {"name": "m.w", "dtype": "float32", "shape": [2, 3]}
    assert call(capsys, "inspect", str(tmp_path / "w.npz"))[:2] == (0, "a: int64[4]\n")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04nothing")
    assert call(capsys, "inspect", str(tmp_path / "bad.npz"))[0] == 1


def test_interrupted_while_modules_are_imported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("dlc.cli.app.run", interrupted)
    with pytest.raises(SystemExit) as e:
        main()
    assert e.value.code == 130 and capsys.readouterr() == ("", "interrupted\n")


def test_opt(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "m.ir"
    path.write_bytes(b"\xff\xfe")
    status, _, err = call(capsys, "opt", str(path))
    assert status == 1 and "is no text in UTF-8 (byte 0)" in err
    path.write_text("fn @f(%x: f32) -> (f32) {entry=true} {\n  return %x\n}\n")
    _, out, _ = call(capsys, "opt", "-p", "fold,dce", str(path), "--json")
    found = json.loads(out)
    assert [p["pass"] for p in found["passes"]] == ["fold", "dce"] and "@f" in found["module"]
    assert call(capsys, "opt", "-p", "nope", str(path))[0] == 2
    assert call(capsys, "opt", "-p", "dce")[0] == 2
    status, out, _ = call(capsys, "opt", "--list", "--json")
    assert status == 0 and {"pass", "line"} == set(json.loads(out.splitlines()[0]))


def test_results_make_their_folder(
    capsys: pytest.CaptureFixture[str], kinds: str, tmp_path: Path
) -> None:
    out = tmp_path / "a" / "b" / "y.npy"
    args = ("--entry", "vector", "--target", "evaluate", "--in", "x=1", "--out", str(out))
    status, said, err = call(capsys, "run", kinds, *args)
    assert (status, said) == (0, "") and f"wrote {out}" in err
    assert np.load(out).tolist() == [1]
    (tmp_path / "file").write_text("")
    args = (*args[:-1], str(tmp_path / "file" / "y.npy"))
    assert call(capsys, "run", kinds, *args)[0] == 1
