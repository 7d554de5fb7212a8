"""One function of the library: how it is called, and what it is in numpy.

From a table of cases one program is made. It exports each function as it is, and its derivative
with respect to every float argument, weighted by given numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import dlc
from dlc import resources

Rng = np.random.Generator
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """`reference` takes the arguments in order, floats as f64, models as dicts of arrays, and gives
    the result or a tuple of results."""

    name: str
    params: str
    result: str
    call: str
    reference: Callable[..., Any]
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])
    make: Mapping[str, Callable[[Rng], Any]] = field(default_factory=dict[str, Any])
    generics: str = ""
    smooth: bool = True
    """Whether it has a derivative to test: off where results are whole numbers."""
    rows: tuple[str, ...] = ()
    """Arguments that are only gathered from: their derivatives are `Rows`."""
    drawn: int = 0
    """How many results, at the end, are random numbers that `reference` takes as well."""

    @property
    def arguments(self) -> list[tuple[str, str]]:
        """Names and types."""
        return [_two(p, ":") for p in split(self.params)]

    @property
    def results(self) -> list[str]:
        r = self.result
        return split(r[1:-1]) if r.startswith("(") else [r] if r else []

    @property
    def changed(self) -> list[str]:
        """`mut` parameters that are tensors; models are changed in `params`."""
        return [n for n, t in self.arguments if t.startswith("mut ")]

    @property
    def differentiated(self) -> list[str]:
        if not self.smooth or self.changed:
            return []
        return [n for n, t in self.arguments if is_float(t) or is_model(t)]

    @property
    def model(self) -> str | None:
        return next((n for n, t in self.arguments if is_model(t)), None)


def split(text: str) -> list[str]:
    """At the commas outside brackets."""
    out, depth, start = [], 0, 0
    for i, c in enumerate(text + ","):
        depth += c in "[(" and i < len(text)
        depth -= c in "])" and i < len(text)
        if c == "," and depth == 0:
            out.append(text[start:i].strip())
            start = i + 1
    return [p for p in out if p]


def _two(text: str, at: str) -> tuple[str, str]:
    a, _, b = text.partition(at)
    return a.strip(), b.strip()


def is_float(t: str) -> bool:
    return t.removeprefix("mut ").split("[")[0] == "f32"


def is_model(t: str) -> bool:
    t = t.removeprefix("mut ").split("[")[0]
    return t[0].isupper() and t not in ("Graph", "Segs", "Key", "List", "Sparse", "Rows")


# -- the program


def _named(case: Case, text: str) -> str:
    """A model parameter gets a name of its own: equal names would be one set of parameters."""
    m = case.model
    return text if m is None else re.sub(rf"\b{m}\b", f"{m}_{case.name}", text)


def exports(case: Case) -> str:
    """The function, exported; and its derivative."""
    arrow = f" -> {case.result}" if case.result else ""
    verb = "return " if case.result else ""
    g = case.generics
    lines = [f"export fn {case.name}_f{g}({case.params}){arrow}:", f"    {verb}{case.call}"]
    if case.differentiated:
        lines += _derivative(case)
    return _named(case, "\n".join(lines) + "\n")


def _derivative(case: Case) -> list[str]:
    floats = [(f"y{i}", t) for i, t in enumerate(case.results) if is_float(t)]
    weights = ", ".join(f"u{n}: {t}" for n, t in floats)
    left = ", ".join(f"y{i}" if is_float(t) else "_" for i, t in enumerate(case.results))
    terms = [f"sum(u{n} * {n})" if "[" in t else f"u{n} * {n}" for n, t in floats]
    loss, wrt = f"loss_{case.name}", case.differentiated
    params, g = case.params, case.generics
    names = [*(n for n, _ in case.arguments), *(f"u{n}" for n, _ in floats)]
    types = dict(case.arguments)
    gives = [n for n in wrt if not is_model(types[n])]
    given = [types[n].replace("f32[", "Rows[f32, ") if n in case.rows else types[n] for n in gives]
    result = ", ".join(given)
    result = f" -> ({result})" if len(gives) > 1 else f" -> {result}" if gives else ""
    m = case.model
    outer = params if m is None else params.replace(f"{m}: ", f"{m}: mut ", 1)
    keys = ", ".join(f"d{n}" for n in wrt)
    which = f"({', '.join(wrt)})" if len(wrt) > 1 else wrt[0]
    return [
        f"fn {loss}{g}({params}, {weights}) -> f32:",
        f"    {left} = {case.call}",
        f"    return {' + '.join(terms)}",
        f"export fn {case.name}_d{g}({outer}, {weights}){result}:",
        f"    {keys} = grad({loss}, wrt={which})({', '.join(names)})",
        *([f"    {m} = each(fn(p, d) => d, {m}, d{m})"] if m is not None else []),
        *([f"    return {', '.join(f'd{n}' for n in gives)}"] if gives else []),
    ]


def program(modules: Sequence[str], cases: Sequence[Case]) -> str:
    """Names of the modules' functions and models are qualified: an export may have their names."""
    text = "\n".join(exports(c) for c in cases)
    for module in modules:
        path = resources.std_module(module)
        assert path is not None
        source = path.read_text(encoding="utf-8")
        for name in re.findall(r"^fn (\w+)", source, re.MULTILINE):
            text = re.sub(rf"(?<!fn )(?<!\.)\b{name}(?=\()", f"{module}.{name}", text)
        for name in re.findall(r"^model (\w+)", source, re.MULTILINE):
            text = re.sub(rf"(?<=: ){name}\b|(?<=mut ){name}\b", f"{module}.{name}", text)
    return "".join(f"import {m}\n" for m in modules) + text


