"""The gates, on the tables beside this test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dlc.diag import CompileError
from dlc.isa.gates import eie_layers, eyeriss_layers, pe_cycle_picojoule, random_mask, run_gate
from dlc.isa.project import load_isa

DATA = Path(__file__).parent / "data"


def test_eyeriss_to_the_cycle() -> None:
    layers = eyeriss_layers(DATA / "eyeriss_v2_pe.json")
    assert [name for name, _, _ in layers] == ["L07", "L13", "L21", "L27"]
    assert all(cycles == published for _, cycles, published in layers)
    report = run_gate("eyeriss2pe", DATA / "eyeriss_v2_pe.json")
    assert report.passed and "L07    1702140           1702140" in report.text()


def test_eie_within_the_means() -> None:
    report = run_gate("eie64", DATA / "eie.json")
    assert report.passed, report.text()
    assert len(report.rows) == 9 and "mean error: theoretical 6." in report.summary[0]


def test_padding_matters_for_vgg() -> None:
    """Without the padding of 4-bit relative rows the sparse layers are far too fast."""
    layers = {e.name: e for e in eie_layers(DATA / "eie.json", seeds=1)}
    vgg = layers["VGG-6"]
    bare = 25088 * 4096 * 0.04 * 0.183 / 64 / 800
    assert (
        bare / vgg.published_theoretical < 0.6 < 0.8 < vgg.theoretical / vgg.published_theoretical
    )


def test_depth_of_queues() -> None:
    report = run_gate("fifo", DATA / "eie.json")
    assert report.passed, report.text()


def test_energy_units() -> None:
    assert run_gate("horowitz45", DATA / "horowitz45.json").passed
    assert abs(pe_cycle_picojoule(load_isa()) - 11.44) <= 0.01 + 1e-9
    published = json.loads((DATA / "eie.json").read_text())["config"]["pe_pj_per_cycle"]
    assert dict(load_isa().quantities["eie_pe"]) == published


def test_a_wrong_number_fails_the_gate(tmp_path: Path) -> None:
    data = json.loads((DATA / "eyeriss_v2_pe.json").read_text())
    data["layers"][1]["cycles"] += 1
    (tmp_path / "x.json").write_text(json.dumps(data))
    report = run_gate("eyeriss2pe", tmp_path / "x.json")
    assert not report.passed and "3 of 4" in report.summary[0]
    assert report.as_json()["rows"][1]["cycles"] == 1144158


def layer(**change: Any) -> dict[str, Any]:
    good = {
        "layer": "A",
        "in_channels": 2,
        "out_channels": 4,
        "positions": 3,
        "active_inputs_by_channel": [3, 1],
        "nonzero_weights_by_channel": [4, 0],
        "cycles": 12,
    }
    return {k: v for k, v in (good | change).items() if v is not None}


def test_small_layers(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(
        json.dumps({"layers": [layer(), layer(active_inputs_by_channel=[0, 0], cycles=0)]})
    )
    assert [c for _, c, _ in eyeriss_layers(path)] == [12, 0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"layers": []}',
        '{"layers": [1]}',
        "[" * 100000,
        json.dumps({"layers": [layer(cycles=None)]}),
        json.dumps({"layers": [layer(active_inputs_by_channel=[4, 1])]}),
        json.dumps({"layers": [layer(nonzero_weights_by_channel=[5, 0])]}),
        json.dumps({"layers": [layer(nonzero_weights_by_channel=[1])]}),
        json.dumps({"layers": [layer(positions=0)]}),
        json.dumps({"layers": [layer(positions=1.5)]}),
        json.dumps({"layers": [layer(in_channels=True)]}),
        json.dumps({"layers": [layer(in_channels=10**400)]}),
        json.dumps({"layers": [layer(positions=float("nan"))]}),
        json.dumps({"layers": [layer(positions=float("inf"))]}),
        json.dumps({"layers": [layer(out_channels=-1)]}),
        json.dumps({"layers": [layer(out_channels="4")]}),
        json.dumps({"layers": [layer(active_inputs_by_channel=[-1, 1])]}),
        json.dumps({"layers": [layer(active_inputs_by_channel="31")]}),
        json.dumps({"layers": {"A": layer()}}),
        json.dumps([layer()]),
        "\x00",
    ],
)
def test_wrong_files(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    for gate in ("eyeriss2pe", "eie64"):
        with pytest.raises(CompileError) as caught:
            run_gate(gate, path)
        assert caught.value.diagnostics[0].code == "E0811"


def per_position(data: dict[str, Any]) -> int:
    """Products of active inputs and their columns' weights, position by position."""
    pairs = zip(data["active_inputs_by_channel"], data["nonzero_weights_by_channel"], strict=True)
    return sum(active * weights for active, weights in pairs)


def test_other_layers_than_the_published(tmp_path: Path) -> None:
    """Layers of any shape, from all zero to dense; none of the numbers comes from a layer."""
    import numpy as np

    rng = np.random.default_rng(9)
    layers: list[dict[str, Any]] = []
    for k, (cin, cout, positions) in enumerate(
        [(1, 1, 1), (7, 13, 31), (129, 5, 3), (64, 512, 17), (3, 2, 4_000_000)]
    ):
        for density in (0.0, 0.3, 1.0):
            active = rng.binomial(positions, density, cin).tolist()
            weights = rng.binomial(cout, density, cin).tolist()
            data = layer(
                layer=f"{k}/{density}", in_channels=cin, out_channels=cout, positions=positions,
                active_inputs_by_channel=active, nonzero_weights_by_channel=weights,
            )  # fmt: skip
            layers.append(data | {"cycles": per_position(data)})
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"layers": layers}), encoding="utf-8-sig")
    report = run_gate("eyeriss2pe", path)
    assert report.passed, report.text()


def test_layers_too_large_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    huge = layer(
        in_channels=8, out_channels=1 << 24, active_inputs_by_channel=[3] * 8,
        nonzero_weights_by_channel=[1 << 24] * 8,
    )  # fmt: skip
    path.write_text(json.dumps({"layers": [huge]}))
    with pytest.raises(CompileError, match="layer A: about"):
        run_gate("eyeriss2pe", path)
    data = json.loads((DATA / "eie.json").read_text())
    data["layers"][0] |= {"inputs": 1 << 24, "outputs": 1 << 24}
    path.write_text(json.dumps(data))
    with pytest.raises(CompileError, match="stored entries, and a gate takes"):
        run_gate("eie64", path)


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as caught:
        run_gate("tpu", DATA / "eie.json")
    assert caught.value.diagnostics[0].code == "E0810"
    with pytest.raises(CompileError) as caught:
        run_gate("eie64", tmp_path / "none.json")
    assert caught.value.diagnostics[0].code == "E0901"


def test_random_masks_have_their_density() -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    for height, width, density in ((100, 50, 0.1), (7, 9, 1.0), (5, 0, 0.5), (1000, 1, 0.001)):
        pointers, rows = random_mask(rng, height, width, density)
        assert len(pointers) == width + 1 and pointers[-1] == len(rows)
        for j in range(width):
            column = rows[pointers[j] : pointers[j + 1]]
            assert (np.diff(column) > 0).all() and (len(column) == 0 or column[-1] < height)
        expected = height * width * density
        assert abs(len(rows) - expected) <= 5 * (expected + 1) ** 0.5
