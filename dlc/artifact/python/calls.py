"""What the entries of a net ask for: the parameters of a call, and a way to run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Protocol, runtime_checkable

from dlc.artifact.border import Border
from dlc.artifact.python.backends import BackEnd
from dlc.artifact.python.errors import WeightsError
from dlc.artifact.python.fast import MISS
from dlc.artifact.python.host import Arguments
from dlc.artifact.python.params import Params
from dlc.artifact.weights.block import BlockLayout
from dlc.typesys.interface import Interface


@runtime_checkable
class HasParams(Protocol):
    """A net, as a place for parameters."""

    @property
    def params(self) -> Params: ...


class Calls:
    """The calls of one net. `params` are the net's own weights, None before there are any; `lock`
    is held by calls that change them."""

    def __init__(
        self, name: str, interface: Interface, layout: BlockLayout, back_end: BackEnd
    ) -> None:
        self.name, self.interface, self.layout, self.back_end = name, interface, layout, back_end
        self.params: Params | None = None
        self.lock = Lock()

    def present(self) -> Params:
        """The weights. Raises WeightsError where there are none yet."""
        if self.params is not None:
            return self.params
        if not self.layout.weights:
            return Params.empty(self.layout, {})
        raise WeightsError(
            f"{self.name} has no weights yet: call net.init(seed, …) or net.load(weights)",
            status="weights",
        )

    def binding(self, given: Mapping[str, Any]) -> Params:
        """The parameters of a call that is given these sets, the net's own otherwise."""
        if not given:
            return self.present()
        others = {name: _params_of(name, x) for name, x in given.items() if x is not None}
        sets = [s.name for s in self.interface.parameter_sets]
        for name, other in others.items():
            if other.layout.identity != self.layout.identity:
                raise WeightsError(
                    f"`{name}` has other weights than this program", status="weights"
                )
        if set(others) == set(sets) and len({id(o) for o in others.values()}) == 1:
            return next(iter(others.values()))
        return self._mixed(others, sets) if others else self.present()

    def _mixed(self, others: Mapping[str, Params], sets: list[str]) -> Params:
        """Parameters whose sets come from different places."""
        sources = {s: others.get(s, self.params) for s in sets}
        dims: dict[str, int] = {}
        for s in self.interface.parameter_sets:
            source = sources[s.name]
            if source is None:
                raise WeightsError(f"`{s.name}` has no weights yet", status="weights")
            for d in s.dims:
                if dims.setdefault(d, source.dims[d]) != source.dims[d]:
                    message = f"`{s.name}` has {d} = {source.dims[d]}, another set {dims[d]}"
                    raise WeightsError(message, status="weights")
        known = {s: p for s, p in sources.items() if p is not None}
        return Params.mixed(self.layout, dims, known)

    def run(
        self, border: Border, arguments: Arguments, env: Mapping[str, int], params: Params | None
    ) -> tuple[list[Any], dict[int, Any]]:
        """Results, and new values of inputs that do not come back in place."""
        return self.back_end.call(border, arguments, env, params)

    def fast(self, border: Border) -> Callable[[tuple[Any, ...]], Any] | None:
        """The short way for plain arguments; it gives `MISS` where that cannot be gone."""
        call = self.back_end.fast(border.entry.name)
        if call is None:
            return None
        if not border.sets:
            return lambda args: call(*args, None, None)

        def with_model(args: tuple[Any, ...]) -> Any:
            params = self.params
            if params is None or not params.model_at:
                return MISS
            return call(*args, params.model_at, params.dims)

        return with_model


def _params_of(name: str, x: Any) -> Params:
    if isinstance(x, Params):
        return x
    if isinstance(x, HasParams):
        return x.params
    raise TypeError(f"`{name}` must be the parameters of a net, not {type(x).__name__}")
