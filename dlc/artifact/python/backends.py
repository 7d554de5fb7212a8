"""What runs the entries of a net: native code, the evaluator, the accelerator's model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dlc.artifact.border import Border
from dlc.artifact.load import load_native
from dlc.artifact.product import Artifact
from dlc.artifact.python.deliver import Result
from dlc.artifact.python.evaluated import Evaluated
from dlc.artifact.python.fast import Fast, fast_call
from dlc.artifact.python.host import Arguments
from dlc.artifact.python.marshal import Marshalled
from dlc.artifact.python.native import Native
from dlc.artifact.python.params import Params
from dlc.diag import CompileError, InternalError, error
from dlc.ir.reader import ReadError, read_module

if TYPE_CHECKING:
    from dlc.artifact.python.modelled import ModelledMachine

Array = np.ndarray[Any, Any]


class BackEnd(Protocol):
    """`native` and `machine` are what the back end runs on, None if that is something else. `fuel`
    limits a call, 0 for as much as usual."""

    @property
    def fuel(self) -> int: ...

    @fuel.setter
    def fuel(self, turns: int) -> None: ...

    @property
    def native(self) -> Native | None: ...

    @property
    def machine(self) -> ModelledMachine | None: ...

    def fast(self, entry: str) -> Fast | None:
        """The short way for plain arguments, where there is one."""
        ...

    def call(
        self, border: Border, arguments: Arguments, env: Mapping[str, int], params: Params | None
    ) -> tuple[list[Any], dict[int, Any]]:
        """Results, and new values of inputs that do not come back in place."""
        ...

    def initialise(self, set_: str, function: str, params: Params, key: int) -> None:
        """Draws the first weights of a parameter set."""
        ...


def back_end(artifact: Artifact) -> BackEnd:
    """What runs an artefact. Raises CompileError: E0805, E0806, E0931 to E0934."""
    match artifact.manifest.kind:
        case "cpu":
            return _Native(artifact)
        case "sparrow":
            return _Modelled(artifact)
        case _:
            return _Evaluator(artifact)


class _Native:
    """Native code; a C model for each block of weights, made when it is first used."""

    machine = None

    def __init__(self, artifact: Artifact) -> None:
        self.native = load_native(artifact)

    @property
    def fuel(self) -> int:
        return self.native.fuel

    @fuel.setter
    def fuel(self, turns: int) -> None:
        self.native.fuel = turns

    def _model(self, params: Params) -> Array:
        if params.model is None:
            params.model = self.native.model_of(params)
            params.model_at = params.model.ctypes.data
        return params.model

    def fast(self, entry: str) -> Fast | None:
        return fast_call(self.native.entries[entry])

    def call(
        self, border: Border, arguments: Arguments, env: Mapping[str, int], params: Params | None
    ) -> tuple[list[Any], dict[int, Any]]:
        model = None if params is None else self._model(params)
        return self.native.entries[border.entry.name].call(arguments, env, model)

    def initialise(self, set_: str, function: str, params: Params, key: int) -> None:
        self.native.initialise(set_, self._model(params), key)


class _ByValues:
    """A back end that takes the evaluator's values."""

    native = None

    def __init__(self, marshalled: Marshalled) -> None:
        self._marshalled = marshalled

    @property
    def machine(self) -> ModelledMachine | None:
        return None

    def fast(self, entry: str) -> None:
        return None

    def call(
        self, border: Border, arguments: Arguments, env: Mapping[str, int], params: Params | None
    ) -> tuple[list[Any], dict[int, Any]]:
        weights = {} if params is None else {s: params.of_set(s) for s in border.sets}
        results, changed = self._marshalled.call(border, arguments, env, weights)
        made: list[Result] = results
        return list(made), changed

    def initialise(self, set_: str, function: str, params: Params, key: int) -> None:
        arrays = self._marshalled.initial(function, key, params.dims)
        views = params.of_set(set_)
        if len(arrays) != len(views):
            raise InternalError(f"`{function}` does not give the weights of `{set_}`")
        for view, x in zip(views.values(), arrays, strict=True):
            view[...] = x


class _Evaluator(_ByValues):
    def __init__(self, artifact: Artifact) -> None:
        try:
            module = read_module(artifact.contents["ir"].decode())
        except (KeyError, UnicodeDecodeError, ReadError) as e:
            name = artifact.manifest.name
            raise CompileError(error("E0932", f"the artefact `{name}` has no IR: {e}")) from None
        self._evaluated = Evaluated(module)
        self.fuel = int(artifact.manifest.options.get("fuel", 0))
        super().__init__(Marshalled(module.types, self._evaluated))

    @property
    def fuel(self) -> int:
        return self._evaluated.fuel

    @fuel.setter
    def fuel(self, turns: int) -> None:
        self._evaluated.fuel = turns


class _Modelled(_ByValues):
    """The accelerator's model. Its part of the compiler is imported with the first such net."""

    def __init__(self, artifact: Artifact) -> None:
        from dlc.artifact.device import device_of
        from dlc.artifact.python.modelled import CompiledIn, ModelledMachine

        device = device_of(artifact)
        self._machine = ModelledMachine(device)
        self._machine.fuel = int(artifact.manifest.options.get("fuel", 0))
        self._held: CompiledIn | None = None
        if device.holds_weights:
            weights = artifact.contents.get("weights", b"")
            self._held = CompiledIn(np.frombuffer(weights, np.uint8))
        super().__init__(Marshalled(artifact.manifest.types, self._machine))

    @property
    def machine(self) -> ModelledMachine | None:
        return self._machine

    @property
    def fuel(self) -> int:
        return self._machine.fuel

    @fuel.setter
    def fuel(self, turns: int) -> None:
        self._machine.fuel = turns

    def call(
        self, border: Border, arguments: Arguments, env: Mapping[str, int], params: Params | None
    ) -> tuple[list[Any], dict[int, Any]]:
        if self._held is not None and params is not None:
            self._held.check(border.entry.name, params.whole(params.layout))
        return super().call(border, arguments, env, params)
