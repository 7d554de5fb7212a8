"""The backward of `map`: a `map` of cotangents, with a sum over the points for what is captured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlc.autodiff.activity import Activity
from dlc.autodiff.closure import demand, unpack
from dlc.autodiff.mirror import Block, Node
from dlc.autodiff.places import Places
from dlc.ir.core import Op, Region, Value, freeze_attrs
from dlc.ir.rewrite import Substitution
from dlc.typesys.dims import Dim
from dlc.typesys.types import TensorType

if TYPE_CHECKING:
    from dlc.autodiff.backward import Backward


def backward_map(w: Backward, n: Node, p: Places, d: list[Value | None]) -> None:
    """Each point's cotangents depend on that point alone; contributions to a captured value are
    stacked and summed. (Bodies with control flow and large captured tensors were made loops
    beforehand.)"""
    (body,) = n.blocks
    shape = _shape(n)
    own = set(body.defined())
    captured = list(dict.fromkeys(v for v in body.used() if v not in own and v in w.active))
    first = len(body.params) - len(n.operands)
    wanted = [k for k, x in enumerate(n.operands) if x in w.active]
    given = [k for k, g in enumerate(d) if g is not None]
    cts = [g for g in d if g is not None]

    b = p.b.nested(tuple(TensorType(g.tensor.dtype, g.tensor.shape[len(shape) :]) for g in cts))
    q = Places(b, w.active, w.rows, {})
    for k, g in zip(given, b.params, strict=True):
        q.add(body.end.operands[k], lambda g=g: g)
    w.block(body, q)
    yields = [q.now(body.params[first + k]) for k in wanted] + [q.now(x) for x in captured]

    indices = body.params[:first]
    need = demand(body, b.ops, yields, free=lambda v: v in indices)
    body.end.operands += need.values
    kept = [
        Value(TensorType(v.tensor.dtype, (*shape, *v.tensor.shape)), "kept") for v in need.values
    ]
    n.results += kept
    ids = tuple(Value(v.type, v.hint) for v in indices)
    params = tuple(Value(v.type, v.hint) for v in need.values)
    sub = Substitution(dict(zip(indices, ids, strict=True)), {})
    ops = unpack(b.ops, need, dict(zip(need.values, params, strict=True)), sub)
    end = Op("yield", tuple(map(sub.value, yields)), (), freeze_attrs({}), (), (), b.loc)
    region = Region((*ids, *b.params, *params), (*ops, end))
    if not yields:
        return
    out = p.b.map_(shape, (*cts, *kept), region)
    for k, g in zip(wanted, out, strict=False):
        w.join(p, n.operands[k], g)
    axes = tuple(range(len(shape)))
    for x, g in zip(captured, out[len(wanted) :], strict=True):
        p.add(x, lambda g=g: p.b.emit("reduce", g, kind="sum", axes=axes))


def _shape(n: Node) -> tuple[Dim, ...]:
    shape = n.attrs["shape"]
    assert isinstance(shape, tuple)
    return tuple(Dim.of(d) for d in shape if isinstance(d, (Dim, int)))


def is_simple(body: Block, own: set[Value]) -> bool:
    """Whether a `map` body can stay a `map`: no regions, calls or lists inside, and nothing
    captured but scalars."""
    for n in body.nodes:
        if n.blocks or n.name == "call" or n.dims:
            return False
        if not all(isinstance(v.type, TensorType) for v in n.results):
            return False
    outside = [v for v in body.used() if v not in own]
    return all(isinstance(v.type, TensorType) and v.type.rank == 0 for v in outside)


def as_loop(n: Node) -> None:
    """Turns a `map` node in place into loops that insert into arrays: any body will do."""
    from dlc.ops.build import Builder, DimNames

    (body,) = n.blocks
    shape = _shape(n)
    f = Builder({}, DimNames(), n.loc)
    inits = [f.full(False if r.tensor.dtype.is_bool else 0, r.tensor) for r in n.results]
    zero = f.dim(0)
    his = [f.dim(d) for d in shape]
    n.before += [_node(op) for op in f.ops]
    _nest(n, body, shape, zero, his, inits)


def _node(op: Op) -> Node:
    return Node(
        op.name, list(op.operands), list(op.results), dict(op.attrs), [], list(op.dims), op.loc
    )


def _nest(
    n: Node, body: Block, shape: tuple[Dim, ...], zero: Value, his: list[Value], inits: list[Value]
) -> None:
    """One `for` per axis, the innermost with the map's body; arrays are threaded through all."""
    from dlc.ops.build import Builder, DimNames

    first = len(body.params) - len(n.operands)
    ids = [Value(zero.type, "i") for _ in shape]
    arrays = [[Value(v.type, "ys") for v in inits] for _ in shape]
    f = Builder({}, DimNames(), n.loc)
    values: dict[Value, Value] = dict(zip(body.params[:first], ids, strict=False))
    for x, q in zip(n.operands, body.params[first:], strict=True):
        values[q] = f.emit("index", x, *ids, in_bounds=True)
    g = Builder({}, DimNames(), n.loc)
    rename(body, values)
    news = [
        g.emit("insert", a, values.get(y, y), *ids, in_bounds=True)
        for a, y in zip(arrays[-1], body.end.operands, strict=True)
    ]
    inner = [_node(op) for op in f.ops] + body.nodes[:-1] + [_node(op) for op in g.ops]
    ends: list[Value] = news
    for k in reversed(range(len(shape))):
        end = Node("yield", ends, [], {}, [], [], n.loc)
        block = Block([ids[k], *arrays[k]], [*inner, end])
        start = arrays[k - 1] if k else inits
        outs = [Value(v.type, "ys") for v in inits] if k else n.results
        loop = Node("for", [zero, his[k], *start], list(outs), {}, [block], [], n.loc)
        inner, ends = [loop], list(outs)
    top = inner[0]
    n.name, n.operands, n.attrs, n.blocks = "for", top.operands, {}, top.blocks


def rename(block: Block, values: dict[Value, Value]) -> None:
    """Replaces uses in the block, blocks inside included."""
    for n in block.flat():
        n.operands = [values.get(v, v) for v in n.operands]
        for b in n.blocks:
            rename(b, values)


def open_maps(block: Block, active: Activity) -> bool:
    """Turns active maps that cannot be differentiated as maps into loops. Tells whether there were
    any."""
    found = False
    for n in list(block.flat()):
        for b in n.blocks:
            found |= open_maps(b, active)
        if n.name == "map" and any(r in active for r in n.results):
            (body,) = n.blocks
            if not is_simple(body, set(body.defined())):
                as_loop(n)
                found = True
    return found
