"""Running: arguments in, results out, recursion, heap, traps that change nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.diag import CompileError
from dlc.isa import program as p
from dlc.isa.builder import Label, ProgramBuilder
from dlc.isa.layout import S
from dlc.isa.machine import Engine, Machine
from dlc.isa.project import load_isa
from dlc.isa.reference import ReferenceMachine
from dlc.isa.state import memory_bytes

ENGINES: tuple[Engine, ...] = ("fast", "reference")


def tree_sum(stack_words: int = 64) -> p.Program:
    """Sum of the leaves of a binary tree in DRAM: nodes are (left, right, value), -1 for no
    child; recursion by call and ret."""
    b = ProgramBuilder(load_isa())
    b.heap_bytes, b.stack_bytes = 1 << 16, 8 * stack_words
    nodes = p.Port("nodes", "i64", ("N", "3"), p.Given(10))
    root = p.Port("root", "i64", (), p.InRegister("r", 1))
    total = p.Port("total", "i64", (), p.InRegister("r", 2))
    b.entry(p.Entry("total", 0, (p.Dim("N", 11),), (nodes, root), (total,)))
    with b.function("main"):
        b.emit("call", to=Label("walk"))
        b.emit("halt")
    with b.function("walk"):
        done = b.label("leaf")
        b.emit("li", d=3, v=24)
        b.emit("mul", d=4, a=1, b=3)
        b.emit("add", d=4, a=4, b=10)
        b.emit("ld", d=5, a=4, k=0)
        b.emit("blt", a=5, b=0, to=done)
        b.emit("enter", n=2)
        b.emit("sts", a=4, k=0)
        b.emit("add", d=1, a=5, b=0)
        b.emit("call", to=Label("walk"))
        b.emit("lds", d=4, k=0)
        b.emit("sts", a=2, k=1)
        b.emit("ld", d=1, a=4, k=8)
        b.emit("call", to=Label("walk"))
        b.emit("lds", d=6, k=1)
        b.emit("add", d=2, a=2, b=6)
        b.emit("leave", n=2)
        b.emit("ret")
        b.place(done)
        b.emit("ld", d=2, a=4, k=16)
        b.emit("ret")
    return b.finish()


def random_tree(leaves: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    nodes: list[list[int]] = [[-1, -1, int(v)] for v in rng.integers(-50, 50, leaves)]
    roots = list(range(leaves))
    while len(roots) > 1:
        i = int(rng.integers(len(roots) - 1))
        nodes.append([roots[i], roots.pop(i + 1), 0])
        roots[i] = len(nodes) - 1
    return np.array(nodes, np.int64), roots[0]


@pytest.mark.parametrize("engine", ENGINES)
def test_recursion(engine: Engine) -> None:
    machine, rng = Machine.load(tree_sum(), engine=engine), np.random.default_rng(0)
    for leaves in (1, 2, 3, 8):
        nodes, root = random_tree(leaves, rng)
        run = machine.run("total", {"nodes": nodes, "root": root})
        assert run.done and run.results["total"] == nodes[nodes[:, 0] < 0, 2].sum()


@pytest.mark.parametrize("engine", ENGINES)
def test_depth_and_cycles_trap(engine: Engine) -> None:
    machine = Machine.load(tree_sum(16), engine=engine)
    comb = np.array([[2 * k + 1, 2 * k + 2, 0] if k < 9 else [-1, -1, 1] for k in range(20)])
    comb[1:19:2] = [-1, -1, 1]
    comb[0:18:2, 0] = np.arange(1, 19, 2)
    comb[0:18:2, 1] = np.arange(2, 20, 2)
    run = machine.run("total", {"nodes": comb, "root": 0})
    assert run.trap == "stack_overflow"
    cycle = np.array([[0, 0, 0]])
    assert machine.run("total", {"nodes": cycle, "root": 0}).trap == "stack_overflow"


def test_a_deep_tree_on_the_fast_machine() -> None:
    machine, n = Machine.load(tree_sum(1 << 20)), 2001
    comb = np.full((n, 3), -1, np.int64)
    comb[:, 2] = 1
    comb[0 : n - 1 : 2, 0] = np.arange(1, n, 2)
    comb[0 : n - 1 : 2, 1] = np.arange(2, n, 2)
    run = machine.run("total", {"nodes": comb, "root": 0})
    assert run.results["total"] == n // 2 + 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_trap_changes_nothing(engine: Engine) -> None:
    machine = Machine.load(tree_sum(), engine=engine)
    nodes, root = random_tree(4, np.random.default_rng(1))
    full = machine.run("total", {"nodes": nodes, "root": root})
    for fuel in range(0, full.fuel, 7):
        bound = machine.bind("total", {"nodes": nodes, "root": root}, fuel)
        status = machine.resume()
        assert machine.isa.traps[status - 1].name == "out_of_fuel"
        before = machine.state.copy()
        assert ReferenceMachine(machine.isa, machine.state, machine.text).step() == status
        for name in ("memory", "r", "T", "W", "Q", "scalars"):
            assert np.array_equal(getattr(before, name), getattr(machine.state, name))
        machine.state.scalars[S.FUEL] += full.fuel - fuel
        assert machine.resume() == 0  # precise: it goes on as if nothing had been
        outcome = machine.outcome(bound, 0, full.fuel)
        assert outcome.fuel == full.fuel and outcome.results["total"] == full.results["total"]
    exact = machine.run("total", {"nodes": nodes, "root": root}, fuel=full.fuel)
    assert exact.done and exact.fuel == full.fuel


def scaled() -> p.Program:
    """`y = 2 x` on a tensor of N rows, in place on `state`, and a result that the program makes."""
    b = ProgramBuilder(load_isa())
    b.heap_bytes = 4096
    state = b.variable("state", "ACC", "f32", (4,), np.ones(4, np.float32))
    x = p.Port("x", "bf16", ("N", "2"), p.Given(2))
    kept = p.Port("state", "f32", ("4",), p.At("ACC", state.address, 16))
    made = p.Port("y", "f32", ("k",), p.Made(7))
    factor = p.Port("factor", "f32", (), p.InRegister("f", 1))
    dims = (p.Dim("N", 5, 100), p.Dim("k", 6, None, True))
    b.entry(p.Entry("scale", 0, dims, (x, kept, factor), (kept, made)))
    with b.function("scale"):
        b.emit("li", d=4, v=2)
        b.emit("mul", d=6, a=5, b=4)
        b.emit("addi", d=8, a=0, v=4)
        b.emit("mul", d=8, a=8, b=6)
        b.emit("alloc", d=7, a=8)
        b.emit("td.at", d=1, a=2, k=b.row(p.Row("DRAM", "bf16", (p.FromRegister(6),))))
        b.emit("td.at", d=2, a=7, k=b.row(p.Row("DRAM", "f32", (p.FromRegister(6),))))
        b.emit("td.const", d=3, k=b.row(p.Row("ACC", "f32", (4,), offset=state.address)))
        b.emit("t.fill", d=2, a=0)
        b.emit("axpy", d=2, a=1, b=1)
        b.emit("axpy", d=3, a=3, b=1)
        b.emit("halt")
    return b.finish()


@pytest.mark.parametrize("engine", ENGINES)
def test_every_kind_of_place(engine: Engine) -> None:
    machine = Machine.load(scaled(), engine=engine)
    x = np.array([[1, 2], [3.5, -4], [0, 1]], np.float32)
    for turn in range(2):  # registers and heap start afresh
        run = machine.run("scale", {"x": x, "state": np.arange(4.0), "factor": 2.0})
        assert run.done, run
        assert np.array_equal(run.results["y"], 2 * x.ravel())
        assert np.array_equal(run.results["state"], 3 * np.arange(4.0)), turn
    assert np.array_equal(machine.read("state"), 3 * np.arange(4.0))
    machine.reset()
    assert np.array_equal(machine.read("state"), np.ones(4))
    machine.write("state", np.full(4, 0.5))
    assert np.array_equal(machine.read("state"), np.full(4, 0.5))


GOOD: dict[str, Any] = {"x": np.zeros((3, 2)), "state": np.zeros(4), "factor": 1.0}


@pytest.mark.parametrize(
    "change, told",
    [
        ({"x": None}, "lacks its argument `x`"),
        ({"x": np.zeros(3)}, "has rank 2"),
        ({"x": np.zeros((3, 3))}, "axis 1 of `x` is `2` = 2, given is 3"),
        ({"x": np.zeros((101, 2))}, "at most 100"),
        ({"x": np.array([["a", "b"]])}, "is bf16, given is <U1"),
        ({"state": np.zeros(5)}, "axis 0 of `state`"),
        ({"z": 1}, "no parameter `z`"),
        ({"N": 4}, "axis 0 of `x` is `N` = 4, given is 3"),
        ({"x": np.zeros((100, 2))}, None),
    ],
)
def test_arguments_that_do_not_fit(change: dict[str, Any], told: str | None) -> None:
    machine = Machine.load(scaled())
    given = {k: v for k, v in (GOOD | change).items() if v is not None}
    if told is None:
        assert machine.run("scale", given).done
        return
    with pytest.raises(CompileError) as caught:
        machine.run("scale", given)
    assert caught.value.diagnostics[0].code == "E0809"
    assert told in caught.value.diagnostics[0].message


def test_unknown_entry_and_symbol() -> None:
    machine = Machine.load(scaled())
    for act in (
        lambda: machine.run("scala"),
        lambda: machine.read("y"),
        lambda: machine.write("state", np.zeros(3)),
    ):
        with pytest.raises(CompileError) as caught:
            act()
        assert caught.value.diagnostics[0].code == "E0809"


def test_patterns_of_matrices_are_never_written() -> None:
    """They were checked at loading; a host that changed them would undo that."""
    b = ProgramBuilder(load_isa())
    row = b.matrix_row(b.matrix(np.eye(3, dtype=np.float32))).row
    b.symbol("rows", "IDX", row, "i32", (3,))
    machine = Machine.load(b.finish())
    assert machine.read("rows").tolist() == [0, 1, 2]
    with pytest.raises(CompileError) as caught:
        machine.write("rows", np.array([7, 8, 9]))
    assert caught.value.diagnostics[0].code == "E0809"


def test_memory_limit() -> None:
    program = scaled()
    need = memory_bytes(load_isa(), program)
    assert Machine.load(program, limit=need)
    with pytest.raises(CompileError) as caught:
        Machine.load(program, limit=need - 1)
    assert caught.value.diagnostics[0].code == "E0808"


def test_integers_that_do_not_fit() -> None:
    b = ProgramBuilder(load_isa())
    b.reserve("SP", 64)
    b.entry(p.Entry("main", 0, (), (p.Port("x", "i8", ("2",), p.At("SP", 0, 2)),)))
    with b.function("main"):
        b.emit("halt")
    machine = Machine.load(b.finish())
    assert machine.run("main", {"x": [127, -128]}).done
    for bad in ([128, 0], [0.5, 0.5]):
        with pytest.raises(CompileError):
            machine.run("main", {"x": bad})


@pytest.mark.parametrize("engine", ENGINES)
def test_user_traps_carry_a_code_and_a_place(engine: Engine) -> None:
    b = ProgramBuilder(load_isa())
    b.entry(p.Entry("main", 0, (), (p.Port("x", "i64", (), p.InRegister("r", 1)),)))
    with b.function("main"):
        b.mark("net.dl", 3, 5)
        b.emit("assert", a=1, v=77)
        b.mark("net.dl", 4, 1)
        b.emit("trap", v=-1)
    machine = Machine.load(b.finish(), engine=engine)
    first, second = machine.run("main", {"x": 0}), machine.run("main", {"x": 1})
    assert (first.trap, first.code, first.word) == ("user", 77, 0)
    assert first.mark is not None and (first.mark.line, first.mark.column) == (3, 5)
    assert (second.trap, second.code, second.word) == ("user", -1, 1)
