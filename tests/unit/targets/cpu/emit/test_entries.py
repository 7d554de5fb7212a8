"""The raw entry under wrong and hostile calls: statuses with their place, never a crash."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from dlc.targets.cpu.emit import EmitOptions
from dlc.targets.cpu.emit.context import MAX_DIM, STATUS
from dlc.targets.cpu.llvm import Options
from dlc.targets.cpu.run import CallError, Compiled, ErrorRecord, aligned
from dlc.targets.cpu.values import Flat, encode
from tests.unit.targets.cpu.emit.agreement import main, native
from tests.unit.targets.cpu.emit.test_programs import FOLDER

TREE = """source 0 "tree.dl"
type @Other = Only(x: f32)
type @T[D] = Leaf(k: i32, x: f32[D]) | Node(l: @T[D], kids: List[@T[D], i32], r: @T[D])
fn @size[D](%t: @T[D]) -> (i32) {
  %n = match %t {cases=["Leaf", "Node"]}
    (%k: i32, %x: f32[D]) { yield %k }
    (%l: @T[D], %kids: List[@T[D], i32], %r: @T[D]) {
      %a = call %l {fn="size", dims=[dim(D)]} : i32
      %b = call %r {fn="size", dims=[dim(D)]} : i32
      %c = add %a, %b : i32
      yield %c
    } : i32
  return %n
}
fn @main[D](%t: @T[D]) -> (i32) {entry=true} !0:7:3 {
  %n = call %t {fn="size", dims=[dim(D)]} : i32
  return %n
}
"""


class Raw:
    """A compiled entry, called with a `dlc_value` that is made by hand."""

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        self.schema = compiled.schema
        self.type = next(p.type for p in compiled.bmodule.functions["main"].params)

    def flat(self, value: Any) -> Flat:
        from dlc.evaluate.arguments import Arguments
        from dlc.ir.core import Function, Region, Value

        params = (Value(self.type, "t"),)
        head = Function("main", ("D",), params, (), Region((), ()))
        (v,), _ = Arguments(self.schema.types).convert(head, [value], {})
        return encode(self.schema, self.type, v)

    def __call__(self, flat: Flat, dims: int = 2) -> tuple[str, ErrorRecord, int]:
        library, symbol = self.compiled.library, self.compiled.emitted.entries["main"]
        pointers, size_t = [ctypes.c_void_p] * 4, ctypes.c_int64
        kind = ctypes.CFUNCTYPE(ctypes.c_int32, *pointers, size_t, size_t, ctypes.c_void_p)
        function = kind(library.address(symbol))
        args = (ctypes.c_void_p * 1)(ctypes.addressof(flat.record))
        out = np.zeros(1, np.int32)
        outs = (ctypes.c_void_p * 1)(out.ctypes.data)
        size = np.array([dims], np.int64)
        arena = aligned(1 << 16)
        error = ErrorRecord(size=ctypes.sizeof(ErrorRecord))
        code = function(
            size.ctypes.data, ctypes.addressof(args), ctypes.addressof(outs), arena.ctypes.data,
            arena.nbytes, 0, ctypes.addressof(error),
        )  # fmt: skip
        return STATUS[code], error, int(out[0])


@pytest.fixture(scope="module")
def raw() -> Raw:
    return Raw(native(TREE))


def leaf(k: int) -> tuple[Any, ...]:
    return ("Leaf", k, np.ones(2, np.float32))


VALUE = ("Node", leaf(1), [(leaf(2), 7), (leaf(3), 8)], ("Node", leaf(4), [], leaf(5)))


def test_a_right_value(raw: Raw) -> None:
    flat = raw.flat(VALUE)
    assert raw(flat)[::2] == ("ok", 10)
    assert flat.tags.tolist() == [1, 1, 1, 1, 1, 2, 2]
    assert flat.children.tolist() == [3, 0, 4, 0, 2, 1, 2, 5]


Break = Callable[[Flat], None]


def _tag(flat: Flat) -> None:
    flat.tags[3] = 99


def _negative_tag(flat: Flat) -> None:
    flat.tags[0] = -1


def _other_type(flat: Flat) -> None:
    flat.tags[0] = 0


def _cycle(flat: Flat) -> None:
    flat.children[3] = 6


def _itself(flat: Flat) -> None:
    flat.children[7] = 6


def _negative_child(flat: Flat) -> None:
    flat.children[3] = -1


def _shared(flat: Flat) -> None:
    flat.children[3] = 1


def _list_too_long(flat: Flat) -> None:
    flat.children[4] = 1000


def _negative_list(flat: Flat) -> None:
    flat.children[4] = -2


def _few_children(flat: Flat) -> None:
    flat.record.n_children -= 1


def _many_children(flat: Flat) -> None:
    flat.record.n_children = 1 << 40


def _few_rows(flat: Flat) -> None:
    flat.rows[1] -= 1


def _many_rows(flat: Flat) -> None:
    flat.rows[1] += 1


def _root(flat: Flat) -> None:
    flat.record.root = 7


def _negative_root(flat: Flat) -> None:
    flat.record.root = -1


def _nodes(flat: Flat) -> None:
    flat.record.nodes = -5


def _many_nodes(flat: Flat) -> None:
    flat.record.nodes = 1 << 33


def _list_for_a_tree(flat: Flat) -> None:
    flat.record.length = 1


BREAKS: list[tuple[Break, int, int]] = [
    (_tag, 99, 1), (_negative_tag, -1, 1), (_other_type, 0, 1), (_cycle, 6, 5), (_itself, 6, 5),
    (_negative_child, -1, 5), (_shared, 1, 0), (_list_too_long, 2, 3), (_negative_list, -2, 0),
    (_few_children, 7, 8), (_few_rows, 4, 5), (_many_rows, 6, 5), (_root, 7, 6),
    (_negative_root, -1, 6), (_nodes, -5, MAX_DIM), (_many_nodes, 1 << 33, MAX_DIM),
    (_list_for_a_tree, 1, -1),
]  # fmt: skip
"""What is wrong, what is found, and what would do."""


@pytest.mark.parametrize(
    ("damage", "got", "want"), BREAKS, ids=lambda x: getattr(x, "__name__", "")
)
def test_wrong_structures(raw: Raw, damage: Break, got: int, want: int) -> None:
    flat = raw.flat(VALUE)
    damage(flat)
    status, error, _ = raw(flat)
    assert status == "struct"
    assert (error.line, error.column) == (7, 3)
    assert (error.got, error.want) == (got, want)


def test_children_beyond_the_last_are_left_over(raw: Raw) -> None:
    flat = raw.flat(leaf(1))
    flat.record.n_children = 1
    assert raw(flat)[0] == "struct"


def test_mutated_structures_end_with_a_status(raw: Raw) -> None:
    """Any numbers in tags and children: a right tree or a status, and a call that comes back."""
    rng = np.random.default_rng(9)
    seen = set()
    for _ in range(2000):
        flat = raw.flat(VALUE)
        for array in (flat.tags, flat.children):
            for _ in range(rng.integers(0, 3)):
                array[rng.integers(len(array))] = rng.integers(-2, 9)
        seen.add(raw(flat)[0])
    assert seen <= {"ok", "struct"} and "struct" in seen


def test_sizes_out_of_range(raw: Raw) -> None:
    for size in (-1, 1 << 31, 1 << 62):
        assert raw(raw.flat(leaf(1)), size)[0] == "shape"


# -- statuses of the program ----------------------------------------------------------------------

CHECKS = """source 0 "checks.dl"
fn @main[N, M](%x: f32[N], %y: f32[M], %i: i32) -> (f32) {entry=true} !0:1:1 {
  %zero = const {value=0} : i32
  %ok = ge %i, %zero : bool
  assert %ok {message="an index is not negative, which is what this message tells everybody"} !0:4:5
  check_dims {left=dim(N), right=dim(M), message="x and y"} !0:5:6
  %v = index %x, %i : f32 !0:6:7
  %k = floordiv %i, %i : i32 !0:7:8
  return %v
}
"""


def test_statuses_say_where_and_what() -> None:
    compiled = native(CHECKS)

    def failure(n: int, m: int, i: int) -> CallError:
        with pytest.raises(CallError) as e:
            compiled.call("main", [np.zeros(n, np.float32), np.zeros(m, np.float32), np.int32(i)])
        return e.value

    e = failure(3, 3, -1)
    assert (e.status, e.line, e.column) == ("assert", 4, 5)
    assert e.what == "an index is not negative, which is what this message tells ever"
    e = failure(3, 4, 1)
    assert (e.status, e.line, e.column, e.got, e.want) == ("shape", 5, 6, 3, 4)
    assert e.what == "x and y"
    e = failure(3, 3, 3)
    assert (e.status, e.line, e.column, e.got, e.want) == ("bounds", 6, 7, 3, 3)
    e = failure(3, 3, 0)
    assert (e.status, e.line, e.column) == ("div_zero", 7, 8)


def test_a_size_that_is_too_large_is_a_status() -> None:
    """as_dim of a negative or huge number; a frame and storage of more bytes than 64 bits count."""
    body = """
  as_dim %n def k
  %c = const {value=1.0} : f64
  %x = broadcast %c {shape=[dim(k), dim(k)]} : f64[k, k]
  %y = reshape %x {shape=[dim(k*k)]} : f64[k*k]
  %z = tanh %y : f64[k*k]
  %w = sort_free %z : f64
