"""Calls through a back end that takes the evaluator's values: the evaluator itself, and the
accelerator's model."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from dlc.artifact.border import Border
from dlc.artifact.python.arrays import Flat, raw_leaves
from dlc.artifact.python.deliver import Result
from dlc.artifact.python.host import Arguments
from dlc.ir.core import AdtDecl
from dlc.targets.cpu import values
from dlc.targets.cpu.schema import Schema
from dlc.typesys.interface import LeafInfo
from dlc.typesys.types import AdtType, ListType, TensorType, Type

Array = np.ndarray[Any, Any]


class Executor(Protocol):
    """Functions by their names in the IR, called with the evaluator's values."""

    def dims(self, function: str) -> Sequence[str]:
        """The dim parameters of a function."""
        ...

    def result_types(self, function: str) -> Sequence[Type]: ...

    def run(
        self, entry: str, function: str, args: Sequence[Any], dims: Mapping[str, int]
    ) -> Sequence[Any]:
        """The results, in the IR's order. Raises CallError that names `entry`."""
        ...


class Marshalled:
    """The entries of a module, run by an executor."""

    def __init__(self, types: Mapping[str, AdtDecl], executor: Executor) -> None:
        self._executor = executor
        self._schema = Schema.of(types)

    def call(
        self,
        border: Border,
        arguments: Arguments,
        env: Mapping[str, int],
        weights: Mapping[str, Mapping[str, Array]],
    ) -> tuple[list[Result], dict[int, Any]]:
        """The results, and the new values of inputs that come back otherwise than in place."""
        entry = border.entry
        given: dict[int, Any] = {}
        for p in entry.parameters:
            if p.parameter_set is not None:
                own = weights[p.parameter_set]
                given.update({x.number: own[".".join(x.path)].copy() for x in p.leaves})
        for x, v in zip(border.inputs, arguments.values, strict=True):
            if v.flat is not None:
                given[x.leaf.number] = self._value(x.leaf, v.flat, env)
            else:
                given.update({leaf.number: np.array(a) for leaf, a in zip(x.leaves, v.arrays)})  # noqa: B905
        out = self._executor.run(
            entry.name,
            entry.function,
            [given[i] for i in range(len(given))],
            {d: env[d] for d in self._executor.dims(entry.function)},
        )
        return self._results(border, arguments, out, weights)

    def _results(
        self,
        border: Border,
        arguments: Arguments,
        out: Sequence[Any],
        weights: Mapping[str, Mapping[str, Array]],
    ) -> tuple[list[Result], dict[int, Any]]:
        for p in border.entry.parameters:
            if p.parameter_set is not None:
                for x in p.leaves:
                    if x.back is not None:
                        weights[p.parameter_set][".".join(x.path)][...] = out[x.back]
        changed: dict[int, Any] = {}
        for i, (x, v) in enumerate(zip(border.inputs, arguments.values, strict=True)):
            if x.mut and v.flat is not None:
                assert x.leaf.back is not None
                changed[i] = self._flat(x.leaf, out[x.leaf.back])
            elif x.mut:
                for leaf, a in zip(x.leaves, v.arrays, strict=True):
                    assert leaf.back is not None
                    a[...] = out[leaf.back]
        results: list[Result] = []
        for x in border.outputs:
            if x.kind == "flat":
                results.append(Result(flat=self._flat(x.leaf, out[x.leaf.number])))
            else:
                arrays = tuple(np.asarray(out[leaf.number]) for leaf in x.leaves)
                results.append(Result(arrays))
        return results, changed

    def _value(self, leaf: LeafInfo, flat: Flat, env: Mapping[str, int]) -> Any:
        t = leaf.type
        assert isinstance(t, (AdtType, ListType))
        record = values.Flat.of(
            flat.length, flat.root, flat.tags, flat.children, flat.columns,
            np.array(flat.rows or [0], np.int64),
        )  # fmt: skip
        return values.decode(self._schema, t, record, env)

    def _flat(self, leaf: LeafInfo, value: Any) -> Flat:
        t = leaf.type
        assert isinstance(t, (AdtType, ListType))
        made = values.encode(self._schema, t, value)
        _, leaves = raw_leaves(self._schema, t)
        record = made.record
        assert ctypes.sizeof(record)
        rows = made.rows.tolist()[: len(leaves)]
        shapes: tuple[None, ...] = (None,) * len(leaves)
        return Flat(
            record.length, record.root, made.tags, made.children, made.columns, tuple(rows), shapes
        )

    def initial(self, function: str, key: int, dims: Mapping[str, int]) -> tuple[Array, ...]:
        """The first values of a parameter set."""
        known = {d: dims[d] for d in self._executor.dims(function)}
        out = self._executor.run(function, function, [np.int64(key)], known)
        return tuple(
            np.asarray(x, t.dtype.numpy)
            for x, t in zip(out, self._executor.result_types(function), strict=True)
            if isinstance(t, TensorType)
        )
