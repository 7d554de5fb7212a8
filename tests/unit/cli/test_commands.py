"""The commands on samples: what they print, what they refuse, how they end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dlc.cli.app import run

ROOT = Path(__file__).resolve().parents[3]
TREE = str(ROOT / "samples" / "treelstm.dl")
GRAPHS = str(ROOT / "samples" / "graph_nets.dl")
SIZES = ("--bind", "V=10,D=4,H=3,C=2")
ORACLE = ("--target", "evaluate")
"""Where the back end does not matter: compiling takes longer than the call."""
LOGITS = ("run", TREE, "--entry", "logits", *SIZES, *ORACLE)
KINDS = """
type E = Num(v: f32) | Many(xs: List[E]) | Nothing

export fn mixed(
    o: Option[i32], xs: List[i32], s: Segs, w: f32[s.items], k: Key, b: bool
) -> (f32, List[i32]):
    return sum(w) + normal(k), xs

export fn same(e: E) -> E:
    return e

export fn arcs(g: Graph, x: f32[g.nodes]) -> f32:
    return sum(x)

export fn active(x: Sparse[f32, N]) -> Sparse[f32, N]:
    return x

export fn small(x: f32) -> f32:
    assert x < 1.0, "x is small"
    return x

export fn inc(x: mut f32[N], n: i32):
    x = x + 1.0

test "half":
    assert small(0.5) < 0.7, "half is less"

test "wrong":
    assert small(0.5) > 0.7, "half is more"
