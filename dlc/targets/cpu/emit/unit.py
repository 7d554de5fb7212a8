"""The module being emitted: options, names and signatures, facts about the call graph."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dlc.ir.core import AdtDecl
from dlc.memory.form import (
    Alloc,
    BFunction,
    BModule,
    Call,
    ListCopy,
    ListNew,
    ListPush,
    RegKind,
    Variant,
)
from dlc.memory.frame import FrameLayout, frame_layout, statements
from dlc.targets.cpu.emit.debug import DebugInfo
from dlc.targets.cpu.llvm import ELEMENTS, INDEX, Function, Module, Signature, Target
from dlc.targets.cpu.llvm.module import Linkage
from dlc.targets.cpu.schema import Schema
from dlc.typesys.dtypes import DType

DEFAULT_FUEL = 1 << 32
"""Seconds of the tightest loop, and more turns than any that is meant to end takes."""


@dataclass(frozen=True, slots=True)
class EmitOptions:
    """`prefix` begins every exported symbol. `poison` fills frames at entry and heap at release
    with NaNs. `fuel` is the number of turns that loops without a bound may take in one call,
    together, if the caller does not say; beyond it the status is `fuel`. `debug` maps
    instructions to source lines. `raw` is the linkage of the raw entries: internal where the module
    has an interface of its own. `small` asks LLVM for small code."""

    prefix: str = "net"
    poison: bool = False
    fuel: int = DEFAULT_FUEL
    debug: bool = False
    raw: Linkage = "external"
    small: bool = False


def register_type(t: DType | RegKind) -> str:
    """The LLVM type of a register."""
    return "ptr" if isinstance(t, str) else ELEMENTS[t.name].register


def result_type(fn: BFunction) -> str:
    """What an internal function returns: its status, then its results and result dims."""
    types = [register_type(r.type) for r in fn.results] + [INDEX for _ in fn.result_dims]
    return "{ " + ", ".join(("i32", *types)) + " }" if types else "i32"


def symbol(name: str) -> str:
    """The internal symbol of a function; characters that LLVM would want quoted become hex."""
    return "dlc.fn." + re.sub(r"[^A-Za-z0-9_.]", lambda m: f"${ord(m.group()):x}.", name)


def entry_symbol(prefix: str, name: str) -> str:
    """The exported symbol of a function's raw entry: `<prefix>_raw_<name>`."""
    return f"{prefix}_raw_{re.sub(r'[^A-Za-z0-9_]', '_', name)}"


class Unit:
    """One bufferised module on its way to LLVM text."""

    def __init__(self, bmodule: BModule, target: Target, options: EmitOptions) -> None:
        self.bmodule, self.target, self.options = bmodule, target, options
        self.module = Module(target, options.prefix, "optsize minsize" if options.small else "")
        self.groups: Mapping[int, tuple[BFunction, ...]] = _groups(bmodule)
        self.allocating = _allocating(bmodule)
        self.types: Mapping[str, AdtDecl] = _types(bmodule)
        self.schema = Schema.of(self.types)
        self.debug = DebugInfo(self.module) if options.debug else None
        self._layouts: dict[str, FrameLayout] = {}

    def subprogram(self, name: str, fn: BFunction) -> str:
        """The debug description of the LLVM function `name`, made of `fn`; "" without debug."""
        return self.debug.subprogram(fn.name, name, fn.loc) if self.debug else ""

    def group_of(self, fn: BFunction) -> frozenset[str]:
        """The names of the functions of a function's recursive group; empty if it has none."""
        return frozenset() if fn.group is None else frozenset(g.name for g in self.groups[fn.group])

    def layout(self, fn: BFunction) -> FrameLayout:
        """The frame of a function of a group."""
        found = self._layouts.get(fn.name)
        if found is None:
            found = self._layouts[fn.name] = frame_layout(fn, self.group_of(fn))
        return found

    def internal(self, fn: BFunction) -> Function:
        """The LLVM function: context, frame, dims, then the parameters in order."""
        params = [("ptr noalias", "ctx"), ("ptr noalias", "frame")]
        params += [(INDEX, f"d{i}") for i in range(len(fn.dims))]
        for i, p in enumerate(fn.params):
            written = p.mode != "in" and register_type(p.reg.type) == "ptr"
            params.append((register_type(p.reg.type) + (" noalias" if written else ""), f"p{i}"))
        return Function(symbol(fn.name), Signature(result_type(fn), tuple(params)))


def _groups(m: BModule) -> dict[int, tuple[BFunction, ...]]:
    out: dict[int, tuple[BFunction, ...]] = {}
    for fn in m.functions.values():
        if fn.group is not None:
            out[fn.group] = (*out.get(fn.group, ()), fn)
    return out


def _types(m: BModule) -> dict[str, AdtDecl]:
    out: dict[str, AdtDecl] = {}
    for name, t in m.types.items():
        assert isinstance(t, AdtDecl)
        out[name] = t
    return out


def _allocating(m: BModule) -> frozenset[str]:
    """The functions that may take heap, themselves or through what they call."""
    takes = (Alloc, Variant, ListNew, ListPush, ListCopy)
    found = {
        fn.name
        for fn in m.functions.values()
        if any(isinstance(s, takes) for s in statements(fn.body))
    }
    calls = {
        fn.name: {s.function for s in statements(fn.body) if isinstance(s, Call)}
        for fn in m.functions.values()
    }
    while True:
        more = {name for name, callees in calls.items() if callees & found} - found
        if not more:
            return frozenset(found)
        found |= more
