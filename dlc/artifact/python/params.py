"""The parameters of a program: arrays over the one block of weights.

`net.params["m.wl"]`, `net.params.m.wl` and the block that native code reads are the same memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from dlc.artifact.weights.block import BlockLayout
from dlc.artifact.weights.match import match
from dlc.artifact.weights.sets import of_sets

Array = np.ndarray[Any, Any]


class Params:
    """The weights of all parameter sets, by name, for some dims."""

    def __init__(self, layout: BlockLayout, block: Array, dims: Mapping[str, int]) -> None:
        self._layout = layout
        self._block = block
        self._dims: Mapping[str, int] = MappingProxyType({d: dims[d] for d in layout.dims})
        views = layout.views(block, dims)
        self._views: Mapping[str, Array] = MappingProxyType(
            {w.name: v for w, v in zip(layout.weights, views, strict=True)}
        )
        self._sets = tuple(dict.fromkeys(w.set for w in layout.weights))
        self.sources: Mapping[str, Params] = {}
        """Where each set comes from, if not from this block."""
        self.model: Array | None = None
        """The C model over these weights, once native code has made it."""
        self.model_at = 0
        """Its address."""

    @classmethod
    def empty(cls, layout: BlockLayout, dims: Mapping[str, int]) -> Params:
        """Weights that are all zero."""
        return cls(layout, layout.format(dims), dims)

    @classmethod
    def matched(
        cls, layout: BlockLayout, given: Mapping[str, Array], bound: Mapping[str, int]
    ) -> Params:
        """Weights from arrays by name. Raises CompileError (see `match`)."""
        m = match(layout, given, bound)
        made = cls.empty(layout, m.dims)
        for view, x in zip(made._views.values(), m.arrays, strict=True):
            view[...] = x
        return made

    @classmethod
    def replaced(
        cls,
        before: Params,
        sets: Collection[str],
        given: Mapping[str, Array],
        bound: Mapping[str, int],
    ) -> Params:
        """Weights from arrays by name in these sets, all others as they were. Dims that the others
        share keep their numbers. Raises CompileError (see `match`)."""
        layout = before._layout
        taken = of_sets(layout, sets)
        shown = {s for w in taken.weights for d in w.shape for s in d.symbols()}
        kept = [w for w in layout.weights if w.set not in sets]
        shared = {s for w in kept for d in w.shape for s in d.symbols()}
        same = {d: n for d, n in before.dims.items() if d in shared or d not in {*shown, *bound}}
        m = match(taken, given, {**bound, **same})
        made = cls.empty(layout, m.dims)
        arrays = {w.name: x for w, x in zip(taken.weights, m.arrays, strict=True)}
        for name, view in made._views.items():
            view[...] = arrays[name] if name in arrays else before.own(name)
        return made

    @classmethod
    def mixed(
        cls, layout: BlockLayout, dims: Mapping[str, int], sources: Mapping[str, Params]
    ) -> Params:
        """The sets of several parameters together, each where it is."""
        made = cls.empty(layout, dims)
        made.sources = MappingProxyType(dict(sources))
        views = {n: sources[n.split(".", 1)[0]].own(n) for n in made._views}
        made._views = MappingProxyType(views)
        return made

    def own(self, name: str) -> Array:
        """A weight by its full name."""
        return self._views[name]

    @property
    def layout(self) -> BlockLayout:
        return self._layout

    def whole(self, layout: BlockLayout) -> Array:
        """One block with all weights."""
        if not self.sources:
            return self._block
        made = Params.empty(layout, self._dims)
        for n, v in self._views.items():
            made.own(n)[...] = v
        return made.block

    @property
    def block(self) -> Array:
        """The bytes that native code reads."""
        return self._block

    @property
    def dims(self) -> Mapping[str, int]:
        return self._dims

    def of_set(self, name: str) -> dict[str, Array]:
        """The weights of a set, by name without the set's."""
        return {n[len(name) + 1 :]: v for n, v in self._views.items() if n.startswith(f"{name}.")}

    # -- as a mapping

    def __getitem__(self, name: str) -> Array:
        full = name
        if name not in self._views and len(self._sets) == 1:
            full = f"{self._sets[0]}.{name}"
        if full not in self._views:
            raise KeyError(f"{name}: there is {', '.join(self._views)}")
        return self._views[full]

    def __setitem__(self, name: str, value: Any) -> None:
        view = self[name]
        x = np.asarray(value)
        if x.shape != view.shape or x.dtype != view.dtype:
            message = f"`{name}` is {view.dtype}{list(view.shape)}, not {x.dtype}{list(x.shape)}"
            raise ValueError(message)
        view[...] = x

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __contains__(self, name: object) -> bool:
        return name in self._views

    def keys(self) -> list[str]:
        return list(self._views)

    def items(self) -> list[tuple[str, Array]]:
        return list(self._views.items())

    def arrays(self) -> dict[str, Array]:
        """The weights as a dict, each an array over the block."""
        return dict(self._views)

    # -- as attributes

    def __getattr__(self, name: str) -> Any:
        views = self.__dict__.get("_views")
        if views is None:
            raise AttributeError(name)
        return getattr(Group(views, ""), name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._sets]

    def __repr__(self) -> str:
        return f"Params({', '.join(f'{n}: {v.dtype}{list(v.shape)}' for n, v in self.items())})"


