"""A place where a stage puts what it finds."""

from __future__ import annotations

from collections.abc import Iterable

from dlc.diag.diagnostic import CompileError, Diagnostic, Severity

LIMIT = 20
"""How many errors are reported at most."""


class Bag:
    """Diagnostics in the order in which they were found, one for each code and place.

    After `limit` errors `is_full` is true; more errors are dropped, and a stage may stop.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._found: list[Diagnostic] = []
        self._seen: set[tuple[str, str, int, int]] = set()
        self._errors = 0

    def add(self, found: Diagnostic) -> None:
        span = found.primary.span if found.primary else None
        where, start, end = found.message, -1, -1
        if span is not None:
            where, start, end = span.source.name, span.start, span.end
        key = (found.code, where, start, end)
        is_error = found.severity is Severity.ERROR
        if key in self._seen or (is_error and self.is_full):
            return
        self._seen.add(key)
        self._found.append(found)
        self._errors += is_error

    def extend(self, found: Iterable[Diagnostic]) -> None:
        for one in found:
            self.add(one)

    @property
    def is_full(self) -> bool:
        return self._errors >= self._limit

    @property
    def has_errors(self) -> bool:
        return self._errors > 0

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return tuple(self._found)

    def raise_errors(self) -> None:
        """Raise CompileError with everything found if there is an error in it."""
        if self.has_errors:
            raise CompileError(self._found)
