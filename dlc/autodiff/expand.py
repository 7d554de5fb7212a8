"""The pass: every `value_and_grad`, `vjp` and `jvp` becomes calls of forward and backward
halves."""

from __future__ import annotations

from dlc.autodiff.callgraph import GRADS, callees, groups, has_derivatives
from dlc.autodiff.derive import DENSE, INACTIVE, ROWS, Derivation, Variant, dims_in
from dlc.autodiff.mirror import Block, Node, copy_block
from dlc.autodiff.places import rows_type
from dlc.autodiff.residuals import nodes_of
from dlc.autodiff.rows import merge_rows
from dlc.autodiff.tangents import Tangents
from dlc.diag import InternalError
from dlc.ir.core import Function, Module, Region, Value, walk
from dlc.ops.build import Builder, DimNames
from dlc.typesys.dims import Dim


def differentiate(module: Module) -> Module:
    """The module without derivative operations, innermost derivatives first. Functions that were
    made are added; functions that nothing calls any more stay, for dead-function elimination."""
    functions = dict(module.functions)
    tangents = Tangents(module.types)
    d = Derivation(functions, tangents)
    for group in groups(module.functions, rules=True):
        for name in group:
            f = functions[name]
            if not has_derivatives(f):
                continue
            if len(group) > 1 or name in callees(f):
                _refuse_self(f, group)
            functions[name] = _expand(f, d)
            d.refresh()
    kept = {*module.functions, *d.made, *tangents.functions}
    return Module.of(tangents.types, {n: f for n, f in functions.items() if n in kept})


def _refuse_self(f: Function, group: tuple[str, ...]) -> None:
    for op in walk(f.body):
        if op.name in GRADS and op.attrs["fn"] in group:
            raise InternalError(
                f"`{f.name}` takes a gradient of a function that calls it", stage="autodiff"
            )


def _expand(f: Function, d: Derivation) -> Function:
    values: dict[Value, Value] = {p: p for p in f.params}
    block = copy_block(f.body, values)
    names = DimNames(dims_in(f))
    renamed: dict[Value, Value] = {}
    _expand_block(block, d, names, renamed)
    _rename(block, renamed)
    body = block.as_region()
    return f.with_body(Region((), body.ops))


def _rename(block: Block, values: dict[Value, Value]) -> None:
    for n in block.flat():
        n.operands = [values.get(v, v) for v in n.operands]
        for b in n.blocks:
            _rename(b, values)


def _expand_block(
    block: Block, d: Derivation, names: DimNames, renamed: dict[Value, Value]
) -> None:
    out: list[Node] = []
    for n in block.nodes:
        for b in n.blocks:
            _expand_block(b, d, names, renamed)
        if n.name not in GRADS:
            out.append(n)
            continue
        n.operands = [renamed.get(v, v) for v in n.operands]
        b = Builder(d.tangents.types, names, n.loc)
        results = _jvp(b, n, d) if n.name == "jvp" else _reverse(b, n, d)
        renamed.update(zip(n.results, results, strict=True))
        out += [_as_node(op) for op in b.ops]
    block.nodes = out


def _as_node(op: object) -> Node:
    from dlc.autodiff.mirror import copy_op
    from dlc.ir.core import Op

    assert isinstance(op, Op)
    if not op.regions:
        return nodes_of([op])[0]
    own: dict[Value, Value] = {}
    node = copy_op(op, own)
    node.results = list(op.results)
    return node


def _modes(n: Node, d: Derivation) -> tuple[tuple[int, ...], list[int], list[bool]]:
    f = d.functions[str(n.attrs["fn"])]
    wrt = list(n.as_op().attr_ints("wrt"))
    flags = n.attrs.get("rows", ())
    rows = [bool(r) for r in flags] if isinstance(flags, tuple) and flags else [False] * len(wrt)
    modes = [INACTIVE] * len(f.params)
    for i, r in zip(wrt, rows, strict=True):
        modes[i] = ROWS if r else DENSE
    return tuple(modes), wrt, rows


def _forward(
    b: Builder, n: Node, d: Derivation, v: Variant, args: list[Value]
) -> tuple[list[Value], list[Value]]:
    """Calls the forward half: the function's results, and the residuals."""
    dims = _call_dims(n)
    out = b.call(v.forward, args, dims)
    k = len(out) - v.residuals
    return list(out[:k]), list(out[k:])


