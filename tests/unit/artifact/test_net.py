"""Every kind of value through native code and through the evaluator, which must agree."""

from __future__ import annotations

import copy
import inspect
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlc.artifact.load import read_artifact
from dlc.artifact.python.arena import Arena
from dlc.artifact.python.errors import (
    ArenaError,
    BoundsError,
    CheckError,
    ShapeError,
    StructureError,
    WeightsError,
)
from dlc.artifact.python.net import Net
from dlc.artifact.python.structures import Graph, Rows, Segs, Sparse
from dlc.diag import CompileError
from dlc.driver.build import Program, build
from dlc.driver.options import Options
from dlc.driver.python import compile
from tests.unit.artifact.zoo import INTERFACE, MODULE

F = np.float32


@pytest.fixture(scope="module")
def artifacts() -> dict[str, Any]:
    made = {}
    for target in ("cpu", "evaluate"):
        options = Options(target=target, verify=True)  # type: ignore[arg-type]
        made[target] = build(Program("zoo", MODULE, INTERFACE), options).artifact
    return made


@pytest.fixture(params=["cpu", "evaluate"])
def net(request: pytest.FixtureRequest, artifacts: dict[str, Any]) -> Net:
    made = Net(artifacts[request.param])
    made.init(7, O=3, I=2)
    return made


def test_weights_are_arrays_over_one_block(net: Net) -> None:
    net.params["m.b"] = np.array([1, 2, 3], F)
    net.params.m.w = np.eye(3, 2, dtype=F)
    assert net.params.m.b is net.params["b"]
    assert net.linear(np.array([5, 7], F)).tolist() == [6, 9, 3]
    assert list(net.params) == ["m.w", "m.b"] and len(net.params) == 2
    assert net.dims.m.O == 3 and net.dims["m.I"] == 2
    assert net.params["m.w"].ctypes.data % 64 == 0


def test_initial_weights_are_the_same_everywhere(artifacts: dict[str, Any]) -> None:
    made = [Net(a).init(7, O=5, I=4).arrays() for a in artifacts.values()]
    assert np.array_equal(made[0]["m.w"], made[1]["m.w"])
    other = Net(artifacts["cpu"]).init(8, O=5, I=4).arrays()
    assert not np.array_equal(made[0]["m.w"], other["m.w"])


def test_training_changes_the_parameters(net: Net) -> None:
    before = net.params["m.w"].copy()
    assert net.train(0.5) == 1.5
    assert np.array_equal(net.params["m.w"], before - F(0.5))


def test_an_array_is_changed_in_place(net: Net) -> None:
    x = np.arange(4, dtype=F)
    assert net.scale(x, 2) is None
    assert x.tolist() == [0, 2, 4, 6]
    n = np.array(4, np.int32)
    assert net.step(n) == 4 and n == 5
    xs = [1, 2]
    net.longer(xs, 9)
    assert xs == [1, 2, 9]


def test_structures(net: Net) -> None:
    s = net.events(np.array([0, 1, -1, 4], F))
    assert isinstance(s, Sparse) and s.size == 4
    assert s.dense().tolist() == [0, 1, 0, 4]
    y = net.inflow(Graph([0, 1], [1, 2], 3), np.eye(3, dtype=F))
    assert y.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert net.inflow(Graph([], [], 0), np.empty((0, 2), F)).shape == (0, 2)
    assert net.rows(Segs([1, 0, 2]), np.array([1, 2, 3], F)).tolist() == [1, 0, 5]


