"""From a source to a net: binding, weights, texts, entries, depth."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import dlc
from dlc import CompileError
from dlc.driver.stack import deep

F = np.float32
LINEAR = """
model Linear[I, O = 3]:
    w: f32[O, I] ~ glorot()
    b: f32[O]    ~ zeros()

export fn apply(m: Linear, x: f32[m.I]) -> f32[m.O]:
    return m.w @ x + m.b

export fn several[K: const](x: f32) -> f32[K]:
    return fill(x, K)
"""
STACK = """
model Block[W]:
    k: f32[W] ~ ones()

model Net[B: const, W]:
    blocks: Array[Block[W], B]

export fn apply[B: const](m: Net[B], x: f32[m.W]) -> f32[m.W]:
    y = x
    static for b in 0..B:
        y = y * m.blocks[b].k
    return y
"""


def compiled(source: str, **more: object) -> dlc.Net:
    return dlc.compile(source, **{"level": 0, **more})  # type: ignore[arg-type]


def code(caught: pytest.ExceptionInfo[CompileError]) -> str:
    return caught.value.diagnostics[0].code


def test_defaults_bind_dims() -> None:
    net = compiled(LINEAR, entries=["apply"])
    assert net.dims.items() == [("m.O", 3)]
    net.init(0, I=2)
    assert net.apply(np.ones(2, F)).shape == (3,)
    with pytest.raises(TypeError, match="O was bound to 3 when compiling"):
        net.init(0, I=2, O=4)


def test_a_given_number_is_stronger() -> None:
    net = compiled(LINEAR, bind={"m.O": 5, "I": 2}, entries=["apply"])
    assert dict(net.dims.items()) == {"m.O": 5, "m.I": 2}
    assert net.init(0)["w"].shape == (5, 2)
    with pytest.raises(ValueError, match=r"x, axis 0 is 3, not 2 \(m.I\)"):
        net.apply(np.ones(3, F))


def test_weights_bind_dims() -> None:
    weights = {"w": np.arange(8, dtype=F).reshape(4, 2), "b": np.zeros(4, F)}
    net = compiled(LINEAR, weights=weights, entries=["apply"])
    assert dict(net.dims.items()) == {"m.O": 4, "m.I": 2}
    assert net.apply(np.ones(2, F)).tolist() == [1, 5, 9, 13]
    with pytest.raises(CompileError, match=r"m\.O is 7") as caught:
        compiled(LINEAR, weights=weights, bind={"m.O": 7}, entries=["apply"])
    assert code(caught) == "E0912"


def test_weights_bind_const_dims() -> None:
    weights = {f"blocks.{i}.k": np.full(2, i + 1, F) for i in range(3)}
    net = compiled(STACK, weights=weights)
    assert net.apply(np.ones(2, F)).tolist() == [6, 6]
    with pytest.raises(CompileError) as caught:
        compiled(STACK)
    assert code(caught) == "E0601"
    assert compiled(STACK, bind={"B": 1, "W": 2}).init(0)["blocks.k"].shape == (1, 2)


def test_const_dims_by_name() -> None:
    net = compiled(LINEAR, bind={"several.K": 2}, entries=["several"])
    assert net.several(3.0).tolist() == [3, 3]
    assert list(net.entries) == ["several"]


def test_entries() -> None:
    with pytest.raises(CompileError) as caught:
        compiled(LINEAR, entries=["aply"])
    assert code(caught) == "E0618"
    assert "did you mean `apply`?" in caught.value.diagnostics[0].helps[0].text


def test_what_is_no_program(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as caught:
        dlc.compile(tmp_path / "model.safetensors")
    assert code(caught) == "E0617"
    assert "--weights" in caught.value.diagnostics[0].helps[0].text
    with pytest.raises(CompileError) as caught:
        dlc.compile(tmp_path / "model.onnx")
    assert code(caught) == "E0901"
    with pytest.raises(CompileError) as caught:
        dlc.compile(tmp_path / "none.dl")
    assert code(caught) == "E0901"
    with pytest.raises(CompileError) as caught:
        compiled("fn f(:\n\n")
    assert code(caught).startswith("E01")


def test_modules_as_texts() -> None:
    source = "from half import half\n\nexport fn f(x: f32) -> f32:\n    return half(x)\n"
    other = "fn half(x: f32) -> f32:\n    return 0.5 * x\n"
    for target in ("cpu", "evaluate"):
        assert compiled(source, modules={"half": other}, target=target).f(3.0) == 1.5


def test_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "half.dl").write_text("fn half(x: f32) -> f32:\n    return 0.5 * x\n")
    main = tmp_path / "main.dl"
    main.write_text("from half import half\n\nexport fn f(x: f32) -> f32:\n    return half(x)\n")
    net = dlc.load(main, level=0)
    net.save(tmp_path / "out" / "main")
    assert dlc.load(tmp_path / "out" / "main").f(4.0) == 2.0
    assert dlc.load(net) is net and dlc.load(net.artifact).f(2.0) == 1.0
    names = [n for n, _ in net.artifact.manifest.sources]
    assert names[-1] == "main" and "half" in names
    with pytest.raises(TypeError, match="`level` has no effect"):
        dlc.load(tmp_path / "out" / "main", level=0)


def test_deep_sources() -> None:
    nested = "(" * 200 + "x" + ")" * 200
    sums = "x" + " + x" * 200
    for text in (nested, sums):
        net = compiled(f"export fn f(x: f32) -> f32:\n    return {text}\n")
        assert net.f(1.0) in (1.0, 201.0)
    limit = sys.getrecursionlimit()
    assert deep(lambda: sys.getrecursionlimit()) > 10_000
    assert sys.getrecursionlimit() == limit


def test_the_stack_is_deep() -> None:
    def down(n: int) -> int:
        return n if n == 0 else max(map(down, [n - 1]))

    assert deep(lambda: down(8000)) == 0
    with pytest.raises(ZeroDivisionError):
        deep(lambda: 1 // 0)


def test_compiles_in_several_threads() -> None:
    out: dict[int, bytes] = {}

    def work(i: int) -> None:
        out[i] = compiled(LINEAR, entries=["apply"]).artifact.contents["object"]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(out) == 3 and len(set(out.values())) == 1


def test_the_same_bytes_whatever_the_hash_seed(tmp_path: Path) -> None:
    (tmp_path / "linear.dl").write_text(LINEAR)
    program = (
        "import dlc, hashlib, sys\n"
        "net = dlc.compile('linear.dl', level=0, bind={'K': 2})\n"
        "text = net.artifact.manifest.text().encode()\n"
        "data = b''.join(net.artifact.contents.values())\n"
        "print(hashlib.sha256(text + data).hexdigest())\n"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env={"PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }  # fmt: skip
    assert len(seen) == 1


def test_importing_is_cheap() -> None:
    program = "import sys, dlc\nprint([m for m in ('numpy', 'llvmlite') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