def _call_dims(n: Node) -> tuple[Dim, ...]:
    ds = n.attrs.get("dims", ())
    assert isinstance(ds, tuple)
    return tuple(Dim.of(x) for x in ds if isinstance(x, (Dim, int)))


def _reverse(b: Builder, n: Node, d: Derivation) -> list[Value]:
    f = d.functions[str(n.attrs["fn"])]
    modes, wrt, rows = _modes(n, d)
    args = n.operands[: len(f.params)]
    floats = [i for i, t in enumerate(f.result_types) if d.tangents.of(t) is not None]
    given = [0] if n.name == "value_and_grad" else floats
    wanted = tuple(i in given for i in range(len(f.result_types)))
    v = d.variant(f.name, modes, wanted)
    results, res = _forward(b, n, d, v, args)
    cts: dict[int, Value] = {}
    if n.name == "value_and_grad":
        cts[0] = b.full(1.0, results[0].tensor)
    else:
        cts.update(zip(floats, n.operands[len(f.params) :], strict=True))
    grads = _backward(b, n, d, v, args, results, res, cts)
    out: list[Value] = []
    for i, r in zip(wrt, rows, strict=True):
        g = grads.get(i)
        if g is None:
            x = args[i]
            g = b.emit_typed("list_new", rows_type(x.type)) if r else d.tangents.zero(b, x.type, x)
        elif r:
            g = merge_rows(b, d.tangents, g)
        out.append(g)
    return results + out


def _backward(
    b: Builder,
    n: Node,
    d: Derivation,
    v: Variant,
    args: list[Value],
    results: list[Value],
    res: list[Value],
    cts: dict[int, Value],
) -> dict[int, Value]:
    """Calls the backward half: parameter number -> cotangent."""
    into = [args[i] for i in v.need] + res
    for k, on in enumerate(v.results_wanted):
        if on:
            r = results[k]
            into.append(cts[k] if k in cts else d.tangents.zero(b, r.type, r))
    for i in v.active:
        if i in v.accumulated:
            x = args[i]
            if v.key.params[i] == ROWS:
                into.append(b.emit_typed("list_new", rows_type(x.type)))
            else:
                into.append(d.tangents.zero(b, x.type, x))
    out = b.call(v.backward, into, _call_dims(n))
    return dict(zip(v.active, out, strict=True))


def _jvp(b: Builder, n: Node, d: Derivation) -> list[Value]:
    """`J v`: the backward half is linear in its cotangents `ct`, and its own backward half with
    respect to `ct`, given `v`, is `J v` (two reverse passes)."""
    f = d.functions[str(n.attrs["fn"])]
    modes, wrt, _ = _modes(n, d)
    args, tangents = n.operands[: len(f.params)], n.operands[len(f.params) :]
    wanted = tuple(d.tangents.of(t) is not None for t in f.result_types)
    v = d.variant(f.name, modes, wanted)
    results, res = _forward(b, n, d, v, args)
    d.refresh()
    k = len(v.need) + v.residuals
    count = sum(v.results_wanted)
    back = d.functions[v.backward.name]
    bmodes = tuple(DENSE if k <= i < k + count else INACTIVE for i in range(len(back.params)))
    w = d.variant(back.name, bmodes, (True,) * len(back.result_types))
    into = [args[i] for i in v.need] + res
    into += [d.tangents.zero(b, r.type, r) for r, on in zip(results, wanted, strict=True) if on]
    into += [d.tangents.zero(b, args[i].type, args[i]) for i in v.active if i in v.accumulated]
    outs, res2 = _forward(b, n, d, w, into)
    given = dict(zip(wrt, tangents, strict=True))
    cts = {
        j: given[i] if i in given else d.tangents.zero(b, args[i].type, args[i])
        for j, i in enumerate(v.active)
    }
    grads = _backward(b, n, d, w, into, outs, res2, cts)
    pushed = [
        grads.get(k + j, None) or d.tangents.zero(b, r.type, r)
        for j, r in enumerate(r for r, on in zip(results, wanted, strict=True) if on)
    ]
    return results + pushed
