"""The tree: places, walking and comparing."""

from __future__ import annotations

import pytest

from dlc.diag import SourceFile
from dlc.syntax import parse, tree
from dlc.syntax.walk import children, same, walk
from tests.unit.syntax.sources import SOURCES, is_prelude


def module(text: str) -> tree.Module:
    return parse(SourceFile("t.dl", text))


def value(text: str) -> tree.Expr:
    """The expression of a source that is only a test of it."""
    (item,) = module(f'test "t":\n    x = {text}\n').items
    assert isinstance(item, tree.Test) and isinstance(item.body[0], tree.Assign)
    return item.body[0].values[0]


def shape(node: tree.Node) -> str:
    """An expression with all its parentheses."""
    match node:
        case tree.Binary(op=op, left=a, right=b) | tree.Compare(op=op, left=a, right=b):
            return f"({shape(a)} {op} {shape(b)})"
        case tree.BoolOp(op=op, values=values):
            return "(" + f" {op} ".join(shape(v) for v in values) + ")"
        case tree.Unary(operand=a):
            return f"(-{shape(a)})"
        case tree.Not(operand=a):
            return f"(not {shape(a)})"
        case tree.IfExpr(cond=c, then=a, orelse=b):
            return f"({shape(a)} if {shape(c)} else {shape(b)})"
        case tree.Range(start=a, stop=b):
            return f"({shape(a)}..{shape(b)})"
        case tree.Lambda(params=params, body=body):
            return f"(fn {' '.join(p.text for p in params)}: {shape(body)})"
        case _:
            return node.span.text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a + b - c", "((a + b) - c)"),
        ("a - b * c / d", "(a - ((b * c) / d))"),
        ("a @ b.T @ c", "((a @ b.T) @ c)"),
        ("-a ** 2", "(-(a ** 2))"),
        ("a ** -b ** c", "(a ** (-(b ** c)))"),
        ("-a * b", "((-a) * b)"),
        ("a // b % c", "((a // b) % c)"),
        ("not a == b", "(not (a == b))"),
        ("not not a", "(not (not a))"),
        ("a and b and c or d and not e", "((a and b and c) or (d and (not e)))"),
        ("(a and b) and c", "((a and b) and c)"),
        ("a..b + 1 == c", "((a..(b + 1)) == c)"),
        ("a if b else c if d else e", "(a if b else (c if d else e))"),
        ("a or b if c and d else e", "((a or b) if (c and d) else e)"),
        ("fn(p, q) => p + q if p else q", "(fn p q: ((p + q) if p else q))"),
        ("fn() => 1", "(fn : 1)"),
        ("(a < b) == (c < d)", "((a < b) == (c < d))"),
        ("a*b-c", "((a * b) - c)"),
        ("0..n", "(0..n)"),
        ("0 .. 2*n", "(0..(2 * n))"),
    ],
)
def test_precedence(text: str, wanted: str) -> None:
    assert shape(value(text)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("3", 3), ("0", 0), ("0.5", 0.5), ("1e-6", 1e-6), ("2.5E+3", 2500.0), (str(2**63), 2**63)],
)
def test_numbers(text: str, wanted: float) -> None:
    number = value(text)
    assert isinstance(number, tree.Number)
    assert number.value == wanted and type(number.value) is type(wanted)
    assert number.text == text


def test_calls_and_indices() -> None:
    call = value('f(a, axis=1)(mut b)[i, :, c:, "s"].T')
    assert isinstance(call, tree.Attr) and call.name.text == "T"
    index = call.base
    assert isinstance(index, tree.Index)
    i, every, rest, text = index.subs
    assert isinstance(i, tree.Name) and isinstance(text, tree.String)
    assert isinstance(every, tree.Slice) and (every.start, every.stop) == (None, None)
    assert isinstance(rest, tree.Slice) and rest.start is not None and rest.stop is None
    outer = index.base
    assert isinstance(outer, tree.Call) and [a.mut for a in outer.args] == [True]
    inner = outer.callee
    assert isinstance(inner, tree.Call)
    assert [(a.name and a.name.text, a.value.span.text) for a in inner.args] == [
        (None, "a"),
        ("axis", "1"),
    ]


