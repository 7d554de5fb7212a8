"""A program with an entry for each way in which a value can cross the border."""

from __future__ import annotations

from dlc.ir.reader import read_module
from dlc.typesys import surface as S
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import BOOL, F16, F32, F64, I64
from dlc.typesys.interface import AdtInfo, ConstructorInfo, FieldInfo, Interface, RecordInfo
from tests.unit.artifact.programs import (
    PLACE,
    TREE,
    Program,
    entry,
    f32,
    i32,
    parameter_set,
)

TEXT = """
source 0 "zoo.dl"
type @Tree = Leaf(word: i32) | Node(left: @Tree, right: @Tree)
type @Bag[D] = Empty | Bag(vectors: List[f32[D]], kids: List[@Bag[D]])
type @Option.f32 = None | Some(value: f32)

fn @linear[m.O, m.I](%w: f32[m.O, m.I], %b: f32[m.O], %x: f32[m.I]) -> (f32[m.O])
    {entry=true, public=true} {
  %y = contract %w, %x {spec="ij,j->i"} : f32[m.O]
  %z = add %y, %b : f32[m.O]
  return %z
}

fn @train[m.O, m.I](%w: f32[m.O, m.I], %b: f32[m.O], %rate: f32)
    -> (f32, f32[m.O, m.I], f32[m.O]) {entry=true, public=true, inout=[[0, 1], [1, 2]]} {
  %r = broadcast %rate {shape=[dim(m.O), dim(m.I)]} : f32[m.O, m.I]
  %w2 = sub %w, %r : f32[m.O, m.I]
  %s = broadcast %rate {shape=[dim(m.O)]} : f32[m.O]
  %b2 = add %b, %s : f32[m.O]
  %l = reduce %b2 {kind="sum", axes=[0]} : f32
  return %l, %w2, %b2
}

fn @init.m[m.O, m.I](%key: i64) -> (f32[m.O, m.I], f32[m.O]) {entry=true, public=true} {
  %w = random_uniform %key {shape=[dim(m.O), dim(m.I)]} : f32[m.O, m.I]
  %zero = const {value=0.0} : f32
  %b = broadcast %zero {shape=[dim(m.O)]} : f32[m.O]
  return %w, %b
}

fn @scale[N](%x: f32[N], %k: f32) -> (f32[N]) {entry=true, public=true, inout=[[0, 0]]} {
  %b = broadcast %k {shape=[dim(N)]} : f32[N]
  %y = mul %x, %b : f32[N]
  return %y
}

fn @pile[N](%x: f32[N], %n: i32) -> (i32, f32[N])
    {entry=true, public=true, inout=[[0, 1]]} {
  %one = const {value=1.0} : f32
  %ones = broadcast %one {shape=[dim(N)]} : f32[N]
  %y = add %x, %ones : f32[N]
  %empty = list_new : List[f32[N]]
  %zero = const {value=0} : i32
  %xs = for %zero, %n, %empty
    (%i: i32, %l: List[f32[N]]) {
      %l2 = list_push %l, %y : List[f32[N]]
      yield %l2
    } : List[f32[N]]
  %k = list_len %xs : i32
  return %k, %y
}

fn @step(%n: i32) -> (i32, i32) {entry=true, public=true, inout=[[0, 1]]} {
  %one = const {value=1} : i32
  %m = add %n, %one : i32
  return %n, %m
}

fn @events[N](%x: f32[N]) -> (i32[k], f32[k]) def k {entry=true, public=true} {
  %zero = const {value=0.0} : f32
  %z = broadcast %zero {shape=[dim(N)]} : f32[N]
  %on = gt %x, %z : bool[N]
  %i = nonzero_indices %on def k : i32[k]
  %v = take %x, %i {axis=0} : f32[k]
  return %i, %v {dims=[dim(k)]}
}

fn @inflow[N, A, F](%src: i32[A], %dst: i32[A], %x: f32[N, F]) -> (f32[N, F])
    {entry=true, public=true} {
  check_indices %src {bound=dim(N)} !0:4:2
  check_indices %dst {bound=dim(N)} !0:4:2
  %zero = const {value=0.0} : f32
  %z = broadcast %zero {shape=[dim(N), dim(F)]} : f32[N, F]
  %m = take %x, %src {axis=0} : f32[A, F]
  %y = scatter_add %z, %dst, %m {axis=0} : f32[N, F]
  return %y
}

fn @rows[R, I](%starts: i32[R+1], %x: f32[I]) -> (f32[R]) {entry=true, public=true} {
  check_segments %starts {items=dim(I)} !0:5:2
  %y = segment_reduce %x, %starts {kind="sum"} : f32[R]
  return %y
}

fn @mirror(%t: @Tree) -> (@Tree) {entry=true, public=true} {
  %r = match %t {cases=["Leaf", "Node"]}
    (%w: i32) {
      %a = variant %w {constructor="Leaf", dims=[]} : @Tree
      yield %a
    }
    (%left: @Tree, %right: @Tree) {
      %b = call %left {fn="mirror", dims=[]} : @Tree
      %c = call %right {fn="mirror", dims=[]} : @Tree
      %d = variant %c, %b {constructor="Node", dims=[]} : @Tree
      yield %d
    } : @Tree
  return %r
}

fn @upto(%n: i32) -> (List[i32]) {entry=true, public=true} {
  %empty = list_new : List[i32]
  %zero = const {value=0} : i32
  %xs = for %zero, %n, %empty
    (%i: i32, %l: List[i32]) {
      %l2 = list_push %l, %i : List[i32]
      yield %l2
    } : List[i32]
  return %xs
}

fn @longer(%xs: List[i32], %x: i32) -> (List[i32]) {entry=true, public=true, inout=[[0, 0]]} {
  %ys = list_push %xs, %x : List[i32]
  return %ys
}

fn @total[D](%xs: List[f32[D]], %x0: f32[D]) -> (f32[D]) {entry=true, public=true} {
  %n = list_len %xs : i32
  %zero = const {value=0} : i32
  %s = for %zero, %n, %x0
    (%i: i32, %a: f32[D]) {
      %x = list_get %xs, %i : f32[D]
      %b = add %a, %x : f32[D]
      yield %b
    } : f32[D]
  return %s
}

fn @same[D](%b: @Bag[D]) -> (@Bag[D]) {entry=true, public=true} {
  return %b
}

fn @draw[n](%key: i64, %n: i32) -> (f32[n]) {entry=true, public=true} {
  %x = random_uniform %key {shape=[dim(n)]} : f32[n]
  return %x
}

fn @maybe(%o: @Option.f32, %d: f32) -> (@Option.f32, f32) {entry=true, public=true} {
  %r = match %o {cases=["None", "Some"]}
    () {
      yield %d
    }
    (%v: f32) {
      yield %v
    } : f32
  return %o, %r
}

fn @pair[N](%a: f32[N], %b: i32, %c: bool[N]) -> (f32[N], i32) {entry=true, public=true} {
  %zero = const {value=0.0} : f32
  %z = broadcast %zero {shape=[dim(N)]} : f32[N]
  %y = select %c, %a, %z : f32[N]
  return %y, %b
}

fn @kinds[N](%h: f16[N], %d: f64, %l: i64) -> (f16[N], f64, i64) {entry=true, public=true} {
  %two = add %h, %h : f16[N]
  %e = add %d, %d : f64
  %m = add %l, %l : i64
  return %two, %e, %m
}

fn @quarter[H](%x: f32[4*H], %y: f32[H]) -> (f32[H]) {entry=true, public=true} {
  %zero = const {value=0} : i32
  %a = slice %x, %zero {axis=0, size=dim(H)} : f32[H]
  %b = add %a, %y : f32[H]
  return %b
}

fn @within(%i: i32) -> (f32) {entry=true, public=true} {
  %x = const {value=array(f32, [3], [1.0, 2.0, 3.0])} : f32[3]
  %y = index %x, %i : f32 !0:9:7
  return %y
}

fn @at_least(%x: f32) -> (f32) {entry=true, public=true} {
  %one = const {value=1.0} : f32
  %c = ge %x, %one : bool
  assert %c {message="x must be 1 at least"} !0:8:3
  return %x
}
"""

