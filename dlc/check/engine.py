"""The engine: checks generic bodies for their errors, and makes typed trees of instances on
demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dlc.check import typed
from dlc.check.body import Body, Found, Rule, Special, Val
from dlc.check.convert import settle
from dlc.check.decls import Signature
from dlc.check.decorators import Decorated, match_rule
from dlc.check.entities import FunctionItem
from dlc.check.finish import pruned, runs_out
from dlc.check.instances import InstanceKey, Static
from dlc.check.keys import called, instance_dims
from dlc.check.rules.blocks import statements
from dlc.check.rules.prepared import with_rows
from dlc.check.rules.table import RULES, SPECIAL_RULES, STATEMENTS
from dlc.check.setup import (
    function_body,
    instance_bindings,
    lambda_body,
    open_bindings,
)
from dlc.check.special.elements import convert_to
from dlc.check.tables import Tables
from dlc.check.typed import Block, Effects, TypedFunction, TypedParam, VjpRule
from dlc.check.typed.walk import nodes
from dlc.diag import CompileError, Diagnostic, Span, error
from dlc.diag.bag import Bag
from dlc.diag.suggest import did_you_mean
from dlc.syntax import tree
from dlc.syntax.walk import walk
from dlc.typesys.dtypes import DType
from dlc.typesys.surface import (
    UNIT,
    DTypeVar,
    Model,
    Tangent,
    Tensor,
    Tuple,
    Type,
    Unit,
    Unknown,
    dim_names,
    short,
)

TRIAL = 2
"""What a const dim is while a function that unrolls loops is checked without a caller."""

LARGER_TRIALS = (5, 16)
"""What it is next, if only indices were out of range."""

MAX_INSTANCES = 256
"""Instances of one function."""


class Engine:
    """One program's bodies. `effects_of` is filled when all generic bodies have been checked."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.decorated: dict[str, Decorated] = {}
        self.effects_of: Mapping[str, Effects] = {}
        self._made: dict[InstanceKey, TypedFunction | None] = {}
        self._copies: dict[str, int] = {}

    # -- what rules ask

    @property
    def tables(self) -> Tables:
        return self._tables

    def rule(self, node: tree.Node) -> Rule:
        return RULES[type(node)]

    def special(self, name: str) -> Special:
        return SPECIAL_RULES[name]

    def statement(self, b: Body, s: tree.Stmt) -> str:
        return STATEMENTS[type(s)](b, s)

    def convert(self, dtype: DType | DTypeVar, b: Body, node: tree.Call) -> Val:
        return convert_to(dtype, b, node)

    def effects(self, name: str) -> Effects:
        return self.effects_of.get(name, Effects())

    def function(self, key: InstanceKey) -> TypedFunction | None:
        if key in self._made:
            return self._made[key]
        return self.instance(key)

    # -- generic bodies

    def generic(self, item: FunctionItem) -> Found:
        """Check the text of a function for all its instances, or for a trial one if it unrolls
        loops."""
        sig = self._tables.signatures.get(item.name)
        body = item.node.body
        if sig is None or body is None:
            return Found()
        trial = self._trial(sig, TRIAL) if unrolls(item.node) else {}
        done, problems = self._generic(item, sig, body, trial)
        if trial and problems and all(p.code == "E0326" for p in problems):
            # `static for k in 0..3` over `m.cells[k]` is right for every K from 3: what a larger
            # trial does not find is no mistake of the text, and each instance is checked itself.
            for size in LARGER_TRIALS:
                again, others = self._generic(item, sig, body, self._trial(sig, size))
                if not others:
                    return again
        for found in problems:
            self._tables.bag.add(found)
        return done

    def _generic(
        self,
        item: FunctionItem,
        sig: Signature,
        body: tuple[tree.Stmt, ...],
        trial: dict[str, Static],
    ) -> tuple[Found, list[Diagnostic]]:
        problems: list[Diagnostic] = []

        def report(found: Diagnostic) -> None:
            if trial:
                shown = ", ".join(f"{n} = {v}" for n, v in trial.items())
                found = found.with_note(f"in the instance {shown}")
            problems.append(found)

        given = open_bindings(sig, trial)
        b, _ = function_body(self, item.module, sig, given, False, report)
        self._run(b, body, item.node.name.span)
        return b.found, problems

    def _trial(self, sig: Signature, size: int) -> dict[str, Static]:
        given: dict[str, Static] = dict.fromkeys(sig.consts, size)
        given |= {g.name: g.default for g in sig.generics if g.const and g.default is not None}
        given |= {p.name: p.default for p in sig.params if isinstance(p.default, (int, str))}
        return {n: given[n] for n in sig.consts}

    def _run(self, b: Body, body: tuple[tree.Stmt, ...], name: Span) -> Block:
        ends = statements(b, body)
        b.flush()
        if ends == "no" and not isinstance(b.result, (Unit, Unknown)):
            text = f"not every path through `{b.name_text}` returns {a_type(b)}"
            found = error("E0401", text, name)
            at = runs_out(body)
            if at is not None:
                found = found.with_label(at[0], at[1])
            b.report(found.with_help("end every path with `return …`"))
        return pruned(b.out)

    def test(self, module: str, node: tree.Test) -> Block:
        """The body of a `test`."""
        b = Body(
            self, module, f'{module}.test "{node.name.value}"', self._tables.bag.add, concrete=True
        )
        b.result = UNIT
        return self._run(b, node.body, node.name.span)

    # -- instances

    def instance(self, key: InstanceKey) -> TypedFunction:
        """The typed tree of an instance, checked once. Raises CompileError."""
        made = self._made.get(key)
        if made is not None:
            return made
        copies = self._copies[key.function] = self._copies.get(key.function, 0) + 1
        if copies > MAX_INSTANCES:
            at = self._tables.functions[key.function].span
            found = error("E0336", f"there is no end of copies of `{short(key.function)}`", at)
            found = found.with_note(f"more than {MAX_INSTANCES} instances, the last for {key.text}")
            raise CompileError(
                found.with_help("let a recursive call keep ranks, consts and structures")
            )
        self._made[key] = None
        try:
            found_errors = Bag()
            done = (
                self._lambda(key, found_errors) if key.lifted else self._function(key, found_errors)
            )
            if found_errors.has_errors:
                note = f"in the instance {key.text}"
                raise CompileError(d.with_note(note) for d in found_errors.diagnostics)
        except BaseException:
            del self._made[key]
            raise
        self._made[key] = done
        return done

    def _lambda(self, key: InstanceKey, bag: Bag) -> TypedFunction:
        assert key.lifted is not None
        b, params, dims = lambda_body(self, key, bag.add)
        v = settle(b, b.expr(key.lifted.node.body))
        b.emit(typed.Return(v.expr, (), span=key.lifted.node.body.span))
        body = pruned(b.out)
        names = dict.fromkeys((*(n for n in dims), *dim_names(*(p.type for p in params))))
        own = tuple(n for n in names if any(n in d.symbols() for d in dims.values()) or n in names)
        wanted = dict.fromkeys((*(p for _, p in key.lifted.dims), *dim_names(*key.params)))
        assert set(dim_names(*(p.type for p in params))) <= set(wanted), own
        return TypedFunction(
            key=key,
            name=key.text,
            dims=tuple(wanted),
            params=params,
            result=v.type,
            unknowns=(),
            body=body,
            effects=self._with_callees(b.found),
            checkpoint=None,
            vjp=None,
            batch=None,
            exported=False,
            span=key.lifted.node.span,
        )

    def _with_callees(self, found: Found) -> Effects:
        e = found.effects
        for name in found.calls:
            c = self.effects(name)
            e = Effects(e.writes, e.draws or c.draws, e.fails or c.fails, e.diverges or c.diverges)
        return e

    def _function(self, key: InstanceKey, bag: Bag) -> TypedFunction:
        item = self._tables.functions[key.function]
        sig = self._tables.signatures[key.function]
        assert sig is not None and item.node.body is not None
        keep = bool(key.rows) and has_tangent(sig.result)
        b, params, body, result = self._attempt(key, item, sig, bag, keep)
        if keep and any(stored(t) != stored(result) for t in b.found.returns):
            b, params, body, result = self._attempt(key, item, sig, Bag(), False)
        deco = self.decorated.get(key.function, Decorated())
        return TypedFunction(
            key=key,
            name=item.name,
            dims=instance_dims(sig, key),
            params=params,
            result=result,
            unknowns=sig.unknowns,
            body=body,
            effects=self.effects(key.function),
            checkpoint=deco.checkpoint,
            vjp=None if deco.rule is None else self._rule(key, sig, deco.rule, params),
            batch=deco.batch,
            exported=item.node.exported,
            span=item.node.name.span,
        )

    def _attempt(
        self, key: InstanceKey, item: FunctionItem, sig: Signature, bag: Bag, keep: bool
    ) -> tuple[Body, tuple[TypedParam, ...], Block, Type]:
        b, params = function_body(self, item.module, sig, instance_bindings(key), True, bag.add)
        b.keep_rows = keep
        body = self._run(b, item.node.body or (), item.node.name.span)
        result = b.result
        if keep and b.found.returns:
            result = with_rows(result, b.found.returns[0])
        return b, params, body, result

    def _rule(
        self, key: InstanceKey, sig: Signature, rule: str, params: tuple[TypedParam, ...]
    ) -> VjpRule | None:
        """The instance of a `@vjp` rule, and its dims in terms of the function's."""
        r = self._tables.signatures.get(rule)
        if r is None:
            return None
        by_name = {p.local.name: p.type for p in params}
        given = tuple(replace(p, type=by_name.get(p.name, p.type)) for p in sig.params)
        result = instance_bindings(key).rewrite()(sig.result)
        m = match_rule(self._tables, replace(sig, params=given, result=result), r)
        if m is None:
            return None
        found = called(self._tables, r, m, {}, {}, {})
        return VjpRule(found.key, found.dims)

    def entry(self, function: str, consts: Mapping[str, Static]) -> InstanceKey:
        """The key of a function that callers outside the program can name (E0601, E0602)."""
        sig = self._tables.signatures.get(function)
        item = self._tables.functions.get(function)
        if sig is None or item is None:
            found = error("E0602", f"no function `{short(function)}`")
            raise CompileError(
                did_you_mean(found, short(function), map(short, self._tables.signatures))
            )
        defaults: dict[str, Static | None] = {g.name: g.default for g in sig.generics}
        for p in sig.params:
            if isinstance(p.default, (int, str)):
                defaults[p.name] = p.default
        fixed: list[tuple[str, Static]] = []
        missing: list[str] = []
        for n in sig.consts:
            value = consts.get(n, defaults.get(n))
            if value is None:
                missing.append(n)
            else:
                fixed.append((n, value))
        if missing:
            text = f"`{', '.join(missing)}` of `{short(function)}` must be known when compiling"
            names = [full_name(self._tables, sig, n) for n in missing]
            bind = ",".join(f"{n}=8" for n in names)
            keys = ", ".join(f'"{n}": 8' for n in names)
            found = error("E0601", text, item.span)
            raise CompileError(found.with_help(f"`--bind {bind}`, in Python `bind={{{keys}}}`"))
        if any(g.kind is not None or g.value for g in sig.generics) or sig.runs:
            text = f"`{short(function)}` leaves types open and cannot be an entry"
            raise CompileError(
                error("E0602", text, item.span).with_help("call it from one that does not")
            )
        return InstanceKey(function, consts=tuple(fixed))


