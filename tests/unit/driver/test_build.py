"""A lowered program becomes an artefact: stages, dumps, weights inside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import dlc
from dlc.artifact.python.net import Net
from dlc.diag import CompileError
from dlc.driver.build import Program, build
from dlc.driver.options import Options
from dlc.driver.stages import STAGES, Clock
from dlc.ir.reader import read_module
from dlc.targets.cpu.llvm import symbols
from dlc.typesys.dims import Dim
from dlc.typesys.interface import DimInfo, EntryInfo, Fixed, Interface
from tests.unit.artifact.programs import PLACE
from tests.unit.artifact.zoo import ENTRIES, INTERFACE, MODULE, SET

F = np.float32
TEXT = """
fn @linear(%w: f32[3, 2], %b: f32[3], %x: f32[2]) -> (f32[3]) {entry=true, public=true} {
  %y = contract %w, %x {spec="ij,j->i"} : f32[3]
  %z = add %y, %b : f32[3]
  return %z
}
"""


def bound() -> Program:
    """`linear` of the zoo with its dims bound to 3 and 2."""
    m = read_module(TEXT)
    dims = (DimInfo("m.O", Fixed(3), PLACE), DimInfo("m.I", Fixed(2), PLACE))
    e: EntryInfo = replace(ENTRIES[0], dims=dims)
    s = replace(SET, init=None, fixed=(("m.O", 3), ("m.I", 2)))
    weights = {"w": np.arange(6, dtype=F).reshape(3, 2), "b": np.ones(3, F)}
    return Program("linear", m, replace(INTERFACE, entries=(e,), parameter_sets=(s,)), weights)


def test_the_weights_may_be_inside() -> None:
    made = build(bound(), Options(weights_mode="embed", level=1))
    assert "weights" not in made.artifact.contents
    assert symbols(made.artifact.contents["object"]).undefined == ()
    net = Net(made.artifact)
    assert net.linear(np.array([1, 1], F)).tolist() == [2, 6, 10]
    net.params.m.b = np.zeros(3, F)
    assert net.linear(np.array([1, 1], F)).tolist() == [1, 5, 9]
    blob = build(bound(), Options(level=1))
    assert Net(blob.artifact).linear(np.array([1, 1], F)).tolist() == [2, 6, 10]


def test_nothing_to_embed() -> None:
    with pytest.raises(CompileError) as caught:
        build(replace(bound(), weights=None), Options(weights_mode="embed", level=0))
    assert caught.value.diagnostics[0].code == "E0616"


def test_weights_that_contradict_what_is_bound() -> None:
    wrong = {"w": np.zeros((3, 5), F), "b": np.zeros(3, F)}
    with pytest.raises(CompileError, match=r"axis 1 of `m\.w` is 5, but m\.I is 2"):
        build(replace(bound(), weights=wrong), Options(level=0))


def test_a_static_program_has_plain_functions() -> None:
    text = build(bound(), Options(level=0)).artifact.contents["header"].decode()
    assert "#define NET_LINEAR_X_ELEMENTS 2" in text
    assert "#define NET_LINEAR_ARENA_BYTES " in text
    assert "net_linear_fixed(const net_model *model, const float *x, float *result, void" in text


def test_every_stage_is_timed_and_can_be_seen() -> None:
    clock = Clock([*STAGES, "fold"])
    made = build(bound(), Options(dump=(*STAGES, "fold"), verify=True), clock)
    assert sorted(made.dumps) == sorted([*STAGES, "fold"])
    assert [t.name for t in made.times] == [
        "simplify", "autodiff", "optimise", "bufferise", "need", "emit", "object",
    ]  # fmt: skip
    assert "inline" in [t.name for t in made.times[0].inside]
    assert read_module(made.dumps["lower"])
    assert "net_linear:" in made.dumps["asm"]


@pytest.mark.parametrize("options", [{}, {"debug": True}, {"poison": True}, {"prefix": "abc"}])
def test_options(options: dict[str, Any]) -> None:
    made = build(bound(), Options(level=1, **options))
    assert Net(made.artifact).linear(np.array([1, 1], F)).tolist() == [2, 6, 10]
    for s in symbols(made.artifact.contents["object"]).defined:
        assert s.startswith(options.get("prefix", "net") + "_")


@pytest.mark.parametrize("triple", ["aarch64-unknown-linux-gnu", "wasm32", "thumbv7em-none-eabi"])
def test_other_machines(triple: str) -> None:
    # Lists need a product of 128 bits, which wasm does not have.
    program = bound() if triple == "wasm32" else Program("zoo", MODULE, INTERFACE)
    made = build(program, Options(triple=triple, level=1))
    assert set(symbols(made.artifact.contents["object"]).defined) == set(made.artifact.api.symbols)


def test_dims_bound_to_numbers_are_constants() -> None:
    e = next(x for x in ENTRIES if x.name == "quarter")
    m = read_module("""
    fn @quarter(%x: f32[8], %y: f32[2]) -> (f32[2]) {entry=true, public=true} {
      %zero = const {value=0} : i32
      %a = slice %x, %zero {axis=0, size=dim(2)} : f32[2]
      %b = add %a, %y : f32[2]
      return %b
    }
    """)
    fixed = replace(e, dims=(DimInfo("H", Fixed(2), PLACE),))
    assert fixed.parameters[0].leaves[0].type.shape == (Dim.of("4*H"),)  # type: ignore[union-attr]
    interface = Interface("q", (fixed,), (), (), (), ())
    net = Net(build(Program("q", m, interface), Options(level=1)).artifact)
    assert net.quarter(np.arange(8, dtype=F), np.ones(2, F)).tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"x, axis 0 is 4, not 8 \(4\*H\)"):
        net.quarter(np.arange(4, dtype=F), np.ones(1, F))


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"level": 9}, ValueError, "level is 9: it must be one of 0, 1, 2, 3, 's'"),
        ({"level": True}, ValueError, "level is True"),
        ({"bind": "L=2"}, TypeError, "bind is a mapping"),
        ({"bind": {"L": 2.5}}, TypeError, "bind: L must be a whole number, not float"),
        ({"bind": {3: 3}}, TypeError, "3 is no name of a dim"),
        ({"prefix": "2x"}, ValueError, "prefix '2x' cannot begin C names"),
        ({"prefix": "while"}, ValueError, "no word of C"),
        ({"entries": "f"}, TypeError, r"entries=\['f'\]"),
        ({"weights_mode": "file"}, ValueError, "weights_mode is 'file'"),
        ({"fuel": -1}, ValueError, "fuel is -1"),
        ({"modules": {"m": 3}}, TypeError, "'m' must be a text, not int"),
        ({"target": "gpu"}, CompileError, "E0605: there is no target `gpu`"),
        ({"weights_mode": "embed"}, CompileError, "E0616: there are no weights to compile in"),
    ],
)
def test_arguments_that_cannot_be(
    options: dict[str, Any], kind: type[Exception], said: str
) -> None:
    source = "model M[D]:\n    w: f32[D]\n\nexport fn f(m: M) -> f32[m.D]:\n    return m.w\n"
    with pytest.raises(kind, match=said):
        dlc.compile(source, **options)


def test_embedded_weights_need_their_sizes() -> None:
    program = Program("zoo", MODULE, INTERFACE, weights={"w": np.zeros((3, 2), F)})
    with pytest.raises(CompileError, match=r"E0616: .* fixed sizes: m\.O is not known"):
        build(program, Options(weights_mode="embed"))


def test_small_code_is_smaller_and_computes_the_same() -> None:
    source = (
        "export fn f(x: f32[N], w: f32[N, N]) -> f32[N]:\n"
        "    return softmax(w @ tanh(w @ x)) + sum(exp(x))\n"
    )
    x, w = np.linspace(-1, 1, 7, dtype=F), np.linspace(-1, 1, 49, dtype=F).reshape(7, 7)
    nets = [dlc.compile(source, level=level) for level in (3, "s")]  # type: ignore[arg-type]
    sizes = [len(n.artifact.contents["object"]) for n in nets]
    assert sizes[1] < sizes[0]
    np.testing.assert_allclose(nets[0].f(x, w), nets[1].f(x, w), rtol=1e-6)


def test_sizes_without_a_formula() -> None:
    cube = ", ".join(["N*N*N"] * 6)
    text = f"export fn f(x: f32[N]) -> f32:\n    y = zeros({cube})\n    return sum(y) + sum(x)\n"
    with pytest.raises(CompileError, match="E0636"):
        dlc.compile(text)
    x = np.ones(2, F)
    assert dlc.compile(text, bind={"N": 2}).f(x) == 2
