"""Sets of values that share storage: union-find where a member lies at an offset in its class."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import repeat

from dlc.ir.core import Value
from dlc.ir.hidden import replace_dims
from dlc.memory.liveness import Liveness, bits
from dlc.memory.normalise import Normal
from dlc.memory.storage import MOVED, Kind
from dlc.typesys.dims import ONE, ZERO, Dim
from dlc.typesys.types import TensorType, Type


@dataclass
class Class:
    """Members by number with their offsets in elements. `edges` is the union of their edges.

    `pinned` is the parameter or result whose given place the class has; `scope` the loop body that
    alone may contribute members (its place changes from turn to turn); a `frozen` class takes no
    more members."""

    members: list[tuple[int, Dim]]
    mask: int
    edges: int
    kind: Kind
    type: Type
    size: Dim
    pinned: Value | None = None
    scope: int | None = None
    frozen: bool = False


@dataclass
class Classes:
    """All classes of a function."""

    n: Normal
    live: Liveness
    home: list[Class] = field(default_factory=list[Class])
    offset: list[Dim] = field(default_factory=list[Dim])
    sizes: list[Dim] = field(default_factory=list[Dim])

    @staticmethod
    def of(n: Normal, live: Liveness) -> Classes:
        """Every value on its own."""
        c = Classes(n, live)
        for k in range(len(live.values)):
            c.add(k)
        places = [*n.outs.values(), *(n.fn.params[p] for p in n.face.inout)]
        for v in places:
            c.home[live.index[v]].pinned = v
        return c

    def add(self, k: int) -> Class:
        """A class of its own for the next value."""
        v = self.live.values[k]
        both = self.live.edges[k] | self.live.soft[k]
        self.sizes.append(self.size_of(v))
        cls = Class([(k, ZERO)], 1 << k, both, self.n.kinds[v], _element(v.type), self.sizes[k])
        assert k == len(self.home)
        self.home.append(cls)
        self.offset.append(ZERO)
        return cls

    def size_of(self, v: Value) -> Dim:
        """Elements to reserve for a tensor; 1 for a handle."""
        if not isinstance(v.type, TensorType):
            return ONE
        bound = self.n.sizes.of_type(v.type)
        return bound if bound is not None else v.type.size

    def of_value(self, v: Value) -> Class:
        return self.home[self.live.index[v]]

    def same(self, a: Value, b: Value) -> bool:
        """Whether the two values have the same bytes."""
        i, j = self.live.index.get(a), self.live.index.get(b)
        if i is None or j is None:
            return False
        return self.home[i] is self.home[j] and self.offset[i] == self.offset[j]

    def distinct(self) -> list[Class]:
        """Every class once, in the order of its first member."""
        return list({id(c): c for c in self.home}.values())

    # -- merging

    def may_merge(self, a: int, b: int, delta: Dim = ZERO, exempt: int = 0) -> bool:
        """Whether value `b` can start `delta` elements after value `a` starts.

        `exempt`: edges of `b` to these values don't count."""
        ca, cb = self.home[a], self.home[b]
        shift = self.offset[a] + delta - self.offset[b]
        if ca is cb:
            return shift == ZERO
        if ca.kind is not cb.kind or ca.type != cb.type or ca.frozen or cb.frozen:
            return False
        if ca.pinned is not None and cb.pinned is not None:
            return False
        if self._joint_size(ca, cb, shift) is None:
            return False
        return self._in_scope(ca, cb) and not self._conflict(ca, cb, shift, b, exempt)

    def _in_scope(self, ca: Class, cb: Class) -> bool:
        for c, other in ((ca, cb), (cb, ca)):
            if c.scope is None:
                continue
            if other.scope not in (None, c.scope) or other.pinned is not None:
                return False
            if not all(self.live.inside(k, c.scope) for k, _ in other.members):
                return False
        return True

    def _joint_size(self, ca: Class, cb: Class, shift: Dim) -> Dim | None:
        """The size of the union if one class lies within the other. A place that is given, and the
        buffers that a loop's carried value goes round, have their size already."""
        if shift == ZERO and (ca.size == cb.size or ca.kind in MOVED):
            return ca.size
        if shift.at_least(ZERO) and ca.size.at_least(shift + cb.size):
            return ca.size if cb.pinned is None and not self._grows(cb, ca) else None
        back = -shift
        if back.at_least(ZERO) and cb.size.at_least(back + ca.size):
            return cb.size if ca.pinned is None and not self._grows(ca, cb) else None
        return None

    def _grows(self, inner: Class, outer: Class) -> bool:
        """Whether a ring's buffers would have to be larger."""
        return inner.scope is not None and not inner.size.at_least(outer.size)

    def _conflict(self, ca: Class, cb: Class, shift: Dim, b: int, exempt: int) -> bool:
        if not (ca.edges & cb.mask or cb.edges & ca.mask):
            return False
        simple = len(ca.members) == 1 and len(cb.members) == 1 and not exempt
        for j, oj in cb.members:
            edges = (self.live.edges[j] | self.live.soft[j]) & ca.mask
            if j == b:
                edges &= ~exempt
            if not edges:
                continue
            if simple:
                return True
            start = oj + shift
            for i, oi in ca.members:
                if edges >> i & 1 and self._overlap(i, oi, j, start):
                    return True
        return False

    def _overlap(self, i: int, oi: Dim, j: int, oj: Dim) -> bool:
        si, sj = self.sizes[i], self.sizes[j]
        if oi.is_constant and oj.is_constant and si.is_constant and sj.is_constant:
            start, other = oi.constant, oj.constant
            return other < start + si.constant and start < other + sj.constant
        return not (oj.at_least(oi + si) or oi.at_least(oj + sj))

    def merge(self, a: int, b: int, delta: Dim = ZERO, exempt: int = 0) -> bool:
        """Merges if that is allowed; says whether the two now share storage."""
        if not self.may_merge(a, b, delta, exempt):
            return False
        ca, cb = self.home[a], self.home[b]
        if ca is cb:
            return True
        shift = self.offset[a] + delta - self.offset[b]
        size = self._joint_size(ca, cb, shift)
        assert size is not None
        if not shift.at_least(ZERO):
            ca, cb, shift = cb, ca, -shift
        for k, o in cb.members:
            self.home[k] = ca
            self.offset[k] = o + shift
            ca.members.append((k, o + shift))
        ca.mask |= cb.mask
        ca.edges |= cb.edges
        ca.size = size
        ca.pinned = ca.pinned or cb.pinned
        if ca.scope is None:
            ca.scope = cb.scope
        return True

    def neighbours(self, c: Class) -> int:
        """Bits of the values that must not share bytes with the class."""
        return c.edges & ~c.mask


def _element(t: Type) -> Type:
    """What has to be equal for two values to share storage: the element type, or a list's columns,
    however their sizes are written."""
    return TensorType(t.dtype) if isinstance(t, TensorType) else replace_dims(t, repeat(ZERO))


__all__ = ["Class", "Classes", "bits"]
