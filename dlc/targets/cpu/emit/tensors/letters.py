"""Axes of an iteration space over two operands and a result, merged where they are walked as
one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlc.typesys.dims import Dim, DimError


@dataclass(frozen=True)
class Letter:
    """An axis of the iteration space: its size, and its stride in a, b and the result (0: absent or
    broadcast). `inside` tells which of the three have it."""

    size: Dim
    strides: tuple[Dim, Dim, Dim]
    inside: tuple[bool, bool, bool]

    @property
    def kind(self) -> str:
        in_a, in_b, in_out = self.inside
        if not in_out:
            return "summed"
        return "both" if in_a and in_b else "left" if in_a else "right"


def by_kind(letters: Sequence[Letter]) -> dict[str, list[Letter]]:
    """Letters of each kind, neighbours merged where all three operands walk them as one axis."""
    groups: dict[str, list[Letter]] = {k: [] for k in ("both", "left", "right", "summed")}
    for letter in letters:
        group = groups[letter.kind]
        merged = _merge(group[-1], letter) if group else None
        if merged is None:
            group.append(letter)
        else:
            group[-1] = merged
    return groups


def _merge(outer: Letter, inner: Letter) -> Letter | None:
    if outer.inside != inner.inside:
        return None
    try:
        for p, q in zip(outer.strides, inner.strides, strict=True):
            if p != q * inner.size:
                return None
        return Letter(outer.size * inner.size, inner.strides, inner.inside)
    except DimError:
        return None


def mirror(letter: Letter) -> Letter:
    """The letter with a and b exchanged."""
    p, q, r = letter.strides
    in_a, in_b, in_out = letter.inside
    return Letter(letter.size, (q, p, r), (in_b, in_a, in_out))
