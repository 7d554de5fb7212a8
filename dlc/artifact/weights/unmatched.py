"""What is said of weights that a file has not, and of arrays that a program has not.

Sets that a file lacks altogether are one finding; otherwise a set shows its first few, and how many
there are more. A name is guessed only where element type and shape fit."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlc.artifact.weights.block import BlockLayout, Weight
from dlc.diag import Diagnostic, error

Array = np.ndarray[Any, Any]

SHOWN = 5
"""Findings of one set, or of arrays whose names begin alike, before the rest is counted."""
GROUPS = 4
"""Groups of arrays without a place that are told apart."""


def unmatched(
    layout: BlockLayout,
    missing: Sequence[Weight],
    unexpected: Mapping[str, Array],
    dims: Mapping[str, int],
) -> list[Diagnostic]:
    """E0910 for the weights that no array is, E0911 for the arrays that no weight is. `dims` are
    those that the other weights have shown."""
    sets = tuple(dict.fromkeys(w.set for w in layout.weights))
    out: list[Diagnostic] = []
    for s in sets:
        own = [w for w in missing if w.set == s]
        whole = len(own) == sum(w.set == s for w in layout.weights)
        begun = any(name.startswith(f"{s}.") for name in unexpected)
        if len(sets) > 1 and len(own) > 1 and whole and not begun:
            out.append(_absent(s, own))
            continue
        for i, w in enumerate(own[:SHOWN]):
            more = len(own) - SHOWN if i == SHOWN - 1 else 0
            out.append(_missing(w, len(sets) == 1, unexpected, dims, more))
    groups: dict[str, list[str]] = {}
    for name in sorted(unexpected):
        groups.setdefault(name.split(".", 1)[0], []).append(name)
    left = sum(len(names) for names in list(groups.values())[GROUPS:])
    for k, (head, names) in enumerate(list(groups.items())[:GROUPS]):
        for i, name in enumerate(names[:SHOWN]):
            last = i == min(SHOWN, len(names)) - 1
            rest = max(len(names) - SHOWN, 0) if last else 0
            text = f", nor {rest} more that begin with `{head}.`" if rest else ""
            if last and k == GROUPS - 1 and left:
                text += f", nor {left} others"
            out.append(_unexpected(name, unexpected[name], missing, dims, text))
    return out


def _shape(w: Weight) -> str:
    return f"{w.dtype}[{', '.join(map(str, w.shape))}]" if w.shape else str(w.dtype)


def _absent(set_: str, own: Sequence[Weight]) -> Diagnostic:
    names = ", ".join(f"`{w.name}`" for w in own[:2])
    found = error("E0910", f"no weight of `{set_}`, which has {len(own)}: {names}, …")
    return found.with_help(
        "add them to the file, or compile only functions that do not take them (--entry NAME); "
        "net.init(seed) before net.load(file) draws them"
    )


def _missing(
    w: Weight, alone: bool, unexpected: Mapping[str, Array], dims: Mapping[str, int], more: int
) -> Diagnostic:
    rest = f" (and {more} more of `{w.set}`)" if more > 0 else ""
    found = error("E0910", f"no weight `{w.name}`: {_shape(w)}{rest}")
    close = difflib.get_close_matches(w.name, [n for n, x in unexpected.items() if _is(w, x, dims)])
    if close:
        return found.with_help(f"is it the one that is called `{close[0]}`?")
    if alone:
        return found.with_help("add it to the file, or draw all weights: net.init(seed)")
    return found.with_help(f"add it to the file: what a file has of `{w.set}` must be whole")


def _unexpected(
    name: str, x: Array, missing: Sequence[Weight], dims: Mapping[str, int], rest: str
) -> Diagnostic:
    found = error("E0911", f"nothing of this program is called `{name}`{rest}")
    close = difflib.get_close_matches(name, [w.name for w in missing if _is(w, x, dims)], 1)
    if close:
        return found.with_help(f"is it `{close[0]}`?")
    return found.with_help("leave it out of the file")


def _is(w: Weight, x: Array, dims: Mapping[str, int]) -> bool:
    """Whether an array can be this weight, by all that is known."""
    raw = w.dtype.name == "bf16" and x.dtype.kind == "V" and x.dtype.itemsize == 2
    if (x.dtype != w.dtype.numpy and not raw) or x.ndim != len(w.shape):
        return False
    return all(
        any(s not in dims for s in d.symbols()) or d.evaluate(dims) == n
        for d, n in zip(w.shape, x.shape, strict=True)
    )
