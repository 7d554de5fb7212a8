"""Every builtin of the prelude, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dlc.check import typed
from dlc.diag import InternalError
from dlc.lower.builtins.building import BUILDING
from dlc.lower.builtins.elementwise import ELEMENTWISE, Each
from dlc.lower.builtins.given import Builtin, Given
from dlc.lower.builtins.products import PRODUCTS
from dlc.lower.builtins.random import RANDOM
from dlc.lower.builtins.reductions import REDUCTIONS
from dlc.lower.builtins.structures import STRUCTURES
from dlc.lower.layout import absent
from dlc.lower.scope import Leaves, Scope
from dlc.typesys.types import type_dims


def _whole(f: Each) -> Builtin:
    def call(g: Given) -> Leaves:
        return (f(g.b, g.xs),)

    return call


BUILTINS: Mapping[str, Builtin] = MappingProxyType(
    {
        **{name: _whole(f) for name, f in ELEMENTWISE.items()},
        **REDUCTIONS,
        **PRODUCTS,
        **BUILDING,
        **STRUCTURES,
        **RANDOM,
    }
)


def lower_builtin(s: Scope, e: typed.CallBuiltin) -> Leaves:
    if e.name not in BUILTINS:
        raise InternalError(f"no lowering of the builtin `{e.name}`", stage="lower", span=e.span)
    leaves = tuple(s.expr(a) for a in e.args)
    s.require(d for _, d in e.dims)
    s.require(d for t in s.layout.leaf_types(e.type, absent) for d in type_dims(t))
    return BUILTINS[e.name](Given(s, e, leaves))
