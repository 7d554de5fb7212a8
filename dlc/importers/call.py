"""One operator being imported, as its rule sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from dlc.importers.elements import Element, element_of
from dlc.importers.messages import Attribute, Graph, Node, SparseData, TensorData, TypeInfo
from dlc.importers.refusal import Refusal, refuse
from dlc.importers.tensor import FAILED, Item, Nothing, Shape, Tensor
from dlc.importers.tensor import Sequence as Items
from dlc.typesys.dims import Dim

if TYPE_CHECKING:
    from dlc.importers.emission import Emission
    from dlc.importers.walk import Inside

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Call:
    """`inputs` in order (omitted ones are `Nothing`), `attributes` with defaults, `version` the
    operator's own. `inside` imports graphs and functions that belong to the operator."""

    e: Emission
    inside: Inside
    node: Node
    version: int
    inputs: tuple[Item, ...]
    attributes: Mapping[str, Attribute]

    @property
    def op(self) -> str:
        return self.node.op

    # -- inputs

    def has(self, i: int) -> bool:
        """Whether input i is there."""
        return i < len(self.inputs) and not isinstance(self.inputs[i], Nothing)

    def tensor(self, i: int) -> Tensor:
        """Input i, which must be a tensor."""
        x = self.inputs[i] if i < len(self.inputs) else FAILED
        if not isinstance(x, Tensor):
            raise refuse("E0707", f"its input {i} is no tensor")
        return x

    def optional(self, i: int) -> Tensor | None:
        """Input i, or None if it is left out."""
        return self.tensor(i) if self.has(i) else None

    def tensors(self) -> tuple[Tensor, ...]:
        """All inputs, which must be tensors."""
        return tuple(self.tensor(i) for i in range(len(self.inputs)))

    def sequence(self, i: int) -> Items:
        x = self.inputs[i]
        if not isinstance(x, Items):
            raise refuse("E0707", f"its input {i} is no sequence")
        return x

    def wants(self, i: int) -> bool:
        """Whether output i is used under a name."""
        return i < len(self.node.outputs) and bool(self.node.outputs[i])

    # -- attributes

    def given(self, name: str) -> bool:
        return name in self.attributes

    def _value(self, name: str, kind: type[T], default: T | None) -> T:
        a = self.attributes.get(name)
        if a is None:
            if default is None:
                raise refuse("E0707", f"the attribute `{name}` is missing")
            return default
        if not isinstance(a.value, kind):
            raise refuse("E0707", f"the attribute `{name}` is of kind {a.kind}")
        return a.value

    def int(self, name: str, default: int | None = None) -> int:
        return self._value(name, int, default)

    def flag(self, name: str) -> bool:
        """An int that is 0 or 1 (0 if it is missing)."""
        return self.int(name, 0) != 0

    def float(self, name: str, default: float | None = None) -> float:
        return self._value(name, float, default)

    def text(self, name: str, default: str | None = None) -> str:
        raw = self._value(name, bytes, None if default is None else default.encode())
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise refuse("E0707", f"the attribute `{name}` is no text") from None

    def choice(self, name: str, choices: Sequence[str], default: str | None = None) -> str:
        """A text attribute that must be one of the choices."""
        v = self.text(name, default)
        if v not in choices:
            raise refuse("E0707", f"the attribute `{name}` is {v!r}").with_help(
                f"it may be {', '.join(choices)}"
            )
        return v

    def ints(self, name: str) -> tuple[int, ...] | None:
        """A list of whole numbers, None if it is missing."""
        a = self.attributes.get(name)
        return None if a is None else cast("tuple[int, ...]", a.value)

    def floats(self, name: str) -> tuple[float, ...] | None:
        a = self.attributes.get(name)
        return None if a is None else cast("tuple[float, ...]", a.value)

    def texts(self, name: str) -> tuple[str, ...] | None:
        a = self.attributes.get(name)
        if a is None:
            return None
        return tuple(s.decode("utf-8", "replace") for s in cast("tuple[bytes, ...]", a.value))

    def graph(self, name: str) -> Graph:
        return self._value(name, Graph, None)

    def constant(self, name: str) -> Tensor:
        """A tensor attribute."""
        a = self.attributes[name].value
        if isinstance(a, SparseData):
            element, numbers = self.inside.decoder.sparse(a)
        elif isinstance(a, TensorData):
            element, numbers = self.inside.decoder.tensor(a)
        else:
            raise refuse("E0707", f"the attribute `{name}` is no tensor")
        return self.e.array(numbers, element)

    def type_info(self, name: str) -> TypeInfo:
        return cast("TypeInfo", self.attributes[name].value)

    def element(self, name: str) -> Element:
        """An attribute that is a TensorProto.DataType."""
        return element_of(self.int(name))

    # -- forms

    def axis(self, rank: int, name: str = "axis", default: int | None = None) -> int:
        return normal_axis(self.int(name, default), rank)

    def known(self, i: int, what: str) -> Tensor:
        """Input i, whose numbers must be known when importing."""
        t = self.tensor(i)
        if t.known is None:
            raise self.open(what)
        return t

    def open(self, what: str) -> Refusal:
        """A form that is refused because something is known only at run time."""
        return refuse("E0709", f"{what} must be known when the model is imported").with_help(
            "make it an initialiser, or export the model with fixed values"
        )

    def refused(self, what: str) -> Refusal:
        """A form of a supported operator that isn't there yet."""
        return refuse("E0709", what)


def check_rank(t: Tensor, *ranks: int) -> Tensor:
    """The tensor. Raises E0707 if its rank is none of these."""
    if t.rank not in ranks:
        raise refuse("E0707", f"{t} has {t.rank} axes, not {' or '.join(map(str, ranks))}")
    return t


def normal_axis(axis: int, rank: int) -> int:
    """An axis counted from 0. Raises E0707 if there is none."""
    if not -rank <= axis < rank:
        raise refuse("E0707", f"there is no axis {axis} among {rank}")
    return axis + rank if axis < 0 else axis


def normal_axes(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Axes counted from 0, each once. Raises E0707."""
    out = tuple(normal_axis(a, rank) for a in axes)
    if len(set(out)) != len(out):
        raise refuse("E0707", f"an axis is given twice: {list(axes)}")
    return out


def numbers_of(t: Tensor) -> tuple[int, ...] | None:
    """The whole numbers of a tensor if they are known, in order."""
    if t.known is None:
        return None
    return tuple(int(n) for n in t.known.reshape(-1))


def dims_of(t: Tensor) -> tuple[Dim, ...] | None:
    """The elements of a tensor as dims if they are known or symbolic, in order."""
    s = t.symbols
    return None if s is None else tuple(s.reshape(-1))


Rule: TypeAlias = Callable[[Call], "Item | tuple[Item, ...]"]


@dataclass(frozen=True, slots=True)
class Operator:
    """A rule, and the versions of the operator for which it is right."""

    name: str
    versions: tuple[int, ...]
    rule: Rule
    domain: str = ""


__all__ = [
    "Call", "Operator", "Rule", "Shape", "dims_of", "normal_axes", "normal_axis", "numbers_of",
]  # fmt: skip
