"""The state of checking one body: names, facts about dims, the block being written.

A body is checked for its generic text (element types, runs and structures stay open) or for one
instance. All rules get the body and a node; they report into it and go on: a failed expression has
the type UNKNOWN."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

from dlc.check import typed
from dlc.check.decls import Signature
from dlc.check.instances import FunctionValue, InstanceKey, Static
from dlc.check.tables import Tables
from dlc.check.typed import Expr, Local, Stmt
from dlc.diag import Diagnostic, Edit, Span, error
from dlc.syntax import tree
from dlc.typesys.dims import ZERO, Dim, DimError
from dlc.typesys.dtypes import DType
from dlc.typesys.surface import (
    UNKNOWN,
    DTypeVar,
    Element,
    Function,
    Rewrite,
    Shape,
    Tensor,
    Type,
    Unknown,
    dim_names,
    short,
)


@dataclass(frozen=True, slots=True, eq=False)
class Atom:
    """A dim that is the value of one version of a whole-number variable, or an unknown. Its
    definition is dropped in the end if no type mentions it."""

    name: str
    base: str
    span: Span
    origin: str


@dataclass(frozen=True, slots=True)
class Clash:
    """Why a variable cannot be read: it has another type on another path."""

    one: Type
    one_at: Span
    other: Type
    other_at: Span


@dataclass(frozen=True, slots=True)
class Variable:
    """A name that holds a value. `how`: param, mut, local, loop, pattern, lambda. `dim` is the
    value of a whole number as a dim. `written`: where a part of it was changed last. `spent`: where
    a key was used. `missing`: there is a path without a value; the place where it has one."""

    local: Local
    type: Type
    how: str
    span: Span
    dim: Dim | None = None
    written: Span | None = None
    spent: Span | None = None
    missing: Span | None = None
    clash: Clash | None = None


@dataclass(frozen=True, slots=True)
class Constant:
    """A name whose value is known when compiling; a Dim while the generic text is checked."""

    value: Static | Dim
    span: Span


@dataclass(frozen=True, slots=True)
class FunctionSlot:
    """A static function parameter; `value` is None while the generic text is checked, `type` where
    a closure captured it. A closure's names mean what they meant where it was written: `env` and
    `dims` bring them here."""

    type: Function | None
    value: FunctionValue | None
    span: Span
    env: Mapping[str, Binding] = field(default_factory=dict[str, "Binding"])
    dims: Mapping[str, Dim] = field(default_factory=dict[str, Dim])


Binding: TypeAlias = Variable | Constant | FunctionSlot


@dataclass(frozen=True, slots=True)
class Val:
    """A checked expression, and its value as a dim where it has one."""

    expr: Expr
    dim: Dim | None = None

    @property
    def type(self) -> Type:
        return self.expr.type

    @property
    def span(self) -> Span:
        return self.expr.span

    @property
    def is_bad(self) -> bool:
        return isinstance(self.expr.type, Unknown)


Rule: TypeAlias = "Callable[[Body, Any, Type | None], Val]"
Special: TypeAlias = "Callable[[Body, tree.Call, Type | None], Val]"


class World(Protocol):
    """What the rules need of the program and of each other."""

    @property
    def tables(self) -> Tables: ...

    def rule(self, node: tree.Node) -> Rule: ...

    def special(self, name: str) -> Special: ...

    def statement(self, b: Body, s: tree.Stmt) -> str: ...

    def convert(self, dtype: DType | DTypeVar, b: Body, node: tree.Call) -> Val: ...

    def function(self, key: InstanceKey) -> typed.TypedFunction | None:
        """The typed tree of an instance; None while it is being made (it calls itself)."""
        ...

    def effects(self, name: str) -> typed.Effects:
        """What a function may do, as far as it is known while bodies are checked."""
        ...


@dataclass
class Loop:
    """A loop around the current place: slots that are carried and their types, states at its
    exits."""

    carried: dict[str, Variable]
    header: Span
    breaks: list[dict[str, Binding]] = field(default_factory=list[dict[str, Binding]])
    before: dict[str, Variable] = field(default_factory=dict[str, Variable])
    static: bool = False


@dataclass
class Found:
    """What a body is found to do."""

    effects: typed.Effects = typed.PURE
    calls: dict[str, None] = field(default_factory=dict[str, None])
    structural: list[tuple[str, tuple[tuple[int, int], ...]]] = field(
        default_factory=list[tuple[str, tuple[tuple[int, int], ...]]]
    )
    returns: list[Type] = field(default_factory=list[Type])


class Body:
    """One body being checked."""

    def __init__(
        self,
        world: World,
        module: str,
        name: str,
        report: Callable[[Diagnostic], None],
        *,
        concrete: bool,
    ) -> None:
        self.world = world
        self.tables = world.tables
        self.module = module
        self.name = name
        self.concrete = concrete
        self.signature: Signature | None = None
        self.consts: frozenset[str] = frozenset()
        self.env: dict[str, Binding] = {}
        self.dim_names: dict[str, Dim] = {}
        self.runs: Mapping[str, Shape] = {}
        self.elements: Mapping[str, Element] = {}
        self.values: Mapping[str, Type] = {}
        self.keep_rows = False
        self.turns = 0
        self.facts: dict[str, Dim] = {}
        self.out: list[Stmt] = []
        self.loops: list[Loop] = []
        self.result: Type = UNKNOWN
        self.unknowns: tuple[str, ...] = ()
        self.found = Found()
        self.atoms: dict[str, Atom] = {}
        self.lambda_names: list[frozenset[str]] = []
        self.later: list[Callable[[], None]] = []
        self.here: Span | None = None
        self._report = report
        self._locals = 0
        self._slots: dict[str, Local] = {}
        self._names: dict[str, int] = {}

    # -- diagnostics

    def report(self, found: Diagnostic) -> None:
        self._report(found)

    def fail(self, found: Diagnostic) -> Val:
        """Report, and the value of a failed expression."""
        self._report(found)
        assert found.primary is not None
        return bad(found.primary.span)

    def show(self, x: Type | Dim | object) -> str:
        """A type or dim as people know it: versions of a name carry their line."""
        return _NAMES.sub(self._shown, str(x))

    def _shown(self, m: re.Match[str]) -> str:
        atom = self.atoms.get(m.group(0))
        if atom is None or atom.name == atom.base:
            return m.group(0)
        return f"{atom.base} (line {atom.span.line})"

    def before(self, line: str) -> tuple[Edit, ...]:
        """The edit that puts a line before the current statement."""
        if self.here is None:
            return ()
        source = self.here.source
        start = source.line_start(self.here.line)
        indent = source.text[start : self.here.start]
        if indent.strip():
            return ()
        at = Span(source, self.here.start, self.here.start)
        return (Edit(at, f"{line}\n{indent}"),)

    def new_name(self, name: str) -> str:
        """The name, or one like it that means nothing here yet."""
        made, n = name, 1
        while made in self.env or made in self.dim_names:
            n += 1
            made = f"{name}{n}"
        return made

    def can_write(self, *dims: Dim | Type) -> bool:
        """Whether the names of dims can be written here."""
        for d in dims:
            names = d.symbols() if isinstance(d, Dim) else dim_names(d)
            for n in names:
                head = n.split(".")[0]
                known = n in self.dim_names or head in self.env
                if not known or (n in self.atoms and self.atoms[n].base != n):
                    return False
                if n in self.atoms and n not in self.env:
                    return False
        return True

    @property
    def name_text(self) -> str:
        return short(self.name)

    def show_result(self) -> str:
        """The declared result type, unknowns as they were written."""
        text = self.show(self.result)
        for u in self.unknowns:
            text = re.sub(rf"(?<![\w.?]){re.escape(u)}(?![\w.])", f"?{u}", text)
        return text

    # -- generics

    def run(self, name: str) -> Shape | None:
        """The dims of `*S`."""
        return self.runs.get(name)

    def element(self, name: str) -> Element | None:
        """What a generic element type is here."""
        return self.elements.get(name)

    def value(self, name: str) -> Type | None:
        """What a generic structure is here."""
        return self.values.get(name)

    # -- expressions

    def expr(self, node: tree.Expr, want: Type | None = None) -> Val:
        """An expression; a literal's element type may still be open."""
        return self.world.rule(node)(self, node, want)

    # -- dims

    def norm(self, d: Dim) -> Dim:
        """A dim in normal form under the facts of this place."""
        if not self.facts:
            return d
        try:
            return d.substitute(self.facts)
        except DimError:
            return d

    def norm_type(self, t: Type) -> Type:
        return Rewrite(dim=self.norm)(t) if self.facts else t

    def is_static(self, d: Dim) -> bool:
        """Whether a dim is known when compiling (in every instance)."""
        return all(s in self.consts for s in d.symbols())

    def learn(self, a: Dim, b: Dim) -> bool:
        """From here on `a == b`. False if no fact could be made of it (it stays a check)."""
        try:
            difference = self.norm(a) - self.norm(b)
        except DimError:
            return False
        if difference == ZERO:
            return True
        ranked = sorted(difference.symbols(), key=self._rank)
        for s in ranked:
            k = difference.coefficient(s)
            if k is None or not k.is_constant or abs(k.constant) != 1:
                continue
            value = Dim.sym(s) - difference * k.constant
            try:
                self.facts = {n: d.substitute({s: value}) for n, d in self.facts.items()}
            except DimError:
                continue
            self.facts[s] = value
            return True
        return False

    def _rank(self, name: str) -> tuple[int, int]:
        """Which name to replace first: the youngest unknown, then signature dims from the right."""
        order = list(self.atoms)
        if name in self.atoms:
            return (0, -order.index(name))
        known = list(self.dim_names)
        return (1, -known.index(name) if name in known else 0)

    def fresh_atom(self, base: str, span: Span, origin: str) -> Atom:
        """A new dim with a name of its own."""
        n = self._names.get(base, 0)
        name = base if n == 0 else f"{base}.{n}"
        while name in self.dim_names or name in self.atoms:
            n += 1
            name = f"{base}.{n}"
        self._names[base] = n + 1
        atom = Atom(name, base, span, origin)
        self.atoms[name] = atom
        return atom

    # -- names

    def fresh_local(self, name: str) -> Local:
        self._locals += 1
        return Local(name, self._locals)

    def lookup(self, name: str) -> Binding | None:
        return self.env.get(name)

    def emit(self, s: Stmt) -> None:
        self.out.append(s)
        if isinstance(s, (typed.AssignAt, typed.AssignRows, typed.AssignListAt, typed.Push)):
            for name, v in tuple(self.env.items()):
                if isinstance(v, Variable) and v.local == s.local:
                    self.update(name, written=s.span)

    def flush(self) -> None:
        """What calls with `mut` arguments left to do after their statement."""
        while self.later:
            self.later.pop(0)()

    def bind(
        self,
        name: str,
        t: Type,
        how: str,
        span: Span,
        local: Local | None = None,
        dim: Dim | None = None,
    ) -> Variable:
        """A new value of a name; a variable keeps its slot. A whole number that is no known dim
        gets a dim of its own, defined here if any type mentions it."""
        if local is None:
            local = self.slot(name) if how == "local" else self.fresh_local(name)
        made = Variable(local, t, how, span, dim or self.version(name, t, span, local))
        self.env[name] = made
        return made

    def slot(self, name: str) -> Local:
        """The slot of a variable: one for each name of a function."""
        if name not in self._slots:
            self._slots[name] = self.fresh_local(name)
        return self._slots[name]

    def version(self, name: str, t: Type, span: Span, local: Local) -> Dim | None:
        """A new dim for the whole number that the slot now holds, defined here when used."""
        if not is_whole(t):
            return None
        atom = self.fresh_atom(name, span, f"`{name}`")
        self.emit(typed.DefineDim(atom.name, local, span=span))
        return Dim.sym(atom.name)

    def update(self, name: str, **changes: object) -> None:
        before = self.env[name]
        assert isinstance(before, Variable)
        self.env[name] = replace(before, **changes)  # type: ignore[arg-type]

    # -- effects

    def does(
        self,
        *,
        writes: bool = False,
        draws: bool = False,
        fails: bool = False,
        diverges: bool = False,
    ) -> None:
        e = self.found.effects
        self.found.effects = typed.Effects(
            e.writes or writes, e.draws or draws, e.fails or fails, e.diverges or diverges
        )


_NAMES = re.compile(r"[A-Za-z_][\w.]*")


def is_whole(t: Type) -> bool:
    """Whether a value of the type can be a dim: an i32 scalar."""
    return isinstance(t, Tensor) and not t.shape and getattr(t.dtype, "name", "") == "i32"


def bad(span: Span) -> Val:
    """The value of a failed expression."""
    return Val(typed.Literal(0, type=UNKNOWN, span=span))


def not_static(span: Span, what: str) -> Diagnostic:
    """E0328: something that must be known when compiling is not."""
    found = error("E0328", f"{what} must be known when compiling", span)
    return found.with_help("write a number, or a name of `[K: const]`")
