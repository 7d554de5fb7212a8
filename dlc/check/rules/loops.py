"""`while`, `for` and `static for`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dlc.check import typed
from dlc.check.body import Binding, Body, Constant, Loop, Val, Variable, is_whole
from dlc.check.convert import misfit, settle
from dlc.check.rules.blocks import restore, statements
from dlc.check.rules.indexing import whole_number
from dlc.check.rules.join import as_type, redefine
from dlc.check.rules.operators import condition
from dlc.check.rules.static import static_number
from dlc.check.typed import Local
from dlc.diag import Diagnostic, Edit, Span, error
from dlc.syntax import tree
from dlc.syntax.walk import walk
from dlc.typesys.dims import Dim
from dlc.typesys.surface import (
    I32_SCALAR,
    KEY,
    Array,
    Key,
    Keys,
    List,
    Rows,
    ShapeVar,
    Tangent,
    Tensor,
    Tuple,
    Type,
    Unknown,
)

MAX_TURNS = 4096
"""Turns of all `static for` in one body, nested ones multiplied out."""


def assigned_names(body: Sequence[tree.Stmt]) -> dict[str, None]:
    """The names that statements give a value to, or change through `mut`, in order."""
    out: dict[str, None] = {}
    for s in body:
        for n in walk(s):
            targets: Sequence[tree.Node] = ()
            if isinstance(n, tree.Assign):
                targets = n.targets
            elif isinstance(n, tree.AugAssign):
                targets = (n.target,)
            elif isinstance(n, tree.AnnAssign):
                out[n.name.text] = None
            elif isinstance(n, tree.Arg) and n.mut:
                targets = (n.value,)
            for t in targets:
                while isinstance(t, tree.Index):
                    t = t.base
                if isinstance(t, tree.Name):
                    out[t.id] = None
    return out


# -- a body that may run many times


class _Turns:
    """The body of a loop: what is carried from turn to turn, and what is known after it."""

    def __init__(self, b: Body, body: Sequence[tree.Stmt], header: Span) -> None:
        self.b = b
        self.header = header
        self.before = dict(b.env)
        self.facts = dict(b.facts)
        self.out = b.out
        self.body = body
        carried: dict[str, Variable] = {}
        for name in assigned_names(body):
            v = b.env.get(name)
            if isinstance(v, Variable) and v.missing is None and v.clash is None:
                if v.how in ("local", "mut") or isinstance(v.type, Key):
                    carried[name] = self._dense(name, v)
        self.before = dict(b.env)
        self.loop = Loop(carried, header)

    def _dense(self, name: str, v: Variable) -> Variable:
        """Tangents that are carried are stored densely."""
        t = v.type
        if not isinstance(t, Tangent) or not t.rows:
            return v
        self.b.emit(as_type(v, Tangent(t.of), self.header))
        self.b.update(name, type=Tangent(t.of))
        made = self.b.env[name]
        assert isinstance(made, Variable)
        return made

    def begin(self) -> None:
        """Open the body; whole numbers that are carried get a new dim for each turn."""
        b = self.b
        b.out, b.env, b.facts = [], dict(self.before), dict(self.facts)
        for name, v in self.loop.carried.items():
            if is_whole(v.type):
                b.update(name, dim=b.version(name, v.type, v.span, v.local))
        b.loops.append(self.loop)

    def run(self) -> tuple[typed.Stmt, ...]:
        """Check the body up to the end of a turn."""
        b = self.b
        ends = statements(b, self.body)
        if ends == "no":
            turn_end(b, self.loop)
        b.loops.pop()
        done = tuple(b.out)
        inner = b.env
        b.out, b.facts = self.out, dict(self.facts)
        self._after(inner)
        return done

    def _after(self, inner: dict[str, Binding]) -> None:
        b = self.b
        b.env = dict(self.before)
        for name in self.loop.carried:
            b.update(name, written=self.header)
            if is_whole(self.loop.carried[name].type):
                b.update(name, dim=None)
                b.later.append(lambda n=name: redefine(b, n, self.header))
            last = inner.get(name)
            if isinstance(last, Variable) and isinstance(last.type, Unknown):
                b.update(name, type=Unknown(), dim=None)  # an error was said already
        for env in self.loop.breaks:
            for name, v in env.items():
                here = b.env.get(name)
                if isinstance(v, Variable) and isinstance(here, Variable) and v.spent:
                    b.update(name, spent=here.spent or v.spent)
        for env in (inner, *self.loop.breaks):
            for name, v in env.items():
                if name not in b.env and isinstance(v, Variable) and v.how == "local":
                    b.env[name] = replace(v, missing=v.missing or v.span, dim=None)

    def carried(self) -> tuple[typed.Joined, ...]:
        return tuple(
            typed.Joined(v.local, v.type, span=self.header) for v in self.loop.carried.values()
        )


def turn_end(b: Body, loop: Loop) -> None:
    """The end of a turn: carried variables have the types they began with (E0410), and no key of
    before the loop is spent (E0411)."""
    for name, start in loop.carried.items():
        v = b.env.get(name)
        if not isinstance(v, Variable) or v.missing is not None:
            continue
        _same_type(b, name, start, v, loop)
    for name, v in b.env.items():
        if isinstance(v, Variable) and v.spent is not None and isinstance(v.type, (Key, Keys)):
            start = loop.before.get(name)
            if start is None or start.spent is not None or start.local != v.local:
                continue
            found = error("E0411", f"key `{name}` is spent in every turn of the loop", v.spent)
            found = found.with_label(v.span, "made once, before")
            b.report(
                found.with_help(f"begin the body with `{name}, a = split({name})`, and use `a`")
            )


def _same_type(b: Body, name: str, start: Variable, v: Variable, loop: Loop) -> None:
    if v.clash is not None:
        one, other = b.show(v.clash.one), b.show(v.clash.other)
        found = error("E0410", f"`{name}` is {one} or {other} after a turn of the loop", v.span)
        found = found.with_label(start.span, f"{b.show(start.type)} before")
        b.report(found.with_help("use another name inside the loop"))
        b.env[name] = start
        return
    if v.type == start.type or isinstance(v.type, Unknown) or isinstance(start.type, Unknown):
        return
    if misfit(b, v.type, start.type) is not None:
        one, other = b.show(start.type), b.show(v.type)
        text = f"`{name}` is {one} before the loop and {other} after a turn of it"
        found = error("E0410", text, v.span).with_label(start.span, f"{one} before")
        if isinstance(v.type, Tensor):
            found = found.with_help("collect a growing sequence in a List: `push(mut xs, x)`")
        b.report(found if found.helps else found.with_help("use another name inside the loop"))
        b.env[name] = start
        return
    b.emit(as_type(v, start.type, v.span))


def _open(b: Body, node: tree.While | tree.For) -> _Turns:
    turns = _Turns(b, node.body, node.header)
    turns.loop.before.update({n: v for n, v in turns.before.items() if isinstance(v, Variable)})
    return turns


def while_(b: Body, node: tree.While) -> str:
    b.does(diverges=True)
    turns = _open(b, node)
    turns.begin()
    cond = condition(b, node.cond)
    b.flush()
    body = turns.run()
    if not cond.is_bad:
        b.emit(typed.While(cond.expr, body, turns.carried(), span=node.header))
    return "no"


def for_(b: Body, node: tree.For) -> str:
    if node.static:
        return static_for(b, node)
    if isinstance(node.iterable, tree.Range):
        return _for_range(b, node, node.iterable)
    return _for_each(b, node)


def _for_range(b: Body, node: tree.For, r: tree.Range) -> str:
    start = whole_number(b, b.expr(r.start), "a bound of a range")
    stop = whole_number(b, b.expr(r.stop), "a bound of a range")
    ok = not start.is_bad and not stop.is_bad
    for v in (start, stop):
        if ok and v.type != I32_SCALAR:
            found = error("E0345", f"a bound of a range is i32, this is {b.show(v.type)}", v.span)
            b.report(found.with_help(f"`i32({v.span.text})`"))
            ok = False
    if len(node.targets) != 1:
        found = error("E0341", f"a range gives one number, not {len(node.targets)}", node.header)
        b.report(found.with_help(f"`for {node.targets[0]} in {r.span.text}:`"))
    turns = _open(b, node)
    turns.begin()
    locals = _bind(b, node, (I32_SCALAR,))
    body = turns.run()
    if ok:
        b.emit(
            typed.ForRange(
                locals[0], start.expr, stop.expr, body, turns.carried(), span=node.header
            )
        )
    return "no"


def _bind(b: Body, node: tree.For, types: Sequence[Type]) -> list[Local | None]:
    locals: list[Local | None] = []
    seen: set[str] = set()
    for i, ident in enumerate(node.targets):
        t = types[i] if i < len(types) else Unknown()
        if ident.text in seen and ident.text != "_":
            found = error("E0204", f"`{ident}` is defined twice", ident.span)
            b.report(found.with_help("give each its own name, or `_`"))
        seen.add(ident.text)
        if ident.text == "_":
            locals.append(None)
        else:
            locals.append(b.bind(ident.text, t, "loop", ident.span).local)
    return locals


def _for_each(b: Body, node: tree.For) -> str:
    v = settle(b, b.expr(node.iterable))
    types = _element_types(b, node, v)
    turns = _open(b, node)
    turns.begin()
    shown = types or ()
    locals = _bind(b, node, shown)
    body = turns.run()
    if types is not None:
        b.emit(typed.ForEach(tuple(locals), types, v.expr, body, turns.carried(), span=node.header))
    return "no"


def _element_types(b: Body, node: tree.For, v: Val) -> tuple[Type, ...] | None:
    """The types of the loop's variables; None after an error."""
    t = v.type
    if v.is_bad:
        return None
    element: Type
    if isinstance(t, Tensor) and t.shape and not isinstance(t.shape[0], ShapeVar):
        element = Tensor(t.dtype, t.shape[1:])
    elif isinstance(t, List):
        element = t.element
    elif isinstance(t, Keys):
        element = KEY
    elif isinstance(t, Rows):
        element = Tuple((I32_SCALAR, Tensor(t.dtype, (t.width,))))
    else:
        b.report(_not_iterable(b, node, v))
        return None
    parts = element.items if isinstance(element, Tuple) else (element,)
    if len(parts) != len(node.targets):
        text = f"each element is {b.show(element)}, for {len(node.targets)} names"
        found = error("E0341", text, node.header).with_label(v.span, b.show(t))
        if isinstance(t, Rows):
            found = found.with_help("`for row, d in g:`")
        b.report(found if found.helps else found.with_help("as many names as parts; `_` takes one"))
        return None
    return tuple(parts)


