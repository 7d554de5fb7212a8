"""Algebraic types as Python classes.

    Tree = net.types.Tree
    t = Tree.Node(Tree.Leaf(3), Tree.Leaf(5))
    match t:
        case Tree.Node(left, right): …

A constructor is a class below the type's, its fields are attributes. Values are compared and
printed without recursion, so they may be as deep as memory allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Self, cast

import numpy as np

from dlc.typesys.interface import AdtInfo

PRINTED = 1000
"""Characters of a value that `repr` shows at most."""


class Value:
    """A value of an algebraic type; `fields` are in the order of the declaration."""

    __slots__ = ("fields",)
    type_name: ClassVar[str] = ""
    constructor: ClassVar[str] = ""
    field_names: ClassVar[tuple[str, ...]] = ()
    fields: tuple[Any, ...]

    def __init__(self, *given: Any, **named: Any) -> None:
        if named or len(given) != len(self.field_names):
            given = self._arranged(given, named)
        object.__setattr__(self, "fields", given)

    def _arranged(self, given: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[Any, ...]:
        names = self.field_names
        what = f"{self.type_name}.{self.constructor}"
        if not self.constructor:
            raise TypeError(f"{type(self).__name__} is a type: make a value by a constructor")
        if len(given) > len(names):
            raise TypeError(f"{what} has {len(names)} fields, not {len(given)}")
        rest = names[len(given) :]
        strange = [n for n in named if n not in rest]
        if strange:
            raise TypeError(f"{what} has no field `{strange[0]}` left to be given")
        missing = [n for n in rest if n not in named]
        if missing:
            raise TypeError(f"{what} needs `{missing[0]}`")
        return (*given, *(named[n] for n in rest))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a {self.type_name} never changes")

    __delattr__ = object.__delattr__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Value):
            return NotImplemented
        return _equal(self, other)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return _printed(self)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Itself: it never changes."""
        return self

    def __reduce__(self) -> Any:
        raise TypeError(f"a {self.type_name} is made by a program that is loaded: pickle its parts")


class _Field:
    """Reads a field by name."""

    def __init__(self, at: int) -> None:
        self.at = at

    def __get__(self, x: Value | None, owner: type) -> Any:
        return self if x is None else x.fields[self.at]


def classes_of(info: AdtInfo) -> type[Value]:
    """The class of a type, with a class for each constructor as attributes."""
    base = type(info.name, (Value,), {"__slots__": (), "type_name": info.name})
    for c in info.constructors:
        names = tuple(f.name for f in c.fields)
        body: dict[str, Any] = {
            "__slots__": (),
            "constructor": c.name,
            "field_names": names,
            "__match_args__": names,
            "__qualname__": f"{info.name}.{c.name}",
            "__doc__": f"{c.name}({', '.join(f'{f.name}: {f.type}' for f in c.fields)})",
        }
        taken = set(dir(Value))
        body |= {n: _Field(i) for i, n in enumerate(names) if n not in taken}
        setattr(base, c.name, type(c.name, (base,), body))
    return base


class Types:
    """The algebraic types of a program: `net.types.Tree`, `net.types["Tree"]`."""

    def __init__(self, infos: Sequence[AdtInfo]) -> None:
        self._classes: Mapping[str, type[Value]] = MappingProxyType(
            {info.name: classes_of(info) for info in infos}
        )

    def __getattr__(self, name: str) -> type[Value]:
        found = self.__dict__.get("_classes", {}).get(name)
        if found is None:
            raise AttributeError(f"no type `{name}`: there is {', '.join(self) or 'none'}")
        return found

    def __getitem__(self, name: str) -> type[Value]:
        return self._classes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __dir__(self) -> list[str]:
        return list(self._classes)


# -- without recursion


def _equal(a: Any, b: Any) -> bool:
    work: list[tuple[Any, Any]] = [(a, b)]
    while work:
        x, y = work.pop()
        if x is y:
            continue
        if isinstance(x, Value) and isinstance(y, Value):
            same = x.type_name == y.type_name and x.constructor == y.constructor
            if not same or len(x.fields) != len(y.fields):
                return False
            work += zip(x.fields, y.fields, strict=True)
        elif isinstance(x, (list, tuple)) and isinstance(y, (list, tuple)):
            xs, ys = cast("Sequence[Any]", x), cast("Sequence[Any]", y)
            if len(xs) != len(ys):
                return False
            work += zip(xs, ys, strict=True)
        elif isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
            if not np.array_equal(cast(Any, x), cast(Any, y)):
                return False
        elif x != y:
            return False
    return True


def _printed(x: Value) -> str:
    out: list[str] = []
    size = 0
    work: list[Any] = [x]
    while work and size < PRINTED:
        y = work.pop()
        if isinstance(y, _Text):
            piece = y.text
        elif isinstance(y, Value):
            piece = y.constructor
            if y.fields:
                inside: list[Any] = [_Text("(")]
                for i, f in enumerate(y.fields):
                    inside += [_Text(", "), f] if i else [f]
                work += reversed([*inside, _Text(")")])
        else:
            piece = repr(y)
        out.append(piece)
        size += len(piece)
    return "".join(out) + ("…" if work else "")


class _Text:
    def __init__(self, text: str) -> None:
        self.text = text
