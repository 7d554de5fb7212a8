"""Parameter sets of a file of weights: those of other functions are skipped, some can be chosen."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from dlc.artifact.weights.block import BlockLayout

Array = np.ndarray[Any, Any]


def without_sets(
    given: Mapping[str, Array], layout: BlockLayout, others: Collection[str]
) -> dict[str, Array]:
    """The arrays but those of these sets, which `layout` has not. With one set, whose name may be
    left out, what its own fields are called is kept."""
    sets = {w.set for w in layout.weights}
    own = {w.info.path[0] for w in layout.weights} if len(sets) == 1 else set[str]()
    drop = set(others) - sets - own
    return {n: x for n, x in given.items() if "." not in n or n.split(".", 1)[0] not in drop}


def sets_in(given: Mapping[str, Array], sets: Collection[str]) -> tuple[str, ...]:
    """Those of these sets of which there is an array."""
    heads = {n.split(".", 1)[0] for n in given if "." in n}
    return tuple(s for s in sets if s in heads)


def in_sets(arrays: Mapping[str, Array], sets: Collection[str]) -> dict[str, Array]:
    """The arrays of these sets, by their full names."""
    return {n: x for n, x in arrays.items() if n.split(".", 1)[0] in sets}


def of_sets(layout: BlockLayout, sets: Collection[str]) -> BlockLayout:
    """The layout of these sets alone, with all dims."""
    return BlockLayout(layout.dims, tuple(w for w in layout.weights if w.set in sets))