def test_trees_and_lists(net: Net) -> None:
    tree = net.types.Tree
    t = tree.Node(tree.Leaf(1), tree.Node(tree.Leaf(2), right=tree.Leaf(3)))
    assert repr(net.mirror(t)) == "Node(Node(Leaf(3), Leaf(2)), Leaf(1))"
    assert net.mirror(net.mirror(t)) == t != net.mirror(t)
    assert net.mirror(tree.Leaf(7)).word == 7
    assert net.upto(1000) == list(range(1000)) and net.upto(0) == []
    assert net.total([np.ones(2, F)] * 3, np.zeros(2, F)).tolist() == [3, 3]
    assert net.total([], np.zeros(2, F)).tolist() == [0, 0]
    bag = net.types.Bag
    b = bag.Bag([[1.0, 2.0]], [bag.Empty(), bag.Bag([], [])])
    assert net.same(b) == b
    assert net.same(bag.Empty()) == bag.Empty()
    assert net.maybe(None, 2.0) == (None, 2.0) and net.maybe(4.0, 1.0) == (4.0, 4.0)


def test_a_value_may_be_deep(net: Net) -> None:
    tree = net.types.Tree
    depth = 100_000 if net.artifact.manifest.kind == "cpu" else 300
    t = tree.Leaf(0)
    for i in range(depth):
        t = tree.Node(t, tree.Leaf(i))
    again = net.mirror(net.mirror(t))
    assert again == t
    assert len(repr(again)) < 2000


def test_scalars_and_kinds(net: Net) -> None:
    assert net.draw(5, 3).shape == (3,) and net.draw(5, n=0).shape == (0,)
    assert np.array_equal(net.draw(2**64 - 1, 3), net.draw(-1, 3))
    y, n = net.pair((np.ones(2, F), 3), np.array([True, False]))
    assert y.tolist() == [1, 0] and n == 3
    h, d, k = net.kinds(np.ones(2, np.float16), 1.5, 2**40)
    assert (h.dtype, d, k) == (np.float16, 3.0, 2**41)
    assert net.quarter(list(range(8)), [1, 1]).tolist() == [1, 2]


def test_sizes_that_do_not_fit_are_named(net: Net) -> None:
    with pytest.raises(ShapeError, match=r"linear: x, axis 0 is 5, not 2 \(m.I\)"):
        net.linear(np.ones(5, F))
    with pytest.raises(ShapeError, match=r"x, axis 0 is 9, not 8 \(4\*H\)"):
        net.quarter(np.ones(9, F), np.ones(2, F))
    with pytest.raises(ShapeError, match="n is -1, which is no size"):
        net.draw(0, -1)
    with pytest.raises(ValueError, match="`x` must have 1 axis, not the shape"):
        net.scale(np.ones((2, 2), F), 1.0)
    with pytest.raises(ValueError, match="holds arrays of the shapes"):
        net.total([np.ones(2, F), np.ones(3, F)], np.ones(2, F))


@pytest.mark.parametrize("target", ["cpu", "evaluate", "sparrow"])
def test_results_without_a_size(target: str, tmp_path: Path) -> None:
    """What a result lacks is found at its place in the source."""
    path = tmp_path / "p.dl"
    path.write_text("export fn f(x: f32[N]) -> f32[N-4]:\n    return x[4:]\n")
    short = compile(path, target)
    assert short.f(np.ones(5, F)).tolist() == [1] and short.f(np.ones(4, F)).shape == (0,)
    with pytest.raises(ShapeError, match=r"p.dl:2:12"):
        short.f(np.ones(2, F))


def test_wrong_types_are_named(net: Net) -> None:
    with pytest.raises(TypeError, match="`x` must be an array of f32, not of float64"):
        net.linear(np.ones(2))
    with pytest.raises(TypeError, match="changed in place: it must be an array, not list"):
        net.scale([1.0], 2.0)
    frozen = np.ones(2, F)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="`x` is changed in place, but the array is read-only"):
        net.scale(frozen, 2.0)
    with pytest.raises(ValueError, match="not dense"):
        net.scale(np.ones(4, F)[::2], 2.0)
    with pytest.raises(TypeError, match="`t` must be a Tree, not an int"):
        net.mirror(3)
    with pytest.raises(TypeError, match=r"`g` must be a dlc.Graph"):
        net.inflow(([0], [1]), np.ones((2, 2), F))
    with pytest.raises(TypeError, match="`n` must be i32, not float"):
        net.upto(1.5)
    with pytest.raises(ValueError, match="`n` must be i32: 4294967296 is out of range"):
        net.upto(2**32)
    with pytest.raises(TypeError, match="must be a tuple of 2 values"):
        net.pair(3, np.array([True]))


