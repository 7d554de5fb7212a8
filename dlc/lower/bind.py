"""`--bind m.V=20000`: dims and const dims of a program made numbers.

Names are resolved before lowering, because const dims choose instances. Other dims become numbers
in the lowered module: a dim that has one and the same number at all calls is that number
everywhere, so no function is copied. (Copies for several numbers are the optimiser's.)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from dlc.check.instances import Static
from dlc.check.program import Checked
from dlc.diag import CompileError, Diagnostic, error
from dlc.ir.core import Function, Module, Op, Region, freeze_attrs, walk
from dlc.ir.rewrite import Substitution
from dlc.lower.lowered import Lowered
from dlc.typesys.dims import Dim
from dlc.typesys.interface import (
    Axis,
    Check,
    DimInfo,
    ElementAxis,
    EntryInfo,
    Fixed,
    ParameterSet,
)
from dlc.typesys.solve import LARGEST
from dlc.typesys.surface import Model, short
from dlc.typesys.types import substitute_type


@dataclass(frozen=True)
class Bindings:
    """Numbers by export and dim name there: `consts` choose instances, `dims` are bound after."""

    consts: Mapping[str, Mapping[str, Static]]
    dims: Mapping[str, Mapping[str, int]]


# -- names


def resolve(
    checked: Checked, numbers: Mapping[str, int], entries: Sequence[str] | None = None
) -> Bindings:
    """What each name of `numbers` binds: a parameter set's dim (`m.V`), an export's (`beam.K`), or
    a last part that only one of them has (`V`), or only one of those of `entries`, the exports
    that are wanted. A last part that only consts of exports have (`K`) binds all of these.

    Raises CompileError E0630 (no such dim), E0631 (several), E0632 (not below 2**31)."""
    known, aliases = _names(checked), _aliases(checked)
    consts: dict[str, dict[str, Static]] = {}
    dims: dict[str, dict[str, int]] = {}
    wrong: list[Diagnostic] = []
    for name, n in numbers.items():
        places: list[_Place] | Diagnostic = [*known.get(name, ()), *aliases.get(name, ())]
        if not places:
            places = _places(name, known, None if entries is None else set(map(short, entries)))
        if isinstance(places, Diagnostic):
            wrong.append(places)
        elif not 0 <= n <= LARGEST:
            wrong.append(error("E0632", f"a dim can't be {n}: `{name}` must be 0 to {LARGEST}"))
        else:
            for export, dim, const in places:
                if const:
                    consts.setdefault(export, {})[dim] = n
                else:
                    dims.setdefault(export, {})[dim] = n
    if wrong:
        raise CompileError(wrong)
    return Bindings(consts, dims)


_Place = tuple[str, str, bool]
"""An export, the dim's name there, and whether it is const."""


def _names(checked: Checked) -> dict[str, list[_Place]]:
    """Every full name, and what it binds."""
    out: dict[str, list[_Place]] = {}
    for export in checked.exports:
        sig = checked.functions[export].signature
        for dim in dict.fromkeys((*sig.dims, *sig.consts)):
            if dim in sig.value_dims:
                continue
            owner = dim.split(".")[0]
            shared = "." in dim and owner in checked.parameter_sets
            full = dim if shared else f"{short(export)}.{dim}"
            out.setdefault(full, []).append((short(export), dim, dim in sig.consts))
    return out


def _aliases(checked: Checked) -> dict[str, list[_Place]]:
    """Dims of parameter sets that the signature calls something else: `m.B` is the `B` of
    `[B: const](m: MSD[B])`, `d.I` the `g.O` of `d: Mlp[I=g.O]`."""
    out: dict[str, list[_Place]] = {}
    for export in checked.exports:
        sig = checked.functions[export].signature
        for p in sig.params:
            if not isinstance(p.type, Model) or p.name not in checked.parameter_sets:
                continue
            for own, dim in zip(checked.models[p.type.name].dims, p.type.dims, strict=True):
                full = f"{p.name}.{own.name}"
                if dim.name is not None and dim.name != full:
                    place = (short(export), dim.name, dim.name in sig.consts)
                    out.setdefault(full, []).append(place)
    return out


def _places(
    name: str, known: Mapping[str, list[_Place]], wanted: set[str] | None
) -> list[_Place] | Diagnostic:
    """What a last part of a name binds."""
    hits = [full for full in known if full.endswith(f".{name}")]
    if wanted is not None and len(hits) > 1:
        own = [full for full in hits if any(export in wanted for export, _, _ in known[full])]
        hits = own or hits
    if len(hits) == 1:
        return known[hits[0]]
    places = [p for full in hits for p in known[full]]
    if hits and all(
        const and full == f"{export}.{dim}" for full in hits for export, dim, const in known[full]
    ):
        return places
    if not hits:
        there = ", ".join(known) or "none"
        return error("E0630", f"no dim is called `{name}`").with_note(f"the dims are: {there}")
    several = error("E0631", f"`{name}` can be {' or '.join(f'`{h}`' for h in hits)}")
    return several.with_help(f"say which: `--bind {hits[0]}=…`")


# -- numbers in the module


