"""The structural rules of the IR, said once and checked everywhere.

Values and dim names are defined once, before their uses, in a region that encloses these; every
region ends with its terminator; structured operations and calls agree with what they enclose or
call. What a single operation demands of its types is its card's business: `dlc.ops.verify` runs
both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dlc.diag import InternalError
from dlc.ir.core import AdtDecl, Function, Module, Op, Region, Value
from dlc.ir.places import function_line, op_lines
from dlc.ir.rewrite import attr_symbols
from dlc.ir.structure import STRUCTURED, Rules
from dlc.typesys.dims import Dim
from dlc.typesys.types import AdtType, ListType, Type, substitute_type, type_symbols

OpRule = Callable[[Op], str | None]
"""What is wrong with an operation that has no regions and is no call, or None."""


@dataclass(frozen=True)
class Problem:
    """One broken rule: in which function, at which operation and line of the printed text."""

    function: str
    op: str
    line: int
    message: str

    def __str__(self) -> str:
        at = f" {self.op}" if self.op else ""
        return f"@{self.function}, line {self.line}{at}: {self.message}"


class VerifyError(InternalError):
    """IR that breaks the rules: a bug of the stage before."""

    def __init__(self, problems: Sequence[Problem], stage: str) -> None:
        self.problems = tuple(problems)
        text = "\n  ".join(map(str, problems[:20]))
        super().__init__(f"the IR is broken\n  {text}", stage=stage, op=problems[0].op)


def problems_of(m: Module, rule: OpRule | None = None) -> list[Problem]:
    """Every broken rule of the module, in order of the text."""
    found: list[tuple[Function | None, Op | None, str]] = []
    for message in _adt_problems(m.types):
        found.append((None, None, message))
    for name, fn in m.functions.items():
        if name != fn.name:
            found.append((fn, None, f"listed as @{name}"))
        checker = _Checker(m, fn, rule)
        checker.run()
        found += [(fn, op, message) for op, message in checker.found]
    if not found:
        return []
    lines = op_lines(m)
    return [
        Problem(
            fn.name if fn else "",
            op.name if op else "",
            lines.get(op, 0) if op else function_line(m, fn) if fn else 0,
            message,
        )
        for fn, op, message in found
    ]


def _adt_problems(types: Mapping[str, AdtDecl]) -> Iterator[str]:
    for name, t in types.items():
        if name != t.name:
            yield f"type @{t.name} is listed as @{name}"
        if not t.constructors:
            yield f"type @{t.name} has no constructor"
        if len({c.name for c in t.constructors}) != len(t.constructors):
            yield f"type @{t.name} has two constructors of one name"
        for c in t.constructors:
            known = {*t.dims, *c.dims}
            if len(known) != len(t.dims) + len(c.dims):
                yield f"@{t.name}.{c.name} names a dim twice"
            for f in c.fields:
                for s in type_symbols(f.type):
                    if s not in known:
                        yield f"@{t.name}.{c.name}.{f.name}: the dim {s} is not declared"
                for message in _adt_uses(types, f.type):
                    yield f"@{t.name}.{c.name}.{f.name}: {message}"


def _adt_uses(types: Mapping[str, AdtDecl], t: Type) -> Iterator[str]:
    """What is wrong with the algebraic types that a type mentions."""
    if isinstance(t, ListType):
        if not t.columns:
            yield "a list without columns"
        for c in t.columns:
            yield from _adt_uses(types, c)
    elif isinstance(t, AdtType):
        decl = types.get(t.name)
        if decl is None:
            yield f"there is no type @{t.name}"
        elif len(decl.dims) != len(t.dims):
            yield f"@{t.name} has {len(decl.dims)} dims, not {len(t.dims)}"


class _Checker:
    """One function. Scopes are sets that grow along a region and are restored after it."""

    def __init__(self, m: Module, fn: Function, rule: OpRule | None) -> None:
        self.m, self.fn, self.rule = m, fn, rule
        self.found: list[tuple[Op | None, str]] = []
        self.rules = Rules(m)
        self.values: set[Value] = set()
        self.dims: set[str] = set()
        self.all_values: set[Value] = set()
        self.all_dims: set[str] = set()

    def run(self) -> None:
        fn = self.fn
        self._define_dims(None, fn.dims)
        for p in fn.params:
            self._define(None, p)
        for d in fn.result_dims:
            if d in self.all_dims:
                self._say(None, f"the result dim {d} is a dim of the function too")
        for t in fn.result_types:
            self._known(None, "a result", type_symbols(t), {*self.dims, *fn.result_dims})
            self._adts(None, t)
        if fn.body.params or fn.body.dims:
            self._say(None, "the outermost region has parameters or dims")
        self._region(None, fn.body, "return")
        if fn.body.ops and fn.body.terminator.name == "return":
            self._returns(fn.body.terminator)

    def _say(self, op: Op | None, message: str) -> None:
        self.found.append((op, message))

    # -- scopes

    def _define_dims(self, op: Op | None, names: Iterable[str]) -> None:
        for d in names:
            if d in self.all_dims:
                self._say(op, f"the dim {d} is defined twice")
            self.all_dims.add(d)
            self.dims.add(d)

    def _define(self, op: Op | None, v: Value) -> None:
        if v in self.all_values:
            self._say(op, f"{v} is defined twice")
        self._known(op, f"the type of {v}", type_symbols(v.type), self.dims)
        self._adts(op, v.type)
        self.all_values.add(v)
        self.values.add(v)

    def _known(
        self, op: Op | None, what: str, symbols: Iterable[str], scope: set[str]
    ) -> None:  # fmt: skip
        for s in symbols:
            if s not in scope:
                self._say(op, f"{what} mentions the dim {s}, which is not in scope")

    def _adts(self, op: Op | None, t: Type) -> None:
        for message in _adt_uses(self.m.types, t):
            self._say(op, message)

    # -- regions and operations

    def _region(self, op: Op | None, r: Region, end: str) -> None:
        values, dims = set(self.values), set(self.dims)
        self._define_dims(op, r.dims)
        for p in r.params:
            self._define(op, p)
        if not r.ops:
            self._say(op, "a region without a terminator")
        for i, inner in enumerate(r.ops):
            last = i == len(r.ops) - 1
            if last and inner.name != end:
                self._say(inner, f"a region that ends with `{inner.name}` instead of `{end}`")
            if not last and inner.name in ("yield", "return"):
                self._say(inner, "a terminator in the middle of a region")
            self._op(inner)
        self.values, self.dims = values, dims

    def _op(self, op: Op) -> None:
        for v in op.operands:
            if v not in self.values:
                self._say(op, f"{v} is used outside of the scope of its definition")
        for key, a in op.attrs.items():
            self._known(op, f"`{key}`", attr_symbols(a), self.dims)
        for r in op.regions:
            self._region(op, r, "yield")
        if op.name in STRUCTURED:
            if all(r.ops for r in op.regions):
                for message in self.rules.check(op):
                    self._say(op, message)
        else:
            if op.regions:
                self._say(op, f"`{op.name}` has no regions")
            wrong = self.rule(op) if self.rule else None
            if wrong is not None:
                self._say(op, wrong)
        self._define_dims(op, op.dims)
        for v in op.results:
            self._define(op, v)

    def _returns(self, end: Op) -> None:
        fn, given = self.fn, end.attr_dims()
        if len(given) != len(fn.result_dims):
            self._say(end, f"returns {len(given)} hidden sizes, not {len(fn.result_dims)}")
            return
        bind: dict[str, Dim] = dict(zip(fn.result_dims, given, strict=True))
        want = [substitute_type(t, bind) for t in fn.result_types]
        got = [v.type for v in end.operands]
        if want != got:
            self._say(end, f"returns {_list(got)}, not {_list(want)}")


def _list(types: Sequence[Type]) -> str:
    return f"({', '.join(map(str, types))})"