"""
    body = body.replace("%w = sort_free %z", '%w = reduce %z {kind="max", axes=[0]}') + "return %w"
    compiled = native(main("(%n: i64)", "f64", body))
    assert compiled.call("main", [np.int64(3)])[0] == np.tanh(1.0)
    for n, status in (
        (-1, "shape"),
        (1 << 40, "shape"),
        ((1 << 31) - 1, "arena"),
        (1 << 30, "arena"),
    ):
        with pytest.raises(CallError) as e:
            compiled.call_once("main", [np.int64(n)], aligned(1 << 16))
        assert e.value.status == status, n


FOREVER = """
  %y = loop %x
    (%a: i64) {
      %one = const {value=1} : i64
      %b = add %a, %one : i64
      %z = const {value=0} : i64
      %go = ne %b, %z : bool
      yield %go, %b
    } : i64
  return %y
"""


def test_fuel() -> None:
    compiled = native(main("(%x: i64)", "i64", FOREVER), emit=EmitOptions(fuel=1000))
    assert compiled.call("main", [np.int64(-1000)])[0] == 0
    with pytest.raises(CallError) as e:
        compiled.call("main", [np.int64(-1001)])
    assert (e.value.status, e.value.want) == ("fuel", 1000)


# -- many modules, many threads -------------------------------------------------------------------


def test_threads_share_a_module() -> None:
    compiled = native((FOLDER / "group_with_loop_and_list.ir").read_text())

    def tree(n: int) -> Any:
        return ("T", [tree(k) for k in range(n)], n)

    expected = {n: compiled.call("main", [tree(n)])[0] for n in range(7)}
    with ThreadPoolExecutor(8) as pool:
        numbers = [n % 7 for n in range(140)]
        results = list(pool.map(lambda n: compiled.call("main", [tree(n)])[0], numbers))
    assert [int(r) for r in results] == [int(expected[n]) for n in numbers]


def test_modules_with_equal_names_live_side_by_side() -> None:
    texts = [
        main(
            "(%x: i32)", "i32", f"%c = const {{value={k}}} : i32\n%y = add %x, %c : i32\nreturn %y"
        )
        for k in range(5)
    ]
    modules = [native(t) for t in texts]
    assert [int(m.call("main", [np.int32(10)])[0]) for m in modules] == [10, 11, 12, 13, 14]


@pytest.mark.parametrize("level", [0, 3])
def test_levels_of_optimisation_agree(level: int) -> None:
    from tests.unit.targets.cpu.emit.agreement import agree
    from tests.unit.targets.cpu.emit.test_programs import CASES

    for name in ("tensor_adt", "rose", "for_exits_reverse", "closed_loop"):
        agree((FOLDER / f"{name}.ir").read_text(), *CASES[name], options=Options(level=level))
