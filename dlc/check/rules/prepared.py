"""A call whose arguments fit, written down as a typed node."""

from __future__ import annotations

from dataclasses import dataclass, field

from dlc.check import typed
from dlc.check.body import Body, Val, Variable
from dlc.check.decls import Signature
from dlc.check.instances import FunctionValue, InstanceKey
from dlc.check.keys import called
from dlc.check.typed import Local
from dlc.check.unify import Matcher
from dlc.diag import Span
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DType
from dlc.typesys.surface import (
    Rows,
    Tangent,
    Tensor,
    Tuple,
    Type,
    ValueVar,
    short,
)

DRAWING = frozenset({"normal", "uniform", "bits", "permutation", "split", "splits"})
FAILING = frozenset(
    {"graph", "segs", "seg_range", "take", "scatter_add", "scatter_max", "sparse", "top_k", "pop"}
)


@dataclass
class Prepared:
    """A call whose arguments fit; what is needed to write it down."""

    sig: Signature
    matcher: Matcher
    args: dict[str, Val]
    result: Type
    born: tuple[tuple[str, str], ...]
    changed: dict[str, Local]
    consts: dict[str, int | str] = field(default_factory=dict[str, int | str])
    functions: dict[str, FunctionValue] = field(default_factory=dict[str, FunctionValue])
    captured: list[Val] = field(default_factory=list[Val])
    outer: dict[str, Dim] = field(default_factory=dict[str, Dim])

    def target(self, b: Body) -> tuple[InstanceKey, tuple[tuple[str, Dim], ...]]:
        """The instance and its dims; only meaningful where all is concrete."""
        if not b.concrete:
            return InstanceKey(self.sig.name), ()
        found = called(b.tables, self.sig, self.matcher, self.consts, self.functions, self.outer)
        return found.key, found.dims

    def operands(self) -> tuple[typed.Expr, ...]:
        """Arguments in the order of the instance's parameters."""
        own = [self.args[p.name].expr for p in self.sig.params if p.name in self.args]
        return (*own, *(v.expr for v in self.captured))

    def call(self, b: Body, span: Span) -> Val:
        if self.sig.builtin:
            return self._builtin(b, span)
        b.found.calls[self.sig.name] = None
        key, dims = self.target(b)
        names = [p.name for p in self.sig.params if p.name in self.args]
        changed = tuple((names.index(n), local) for n, local in self.changed.items())
        if changed:
            _changes(b, self)
        result = self._result(b, key)
        made = typed.CallFunction(
            key, self.operands(), dims, self.born, changed, type=result, span=span
        )
        return Val(made)

    def _result(self, b: Body, key: InstanceKey) -> Type:
        """The result's type; where tangents go in and come out, how they are stored is found from
        the instance."""
        if not key.rows or not b.concrete or not _has_tangent(self.sig.result):
            return self.result
        made = b.world.function(key)
        return self.result if made is None else with_rows(self.result, made.result)

    def _builtin(self, b: Body, span: Span) -> Val:
        name = short(self.sig.name)
        b.does(draws=name in DRAWING, fails=name in FAILING)
        m = self.matcher
        dtypes = tuple((n, e) for n, e in m.dtypes.items() if isinstance(e, DType))
        shapes = tuple(
            (r, tuple(d for d in m.runs.get(r, ()) if isinstance(d, Dim))) for r in self.sig.runs
        )
        dims = tuple((n, m.dims[f"?{n}"]) for n in self.sig.dims if f"?{n}" in m.dims)
        consts = tuple(self.consts.items())
        made = typed.CallBuiltin(
            name,
            self.operands(),
            dtypes,
            shapes,
            dims,
            consts,
            self.born,
            type=self.result,
            span=span,
        )
        return Val(made)


def _has_tangent(t: Type) -> bool:
    if isinstance(t, Tuple):
        return any(map(_has_tangent, t.items))
    return isinstance(t, Tangent) or isinstance(t, ValueVar)


def with_rows(here: Type, made: Type) -> Type:
    """A type with tangents stored as in the instance's result."""
    if isinstance(here, Tuple) and isinstance(made, Tuple):
        return Tuple(tuple(map(with_rows, here.items, made.items)))
    if isinstance(here, Tangent) and isinstance(made, Tangent):
        return Tangent(here.of, made.rows)
    if isinstance(here, Tensor) and isinstance(made, Rows) and len(here.shape) == 2:
        count, width = here.dims
        return Rows(here.dtype, count, width)
    return here


def _changes(b: Body, p: Prepared) -> None:
    """After this statement the slots that the call wrote have their declared types again, and new
    versions where they are whole numbers."""
    for name, local in p.changed.items():
        value = p.args[name]
        found = [n for n, v in b.env.items() if isinstance(v, Variable) and v.local == local]
        for n in found:
            v = b.env[n]
            assert isinstance(v, Variable)
            declared, span = v.type, value.span
            b.update(n, dim=None, type=value.type, written=value.span)

            def restore(
                n: str = n,
                t: Type = declared,
                now: Type = value.type,
                at: Span = span,
                local: Local = local,
            ) -> None:
                if t != now:
                    read = typed.Read(local, type=now, span=at)
                    b.emit(typed.Assign(local, typed.Retype(read, type=t, span=at), span=at))
                here = b.env.get(n)
                if isinstance(here, Variable):
                    b.update(n, type=t, dim=b.version(n, t, at, local))

            b.later.append(restore)
