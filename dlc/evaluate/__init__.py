"""The oracle: a reference interpreter of the IR over the operations' cards, in numpy.

run(module, "logits", [x, tree])                # results of @logits
complex_step(module, "loss", [x], [dx])         # results, and their exact directional
derivatives
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlc.diag import InternalError
from dlc.evaluate.arguments import Arguments, to_python
from dlc.evaluate.machine import Limits, Machine
from dlc.evaluate.prepare import Program
from dlc.evaluate.stepping import complex_step
from dlc.ir.core import Module
from dlc.ops.card import RunError
from dlc.ops.values import AdtValue, ListValue


def run(
    module: Module | Program,
    fn: str,
    args: Sequence[Any],
    dims: Mapping[str, int] | None = None,
    *,
    limits: Limits | None = None,
) -> tuple[Any, ...]:
    """The results of a function of the module: numpy arrays and scalars, `ListValue`s, `AdtValue`s.

    Dims come from the shapes of the arguments; those that no argument determines are given in
    `dims`. A `Program` made from the module may be passed instead, so that repeated runs prepare it
    once.

    Raises RunError with status, message, place and open calls; InternalError for a bug of the
    compiler."""
    program = module if isinstance(module, Program) else Program(module)
    prepared = program.function(fn)
    values, env = Arguments(program.module.types).convert(prepared.fn, args, dims)
    return Machine(program, limits or Limits()).run(prepared, values, env)


__all__ = [
    "AdtValue",
    "InternalError",
    "Limits",
    "ListValue",
    "Program",
    "RunError",
    "complex_step",
    "run",
    "to_python",
]