"""


@pytest.fixture
def kinds(tmp_path: Path) -> str:
    path = tmp_path / "kinds.dl"
    path.write_text(KINDS)
    return str(path)


def call(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    status = run(args)
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return status, out, err


def test_help_imports_little() -> None:
    code = (
        "import sys; from dlc.cli.app import run; run(['--help']);"
        "print([m for m in ('numpy', 'llvmlite', 'onnx', 'rich', 'lark') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_back_ends_agree(capsys: pytest.CaptureFixture[str]) -> None:
    seen = []
    for target in ("evaluate", "cpu"):
        status, out, _ = call(
            capsys, *LOGITS, "--target", target, "--json", "--in", "t=Node(Leaf(1), Leaf(2))"
        )
        assert status == 0
        seen.append(json.loads(out)["result"])
    assert len(seen[0]) == 2 and np.any(seen[0])
    np.testing.assert_allclose(seen[0], seen[1], rtol=1e-5)


def test_every_kind_of_input(
    capsys: pytest.CaptureFixture[str], kinds: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "w.npy", np.arange(3.0))
    np.savez(tmp_path / "g.npz", src=[0, 1], dst=[1, 2], nodes=4)
    inputs = [f"w=@{tmp_path / 'w.npy'}", "o=None", "xs=[7]", "s=2,0,1", "k=5", "b=false"]
    given = [x for i in inputs for x in ("--in", i)]
    status, out, _ = call(capsys, "run", kinds, "--entry", "mixed", *given, "--json")
    assert status == 0 and json.loads(out)["result.1"] == [7]
    value = "Many([Num(1.5), Nothing, Many([])])"
    status, out, _ = call(capsys, "run", kinds, *ORACLE, "--entry", "same", "--in", f"e={value}")
    assert (status, out.strip()) == (0, value)
    graph = ("--in", f"g=@{tmp_path / 'g.npz'}", "--in", "x=1,2,3,4")
    assert call(capsys, "run", kinds, *ORACLE, "--entry", "arcs", *graph)[:2] == (0, "10.0\n")
    _, out, _ = call(capsys, "run", kinds, *ORACLE, "--entry", "active", "--in", "x=0,2,0")
    assert out.strip() == "Sparse([1], [2.], 3)"
    mutable = ("--in", "x=1,2", "--in", "n=0")
    assert call(capsys, "run", kinds, "--entry", "inc", *mutable)[:2] == (0, "[2., 3.]\n")


def test_results_in_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "y.npy"
    assert call(capsys, *LOGITS, "--in", "t=Leaf(1)", "--out", str(path))[0] == 0
    assert np.load(path).shape == (2,)


def test_statuses_show_their_line(capsys: pytest.CaptureFixture[str], kinds: str) -> None:
    status, _, err = call(capsys, "run", kinds, *ORACLE, "--entry", "small", "--in", "x=2")
    assert status == 1
    assert "error[ASSERT]: small: x is small" in err
    assert 'assert x < 1.0, "x is small"' in err
    status, _, err = call(capsys, *LOGITS, "--in", "t=Leaf(10)")
    assert status == 1 and "error[BOUNDS]" in err and "m.emb[word]" in err
    given = [x for i in ("o=1", "xs=1", "s=2", "w=1", "k=5", "b=true") for x in ("--in", i)]
    status, _, err = call(capsys, "run", kinds, "--entry", "mixed", *given)
    assert status == 1 and "error[SHAPE]: mixed: s" in err and "kinds.dl:" in err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--in", "tt=Leaf(1)"), "did you mean `t`?"),
        (("--in", "tt=Leaf(1)"), "`t` is missing"),
        (("--in", "t=Lea(1)"), "did you mean `Leaf`?"),
        (("--in", "t=Leaf(1, 2)"), "has 1 field, not 2"),
        (("--in", "t=Node(Leaf(1)"), "never closed"),
        (("--in", "t=3"), "must be a Tree"),
        (("--in", "t=@nothing.npy"), "cannot read nothing.npy"),
        (("--in", "m=3", "--in", "t=Leaf(1)"), "`m` is a model"),
        (("--in", "t=Leaf(1)", "--out", "y.png"), "results are written as"),
        (("--bind", "V=x"), "no whole number"),
    ],
)
def test_wrong_inputs(capsys: pytest.CaptureFixture[str], args: tuple[str, ...], said: str) -> None:
    status, out, err = call(capsys, *LOGITS, *args)
    assert (status, out) == (2, "")
    assert said in err


def test_sizes_of_weights_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = call(capsys, "run", TREE, *ORACLE, "--entry", "logits", "--in", "t=Leaf(1)")
    assert status == 2 and "m.V, m.D, m.H, m.C" in err


def test_sizes_of_weights_from_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    """`x: f32[g.nodes, m.F]` shows m.F, so only m.D is asked for; `D` is that of the entry."""
    gat = ("run", GRAPHS, *ORACLE, "--entry", "gat", "--in", "g=Graph([0],[1],2)")
    x = ("--in", "x=[[1,2],[3,4]]")
    status, _, err = call(capsys, *gat, *x)
    assert status == 2 and "not known: m.D;" in err
    status, out, _ = call(capsys, *gat, *x, "--bind", "D=3", "--json")
    assert status == 0 and np.shape(json.loads(out)["result"]) == (2, 3)
    status, _, err = call(capsys, *gat, *x, "--bind", "D=3,F=3")
    assert status == 1 and "x, axis 1 is 2, not 3 (m.F)" in err
    verify = ("verify", GRAPHS, "--target", "cpu", *gat[4:], *x)
    assert call(capsys, *verify)[:2] == (0, "gat: 1 run agrees\n")


def test_check(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call(capsys, "check", TREE)[0] == 0
    bad = tmp_path / "bad.dl"
    bad.write_text("export fn f(x: f32) -> f32:\n    return y\n")
    status, out, _ = call(capsys, "check", TREE, str(bad), "--json")
    assert status == 1
    assert json.loads(out.splitlines()[0])["level"] == "error"
    assert call(capsys, "check", str(tmp_path / "none.dl"))[0] == 1
    open_ = tmp_path / "open.dl"
    open_.write_text("export fn f[K: const](x: f32) -> f32[K]:\n    return fill(x, K)\n")
    status, _, err = call(capsys, "check", str(open_))
    assert status == 0 and err.splitlines()[0].startswith("remark: `K` of `f` must be known")
    assert "--bind f.K=8" in err and err.endswith("no mistakes\n")


def test_test_items(capsys: pytest.CaptureFixture[str], kinds: str) -> None:
    status, out, err = call(capsys, "test", kinds)
    assert status == 1
    assert out.count("FAILED") == 2 and out.count("ok ") == 2
    assert "half is more" in err and "assert small(0.5) > 0.7" in err
    assert call(capsys, "test", kinds, "-k", "half", *ORACLE)[0] == 0


def test_verify_picks_the_sizes_that_nobody_binds(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A const gets a number, and a weight the size that the program demands when it runs."""
    const, sizes = tmp_path / "const.dl", tmp_path / "sizes.dl"
    const.write_text(
        "export fn twice[K: const](x: f32[N]) -> f32[N]:\n"
        "    y = x\n    static for i in 0..K:\n        y = y + y\n    return y\n"
    )
    args = ("--runs", "2", "--target", "cpu")
    status, out, err = call(capsys, "verify", str(const), *args)
    assert (status, out) == (0, "twice: 2 runs agree\n") and "drawn: twice.K = " in err
    assert call(capsys, "verify", str(const), *args, "--bind", "K=5")[2] == ""
    sizes.write_text(
        "model M[D]:\n    a: f32[9] ~ normal(1.0)\n    w: f32[D] ~ normal(1.0)\n\n"
        "export fn f(m: M) -> f32[m.D]:\n    v: f32[m.D] = m.a\n    return v * m.w\n"
    )
    status, out, err = call(capsys, "verify", str(sizes), *args)
    assert (status, out) == (0, "f: 2 runs agree\n") and "f: m.D = 9 from here on" in err


