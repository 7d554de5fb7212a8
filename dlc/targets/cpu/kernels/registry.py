"""The table of kernels: by name, element type and variant, emitted into a module when first asked
for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dlc.diag import InternalError
from dlc.targets.cpu.llvm import Builder, Function, Module

Params = tuple[tuple[str, str], ...]
"""(LLVM type with attributes, name) of each parameter."""


@dataclass(frozen=True, slots=True)
class Key:
    """Which kernel: `dtype` as dl names it, `variant` one of the family's."""

    name: str
    dtype: str
    variant: str = ""

    @property
    def symbol(self) -> str:
        """The name in the module: `dlc.gemm.nt.f32`. Internal, so no artefact shows it."""
        return ".".join(filter(None, ("dlc", self.name, self.variant, self.dtype)))


def _nothing(key: Key) -> str:
    return "void"


@dataclass(frozen=True, slots=True)
class Family:
    """Kernels that differ in element type and variant only.

    `write` fills the body of a function whose parameters are `params(key)`. The docstring of
    `write` says what the kernel does, its order of summation, and what it wants of its arguments.
    """

    name: str
    dtypes: tuple[str, ...]
    params: Callable[[Key], Params]
    write: Callable[[Builder, Key], None]
    variants: tuple[str, ...] = ("",)
    only: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Variants that exist for fewer element types."""
    result: Callable[[Key], str] = _nothing
    inline: str = "never"

    def dtypes_of(self, variant: str) -> tuple[str, ...]:
        return dict(self.only).get(variant, self.dtypes)

    @property
    def keys(self) -> tuple[Key, ...]:
        """Every kernel of the family."""
        return tuple(Key(self.name, d, v) for v in self.variants for d in self.dtypes_of(v))

    def emit(self, module: Module, key: Key) -> tuple[Function, str]:
        f = Builder(module, key.symbol, self.result(key), self.params(key), inline=self.inline)
        self.write(f, key)
        if f.block:
            f.ret()
        return f.finish()


def table(families: Iterable[Family]) -> Mapping[str, Family]:
    """Families by name; a name is given once."""
    found: dict[str, Family] = {}
    for family in families:
        if family.name in found:
            raise InternalError(f"two kernel families are called {family.name}")
        found[family.name] = family
    return MappingProxyType(found)


def require(module: Module, family: Family, dtype: str, variant: str = "") -> Function:
    """The kernel, emitted into `module` if it is not there yet.

    Raises: InternalError for an element type or a variant that the family does not have.
    """
    if variant not in family.variants or dtype not in family.dtypes_of(variant):
        have = ", ".join(key.symbol.removeprefix("dlc.") for key in family.keys)
        raise InternalError(f"no kernel {family.name} {variant} for {dtype}; there are {have}")
    key = Key(family.name, dtype, variant)
    return module.function(key.symbol, lambda: family.emit(module, key))
