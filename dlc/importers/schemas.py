"""What ONNX itself says of its operators: versions, attributes with defaults, inputs and outputs.

Read from the onnx package, which is loaded on first use. A node is compared with its schema before
its rule runs, so rules deal with well-formed nodes only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

from dlc.importers.messages import KINDS, Attribute, Node
from dlc.importers.refusal import refuse

NEWEST = 28
OLDEST = 1
"""Operator sets of the domain ai.onnx that are read."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output: its name, the variable of its type, what may stand for it, whether it may
    be left out."""

    name: str
    type: str
    types: frozenset[str]
    optional: bool
    variadic: bool
    alike: bool


@dataclass(frozen=True, slots=True)
class Schema:
    """An operator at one version. `attributes`: name to kind; `required` ones; `defaults`."""

    domain: str
    name: str
    version: int
    deprecated: bool
    attributes: Mapping[str, str]
    required: frozenset[str]
    defaults: Mapping[str, Attribute]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    least_inputs: int
    most_inputs: int
    least_outputs: int
    most_outputs: int


@lru_cache(maxsize=4096)
def schema_of(domain: str, name: str, opset: int) -> Schema | None:
    """The operator as the operator set has it, or None if it doesn't."""
    import onnx.defs

    defs: Any = onnx.defs
    try:
        s = defs.get_schema(name, max_inclusive_version=opset, domain=domain)
    except Exception:  # onnx.defs.SchemaError: there is no such operator
        return None
    attributes = {n: _kind(a) for n, a in s.attributes.items()}
    return Schema(
        domain, name, s.since_version, bool(s.deprecated), MappingProxyType(attributes),
        frozenset(n for n, a in s.attributes.items() if a.required), _defaults(s),
        tuple(map(_port, s.inputs)), tuple(map(_port, s.outputs)),
        s.min_input, s.max_input, s.min_output, s.max_output,
    )  # fmt: skip


def _kind(a: Any) -> str:
    return KINDS[int(a.type.value if hasattr(a.type, "value") else a.type)]


def _defaults(s: Any) -> Mapping[str, Attribute]:
    from dlc.importers.limits import Budget, Limits
    from dlc.importers.parsing import Parser

    out: dict[str, Attribute] = {}
    for n, a in s.attributes.items():
        raw = a.default_value.SerializeToString()
        if raw and a.default_value.name:
            out[n] = Parser(Budget(Limits())).attribute(memoryview(raw))
    return MappingProxyType(out)


def _port(p: Any) -> Port:
    option = str(p.option).rsplit(".", 1)[-1]
    return Port(
        p.name, p.type_str, frozenset(cast("Sequence[str]", p.types)), option == "Optional",
        option == "Variadic", bool(p.is_homogeneous),
    )  # fmt: skip


def checked_attributes(s: Schema, node: Node) -> Mapping[str, Attribute]:
    """The node's attributes, completed by defaults. Raises E0707."""
    out = dict(s.defaults)
    for name, a in node.attributes.items():
        kind = s.attributes.get(name)
        if kind is None:
            found = refuse("E0707", f"there is no attribute `{name}`")
            known = ", ".join(s.attributes) or "none"
            raise found.with_help(f"attributes of {s.name}-{s.version}: {known}")
        if a.kind != kind:
            raise refuse("E0707", f"the attribute `{name}` is of kind {a.kind}, not {kind}")
        out[name] = a
    missing = sorted(s.required - set(out))
    if missing:
        raise refuse("E0707", f"the attribute `{missing[0]}` is missing")
    return MappingProxyType(out)


def check_counts(s: Schema, node: Node) -> None:
    """How many inputs and outputs there are, and that only optional inputs are left out.
    Raises E0707."""
    for what, given, least, most in (
        ("inputs", node.inputs, s.least_inputs, s.most_inputs),
        ("outputs", node.outputs, s.least_outputs, s.most_outputs),
    ):
        if not least <= len(given) <= most:
            span = str(least) if least == most else f"{least} to {most}"
            if most > 1 << 30:
                span = f"at least {least}"
            raise refuse("E0707", f"it has {span} {what}, not {len(given)}")
    for i, name in enumerate(node.inputs):
        p = s.inputs[min(i, len(s.inputs) - 1)]
        if not name and not p.optional and (i < s.least_inputs or p.variadic):
            raise refuse("E0707", f"its input `{p.name}` is left out")


def check_types(s: Schema, given: Sequence[str | None]) -> None:
    """That types are among those that the operator takes, and agree where it says so. A type is
    written as ONNX does: `tensor(float)`. None is not compared. Raises E0707."""
    bound: dict[str, str] = {}
    for i, t in enumerate(given):
        p = s.inputs[min(i, len(s.inputs) - 1)]
        if t is None:
            continue
        if p.types and t not in p.types:
            found = refuse("E0707", f"its input `{p.name}` cannot be {t}")
            raise found.with_help(f"it may be {', '.join(sorted(p.types))}")
        if p.variadic and not p.alike:
            continue
        if bound.setdefault(p.type, t) != t:
            raise refuse("E0707", f"its inputs must have one type, not {bound[p.type]} and {t}")
