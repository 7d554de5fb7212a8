"""Exact directional derivatives without differentiation: f(x + i h dx) = f(x) + i h f'(x) dx for
tiny h.

Floats become complex128; the imaginary part carries the derivative. Comparisons, rounding and
selection look at real parts, so the derivative follows the path taken. Source: W. Squire, G. Trapp,
"Using complex variables to estimate derivatives of real functions", SIAM Review 40, 1998.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from dlc.evaluate.arguments import Arguments
from dlc.evaluate.machine import Limits, Machine
from dlc.evaluate.prepare import Program
from dlc.ir.core import Module
from dlc.ops.card import RunError
from dlc.ops.numeric import COMPLEX, np
from dlc.ops.values import AdtValue, ListValue

STEP = 1e-30
"""So small that its square vanishes beside any number, and far above the smallest one."""


def complex_step(
    module: Module | Program,
    fn: str,
    args: Sequence[Any],
    directions: Sequence[Any],
    dims: Mapping[str, int] | None = None,
    *,
    limits: Limits | None = None,
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The results of `fn` (floats as f64) and their derivatives along `directions`.

    A direction is None, or has the structure of its argument with a direction at every float
    (anything elsewhere). Derivatives have the structure of the results; what is no float is None
    there."""
    program = module if isinstance(module, Program) else Program(module)
    prepared = program.function(fn)
    convert = Arguments(program.module.types, complex_step=True)
    values, env = convert.convert(prepared.fn, args, dims)
    stepped = [
        v if d is None else _map2(_step, v, d) for v, d in zip(values, directions, strict=True)
    ]
    results = Machine(program, limits or Limits()).run(prepared, stepped, env)
    return tuple(_map1(_value, r) for r in results), tuple(_map1(_slope, r) for r in results)


def _step(x: Any, d: Any) -> Any:
    return x + 1j * STEP * np.asarray(d, np.float64) if x.dtype == COMPLEX else x


def _value(x: Any) -> Any:
    return x.real if x.dtype == COMPLEX else x


def _slope(x: Any) -> Any:
    if x.dtype == COMPLEX:
        return x.imag / STEP
    return np.zeros(x.shape) if x.dtype.kind not in "iub" else None


def _map1(f: Callable[[Any], Any], v: Any) -> Any:
    return _map2(lambda x, _: f(x), v, v)


def _map2(f: Callable[[Any, Any], Any], v: Any, d: Any) -> Any:
    """`f` at every tensor of a structure and its companion, without recursion."""
    out: list[Any] = [None]
    work: list[Callable[[], None]] = []

    def push(v: Any, d: Any, target: list[Any], at: int) -> None:
        if isinstance(v, AdtValue):
            others = d.fields if isinstance(d, AdtValue) else tuple(d)[1:]
            _same_length(v.fields, others)
            open_up(
                v.fields, others, lambda p: AdtValue(v.constructor, tuple(p), v.dims), target, at
            )
        elif isinstance(v, ListValue):
            rows, others = list(v), list(d)
            _same_length(rows, others)
            width = len(rows[0]) if rows else 1
            flat = [x for row in rows for x in row]
            theirs = [x for row in others for x in _columns(row)]

            def close(p: list[Any]) -> ListValue:
                return ListValue([tuple(p[i : i + width]) for i in range(0, len(p), width)])

            open_up(flat, theirs, close, target, at)
        else:
            target[at] = f(v, d)

    def open_up(vs: Any, ds: Any, close: Callable[[list[Any]], Any], target: Any, at: int) -> None:
        parts: list[Any] = [None] * len(vs)

        def done() -> None:
            target[at] = close(parts)

        work.append(done)
        for i, (v, d) in enumerate(zip(vs, ds, strict=True)):
            work.append(lambda v=v, d=d, i=i: push(v, d, parts, i))

    push(v, d, out, 0)
    while work:
        work.pop()()
    return out[0]


def _columns(row: Any) -> tuple[Any, ...]:
    return cast("tuple[Any, ...]", row) if isinstance(row, tuple) else (row,)


def _same_length(a: Sequence[Any], b: Sequence[Any]) -> None:
    if len(a) != len(b):
        raise RunError("arg", "a direction has another structure than its argument", len(b), len(a))
