"""What an entry is told, what it compares, and dims that are bound when compiling."""

from __future__ import annotations

import numpy as np
import pytest

from dlc import evaluate
from dlc.check.program import Checked, check_program
from dlc.diag import CompileError, SourceFile
from dlc.lower.bind import bind_dims, resolve
from dlc.lower.lowered import Lowered, lower
from dlc.ops.verify import verify
from dlc.typesys import interface as I
from dlc.typesys.dims import Dim
from dlc.typesys.types import tensor


def checked(text: str) -> Checked:
    return check_program(SourceFile("t.dl", text))


def lowered(text: str, **consts) -> Lowered:
    made = lower(checked(text), consts=consts, tests=True)
    verify(made.module)
    return made


def sources(entry: I.EntryInfo) -> dict[str, I.Source]:
    return {d.name: d.source for d in entry.dims}


def test_dims_come_from_the_first_that_shows_them():
    (e,) = lowered("""export fn f(a: f32[2*N], b: f32[N, M], c: f32[M, 3], w: i32) -> f32[w]:
    return fill(1.0, w)
""").interface.entries
    n, m = Dim.sym("N"), Dim.sym("M")
    assert sources(e) == {"N": I.Axis(1, 0, n), "M": I.Axis(1, 1, m), "w": I.ScalarValue(3)}
    assert [(c.parameter, c.at, str(c.size)) for c in e.checks] == [
        ("a", I.Axis(0, 0, 2 * n), "2*N"),
        ("c", I.Axis(2, 0, m), "M"),
        ("c", I.Axis(2, 1, Dim.const(3)), "3"),
    ]
    assert e.checks[0].place == I.Place("t.dl", 1, 13)


def test_a_dim_that_stands_nowhere_alone_is_solved_for():
    (e,) = lowered("""export fn f(a: f32[2*N + 1], b: f32[N*M]) -> f32:
    return sum(a) + sum(b)
""").interface.entries
    assert sources(e) == {"N": I.Axis(0, 0, Dim.of("2*N+1")), "M": I.Axis(1, 0, Dim.of("N*M"))}
    assert e.checks == ()


STRUCTURES = """type Expr[D] = Const(v: f32[D]) | Add(a: Expr, b: Expr)
export fn f(
    g: Graph, s: Segs, x: Sparse[f32, N], e: Expr, xs: List[f32[K]], r: Rows[f32, V, W]
) -> f32:
    return f32(g.nodes)
"""


def test_structures_bring_numbers_of_their_own():
    (e,) = lowered(STRUCTURES).interface.entries
    leaves = {p.name: [(x.path, x.number) for x in p.leaves] for p in e.parameters}
    assert leaves["g"] == [(("src",), 0), (("dst",), 1)]
    assert leaves["x"] == [(("indices",), 3), (("values",), 4)]
    found = sources(e)
    assert found["g.nodes"] == I.Told("g", "nodes")
    assert found["g.arcs"] == I.Axis(0, 0, Dim.sym("g.arcs"))
    assert found["s.rows"] == I.Axis(2, 0, Dim.of("s.rows+1"))
    assert found["s.items"] == I.LastElement(2)
    assert found["N"] == I.Told("x", "size")
    assert found["x.k"] == I.Axis(3, 0, Dim.sym("x.k"))
    assert found["e.D"] == I.Payload(5, 0)
    assert found["K"] == I.ElementAxis(6, 0, 0, Dim.sym("K"))
    assert found["V"] == I.Told("r", "count")
    assert found["W"] == I.ElementAxis(7, 1, 0, Dim.sym("W"))


NET = """from nn import Linear, linear
model Net[V = 7, D]:
    emb: f32[V, D]
    out: Linear[D, 2]
    more: Array[Linear[D, D], 3]
fn inner(m: Net, i: i32) -> f32[m.D]:
    return m.emb[i]
export fn f(m: Net, i: i32, x: f32[m.D]) -> f32[2]:
    return linear(m.out, inner(m, i) + x)
export fn g(m: mut Net, x: f32[N]) -> f32[N]:
    return x
"""


