"""A model in, arrays out: the interface that conformance suites call.

    run(model, inputs, target="cpu")

The model is compiled for these inputs' kinds and run once."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from dlc.autodiff.expand import differentiate
from dlc.diag import CompileError
from dlc.evaluate import run as evaluate
from dlc.importers.elements import from_storage, to_storage
from dlc.importers.model import Given, Imported, import_onnx
from dlc.importers.ports import Absent, Port, Structure
from dlc.importers.refusal import UNSUPPORTED
from dlc.memory.bufferise import bufferise
from dlc.ops.card import RunError
from dlc.passes.pipeline import AFTER_AUTODIFF
from dlc.targets.cpu.run import CallError, compile_module


class NotSupportedError(NotImplementedError):
    """A model that is right, but uses what isn't there yet; the message says what."""

    def __init__(self, cause: CompileError) -> None:
        notes = [n for d in cause.diagnostics for n in d.notes]
        super().__init__("\n".join([str(cause), *notes]))
        self.diagnostics = cause.diagnostics


class RunFailedError(RuntimeError):
    """A run that ended with a status (an index out of range, sizes that do not fit)."""

    def __init__(self, net: Imported, cause: RunError | CallError) -> None:
        line = cause.loc.line if isinstance(cause, RunError) else cause.line
        known = 0 < line <= len(net.places)
        where = f" at {net.places[line - 1]}" if known else ""
        super().__init__(f"{cause}{where}")


def run(model: Any, inputs: Sequence[Any], target: str = "cpu") -> list[Any]:
    """The outputs of an `onnx.ModelProto` (or its bytes) for inputs in the order of the graph's
    inputs without initialisers: arrays; lists of arrays for sequences; None for an optional that is
    not there. `target` is `cpu` (native code) or `evaluate` (the reference interpreter).

    Raises NotSupportedError for what isn't there yet, CompileError for models that are wrong,
    RunFailedError for runs that fail."""
    data = model if isinstance(model, bytes) else cast(bytes, model.SerializeToString())
    names = _input_names(data)
    given = {n: _given(x) for n, x in zip(names, inputs, strict=False)}
    try:
        net = import_onnx(data, given=given)
    except CompileError as e:
        if all(d.code in UNSUPPORTED for d in e.diagnostics):
            raise NotSupportedError(e) from None
        raise
    return call(net, inputs, target)


def call(net: Imported, inputs: Sequence[Any], target: str = "cpu") -> list[Any]:
    """The outputs of an imported model, then its probed values, as ONNX's users see them.

    Raises RunFailedError."""
    args = [*net.weights.values()]
    for s, x in zip(net.inputs, inputs, strict=True):
        args += _arguments(s, x)
    try:
        results = _CALL[target](net, args)
    except (RunError, CallError) as e:
        raise RunFailedError(net, e) from None
    out = iter(results)
    return [_result(s, out) for s in (*net.outputs, *(p.port for p in net.probes))]


def _input_names(data: bytes) -> list[str]:
    from dlc.importers.limits import Budget, Limits
    from dlc.importers.parsing import Parser
    from dlc.importers.refusal import Refusal

    try:
        graph = Parser(Budget(Limits())).model(memoryview(data)).graph
    except Refusal as found:
        raise found.in_file("model") from None
    stored = {t.name for t in graph.initialisers} | {s.values.name for s in graph.sparse}
    return [v.name for v in graph.inputs if v.name not in stored]


def _given(x: Any) -> Given:
    if x is None:
        return Given(absent=True)
    if isinstance(x, (list, tuple)):
        return Given(items=tuple(map(_given, cast("Sequence[Any]", x))))
    shape: tuple[int, ...] = np.shape(x)
    return Given(shape=tuple(None for _ in shape))


def _arguments(s: Structure, x: Any) -> list[Any]:
    if isinstance(s, Absent):
        return []
    if isinstance(s, Port):
        a = np.asarray(x)
        return [np.ascontiguousarray(to_storage(a, s.element)).reshape(a.shape)]
    return [a for inner, item in zip(s, x, strict=True) for a in _arguments(inner, item)]


def _result(s: Structure, values: Any) -> Any:
    if isinstance(s, Absent):
        return None
    if isinstance(s, Port):
        return from_storage(np.asarray(next(values)), s.element)
    return [_result(inner, values) for inner in s]


def _evaluated(net: Imported, args: Sequence[Any]) -> tuple[Any, ...]:
    return evaluate(differentiate(net.module), net.function, args)


def _native(net: Imported, args: Sequence[Any]) -> tuple[Any, ...]:
    module = differentiate(net.module)
    for p in AFTER_AUTODIFF:
        module = p.run(module)
    return compile_module(bufferise(module)).call(net.function, args)


_CALL = MappingProxyType({"evaluate": _evaluated, "cpu": _native})
