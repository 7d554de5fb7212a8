"""Sources, places, diagnostics, error codes and their rendering. Imports nothing else of dlc."""

from dlc.diag.diagnostic import (
    CompileError,
    Diagnostic,
    Edit,
    Help,
    InternalError,
    Label,
    Severity,
    error,
    warning,
)
from dlc.diag.source import SourceFile, Span

__all__ = [
    "CompileError",
    "Diagnostic",
    "Edit",
    "Help",
    "InternalError",
    "Label",
    "Severity",
    "SourceFile",
    "Span",
    "error",
    "warning",
]
