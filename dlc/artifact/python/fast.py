"""The short way for calls with plain tensors and numbers.

A function of straight Python text is made for each entry that takes and gives only those and
changes nothing. It does the least that is safe: types, density and ranks are looked at, sizes go
straight into the C struct, where native code checks them. Whatever is not as usual (another type, a
failure, too small an arena) ends it with `MISS`: the general way then does the call again, and says
what is wrong."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dlc.artifact.border import Border, Extent, Number
from dlc.artifact.items import Item
from dlc.artifact.python.frame import Frame
from dlc.artifact.python.native import NativeEntry
from dlc.typesys import surface
from dlc.typesys.dims import Dim, Quotient

MISS = object()
"""The call has to go the general way."""

Fast = Callable[..., Any]

_FORMATS = {"f64": "d", "f32": "f", "i64": "q", "i32": "i", "i16": "h", "i8": "b", "u8": "B"}


def fast_call(entry: NativeEntry) -> Fast | None:
    """`fast(arguments, address of the model, dims of the model)`, or None for entries that have no
    short way."""
    border = entry.border
    if border.writes or entry.unsized or not _is_plain(border):
        return None
    return _Writer(entry).function()


def _is_plain(border: Border) -> bool:
    items = (*border.inputs, *border.outputs)
    if any(x.kind not in ("scalar", "tensor") or isinstance(x.type, surface.Key) for x in items):
        return False
    scalars = [x for x in items if x.kind == "scalar"]
    if any(x.tensor.dtype.name not in _FORMATS for x in scalars):
        return False
    if any(x.tensor.dtype.numpy.isbuiltin != 1 for x in items):
        return False  # bf16 has no buffers
    if any(not isinstance(s.mention.at, (Extent, Number)) for s in border.steps):
        return False
    return len(border.outputs) == 1 or isinstance(border.entry.result, surface.Tuple)


class _Writer:
    """The text of one function, and the values that it mentions."""

    def __init__(self, entry: NativeEntry) -> None:
        self.entry, self.e, self.border = entry, entry.e, entry.border
        self.lines: list[str] = []
        self.globals: dict[str, Any] = {
            "MISS": MISS, "ndarray": np.ndarray, "empty": np.empty, "pool": entry.pool,
            "new": entry.frame, "call": entry.function, "addressof": ctypes.addressof,
            "at": ctypes.c_char.from_buffer,
        }  # fmt: skip
        self.dims: dict[str, str] = {d: str(n) for d, n in self.border.fixed.items()}
        self.dims |= {d: f"sizes[{d!r}]" for d in self.border.model_dims}
        self.frame: Frame = entry.frame()
        entry.pool.append(self.frame)

    def function(self) -> Fast:
        names = [f"a{i}" for i in range(len(self.border.inputs))]
        for i, x in enumerate(self.border.inputs):
            self._check(i, x)
        self.lines += [
            "    try:",
            "        frame = pool.pop()",
            "    except IndexError:",
            "        frame = new()",
            "    w = frame.input.words",
            "    o = frame.output.words",
        ]
        for i, x in enumerate(self.border.inputs):
            self._give(i, x)
        self._bind()
        results = [self._room(i, x) for i, x in enumerate(self.border.outputs)]
        model = "model, " if self.border.sets else ""
        self.lines += [
            f"    code = call({model}frame.input.address, frame.output.address, "
            f"frame.arena.address, frame.arena.size, {self.entry.native.options}, "
            "frame.error.address)",
            "    if code:",
            "        pool.append(frame)",
            "        return MISS",
        ]
        self._return(results)
        head = f"def fast({', '.join(names)}{', ' if names else ''}model, sizes):"
        text = "\n".join([head, *self.lines]) + "\n"
        exec(compile(text, f"<call of {self.e.name}>", "exec"), self.globals)
        return self.globals["fast"]

    # -- arguments

    def _check(self, i: int, x: Item) -> None:
        if x.kind == "tensor":
            d, n = f"d{i}", x.tensor.rank
            self.globals[d] = x.tensor.dtype.numpy
            self.lines += [
                f"    if type(a{i}) is not ndarray or a{i}.dtype != {d}:",
                "        return MISS",
                f"    f{i} = a{i}.flags",
                f"    if not f{i}.c_contiguous or a{i}.ndim != {n}:",
                "        return MISS",
                f"    {''.join(f'n{i}_{axis}, ' for axis in range(n))}= a{i}.shape",
            ]
            return
        kinds = "(float, int)" if x.tensor.dtype.is_float else "(int,)"
        self.lines += [f"    if type(a{i}) not in {kinds}:", "        return MISS"]

    def _give(self, i: int, x: Item) -> None:
        member, buffer = self.e.in_members[i], self.frame.input
        if x.kind == "tensor":
            at = buffer.offset(member, "dims") >> 3
            address = f"addressof(at(a{i})) if f{i}.writeable and a{i}.size else a{i}.ctypes.data"
            self.lines.append(f"    w[{buffer.offset(member, 'data') >> 3}] = {address}")
            self.lines += [f"    w[{at + axis}] = n{i}_{axis}" for axis in range(x.tensor.rank)]
            return
        pack = struct.Struct("<" + _FORMATS[x.tensor.dtype.name])
        self.globals[f"pack{i}"] = pack.pack_into
        # A number out of range is the general way's to refuse.
        self.lines += [
            "    try:",
            f"        pack{i}(frame.input.bytes, {buffer.offset(member)}, a{i})",
            "    except (ArithmeticError, ValueError, PackError):",
            "        pool.append(frame)",
            "        return MISS",
        ]
        self.globals["PackError"] = struct.error

    # -- results

    def _bind(self) -> None:
        """Local names for dims that results need."""
        wanted = {s for x in self.border.outputs for d in x.tensor.shape for s in d.symbols()}
        for step in self.border.steps:
            at = step.mention.at
            shown = f"a{at.item}" if isinstance(at, Number) else ""
            if isinstance(at, Extent):
                shown = f"n{at.item}_{at.axis}"
            size = step.mention.size
            k = size.coefficient(step.dim)
            assert k is not None
            rest = size.substitute({step.dim: Dim.const(0)})
            text = shown
            if size.name is None:
                text = f"({shown} - {self._expression(rest)}) // {self._expression(k)}"
            if step.dim in wanted or any(step.dim in s.mention.size.symbols() for s in
                                         self.border.steps):  # fmt: skip
                name = f"b{len(self.dims)}"
                self.lines.append(f"    {name} = {text}")
                self.dims[step.dim] = name

    def _expression(self, d: Dim) -> str:
        """A dim as Python text."""
        return expression(d, self.dims)

    def _room(self, i: int, x: Item) -> str:
        if x.kind == "scalar":
            return ""
        member, buffer = self.e.out_members[i], self.frame.output
        self.globals[f"r{i}"] = x.tensor.dtype.numpy
        shape = "".join(f"{self._expression(d)}, " for d in x.tensor.shape)
        name = f"y{i}"
        self.lines += [
            "    try:",
            f"        {name} = empty(({shape}), r{i})",
            "    except (ValueError, MemoryError, ArithmeticError):",
            "        pool.append(frame)",
            "        return MISS",
            f"    o[{buffer.offset(member, 'data') >> 3}] = "
            f"addressof(at({name})) if {name}.size else 0",
            f"    o[{buffer.offset(member, 'capacity') >> 3}] = {name}.size",
        ]
        return name

    def _return(self, names: list[str]) -> None:
        parts: list[str] = []
        for i, (x, name) in enumerate(zip(self.border.outputs, names, strict=True)):
            if name:
                parts.append(name)
                continue
            d = x.tensor.dtype
            unpack = struct.Struct("<" + _FORMATS[d.name])
            self.globals |= {f"u{i}": unpack.unpack_from, f"t{i}": d.numpy.type}
            at = self.frame.output.offset(self.e.out_members[i])
            self.lines.append(f"    y{i} = t{i}(u{i}(frame.output.bytes, {at})[0])")
            parts.append(f"y{i}")
        self.lines.append("    pool.append(frame)")
        if isinstance(self.border.entry.result, surface.Tuple):
            self.lines.append(f"    return ({''.join(f'{p}, ' for p in parts)})")
        else:
            self.lines.append(f"    return {parts[0]}")


def expression(d: Dim, names: Mapping[str, str]) -> str:
    """A dim as Python text over these names."""
    terms: list[str] = []
    for monomial, c in d.terms:
        factors = [str(c)] if c != 1 or not monomial else []
        for atom, power in monomial:
            if isinstance(atom, Quotient):
                top, bottom = (expression(q, names) for q in (atom.numerator, atom.denominator))
                text = f"({top} // {bottom})"
            else:
                text = names[atom]
            factors += [text] * power
        terms.append(" * ".join(factors))
    return f"({' + '.join(terms)})" if terms else "0"
