"""What is known of dims: which are at least 1, and which are certainly not negative."""

from __future__ import annotations

from dlc.typesys.dims import Dim, DimError


class DimReasoning:
    """Dims of the model's inputs are taken to be at least 1 where something depends on it; these
    are checked when the program begins (`assumed`). All other dims are at least 0."""

    def __init__(self) -> None:
        self.positive: dict[str, None] = {}
        self.assumed: dict[str, None] = {}

    def not_negative(self, d: Dim) -> bool:
        """Whether `d >= 0` is certain."""
        if d.at_least(0):
            return True
        names = [s for s in d.symbols() if s in self.positive]
        if not names:
            return False
        try:
            shifted = d.substitute({s: Dim.sym(s) + 1 for s in names})
        except DimError:
            return False
        if not shifted.at_least(0):
            return False
        self.assumed.update(dict.fromkeys(names))
        return True

    def at_least(self, a: Dim, b: Dim | int) -> bool:
        """Whether `a >= b` is certain."""
        return self.not_negative(a - b)
