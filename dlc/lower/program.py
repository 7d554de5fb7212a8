"""A checked program as an IR module: instances on demand, from the exports and tests on."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from dlc.check.decls import TestDecl
from dlc.check.instances import InstanceKey, Static
from dlc.check.program import Checked
from dlc.check.typed import PURE, TypedFunction
from dlc.diag import InternalError
from dlc.ir.core import AdtDecl, Attr, Function, Module, Signature, freeze_attrs
from dlc.ir.tangent import declare_tangent, tangent_type
from dlc.lower.entry import entry_function, needs_checks
from dlc.lower.expression import lower_expression
from dlc.lower.function import leaf_names, lower_function, signature_of
from dlc.lower.layout import Layout
from dlc.lower.scope import Callee, loc_of
from dlc.ops.build import Builder, DimNames
from dlc.typesys.surface import UNIT, short
from dlc.typesys.types import Type

_ENTRY: Mapping[str, Attr] = MappingProxyType({"entry": True, "public": True})
"""Attributes of functions that are called from outside."""


@dataclass(frozen=True)
class OnnxFunction:
    """A model that came from ONNX, as IR: the function to call, and what it needs beside it. Its
    parameters are the leaves of the model record, then the call's arguments; its dims are the
    symbolic dims of the inputs. Names of functions of several models must differ."""

    function: str
    module: Module


@dataclass(frozen=True)
class Entry:
    """A function that can be called from outside: its name in the module, and the instance."""

    name: str
    callee: Callee


@dataclass(frozen=True)
class Instances:
    """Everything that was lowered."""

    module: Module
    layout: Layout
    entries: tuple[Entry, ...]
    tests: tuple[tuple[str, TestDecl], ...]


class Lowering:
    """One program being lowered. Functions are named when they are first mentioned and lowered in
    that order, so that recursion needs nothing special and names are the same every time."""

    def __init__(self, checked: Checked, onnx: Mapping[str, OnnxFunction]) -> None:
        self.checked = checked
        self.layout = Layout(checked.models, checked.adts)
        self._onnx = onnx
        self._callees: dict[InstanceKey, Callee] = {}
        self._waiting: list[tuple[Callee, dict[str, Attr]]] = []
        self._helpers: dict[Hashable, Signature] = {}
        self._made: dict[str, Function | None] = {}
        self._linked: dict[str, Module] = {}
        self._foreign = {n for m in onnx.values() for n in m.module.functions}

    # -- what functions ask for

    def callee(self, key: InstanceKey) -> Callee:
        if key not in self._callees:
            fn = self.checked.instance(key)
            self._register(fn, self._name(short(fn.name)), {})
        return self._callees[key]

    def helper(
        self, key: Hashable, signature: Signature, make: Callable[[Signature], Function]
    ) -> Signature:
        if key not in self._helpers:
            named = replace(signature, name=self._name(signature.name))
            self._helpers[key] = named
            self._made[named.name] = make(named)
        return self._helpers[key]

    def onnx(self, model: str) -> Signature:
        if model not in self._onnx:
            raise InternalError(f"no function of the ONNX model `{model}`", stage="lower")
        given = self._onnx[model]
        if model not in self._linked:
            for name, fn in given.module.functions.items():
                kept = {k: a for k, a in fn.attrs.items() if k not in _ENTRY}
                self._made[name] = replace(fn, attrs=freeze_attrs(kept))
            self._linked[model] = given.module
        return given.module.functions[given.function].signature

    # -- naming and order

    def _name(self, base: str) -> str:
        base = re.sub(r"[^\w.$]", ".", base)  # functions without a name are called `fn@3:21`
        name, n = base, 1
        while name in self._made or name in self._foreign:
            n += 1
            name = f"{base}${n}"
        self._made[name] = None
        return name

    def _register(self, fn: TypedFunction, name: str, attrs: dict[str, Attr]) -> Callee:
        callee = signature_of(self.layout, fn, name)
        self._callees[fn.key] = callee
        self._waiting.append((callee, {**attrs, **self._attributes(callee)}))
        return callee

    def _attributes(self, callee: Callee) -> dict[str, Attr]:
        """What later passes have to know of the function."""
        fn = callee.typed
        out: dict[str, Attr] = {}
        if fn.checkpoint is not None:
            out["checkpoint"] = fn.checkpoint.mode
            if fn.checkpoint.mode == "every":
                out["checkpoint_every"] = fn.checkpoint.every
        if fn.batch is not None:
            out["batch"] = fn.batch
        return out

    def drain(self) -> None:
        """Lowers what is waiting, and what that asks for."""
        while self._waiting:
            callee, attrs = self._waiting.pop(0)
            if callee.typed.vjp is not None:
                attrs = {**attrs, "vjp": self._rule(callee)}
            self._made[callee.signature.name] = lower_function(
                self, lower_expression, callee, attrs
            )

    def _rule(self, callee: Callee) -> str:
        """The name of a function with this one's dims that takes its parameters, then the
        cotangents of its float results, and gives the cotangents of its float parameters."""
        vjp = callee.typed.vjp
        assert vjp is not None
        rule = self.callee(vjp.key).signature
        sig = callee.signature
        bind = dict(vjp.dims)
        dims = tuple(bind[d] for d in rule.dims)
        params = (*sig.params, *self._tangents(sig.results))
        results = self._tangents(sig.params)
        wanted = Signature(f"{sig.name}.rule", sig.dims, params, results)

        def make(made: Signature) -> Function:
            loc = loc_of(callee.typed.span)
            b = Builder(self.layout.types, DimNames(made.dims), loc).nested(made.params)
            out = b.call(rule, b.params, dims)
            return b.function(made.name, made.dims, b.return_(*out), result_types=results, loc=loc)

        return self.helper(("rule", callee.typed.key), wanted, make).name

    def _tangents(self, types: Sequence[Type]) -> tuple[Type, ...]:
        out: list[Type] = []
        for t in types:
            declare_tangent(self.layout.types, t)
            made = tangent_type(self.layout.types, t)
            if made is not None:
                out.append(made)
        return tuple(out)

    # -- roots

    def entry(self, function: str, consts: Mapping[str, Static]) -> Entry:
        """An exported function, under its own name."""
        fn = self.checked.instance(self.checked.entry(function, consts))
        name = self._name(short(fn.name))
        layout = self.layout
        attrs: dict[str, Attr] = dict(_ENTRY)
        probe = signature_of(layout, fn, name)
        if not needs_checks(layout, probe):
            if fn.key not in self._callees:
                return Entry(name, self._register(fn, name, attrs))
            # A caller came first, so the instance has a name already; the entry calls it.
        inner = self._callees.get(fn.key) or self._register(fn, self._name(f"{name}.body"), {})
        hints = [n for p in fn.params for n in leaf_names(layout, p)]
        if inner.inout:
            attrs["inout"] = inner.inout
        self._made[name] = entry_function(layout, name, inner, hints, attrs)
        return Entry(name, replace(inner, signature=replace(inner.signature, name=name)))

    def test(self, number: int, test: TestDecl) -> str:
        """A `test` item, as a function that takes and gives nothing."""
        name = self._name(f"test.{number}")
        key = InstanceKey(name)
        fn = TypedFunction(
            key, name, (), (), UNIT, (), test.body, PURE, None, None, None, False, test.span
        )
        self._register(fn, name, {**_ENTRY, "test": test.name})
        return name

    def module(self) -> Module:
        self.drain()
        types: dict[str, AdtDecl] = dict(self.layout.types)
        for linked in self._linked.values():
            types.update(linked.types)
        functions: dict[str, Function] = {}
        for name, fn in self._made.items():
            if fn is None:
                raise InternalError(f"`{name}` was never lowered", stage="lower")
            functions[name] = fn
        return Module.of(types, functions)


def instances(
    checked: Checked,
    consts: Mapping[str, Mapping[str, Static]],
    onnx: Mapping[str, OnnxFunction],
    entries: Sequence[str],
    tests: bool,
) -> Instances:
    """Lowers the given exports (with const dims by export), and the tests if asked for."""
    lowering = Lowering(checked, onnx)
    # The entries' names are taken first: what they call gets other names.
    made = tuple(lowering.entry(name, consts.get(short(name), {})) for name in entries)
    asked = tuple((lowering.test(i, t), t) for i, t in enumerate(checked.tests)) if tests else ()
    return Instances(lowering.module(), lowering.layout, made, asked)
