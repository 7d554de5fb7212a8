"""The evaluator's lists and algebraic values: immutable to whoever holds them, and cheap to extend.

A list is a version of a shared array. The newest version owns the array; an older one knows which
single element differs in the next newer one, and is restored on demand (H. Baker, "Shallow binding
makes functional arrays fast", 1991). Push, set and pop of the newest version take constant time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Element = tuple[Any, ...]
"""One value per column."""


class _Version:
    """Either owns `array`, or differs from `newer` in element `index`, which is `element` here."""

    __slots__ = ("array", "element", "index", "newer")

    def __init__(self, array: list[Element]) -> None:
        self.array: list[Element] | None = array
        self.newer: _Version | None = None
        self.index = 0
        self.element: Element = ()

    def restore(self) -> list[Element]:
        """The array as this version has it; the version that owned it becomes an older one of
        this."""
        if self.array is not None:
            return self.array
        chain: list[_Version] = []
        v = self
        while v.newer is not None:
            chain.append(v)
            v = v.newer
        array = v.array
        assert array is not None
        for older in reversed(chain):
            v.array, v.newer, v.index, v.element = None, older, older.index, array[older.index]
            array[older.index] = older.element
            older.array, older.newer, older.element = array, None, ()
            v = older
        return array


class ListValue:
    """An immutable list of elements with one value per column."""

    __slots__ = ("_length", "_version")

    def __init__(self, elements: list[Element] | None = None) -> None:
        own = list(elements) if elements is not None else []
        self._version = _Version(own)
        self._length = len(own)

    @staticmethod
    def _of(version: _Version, length: int) -> ListValue:
        out = ListValue.__new__(ListValue)
        out._version, out._length = version, length
        return out

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Element]:
        return (self[i] for i in range(self._length))

    def __getitem__(self, i: int) -> Element:
        """Element i; the caller has checked `0 <= i < len`."""
        array = self._version.array
        return (array if array is not None else self._version.restore())[i]

    def set(self, i: int, element: Element) -> ListValue:
        """The list with element i replaced."""
        version = self._version
        array = version.restore()
        newer = _Version(array)
        version.array, version.newer, version.index, version.element = None, newer, i, array[i]
        array[i] = element
        return ListValue._of(newer, self._length)

    def push(self, element: Element) -> ListValue:
        """The list with one more element at its end."""
        array = self._version.restore()
        if len(array) == self._length:
            # Versions with this array are shorter than it: none of them sees the new element.
            array.append(element)
            return ListValue._of(self._version, self._length + 1)
        return ListValue._of(self._version, self._length + 1).set(self._length, element)

    def pop(self) -> ListValue:
        """The list without its last element; the caller has checked that there is one."""
        return ListValue._of(self._version, self._length - 1)

    def __repr__(self) -> str:
        return f"<list of {self._length}>"


class AdtValue:
    """A value of an algebraic type: constructor, fields, and the values of the constructor's hidden
    dims."""

    __slots__ = ("constructor", "dims", "fields")

    def __init__(
        self, constructor: str, fields: tuple[Any, ...] = (), dims: tuple[int, ...] = ()
    ) -> None:
        self.constructor, self.fields, self.dims = constructor, fields, dims

    def __repr__(self) -> str:
        return f"<{self.constructor} of {len(self.fields)} fields>"
