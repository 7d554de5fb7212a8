"""What is wrong with a model, collected over the whole import so that it is reported at once."""

from __future__ import annotations

from dataclasses import dataclass

from dlc.diag import CompileError, Diagnostic, error
from dlc.diag.bag import LIMIT
from dlc.importers.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Place:
    """An operator in the graph: its path (`main/If_3.then/Conv_7`), what it is called in the file,
    what it is."""

    path: str
    name: str
    op: str
    domain: str
    version: int

    @property
    def operator(self) -> str:
        """`Conv-11`, `com.microsoft.FusedMatMul-1`."""
        domain = f"{self.domain}." if self.domain else ""
        version = f"-{self.version}" if self.version else ""
        return f"{domain}{self.op}{version}"

    def __str__(self) -> str:
        named = f" (`{self.name}`)" if self.name else ""
        return f"{self.path}{named}, {self.operator}"


@dataclass(slots=True)
class _Missing:
    place: Place
    why: str
    count: int = 1


class Findings:
    """Errors by place, and a table of operators that are not supported."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._errors: dict[tuple[str, str], Diagnostic] = {}
        self._missing: dict[tuple[str, str], _Missing] = {}
        self._counted: set[str] = set()

    @property
    def is_empty(self) -> bool:
        return not self._errors and not self._missing

    def add(self, found: Refusal, place: Place) -> None:
        """An error at an operator."""
        d = found.found
        made = error(d.code, f"{self.file}: {place}: {d.message}")
        for note in d.notes:
            made = made.with_note(note)
        for h in d.helps:
            made = made.with_help(h.text)
        self._errors.setdefault((place.path, d.code), made)

    def add_missing(self, place: Place, why: str) -> None:
        """An operator that is not supported."""
        if place.path in self._counted:
            return
        self._counted.add(place.path)
        key = (place.operator, why)
        if key in self._missing:
            self._missing[key].count += 1
        else:
            self._missing[key] = _Missing(place, why)

    def error(self) -> CompileError:
        """Everything that was found."""
        out = list(self._errors.values())[:LIMIT]
        if self._missing:
            out.insert(0, self._table())
        return CompileError(out)

    def _table(self) -> Diagnostic:
        rows = sorted(self._missing.values(), key=lambda m: m.place.operator)
        head = ("operator", "times", "first at", "why")
        cells = [(m.place.operator, str(m.count), m.place.path, m.why) for m in rows]
        widths = [max(len(r[i]) for r in (head, *cells)) for i in range(3)]
        lines = [
            "  ".join((*(c.ljust(w) for c, w in zip(r[:3], widths, strict=True)), r[3]))
            for r in (head, *cells)
        ]
        names = ", ".join(m.place.operator for m in rows)
        plural = "s are" if len(rows) > 1 else " is"
        found = error("E0708", f"{self.file}: {len(rows)} operator{plural} not supported: {names}")
        return found.with_note("\n".join(lines)).with_help(
            "docs/onnx.md lists what is supported; give the operator a body as a model-local "
            "function, or export the model with another operator set"
        )
