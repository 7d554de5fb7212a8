"""Loading an object into this process, without a linker.

The bytes are those of the artefact, so a test that runs them tests what is shipped. Every object
gets a JIT of its own: any number of them may define the same names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from dlc.targets.cpu.llvm import binding


class Library:
    """A loaded object. Its code lives as long as this value: whoever keeps an address keeps it
    too."""

    def __init__(self, keep: Any, addresses: dict[str, int]) -> None:
        self._keep = keep
        self.addresses: Mapping[str, int] = MappingProxyType(addresses)

    def address(self, name: str) -> int:
        """Address of an exported symbol."""
        return self.addresses[name]


def load(data: bytes, exports: Iterable[str]) -> Library:
    """Load an object for this machine; `exports` are the symbols whose addresses are wanted."""
    return Library(*binding.link(data, tuple(dict.fromkeys(exports))))