def test_calls_are_checked_like_functions(net: Net) -> None:
    assert str(inspect.signature(net.scale)) == "(x: 'f32[N]', k: 'f32')"
    for args, named, message in (
        ((1, 2), {}, "takes 1 arguments, not 2"),
        ((), {}, "needs `n`"),
        ((), {"m": 1}, "no parameter `m`"),
        ((1,), {"n": 1}, "`n` twice"),
    ):
        with pytest.raises(TypeError, match=message):
            net.upto(*args, **named)
    with pytest.raises(AttributeError, match="no entry `nothing`"):
        _ = net.nothing


def test_failures_of_the_program_have_a_place(net: Net) -> None:
    with pytest.raises(BoundsError) as caught:
        net.within(3)
    assert (caught.value.line, caught.value.column, caught.value.got) == (9, 7, 3)
    with pytest.raises(CheckError, match="x must be 1 at least") as failed:
        net.at_least(0.5)
    assert failed.value.status == "assert" and failed.value.line == 8
    assert str(failed.value).endswith("at zoo.dl:8:3")
    strange = Graph([0], [2], 3)
    strange.dst[0] = 3
    with pytest.raises(BoundsError):
        net.inflow(strange, np.ones((3, 1), F))


def test_too_many_places_of_shared_parts(net: Net) -> None:
    tree = net.types.Tree
    t = tree.Leaf(1)
    for _ in range(60):
        t = tree.Node(t, t)
    with pytest.raises(StructureError, match="more than 2147483647 nodes, shared parts counted"):
        net.mirror(t)


def test_trees_are_copied_as_themselves(net: Net) -> None:
    t = net.types.Tree.Node(net.types.Tree.Leaf(1), net.types.Tree.Leaf(2))
    assert copy.copy(t) is t and copy.deepcopy([t])[0] is t
    with pytest.raises(pickle.PicklingError, match="save this net first"):
        copy.copy(net)


def test_sizes_are_whole_numbers(net: Net) -> None:
    for size in (3.0, True, "3", None):
        with pytest.raises(TypeError, match="init: O must be a whole number"):
            net.init(0, O=size, I=2)  # type: ignore[arg-type]
    with pytest.raises(MemoryError):
        net.init(0, O=2**31 - 1, I=2**31 - 1)
    with pytest.raises(KeyError, match=r"'m\.u: there is m\.w"):
        net.params["m.u"]


def test_a_value_that_contains_itself(net: Net) -> None:
    tree = net.types.Tree
    t = tree.Node(tree.Leaf(1), tree.Leaf(2))
    with pytest.raises(AttributeError, match="never changes"):
        t.left = t
    object.__setattr__(t, "fields", (t, tree.Leaf(2)))
    with pytest.raises(StructureError, match="`t` contains itself"):
        net.mirror(t)


def test_a_shared_part_is_given_twice(net: Net) -> None:
    tree = net.types.Tree
    leaf = tree.Leaf(4)
    assert net.mirror(tree.Node(leaf, leaf)) == tree.Node(leaf, leaf)


def test_without_weights(artifacts: dict[str, Any]) -> None:
    net = Net(artifacts["cpu"])
    with pytest.raises(WeightsError, match="no weights yet"):
        net.linear(np.ones(2, F))
    with pytest.raises(TypeError, match=r"init needs m.I: net.init\(seed, I=…\)"):
        net.init(0, O=3)
    with pytest.raises(TypeError, match=r"Q is none of m\.O, m\.I"):
        net.init(0, Q=3)


