"""One LLVM module as text: functions, constants and declarations, each once, in a stable order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from dlc.diag import InternalError
from dlc.targets.cpu.llvm.target import Target
from dlc.targets.cpu.llvm.types import Value

Linkage = Literal["internal", "external"]


@dataclass(frozen=True, slots=True)
class Signature:
    """The type of a function: LLVM types with parameter attributes (`ptr noalias`), and names.

    `params` are (type, name) pairs; the attributes follow the type and are no part of it.
    """

    result: str
    params: tuple[tuple[str, str], ...]

    @property
    def types(self) -> tuple[str, ...]:
        """The parameters' types, without attributes."""
        return tuple(bare(t) for t, _ in self.params)


def bare(type_: str) -> str:
    """A parameter's type without its attributes: `ptr noalias` is `ptr`."""
    return type_ if type_[0] == "<" else type_.split(" ", 1)[0]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the module, defined or declared, as its callers see it."""

    name: str
    signature: Signature

    @property
    def address(self) -> Value:
        return Value("ptr", f"@{self.name}")


class Module:
    """A module under construction.

    Everything is keyed by name and made once: `function(name, emit)` calls `emit` the first time
    only, so kernels share what they share without knowing of each other. The text lists constants,
    declarations and functions in the order of their first request, which a deterministic compiler
    makes deterministic. Every function has the `attributes`.
    """

    def __init__(self, target: Target, name: str = "dlc", attributes: str = "") -> None:
        self.target = target
        self.name = name
        self._of_all = attributes
        self._functions: dict[str, tuple[Function, str]] = {}
        self._declarations: dict[str, tuple[Function, str]] = {}
        self._constants: dict[tuple[str, int], str] = {}
        self._globals: dict[str, str] = {}
        self._attributes: dict[str, str] = {}
        self._metadata: dict[str, int] = {}
        self._named_metadata: dict[str, list[str]] = {}
        self._pending: list[str] = []

    # -- functions ------------------------------------------------------------------------------

    def function(self, name: str, emit: Callable[[], tuple[Function, str]]) -> Function:
        """The function `name`; `emit` gives it and its text if it is not there yet."""
        found = self._functions.get(name)
        if found is not None:
            return found[0]
        if name in self._pending:
            raise InternalError(f"the function @{name} asks for itself while it is emitted")
        self._pending.append(name)
        function, text = emit()
        self._pending.pop()
        if function.name != name:
            raise InternalError(f"asked for @{name}, got @{function.name}")
        self.define(function, text)
        return function

    def define(self, function: Function, text: str) -> None:
        """Add a finished function."""
        if function.name in self._functions:
            raise InternalError(f"the function @{function.name} is defined twice")
        self._functions[function.name] = (function, text)

    def declare(
        self, name: str, result: str, types: tuple[str, ...], attributes: str = ""
    ) -> Function:
        """A function that is defined elsewhere: an intrinsic, or one of another object."""
        found = self._declarations.get(name)
        if found is None:
            signature = Signature(result, tuple((t, "") for t in types))
            tail = f" {attributes}" if attributes else ""
            text = f"declare {result} @{name}({', '.join(types)}){tail}"
            found = self._declarations[name] = (Function(name, signature), text)
        return found[0]

    def has(self, name: str) -> bool:
        """Whether a function of that name is defined."""
        return name in self._functions

    def attributes(self, text: str) -> str:
        """The number (`#0`) of an attribute group."""
        whole = f"{text} {self._of_all}".rstrip()
        return self._attributes.setdefault(whole, f"#{len(self._attributes)}")

    # -- data -----------------------------------------------------------------------------------

    def constant(self, type_: str, initialiser: str, align: int = 64) -> Value:
        """Address of read-only data; equal data are one."""
        key = (f"{type_} {initialiser}", align)
        name = self._constants.setdefault(key, f"@dlc.constant.{len(self._constants)}")
        return Value("ptr", name)

    def array(self, scalar: str, texts: list[str], align: int = 64) -> Value:
        """Address of a constant array; `texts` are the elements as LLVM prints them."""
        body = ", ".join(f"{scalar} {t}" for t in texts)
        return self.constant(f"[{len(texts)} x {scalar}]", f"[{body}]", align)

    def data(self, bytes_: bytes, align: int = 64) -> Value:
        """Address of constant bytes. For small data only: weights never travel as text."""
        body = "".join(f"\\{b:02X}" for b in bytes_)
        return self.constant(f"[{len(bytes_)} x i8]", f'c"{body}"', align)

    def global_(self, name: str, text: str) -> Value:
        """A named global, written out by the caller after `@name = `."""
        if self._globals.setdefault(name, text) != text:
            raise InternalError(f"the global @{name} is defined twice")
        return Value("ptr", f"@{name}")

    # -- metadata -------------------------------------------------------------------------------

    def metadata(self, text: str) -> str:
        """The number (`!3`) of a metadata node; equal nodes are one, unless `text` says
        distinct."""
        return f"!{self._metadata.setdefault(text, len(self._metadata))}"

    def named_metadata(self, name: str, node: str) -> None:
        """Append a node to a list such as `llvm.dbg.cu`."""
        self._named_metadata.setdefault(name, []).append(node)

    # -- text -----------------------------------------------------------------------------------

    def text(self) -> str:
        """The whole module."""
        out = [f"; {self.name}", f'target triple = "{self.target.triple}"']
        for (body, align), name in self._constants.items():
            out.append(f"{name} = private unnamed_addr constant {body}, align {align}")
        out += [f"@{name} = {text}" for name, text in self._globals.items()]
        out += [text for name, (_, text) in self._declarations.items() if not self.has(name)]
        out += [text for _, text in self._functions.values()]
        out += [f"attributes {number} = {{ {text} }}" for text, number in self._attributes.items()]
        out += [f"!{n} = !{{{', '.join(xs)}}}" for n, xs in self._named_metadata.items()]
        out += [f"!{number} = {text}" for text, number in self._metadata.items()]
        return "\n".join(out) + "\n"
