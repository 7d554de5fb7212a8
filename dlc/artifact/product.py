"""What a compile makes, in memory: a manifest and the contents of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from dlc.artifact.capi import Api, capi
from dlc.artifact.link import shared_suffix
from dlc.artifact.manifest import FileInfo, Manifest
from dlc.artifact.publish import publish

_SUFFIX: Mapping[str, str] = MappingProxyType(
    {
        "object": ".o",
        "static": ".a",
        "header": ".h",
        "weights": ".weights.bin",
        "ir": ".ir",
        "program": ".spw",
        "twin": ".dense.spw",
        "llvm": ".ll",
        "asm": ".s",
        "wasm": ".wasm",
        "exe": "",
        "manifest": ".manifest.json",
    }
)
ROLES = (*_SUFFIX, "shared")
"""What a file of an artefact can be."""


@dataclass(frozen=True)
class Artifact:
    """`contents` are the files by role. `path` is where they were read from (without suffix)."""

    manifest: Manifest
    contents: Mapping[str, bytes]
    path: Path | None = None

    @property
    def api(self) -> Api:
        """The C interface, made again from the manifest."""
        m = self.manifest
        embedded = m.weights_mode == "embed"
        return capi(m.interface, m.types, m.prefix, embedded=embedded)

    def with_contents(self, contents: Mapping[str, bytes]) -> Artifact:
        return replace(self, contents=MappingProxyType({**self.contents, **contents}))

    def file_name(self, base: str, role: str) -> str:
        """The name of a file in the group `base`."""
        if role != "shared":
            return base + _SUFFIX[role]
        machine = self.manifest.machine
        return base + shared_suffix("" if machine is None else machine.triple)

    def publish(self, path: Path) -> Artifact:
        """Writes the files beside each other as `path` with their suffixes, all or none.

        Raises CompileError E0930."""
        base = path.name
        files = {self.file_name(base, role): (role, data) for role, data in self.contents.items()}
        infos = {name: FileInfo.of(role, data) for name, (role, data) in files.items()}
        manifest = replace(self.manifest, files=MappingProxyType(infos))
        last = self.file_name(base, "manifest")
        written = {name: data for name, (_, data) in files.items()}
        written[last] = manifest.text().encode()
        programs = frozenset(name for name, (role, _) in files.items() if role == "exe")
        publish(path.parent, base, written, last, programs)
        return Artifact(manifest, self.contents, path)