def test_parameters_of_another_net(net: Net) -> None:
    other = Net(net.artifact)
    other.load({"w": np.zeros((3, 2), F), "m.b": np.array([1, 2, 3], F)})
    assert net.linear(np.ones(2, F), m=other.params).tolist() == [1, 2, 3]
    assert net.linear(np.ones(2, F), m=other).tolist() == [1, 2, 3]
    with pytest.raises(TypeError, match="`m` must be the parameters of a net"):
        net.linear(np.ones(2, F), m=3)


def test_many_threads_share_one_net(net: Net) -> None:
    tree = net.types.Tree
    want = [net.linear(np.full(2, i, F)).tolist() for i in range(4)]
    wrong: list[object] = []

    def work(i: int) -> None:
        for _ in range(30):
            if net.linear(np.full(2, i, F)).tolist() != want[i]:
                wrong.append(i)
            if net.mirror(tree.Node(tree.Leaf(i), tree.Leaf(0))).right.word != i:
                wrong.append(("tree", i))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


# -- on disk


def test_save_and_load(net: Net, tmp_path: Path) -> None:
    x = np.array([1, 2], F)
    want = net.linear(x)
    net.save(tmp_path / "build" / "zoo")
    again = Net(read_artifact(tmp_path / "build" / "zoo"))
    assert np.array_equal(again.linear(x), want)
    assert np.array_equal(pickle.loads(pickle.dumps(again)).linear(x), want)
    assert Net(read_artifact(tmp_path / "build" / "zoo.manifest.json")).dims.m.O == 3


def test_only_what_is_on_disk_is_pickled(net: Net, tmp_path: Path) -> None:
    with pytest.raises(pickle.PicklingError, match="save this net first"):
        pickle.dumps(net)
    net.save(tmp_path / "zoo")
    data = pickle.dumps(net)
    net.train(0.5)
    with pytest.raises(pickle.PicklingError, match="have changed"):
        pickle.dumps(net)
    net.save(tmp_path / "zoo")
    with pytest.raises(CompileError, match="has changed since"):
        pickle.loads(data)


@pytest.mark.parametrize("name", ["w.safetensors", "w.npz"])
def test_weights_as_a_file(net: Net, tmp_path: Path, name: str) -> None:
    net.save(tmp_path / name)
    other = Net(net.artifact)
    other.load(tmp_path / name)
    assert np.array_equal(other.params["m.w"], net.params["m.w"])
    net.save(tmp_path / f"again.{name}")
    assert (tmp_path / name).read_bytes() == (tmp_path / f"again.{name}").read_bytes()


def test_values_of_structures() -> None:
    with pytest.raises(ValueError, match="src has 1 arcs, dst has 2"):
        Graph([0], [0, 1], 2)
    with pytest.raises(TypeError, match="src must hold whole numbers"):
        Graph([0.5], [0], 2)
    with pytest.raises(ValueError, match="negative"):
        Segs([1, -1])
    with pytest.raises(ValueError, match="2 indices, but values of shape"):
        Sparse([0, 1], np.ones(3, F), 4)
    with pytest.raises(TypeError, match="nodes must be a whole number"):
        Graph([], [], 1.5)  # type: ignore[arg-type]
    for wrong, kind, said in (
        ((3, [0], [1]), TypeError, r"dlc.Graph\(src, dst, nodes\)"),
        (([0], [1], [2]), TypeError, "then a number"),
        (([0, 1], [1, 7], 2), ValueError, r"dst\[1\] is 7, but there are 2 nodes"),
        (([-1], [0], 2), ValueError, r"src\[0\] is -1"),
        (([0], [0], 0), ValueError, "there are 0 nodes"),
    ):
        with pytest.raises(kind, match=said):
            Graph(*wrong)  # type: ignore[arg-type]
    rows = Rows([2, 0], np.ones((2, 3), F), 5)
    assert [i for i, _ in rows] == [2, 0] and len(rows) == 2
    assert Sparse.from_dense(np.array([0, 2, 0], F)).indices.tolist() == [1]
    assert Segs.from_starts([0, 2, 2]).lengths.tolist() == [2, 0]


