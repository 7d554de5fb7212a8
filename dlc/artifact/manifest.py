"""`*.manifest.json`: what an artefact is, in JSON. The schema is docs/manifest.md.

The manifest lists every file of the artefact with its hash, and holds all that a loader needs to
know of the program: its interface, its algebraic types, the layout of its weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, cast

from dlc.artifact.border import Border, Mention, border_of
from dlc.artifact.capi import ABI_VERSION
from dlc.artifact.header import signature
from dlc.artifact.weights.block import BlockLayout, block_layout
from dlc.diag import CompileError, error
from dlc.ir.core import AdtDecl, Module
from dlc.ir.printer import print_module
from dlc.ir.reader import read_module
from dlc.typesys.interface import EntryInfo, Interface
from dlc.typesys.interface_json import from_json, to_json

FORMAT, VERSION = "dlc-artifact", 1


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file of the artefact: its role (`object`, `header`, …), size and SHA-256."""

    role: str
    bytes: int
    sha256: str

    @staticmethod
    def of(role: str, data: bytes) -> FileInfo:
        return FileInfo(role, len(data), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True, slots=True)
class Machine:
    """What native code runs on, in LLVM's words."""

    triple: str
    cpu: str
    features: str


@dataclass(frozen=True, slots=True)
class Memory:
    """The arena that an entry takes besides its lists and trees: `kind` is `exact`, `bound` or
    `unbounded`; `formula` is text in dims, `arg.<number>`, `len.<list>` and `nodes.<tree>`, None if
    nothing bounds it, for `reason`; `bytes` the number, where it is one and there are no lists and
    trees."""

    kind: str
    formula: str | None = None
    bytes: int | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Manifest:
    """`kind` is `cpu`, `evaluate` or `sparrow`. `number` is the build number of the C interface.
    `memory` says what entries take of the arena. `dims` are those of the weights that come with the
    artefact, None if none do. `sources` are the hashes of the modules, `options` those of the
    compile."""

    name: str
    kind: str
    dlc: str
    prefix: str
    number: int
    weights_mode: str
    machine: Machine | None
    interface: Interface
    types: Mapping[str, AdtDecl]
    sources: tuple[tuple[str, str], ...]
    options: Mapping[str, Any]
    memory: Mapping[str, Memory] = field(default_factory=lambda: MappingProxyType({}))
    dims: Mapping[str, int] | None = None
    files: Mapping[str, FileInfo] = field(default_factory=lambda: MappingProxyType({}))
    places: Mapping[str, tuple[tuple[int, int], ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """The places in each source file where a call can fail: a status has line and column only."""
    device: Mapping[str, Any] | None = None
    """How the host calls a program of the accelerator (see `dlc.artifact.device`)."""
    others: tuple[str, ...] = ()
    """Parameter sets of the program that none of the entries takes."""

    def file_of(self, line: int, column: int) -> str:
        """The source file of a failure's place, "" where several have such a place."""
        found = [f for f, places in self.places.items() if (line, column) in places]
        return found[0] if len(found) == 1 else ""

    @property
    def layout(self) -> BlockLayout:
        return block_layout(self.interface)

    def file(self, role: str) -> str | None:
        """The name of the file with a role."""
        return next((n for n, f in self.files.items() if f.role == role), None)

    def text(self) -> str:
        """The JSON text; equal manifests give equal texts."""
        return json.dumps(self._json(), indent=1, ensure_ascii=False) + "\n"

    def _json(self) -> dict[str, Any]:
        machine = self.machine
        return {
            "format": FORMAT,
            "version": VERSION,
            "dlc": self.dlc,
            "name": self.name,
            "target": {"kind": self.kind}
            | (
                {}
                if machine is None
                else {"triple": machine.triple, "cpu": machine.cpu, "features": machine.features}
            ),
            "abi": {"version": ABI_VERSION, "number": self.number, "prefix": self.prefix},
            "source": {
                "files": [{"name": n, "sha256": h} for n, h in self.sources],
                "sha256": source_hash(self.sources),
            },
            "options": dict(self.options),
            **({} if self.device is None else {"device": dict(self.device)}),
            "entries": [self._entry(e) for e in self.interface.entries],
            "weights": self._weights(),
            "files": {
                name: {"role": f.role, "bytes": f.bytes, "sha256": f.sha256}
                for name, f in self.files.items()
            },
            "places": {f: [list(p) for p in places] for f, places in self.places.items()},
            "interface": to_json(self.interface),
            "types": print_module(Module.of(self.types, {})),
        }

    def _entry(self, e: EntryInfo) -> dict[str, Any]:
        border = border_of(e, self.interface, self.types)
        parameters = [
            {"name": p.name, "type": str(p.type), "mut": p.mut, "set": p.parameter_set}
            for p in e.parameters
        ]
        memory = self.memory.get(e.name)
        return {
            "name": e.name,
            "symbol": f"{self.prefix}_{e.name}",
            "signature": signature(e),
            "parameters": parameters,
            "result": str(e.result),
            "dims": {d.name: _where(d.name, border) for d in e.dims},
            "constraints": [f"{m.text} == {m.size}" for m in border.compares],
            "memory": None if memory is None else asdict(memory),
        }

    def _weights(self) -> dict[str, Any] | None:
        layout = self.layout
        if not layout.weights:
            return None
        places: tuple[int, ...] | None = None
        total = None
        if self.dims is not None:
            places, total = layout.places(self.dims)
        table: list[dict[str, Any]] = []
        for i, w in enumerate(layout.weights):
            row: dict[str, Any] = {
                "name": w.name,
                "dtype": w.dtype.name,
                "shape": [str(d) for d in w.shape],
            }
            if places is not None and self.dims is not None:
                row |= {"offset": places[i], "extent": list(w.shape_at(self.dims))}
            table.append(row)
        return {
            "mode": self.weights_mode,
            "identity": f"{layout.identity:016x}",
            "dims": None if self.dims is None else {d: self.dims[d] for d in layout.dims},
            "others": list(self.others),
            "bytes": total,
            "table": table,
        }


def source_hash(sources: tuple[tuple[str, str], ...]) -> str:
    """One hash for all modules."""
    return hashlib.sha256("".join(f"{h}  {n}\n" for n, h in sources).encode()).hexdigest()


def _where(dim: str, border: Border) -> Any:
    """Where a dim's number comes from."""
    if dim in border.fixed:
        return border.fixed[dim]
    if dim in border.model_dims:
        return "the model"
    mentions: list[Mention] = [s.mention for s in border.steps if s.dim == dim]
    (m,) = mentions
    return m.text if m.size.name == dim else f"{m.text} == {m.size}"


# -- reading


def read_manifest(text: str, name: str) -> Manifest:
    """The manifest of a text; `name` is that of its file. Raises CompileError E0931."""
    try:
        return _read(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError) as e:
        reason = f"{type(e).__name__}: {e}"
        raise CompileError(error("E0931", f'"{name}" is no manifest: {reason}')) from None
    except RecursionError:
        raise CompileError(error("E0931", f'"{name}" is no manifest: nested too deep')) from None


def _memory(x: Mapping[str, Any]) -> Memory:
    kind, formula, n = str(x["kind"]), x["formula"], x["bytes"]
    if kind not in ("exact", "bound", "unbounded"):
        raise ValueError(f"a need of kind {kind!r}")
    reason = x.get("reason")
    return Memory(
        kind,
        None if formula is None else str(formula),
        None if n is None else int(n),
        None if reason is None else str(reason),
    )


def _read(given: Any) -> Manifest:
    if not isinstance(given, dict):
        raise ValueError("not an object")
    x = cast(dict[str, Any], given)
    if x.get("format") != FORMAT:
        raise ValueError("not the manifest of an artefact")
    if x["version"] != VERSION:
        raise ValueError(f"version {x['version']}, and this dlc reads version {VERSION}")
    target, abi, weights = x["target"], x["abi"], x["weights"]
    machine = None
    if target["kind"] == "cpu":
        machine = Machine(str(target["triple"]), str(target["cpu"]), str(target["features"]))
    elif target["kind"] not in ("evaluate", "sparrow"):
        raise ValueError(f"a target of kind {target['kind']!r}")
    memory = {str(e["name"]): _memory(e["memory"]) for e in x["entries"] if e["memory"] is not None}
    dims = None
    if weights is not None and weights["dims"] is not None:
        dims = MappingProxyType({str(d): int(n) for d, n in weights["dims"].items()})
    files = {
        str(n): FileInfo(str(f["role"]), int(f["bytes"]), str(f["sha256"]))
        for n, f in x["files"].items()
    }
    if any("/" in n or "\\" in n or n in ("", ".", "..") for n in files):
        raise ValueError("a file outside the artefact's folder")
    return Manifest(
        name=str(x["name"]),
        kind=str(target["kind"]),
        dlc=str(x["dlc"]),
        prefix=str(abi["prefix"]),
        number=int(abi["number"]),
        weights_mode="blob" if weights is None else str(weights["mode"]),
        machine=machine,
        interface=from_json(x["interface"]),
        types=read_module(str(x["types"])).types,
        sources=tuple((str(s["name"]), str(s["sha256"])) for s in x["source"]["files"]),
        options=MappingProxyType(dict(x["options"])),
        memory=MappingProxyType(memory),
        dims=dims,
        files=MappingProxyType(files),
        device=MappingProxyType(dict(x["device"])) if target["kind"] == "sparrow" else None,
        others=() if weights is None else tuple(map(str, weights.get("others", ()))),
        places=MappingProxyType(
            {
                str(f): tuple((int(line), int(column)) for line, column in places)
                for f, places in x["places"].items()
            }
        ),
    )
