"""The rules for operators, by family. `TABLE` finds them by domain and name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dlc.importers.call import Operator
from dlc.importers.operators import (
    activations,
    attention,
    control,
    convolutions,
    elementwise,
    expanded,
    gather,
    norms,
    padding,
    pools,
    products,
    quantisation,
    recurrent,
    reductions,
    resize,
    sampling,
    selection,
    sequences,
    shapes,
    signal,
    training,
)

FAMILIES = (
    elementwise, activations, shapes, gather, padding, reductions, products, convolutions, pools,
    norms, resize, sampling, recurrent, quantisation, attention,
    signal, control, sequences, selection, training, expanded,
)  # fmt: skip


def _table() -> Mapping[tuple[str, str], tuple[Operator, ...]]:
    out: dict[tuple[str, str], tuple[Operator, ...]] = {}
    for family in FAMILIES:
        for op in family.OPERATORS:
            key = (op.domain, op.name)
            out[key] = (*out.get(key, ()), op)
    return MappingProxyType(out)


TABLE = _table()
