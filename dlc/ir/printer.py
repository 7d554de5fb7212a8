"""IR as text. `read_module(print_module(m))` is `m` again, and prints the same bytes.

One syntax serves every operation:

    %a, %b = name %x, %y {key=value} def k, j
      (%p: f32[N]) {
        ...
      } : f32[N], i32[k] !0:12:5

`!file:line:column` is the source location, with files numbered at the top of the module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from dlc.ir.core import NOWHERE, AdtDecl, Attr, Function, Loc, Module, Op, Region, Value, walk
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DType
from dlc.typesys.types import AdtType, ListType, TensorType


def print_module(m: Module, *, locations: bool = True) -> str:
    """The whole module; without `locations`, a text that source positions do not disturb."""
    files = _files(m) if locations else {}
    parts = [f"source {i} {json.dumps(f)}" for f, i in files.items()]
    parts += [_adt(t) for t in m.types.values()]
    out = "\n".join(parts)
    for fn in m.functions.values():
        out += ("\n\n" if out else "") + print_function(fn, files)
    return out + "\n"


def print_function(fn: Function, files: Mapping[str, int] | None = None) -> str:
    """One function; locations are printed for the files that are numbered."""
    return _Printer(files or {}).function(fn)


def _files(m: Module) -> dict[str, int]:
    names: dict[str, None] = {}
    for fn in m.functions.values():
        for loc in (fn.loc, *(op.loc for op in walk(fn.body))):
            if loc != NOWHERE:
                names.setdefault(loc.file)
    return {f: i for i, f in enumerate(names)}


def _adt(t: AdtDecl) -> str:
    dims = f"[{', '.join(t.dims)}]" if t.dims else ""
    cs = " | ".join(
        c.name
        + (f"{{{', '.join(c.dims)}}}" if c.dims else "")
        + (f"({', '.join(f'{f.name}: {f.type}' for f in c.fields)})" if c.fields else "")
        for c in t.constructors
    )
    return f"type @{t.name}{dims} = {cs}"


def attr_text(v: Attr) -> str:
    """An attribute's text: `3`, `0.5`, `true`, `"s"`, `dim(4*H)`, `dtype(f32)`, `type(f32[N])`,
    `[…]`, `array(f32, [2, 2], [1.0, …])`."""
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, int):
        return str(v)
    if isinstance(v, float):
        return _float(v)
    if isinstance(v, str):
        return json.dumps(v)
    if isinstance(v, Dim):
        return f"dim({v})"
    if isinstance(v, DType):
        return f"dtype({v})"
    if isinstance(v, (TensorType, ListType, AdtType)):
        return f"type({v})"
    if isinstance(v, tuple):
        return f"[{', '.join(attr_text(x) for x in v)}]"
    return _array(v)


def _float(x: float) -> str:
    if x != x:
        return "nan"
    if x in (float("inf"), float("-inf")):
        return "inf" if x > 0 else "-inf"
    return repr(x)


def _array(a: np.ndarray[Any, Any]) -> str:
    from dlc.typesys.dtypes import dtype_of_numpy

    d = dtype_of_numpy(a.dtype)
    assert d is not None, f"array attribute of {a.dtype}"
    flat = a.reshape(-1)
    if d.is_float:
        # Bit patterns of NaNs are not kept: the language has one NaN.
        items = ", ".join(_float(float(x)) for x in flat)
    elif d.is_bool:
        items = ", ".join("true" if x else "false" for x in flat)
    else:
        items = ", ".join(str(int(x)) for x in flat)
    return f"array({d}, [{', '.join(map(str, a.shape))}], [{items}])"


class _Printer:
    """Names values as it meets them: the hint where it is free, else the hint with a number."""

    def __init__(self, files: Mapping[str, int]) -> None:
        self.files = files
        self.names: dict[Value, str] = {}
        self.used: set[str] = set()
        self.next: dict[str, int] = {}

    def define(self, v: Value) -> str:
        base = v.hint or "v"
        name, n = base, self.next.get(base, 0)
        while name in self.used:
            n += 1
            name = f"{base}_{n}"
        self.next[base] = n
        self.used.add(name)
        self.names[v] = name
        return "%" + name

    def use(self, v: Value) -> str:
        return "%" + self.names.get(v, f"?{v.hint}")

    def loc(self, loc: Loc) -> str:
        return f" !{self.files[loc.file]}:{loc.line}:{loc.column}" if loc.file in self.files else ""

    def function(self, fn: Function) -> str:
        dims = f"[{', '.join(fn.dims)}]" if fn.dims else ""
        params = ", ".join(f"{self.define(p)}: {p.type}" for p in fn.params)
        results = ", ".join(map(str, fn.result_types))
        extra = f" def {', '.join(fn.result_dims)}" if fn.result_dims else ""
        head = f"fn @{fn.name}{dims}({params}) -> ({results}){extra}"
        tail = f"{self.attrs(fn.attrs)}{self.loc(fn.loc)}"
        return f"{head}{tail} {{\n{self.ops(fn.body, 1)}}}\n"

    def attrs(self, attrs: Mapping[str, Attr]) -> str:
        if not attrs:
            return ""
        return " {" + ", ".join(f"{k}={attr_text(attrs[k])}" for k in sorted(attrs)) + "}"

    def ops(self, r: Region, depth: int) -> str:
        return "".join(self.op(op, depth) for op in r.ops)

    def op(self, op: Op, depth: int) -> str:
        pad = "  " * depth
        text = op.name
        if op.operands:
            text += " " + ", ".join(self.use(v) for v in op.operands)
        text += self.attrs(op.attrs)
        if op.dims:
            text += f" def {', '.join(op.dims)}"
        for r in op.regions:
            params = ", ".join(f"{self.define(p)}: {p.type}" for p in r.params)
            dims = f" def {', '.join(r.dims)}" if r.dims else ""
            text += f"\n{pad}  ({params}){dims} {{\n{self.ops(r, depth + 2)}{pad}  }}"
        if op.results:
            # Results are named after the regions, so that a reader sees definitions in textual
            # order.
            names = ", ".join(self.define(v) for v in op.results)
            text = f"{names} = {text} : {', '.join(str(v.type) for v in op.results)}"
        return f"{pad}{text}{self.loc(op.loc)}\n"
