"""Cited quantities, energy tables and presets of the files in `isa/`: numbers only, nothing that
changes a result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from lark import Token

from dlc.isa.elaborate import Refusal
from dlc.isa.model import ArrayUnit, EnergyTable, Preset, Price, RateUnit, Space, Unit
from dlc.isa.syntax import Node, node, number, parts, present, text

_RATE = ("latency", "per_cycle")
_ARRAY = ("pes", "lanes", "index_bits", "fifo", "issue", "empty", "drain")


def constant(tree: Node | Token | None, known: Mapping[str, float]) -> float:
    """The value of an expression of numbers, named quantities and `+ - * /`."""
    this = node(tree)
    children = parts(this)
    match this.data:
        case "int":
            return float(number(children[0]))
        case "float":
            return float(text(children[0]))
        case "name":
            if text(children[0]) not in known:
                raise Refusal(f"there is no quantity `{text(children[0])}`", this)
            return known[text(children[0])]
        case "minus":
            return -constant(children[0], known)
        case "binary":
            left, sign, right = children
            x, y = constant(left, known), constant(right, known)
            match text(sign):
                case "+":
                    return x + y
                case "-":
                    return x - y
                case "*":
                    return x * y
                case "/" if y != 0:
                    return x / y
                case _:
                    pass
        case _:
            pass
    raise Refusal("a quantity is built from numbers, names and + - * /", this)


def written(tree: Node | Token | None) -> str:
    """The formula of a price as it was written, for reports."""
    if isinstance(tree, Token):
        return str(tree)
    this = node(tree)
    pieces = [written(part) for part in present(this)]
    return "-" + pieces[0] if this.data == "minus" else " ".join(pieces)


def whole(tree: Node | Token | None) -> int:
    """A whole number, 0 or more."""
    value = constant(tree, {})
    if value != int(value) or value < 0:
        raise Refusal("this must be a whole number, 0 or more", node(tree))
    return int(value)


def read_quantities(item: Node) -> Mapping[str, float]:
    """Quantities by name; a later one may use an earlier one."""
    known: dict[str, float] = {}
    for child in parts(item)[2:]:
        name, value = parts(node(child))
        if text(name) in known:
            raise Refusal(f"`{text(name)}` stands twice", child)
        known[text(name)] = constant(value, known)
    return MappingProxyType(known)


def read_energy(
    item: Node, quantities: Mapping[str, Mapping[str, float]], counters: Iterable[str]
) -> EnergyTable:
    """An energy table that prices every counter, or says why one costs nothing of its own."""
    name, doc, base = parts(item)[:3]
    if base is not None and text(base) not in quantities:
        raise Refusal(f"there are no quantities `{text(base)}`", base)
    nothing: Mapping[str, float] = {}
    known = nothing if base is None else quantities[text(base)]
    prices: list[Price] = []
    included: list[tuple[str, str]] = []
    legal = tuple(counters)
    for child in present(item)[2 if base is None else 3 :]:
        tree = node(child)
        if tree.data == "price":
            component, counter_tree, value = parts(tree)
            counter = _counter(counter_tree, legal)
            prices.append(Price(text(component), counter, constant(value, known), written(value)))
        else:
            *names, reason = present(tree)
            included.extend((_counter(part, legal), text(reason)) for part in names)
    settled = {p.counter for p in prices} | {c for c, _ in included}
    missing = [counter for counter in legal if counter not in settled]
    if missing:
        raise Refusal(f"`{text(name)}` doesn't price {', '.join(missing)}", item)
    return EnergyTable(text(name), text(doc), tuple(prices), tuple(included))


def _counter(tree: Node | Token | None, legal: tuple[str, ...]) -> str:
    base, way = parts(node(tree))
    name = text(base) if way is None else f"{text(base)}.{text(way)}"
    if name not in legal:
        raise Refusal(f"there is no counter `{name}`", node(tree))
    return name


def read_preset(
    item: Node, units: Iterable[Unit], spaces: Iterable[Space], energies: Mapping[str, EnergyTable]
) -> Preset:
    """A preset with numbers for every unit."""
    name, doc = parts(item)[:2]
    clock: float | None = None
    energy: str | None = None
    numbers: dict[str, RateUnit | ArrayUnit] = {}
    memories: dict[str, int] = {}
    models = {unit.name: unit.model for unit in units}
    for child in present(item)[2:]:
        tree = node(child)
        first = parts(tree)[0]
        match tree.data:
            case "clock":
                clock = constant(first, {})
            case "uses_energy":
                energy = text(first)
                if energy not in energies:
                    raise Refusal(f"there is no energy table `{energy}`", tree)
            case "unit_numbers":
                if text(first) not in models:
                    raise Refusal(f"there is no unit `{text(first)}`", tree)
                numbers[text(first)] = _unit(models[text(first)], tree)
            case _:
                if text(first) not in {space.name for space in spaces}:
                    raise Refusal(f"there is no space `{text(first)}`", tree)
                memories[text(first)] = whole(parts(tree)[1])
    missing = [unit for unit in models if unit not in numbers]
    if clock is None or clock <= 0 or energy is None or missing:
        lack = ", ".join(
            [
                *(["a clock"] if not clock else []),
                *(["an energy table"] if energy is None else []),
                *missing,
            ]
        )
        raise Refusal(f"`{text(name)}` lacks {lack}", item)
    return Preset(
        text(name), text(doc), clock, energy, MappingProxyType(numbers), MappingProxyType(memories)
    )


def _unit(model: str, tree: Node) -> RateUnit | ArrayUnit:
    values: dict[str, int] = {}
    wanted = _RATE if model == "rate" else _ARRAY
    for child in parts(tree)[1:]:
        name, value = parts(node(child))
        if text(name) not in wanted or text(name) in values:
            raise Refusal(f"`{text(name)}` isn't a number of {model} units, or stands twice", child)
        values[text(name)] = whole(value)
    missing = [name for name in wanted if name not in values]
    if missing:
        raise Refusal(f"lacks {', '.join(missing)}", tree)
    if model == "rate":
        if values["per_cycle"] < 1:
            raise Refusal("`per_cycle` must be at least 1", tree)
        return RateUnit(values["latency"], values["per_cycle"])
    if (
        not 1 <= values["pes"] <= 1024
        or values["lanes"] < 1
        or values["fifo"] < 1
        or values["index_bits"] > 16
    ):
        raise Refusal("pes are 1 to 1024, lanes and fifo at least 1, index_bits at most 16", tree)
    return ArrayUnit(*(values[name] for name in _ARRAY))