def _not_iterable(b: Body, node: tree.For, v: Val) -> Diagnostic:
    t = v.type
    found = error("E0345", f"cannot walk over {b.show(t)}", v.span)
    name = node.targets[0].text
    if isinstance(t, Tensor) and not t.shape:
        made = f"0..{v.span.text}"
        return found.with_help(f"`for {name} in {made}:`", Edit(v.span, made))
    if isinstance(t, Array):
        return found.with_help(f"`for i in 0..{b.show(t.count)}:` and `{v.span.text}[i]`")
    if isinstance(t, Tangent):
        return found.with_help("`each(fn(d) => …, g)` works on every float of it")
    return found.with_note("tensors, Lists, Rows and keys are walked over")


# -- static for


def static_for(b: Body, node: tree.For) -> str:
    """Unrolled: a copy of the body for each turn."""
    r = node.iterable
    if not isinstance(r, tree.Range):
        b.expr(r)
        found = error("E0413", "a `static for` walks over a range", node.header)
        b.report(found.with_help("`static for b in 0..B:`"))
        return "no"
    if len(node.targets) != 1:
        found = error("E0341", f"a range gives one number, not {len(node.targets)}", node.header)
        b.report(found.with_help(f"`static for {node.targets[0]} in {r.span.text}:`"))
        return "no"
    bounds: list[int] = []
    for e in (r.start, r.stop):
        n = static_number(b, e)
        if n is None:
            b.report(_not_known(b, e))
            return "no"
        bounds.append(n)
    turns = max(0, bounds[1] - bounds[0])
    b.turns += turns
    if b.turns > MAX_TURNS:
        text = f"a `static for` of {turns} turns makes the program too large"
        found = error("E0414", text, node.header)
        found = found.with_note(f"the limit for one function is {MAX_TURNS} turns in all")
        b.report(found.with_help("`for` makes one loop"))
        return "no"
    return _unroll(b, node, bounds[0], bounds[1])