def test_verify(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kinds: str, tmp_path: Path
) -> None:
    assert call(capsys, "verify", TREE, "--entry", "logits", "--runs", "3")[:2] == (
        0,
        "logits: cpu: 3 runs agree\nlogits: sparrow: 3 runs agree\n",
    )
    half = tmp_path / "half.dl"
    half.write_text("export fn f(x: f64) -> f64:\n    return x * 0.5\n")
    status, out, err = call(capsys, "verify", str(half), "--runs", "1")
    assert (status, out) == (0, "f: cpu: 1 run agrees\n")
    assert err == "sparrow: not compared: Sparrow has no f64\n"
    import dlc.cli.comparison as comparison

    def differs(got: object, want: object) -> str:
        return "result: 1 instead of 2"

    monkeypatch.setattr(comparison, "first_difference", differs)
    status, out, _ = call(capsys, "verify", kinds, "--entry", "small", "--runs", "1")
    assert status == 4 and "DIFFERS" in out


def test_compile_and_inspect(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "tree"
    args = ("compile", TREE, "-o", str(out), "--entry", "logits", "-O", "0")
    status, data, _ = call(capsys, *args, "--emit", "obj,header,ir:lower", "--json")
    assert status == 0
    names = sorted(Path(f).name for f in json.loads(data)["files"])
    assert names == ["tree.h", "tree.lower.ir", "tree.manifest.json", "tree.o"]
    assert names == sorted(p.name for p in tmp_path.iterdir())
    status, data, _ = call(capsys, "inspect", f"{out}.o")
    assert status == 0 and "entry logits" in data and "m.emb: f32[m.V, m.D]" in data
    assert call(capsys, "inspect", TREE)[0] == 0
    assert call(capsys, "inspect", str(tmp_path / "none"))[0] == 1


def test_compile_into_a_folder(
    capsys: pytest.CaptureFixture[str], kinds: str, tmp_path: Path
) -> None:
    (tmp_path / "is there ü").mkdir()
    for out in ("is there ü", "new/"):
        given = f"{tmp_path}/{out}"
        args = ("compile", kinds, "-O", "0", "--emit", "ir:lower", "-o", given)
        assert call(capsys, *args)[0] == 0
        assert [p.name for p in Path(given).iterdir()] == ["kinds.lower.ir"]


@pytest.mark.parametrize(
    "args",
    [
        ("--emit", "obje"),
        ("--emit", "ir:none"),
        ("--target", "sparrow", "--emit", "obj"),
        ("--target", "sparrow", "--emit", "llvm"),
        ("--emit", "spw"),
        ("--dense",),
        ("--emit", "wasn"),
        ("--name", "3x"),
        ("--entry", "logit"),
        ("--weights-mode", "embed"),
        ("-o", "-"),
    ],
)
def test_compile_refuses(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, args: tuple[str, ...]
) -> None:
    status, out, err = call(capsys, "compile", TREE, "-o", str(tmp_path / "x"), *args)
    assert (status, out) == (2, "") and "Error: " in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("out", "prefix"), [("tree", "tree"), ("a/t_2.o", "t_2"), ("3x", "net")])
