"""Dims from values, and the checks that end a program with a status."""

from __future__ import annotations

from typing import Any

from dlc.diag import InternalError
from dlc.ir.core import Op, Value
from dlc.ops.card import (
    Batched,
    Batching,
    Card,
    CardError,
    Gradient,
    NotBatchable,
    Run,
    RunError,
    Site,
    Trait,
)
from dlc.ops.gather import check_range
from dlc.ops.numeric import np
from dlc.ops.slices import need_index
from dlc.typesys.dtypes import BOOL
from dlc.typesys.types import Type


class _Check(Card):
    """No results, and nothing to differentiate."""

    traits = frozenset({Trait.EFFECT})
    derivative = "zero"

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        return


class AsDim(_Check):
    """Defines a dim: the value of a scalar. Fails (`shape`) if it is negative.

    `at_most` is a bound that whoever wrote the operation knows; it says how much memory will do."""

    name, operands, attributes, binds = "as_dim", ("v",), ("at_most?",), ("k",)
    traits = frozenset({Trait.EFFECT, Trait.BINDS_DIMS})
    batching = "refused"

    def infer(self, site: Site) -> tuple[Type, ...]:
        need_index(site, 0, 0)
        if "at_most" in site.attrs:
            site.attr_dim("at_most")
        return ()

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        n = int(args[0])
        if n < 0:
            raise RunError("shape", f"a size of {n}", n, 0)
        if "at_most" in run.op.attrs and n > run.dim("at_most"):
            raise InternalError(f"a size of {n}", stage="evaluate", op="as_dim")
        run.bound[run.op.dims[0]] = n
        return ()

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        raise NotBatchable("`as_dim`: every row has a size of its own")


class Assert(_Check):
    """Fails (`assert`) with the message unless c is true."""

    name, operands, attributes = "assert", ("c",), ("message",)

    def infer(self, site: Site) -> tuple[Type, ...]:
        site.attr_str("message")
        if site.tensor(0).dtype != BOOL or site.tensor(0).rank:
            raise CardError(f"`assert` takes one bool, not {site.tensor(0)}")
        return ()

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        if not bool(args[0]):
            raise RunError("assert", run.op.attr_str("message"))
        return ()

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        c = b.emit("reduce", xs[0].value, kind="all", axes=(0,))
        b.emit_many("assert", c, **op.attrs)
        return ()


class CheckDims(_Check):
    """Fails (`shape`) unless the two dims are equal numbers."""

    name, attributes = "check_dims", ("left", "right", "message")
    batching = "refused"

    def infer(self, site: Site) -> tuple[Type, ...]:
        site.attr_dim("left")
        site.attr_dim("right")
        site.attr_str("message")
        return ()

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        left = run.op.attr_dim("left").evaluate(run.env)
        right = run.op.attr_dim("right").evaluate(run.env)
        if left != right:
            raise RunError("shape", run.op.attr_str("message"), left, right)
        return ()


class CheckIndices(_Check):
    """Fails (`bounds`) unless every index i has 0 <= i < bound."""

    name, operands, attributes = "check_indices", ("index",), ("bound",)

    def infer(self, site: Site) -> tuple[Type, ...]:
        need_index(site, 0)
        site.attr_dim("bound")
        return ()

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        check_range(np.asarray(args[0]), run.op.attr_dim("bound").evaluate(run.env))
        return ()

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        b.emit_many("check_indices", xs[0].value, **op.attrs)
        return ()


class CheckSegments(_Check):
    """Fails (`struct`) unless starts[0] = 0, starts never decreases, and its last entry is
    `items`."""

    name, operands, attributes = "check_segments", ("starts",), ("items",)
    batching = "refused"

    def infer(self, site: Site) -> tuple[Type, ...]:
        need_index(site, 0, 1)
        site.attr_dim("items")
        return ()

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        starts, items = args[0], run.op.attr_dim("items").evaluate(run.env)
        if len(starts) == 0:
            raise RunError("struct", "segments without a start", 0, 1)
        if starts[0] != 0:
            raise RunError(
                "struct", "the first segment starts elsewhere than at 0", int(starts[0]), 0
            )
        down = np.flatnonzero(np.diff(starts) < 0)
        if len(down):
            raise RunError("struct", f"segment {int(down[0])} ends before it starts", int(down[0]))
        if starts[-1] != items:
            raise RunError(
                "struct", "the segments don't end with the items", int(starts[-1]), items
            )
        return ()

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        raise NotBatchable("`check_segments`: every row has segments of its own")


CARDS: tuple[Card, ...] = (AsDim(), Assert(), CheckDims(), CheckIndices(), CheckSegments())
