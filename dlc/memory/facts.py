"""What the planner has to know of an operation, beyond what its card says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from dlc.ir.core import Op, Value
from dlc.memory.access import VIEWS
from dlc.ops.card import Trait
from dlc.ops.registry import CARDS
from dlc.typesys.types import ListType, TensorType

LIST_UPDATES = frozenset({"list_push", "list_set", "list_pop"})
"""Operations whose first result is operand 0, a list, changed."""

ACCUMULATES = frozenset({"contract", "reduce"})
"""Operations that can add to their destination: operand 0 is then what they add to."""

STRIDED_INPUTS: Mapping[str, frozenset[int] | None] = MappingProxyType(
    {
        "contract": None,
        "copy": None,
        "reduce": None,
        "take": frozenset({0}),
    }
)
"""Which operands of a `Tensor` may have any strides (0 and negative ones too); None means all.
Of every operation that is not here, all operands are contiguous. `Map` takes any strides."""

STRIDED_OUTPUTS = frozenset({"contract", "copy", "fill"})
"""`Tensor` operations whose destination may have any positive strides. `Map` does, too."""


def is_elementwise(op: Op) -> bool:
    """Whether the card says so: no calls, no indices, any shape."""
    card = CARDS.get(op.name)
    return card is not None and Trait.ELEMENTWISE in card.traits


def is_update(op: Op) -> bool:
    """Whether the first result is operand 0 with a part replaced or added to."""
    if op.name in LIST_UPDATES or op.attr_flag("accumulate"):
        return True
    card = CARDS.get(op.name)
    return card is not None and Trait.UPDATE in card.traits


def may_fail(op: Op) -> bool:
    """Whether the operation itself (not what is nested in it) can end the program with a status."""
    if op.name in ("call", "list_get", "list_set", "list_pop"):
        return True
    card = CARDS.get(op.name)
    return card is not None and card.may_fail(op)


def is_removable(op: Op) -> bool:
    """Whether the operation can go when nobody uses its results."""
    if op.name == "map":
        return not any(may_fail(o) for o in op.regions[0].ops)
    if op.dims or op.regions or not op.results or op.name == "call":
        return False
    return not may_fail(op)


def takes_strides(op: Op, operand: int) -> bool:
    """Whether a view with any strides will do as this operand."""
    if op.name in VIEWS or op.name in ("map", "concat", "insert", "insert_slice", "box"):
        return True
    if op.name in ("list_push", "list_set", "list_fill"):
        return True
    which = STRIDED_INPUTS.get(op.name, frozenset[int]())
    if which is None:
        return True
    return operand - op.attr_flag("accumulate") in which


def is_tensor(v: Value) -> bool:
    """A tensor with storage of its own or a view of some: not a scalar."""
    return isinstance(v.type, TensorType) and v.type.rank > 0


def is_scalar(v: Value) -> bool:
    return isinstance(v.type, TensorType) and not v.type.rank


def is_list(v: Value) -> bool:
    return isinstance(v.type, ListType)


def updated(op: Op, owned: Mapping[str, frozenset[int]]) -> Iterator[Value]:
    """The values that the operation, or one nested in it, takes over and changes if they are dead.

    `owned`: for every function, the numbers of the parameters that it takes over."""
    if is_update(op):
        yield op.operands[0]
    elif op.name == "call":
        mine = owned.get(op.attr_str("fn"), frozenset())
        yield from (v for i, v in enumerate(op.operands) if i in mine)
    elif op.name in ("for", "loop"):
        yield from op.operands
    for r in op.regions:
        for inner in r.ops:
            yield from updated(inner, owned)
