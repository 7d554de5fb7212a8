"""An `Interface` as JSON and back: `from_json(to_json(i)) == i`.

A record is an object whose `is` names its class; dims, element types and nothing else are objects
with one key, `dim` or `dtype`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any, TypeAlias, cast

from dlc.typesys import interface, surface, types
from dlc.typesys.dims import Dim, parse_dim
from dlc.typesys.dtypes import DTYPES, DType
from dlc.typesys.interface import Interface

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


def _classes() -> dict[str, type]:
    out: dict[str, type] = {}
    for module in (interface, surface, types):
        for name, x in vars(module).items():
            if isinstance(x, type) and is_dataclass(x) and x.__module__ == module.__name__:
                out[name] = x
    return out


_CLASSES: Mapping[str, type] = MappingProxyType(_classes())


def to_json(x: Interface) -> dict[str, Json]:
    """Plain dicts, lists, texts and numbers."""
    out = _encode(x)
    assert isinstance(out, dict)
    return out


def from_json(x: Mapping[str, Any]) -> Interface:
    """The interface again. Raises ValueError for what is none."""
    out = _decode(x)
    if not isinstance(out, Interface):
        raise ValueError("not an interface")
    return out


def type_to_json(t: types.Type) -> Json:
    """A type of the IR."""
    return _encode(t)


def type_from_json(x: Any) -> types.Type:
    """The type again. Raises ValueError for what is none."""
    out = _decode(x)
    if not isinstance(out, (types.TensorType, types.ListType, types.AdtType)):
        raise ValueError("not a type")
    return out


def _encode(x: object) -> Json:
    if isinstance(x, Dim):
        return {"dim": str(x)}
    if isinstance(x, DType):
        return {"dtype": x.name}
    if isinstance(x, tuple):
        return [_encode(v) for v in cast("tuple[object, ...]", x)]
    if is_dataclass(x) and not isinstance(x, type):
        out: dict[str, Json] = {"is": type(x).__name__}
        for f in fields(x):
            out[f.name] = _encode(getattr(x, f.name))
        return out
    assert x is None or isinstance(x, (str, int, float, bool)), f"{type(x)} in an interface"
    return x


def _decode(x: Any) -> object:
    if isinstance(x, list):
        return tuple(_decode(v) for v in cast("list[Any]", x))
    if not isinstance(x, Mapping):
        return x
    record = cast("Mapping[str, Any]", x)
    if "dim" in record and len(record) == 1:
        return parse_dim(record["dim"])
    if "dtype" in record and len(record) == 1:
        return DTYPES[record["dtype"]]
    made = _CLASSES.get(str(record.get("is")))
    if made is None:
        raise ValueError(f"no record of an interface: {record.get('is')!r}")
    return made(**{k: _decode(v) for k, v in record.items() if k != "is"})
