"""From the arrays of a file to the weights of a program: names, dims, element types, shapes.

Everything that is wrong is reported together. Names are field paths behind the set's name
(`m.cell.wx`); with one set its name may be left out. The models of an `Array` are stored stacked
(`m.blocks.k`) or one by one (`m.blocks.0.k`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlc.artifact.weights.block import BlockLayout, Weight
from dlc.artifact.weights.unmatched import unmatched
from dlc.diag import CompileError, Diagnostic, error
from dlc.typesys.dims import Dim

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Matched:
    """The array of each weight, in order, and the numbers of the dims."""

    arrays: tuple[Array, ...]
    dims: Mapping[str, int]


def match(layout: BlockLayout, given: Mapping[str, Array], bound: Mapping[str, int]) -> Matched:
    """Finds every weight; `bound` are dims that are known already.

    Raises CompileError with all problems (see `unmatched`): E0910 (missing), E0911 (unexpected),
    E0912 (misshapen), E0913 (wrong element type), E0916 (a dim that no weight shows)."""
    used: set[str] = set()
    found: dict[int, Array] = {}
    problems: list[Diagnostic] = []
    one_set = len({w.set for w in layout.weights}) == 1
    missing: list[Weight] = []
    for i, w in enumerate(layout.weights):
        x = _find(w, given, one_set, used, problems)
        if x is None:
            missing.append(w)
            continue
        x = _typed(w, x, problems)
        if x.ndim != len(w.shape):
            problems.append(_rank(w, x))
        else:
            found[i] = x
    shapes = {i: x.shape for i, x in found.items()}
    dims, wrong = solve(layout, shapes, bound)
    unexpected = {name: x for name, x in given.items() if name not in used}
    problems += [*unmatched(layout, missing, unexpected, dims), *wrong]
    if not problems:
        problems += [_unseen(d) for d in layout.dims if d not in dims]
    if problems:
        raise CompileError(problems)
    return Matched(tuple(found[i] for i in range(len(layout.weights))), dims)


# -- names


def with_given(weights: Mapping[str, Array], given: Mapping[str, Array]) -> Mapping[str, Array]:
    """The weights, and those of `given` that are not among them. With one parameter set its name
    may be left out, as everywhere."""
    alone = len({n.split(".", 1)[0] for n in given}) == 1
    kept = {
        n: x
        for n, x in given.items()
        if n not in weights and not (alone and n.split(".", 1)[1] in weights)
    }
    return {**kept, **weights}


def _find(
    w: Weight, given: Mapping[str, Array], one_set: bool, used: set[str], problems: list[Diagnostic]
) -> Array | None:
    prefixes = [f"{w.set}.", ""] if one_set else [f"{w.set}."]
    for prefix in prefixes:
        name = prefix + w.info.name
        if name in given:
            used.add(name)
            return given[name]
    for prefix in prefixes if w.info.arrays else ():
        x = _stacked(w, prefix, given, used, problems)
        if x is not None:
            return x
    return None


def _stacked(
    w: Weight, prefix: str, given: Mapping[str, Array], used: set[str], problems: list[Diagnostic]
) -> Array | None:
    """The weights of an Array's models, one by one in the file, stacked."""
    parts: list[str] = []
    for i, part in enumerate(w.info.path):
        parts.append(re.escape(part))
        parts += [r"(\d+)"] * w.info.arrays.count(i + 1)
    pattern = re.compile(re.escape(prefix) + r"\.".join(parts))
    found: dict[tuple[int, ...], str] = {}
    for name in given:
        m = pattern.fullmatch(name)
        if m is not None:
            found[tuple(int(g) for g in m.groups())] = name
    if not found:
        return None
    used.update(found.values())
    counts = tuple(max(at) + 1 for at in zip(*found, strict=True))
    absent = [at for at in np.ndindex(*counts) if at not in found]
    shapes = {given[name].shape for name in found.values()}
    kinds = {given[name].dtype for name in found.values()}
    if absent or len(shapes) > 1 or len(kinds) > 1:
        first = next(iter(found.values()))
        what = f"number {absent[0][-1]} is missing" if absent else "they differ in shape or type"
        message = f"the weights like `{first}` cannot be stacked: {what}"
        problems.append(error("E0912", message))
        return np.zeros((*counts, *min(shapes)), min(kinds, key=str))
    first = given[found[(0,) * len(counts)]]
    out = np.empty((*counts, *first.shape), first.dtype)
    for at, name in found.items():
        out[at] = given[name]
    return out


