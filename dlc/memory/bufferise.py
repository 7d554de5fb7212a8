"""From IR to the bufferised form: prepare, normalise, coalesce, plan, emit, for every function."""

from __future__ import annotations

from types import MappingProxyType

from dlc.ir.core import Module
from dlc.memory.coalesce import coalesce
from dlc.memory.emit import emit
from dlc.memory.escape import prune_marks
from dlc.memory.form import BFunction, BModule
from dlc.memory.groups import numbered_groups
from dlc.memory.normalise import normalise
from dlc.memory.plan import plan
from dlc.memory.prepare import prepare
from dlc.memory.reuse import reuse_lists
from dlc.memory.storage import interfaces
from dlc.memory.tidy import tidy


def bufferise(m: Module) -> BModule:
    """The module in the bufferised form (`dlc.memory.form`).

    Attributes of functions: `inout`, pairs of a parameter's and a result's number: the result is
    made in the parameter's place; `entry`: it can be called from outside.

    Raises InternalError for operations that must be gone by now (`value_and_grad` …)."""
    faces = interfaces(m)
    made: dict[str, BFunction] = {}
    for name, fn in m.functions.items():
        placed = coalesce(normalise(prepare(fn), faces))
        made[name] = tidy(emit(placed, plan(placed)))
    made = {name: reuse_lists(fn) for name, fn in prune_marks(made).items()}
    return BModule(m.types, MappingProxyType(numbered_groups(made)))
