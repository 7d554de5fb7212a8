"""One call of a builtin, its arguments evaluated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from dlc.check import typed
from dlc.diag import InternalError
from dlc.ir.core import Value
from dlc.lower.scope import Leaves, Scope
from dlc.ops.build import Builder
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.types import TensorType


@dataclass(frozen=True)
class Given:
    """`leaves` are those of the arguments that are values, in order; `call` tells the rest."""

    s: Scope
    call: typed.CallBuiltin
    leaves: tuple[Leaves, ...]

    @property
    def b(self) -> Builder:
        return self.s.b

    @property
    def xs(self) -> tuple[Value, ...]:
        """The arguments, each of which is one value."""
        return tuple(self.one(i) for i in range(len(self.leaves)))

    def one(self, i: int) -> Value:
        (v,) = self.leaves[i]
        return v

    def graph(self, i: int = 0) -> surface.Graph:
        t = self.call.args[i].type
        assert isinstance(t, surface.Graph)
        return t

    def segs(self, i: int = 0) -> surface.Segs:
        t = self.call.args[i].type
        assert isinstance(t, surface.Segs)
        return t

    def dim(self, name: str) -> Dim:
        return self.call.dim(name)

    def number(self, name: str) -> int:
        """A whole number that is known when compiling."""
        v = self.call.const(name)
        if not isinstance(v, int):
            raise InternalError(f"`{name}` of `{self.call.name}` is {v!r}", stage="lower")
        return v

    @property
    def result(self) -> TensorType:
        """The type of a result that is one tensor."""
        (t,) = self.s.layout.leaf_types(self.call.type)
        assert isinstance(t, TensorType)
        return t


Builtin: TypeAlias = Callable[[Given], Leaves]
