"""What is known while a body is written: the texts of values, and the lines so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dlc.importers.findings import Place
from dlc.importers.interface import MODEL
from dlc.importers.messages import Array
from dlc.importers.source.names import Names
from dlc.importers.source.text import ATOM, Dims, Text, call
from dlc.importers.walk import readable
from dlc.ir.core import Loc, Op, Region, Value, walk
from dlc.typesys.dims import ONE, Dim
from dlc.typesys.types import TensorType

if TYPE_CHECKING:
    from collections.abc import Generator

SHORT = 60
"""Columns that an expression may have to be written where it is used."""


class Unsayable(Exception):
    """An operation, or a form of it, that dl has no words for."""


@dataclass(frozen=True)
class Uses:
    """How often each value is used, and whether where it is made."""

    count: Mapping[Value, int]
    place: Mapping[Value, int]

    @staticmethod
    def of(body: Region) -> Uses:
        count: Counter[Value] = Counter()
        place: dict[Value, int] = {}
        for op in walk(body):
            count.update(op.operands)
        for n, region in enumerate(_regions(body)):
            for op in region.ops:
                place.update({v: n if place.get(v, n) == n else -1 for v in op.operands})
        return Uses(count, place)


def _regions(region: Region) -> list[Region]:
    return [region, *(x for op in region.ops for r in op.regions for x in _regions(r))]


@dataclass
class Scope:
    """One function being written."""

    uses: Uses
    names: Names
    dims: Dims
    lines: list[str] = field(default_factory=list[str])
    depth: int = 1
    texts: dict[Value, Text] = field(default_factory=dict[Value, Text])
    sources: dict[Value, Value] = field(default_factory=dict[Value, Value])
    """Stretched values: what they are stretched from."""
    region: int = 0
    numbers: dict[Region, int] = field(default_factory=dict[Region, int])
    places: Sequence[Place] = ()
    unsayable: dict[tuple[str, str], list[int]] = field(
        default_factory=dict[tuple[str, str], list[int]]
    )
    fields: Names = field(default_factory=Names)
    constants: dict[str, tuple[Value, Array]] = field(
        default_factory=dict[str, tuple[Value, Array]]
    )
    _image: str = ""
    _said: int = 0
    _comment: int = 0

    def number(self, body: Region) -> None:
        """Regions by the numbers that `Uses` has for them."""
        self.numbers = {r: n for n, r in enumerate(_regions(body))}

    def mark(self, loc: Loc) -> None:
        """A comment where another operator of the model begins."""
        if loc.line != self._said and 0 < loc.line <= len(self.places):
            self._said = loc.line
            self._comment = loc.line

    # -- lines

    def line(self, text: str) -> None:
        if self._comment:
            p = self.places[self._comment - 1]
            self._comment = 0
            self.lines.append(f"{'    ' * self.depth}# {p.name or p.path} ({p.op})")
        self.lines.append(f"{'    ' * self.depth}{text}")

    @contextmanager
    def block(self, head: str) -> Generator[None]:
        self.line(head)
        self.depth += 1
        yield
        self.depth -= 1

    # -- values

    def text(self, v: Value) -> Text:
        """The value as an expression."""
        if v not in self.texts:
            self.texts[v] = self._stretched(v)
        return self.texts[v]

    def at(self, v: Value, level: int = 0) -> str:
        return self.text(v).at(level)

    def arg(self, v: Value) -> str:
        """The value as an argument."""
        return self.text(v).text

    @property
    def image(self) -> str:
        """The parameter of functions over a batch."""
        if not self._image:
            self._image = self.names.fresh("item")
        return self._image

    def field(self, v: Value, a: Array) -> Text:
        """Numbers that would fill a page: a field of the model."""
        place = self.places[self._said - 1] if self._said else None
        hint = v.hint or (f"{readable(place.name or place.op)}_constant" if place else "constant")
        name = self.fields.fresh(hint)
        self.constants[name] = (v, a)
        return Text(f"{MODEL}.{name}")

    def index(self, v: Value) -> str:
        """A whole-number scalar as an i32."""
        t = self.text(v)
        return t.index or call("i32", t.text).text

    def give(self, v: Value, t: Text) -> None:
        """The value is this expression: written where it is used if that is once and near, and has
        no name of its own, else given a name here."""
        near = self.uses.count[v] == 1 and self.uses.place.get(v) == self.region
        short = len(t.text) <= SHORT
        if not v.hint and near and short:
            self.texts[v] = t
        elif t.bare or t.index:
            self.texts[v] = t  # a number, a dim
        elif self.uses.count[v]:
            self.name(v, t.text)

    def name(self, v: Value, text: str) -> str:
        """Gives the value a name, which is a variable from here on."""
        name = self.names.fresh(v.hint or "v")
        self.line(f"{name} = {text}")
        self.texts[v] = Text(name)
        return name

    def named(self, v: Value) -> str:
        """The value as a name."""
        t = self.text(v)
        if t.level == ATOM and t.text.replace(".", "_").isidentifier():
            return t.text
        name = self.names.fresh(v.hint or "v")
        self.line(f"{name} = {t.text}")
        self.texts[v] = Text(name)
        return name

    def shape(self, v: Value) -> list[str]:
        return self.dims.each(v.tensor.shape)

    # -- stretching

    def stretch(self, v: Value, of: Value) -> None:
        """`v` is `of` repeated; operators of dl do that by themselves."""
        self.sources[v] = of

    def source(self, v: Value) -> Value:
        while v in self.sources:
            v = self.sources[v]
        return v

    def _stretched(self, v: Value) -> Text:
        source, shape = self.source(v), self.shape(v)
        if source is v:
            raise AssertionError(f"a value without a text: {v!r}")
        if not source.tensor.shape:
            return call("fill", self.arg(source), *shape)
        name = self.named(source)
        return call("where", call("fill", "true", *shape).text, name, name)

    def aligned(self, op: Op, operands: Sequence[Value]) -> list[Text]:
        """Operands of an element-wise operation, stretched by the operator itself where it can:
        dims are aligned at the right, and only one that is written 1 stretches."""
        shape = op.result.tensor.shape
        sources = [self.source(v) for v in operands]
        if not all(_covers(s.tensor.shape, shape) for s in _joined(sources, shape)):
            sources[0] = operands[0]
        texts = [self.text(s) for s in sources]
        if any(not t.bare for t in texts):
            return [Text(t.bare, t.level, t.bare, t.index) if t.bare else t for t in texts]
        return texts


def _joined(sources: Sequence[Value], shape: Sequence[Dim]) -> list[Value]:
    """A value with the shape that the operator would give."""
    dims = [ONE] * len(shape)
    for s in sources:
        own = s.tensor.shape
        for axis, d in enumerate(own, len(shape) - len(own)):
            dims[axis] = d if d != ONE else dims[axis]
    rank = max((len(s.tensor.shape) for s in sources), default=0)
    made = tuple(dims[len(shape) - rank :])
    return [Value(TensorType(sources[0].tensor.dtype, made))]


def _covers(shape: Sequence[Dim], wanted: Sequence[Dim]) -> bool:
    return tuple(shape) == tuple(wanted)