def test_a_type_between_brackets_is_a_type() -> None:
    (item,) = module(
        "model M:\n    xs: List[(i32, nn.GRU[D, H=2*N], Tree, m.H, List[f32[?k]])]\n"
    ).items
    assert isinstance(item, tree.ModelDef)
    kind = item.members[0].type
    assert isinstance(kind, tree.TypeRef) and kind.args is not None
    parts = kind.args[0].value
    assert isinstance(parts, tree.TupleType)
    assert all(isinstance(part, tree.TypeRef) for part in parts.items)


def test_dims_and_types_of_arguments() -> None:
    (item,) = module("model M:\n    a: A[B, nn.B, 2*N, B[C], nn.B[*S], O=B[1], _, ?k]\n").items
    assert isinstance(item, tree.ModelDef)
    kind = item.members[0].type
    assert isinstance(kind, tree.TypeRef) and kind.args is not None
    values = [type(a.value).__name__ for a in kind.args]
    assert values == [
        "Name", "Attr", "Binary", "TypeRef", "TypeRef", "TypeRef", "Name", "FreshDim",
    ]  # fmt: skip
    qualified = kind.args[4].value
    assert isinstance(qualified, tree.TypeRef) and str(qualified.module) == "nn"
    assert qualified.args and isinstance(qualified.args[0].value, tree.ShapeVar)
    assert [a.name and a.name.text for a in kind.args][5] == "O"


def test_spans_are_tight() -> None:
    text = (
        "@vjp(r)\n"
        "export fn f(x: f32) -> f32:  # c\n"
        "    if (x + 1.0) * 2.0 > 0.0:\n"
        "        return x\n"
        "    else:\n"
        "        y = f( x )  # c\n"
        "    return y\n"
        "\n"
        "# end\n"
    )
    (fn,) = module(text).items
    assert isinstance(fn, tree.FnDef) and fn.body is not None
    assert fn.header.text == "export fn f(x: f32) -> f32:"
    assert fn.span.text.startswith("@vjp(r)\n") and fn.span.text.endswith("return y")
    choice = fn.body[0]
    assert isinstance(choice, tree.If)
    assert choice.header.text == "if (x + 1.0) * 2.0 > 0.0:"
    assert choice.span.text.endswith("f( x )")
    cond = choice.branches[0].cond
    assert isinstance(cond, tree.Compare) and isinstance(cond.left, tree.Binary)
    assert cond.left.span.text == "(x + 1.0) * 2.0"
    assert cond.left.left.span.text == "x + 1.0"
    assert (cond.op_span.text, cond.left.op_span.text) == (">", "*")


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.name)
def test_every_place_lies_in_its_parent(source: SourceFile) -> None:
    for node in walk(parse(source, allow_builtin=is_prelude(source))):
        for child in children(node):
            assert child.span.source is source
            assert 0 <= child.span.start < child.span.end <= len(source.text)
            assert node.span.start <= child.span.start and child.span.end <= node.span.end


def test_walk_is_in_order_of_the_text() -> None:
    names = [n.id for n in walk(value("f(a, b[c]) + d")) if isinstance(n, tree.Name)]
    assert names == ["f", "a", "b", "c", "d"]


def test_same_ignores_places_comments_and_parentheses() -> None:
    assert same(module("import  nn # c\n"), module("import nn\n"))
    assert same(value("((a)) + b"), value("a+b"))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("a + b", "a - b"),
        ("a + b", "b + a"),
        ("f(a)", "f(mut a)"),
        ("f(a)", "f(a, b)"),
        ("1", "1.0"),
        ("1.0", "1.00"),
        ("x[a:]", "x[:a]"),
        ("(a and b) and c", "a and b and c"),
        ("[a]", "a"),
    ],
)
def test_same_sees_differences(a: str, b: str) -> None:
    assert not same(value(a), value(b))


def test_nodes_are_frozen_and_compare_by_identity() -> None:
    a, b = value("x"), value("x")
    assert a != b and a == a
    assert len({a: 1, b: 2}) == 2
    with pytest.raises(AttributeError):
        a.id = "y"  # type: ignore[misc, union-attr]


def test_comments_are_kept() -> None:
    found = module("# one\nimport nn  # two  \n\n    # three").comments
    assert [(c.text, c.own_line) for c in found] == [
        ("# one", True),
        ("# two", False),
        ("# three", True),
    ]
