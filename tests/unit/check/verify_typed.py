"""A verifier of typed trees: what the module `dlc.check.typed` promises to whoever reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from dlc.check import typed
from dlc.check.engine import callees
from dlc.check.instances import InstanceKey
from dlc.check.program import Checked
from dlc.check.typed import Block, Expr, Local, TypedFunction
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DType
from dlc.typesys.surface import (
    Function,
    List,
    Rows,
    Tangent,
    Tensor,
    Text,
    Tuple,
    Type,
    Unit,
    Unknown,
    ValueVar,
    dim_names,
    items,
    parts,
    substitute_dims,
)


class Wrong(AssertionError):
    """A promise that a typed tree breaks."""


def closure(c: Checked, keys: list[InstanceKey]) -> dict[InstanceKey, TypedFunction]:
    """The instances and all that they call."""
    seen: dict[InstanceKey, TypedFunction] = {}
    work = list(keys)
    while work:
        key = work.pop()
        if key not in seen:
            seen[key] = c.instance(key)
            work.extend(callees(seen[key]))
    return seen


def verify_program(c: Checked, consts: Mapping[str, int] | None = None) -> int:
    """Verify every instance that exports and tests need; how many there are."""
    keys = [c.entry(e, consts) for e in c.exports]
    for t in c.tests:
        v = Verifier(c, None)
        v.block(t.body)
        keys += v.keys
    found = closure(c, keys)
    for f in found.values():
        verify_function(c, f)
    return len(found)


def verify_function(c: Checked, f: TypedFunction) -> None:
    v = Verifier(c, f)
    for p in f.params:
        v.concrete(p.type, f"parameter {p.local.name}")
        v.slots[p.local] = p.type
    v.block(f.body)
    if not isinstance(f.result, Unit) and not v.ends(f.body):
        raise Wrong(f"{f.key.text}: a path runs out")


class Verifier:
    """One body. `slots` are the types that slots hold now, `dims` the dim names that exist."""

    def __init__(self, c: Checked, f: TypedFunction | None) -> None:
        self.c = c
        self.f = f
        self.where = "test" if f is None else f.key.text
        self.slots: dict[Local, Type] = {}
        self.dims: set[str] = set() if f is None else set(f.dims)
        self.keys: list[InstanceKey] = []

    def fail(self, text: str, node: typed.Typed | None = None) -> Wrong:
        at = "" if node is None else f" at {node.span}: {node.span.text[:60]!r}"
        return Wrong(f"{self.where}: {text}{at}")

    # -- types

    def concrete(self, t: Type, what: str, node: typed.Typed | None = None) -> None:
        if isinstance(t, (ValueVar, Unknown, Text, Function)):
            raise self.fail(f"{what} has type {t}", node)
        dtype = getattr(t, "dtype", None)
        if dtype is not None and not isinstance(dtype, DType):
            raise self.fail(f"{what} has the element type {dtype}", node)
        for d in items(t):
            if not isinstance(d, Dim):
                raise self.fail(f"{what} has an open shape {t}", node)
        for name in dim_names(t):
            if name not in self.dims and not (self.f and name in self.f.unknowns):
                raise self.fail(f"{what} is {t}: `{name}` is not defined", node)
        for p in parts(t):
            self.concrete(p, what, node)

    def dim(self, d: Dim, node: typed.Typed) -> None:
        for s in d.symbols():
            if s not in self.dims:
                raise self.fail(f"dim {d}: `{s}` is not defined", node)

    def same(self, got: Type, want: Type, what: str, node: typed.Typed) -> None:
        if got != want:
            raise self.fail(f"{what}: {got} is not {want}", node)

    # -- statements

    def ends(self, body: Block) -> bool:
        for s in body:
            if isinstance(s, (typed.Return, typed.Break, typed.Continue)):
                return True
            if isinstance(s, typed.If) and s.then_ends and s.else_ends:
                return True
            if isinstance(s, typed.Match) and all(a.ends for a in s.arms):
                return True
        return False

    def block(self, body: Block) -> None:
        for s in body:
            self.statement(s)

    def statement(self, s: typed.Stmt) -> None:
        for name in ("value", "cond", "subject", "start", "stop", "iterable", "index", "indices"):
            e = getattr(s, name, None)
            if isinstance(e, typed.Expression) and not isinstance(s, typed.While):
                self.expr(e)
        match s:
            case typed.Assign():
                self.slots[s.local] = s.value.type
            case typed.Unpack():
                t = s.value.type
                assert isinstance(t, Tuple) and len(t.items) == len(s.locals)
                for local, part in zip(s.locals, t.items, strict=True):
                    if local is not None:
                        self.slots[local] = part
            case typed.AssignAt():
                self.subs(s.subs)
                self.assigned(s.local, s)
            case typed.AssignRows() | typed.AssignListAt() | typed.Push():
                t = self.assigned(s.local, s)
                if not isinstance(s, typed.AssignRows):
                    assert isinstance(t, List)
                    self.same(s.value.type, t.element, "element", s)
            case typed.DefineDim():
                self.same(self.assigned(s.local, s), Tensor(_I32), "a dim's slot", s)
                self.dims.add(s.name)
            case typed.CheckDims():
                for name, d in s.define:
                    self.dim(d, s)
                    self.dims.add(name)
                for a, b in s.equations:
                    self.dim(a, s)
                    self.dim(b, s)
            case typed.If():
                self.arms([(s.then, s.then_ends, ()), (s.orelse, s.else_ends, ())], s.joins, s)
            case typed.Match():
                arms = []
                for a in s.arms:
                    bound = tuple((l, t) for l, t in zip(a.fields, a.field_types, strict=True) if l)
                    arms.append((a.body, a.ends, bound))
                self.arms(arms, s.joins, s)
            case typed.While() | typed.ForRange() | typed.ForEach():
                self.loop(s)
            case typed.Return():
                self.returned(s)
            case _:
                pass

    def assigned(self, local: Local, node: typed.Typed) -> Type:
        if local not in self.slots:
            raise self.fail(f"slot {local} holds nothing", node)
        return self.slots[local]

    def arms(self, arms: list, joins: tuple[typed.Joined, ...], node: typed.Typed) -> None:
        before, dims = dict(self.slots), set(self.dims)
        going: list[tuple[dict[Local, Type], set[str]]] = []
        for body, ends, bound in arms:
            self.slots, self.dims = dict(before), set(dims)
            for local, t in bound:
                self.concrete(t, "pattern", node)
                self.slots[local] = t
            self.block(body)
            if bool(ends) != self.ends(body):
                raise self.fail("an arm's end is not as it says", node)
            if not ends:
                going.append((self.slots, self.dims))
        if len(going) == 1:
            self.slots, self.dims = going[0]
            return
        self.slots, self.dims = dict(before), dims
        for local in before:
            if any(g[0].get(local) != before[local] for g in going):
                self.slots.pop(local, None)
        for j in joins:
            for slots, _ in going:
                if local_type(slots, j.local) != j.type:
                    raise self.fail(f"{j.local.name} is {slots.get(j.local)}, not {j.type}", node)
            self.concrete(j.type, j.local.name, node)
            self.slots[j.local] = j.type

    def loop(self, s: typed.While | typed.ForRange | typed.ForEach) -> None:
        for j in s.carried:
            self.same(self.assigned(j.local, s), j.type, f"carried {j.local.name}", s)
        before, dims = dict(self.slots), set(self.dims)
        if isinstance(s, typed.ForRange) and s.local is not None:
            self.slots[s.local] = Tensor(_I32)
        if isinstance(s, typed.ForEach):
            for local, t in zip(s.locals, s.element_types, strict=True):
                self.concrete(t, "loop variable", s)
                if local is not None:
                    self.slots[local] = t
        if isinstance(s, typed.While):
            self.expr(s.cond)
        self.block(s.body)
        if not self.ends(s.body):
            for j in s.carried:
                self.same(self.assigned(j.local, s), j.type, f"{j.local.name} after a turn", s)
        for local in before:
            changed = self.slots.get(local) != before[local]
            if changed and all(j.local != local for j in s.carried):
                raise self.fail(f"{local.name} changes in the loop but is not carried", s)
        self.slots, self.dims = before, dims

    def returned(self, s: typed.Return) -> None:
        if self.f is None:
            return
        if s.value is None:
            if not isinstance(self.f.result, Unit):
                raise self.fail("a return without a value", s)
            return
        bind = dict(s.unknowns)
        for d in bind.values():
            self.dim(d, s)
        if set(bind) != set(self.f.unknowns):
            raise self.fail("unknowns of the result are not bound", s)
        self.same(s.value.type, substitute_dims(self.f.result, bind), "return", s)

    # -- expressions

    def subs(self, subs: tuple[typed.Sub, ...]) -> None:
        for s in subs:
            if isinstance(s, typed.At):
                self.expr(s.index)
            elif isinstance(s, typed.Cut):
                self.expr(s.start)
                self.dim(s.length, s)

    def expr(self, e: Expr) -> None:
        kept = self.slots
        if isinstance(e, (typed.CallFunction, typed.CallBuiltin, typed.CallOnnx)):
            self.dims.update(n for _, n in e.born)
        for f in fields(e):
            x = getattr(e, f.name)
            for y in x if isinstance(x, tuple) else (x,):
                if isinstance(y, typed.Lambda):
                    self.function(y)
                elif isinstance(y, typed.Expression):
                    self.expr(y)
                elif isinstance(y, tuple) and len(y) == 2 and isinstance(y[1], typed.Lambda):
                    self.function(y[1])
        self.slots = kept
        self.concrete(e.type, type(e).__name__, e)
        self.rule(e)

    def function(self, f: typed.Lambda) -> None:
        kept = dict(self.slots)
        for local, t in zip(f.params, f.param_types, strict=True):
            self.concrete(t, "a lambda's parameter", f)
            self.slots[local] = t
        for d in f.defines:
            self.statement(d)
        self.expr(f.body)
        self.slots = kept

    def rule(self, e: Expr) -> None:
        match e:
            case typed.Read():
                self.same(e.type, self.assigned(e.local, e), f"read of {e.local.name}", e)
            case typed.Elementwise():
                for a in e.args:
                    assert isinstance(a.type, Tensor) and isinstance(e.type, Tensor)
                    if a.type.shape != e.type.shape:
                        raise self.fail(f"operand {a.type} of {e.type}", e)
                if e.op not in ("where", "eq", "ne", "lt", "le", "gt", "ge"):
                    for a in e.args:
                        self.same(a.type, e.type, e.op, e)
                elif e.op != "where":
                    self.same(e.args[0].type, e.args[1].type, e.op, e)
            case typed.IfElse():
                self.same(e.then.type, e.type, "then", e)
                self.same(e.orelse.type, e.type, "else", e)
            case typed.TupleOf():
                items = tuple(i.type for i in e.items)
                self.same(Tuple(items) if e.items else Unit(), e.type, "tuple", e)
            case typed.ListOf():
                for i in e.items:
                    assert isinstance(e.type, List)
                    self.same(i.type, e.type.element, "element", e)
            case typed.TensorOf():
                for i in e.items:
                    self.same(i.type, e.items[0].type, "part", e)
            case typed.Contract():
                self.contract(e)
            case typed.CallFunction():
                self.called(e)
            case typed.Gradient() | typed.FixpointCall():
                self.keys.append(e.key)
                f = self.c.instance(e.key)
                args = e.args if isinstance(e, typed.Gradient) else (*e.captures, e.init)
                self.arguments(f, args, e.dims, e)
            case typed.DimValue():
                self.dim(e.dim, e)
            case typed.Slice():
                self.subs(e.subs)
            case typed.Literal():
                kind = e.type.concrete.kind if isinstance(e.type, Tensor) else ""
                wanted = {"float": float, "int": int, "bool": bool}[kind]
                if type(e.value) is not wanted:
                    raise self.fail(f"literal {e.value!r} of {e.type}", e)
            case _:
                pass

    def contract(self, e: typed.Contract) -> None:
        inputs, output = e.spec.split("->")
        seen: dict[str, Dim] = {}
        for letters, a in zip(inputs.split(","), e.args, strict=True):
            assert isinstance(a.type, Tensor)
            for letter, d in zip(letters, a.type.dims, strict=True):
                if seen.setdefault(letter, d) != d:
                    raise self.fail(f"`{letter}` is {seen[letter]} and {d}", e)
        assert isinstance(e.type, Tensor)
        if tuple(seen[x] for x in output) != e.type.dims:
            raise self.fail("the product's shape is wrong", e)

    def called(self, e: typed.CallFunction) -> None:
        self.keys.append(e.key)
        f = self.c.instance(e.key)
        self.arguments(f, e.args, e.dims, e)
        bind = {**dict(e.dims), **{u: Dim.sym(n) for u, n in e.born}}
        self.same(substitute_dims(f.result, bind), e.type, "result", e)
        for i, local in e.changed:
            if not f.params[i].mut:
                raise self.fail("a changed argument of a parameter that is not mut", e)
            self.slots[local] = e.args[i].type

    def arguments(
        self, f: TypedFunction, args: tuple[Expr, ...], dims: tuple, node: typed.Typed
    ) -> None:
        if tuple(n for n, _ in dims) != f.dims:
            raise self.fail(f"dims {[n for n, _ in dims]} for {f.dims}", node)
        for _, d in dims:
            self.dim(d, node)
        bind = dict(dims)
        if len(args) != len(f.params):
            raise self.fail(f"{len(args)} arguments for {len(f.params)}", node)
        for a, p in zip(args, f.params, strict=True):
            self.same(a.type, substitute_dims(p.type, bind), f"argument {p.local.name}", node)


def local_type(slots: Mapping[Local, Type], local: Local) -> Type | None:
    return slots.get(local)


_I32 = __import__("dlc.typesys.dtypes", fromlist=["I32"]).I32
_ = (Rows, Tangent)