def test_parameter_sets():
    made = lowered(NET).interface
    (s,) = made.parameter_sets
    assert (s.name, s.dims, s.defaults, s.init) == ("m", ("m.V", "m.D"), (("m.V", 7),), None)
    assert [(w.name, tuple(map(str, w.shape)), w.arrays) for w in s.weights] == [
        ("emb", ("m.V", "m.D"), ()),
        ("out.w", ("2", "m.D"), ()),
        ("out.b", ("2",), ()),
        ("more.w", ("3", "m.D", "m.D"), (1,)),
        ("more.b", ("3", "m.D"), (1,)),
    ]
    f, g = made.entries
    assert f.parameters[0].parameter_set == "m" and f.parameters[1].parameter_set is None
    assert [x.back for x in g.parameters[0].leaves] == [1, 2, 3, 4, 5]
    first = made.records[0]
    assert first.name == "t.Net" and [n for n, _ in first.fields] == ["emb", "out", "more"]


def test_algebraic_types_are_described():
    (t,) = lowered(STRUCTURES).interface.types
    assert (t.name, t.type, t.dims) == ("Expr", "Expr", ("D",))
    assert [(c.name, [(f.name, f.first, f.count) for f in c.fields]) for c in t.constructors] == [
        ("Const", [("v", 0, 1)]),
        ("Add", [("a", 0, 1), ("b", 1, 1)]),
    ]


def test_structures_inside_structures_cannot_come_from_outside():
    with pytest.raises(CompileError) as e:
        lowered("""export fn f(gs: List[Graph[N, M]]) -> i32:
    return len(gs)
""")
    assert e.value.diagnostics[0].code == "E0633"


def test_tests_are_functions():
    made = lowered("""test "one":
    assert sum(ones(3)) == 3.0
test "two":
    assert sum(ones(3)) == 2.0, "no"
""")
    assert [(t.name, t.function) for t in made.interface.tests] == [
        ("one", "test.0"),
        ("two", "test.1"),
    ]
    assert evaluate.run(made.module, "test.0", []) == ()
    with pytest.raises(evaluate.RunError, match="no"):
        evaluate.run(made.module, "test.1", [])


# -- binding


TWO = """from nn import Mlp, mlp
export fn f(d: Mlp, x: f32[d.I]) -> f32[d.O]:
    return mlp(d, x)
export fn g[K: const](d: Mlp, e: Mlp[I=d.O], x: f32[N], y: f32[K]) -> f32[K]:
    return y
"""


def test_names_of_dims():
    c = checked(TWO)
    found = resolve(c, {"d.I": 3, "K": 2})
    assert found.consts == {"g": {"K": 2}}
    assert found.dims == {"f": {"d.I": 3}, "g": {"d.I": 3}}
    assert resolve(c, {"g.K": 2, "N": 5, "e.I": 4}).dims == {"g": {"N": 5, "d.O": 4}}
    for name, code, text in (
        ("Z", "E0630", "no dim is called `Z`"),
        ("H", "E0631", "`H` can be `d.H` or `e.H`"),
        ("f.N", "E0630", "f.N"),
    ):
        with pytest.raises(CompileError, match=text) as e:
            resolve(c, {name: 3})
        assert [d.code for d in e.value.diagnostics] == [code]
    with pytest.raises(CompileError) as e:
        resolve(c, {"d.I": -1, "N": 2**31})
    assert [d.code for d in e.value.diagnostics] == ["E0632", "E0632"]


def test_one_name_of_the_consts_of_several_exports():
    c = checked("""
model Net[L]:
    w: f32[L]

export fn f[L: const](m: Net[L=L]) -> f32:
    return sum(m.w)

export fn g[L: const](m: Net[L=L], y: f32) -> f32:
    return f(m) - y

export fn h[K: const](y: f32[K]) -> f32:
    return sum(y)
""")
    every = {"f": {"L": 2}, "g": {"L": 2}}
    assert resolve(c, {"L": 2}).consts == every == resolve(c, {"m.L": 2}).consts
    assert resolve(c, {"f.L": 2, "g.L": 3}).consts == {"f": {"L": 2}, "g": {"L": 3}}
    helps = [d.helps[0].text for d in c.open_entries()]
    assert helps[0] == helps[1] == '`--bind m.L=8`, in Python `bind={"m.L": 8}`'
    assert helps[2].startswith("`--bind h.K=8`")
    with pytest.raises(CompileError, match="`H` can be") as e:
        resolve(checked(TWO + 'export fn k[H: const](x: f32[H]):\n    assert true, ""\n'), {"H": 3})
    assert [d.code for d in e.value.diagnostics] == ["E0631"]


