"""Constant folding through the cards, decided branches, and the algebraic rules of
`dlc.passes.rules`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dlc.ir.core import Attr, Function, Module, Op, Region, Value, freeze_attrs
from dlc.ir.rewrite import Substitution
from dlc.ops.build import Builder
from dlc.ops.card import Run, RunError, Trait
from dlc.ops.registry import card_of
from dlc.passes.effects import STRUCTURED, Effects
from dlc.passes.rules.algebra import RULES, Licence, Match
from dlc.typesys.dims import Dim
from dlc.typesys.types import TensorType

MAX_ELEMENTS = 4096
"""A constant tensor made by folding has at most this many elements."""

DEFAULT_LICENCES = frozenset({Licence.EXACT})


def fold_constants(module: Module) -> Module:
    """Evaluates operations on constants, takes decided branches, applies exact rules."""
    return simplify(module, DEFAULT_LICENCES)


def simplify(module: Module, licences: frozenset[Licence]) -> Module:
    """`fold_constants` with rules of these licences."""
    effects = Effects(module)
    return module.map_functions(lambda fn: _function(fn, effects, licences))


def _function(fn: Function, effects: Effects, licences: frozenset[Licence]) -> Function:
    folder = _Folder(effects, licences)
    body = folder.region(fn.body, Substitution())
    return fn.with_body(body)


class _Folder:
    def __init__(self, effects: Effects, licences: frozenset[Licence]) -> None:
        self.effects = effects
        self.licences = licences
        self.makers: dict[Value, Op] = {}

    def region(self, r: Region, s: Substitution) -> Region:
        out: list[Op] = []
        for op in r.ops:
            operands = tuple(map(s.value, op.operands))
            now = Op(op.name, operands, op.results, op.attrs, op.regions, op.dims, op.loc)
            out += self.op(now, s)
        return Region(r.params, tuple(out), r.dims)

    def op(self, op: Op, s: Substitution) -> list[Op]:
        taken = self.decided(op)
        if taken is not None:
            inner = self.region(taken, s)
            s.values.update(zip(op.results, inner.yields, strict=True))
            return list(inner.ops[:-1])
        regions = tuple(self.region(r, s) for r in op.regions)
        op = Op(op.name, op.operands, op.results, op.attrs, regions, op.dims, op.loc)
        self.makers.update((r, op) for r in op.results)
        if op.name in STRUCTURED or op.dims:
            return [op]
        value = self.constant_result(op)
        if value is not None:
            new = _const(op.results[0], value, op)
            self.makers[op.results[0]] = new
            return [new]
        return self.uniform(op, s) or self.by_rule(op, s)

    # -- branches

    def decided(self, op: Op) -> Region | None:
        """The region of an `if` or `match` that is certain to run."""
        if op.dims:
            return None
        if op.name == "if":
            c = self.constant(op.operands[0])
            return None if c is None else op.regions[0 if bool(c) else 1]
        if op.name == "match":
            made = self.makers.get(op.operands[0])
            if made is None or made.name != "variant":
                return None
            cases = op.attr_strs("cases")
            name = made.attr_str("constructor")
            k = cases.index(name) if name in cases else len(cases) - 1
            r = op.regions[k]
            if r.dims:
                return None
            given = made.operands if cases[k] == name else ()
            if not all(p.type == v.type for p, v in zip(r.params, given, strict=True)):
                return None
            sub = Substitution(dict(zip(r.params, given, strict=True)))
            return Region((), tuple(sub.ops(r.ops)))
        return None

    # -- constants

    def constant(self, v: Value) -> np.ndarray[Any, Any] | None:
        """The value as an array, if it is known."""
        op = self.makers.get(v)
        if op is None or op.name != "const":
            return None
        x = op.attrs["value"]
        t = v.tensor
        if isinstance(x, np.ndarray):
            return x
        assert isinstance(x, (bool, int, float))
        return np.asarray(x).astype(t.dtype.numpy)

    def constant_result(self, op: Op) -> np.ndarray[Any, Any] | None:
        """The result of an operation whose operands and dims are all known and that is small."""
        if len(op.results) != 1 or op.name in ("const", "undef", "list_new", "variant"):
            return None
        if op.name in ("random_bits", "random_uniform", "stop_grad", "retype"):
            return None
        t = op.results[0].type
        if not isinstance(t, TensorType) or not all(d.is_constant for d in t.shape):
            return None
        if not t.size.is_constant or t.size.constant > MAX_ELEMENTS or not _known_attrs(op):
            return None
        if op.name in ("broadcast", "iota") and t.rank:
            return None  # cheaper as they are: a stride, a counter
        args = [self.constant(v) for v in op.operands]
        if any(a is None for a in args):
            return None
        if Trait.EFFECT in card_of(op.name).traits:
            return None
        return _evaluated(op, args)

    def uniform(self, op: Op, s: Substitution) -> list[Op]:
        """One number everywhere, where an operation on elements is given such: the number once, and
        a view of it."""
        traits = card_of(op.name).traits
        if Trait.ELEMENTWISE not in traits or len(op.results) != 1 or not op.operands:
            return []
        t = op.results[0].tensor
        args = [self.number(v) for v in op.operands]
        if not t.rank or any(a is None for a in args):
            return []
        scalar = Op(op.name, op.operands, (Value(TensorType(t.dtype)),), op.attrs)
        out = _evaluated(scalar, args)
        if out is None:
            return []
        b = Builder(loc=op.loc)
        s.values[op.results[0]] = b.full(out.item(), t)
        for o in b.ops:
            self.makers.update((r, o) for r in o.results)
        return b.ops

    def number(self, v: Value) -> np.ndarray[Any, Any] | None:
        """What every element of the value is, if that is known."""
        op = self.makers.get(v)
        while op is not None and op.name == "broadcast":
            v = op.operands[0]
            op = self.makers.get(v)
        return None if v.tensor.rank else self.constant(v)

    # -- rules

    def by_rule(self, op: Op, s: Substitution) -> list[Op]:
        m = Match(op, self.makers, self.constant)
        for rule in RULES.get(op.name, ()):
            if rule.licence not in self.licences and rule.licence is not Licence.EXACT:
                continue
            new = rule.apply(m)
            if new is None:
                continue
            ops = list(m.take())
            for o in ops:
                self.makers.update((r, o) for r in o.results)
            s.values[op.results[0]] = new
            return ops
        return [op]


def _evaluated(op: Op, args: Sequence[Any]) -> np.ndarray[Any, Any] | None:
    """The result on these operands; None if it fails: it shall at run time, with its place."""
    try:
        with np.errstate(all="ignore"):
            (out,) = card_of(op.name).evaluate(Run(op, {}), *args)
    except RunError:
        return None
    return np.asarray(out).astype(op.result.tensor.dtype.numpy)


def _known_attrs(op: Op) -> bool:
    def known(a: Attr) -> bool:
        if isinstance(a, Dim):
            return a.is_constant
        if isinstance(a, tuple):
            return all(map(known, a))
        return True

    return all(map(known, op.attrs.values()))


def _const(v: Value, a: np.ndarray[Any, Any], op: Op) -> Op:
    value: Attr = a
    if not a.shape:
        x = a.item()
        value = bool(x) if v.tensor.dtype.is_bool else int(x) if v.tensor.dtype.is_int else float(x)
    return Op("const", (), (v,), freeze_attrs({"value": value}), (), (), op.loc)


__all__: Sequence[str] = ("fold_constants", "simplify")
