"""A program that can be called: `net.logits(t)`, `net.params`, `net.types`, `net.init(seed)`."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from dlc.artifact.border import border_of
from dlc.artifact.load import manifest_hash, read_artifact, weights_block
from dlc.artifact.product import Artifact
from dlc.artifact.publish import write_file
from dlc.artifact.python.algebra import Types
from dlc.artifact.python.backends import back_end
from dlc.artifact.python.calls import Calls
from dlc.artifact.python.codec import Codecs
from dlc.artifact.python.entry import Entry
from dlc.artifact.python.errors import WeightsError
from dlc.artifact.python.params import Dims, Params
from dlc.artifact.python.structures import whole_number
from dlc.artifact.weights.block import fixed_dims
from dlc.artifact.weights.files import (
    Source,
    npz_bytes,
    read_weights,
    refuse_suffix,
    safetensors_bytes,
)
from dlc.artifact.weights.match import with_given
from dlc.artifact.weights.sets import in_sets, of_sets, sets_in, without_sets
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
    their sizes, `entries` the callables by name. `given` are weights that imported models hold.
    An exported function that is called like one of these or like a method is `entries[name]` only.
    """

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
        self._calls = Calls(m.name, m.interface, m.layout, self._run)
        self._calls.params = params
        self.given: Mapping[str, Array] = given or {}
        if params is None:
            found = weights_block(artifact, self._run.native)
            if found is not None:
                self._calls.params = Params(self._layout, *found)
        schema = Schema.of(m.types)
        codecs = Codecs(m.interface, schema, self.types)
        self.entries: Mapping[str, Entry] = MappingProxyType(
            {
                e.name: Entry(border_of(e, m.interface, m.types), schema, codecs, self._calls)
                for e in m.interface.entries
            }
        )
        own = {*dir(type(self)), *self.__dict__}
        self.__dict__.update({n: e for n, e in self.entries.items() if n not in own})
        for name in self.entries:
            if name in own:
                message = f"every net has a `{name}` of its own: the exported function is"
                warnings.warn(f"{message} net.entries[{name!r}]", stacklevel=2)
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
    def fuel(self) -> int:
        """Turns that loops without a bound may take in one call, all together (on the accelerator's
        model, units of work); 0: as many as usual."""
        return self._run.fuel

    @fuel.setter
    def fuel(self, turns: int) -> None:
        n = whole_number("fuel", turns)
        if not 0 <= n < 2**63:
            raise ValueError(f"fuel is {n}: it must be 0 or a number of turns")
        self._run.fuel = n

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
        return self._calls.present()

    @property
    def dims(self) -> Dims:
        """The sizes of the parameters, and those that were bound when compiling."""
        numbers = dict(self._fixed())
        if self._calls.params is not None:
            numbers.update(self._calls.params.dims)
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
        self._sets(sets)
        given = {**(dims or {}), **sizes}
        before = params = self._calls.params
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
        self._calls.params = params
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
        if self._calls.params is not None:
            known.update(self._calls.params.dims)
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

    def load(
        self, weights: Source | Params, *, only: str | Iterable[str] | None = None, **dims: int
    ) -> Params:
        """Takes weights from a file (safetensors, npz), a mapping, or another program's parameters.
        Dims that no weight shows are given by name; weights of imported models may be left out.

        `only` names the parameter sets to take. Sets that are not taken, or of which there is
        nothing, stay as they are, if there are weights already. Sets of functions that were not
        compiled are skipped.

        Raises CompileError that lists everything missing, unexpected or misshapen."""
        bound = {**self._named(dims, "load"), **self._fixed()}
        if isinstance(weights, Params):
            known = {d: n for d, n in weights.dims.items() if d in self._layout.dims}
            bound = {**known, **bound}
            weights = weights.arrays()
        arrays: Mapping[str, Array] = read_weights(weights)
        every = tuple(s.name for s in self.interface.parameter_sets)
        sets = every if only is None else self._sets(only)
        taken = of_sets(self._layout, sets)
        left = [s for s in every if s not in sets]
        arrays = without_sets(arrays, taken, [*self.artifact.manifest.others, *left])
        before = self._calls.params
        if only is None and before is not None:
            sets = sets_in(arrays, every) or every
        whole = with_given(arrays, in_sets(self.given, sets))
        if before is None or len(sets) == len(every):
            self._calls.params = Params.matched(self._layout, whole, bound)
        else:
            self._calls.params = Params.replaced(before, sets, whole, bound)
        return self._calls.params

    def _sets(self, only: str | Iterable[str]) -> tuple[str, ...]:
        """The parameter sets that are named, in order. Raises TypeError."""
        names = [s.name for s in self.interface.parameter_sets]
        wanted = [only] if isinstance(only, str) else list(only)
        strange = [s for s in wanted if s not in names]
        if strange:
            raise TypeError(f"no parameter set `{strange[0]}`: there is {', '.join(names)}")
        return tuple(s for s in names if s in wanted)

    def _named(self, given: Mapping[str, int], call: str) -> dict[str, int]:
        """Numbers by the full names of dims."""
        out: dict[str, int] = {}
        for name, n in given.items():
            hits = [d for d in self._layout.dims if d == name or d.rsplit(".", 1)[-1] == name]
            if len(hits) != 1:
                names = ", ".join(hits or self._layout.dims)
                raise TypeError(f"{call}: {name} is {'one of' if hits else 'none of'} {names}")
            out[hits[0]] = whole_number(f"{call}: {name}", n)
        return out

    # -- files

    def save(
        self, path: str | os.PathLike[str], *, only: str | Iterable[str] | None = None
    ) -> None:
        """Writes the weights (`*.safetensors`, `*.npz`), all or those of the parameter sets that
        `only` names, or, under a name without such a suffix, the artefact with the present weights.

        Raises CompileError: E0917 (a suffix of files of weights that are not written), E0930."""
        at = Path(path)
        refuse_suffix(at)
        writes = {".safetensors": safetensors_bytes, ".npz": npz_bytes}
        if at.suffix.lower() in writes:
            arrays = self.params.arrays()
            kept = arrays if only is None else in_sets(arrays, self._sets(only))
            write_file(at, writes[at.suffix.lower()](kept))
        elif only is not None:
            raise TypeError(f"only= is for a file of weights, such as {at.name}.safetensors")
        else:
            self.artifact = self._with_weights().publish(at)
            self._saved = manifest_hash(self.artifact.manifest)

    def _with_weights(self) -> Artifact:
        if self._calls.params is None or not self._layout.weights:
            return self.artifact
        data = self._calls.params.whole(self._layout).tobytes()
        dims = MappingProxyType(dict(self._calls.params.dims))
        manifest = replace(self.artifact.manifest, dims=dims)
        return replace(self.artifact, manifest=manifest).with_contents({"weights": data})

    def __reduce__(self) -> Any:
        """A net that is on disk is pickled as its path and hash."""
        a = self.artifact
        if a.path is None or self._saved is None:
            how = "save this net first: it is pickled, and copied, as a path and a hash"
            raise pickle.PicklingError(how)
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


def _signed(n: int) -> int:
    n &= 2**64 - 1
    return n - 2**64 if n >= 2**63 else n