def _typed(w: Weight, x: Array, problems: list[Diagnostic]) -> Array:
    if x.dtype == w.dtype.numpy:
        return x
    if w.dtype.name == "bf16" and x.dtype.kind == "V" and x.dtype.itemsize == 2:
        return x.view(w.dtype.numpy)  # numpy's file format has no name for it
    message = f"the weight `{w.name}` must be {w.dtype}, not {x.dtype}"
    found = error("E0913", message)
    problems.append(found.with_help(f"convert it when saving: x.astype('{w.dtype.numpy}')"))
    return x


# -- shapes


def _rank(w: Weight, x: Array) -> Diagnostic:
    want = f"[{', '.join(map(str, w.shape))}]"
    message = f"the weight `{w.name}` must have the shape {want}, not {list(x.shape)}"
    return error("E0912", message)


@dataclass(frozen=True)
class _Mention:
    weight: Weight
    axis: int
    size: Dim
    got: int


def solve(
    layout: BlockLayout, shapes: Mapping[int, tuple[int, ...]], bound: Mapping[str, int]
) -> tuple[dict[str, int], list[Diagnostic]]:
    """The dims from the shapes of weights, by number: those that stand alone, then those that one
    linear equation determines. Also what contradicts them, and which dims are still open."""
    mentions = [
        _Mention(layout.weights[i], axis, d, n)
        for i, shape in shapes.items()
        for axis, (d, n) in enumerate(zip(layout.weights[i].shape, shape, strict=True))
    ]
    dims = dict(bound)
    by: dict[str, _Mention] = {}
    for m in mentions:
        name = m.size.name
        if name is not None and name not in dims:
            dims[name], by[name] = m.got, m
    progress = True
    while progress:
        progress = False
        for m in mentions:
            unknown = [s for s in m.size.symbols() if s not in dims]
            if len(unknown) == 1:
                n = _linear(m, unknown[0], dims)
                if n is not None:
                    dims[unknown[0]], by[unknown[0]] = n, m
                    progress = True
    problems = [p for m in mentions if (p := _contradiction(m, dims, by)) is not None]
    return dims, problems


def _linear(m: _Mention, name: str, dims: Mapping[str, int]) -> int | None:
    k = m.size.coefficient(name)
    if k is None:
        return None
    factor = k.evaluate(dims)
    rest = m.got - m.size.substitute({name: Dim.const(0)}).evaluate(dims)
    if factor == 0 or rest % factor or rest // factor < 0:
        return None
    return rest // factor


def _contradiction(
    m: _Mention, dims: Mapping[str, int], by: Mapping[str, _Mention]
) -> Diagnostic | None:
    names = m.size.symbols()
    if any(s not in dims for s in names):
        text = f"axis {m.axis} of `{m.weight.name}` is {m.got}, which no {names[0]} makes {m.size}"
        return error("E0912", text)
    want = m.size.evaluate(dims)
    if want == m.got:
        return None
    message = f"axis {m.axis} of `{m.weight.name}` is {m.got}, but {m.size} is {want}"
    found = error("E0912", message)
    for s in names:
        o = by.get(s)
        if o is not None:
            found = found.with_note(f"{s} = {dims[s]} by axis {o.axis} of `{o.weight.name}`")
        else:
            found = found.with_note(f"{s} = {dims[s]} was bound before")
    return found


def _unseen(dim: str) -> Diagnostic:
    """A dim that is in no weight's shape (the slots of a memory, say) and is not bound."""
    short = dim.rsplit(".", 1)[-1]
    found = error("E0916", f"no weight shows how large `{dim}` is")
    return found.with_help(f"say it: net.load(weights, {short}=…), or bind it: --bind {dim}=…")
