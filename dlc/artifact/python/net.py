"""A program that can be called: `net.logits(t)`, `net.params`, `net.types`, `net.init(seed)`."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from dlc.artifact.border import Border, border_of
from dlc.artifact.load import manifest_hash, read_artifact, weights_block
from dlc.artifact.product import Artifact
from dlc.artifact.publish import write_file
from dlc.artifact.python.algebra import Types
from dlc.artifact.python.backends import back_end
from dlc.artifact.python.codec import Codecs
from dlc.artifact.python.entry import Entry
from dlc.artifact.python.errors import WeightsError
from dlc.artifact.python.fast import MISS
from dlc.artifact.python.host import Arguments
from dlc.artifact.python.params import Dims, Params
from dlc.artifact.weights.block import fixed_dims
from dlc.artifact.weights.files import Source, npz_bytes, read_weights, safetensors_bytes
from dlc.artifact.weights.match import with_given
from dlc.diag import CompileError, error
from dlc.targets.cpu.schema import Schema
from dlc.typesys.interface import FROM_FILE, Interface, ParameterSet

if TYPE_CHECKING:
    from dlc.artifact.python.modelled import ModelledMachine, ModelledRun

Array = np.ndarray[Any, Any]
STEP = 0x9E3779B97F4A7C15
"""What seeds of the second parameter set and those after it differ by."""


class Net:
    """A compiled program in this process. Entries are methods; any number of threads may call them.

    `artifact` is what it was made from, `types` the algebraic types, `params` the weights, `dims`
    their sizes, `entries` the callables by name. `given` are weights that imported models hold."""

    def __init__(
        self,
        artifact: Artifact,
        *,
        params: Params | None = None,
        given: Mapping[str, Array] | None = None,
    ) -> None:
        m = artifact.manifest
        self.artifact = artifact
        self.interface: Interface = m.interface
        self.types = Types(m.interface.types)
        self._layout = m.layout
        self._run = back_end(artifact)
        self._params = params
        self.given: Mapping[str, Array] = given or {}
        if params is None:
            found = weights_block(artifact, self._run.native)
            if found is not None:
                self._params = Params(self._layout, *found)
        self.lock = Lock()
        schema = Schema.of(m.types)
        codecs = Codecs(m.interface, schema, self.types)
        self.entries: Mapping[str, Entry] = MappingProxyType(
            {
                e.name: Entry(border_of(e, m.interface, m.types), schema, codecs, self)
                for e in m.interface.entries
            }
        )
        for name, entry in self.entries.items():
            if not hasattr(type(self), name):
                self.__dict__.setdefault(name, entry)
        self._saved: str | None = None if artifact.path is None else manifest_hash(m)

    def __getattr__(self, name: str) -> Entry:
        entries = self.__dict__.get("entries", {})
        if name in entries:
            return entries[name]
        raise AttributeError(f"no entry `{name}`: there is {', '.join(entries) or 'none'}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.entries]

    def __repr__(self) -> str:
        return f"<dlc net {self.artifact.manifest.name}: {', '.join(self.entries)}>"

    @property
    def memory_limit(self) -> int:
        """Bytes of working memory that a call may have at most: half of the machine's, at first."""
        native = self._run.native
        return 0 if native is None else native.memory_limit

    @memory_limit.setter
    def memory_limit(self, size: int) -> None:
        if self._run.native is not None:
            self._run.native.memory_limit = int(size)

    @property
    def machine(self) -> ModelledMachine | None:
        """The modelled machine of a net for the accelerator, with its settings; None for others."""
        return self._run.machine

    @property
    def last_run(self) -> ModelledRun | None:
        """What the last call in this thread cost on the modelled machine; None where nothing ran on
        one."""
        machine = self._run.machine
        return None if machine is None else machine.last_run

    # -- parameters

    @property
    def params(self) -> Params:
        """The weights. Raises WeightsError where there are none yet."""
        if self._params is None:
            if not self._layout.weights:
                return Params.empty(self._layout, {})
            raise WeightsError(
                f"{self.artifact.manifest.name} has no weights yet: "
                "call net.init(seed, …) or net.load(weights)",
                status="weights",
            )
        return self._params

    @property
    def dims(self) -> Dims:
        """The sizes of the parameters, and those that were bound when compiling."""
        numbers = dict(self._fixed())
        if self._params is not None:
            numbers.update(self._params.dims)
        return Dims(MappingProxyType(numbers))

    def _fixed(self) -> dict[str, int]:
        return fixed_dims(self.interface)

    def init(
        self,
        *what: str | int,
        key: int | None = None,
        dims: Mapping[str, int] | None = None,
        **sizes: int,
    ) -> Params:
        """Draws the first weights: `init(0)`, `init(0, H=128)`, `init("m", key=0)`.

        Dims are given by name (`dims={"m.H": 128}` where several sets have an H) where neither the
        compile nor the weights at hand have bound them.
        The same seed draws the same bits on every back end; a logarithm or cosine computed from
        them may differ in its last bit.
        Raises WeightsError, and TypeError for dims that are missing or not there."""
        sets = [w for w in what if isinstance(w, str)]
        seeds = [w for w in what if not isinstance(w, str)] + ([] if key is None else [key])
        if len(seeds) > 1:
            raise TypeError("init takes one seed")
        seed = int(seeds[0]) if seeds else 0
        names = [s.name for s in self.interface.parameter_sets]
        strange = [s for s in sets if s not in names]
        if strange:
            raise TypeError(f"no parameter set `{strange[0]}`: there is {', '.join(names)}")
        given = {**(dims or {}), **sizes}
        before = params = self._params
        if params is None or given or not sets:
            params = Params.empty(self._layout, self._sizes(given))
        for i, s in enumerate(self.interface.parameter_sets):
            if not sets or s.name in sets:
                if s.init is None:
                    raise WeightsError(
                        f"a weight of `{s.name}` has no initialiser: load all its weights",
                        status="weights",
                    )
                kept = self._from_file(s, params, before)
                self._run.initialise(s.name, s.init, params, _signed(seed + i * STEP))
                for name, x in kept.items():
                    params[name] = x
        self._params = params
        return params

    def _from_file(
        self, s: ParameterSet, params: Params, before: Params | None
    ) -> dict[str, Array]:
        """The weights of a set that are not drawn, from an imported model's file or as they are."""
        out: dict[str, Array] = {}
        for w in s.weights:
            if w.initialiser is None or w.initialiser.name != FROM_FILE:
                continue
            name = f"{s.name}.{w.name}"
            x = self.given.get(name)
            if x is None and before is not None:
                x = before.own(name).copy()
            if x is None or x.shape != params.own(name).shape:
                raise WeightsError(
                    f"`{name}` is not drawn, it comes from an imported model: load all weights",
                    status="weights",
                )
            out[name] = x
        return out

    def _sizes(self, given: Mapping[str, int]) -> dict[str, int]:
        known: dict[str, int] = {}
        for s in self.interface.parameter_sets:
            known.update(s.defaults)
        if self._params is not None:
            known.update(self._params.dims)
        fixed = self._fixed()
        known.update(fixed)
        for name, n in self._named(given, "init").items():
            if name in fixed and fixed[name] != n:
                raise TypeError(f"init: {name} was bound to {fixed[name]} when compiling")
            known[name] = n
        missing = [d for d in self._layout.dims if d not in known]
        if missing:
            short = missing[0].rsplit(".", 1)[-1]
            raise TypeError(f"init needs {', '.join(missing)}: net.init(seed, {short}=…)")
        bad = next((d for d in self._layout.dims if not 0 <= known[d] < 2**31), None)
        if bad is not None:
            raise ValueError(f"init: {bad} is {known[bad]}, which is no size")
        return known

    def load(self, weights: Source | Params, **dims: int) -> Params:
        """Takes weights from a file (safetensors, npz), a mapping, or another program's parameters.
        Dims that no weight shows are given by name; weights of imported models may be left out.

        Raises CompileError that lists everything missing, unexpected or misshapen."""
        bound = {**self._named(dims, "load"), **self._fixed()}
        if isinstance(weights, Params):
            known = {d: n for d, n in weights.dims.items() if d in self._layout.dims}
            bound = {**known, **bound}
            weights = weights.arrays()
        arrays = with_given(read_weights(weights), self.given)
        self._params = Params.matched(self._layout, arrays, bound)
        return self._params

    def _named(self, given: Mapping[str, int], call: str) -> dict[str, int]:
        """Numbers by the full names of dims."""
        out: dict[str, int] = {}
        for name, n in given.items():
            hits = [d for d in self._layout.dims if d == name or d.rsplit(".", 1)[-1] == name]
            if len(hits) != 1:
                names = ", ".join(hits or self._layout.dims)
                raise TypeError(f"{call}: {name} is {'one of' if hits else 'none of'} {names}")
            out[hits[0]] = int(n)
        return out

    # -- calls (what entries ask of their runner)

    def binding(self, given: Mapping[str, Any]) -> Params:
        params = self._params
        if not given:
            return self.params
        others = {name: _params_of(name, x) for name, x in given.items() if x is not None}
        sets = [s.name for s in self.interface.parameter_sets]
        for name, other in others.items():
            if other.layout.identity != self._layout.identity:
                raise WeightsError(
                    f"`{name}` has other weights than this program", status="weights"
                )
        if set(others) == set(sets) and len({id(o) for o in others.values()}) == 1:
            return next(iter(others.values()))
        if not others:
            return self.params
        return self._mixed(params, others, sets)

    def _mixed(
        self, params: Params | None, others: Mapping[str, Params], sets: list[str]
    ) -> Params:
        """Parameters whose sets come from different places."""
        sources = {s: others.get(s, params) for s in sets}
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
        return Params.mixed(self._layout, dims, known)

    def run(
        self,
        border: Border,
        arguments: Arguments,
        env: Mapping[str, int],
        params: Params | None,
    ) -> tuple[list[Any], dict[int, Any]]:
        return self._run.call(border, arguments, env, params)

    def fast(self, border: Border) -> Callable[[tuple[Any, ...]], Any] | None:
        call = self._run.fast(border.entry.name)
        if call is None:
            return None
        if not border.sets:
            return lambda args: call(*args, None, None)

        def with_model(args: tuple[Any, ...]) -> Any:
            params = self._params
            if params is None or not params.model_at:
                return MISS
            return call(*args, params.model_at, params.dims)

        return with_model

    # -- files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the weights (`*.safetensors`, `*.npz`) or, under any other name, the artefact with
        the present weights. Raises CompileError E0930."""
        at = Path(path)
        if at.suffix == ".safetensors":
            write_file(at, safetensors_bytes(self.params.arrays()))
        elif at.suffix == ".npz":
            write_file(at, npz_bytes(self.params.arrays()))
        else:
            self.artifact = self._with_weights().publish(at)
            self._saved = manifest_hash(self.artifact.manifest)

    def _with_weights(self) -> Artifact:
        if self._params is None or not self._layout.weights:
            return self.artifact
        data = self._params.whole(self._layout).tobytes()
        dims = MappingProxyType(dict(self._params.dims))
        manifest = replace(self.artifact.manifest, dims=dims)
        return replace(self.artifact, manifest=manifest).with_contents({"weights": data})

    def __reduce__(self) -> Any:
        """A net that is on disk is pickled as its path and hash."""
        a = self.artifact
        if a.path is None or self._saved is None:
            raise pickle.PicklingError("save this net first: it is pickled as a path and a hash")
        now = self._with_weights()
        if now.contents.get("weights") != a.contents.get("weights"):
            raise pickle.PicklingError("the parameters have changed: save this net again")
        return revive, (str(a.path.resolve()), self._saved)


def revive(path: str, hash_: str) -> Net:
    """The net of a pickle. Raises CompileError E0932 if the files have changed since."""
    artifact = read_artifact(path)
    if manifest_hash(artifact.manifest) != hash_:
        raise CompileError(error("E0932", f'"{path}" has changed since the net was pickled'))
    return Net(artifact)


def _params_of(name: str, x: Any) -> Params:
    if isinstance(x, Params):
        return x
    if isinstance(x, Net):
        return x.params
    raise TypeError(f"`{name}` must be the parameters of a net, not {type(x).__name__}")


def _signed(n: int) -> int:
    n &= 2**64 - 1
    return n - 2**64 if n >= 2**63 else n
