"""Typed functions: one per instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as Choice

from dlc.check.instances import InstanceKey
from dlc.check.typed.expressions import DimBinding, Local
from dlc.check.typed.statements import Block
from dlc.diag import Span
from dlc.typesys.surface import Type


@dataclass(frozen=True, slots=True)
class Effects:
    """What a call may do besides giving its result: `writes` a `mut` parameter, `draws` from a key,
    `fails` with a status (assert, index, checked binding, division of whole numbers),
    `diverges`."""

    writes: bool = False
    draws: bool = False
    fails: bool = False
    diverges: bool = False


PURE = Effects()


@dataclass(frozen=True, slots=True)
class TypedParam:
    """A parameter. `is_dim`: the dim parameter of the same name has its value, by construction."""

    local: Local
    type: Type
    mut: bool
    is_dim: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`@checkpoint(none | sqrt | every=k)`."""

    mode: Choice["none", "sqrt", "every"]
    every: int = 0


@dataclass(frozen=True, slots=True)
class VjpRule:
    """`@vjp(rule)`: the instance that takes the parameters and the cotangents, and its dims in
    terms of the function's own."""

    key: InstanceKey
    dims: tuple[DimBinding, ...]


@dataclass(frozen=True, slots=True)
class TypedFunction:
    """A function instance. `dims`: every dim parameter in order, whole-number parameters that types
    mention included; `unknowns`: the `?k` of the result. A function without a result has type Unit.
    The body always returns on every path unless the result is Unit."""

    key: InstanceKey
    name: str
    dims: tuple[str, ...]
    params: tuple[TypedParam, ...]
    result: Type
    unknowns: tuple[str, ...]
    body: Block
    effects: Effects
    checkpoint: Checkpoint | None
    vjp: VjpRule | None
    batch: str | None
    exported: bool
    span: Span
