"""The form as text; `dlc.memory.read` reads it back.

A statement is its keyword and its fields in order. Registers are declared at the top of a function
with their types. A view is `<dtype place[shape](strides) + (base) + reg*(dim)>`, its strides left
out where it is dense.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from dlc.ir.core import NOWHERE, Loc, Module
from dlc.ir.printer import attr_text
from dlc.ir.printer import print_module as print_ir
from dlc.memory.form import (
    BFunction,
    BModule,
    Case,
    FrameSlot,
    Lane,
    MapInstr,
    Param,
    Reg,
    Slot,
    Statement,
    Switch,
    View,
)
from dlc.memory.frame import nested, reads, statements, writes
from dlc.typesys.dims import ZERO, Dim
from dlc.typesys.dtypes import DType
from dlc.typesys.types import AdtType, ListType, TensorType


def keyword(c: type[Any]) -> str:
    """The statement's word in the text: `check_index` for `CheckIndex`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", c.__name__).lower()


def print_module(m: BModule, *, locations: bool = True) -> str:
    """The whole module; without `locations`, a text that source positions do not disturb."""
    out = print_ir(Module.of(m.types, {})).strip()
    parts = [out] if out else []
    parts += [print_function(fn, locations=locations).strip() for fn in m.functions.values()]
    return "\n\n".join(parts) + "\n"


def print_function(fn: BFunction, *, locations: bool = True) -> str:
    """One function."""
    return _Printer(fn, locations).function()


OPTIONAL = frozenset({"at_most", "visits", "reuse"})
"""Fields that are written with their names, and only if they say something."""

_LANES = {"input": "in", "temp": "t", "index": "i"}


