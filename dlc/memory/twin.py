"""Runs a function of the form over formulas: what it needs of the arena, and leaves on the heap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from dlc.memory.cost import (
    ELEMENT,
    NOTHING,
    Cost,
    Of,
    Path,
    Unbounded,
    bytes_of,
    growth,
    most,
    plus,
    repeat,
    rewrite,
    when,
)
from dlc.memory.form import (
    Alloc,
    BFunction,
    BindDim,
    Block,
    BModule,
    Call,
    Const,
    DimValue,
    For,
    If,
    Immediate,
    ListAt,
    ListCopy,
    ListDrop,
    ListLen,
    ListNew,
    ListPush,
    Load,
    Loop,
    Mark,
    Move,
    Operand,
    Param,
    Reg,
    Release,
    Scalar,
    ScalarArg,
    Statement,
    Switch,
    Tensor,
    Variant,
    View,
)
from dlc.memory.frame import LIST_HEADER, blocks, element_layout, record_bytes, statements, writes
from dlc.memory.twin_state import KEEPS, FollowedList, State, Summary, by_case, joined
from dlc.typesys.dims import ZERO, Dim
from dlc.typesys.types import AdtType, ListType

Headers = Mapping[str, int]
Found = Mapping[str, "Summary | Unbounded"]


class Twin:
    """A function that is run once, for its need. `headers`: bytes before the slots; `leaving`:
    functions that leave heap behind; `found`: the needs of its callees; `steady`: whether lists of
    algebraic values stay as they are given."""

    def __init__(
        self,
        m: BModule,
        fn: BFunction,
        headers: Headers,
        leaving: frozenset[str],
        found: Found,
        *,
        steady: bool,
    ) -> None:
        self.m, self.fn, self.headers, self.found = m, fn, headers, found
        self.floor = bytes_of(fn.frame + headers[fn.name])
        self.s = State(peak=self.floor)
        self.next = 0
        self.marks: dict[Reg, State] = {}
        self.leaving, self.steady = leaving, steady
        self.turn_names = 0
        self.reuses = False
        """Whether a list takes old storage: each counts as a new one, so the need is a bound."""
        self.changing: set[tuple[str, str]] = set()

    def run(self) -> Summary:
        """The need. Raises Unbounded."""
        s = self.s
        s.dims = {d: Dim.sym(d) for d in self.fn.dims}
        for i, p in enumerate(self.fn.params):
            if isinstance(p.type, ListType):
                self.follow(p.reg, Dim.sym(f"len.{p.name or i}"), p.type)
                s.paths[p.reg] = (i,)
            elif isinstance(p.type, AdtType):
                s.paths[p.reg] = (i,)
            elif not p.type.rank and p.type.dtype.is_int:
                s.numbers[p.reg] = Dim.sym(f"arg.{p.name or i}")
        self.block(self.fn.body)
        results = self.fn.results
        values = tuple(self.s.numbers.get(r) for r in results)
        lengths = tuple(self.length(r) for r in results)
        changing = frozenset(self.changing)
        dims = tuple(map(self.known, self.fn.result_dims))
        exact = self.s.exact and not self.reuses
        return Summary(self.s.peak, self.s.used(), exact, values, lengths, changing, dims)

    # -- what is known

    def dim(self, d: Dim, why: str) -> Dim:
        """The dim in the function's own names."""
        unknown = [n for n in d.symbols() if n not in self.s.dims]
        if unknown:
            raise Unbounded(f"{why} depends on {unknown[0]}, which data decides")
        return d.substitute(self.s.dims)

    def known(self, d: Dim) -> Dim | None:
        """The dim in the function's own names, if it can be said."""
        if all(n in self.s.dims for n in d.symbols()):
            return d.substitute(self.s.dims)
        return None

    def nodes(self, path: Path | None) -> Dim | None:
        """At most how many nodes a part of an argument has."""
        if path is None:
            return None
        return Dim.sym(f"nodes.{self.fn.params[path[0]].name or path[0]}")

    def number(self, x: ScalarArg) -> Dim | None:
        if isinstance(x, Reg):
            return self.s.numbers.get(x)
        return Dim.const(x) if isinstance(x, int) and not isinstance(x, bool) else None

    def set(self, r: Reg, value: Dim | None) -> None:
        self.s.forget(r)
        if value is not None:
            self.s.numbers[r] = value

    def follow(self, r: Reg, length: Dim, t: ListType) -> None:
        """A list in the register whose length is known."""
        self.s.forget(r)
        _, element = element_layout(t)
        size = self.dim(element, "the size of a list's element")
        self.s.homes[r] = self.next
        self.s.lists[self.next] = FollowedList(length, length, size)
        self.next += 1

    def length(self, r: Reg) -> Dim | None:
        k = self.s.homes.get(r)
        return self.s.lists[k].length if k is not None else None

    # -- what happens

    def reach(self, more: Cost = NOTHING) -> None:
        """Something is in use on top of the frame and the heap."""
        self.s.peak = most(self.s.peak, plus(self.floor, self.s.used(), more))

    def take(self, size: Cost) -> None:
        self.s.heap = plus(self.s.heap, size)
        self.reach()

    def block(self, b: Block) -> None:
        for s in b:
            self.statement(s)

    def statement(self, s: Statement) -> None:
        rule = _RULES.get(type(s))
        if rule is not None:
            rule(self, s)
            return
        for h in writes(s):
            if isinstance(h, Reg):
                self.s.forget(h)

    def const(self, s: Const) -> None:
        self.set(s.dst, self.number(s.value))

    def dim_value(self, s: DimValue) -> None:
        self.set(s.dst, self.known(s.dim))

    def move(self, s: Move) -> None:
        number, home, path = (t.get(s.src) for t in (self.s.numbers, self.s.homes, self.s.paths))
        self.s.forget(s.dst)
        if number is not None:
            self.s.numbers[s.dst] = number  # pyright: ignore[reportArgumentType]
        if home is not None:
            self.s.homes[s.dst] = home  # pyright: ignore[reportArgumentType]
        if path is not None:
            self.s.paths[s.dst] = path  # pyright: ignore[reportArgumentType]

    def scalar(self, s: Scalar) -> None:
        known = [self.number(a) for a in s.args]
        out: Dim | None = None
        if s.op in _ARITHMETIC and all(k is not None for k in known):
            a, b = known
            assert a is not None and b is not None
            out = _ARITHMETIC[s.op](a, b)
        elif s.op == "convert":
            out = known[0]
        self.set(s.dst, out)

    def bind_dim(self, s: BindDim) -> None:
        known = self.s.numbers.get(s.src)
        if known is None:
            known = self.s.bounds.get(s.src)
            if known is None and s.at_most is not None:
                known = self.known(s.at_most)
            self.s.exact = self.s.exact and known is None
        if known is not None:
            self.s.dims[s.name] = known
        else:
            self.s.dims.pop(s.name, None)

    def tensor(self, s: Tensor) -> None:
        for h in writes(s):
            if isinstance(h, Reg):
                self.s.forget(h)
        for name in s.dims:
            # As many as there is room for, which is what the destination says.
            bound = self.known(s.outs[0].shape[0]) if isinstance(s.outs[0], View) else None
            if bound is not None:
                self.s.dims[name] = bound
                self.s.exact = False

    def alloc(self, s: Alloc) -> None:
        self.s.forget(s.dst)
        self.take(bytes_of(blocks(self.dim(s.size, "storage") * s.dtype.bytes)))

    def variant(self, s: Variant) -> None:
        self.s.forget(s.dst)
        self.take(bytes_of(record_bytes(self.m.types[s.type].constructor(s.constructor))))

    def mark(self, s: Mark) -> None:
        self.marks[s.dst] = self.s.copy()

    def release(self, s: Release) -> None:
        old = self.marks[s.mark]
        self.s.heap = old.heap
        for k in list(self.s.lists):
            if k in old.lists:
                self.s.lists[k] = replace(old.lists[k])
            else:
                self.s.lists.pop(k)
                self.s.homes = {r: h for r, h in self.s.homes.items() if h != k}

    # -- lists

    def list_new(self, s: ListNew) -> None:
        self.reuses = self.reuses or s.reuse
        self.follow(s.dst, ZERO, s.type)
        self.take(bytes_of(LIST_HEADER))

    def list_push(self, s: ListPush) -> None:
        k = self.s.homes.get(s.list)
        if k is None or (length := self.s.lists[k].length) is None:
            raise Unbounded("a list grows that data has made as long as it is")
        self.s.lists[k].length = length + 1
        self.reach()

    def list_drop(self, s: ListDrop) -> None:
        """Chunks stay: the list counts as long as it was."""
        self.s.exact = False

    def list_len(self, s: ListLen) -> None:
        length = self.length(s.list)
        self.set(s.dst, length if self.s.exact else None)
        if length is not None:
            self.s.bounds[s.dst] = length

    def list_copy(self, s: ListCopy) -> None:
        length = self.length(s.src)
        if length is None:
            raise Unbounded("a list is copied that data has made as long as it is")
        self.reuses = self.reuses or s.reuse
        self.follow(s.dst, ZERO, s.type)
        self.take(bytes_of(LIST_HEADER))
        self.s.lists[self.s.homes[s.dst]].length = length
        self.reach()

    def list_at(self, s: ListAt) -> None:
        path = self.s.paths.get(s.list)
        for r, t in zip(s.columns, s.type.columns, strict=True):
            self.s.forget(r)
            if path is not None and self.steady and isinstance(t, AdtType):
                self.s.paths[r] = (*path, ELEMENT)

    def load(self, s: Load) -> None:
        path = self.s.paths.get(s.view.place) if isinstance(s.view.place, Reg) else None
        self.s.forget(s.dst)
        if path is not None and s.dst.type == "variant":
            self.s.paths[s.dst] = path

    # -- branches

    def branch(self, s: If) -> None:
        self.s = joined(self.ends([lambda b=b: self.block(b) for b in (s.then, s.otherwise)]))

    def ends(self, ways: list[Callable[[], None]]) -> list[State]:
        """What holds after each of the ways from the present state."""
        start, ends = self.s, list[State]()
        for way in ways:
            self.s = start.copy()
            way()
            ends.append(self.s)
        return ends

    def switch(self, s: Switch) -> None:
        given = self.s.paths.get(s.value)
        path = None if given is None or ELEMENT in given else given
        names: list[str] = []
        ways: list[Callable[[], None]] = []
        for c in s.cases:
            names.append(c.constructor or "_")
            ways.append(lambda c=c: self.case(c.payload, c.dims, c.body, given))
        before = self.s.peak
        if path is not None:
            self.s.peak = self.floor
        ends = self.ends(ways)
        if path is None:
            self.s = joined(ends)
            return
        exact = all(e.exact for e in ends)
        peak = most(before, by_case(path, names, [e.peak for e in ends]))
        used = by_case(path, names, [e.used() for e in ends])
        agree = all(e.heap == ends[0].heap and e.lists == ends[0].lists for e in ends)
        self.s = joined(ends)
        self.s.exact, self.s.peak = exact, peak
        if not agree:
            # Each case has taken something else, so that what lists have grown is not followed on.
            for k in list(self.s.lists):
                self.s.retire(k)
            self.s.heap = used

    def case(
        self, payload: tuple[Reg, ...], dims: tuple[str, ...], body: Block, path: Path | None
    ) -> None:
        for d in dims:
            self.s.dims.pop(d, None)
        for i, r in enumerate(payload):
            self.s.forget(r)
            if path is not None and r.type in ("variant", "list"):
                self.s.paths[r] = (*path, i)
        self.block(body)

    # -- loops

    def counted(self, s: For) -> None:
        lo, hi = self.number(s.lo), self.number(s.hi)
        sure = hi is not None
        if hi is None and isinstance(s.hi, Reg):
            hi = self.s.bounds.get(s.hi)
        turns = hi - lo if lo is not None and hi is not None else None
        self.turns(s, s.index, turns, early=s.go is not None or not sure)

    def loop(self, s: Loop) -> None:
        most_turns: Dim | None = None
        if s.visits:
            trees = [i for i, p in enumerate(self.fn.params) if isinstance(p.type, AdtType)]
            most_turns = self.nodes((trees[0],)) if len(trees) == 1 else None
        self.turns(s, None, most_turns, early=True)

    def turns(self, s: For | Loop, index: Reg | None, turns: Dim | None, *, early: bool) -> None:
        """One turn run over formulas, from unknown registers and lists of any length; then as many
        as there are."""
        before = self.s
        changed = {h for x in statements(s.body) for h in writes(x)}
        pushed = {x.list for x in statements(s.body) if isinstance(x, ListPush)}
        self.s = before.copy()
        self.s.heap, self.s.peak, self.s.exact = NOTHING, self.floor, True
        for h in changed:
            if isinstance(h, Reg):
                self.s.forget(h)
            else:
                self.s.dims.pop(h, None)
        if index is not None:
            self.s.forget(index)
        starts: dict[int, Dim] = {}
        for k, l in self.s.lists.items():
            steady = any(r in pushed for r, home in self.s.homes.items() if home == k)
            self.turn_names += steady
            now = Dim.sym(f"turn.{self.turn_names}") if steady else (l.length or ZERO)
            starts[k] = l.start = now
            if l.length is not None:
                l.length = starts[k]
        self.block(s.body)
        after, self.s = self.s, before
        self._repeat(after, starts, turns, early=early, at_least_once=isinstance(s, Loop))
        for h in changed:
            if isinstance(h, Reg):
                self.s.forget(h)
            else:
                self.s.dims.pop(h, None)

    def _repeat(
        self,
        after: State,
        starts: dict[int, Dim],
        turns: Dim | None,
        *,
        early: bool,
        at_least_once: bool,
    ) -> None:
        s = self.s
        steps: dict[int, Dim] = {}
        for k, start in starts.items():
            l = after.lists.get(k)
            if l is not None and l.length is not None and l.length != start:
                steps[k] = l.length - start
        made = [after.grown(l) for k, l in after.lists.items() if k not in starts]
        left = plus(after.heap, *made)
        if turns is None and (steps or left != NOTHING):
            raise Unbounded(KEEPS)
        if any("turn." in n for d in steps.values() for n in d.symbols()):
            raise Unbounded("a list grows in each turn of a loop by as much as others have grown")
        one = Dim.const(1)
        n = turns if turns is not None else one
        at: dict[str, Dim] = {}
        for k, start in starts.items():
            length = s.lists[k].length
            if start.name is not None and start.name.startswith("turn.") and length is not None:
                at[start.name] = length + (n - 1) * steps.get(k, ZERO)
        last, most_left = (
            rewrite(c, lambda d: d.substitute(at), lambda p: p) for c in (after.peak, left)
        )
        if most_left != left:  # Later turns leave more than earlier ones.
            left, after.exact = most_left, False
        grown = [self._growth(k, (n - 1) * step) for k, step in steps.items()]
        peak = plus(s.used(), repeat(n - 1, left), *grown, last)
        s.peak = most(s.peak, when(n, peak) if turns is not None else peak)
        if steps or left != NOTHING:
            sure = turns is not None and not early
        else:
            idle = after.peak == self.floor
            sure = turns is not None or at_least_once or idle
        s.exact = s.exact and after.exact and sure
        s.heap = plus(s.heap, repeat(n, left))
        for k, step in steps.items():
            length = s.lists[k].length
            assert length is not None
            s.lists[k].length = length + n * step

    def _growth(self, k: int, more: Dim) -> Cost:
        l = self.s.lists[k]
        assert l.length is not None
        return growth(l.length, l.length + more, l.element)

    # -- calls

    def call(self, s: Call) -> None:
        callee = self.m.functions[s.function]
        at = bytes_of(s.keep + self.headers[self.fn.name])
        known = self.found.get(s.function)
        if callee.group is not None and callee.group == self.fn.group:
            self._recursive_call(s, callee, at)
        elif isinstance(known, Summary):
            self._known_call(s, callee, known, at)
        else:
            reason = str(known) if known is not None else f"@{s.function} is not known"
            raise Unbounded(reason)

    def _recursive_call(self, s: Call, callee: BFunction, at: Cost) -> None:
        if any(d != Dim.sym(n) for d, n in zip(s.dims, callee.dims, strict=True)):
            raise Unbounded("a recursion changes its dims; it is bounded if they stay as they are")
        nodes: list[Path | None] = []
        for i, (a, p) in enumerate(_given(s, callee)):
            if isinstance(p.type, AdtType):
                path = self.s.paths.get(a) if isinstance(a, Reg) else None
                own = path is not None and isinstance(self.fn.params[path[0]].type, AdtType)
                nodes.append(path if own else None)
                continue
            number = self.number(a) if not isinstance(a, View) else None
            length = self.length(a) if isinstance(a, Reg) else None
            for kind, value in (("arg", number), ("len", length)):
                name = f"{kind}.{p.name or i}"
                if value != Dim.sym(name):
                    self.changing.add((callee.name, name))
        if not any(p is not None and len(p) > 1 for p in nodes):
            raise Unbounded("a recursion does not go down to a part of an argument that is a tree")
        self.s.exact = self.s.exact and not any(p is not None and ELEMENT in p for p in nodes)
        peak, left = (Of(w, callee.name, tuple(nodes)) for w in ("peak", "left"))
        self.s.peak = most(self.s.peak, plus(at, self.s.used(), peak))
        if callee.name in self.leaving:
            self.s.heap = plus(self.s.heap, left)
            self.reach()
        self._results(s, None, {})

    def _known_call(self, s: Call, callee: BFunction, known: Summary, at: Cost) -> None:
        bind: dict[str, Dim] = {}
        for name, d in zip(callee.dims, s.dims, strict=True):
            if all(n in self.s.dims for n in d.symbols()):
                bind[name] = d.substitute(self.s.dims)
        paths: dict[int, Path] = {}
        for i, (a, p) in enumerate(_given(s, callee)):
            if isinstance(a, Reg) and a in self.s.paths:
                paths[i] = self.s.paths[a]
            nodes = self.nodes(paths.get(i))
            if nodes is not None:
                bind[f"nodes.{p.name or i}"] = nodes
            number = self.number(a) if not isinstance(a, View) else None
            if number is not None:
                bind[f"arg.{p.name or i}"] = number
            length = self.length(a) if isinstance(a, Reg) else None
            if length is not None:
                bind[f"len.{p.name or i}"] = length

        def dim(d: Dim) -> Dim:
            missing = [n for n in d.symbols() if n not in bind]
            if missing:
                raise Unbounded(f"@{callee.name} needs {missing[0]}, which data decides")
            return d.substitute(bind)

        lost: list[Path] = []

        def node(p: Path) -> Path | None:
            if p[0] in paths:
                return (*paths[p[0]], *p[1:])
            lost.append(p)
            return None

        peak, left = (rewrite(c, dim, node) for c in (known.peak, known.left))
        self.s.peak = most(self.s.peak, plus(at, self.s.used(), peak))
        several = any(ELEMENT in p for p in paths.values())
        self.s.exact = self.s.exact and known.exact and not lost and not several
        if left != NOTHING:
            self.take(left)
        self._results(s, known, bind)

    def _results(self, s: Call, known: Summary | None, bind: Mapping[str, Dim]) -> None:
        for i, r in enumerate(s.results):
            self.s.forget(r)
            if known is None:
                continue
            value = known.values[i]
            if value is not None and all(n in bind for n in value.symbols()):
                self.s.numbers[r] = value.substitute(bind)
            length, t = known.lengths[i], self.m.functions[s.function].result_types[i]
            if length is not None and isinstance(t, ListType):
                if all(n in bind for n in length.symbols()):
                    self.follow(r, length.substitute(bind), t)
        bounds = known.dims if known is not None else (None,) * len(s.defines)
        for d, most_of in zip(s.defines, bounds, strict=True):
            self.s.dims.pop(d, None)
            if most_of is not None and all(n in bind for n in most_of.symbols()):
                self.s.dims[d] = most_of.substitute(bind)


def _given(s: Call, callee: BFunction) -> list[tuple[Operand | Immediate, Param]]:
    params = [p for p in callee.params if p.mode != "out"]
    return list(zip(s.args, params, strict=True))


_ARITHMETIC: Mapping[str, Callable[[Dim, Dim], Dim]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
}
_RULES: Mapping[type[Statement], Callable[[Twin, Any], None]] = {
    Const: Twin.const,
    DimValue: Twin.dim_value,
    Move: Twin.move,
    Scalar: Twin.scalar,
    BindDim: Twin.bind_dim,
    Tensor: Twin.tensor,
    Alloc: Twin.alloc,
    Variant: Twin.variant,
    Mark: Twin.mark,
    Release: Twin.release,
    ListNew: Twin.list_new,
    ListPush: Twin.list_push,
    ListDrop: Twin.list_drop,
    ListLen: Twin.list_len,
    ListCopy: Twin.list_copy,
    ListAt: Twin.list_at,
    Load: Twin.load,
    If: Twin.branch,
    Switch: Twin.switch,
    For: Twin.counted,
    Loop: Twin.loop,
    Call: Twin.call,
}
