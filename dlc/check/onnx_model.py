"""What the checker has to know about a model that comes from ONNX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from dlc.diag import Span
from dlc.typesys.surface import Tensor


@dataclass(frozen=True, slots=True)
class OnnxSignature:
    """A graph as a function: `inputs` in order, by name; `outputs` in order; `weights`, its
    initialisers.

    Dims of the file that are numbers are literals. Symbolic ones are names: those that an input
    mentions are generics of the call, all others in outputs are unknowns.

    `source` is the reader's own, which lowering needs; the checker does not look at it."""

    path: str
    inputs: tuple[tuple[str, Tensor], ...]
    outputs: tuple[Tensor, ...]
    weights: tuple[tuple[str, Tensor], ...]
    source: object = None


OnnxReader: TypeAlias = Callable[[str, Span], OnnxSignature]
"""From the text of `import onnx "…"` and its place. Raises CompileError (E09xx, E07xx)."""