def test_a_dim_of_a_set_that_is_a_const_of_one_export_only():
    c = checked("""
model Net[L]:
    w: f32[L]

export fn a(m: Net) -> f32:
    return sum(m.w)

export fn f[L: const](m: Net[L=L]) -> f32:
    return sum(m.w)
""")
    assert [d.helps[0].text for d in c.open_entries()] == [
        '`--bind m.L=8`, in Python `bind={"m.L": 8}`'
    ]
    made = resolve(c, {"m.L": 8})
    assert (made.consts, made.dims) == ({"f": {"L": 8}}, {"a": {"m.L": 8}})
    assert resolve(c, {"L": 3}, ["f"]).consts == {"f": {"L": 3}}
    with pytest.raises(CompileError, match="E0631"):
        resolve(c, {"L": 3})


def bound(text: str, numbers: dict[str, int]) -> Lowered:
    c = checked(text)
    names = resolve(c, numbers)
    made = bind_dims(lower(c, consts=names.consts), names.dims)
    verify(made.module)
    return made


def test_bound_dims_are_numbers_everywhere():
    made = bound(NET, {"m.D": 4, "V": 9})
    for name in ("f", "inner", "linear"):
        fn = made.module.functions[name]
        assert fn.dims == () or name == "linear"
    assert made.module.functions["f"].params[0].type == tensor_f32(9, 4)
    (s,) = made.interface.parameter_sets
    assert s.fixed == (("m.V", 9), ("m.D", 4))
    f, g = made.interface.entries
    assert sources(f) == {"m.V": I.Fixed(9), "m.D": I.Fixed(4)}
    assert sources(g)["N"] == I.Axis(5, 0, Dim.sym("N"))
    assert I.Axis(0, 0, Dim.sym("m.V")) in [c.at for c in f.checks]


def tensor_f32(*shape: int):
    from dlc.typesys.dtypes import F32

    return tensor(F32, *shape)


def test_a_dim_that_differs_between_calls_stays_open():
    text = """fn h(x: f32[N]) -> f32:
    return sum(x)
export fn f(x: f32[N], y: f32[M]) -> f32:
    return h(x) + h(y)
"""
    made = bound(text, {"N": 3})
    assert made.module.functions["h"].dims == ("N",)
    assert made.module.functions["f"].dims == ("M",)
    both = bound(text, {"N": 3, "M": 3})
    assert both.module.functions["h"].dims == ()
    x = np.ones(3, np.float32)
    assert evaluate.run(both.module, "f", [x, x])[0] == 6.0


def test_an_entry_that_calls_itself_with_other_dims_checks_the_number():
    text = """export fn f(x: f32[N]) -> f32:
    if N == 0:
        return 0.0
    return x[0] + f(x[1:])
"""
    made = bound(text, {"N": 3})
    (e,) = made.interface.entries
    assert made.module.functions["f"].dims == ("N",)
    assert [(c.at, c.size) for c in e.checks] == [(I.Axis(0, 0, Dim.sym("N")), Dim.const(3))]
    assert evaluate.run(made.module, "f", [np.ones(3, np.float32)])[0] == 3.0


def test_derivatives_and_first_values_follow():
    text = """model Net[D]:
    w: f32[D] ~ normal(1.0)
fn loss(m: Net, x: f32[m.D]) -> f32:
    return dot(m.w, x)
export fn f(m: Net, x: f32[m.D]) -> f32[m.D]:
    return grad(loss, wrt=m)(m, x).w
"""
    made = bound(text, {"D": 4})
    assert all(fn.dims == () for fn in made.module.functions.values())
    assert evaluate.run(made.module, "init.m", [3])[0].shape == (4,)
