"""Sizes that `dlc verify` picks where nobody binds them: numbers for consts, and sizes of weights
that fit together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dlc.cli.random_inputs import SMALLEST

if TYPE_CHECKING:
    from dlc.check.program import Checked
    from dlc.typesys.interface import Interface

MOST_TRIES = 48
"""Sizes that are tried for an entry."""
LARGEST_CONST = 4
"""Consts are the sizes of loops that are unrolled: small."""


def with_consts(
    checked: Checked, names: Sequence[str], numbers: Mapping[str, int], seed: int
) -> dict[str, int]:
    """The consts of these exports that have neither a number nor a default, with numbers drawn:
    by the names that `--bind` takes."""
    from dlc.cli.program import entry_name
    from dlc.lower.bind import resolve

    given = resolve(checked, numbers, names).consts
    rng = np.random.default_rng(seed)
    out: dict[str, int] = {}
    for name in names:
        sig = checked.functions[entry_name(checked, name)].signature
        have = {g.name for g in sig.generics if g.default is not None}
        have |= {p.name for p in sig.params if p.default is not None}
        have.update(given.get(name, {}))
        for n in sig.consts:
            if n in sig.dims and n not in have:
                out[f"{name}.{n}"] = int(rng.integers(SMALLEST, LARGEST_CONST + 1))
    return out


def fitting(
    interface: Interface, sizes: Mapping[str, int], ends: Callable[[dict[str, int]], str | None]
) -> dict[str, int] | None:
    """One size in place of a drawn one, so that the sizes fit what the program demands of them
    when it runs; None if none of those tried does. `ends` gives the status with these sizes."""
    for dim, n in _candidates(interface, sizes):
        status = ends({**sizes, dim: n})
        if status is None or not status.startswith("shape"):
            return {dim: n}
    return None


def _candidates(interface: Interface, sizes: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Numbers that stand in the shapes of weights, largest first, for one free dim after the
    other."""
    numbers = {
        d.constant for s in interface.parameter_sets for w in s.weights for d in w.shape
        if d.is_constant
    }  # fmt: skip
    bound = {d for s in interface.parameter_sets for d, _ in (*s.defaults, *s.fixed)}
    tries = ((d, n) for n in sorted(numbers, reverse=True) for d in sizes if d not in bound)
    for _, candidate in zip(range(MOST_TRIES), tries, strict=False):
        yield candidate
