"""Statuses of calls as exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


class CallError(Exception):
    """A call that failed. `status` is its name (`shape`, `bounds`, …), `line` and `column` the
    place in the source (0 if there is none), `got` and `want` the numbers found and wanted, `what`
    the argument or check."""

    def __init__(
        self,
        message: str,
        *,
        status: str = "",
        line: int = 0,
        column: int = 0,
        got: int = 0,
        want: int = 0,
        what: str = "",
    ) -> None:
        super().__init__(message)
        self.status, self.line, self.column = status, line, column
        self.got, self.want, self.what = got, want, what


class AbiError(CallError):
    """Structs of another build: a bug of dlc."""


class ArgumentError(CallError, ValueError):
    """A null, misaligned or overlapping argument."""


class ShapeError(CallError, ValueError):
    """Sizes that do not fit together."""


class StructureError(CallError, ValueError):
    """A list, graph or tree that is none."""


class ArenaError(CallError, MemoryError):
    """The call needs more memory than it may have."""


class WeightsError(CallError, ValueError):
    """There are no weights, or not those of this program."""


class FuelError(CallError):
    """A loop without a bound took too many turns."""


class BoundsError(CallError, IndexError):
    """An index out of range."""


class CheckError(CallError, AssertionError):
    """An `assert` of the program failed."""


class DivisionError(CallError, ZeroDivisionError):
    """A whole number divided by zero."""


class SpaceError(CallError, MemoryError):
    """A result is larger than any buffer may be."""


CLASSES: Mapping[str, type[CallError]] = MappingProxyType(
    {
        "abi": AbiError,
        "arg": ArgumentError,
        "shape": ShapeError,
        "struct": StructureError,
        "arena": ArenaError,
        "weights": WeightsError,
        "fuel": FuelError,
        "bounds": BoundsError,
        "assert": CheckError,
        "div_zero": DivisionError,
        "space": SpaceError,
    }
)
"""By name of the status."""

_PLAIN: Mapping[str, str] = MappingProxyType(
    {
        "abi": "a struct of another build",
        "arg": "an argument is wrong",
        "shape": "sizes do not fit",
        "struct": "not a value of its type",
        "arena": "out of memory",
        "weights": "not the weights of this program",
        "fuel": "a loop took too many turns",
        "bounds": "an index is out of range",
        "assert": "a check failed",
        "div_zero": "a whole number is divided by zero",
        "space": "a result is too large",
    }
)


def failure(
    entry: str, file: str, status: str, line: int, column: int, got: int, want: int, what: str
) -> CallError:
    """The exception of a status."""
    text = _text(status, got, want, what)
    where = ""
    if line:
        where = f" at {file}:{line}:{column}" if file else f" at line {line}, column {column}"
    kind = CLASSES.get(status, CallError)
    return kind(
        f"{entry}: {text}{where}",
        status=status, line=line, column=column, got=got, want=want, what=what,
    )  # fmt: skip


_BOUNDS: Mapping[str, str] = MappingProxyType(
    {"index out of range": "index {got} of {want}", "the top of too few": "the top {got} of {want}"}
)
"""Texts of compiled programs, in which the numbers stand apart: with their numbers."""


def _text(status: str, got: int, want: int, what: str) -> str:
    plain = _PLAIN.get(status, status)
    if status == "assert":
        return what or plain
    if status == "fuel":
        return f"{plain}: more than {want}" if want else plain
    if status == "bounds":
        for ending, numbers in _BOUNDS.items():
            if what.endswith(ending):
                what = what.removesuffix(ending) + numbers.format(got=got, want=want)
        if want and not 0 <= got < want and str(got) not in what:
            what += f" (got {got}, want {want})"  # the accelerator's own check of a gather
        return f"{plain}: {what}" if what else plain
    if what:
        plain += f": {what}"
    if status in ("shape", "struct", "space", "arena") and (got or want):
        plain += f" (got {got}, want {want})"
    return plain
