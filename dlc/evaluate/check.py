"""The checking mode: every result is compared with its declared type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlc.diag import InternalError
from dlc.ir.core import Op
from dlc.ops.numeric import COMPLEX, UNDEFINED
from dlc.ops.values import AdtValue, ListValue
from dlc.typesys.types import AdtType, ListType, Type


def mismatch(v: Any, t: Type, env: Mapping[str, int]) -> str | None:
    """Why the value is none of the type, or None if it is one (lists and variants: their kind
    only)."""
    if v is UNDEFINED:
        return None
    if isinstance(t, ListType):
        return None if isinstance(v, ListValue) else f"a {type(v).__name__} is no {t}"
    if isinstance(t, AdtType):
        return None if isinstance(v, AdtValue) else f"a {type(v).__name__} is no {t}"
    shape = tuple(d.evaluate(env) for d in t.shape)
    fits = v.dtype == t.dtype.numpy or (t.dtype.is_float and v.dtype == COMPLEX)
    if fits and tuple(v.shape) == shape:
        return None
    return f"{v.dtype}{list(v.shape)} is no {t} = {t.dtype}{list(shape)}"


def check_values(op: Op, results: tuple[Any, ...], env: Mapping[str, int]) -> None:
    """Raises InternalError if the results are not what the operation declares."""
    for v, r in zip(results, op.results, strict=True):
        wrong = mismatch(v, r.type, env)
        if wrong is not None:
            raise InternalError(f"{wrong} (%{r.hint})", stage="evaluate", op=op.name)