def test_the_short_way_is_gone_where_it_can_be(artifacts: dict[str, Any]) -> None:
    net = Net(artifacts["cpu"])
    short = {n for n, e in net.entries.items() if e.has_short_way}
    assert short == {"linear", "quarter", "within", "at_least", "kinds"}
    net.init(7, O=3, I=2)
    x = np.arange(4, dtype=F)
    want = net.linear(x[:2].tolist()).tolist()
    for given in (x[:2], x[:2].copy(), np.stack([x, x], 1)[:2, 0]):
        for _ in range(3):
            assert net.linear(given).tolist() == want
    frozen = x[:2].copy()
    frozen.flags.writeable = False
    assert net.linear(frozen).tolist() == want
    assert net.quarter(np.empty(0, F), np.empty(0, F)).shape == (0,)
    with pytest.raises(ValueError, match="out of range"):
        net.within(2**31)
    with pytest.raises(TypeError, match="`i` must be i32, not bool"):
        net.within(True)
    with pytest.raises(ShapeError, match="x, axis 0 is 9"):
        net.quarter(np.ones(9, F), np.ones(2, F))


def test_the_short_way_follows_the_parameters(artifacts: dict[str, Any]) -> None:
    net = Net(artifacts["cpu"])
    for o in (3, 5):
        net.init(7, O=o, I=2)
        for _ in range(3):
            y = net.linear(np.ones(2, F))
        assert y.shape == (o,) and np.allclose(y, net.params["w"].sum(1))


# -- memory


def test_a_call_that_changes_its_argument_is_not_done_twice(
    artifacts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for reserves in (True, False):
        net = Net(artifacts["cpu"])
        with monkeypatch.context() as patch:
            if not reserves:
                patch.setattr(Arena, "reserve", lambda self, most: False)
            x = np.zeros(64, F)
            assert net.pile(x, 5000) == 5000
            assert x.tolist() == [1] * 64
            assert net.pile(x, 3) == 3 and x[0] == 2


def test_memory_has_a_limit(artifacts: dict[str, Any]) -> None:
    net = Net(artifacts["cpu"])
    assert net.memory_limit > 1 << 20
    net.memory_limit = 1 << 22
    assert len(net.upto(100_000)) == 100_000
    with pytest.raises(ArenaError, match="out of memory") as caught:
        net.upto(3_000_000)
    assert isinstance(caught.value, MemoryError)
    with pytest.raises(ArenaError):
        net.pile(np.zeros(64, F), 100_000)
    assert net.upto(3) == [0, 1, 2]


def test_frames_are_returned_after_a_failure(artifacts: dict[str, Any]) -> None:
    net = Net(artifacts["cpu"])
    for _ in range(50):
        with pytest.raises(BoundsError):
            net.within(7)
    assert net.within(2) == 3.0


# -- names


def test_exports_that_are_called_like_something_of_every_net() -> None:
    source = "".join(
        f"export fn {n}(x: f32) -> f32:\n    return x + {i}.0\n"
        for i, n in enumerate(("init", "types", "params", "run", "save", "lock"))
    )
    for target in ("cpu", "evaluate"):
        with pytest.warns(UserWarning) as said:
            net = compile(source, target, level=0)  # type: ignore[arg-type]
        assert [str(w.message).split("`")[1] for w in said] == ["init", "types", "params", "save"]
        assert "net.entries['init']" in str(said[0].message)
        assert [float(e(F(1))) for e in net.entries.values()] == [1, 2, 3, 4, 5, 6]
        assert net.run(1) == 4 and net.lock(1) == 6 and list(net.types) == []
        assert {*net.entries} <= {*dir(net)}
