"""Calls of models that come from ONNX."""

from __future__ import annotations

from dlc.check import typed
from dlc.check.body import Body, Val, bad
from dlc.check.convert import differs, element_help, fit
from dlc.check.unify import Matcher, flexible
from dlc.diag import error
from dlc.syntax import tree
from dlc.typesys.dims import Dim
from dlc.typesys.surface import Model, Tuple, dim_names, substitute_dims


def call_onnx(b: Body, model: Val, t: Model, node: tree.Call) -> Val:
    """`m.backbone(x)`: inputs by position or name; symbolic dims of the file are generics of the
    call."""
    sig = b.tables.onnx[t.name]
    names = [n for n, _ in sig.inputs]
    shown = f"its inputs: {', '.join(f'{n}: {x}' for n, x in sig.inputs)}"
    by: dict[str, tree.Arg] = {}
    for i, a in enumerate(node.args):
        name = a.name.text if a.name else names[i] if i < len(names) else ""
        if name not in names or name in by or a.mut:
            found = error("E0312", f"`{sig.path}` has no input for this", a.span)
            return b.fail(found.with_note(shown))
        by[name] = a
    if len(by) != len(names):
        found = error(
            "E0312", f"`{sig.path}` has {len(names)} inputs, this gives {len(by)}", node.span
        )
        return b.fail(found.with_note(shown))
    symbols = dim_names(*(x for _, x in sig.inputs))
    flexed = flexible(symbols)
    m = Matcher(b.norm)
    values: list[Val] = []
    for i, (name, x) in enumerate(sig.inputs):
        m.arg = i
        v = b.expr(by[name].value, x)
        if v.is_bad:
            return bad(node.span)
        if not m.match(substitute_dims(x, flexed), v.type):
            text = f"`{name}` of `{sig.path}` is {x}, this is {b.show(v.type)}"
            found = error("E0332", text, by[name].span).with_note(shown)
            return b.fail(
                element_help(found, v.type, x, by[name].value.span.text, by[name].value.span)
            )
        values.append(v)
    for c in m.solve():
        at = by[names[c.equation.arg]]
        found = error(
            "E0331", f"`{names[c.equation.arg]}` of `{sig.path}`: {differs(b, c)}", at.span
        )
        return b.fail(found.with_note(shown))
    return _result(b, model, t, node, m, values, symbols)


def _result(
    b: Body,
    model: Val,
    t: Model,
    node: tree.Call,
    m: Matcher,
    values: list[Val],
    symbols: tuple[str, ...],
) -> Val:
    sig = b.tables.onnx[t.name]
    bind = {n: m.dims[f"?{n}"] for n in symbols if f"?{n}" in m.dims}
    unknown = [n for n in dim_names(*sig.outputs) if n not in bind]
    born = [(n, b.fresh_atom(n, node.span, sig.path).name) for n in unknown]
    now = {**bind, **{n: Dim.sym(a) for n, a in born}}
    inputs = [substitute_dims(x, now) for _, x in sig.inputs]
    args = tuple(fit(b, v, x).expr for v, x in zip(values, inputs, strict=True))
    outs = tuple(substitute_dims(x, now) for x in sig.outputs)
    made = typed.CallOnnx(
        t.name,
        model.expr,
        args,
        tuple(bind.items()),
        tuple(born),
        type=outs[0] if len(outs) == 1 else Tuple(outs),
        span=node.span,
    )
    return Val(made)