class Group:
    """The weights below a name: `net.params.m`, `net.params.m.cell`."""

    __slots__ = ("_prefix", "_views")
    _prefix: str
    _views: Mapping[str, Array]

    def __init__(self, views: Mapping[str, Array], prefix: str) -> None:
        object.__setattr__(self, "_views", views)
        object.__setattr__(self, "_prefix", prefix)

    def _step(self, name: str) -> Any:
        full = f"{self._prefix}{name}"
        if full in self._views:
            return self._views[full]
        if any(n.startswith(f"{full}.") for n in self._views):
            return Group(self._views, f"{full}.")
        raise AttributeError(f"no weight `{full}`: there is {', '.join(self._names()) or 'none'}")

    def __getattr__(self, name: str) -> Any:
        return self._step(name)

    def __setattr__(self, name: str, value: Any) -> None:
        view = self._step(name)
        if isinstance(view, Group):
            raise AttributeError(f"`{name}` is no weight, but a group of them")
        view[...] = value

    def _names(self) -> list[str]:
        k = len(self._prefix)
        return [n[k:] for n in self._views if n.startswith(self._prefix)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __dir__(self) -> list[str]:
        return list(dict.fromkeys(n.split(".")[0] for n in self._names()))

    def __repr__(self) -> str:
        return f"{self._prefix[:-1]}({', '.join(self._names())})"


class Dims:
    """Dims by name: `net.dims["m.H"]`, `net.dims.m.H`."""

    __slots__ = ("_numbers", "_prefix")

    def __init__(self, numbers: Mapping[str, int], prefix: str = "") -> None:
        self._numbers, self._prefix = numbers, prefix

    def __getitem__(self, name: str) -> int:
        return self._numbers[f"{self._prefix}{name}"]

    def __getattr__(self, name: str) -> Any:
        full = f"{self._prefix}{name}"
        if full in self._numbers:
            return self._numbers[full]
        if any(n.startswith(f"{full}.") for n in self._numbers):
            return Dims(self._numbers, f"{full}.")
        raise AttributeError(f"no dim `{full}`: there is {', '.join(self._numbers) or 'none'}")

    def __iter__(self) -> Iterator[str]:
        return iter(n for n in self._numbers if n.startswith(self._prefix))

    def __dir__(self) -> list[str]:
        k = len(self._prefix)
        return list(dict.fromkeys(n[k:].split(".")[0] for n in self))

    def items(self) -> list[tuple[str, int]]:
        return [(n, self._numbers[n]) for n in self]

    def __repr__(self) -> str:
        return f"Dims({', '.join(f'{n}={v}' for n, v in self.items())})"