MODULE = read_module(TEXT)
LINEAR = S.Model("zoo.Linear", (Dim.sym("m.O"), Dim.sym("m.I")))
FIELDS = (("w", f32("m.O", "m.I")), ("b", f32("m.O")))
RECORDS = {"zoo.Linear": FIELDS}
BAG = AdtInfo(
    "Bag",
    "Bag",
    ("D",),
    (
        ConstructorInfo("Empty", ()),
        ConstructorInfo(
            "Bag",
            (
                FieldInfo("vectors", S.List(f32("D")), 0, 1),
                FieldInfo("kids", S.List(S.Adt("zoo.Bag", (Dim.sym("D"),))), 1, 1),
            ),
        ),
    ),
    PLACE,
)
_TREE, _BAG = S.Adt("zoo.Tree"), S.Adt("zoo.Bag", (Dim.sym("D"),))
_INTS, _FLOATS = S.List(i32()), S.List(f32("D"))
_OPTION = S.Option(f32())
_M = {"records": RECORDS, "sets": ["m"]}
N, A, R = Dim.sym("N"), Dim.sym("A"), Dim.sym("R")

ENTRIES = (
    entry(MODULE, "linear", {"m": LINEAR, "x": f32("m.I")}, f32("m.O"), **_M),
    entry(MODULE, "train", {"m": LINEAR, "rate": f32()}, f32(), mut=["m"], **_M),
    entry(MODULE, "scale", {"x": f32("N"), "k": f32()}, S.UNIT, mut=["x"]),
    entry(MODULE, "pile", {"x": f32("N"), "n": i32()}, i32(), mut=["x"]),
    entry(MODULE, "step", {"n": i32()}, i32(), mut=["n"]),
    entry(MODULE, "events", {"x": f32("N")}, S.Sparse(F32, N)),
    entry(MODULE, "inflow", {"g": S.Graph(N, A), "x": f32("N", "F")}, f32("N", "F")),
    entry(MODULE, "rows", {"s": S.Segs(R, Dim.sym("I")), "x": f32("I")}, f32("R")),
    entry(MODULE, "mirror", {"t": _TREE}, _TREE),
    entry(MODULE, "upto", {"n": i32()}, _INTS),
    entry(MODULE, "longer", {"xs": _INTS, "x": i32()}, S.UNIT, mut=["xs"]),
    entry(MODULE, "total", {"xs": _FLOATS, "x0": f32("D")}, f32("D")),
    entry(MODULE, "same", {"b": _BAG}, _BAG),
    entry(MODULE, "draw", {"key": S.KEY, "n": i32()}, f32("n"), is_dim=["n"]),
    entry(MODULE, "maybe", {"o": _OPTION, "d": f32()}, S.Tuple((_OPTION, f32()))),
    entry(
        MODULE,
        "pair",
        {"p": S.Tuple((f32("N"), i32())), "c": S.Tensor(BOOL, (N,))},
        S.Tuple((f32("N"), i32())),
    ),
    entry(
        MODULE,
        "kinds",
        {"h": S.Tensor(F16, (N,)), "d": S.Tensor(F64), "l": S.Tensor(I64)},
        S.Tuple((S.Tensor(F16, (N,)), S.Tensor(F64), S.Tensor(I64))),
    ),
    entry(MODULE, "quarter", {"x": f32("4*H"), "y": f32("H")}, f32("H")),
    entry(MODULE, "within", {"i": i32()}, f32()),
    entry(MODULE, "at_least", {"x": f32()}, f32()),
)
SET = parameter_set("m", LINEAR, FIELDS, init="init.m")
INTERFACE = Interface(
    "zoo", ENTRIES, (SET,), (TREE, BAG), (RecordInfo("zoo.Linear", ("O", "I"), FIELDS),), ()
)
ZOO = Program(MODULE, INTERFACE)