# -- values


def shape_of(t: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The numbers of a tensor type's dims."""
    inside = t[t.index("[") + 1 : -1] if "[" in t else ""
    names = {n.replace(".", "__"): v for n, v in sizes.items()}
    return tuple(
        int(eval(re.sub(r"(?<=[A-Za-z])\.(?=[A-Za-z])", "__", d), {}, names)) for d in split(inside)
    )


def values(case: Case, r: Rng) -> list[Any]:
    """Random arguments, without models; f32 normals where nothing else is said."""
    out: list[Any] = []
    for n, t in case.arguments:
        if is_model(t):
            continue
        if n in case.make:
            out.append(case.make[n](r))
        else:
            assert is_float(t), (case.name, n, t)
            out.append(r.normal(size=shape_of(t, case.sizes)).astype(np.float32))
    return out


def weights(case: Case, r: Rng, results: Sequence[Any]) -> list[Any]:
    """Cotangents of the float results."""
    return [
        r.normal(size=np.shape(y)).astype(np.float32)
        for y, t in zip(results, case.results, strict=True)
        if is_float(t)
    ]


def dims_of_models(cases: Sequence[Case]) -> dict[str, int]:
    """Sizes for `net.init`."""
    out: dict[str, int] = {}
    for c in cases:
        m = c.model
        if m is None:
            continue
        out |= {f"{m}_{c.name}.{d[2:]}": v for d, v in c.sizes.items() if d.startswith("m.")}
    return out


def as_tuple(x: Any) -> tuple[Any, ...]:
    return x if isinstance(x, tuple) else () if x is None else (x,)


def wide(x: Any) -> Any:
    """Floats as f64, for the reference."""
    if isinstance(x, dict):
        return {n: wide(v) for n, v in x.items()}
    if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind == "f":
        return x.astype(np.float64)
    return x


def parameters(net: dlc.Net, case: Case) -> dict[str, Array]:
    """The parameters of a case's model, by their names in it."""
    prefix = f"{case.model}_{case.name}."
    return {n.removeprefix(prefix): v for n, v in net.params.items() if n.startswith(prefix)}
