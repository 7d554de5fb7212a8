"""`f` becomes `f.fwd : A -> (B, residuals)` and
`f.bwd : (needed A, residuals, cotangents of B, accumulators) -> cotangents of A`.

A variant of a function is fixed by which parameters are active (and which of them are tables whose
gradient is rows) and which results have a cotangent. Parameters are passed again by the caller,
never stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dlc.autodiff.activity import Activity
from dlc.autodiff.backward import Backward
from dlc.autodiff.callgraph import groups, has_derivatives, is_recursive, parameter_reads
from dlc.autodiff.checkpoint import (
    AGAIN,
    Again,
    Split,
    is_checkpointed,
    split_loops,
    uncheckpointed,
)
from dlc.autodiff.closure import demand
from dlc.autodiff.halves import Parts, backward_half, forward_half, pack_record, run_again
from dlc.autodiff.maps import open_maps
from dlc.autodiff.mirror import Block, Node, copy_block, nodes_in
from dlc.autodiff.places import Places, rows_type
from dlc.autodiff.residuals import Residuals
from dlc.autodiff.tangents import Tangents
from dlc.diag import InternalError
from dlc.ir.core import Function, Signature, Value
from dlc.ir.rewrite import all_dims, used_dims
from dlc.ops.build import Builder, DimNames
from dlc.ops.card import Trait
from dlc.ops.registry import card_of
from dlc.typesys.dims import Dim
from dlc.typesys.types import AdtType, TensorType, Type, type_symbols

INACTIVE, DENSE, ROWS = 0, 1, 2
MOST_RESULTS = 40
"""More residuals than this are one record: a chain of functions that each call the next twice would
else have twice as many at every step."""
PARTIAL = frozenset("index slice take take_along list_get contract conv reduce".split())


@dataclass(frozen=True)
class Key:
    """Which derivative of a function: a mode per parameter, and which results have a cotangent."""

    fn: str
    params: tuple[int, ...]
    results: tuple[bool, ...]


@dataclass(frozen=True)
class Variant:
    """A function's two halves, as callers need them."""

    key: Key
    forward: Signature
    backward: Signature
    need: tuple[int, ...]
    """Numbers of the parameters that the backward half takes again."""
    active: tuple[int, ...]
    """Numbers of the parameters whose cotangents it returns, in order."""
    accumulated: frozenset[int]
    """Those of `active` that are passed in and returned, added to."""
    residuals: int
    """How many further results the forward half has."""

    @property
    def results_wanted(self) -> tuple[bool, ...]:
        return self.key.results

    def call_forward(self, node: Node) -> list[Value]:
        """Makes the forward call give its residuals; returns them."""
        node.attrs["fn"] = self.forward.name
        n = len(self.forward.results) - self.residuals
        bind = dict(zip(self.forward.dims, _dims(node), strict=True))
        extra = [
            Value(_subst(t, bind, self.forward.result_dims, node), "res")
            for t in self.forward.results[n:]
        ]
        node.results += extra
        return extra

    def call_backward(self, b: Builder, node: Node, args: list[Value]) -> tuple[Value, ...]:
        return b.call(self.backward, args, (*_dims(node), *map(Dim.sym, node.dims)))


def _dims(node: Node) -> tuple[Dim, ...]:
    ds = node.attrs["dims"]
    assert isinstance(ds, tuple)
    return tuple(Dim.of(d) for d in ds if isinstance(d, (Dim, int)))


def _subst(t: Type, bind: Mapping[str, Dim], hidden_dims: tuple[str, ...], node: Node) -> Type:
    from dlc.typesys.types import substitute_type

    names = dict(bind)
    for d, n in zip(hidden_dims, node.dims, strict=False):
        names[d] = Dim.sym(n)
    return substitute_type(t, names)


