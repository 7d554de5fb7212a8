"""What the importer raises inside itself: one finding, without its place.

Whoever knows the place (the file, the operator's path) adds it and makes a diagnostic of it."""

from __future__ import annotations

from dataclasses import replace

from dlc.diag import CompileError, Diagnostic, error

UNSUPPORTED = frozenset({"E0708", "E0709", "E0710"})
"""Codes of models that are right but use what isn't there yet."""


class Refusal(Exception):
    """A finding on its way to the one who knows its place."""

    def __init__(self, found: Diagnostic) -> None:
        super().__init__(found.message)
        self.found = found

    def with_note(self, text: str) -> Refusal:
        return Refusal(self.found.with_note(text))

    def with_help(self, text: str) -> Refusal:
        return Refusal(self.found.with_help(text))

    def at(self, place: str) -> Refusal:
        """With the place in front of the message."""
        return Refusal(replace(self.found, message=f"{place}: {self.found.message}"))

    def in_file(self, file: str) -> CompileError:
        """The error that a user sees."""
        return CompileError(replace(self.found, message=f"{file}: {self.found.message}"))


class Failed(Exception):
    """What is needed could not be imported; the cause is reported already."""


def refuse(code: str, message: str) -> Refusal:
    """`raise refuse("E0707", "…")`."""
    return Refusal(error(code, message))