class _Printer:
    def __init__(self, fn: BFunction, locations: bool) -> None:
        self.fn, self.locations = fn, locations
        self.names: dict[Reg, str] = {}
        used: set[str] = set()
        for r in all_registers(fn):
            base = re.sub(r"[^\w.]", "_", r.hint) or "r"
            name, n = base, 0
            while name in used:
                n += 1
                name = f"{base}_{n}"
            used.add(name)
            self.names[r] = name

    def function(self) -> str:
        fn = self.fn
        dims = f"[{', '.join(fn.dims)}]" if fn.dims else ""
        params = ", ".join(map(self.param, fn.params))
        results = ", ".join(
            f"{self.value(r)}: {t}" for r, t in zip(fn.results, fn.result_types, strict=True)
        )
        out = f"bfn @{fn.name}{dims}({params}) -> ({results})"
        if fn.result_dims:
            out += f" dims {self.value(fn.result_dims)} {self.value(fn.result_names)}"
        out += f" returns {self.value(fn.returns)}"
        if fn.group is not None:
            out += f" group {fn.group}"
        if fn.entry:
            out += " entry"
        out += self.loc(fn.loc) + " {\n"
        params_regs = {p.reg for p in fn.params}
        by_type: dict[str, list[str]] = {}
        for r, name in self.names.items():
            if r not in params_regs:
                by_type.setdefault(str(r.type), []).append(f"%{name}")
        for t, names in by_type.items():
            out += f"  reg {t} {', '.join(names)}\n"
        for i, s in enumerate(fn.slots):
            out += f"  slot {i} {self.slot(s)}\n"
        out += f"  frame {self.value(fn.frame)}\n"
        for loc, text in fn.remarks:
            out += f"  remark {json.dumps(text)}{self.loc(loc)}\n"
        return out + self.block(fn.body, 1) + "}\n"

    def param(self, p: Param) -> str:
        owned = " owned" if p.owned else ""
        return f"{p.mode}{owned} {json.dumps(p.name)} {self.value(p.reg)}: {p.type}"

    def slot(self, s: FrameSlot) -> str:
        return f"{s.dtype} size {s.size} at {s.offset} bytes {s.bytes}"

    def loc(self, loc: Loc) -> str:
        if not self.locations or loc == NOWHERE:
            return ""
        return f" !{json.dumps(loc.file)}:{loc.line}:{loc.column}"

    def block(self, b: tuple[Statement, ...], depth: int) -> str:
        return "".join(self.statement(s, depth) for s in b)

    def statement(self, s: Statement, depth: int) -> str:
        pad = "  " * depth
        parts = [keyword(type(s))]
        blocks = nested(s)
        loc = NOWHERE
        for f in fields(s):
            v = getattr(s, f.name)
            if f.name == "loc":
                loc = v
            elif f.name in OPTIONAL:
                parts += [f.name, self.value(v)] if v else []
            elif any(v is b for b in blocks):
                parts.append(f"{{\n{self.block(v, depth + 1)}{pad}}}")
            elif isinstance(s, Switch) and v is s.cases:
                parts.append("".join(self.case(c, depth + 1) for c in s.cases))
            else:
                parts.append(self.value(v))
        return f"{pad}{' '.join(parts)}{self.loc(loc)}\n"

    def case(self, c: Case, depth: int) -> str:
        pad = "  " * depth
        name = c.constructor or "_"
        dims = f" dims {self.value(c.dims)}" if c.dims else ""
        return (
            f"\n{pad}case {name} {self.value(c.payload)}{dims} {{\n"
            f"{self.block(c.body, depth + 1)}{pad}}}"
        )

    def value(self, v: object) -> str:
        for kind, show in _SHOW:
            if isinstance(v, kind):
                return show(self, v)
        raise TypeError(f"{v!r} has no text")

    def view(self, v: View) -> str:
        place = self.value(v.place)
        text = f"{v.dtype} {place}[{', '.join(map(str, v.shape))}]"
        if not v.is_contiguous:
            text += f"({', '.join(map(str, v.strides))})"
        if v.base != ZERO:
            text += f" + ({v.base})"
        for r, d in v.terms:
            text += f" + {self.value(r)}*({d})"
        return f"<{text}>"

    def instruction(self, i: MapInstr) -> str:
        args = ", ".join(map(self.value, i.args))
        attrs = f" {self.attrs(i.attrs)}" if i.attrs else ""
        return f"{i.op}({args}): {i.dtype}{attrs}"

    def attrs(self, attrs: Mapping[str, Any]) -> str:
        return "{" + ", ".join(f"{k}={attr_text(attrs[k])}" for k in sorted(attrs)) + "}"

    def sequence(self, v: tuple[object, ...]) -> str:
        return "[" + ", ".join(map(self.value, v)) + "]"


_SHOW: tuple[tuple[type[Any], Callable[[_Printer, Any], str]], ...] = (
    (Reg, lambda p, v: f"%{p.names[v]}"),
    (Slot, lambda p, v: f"slot{v.index}"),
    (View, _Printer.view),
    (Lane, lambda p, v: f"${_LANES[v.kind]}{v.index}"),
    (MapInstr, _Printer.instruction),
    (Dim, lambda p, v: f"dim({v})"),
    (DType, lambda p, v: str(v)),
    ((TensorType, ListType, AdtType), lambda p, v: f"type({v})"),  # pyright: ignore
    (np.ndarray, lambda p, v: attr_text(v)),
    (Mapping, _Printer.attrs),
    (tuple, _Printer.sequence),
    (str, lambda p, v: json.dumps(v)),
    ((bool, int, float), lambda p, v: attr_text(v)),  # pyright: ignore
    (type(None), lambda p, v: "none"),
)


def all_registers(fn: BFunction) -> list[Reg]:
    """Every register of the function, in order of appearance."""
    out: dict[Reg, None] = dict.fromkeys(p.reg for p in fn.params)
    for s in statements(fn.body):
        for h in (*reads(s), *writes(s)):
            if isinstance(h, Reg):
                out.setdefault(h)
        for c in getattr(s, "cases", ()):
            out.update(dict.fromkeys(c.payload))
        go = getattr(s, "go", None)
        if isinstance(go, Reg):
            out.setdefault(go)
    out.update(dict.fromkeys(fn.results))
    return list(out)