def full_name(tables: Tables, sig: Signature, const: str) -> str:
    """What binds a const of an export and nothing else: `m.L` where it is a dim of the model `m`,
    `f.K`."""
    for p in sig.params:
        if isinstance(p.type, Model):
            for own, d in zip(tables.dims_of(p.type.name) or (), p.type.dims, strict=False):
                if d.name == const:
                    return f"{p.name}.{own.name}"
    return f"{short(sig.name)}.{const}"


def a_type(b: Body) -> str:
    """`a f32`, for a message."""
    return f"a {b.show_result()}"


def unrolls(node: tree.FnDef) -> bool:
    """Whether a function contains a `static for`."""
    return any(isinstance(n, tree.For) and n.static for n in walk(node))


def has_tangent(t: Type) -> bool:
    """Whether a result may be stored as `Rows` somewhere."""
    if isinstance(t, Tuple):
        return any(map(has_tangent, t.items))
    return isinstance(t, Tangent) or (isinstance(t, Tensor) is False and not isinstance(t, Unit))


def stored(t: Type) -> tuple[object, ...]:
    """How the tangents of a type are stored."""
    if isinstance(t, Tuple):
        return tuple(map(stored, t.items))
    return (type(t).__name__ == "Rows", t.rows if isinstance(t, Tangent) else ())


def callees(f: TypedFunction) -> tuple[InstanceKey, ...]:
    """The instances that an instance calls or differentiates, in order."""
    out: dict[InstanceKey, None] = {}
    for n in nodes(f.body):
        if isinstance(n, (typed.CallFunction, typed.Gradient, typed.FixpointCall)):
            out[n.key] = None
    if f.vjp is not None:
        out[f.vjp.key] = None
    return tuple(out)
