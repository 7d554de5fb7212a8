"""Names near a wrong one: "did you mean `softmax`?"."""

from __future__ import annotations

from collections.abc import Iterable

from dlc.diag.diagnostic import Diagnostic, Edit
from dlc.diag.source import Span


def distance(a: str, b: str, most: int) -> int:
    """How many insertions, deletions, changes and swaps of neighbours make `b` of `a`.

    Gives `most + 1` as soon as the answer is larger than `most` (the optimal string alignment
    distance, with early exit). Letters that differ only in case count a half, rounded up in the
    sum."""
    if abs(len(a) - len(b)) > most:
        return most + 1
    before: list[float] = []
    row: list[float] = [float(j) for j in range(len(b) + 1)]
    for i, x in enumerate(a, 1):
        older, before = before, row
        row = [float(i)]
        for j, y in enumerate(b, 1):
            change = 0.0 if x == y else 0.5 if x.lower() == y.lower() else 1.0
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + change)
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, older[j - 2] + 1)
            row.append(best)
        if min(row) > most:
            return most + 1
    return min(most + 1, int(row[-1] + 0.5))


def near(name: str, candidates: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The candidates that `name` may be a misspelling of, the nearest first, at most `count`.

    A third of the letters may differ, at least one, but not all.
    """
    most = max(1, len(name) // 3)
    found: list[tuple[int, str]] = []
    for candidate in sorted(set(candidates)):
        if candidate == name:
            continue
        d = distance(name, candidate, most)
        if d <= most and d < max(len(name), len(candidate)):
            found.append((d, candidate))
    return tuple(candidate for _, candidate in sorted(found)[:count])


def did_you_mean(
    found: Diagnostic, name: str, candidates: Iterable[str], span: Span | None = None
) -> Diagnostic:
    """`found` with a help that names the nearest candidates, if there are any.

    With `span`, the place of the wrong name, the help for a single candidate carries the edit.
    """
    names = near(name, candidates)
    if not names:
        return found
    quoted = [f"`{n}`" for n in names]
    listed = quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " or " + quoted[-1]
    edits = (Edit(span, names[0]),) if span is not None and len(names) == 1 else ()
    return found.with_help(f"did you mean {listed}?", *edits)