def _unroll(b: Body, node: tree.For, start: int, stop: int) -> str:
    name = node.targets[0].text
    kept = dict(b.env)
    b.loops.append(Loop({}, node.header, static=True))
    ends = "no"
    for i in range(start, stop):
        if name != "_":
            b.env[name] = Constant(i, node.targets[0].span)
        ends = statements(b, node.body)
        if ends != "no":
            break
    b.loops.pop()
    if name != "_":
        restore(b, name, kept)
    return "folded" if ends != "no" else "no"


def _not_known(b: Body, e: tree.Expr) -> Diagnostic:
    found = error("E0413", "bounds of a `static for` must be known when compiling", e.span)
    for n in walk(e):
        if isinstance(n, tree.Name):
            d = b.dim_names.get(n.id)
            v = b.lookup(n.id)
            spans = dict(b.signature.spans) if b.signature is not None else {}
            if isinstance(v, Variable):
                found = found.with_label(v.span, f"`{n.id}` is known when the program runs")
                return found.with_help(f"`for` makes a loop; or take `{n.id}: const`")
            if isinstance(d, Dim) and n.id in spans:
                found = found.with_label(spans[n.id], f"`{n.id}` is a run-time dim, declared here")
                return found.with_help(f"`[{n.id}: const]`")
    return found.with_help("`for` makes a loop")


# -- break, continue


def break_(b: Body, node: tree.Break) -> str:
    loop = _loop(b, node, "break")
    if loop is not None:
        _leave(b, loop)
        loop.breaks.append(dict(b.env))
        b.emit(typed.Break(span=node.span))
    return "yes"


def continue_(b: Body, node: tree.Continue) -> str:
    loop = _loop(b, node, "continue")
    if loop is not None:
        turn_end(b, loop)
        b.emit(typed.Continue(span=node.span))
    return "yes"


def _loop(b: Body, node: tree.Stmt, word: str) -> Loop | None:
    if not b.loops:
        found = error("E0404", f"`{word}` stands in no loop", node.span)
        b.report(found.with_help("`return` leaves a function"))
        return None
    if b.loops[-1].static:
        found = error("E0404", f"`{word}` of a `static for`", node.span)
        found = found.with_label(b.loops[-1].header, "unrolled when compiling")
        b.report(found.with_help("use `for`, or `return`"))
        return None
    return b.loops[-1]


def _leave(b: Body, loop: Loop) -> None:
    """At `break` carried variables have the types they began with."""
    for name, start in loop.carried.items():
        v = b.env.get(name)
        if isinstance(v, Variable) and v.missing is None:
            _same_type(b, name, start, v, loop)
