"""Diagnostics: what the compiler has to say about a program, as data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from dlc.diag.source import Span


class Severity(Enum):
    """How bad it is: an ERROR stops the compile, a WARNING does not, a REMARK is asked for."""

    ERROR = "error"
    WARNING = "warning"
    REMARK = "remark"


@dataclass(frozen=True, slots=True)
class Label:
    """A place and what there is to say about it."""

    span: Span
    text: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the source that a help proposes: `span` becomes `text`."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Help:
    """A remedy in words, with the edits that carry it out when they are known."""

    text: str
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: a code, a message, the place (`^`), other places (`-`), facts and remedies.

    Immutable; `with_label`, `with_note` and `with_help` return a richer copy:
    `error("E0419", "key `k` is used twice", use).with_label(first, "first used here")`.
    """

    code: str
    message: str
    primary: Label | None = None
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    helps: tuple[Help, ...] = ()
    severity: Severity = Severity.ERROR

    def with_label(self, span: Span, text: str = "") -> Diagnostic:
        return replace(self, labels=(*self.labels, Label(span, text)))

    def with_note(self, text: str) -> Diagnostic:
        return replace(self, notes=(*self.notes, text))

    def with_help(self, text: str, *edits: Edit) -> Diagnostic:
        return replace(self, helps=(*self.helps, Help(text, edits)))


def error(code: str, message: str, span: Span | None = None, label: str = "") -> Diagnostic:
    """An error at `span`; `label` is the text beside the carets."""
    return Diagnostic(code, message, None if span is None else Label(span, label))


def warning(code: str, message: str, span: Span | None = None, label: str = "") -> Diagnostic:
    """A warning at `span`."""
    primary = None if span is None else Label(span, label)
    return Diagnostic(code, message, primary, severity=Severity.WARNING)


class CompileError(Exception):
    """The user's program (or file, or option) is wrong; `diagnostics` say where and what to do.

    As text: a line for each, `model.dl:3:9: E0201: no name …`, and its remedies below it."""

    diagnostics: tuple[Diagnostic, ...]

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic]) -> None:
        found = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        self.diagnostics = found
        super().__init__("\n".join(map(_in_words, found)))


def _in_words(d: Diagnostic) -> str:
    place = "" if d.primary is None else f"{d.primary.span}: "
    return "\n  help: ".join([f"{place}{d.code}: {d.message}", *(h.text for h in d.helps)])


class InternalError(Exception):
    """The compiler is wrong: a bug of ours, with the stage, the op and a way to see it again."""

    def __init__(
        self,
        message: str,
        *,
        stage: str = "",
        op: str = "",
        span: Span | None = None,
        repro: str = "",
    ) -> None:
        self.message = message
        self.stage = stage
        self.op = op
        self.span = span
        self.repro = repro
        where = "".join(
            f" [{name} {value}]"
            for name, value in (("stage", stage), ("op", op), ("at", span), ("see again:", repro))
            if value
        )
        super().__init__(message + where)