def test_c_names_begin_with_the_files_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, out: str, prefix: str
) -> None:
    source = tmp_path / "half.dl"
    source.write_text("export fn half(x: f32) -> f32:\n    return 0.5 * x\n")
    base = tmp_path / out
    status, _, err = call(capsys, "compile", str(source), "-o", str(base), "-O0")
    assert status == 0 and ("`3x` cannot be" in err) == (prefix == "net")
    assert f"{prefix}_half(" in base.with_suffix(".h").read_text()
    assert call(capsys, "compile", str(source), "-o", str(base), "-O0", "--name", "h")[0] == 0
    assert "h_half(" in base.with_suffix(".h").read_text()


MANY = """
type Tree = Leaf(x: f32) | Node(left: Tree, right: Tree)

export fn until(x: f32) -> List[f32]:
    out: List[f32] = []
    y = x
    while y > 1.0:
        y = y / 2.0
        push(mut out, y)
    return out

export fn counted(n: i32) -> List[f32]:
    out: List[f32] = []
    for i in 0..n:
        push(mut out, f32(i))
    return out

fn halves(x: f32[N]) -> f32:
    if N < 2:
        return sum(x)
    return sum(outer(x, x)) + halves(x[0:N//2])

export fn handed(x: f32[N]) -> f32:
    return halves(x)

export fn same(t: Tree) -> Tree:
    return t
"""


def test_no_bound_has_a_reason(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "many.dl").write_text(MANY)
    base = str(tmp_path / "many")
    status, out, err = call(capsys, "compile", f"{base}.dl", "-o", base, "-O0")
    reason = "a loop that may turn any number of times keeps what its turns make; it is bounded"
    assert (status, out) == (0, "") and f"nothing bounds the arena of `until`: {reason}" in err
    assert "of `handed`: a recursion changes its dims; it is bounded if" in err
    assert "of `same`: a result is a tree" in err and err.count("nothing bounds") == 3
    assert f"needs  arena that nothing bounds: {reason}" in call(capsys, "inspect", base)[1]
    found = json.loads(call(capsys, "inspect", base, "--json")[1])
    assert found["entries"][0]["memory"]["reason"].startswith(reason)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("E0302", "E0302: "),
        ("0302", "E0302: "),
        ("BOUNDS", "BOUNDS: a call ended"),
        ("softmax", "fn softmax[T: float](x: T[*S]) -> T[*S]"),
        ("nn.gru", "from nn import gru"),
        ("Linear", "    model Linear[I, O]:"),
        ("grad", "grad(f, wrt=p)(…)"),
        ("match", "Takes a value of an algebraic type"),
        ("Graph", "`g.nodes` and `g.arcs`"),
        ("true", "The values of `bool`"),
        ("model", "Net[L=4]"),
    ],
)
def test_explain(capsys: pytest.CaptureFixture[str], name: str, said: str) -> None:
    status, out, _ = call(capsys, "explain", name)
    assert status == 0 and said in out
    status, out, _ = call(capsys, "explain", name, "--json")
    assert status == 0 and all(json.loads(line) for line in out.splitlines())


def test_explain_lists_and_suggests(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "explain")
    assert status == 0 and {"nn.gru", "softmax"} < set(out.splitlines())
    assert "E0302  " in out and "BOUNDS  " in out
    assert call(capsys, "explain", "softmx")[::2] == (
        1,
        "`softmx` is no code, no status, no name of the library and no word of the language; "
        "did you mean softmax?\n",
    )