def bind_dims(lowered: Lowered, dims: Mapping[str, Mapping[str, int]]) -> Lowered:
    """The program with these dims of its entries made numbers. Bound dims are no parameters of the
    entries any more, unless the entry also calls itself with other numbers: then they stay, and are
    checked."""
    roots = {e.function: dims.get(e.name, {}) for e in lowered.interface.entries}
    for s in lowered.interface.parameter_sets:
        if s.init is not None:
            roots[s.init] = {d: n for own in dims.values() for d, n in own.items() if d in s.dims}
    found = _constants(lowered.module, roots)
    functions = {
        name: _bound(fn, found, lowered.module) for name, fn in lowered.module.functions.items()
    }
    entries = tuple(
        _bound_entry(e, dims.get(e.name, {}), found[e.function]) for e in lowered.interface.entries
    )
    sets = tuple(_bound_set(s, dims) for s in lowered.interface.parameter_sets)
    interface = replace(lowered.interface, entries=entries, parameter_sets=sets)
    return Lowered(Module.of(lowered.module.types, functions), interface)


_Numbers = dict[str, "int | None"]
"""A function's dims: a number, or None where it differs; a dim that is not there is never given."""


def _constants(module: Module, roots: Mapping[str, Mapping[str, int]]) -> dict[str, _Numbers]:
    """The dims that have one number at all calls: a fixpoint from the roots on."""
    found: dict[str, _Numbers] = {name: {} for name in module.functions}
    work: list[str] = []

    def meet(name: str, values: Mapping[str, int | None]) -> None:
        fn, have = module.functions[name], found[name]
        before = dict(have)
        for d in fn.dims:
            have[d] = values[d] if d not in have or have[d] == values[d] else None
        if have != before or name not in seen:
            seen.add(name)
            work.append(name)

    seen: set[str] = set()
    for name, fn in module.functions.items():
        if name in roots or fn.attrs.get("public") is True:
            given = roots.get(name, {})
            meet(name, {d: given.get(d) for d in fn.dims})
    while work:
        name = work.pop()
        known = {d: Dim.const(n) for d, n in found[name].items() if n is not None}
        for callee, given in _uses(module.functions[name]):
            if callee in module.functions:
                values = (d.substitute(known) for d in given)
                numbers = [d.constant if d.is_constant else None for d in values]
                names = module.functions[callee].dims
                meet(callee, dict(zip(names, numbers, strict=True)))
    return found


def _uses(fn: Function) -> Iterator[tuple[str, tuple[Dim, ...]]]:
    """The functions that a function calls, differentiates or names, with the dims it gives."""
    own = tuple(map(Dim.sym, fn.dims))
    rule = fn.attrs.get("vjp")
    if isinstance(rule, str):
        yield rule, own
    for op in walk(fn.body):
        if isinstance(op.attrs.get("fn"), str):
            yield op.attr_str("fn"), op.attr_dims()


def _bound(fn: Function, found: Mapping[str, _Numbers], module: Module) -> Function:
    numbers = {d: Dim.const(n) for d, n in found[fn.name].items() if n is not None}
    s = Substitution({}, numbers)
    params = tuple(map(s.define, fn.params))
    body = Region((), tuple(_drop_dims(op, found, module) for op in s.ops(fn.body.ops)))
    return replace(
        fn,
        dims=tuple(d for d in fn.dims if d not in numbers),
        params=params,
        result_types=tuple(substitute_type(t, numbers) for t in fn.result_types),
        body=body,
    )


def _drop_dims(op: Op, found: Mapping[str, _Numbers], module: Module) -> Op:
    """Calls give only the dims that their callee still has."""
    regions = tuple(
        Region(r.params, tuple(_drop_dims(x, found, module) for x in r.ops), r.dims)
        for r in op.regions
    )
    name = op.attrs.get("fn")
    if not isinstance(name, str) or name not in module.functions:
        return op if not regions else replace(op, regions=regions)
    callee = module.functions[name]
    pairs = zip(callee.dims, op.attr_dims(), strict=True)
    kept = tuple(d for own, d in pairs if found[name].get(own) is None)
    return replace(op, attrs=freeze_attrs({**op.attrs, "dims": kept}), regions=regions)


# -- the interface


def _bound_entry(entry: EntryInfo, asked: Mapping[str, int], found: _Numbers) -> EntryInfo:
    """The entry with bound dims fixed; what bound one before is compared from now on."""
    dims: list[DimInfo] = []
    checks: list[Check] = []
    for d in entry.dims:
        n = found.get(d.name)
        if n is None and d.name not in asked:
            dims.append(d)
            continue
        owner = next((p.name for p in entry.parameters if _shows(d.name, p.name)), "")
        if n is None:
            # It differs at inner calls, so it is still given, and must be the number asked for.
            dims.append(d)
            checks.append(Check(owner, d.source, Dim.const(asked[d.name]), d.place))
        else:
            dims.append(replace(d, source=Fixed(n)))
            size = d.source.size if isinstance(d.source, (Axis, ElementAxis)) else Dim.sym(d.name)
            checks.append(Check(owner, d.source, size, d.place))
    return replace(entry, dims=tuple(dims), checks=(*entry.checks, *checks))


def _bound_set(s: ParameterSet, dims: Mapping[str, Mapping[str, int]]) -> ParameterSet:
    own = {d: n for given in dims.values() for d, n in given.items() if d in s.dims}
    return replace(s, fixed=tuple((d, own[d]) for d in s.dims if d in own))


def _shows(dim: str, parameter: str) -> bool:
    return dim == parameter or dim.startswith(f"{parameter}.")