@dataclass
class Derivation:
    """Derives variants of the functions of one module, and keeps what it made."""

    functions: dict[str, Function]
    tangents: Tangents
    variants: dict[Key, Variant] = field(default_factory=dict[Key, Variant])
    made: dict[str, Function] = field(default_factory=dict[str, Function])
    _names: dict[str, int] = field(default_factory=dict[str, int])
    _splits: dict[str, Split] = field(default_factory=dict[str, Split])

    def __post_init__(self) -> None:
        self.refresh()
        self._building = ""
        self._assumed: dict[Key, Variant] = {}
        self._round: dict[Key, Variant] | None = None
        self._pending: list[Key] = []

    def refresh(self) -> None:
        """Takes in what has been made, so that it can be differentiated in turn."""
        self.functions.update(self.made)
        self.functions.update(self.tangents.functions)
        for group in groups(self.functions):
            for name in group:
                self._prepare(self.functions[name], group)
        self._into: dict[tuple[str, tuple[int, ...]], tuple[int, ...]] = {}
        self.reads = parameter_reads(self.functions)
        self._group = {n: g for g in groups(self.functions) for n in g}

    def _prepare(self, f: Function, group: tuple[str, ...]) -> None:
        """A checkpointed function: its loops are split, and what has none runs again whole. One
        that still takes derivatives has to wait until these are expanded."""
        if not is_checkpointed(f) or f.name in self._splits or has_derivatives(f):
            return
        self._splits[f.name] = s = split_loops(f, group)
        for g in s.chunks:
            self.functions[g.name] = g
            self._prepare(g, (g.name,))
        if not s.chunks and not is_recursive(f, group):
            copy = uncheckpointed(f)
            self.functions[copy.name] = copy

    # -- keys

    def key(self, fn: str, modes: tuple[int, ...], results: tuple[bool, ...]) -> Key:
        """The variant that serves the request: unread parameters are inactive, and in a recursive
        group all internal calls' requests are joined, so that one variant serves them all."""
        f = self.functions[fn]
        params = self._trim(fn, modes)
        group = self._group[fn]
        if is_recursive(f, group):
            params = self._join(fn, group, params)
            results = tuple(self.tangents.of(t) is not None for t in f.result_types)
        return Key(fn, params, results)

    def _trim(self, fn: str, modes: tuple[int, ...]) -> tuple[int, ...]:
        f, reads = self.functions[fn], self.reads[fn]
        return tuple(
            m if i in reads and self.tangents.of(p.type) is not None else INACTIVE
            for i, (m, p) in enumerate(zip(modes, f.params, strict=True))
        )

    def _join(self, fn: str, group: tuple[str, ...], start: tuple[int, ...]) -> tuple[int, ...]:
        masks = {fn: start}
        changed = True
        while changed:
            changed = False
            for name in group:
                if name not in masks:
                    continue
                for callee, modes in self._requests(name, masks[name], group):
                    old = masks.get(callee, (INACTIVE,) * len(modes))
                    new = tuple(map(max, old, self._trim(callee, modes)))
                    if new != old or callee not in masks:
                        masks[callee] = new
                        changed = True
        return masks[fn]

    def _requests(
        self, name: str, modes: tuple[int, ...], group: tuple[str, ...]
    ) -> list[tuple[str, tuple[int, ...]]]:
        block, _, active, rows = self._copy(self.functions[name], modes)
        out: list[tuple[str, tuple[int, ...]]] = []
        for n in nodes_in(block):
            if n.name == "call" and n.attrs["fn"] in group:
                ms = tuple(ROWS if v in rows else int(v in active) for v in n.operands)
                out.append((str(n.attrs["fn"]), ms))
        return out

    # -- variants

    def variant(self, fn: str, modes: tuple[int, ...], results: tuple[bool, ...]) -> Variant:
        """The variant for a call, derived now if it is new."""
        key = self.key(fn, modes, results)
        if key in self.variants:
            return self.variants[key]
        group = self._group[fn]
        if self._round is not None and self._building in group and key.fn in group:
            return self._assume(key)
        if not is_recursive(self.functions[fn], group):
            v = self._build(key, None)
            self.variants[key] = v
            return v
        return self._fixpoint(key)

    def _fixpoint(self, key: Key) -> Variant:
        """Builds all variants of a recursive group until what each was assumed to need is what it
        needs. A round that assumed wrongly is thrown away: the next one writes the same names
        again."""
        saved = (self._round, self._assumed, self._pending, self._building)
        self._assumed = {}
        while True:
            self._round, self._pending = {}, [key]
            while self._pending:
                k = self._pending.pop(0)
                if k not in self._round:
                    self._building = k.fn
                    self._round[k] = self._build(k, self._assumed.get(k))
            done = self._round
            if all(
                self._assumed.get(k, None) == v or k not in self._assumed for k, v in done.items()
            ):
                break
            self._assumed = dict(done)
        self.variants.update(done)
        self._round, self._assumed, self._pending, self._building = saved
        return self.variants[key]

    def _assume(self, key: Key) -> Variant:
        """What a call inside the group may rely on: this round's result, last round's, or a first
        guess."""
        assert self._round is not None
        if key not in self._round and key not in self._pending:
            self._pending.append(key)
        if key not in self._assumed:
            self._assumed[key] = self._guess(key)
        return self._assumed[key]

    def _guess(self, key: Key) -> Variant:
        return self._signatures(key, (), self._residual_record(key))

    def _residual_record(self, key: Key) -> AdtType:
        f = self.functions[key.fn]
        return AdtType(f"Res.{self._suffixed(key)}", tuple(map(Dim.sym, f.dims)))

    def _suffixed(self, key: Key) -> str:
        """The function's name, numbered from its second variant on."""
        tag = f"{key}"
        if tag not in self._names:
            n = sum(1 for t in self._names if t.startswith(f"Key(fn={key.fn!r},"))
            self._names[tag] = n
        n = self._names[tag]
        return key.fn if not n else f"{key.fn}.v{n + 1}"

    # -- one function

    def _copy(
        self, f: Function, modes: tuple[int, ...]
    ) -> tuple[Block, list[Value], Activity, frozenset[Value]]:
        values = {p: Value(p.type, p.hint) for p in f.params}
        params = list(values.values())
        split = self._splits.get(f.name)
        block = copy_block(split.function.body if split else f.body, values)
        active = Activity(self.tangents, self._call_activity)
        for p, m in zip(params, modes, strict=True):
            active.mark(p, m != INACTIVE)
        active.run(block)
        rows = frozenset(p for p, m in zip(params, modes, strict=True) if m == ROWS)
        return block, params, active, rows

    def _call_activity(self, n: Node, on: tuple[bool, ...]) -> tuple[bool, ...]:
        reads = self.reads.get(str(n.attrs["fn"]), frozenset())
        hit = any(a and i in reads for i, a in enumerate(on))
        return tuple(hit for _ in n.results)

    def _build(self, key: Key, assumed: Variant | None) -> Variant:
        f = self.functions[key.fn]
        if "vjp" in f.attrs:
            return self._custom(key, f)
        if f.name + AGAIN in self.functions:
            return self._rerun(key, f)
        self.made.update((c.name, c) for c in self._chunks(f))
        block, params, active, rows = self._copy(f, key.params)
        if open_maps(block, active):
            block, params, active, rows = self._again(f, block, params, key.params)
        makers = {r: n for n in nodes_in(block) for r in n.results}
        names = DimNames(dims_in(f))
        group = self._group[f.name]
        rerun = is_checkpointed(f) and is_recursive(f, group)
        again = Again.of(block, group) if rerun else None
        residuals = Residuals(self._suffixed(key), self.tangents, names, again)
        w = Backward(active, rows, makers, residuals, self._callee)
        b = Builder(self.tangents.types, names, f.loc)
        p = Places(b, active, rows)
        cts = self._seed(f, key, block, p)
        order = [i for i, m in enumerate(key.params) if m != INACTIVE]
        into = self._accumulated(key, block, params, order)
        accs = {i: Value(p.type_of(params[i]), f"d_{params[i].hint}") for i in order if i in into}
        p.ct.update((params[i], a) for i, a in accs.items())
        for y, g in cts:
            w.join(p, y, p.fitted(g, y))
        w.block(block, p)
        outs = [p.now(params[i]) for i in order]
        outer = set(params)
        allows = again.allows if again else None
        need = demand(block, b.ops, outs, free=lambda v: v in outer, again=allows)
        parts = Parts(block, params, need, b, [g for _, g in cts], accs, order, outs)
        return self._finish(key, f, parts)

    def _again(
        self, f: Function, block: Block, params: list[Value], modes: tuple[int, ...]
    ) -> tuple[Block, list[Value], Activity, frozenset[Value]]:
        """Activity anew after maps have become loops (their carries are new values)."""
        active = Activity(self.tangents, self._call_activity)
        for p, m in zip(params, modes, strict=True):
            active.mark(p, m != INACTIVE)
        active.run(block)
        rows = frozenset(p for p, m in zip(params, modes, strict=True) if m == ROWS)
        return block, params, active, rows

    def _callee(self, n: Node, modes: tuple[int, ...], results: tuple[bool, ...]) -> Variant:
        return self.variant(str(n.attrs["fn"]), modes, results)

    def _seed(self, f: Function, key: Key, block: Block, p: Places) -> list[tuple[Value, Value]]:
        out: list[tuple[Value, Value]] = []
        for y, t, on in zip(block.end.operands, f.result_types, key.results, strict=True):
            if on:
                tangent = self.tangents.of(t)
                assert tangent is not None
                g = Value(tangent, f"d_{y.hint or 'y'}")
                out.append((y, g))
        return out

    def _accumulated(
        self, key: Key, block: Block, params: list[Value], order: list[int]
    ) -> frozenset[int]:
        """Parameters whose cotangent is passed in and added to: read in parts, by products, in
        loops or through recursive calls. The others' cotangents are made by the callee."""
        own = set(params)
        hits: set[Value] = set()
        group = self._group[key.fn]

        def look(b: Block, looped: bool) -> None:
            for n in b.nodes:
                inner = looped or n.name in ("for", "loop", "map")
                if n.name == "call":
                    callee = str(n.attrs["fn"])
                    if callee in group:
                        hits.update(v for v in n.operands if v in own)
                    else:
                        modes = tuple(
                            key.params[params.index(v)] if v in own else 0 for v in n.operands
                        )
                        hits.update(self._passed_on(n, callee, modes))
                if n.name in PARTIAL or Trait.VIEW in _traits(n.name) or looped:
                    hits.update(v for v in n.operands if v in own)
                for c in n.blocks:
                    look(c, inner)

        look(block, False)
        return frozenset(
            i
            for i in order
            if key.params[i] == ROWS or (params[i] in hits and not _by_value(params[i].type))
        )

    def _passed_on(self, n: Node, callee: str, modes: tuple[int, ...]) -> list[Value]:
        """Arguments that the callee's backward half accumulates into."""
        if not any(modes) or callee not in self.functions:
            return []
        asked = (callee, self._trim(callee, modes))
        if asked not in self._into:
            self._into[asked] = self._accumulated_by(*asked)
        return [n.operands[i] for i in self._into[asked]]

    def _accumulated_by(self, fn: str, modes: tuple[int, ...]) -> tuple[int, ...]:
        f = self.functions[fn]
        order = [i for i, m in enumerate(modes) if m]
        if is_recursive(f, self._group[fn]):
            return tuple(order)
        block, params, _, _ = self._copy(f, modes)
        into = self._accumulated(Key(fn, modes, ()), block, params, order)
        return tuple(i for i in order if i in into)

    # -- assembling the halves

    def _finish(self, key: Key, f: Function, parts: Parts) -> Variant:
        recursive = is_recursive(f, self._group[key.fn])
        record: Value | None = None
        if recursive or parts.need.dims or len(parts.need.values) > MOST_RESULTS:
            t = self._residual_record(key)
            record = pack_record(self.tangents, t, parts, f)
        fwd = forward_half(f"{self._suffixed(key)}.fwd", f, parts, record)
        bwd = backward_half(f"{self._suffixed(key)}.bwd", f, parts, record, self.tangents)
        self.made[fwd.name], self.made[bwd.name] = fwd, bwd
        kept = 1 if record is not None else len(parts.need.values)
        return Variant(
            key,
            fwd.signature,
            bwd.signature,
            parts.needed,
            tuple(parts.order),
            frozenset(parts.accumulators),
            kept,
        )

    def _signatures(self, key: Key, need: tuple[int, ...], record: AdtType) -> Variant:
        """The signatures of a recursive variant that is still being built, under an assumed
        need."""
        f = self.functions[key.fn]
        order = [i for i, m in enumerate(key.params) if m != INACTIVE]
        block, params, _, _ = self._copy(f, key.params)
        into = self._accumulated(key, block, params, order)
        name = self._suffixed(key)
        fwd = Signature(
            f"{name}.fwd",
            f.dims,
            tuple(p.type for p in f.params),
            (*f.result_types, record),
            f.result_dims,
        )
        outs = [self._cotangent_type(f.params[i].type, key.params[i]) for i in order]
        cts = [self.tangents.of(t) for t, on in zip(f.result_types, key.results, strict=True) if on]
        bparams: list[Type] = [f.params[i].type for i in need]
        bparams += [record, *(t for t in cts if t is not None)]
        bparams += [o for i, o in zip(order, outs, strict=True) if i in into]
        bwd = Signature(f"{name}.bwd", (*f.dims, *f.result_dims), tuple(bparams), tuple(outs))
        return Variant(key, fwd, bwd, need, tuple(order), into, 1)

    def _cotangent_type(self, t: Type, mode: int) -> Type:
        if mode == ROWS:
            return rows_type(t)
        out = self.tangents.of(t)
        assert out is not None
        return out

    def _chunks(self, f: Function) -> tuple[Function, ...]:
        return self._splits[f.name].chunks if f.name in self._splits else ()

    def _rerun(self, key: Key, f: Function) -> Variant:
        """`@checkpoint(none)`: the forward half is `f` itself; the backward half runs the forward
        half of the copy that keeps residuals, then its backward half."""
        v = self.variant(f.name + AGAIN, key.params, key.results)
        name = f"{self._suffixed(key)}.bwd"
        self.made[name] = run_again(name, f, v, self.tangents)
        back = self.made[name].signature
        return Variant(
            key, f.signature, back, tuple(range(len(f.params))), v.active, v.accumulated, 0
        )

    def _custom(self, key: Key, f: Function) -> Variant:
        """`@vjp(rule)`: the rule takes the parameters, then the cotangents of the float results,
        and gives the cotangents of the float parameters in order. Its own derivative is the
        derivative of a derivative."""
        rule = self.functions[str(f.attrs["vjp"])]
        floats = [i for i, p in enumerate(f.params) if self.tangents.of(p.type) is not None]
        results = tuple(self.tangents.of(t) is not None for t in f.result_types)
        key = replace(key, results=results)
        order = [i for i, m in enumerate(key.params) if m != INACTIVE]
        if any(key.params[i] == ROWS for i in order):
            raise InternalError("a table given to a function with its own rule", stage="autodiff")
        name = f"{self._suffixed(key)}.bwd"
        types = [p.type for p in rule.params]
        hints = [p.hint for p in rule.params]
        b = Builder(self.tangents.types, DimNames(dims_in(rule)), f.loc).nested(types, hints)
        got = b.call(rule.signature, b.params, tuple(map(Dim.sym, rule.dims)))
        kept = [got[floats.index(i)] for i in order]
        self.made[name] = b.function(name, rule.dims, b.return_(*kept))
        fwd = f.signature
        return Variant(
            key,
            fwd,
            self.made[name].signature,
            tuple(range(len(f.params))),
            tuple(order),
            frozenset(),
            0,
        )


def _by_value(t: Type) -> bool:
    """Cotangents of scalars and of algebraic values are returned, not accumulated."""
    return isinstance(t, AdtType) or (isinstance(t, TensorType) and t.rank == 0)


def _traits(name: str) -> frozenset[Trait]:
    if name in ("if", "match", "for", "loop", "map", "call", "yield", "return"):
        return frozenset()
    return card_of(name).traits


def dims_in(f: Function) -> list[str]:
    """Every dim name that the function binds or mentions: none of them is free for new ones."""
    out = [*all_dims(f), *used_dims(f.body.ops)]
    for p in f.params:
        out += type_symbols(p.type)
    return out
