"""An exported function as a Python callable."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, Protocol

import numpy as np

from dlc.artifact.border import Border
from dlc.artifact.header import signature
from dlc.artifact.items import Item
from dlc.artifact.python.codec import Codecs, attribute
from dlc.artifact.python.deliver import Deliverer, decoded
from dlc.artifact.python.fast import MISS
from dlc.artifact.python.host import Arguments, Receiver
from dlc.artifact.python.params import Params
from dlc.targets.cpu.schema import Schema
from dlc.typesys import surface
from dlc.typesys.interface import ParameterInfo

Array = np.ndarray[Any, Any]


class Runner(Protocol):
    """What an entry needs of its program: parameters, and a way to run."""

    def binding(self, given: Mapping[str, Any]) -> Params | None:
        """The parameters of a call that is given these sets, the program's own otherwise."""
        ...

    def run(
        self, border: Border, arguments: Arguments, env: Mapping[str, int], params: Params | None
    ) -> tuple[list[Any], dict[int, Any]]:
        """Results, and new values of inputs that do not come back in place."""
        ...

    def fast(self, border: Border) -> Callable[[tuple[Any, ...]], Any] | None:
        """The short way for plain arguments; it gives `MISS` where that cannot be gone."""
        ...

    @property
    def lock(self) -> Lock:
        """Held by calls that change the parameters."""
        ...


class Entry:
    """`net.logits(t)`: parameters by position or name; parameter sets may be given by name only."""

    def __init__(self, border: Border, schema: Schema, codecs: Codecs, runner: Runner) -> None:
        self._border, self._schema, self._runner = border, schema, runner
        self._receiver = Receiver(border, schema, codecs)
        self._deliverer = Deliverer(border, schema, codecs)
        entry = border.entry
        self._plain = tuple(p for p in entry.parameters if p.parameter_set is None)
        self._sets = tuple(p.name for p in entry.parameters if p.parameter_set is not None)
        self._names = {python_name(p.name): i for i, p in enumerate(self._plain)}
        self._direct = _direct(self._plain, border.inputs)
        self._fast = runner.fast(border) if self._direct else None
        self.__name__ = self.__qualname__ = entry.name
        self.__doc__ = signature(entry)
        self.__signature__ = _signature(self._plain, self._sets)

    @property
    def border(self) -> Border:
        """How its dims are bound."""
        return self._border

    @property
    def has_short_way(self) -> bool:
        """Whether calls with plain arguments go straight to native code."""
        return self._fast is not None

    def __call__(self, *args: Any, **named: Any) -> Any:
        if self._fast is not None and not named and len(args) == len(self._plain):
            out = self._fast(args)
            if out is not MISS:
                return out
        values = args
        sets: Mapping[str, Any] = {}
        if named or len(args) != len(self._plain):
            values, sets = self._arranged(args, named)
        if not self._direct:
            values = self._split(values)
        arguments = self._receiver.receive(values)
        params = self._runner.binding(sets) if self._sets else None
        env = self._receiver.dims(arguments, {} if params is None else params.dims)
        if self._border.written:
            with self._runner.lock:
                results, changed = self._runner.run(self._border, arguments, env, params)
        else:
            results, changed = self._runner.run(self._border, arguments, env, params)
        for i, flat in changed.items():
            f = self._receiver.flats[i]
            arguments.values[i].given[:] = decoded(f, self._schema, flat, env)
        return self._deliverer.deliver(results, env)

    def model_sizes(self, **named: Any) -> dict[str, int]:
        """The dims of the model that a call's arguments show (`m.F`, from `x: f32[N, m.F]`): what
        weights for it must have."""
        values, _ = self._arranged((), named)
        if not self._direct:
            values = self._split(values)
        return self._receiver.model_sizes(self._receiver.receive(values))

    def __repr__(self) -> str:
        return f"<{self.__doc__}>"

    def _arranged(
        self, args: tuple[Any, ...], named: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """The plain parameters in order, and the parameter sets that are given."""
        name, plain = self.__name__, self._plain
        if len(args) > len(plain):
            raise TypeError(f"{name} takes {len(plain)} arguments, not {len(args)}")
        values: list[Any] = [*args, *[_MISSING] * (len(plain) - len(args))]
        sets: dict[str, Any] = {}
        for key, v in named.items():
            at = self._names.get(key)
            if at is None:
                if key not in self._sets:
                    raise TypeError(f"{name} has no parameter `{key}`")
                sets[key] = v
            elif values[at] is not _MISSING:
                raise TypeError(f"{name} is given `{key}` twice")
            else:
                values[at] = v
        missing = [p.name for p, v in zip(plain, values, strict=True) if v is _MISSING]
        if missing:
            raise TypeError(f"{name} needs `{missing[0]}`")
        return tuple(values), sets

    def _split(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The values of the items."""
        out: list[Any] = []
        for p, v in zip(self._plain, values, strict=True):
            for x in self._border.inputs:
                if x.path[0] == p.name:
                    out.append(_part(p.type, v, x.path[1:], p.name))
        return tuple(out)


_MISSING = object()


def python_name(name: str) -> str:
    """A parameter's name in Python."""
    return f"{name}_" if keyword.iskeyword(name) else name


def _direct(plain: Sequence[ParameterInfo], inputs: Sequence[Item]) -> bool:
    """Whether every parameter is one item."""
    return [(p.name,) for p in plain] == [x.path for x in inputs]


def _part(t: surface.Type, v: Any, path: tuple[str, ...], name: str) -> Any:
    """A part of a value, by the path of an item."""
    if not path:
        return v
    if isinstance(t, surface.Tuple):
        if not isinstance(v, (tuple, list)) or len(v) != len(t.items):  # pyright: ignore[reportUnknownArgumentType]
            raise TypeError(f"`{name}` must be a tuple of {len(t.items)} values")
        i = int(path[0])
        parts: Sequence[Any] = v  # pyright: ignore[reportUnknownVariableType]
        return _part(t.items[i], parts[i], path[1:], f"{name}.{i}")
    for step in path:
        v = attribute(name, v, step)
        name = f"{name}.{step}"
    return v


def _signature(plain: Sequence[ParameterInfo], sets: Sequence[str]) -> inspect.Signature:
    kind = inspect.Parameter
    parameters = [
        kind(python_name(p.name), kind.POSITIONAL_OR_KEYWORD, annotation=str(p.type)) for p in plain
    ]
    parameters += [kind(python_name(s), kind.KEYWORD_ONLY, default=None) for s in sets]
    return inspect.Signature(parameters)
