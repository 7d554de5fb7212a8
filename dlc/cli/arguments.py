"""What is written on the command line as the Python values that a compiled program takes.

The parameter's type decides: `[1, 2]` is a tensor, a list, the lengths of a `Segs` or a dense
vector for a `Sparse`. Values nest without recursion, so a comb 100,000 deep is fine."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, cast

import numpy as np

from dlc.artifact.python import structures, tensors
from dlc.artifact.python.algebra import Types
from dlc.artifact.python.codec import Some
from dlc.diag.suggest import near
from dlc.typesys import surface
from dlc.typesys.interface import AdtInfo, EntryInfo, Interface

Step = Generator[tuple[str, surface.Type, Any], Any, Any]
"""Asks for the values of parts, and gives that of the whole."""


class ArgumentTextError(ValueError):
    """A value that is none of its parameter's type."""


class Reader:
    """Reads values for the parameters of a program."""

    def __init__(self, interface: Interface, types: Types) -> None:
        self._adts: Mapping[str, AdtInfo] = {a.name: a for a in interface.types}
        self._types = types

    def read(self, what: str, t: surface.Type, raw: Any) -> Any:
        """The value of a type. Raises ArgumentTextError naming `what`."""
        stack: list[Step] = [self._step(what, t, raw)]
        answer: Any = None
        while stack:
            try:
                asked = stack[-1].send(answer)
            except StopIteration as e:
                stack.pop()
                answer = e.value
            except (TypeError, ValueError, OverflowError) as e:
                raise ArgumentTextError(_worded(str(e))) from None
            else:
                stack.append(self._step(*asked))
                answer = None
        return answer

    def _step(self, what: str, t: surface.Type, raw: Any) -> Step:
        match t:
            case surface.Adt():
                return self._algebraic(what, t, raw)
            case surface.Option():
                return _option(what, t, raw)
            case surface.List():
                return _list(what, t, raw)
            case surface.Tuple():
                return _tuple(what, t, raw)
            case _:
                return _plain(what, t, raw)

    def _algebraic(self, what: str, t: surface.Adt, raw: Any) -> Step:
        info = self._adts[surface.short(t.name)]
        names = [c.name for c in info.constructors]
        example = ", ".join(_shown(c.name, [f.name for f in c.fields]) for c in info.constructors)
        if not _is_constructed(raw):
            raise ValueError(f"`{what}` must be a {info.name} ({example}), not {_kind(raw)}")
        name, *given = cast("tuple[Any, ...]", raw)
        found = next((c for c in info.constructors if c.name == name), None)
        if found is None:
            close = near(name, names)
            hint = f"; did you mean `{close[0]}`?" if close else f": there is {example}"
            raise ValueError(f"`{what}`: no constructor of {info.name} is `{name}`{hint}")
        if len(given) != len(found.fields):
            wanted = _shown(name, [f"{f.name}: {f.type}" for f in found.fields])
            count = len(found.fields)
            text = f"`{what}`: {wanted} has {count} field{'' if count == 1 else 's'}"
            raise ValueError(f"{text}, not {len(given)}")
        values: list[Any] = []
        for f, x in zip(found.fields, given, strict=True):
            value = yield f"{info.name}.{name}.{f.name}", f.type, x
            values.append(value)
        return getattr(self._types[info.name], name)(*values)


def _option(what: str, t: surface.Option, raw: Any) -> Step:
    if raw == ("None",):
        return None
    nested = isinstance(t.element, surface.Option)
    if _is_constructed(raw) and raw[0] == "Some":
        if len(raw) != 2:
            raise ValueError(f"`{what}`: Some holds one value, not {len(raw) - 1}")
        value = yield f"{what}.value", t.element, raw[1]
        return Some(value) if nested else value
    if nested:
        raise ValueError(f"`{what}` must be None or Some(…)")
    value = yield what, t.element, raw
    return value


def _list(what: str, t: surface.List, raw: Any) -> Step:
    items = _items(what, raw)
    out: list[Any] = []
    for i, x in enumerate(items):
        value = yield f"{what}[{i}]", t.element, x
        out.append(value)
    return out


def _tuple(what: str, t: surface.Tuple, raw: Any) -> Step:
    if _is_constructed(raw) or not isinstance(raw, (list, tuple)):
        raise ValueError(f"`{what}` must be {len(t.items)} values in brackets, not {_kind(raw)}")
    given = cast("Sequence[Any]", raw)
    if len(given) != len(t.items):
        raise ValueError(f"`{what}` must be {len(t.items)} values, not {len(given)}")
    out: list[Any] = []
    for i, (inner, x) in enumerate(zip(t.items, given, strict=True)):
        value = yield f"{what}.{i}", inner, x
        out.append(value)
    return tuple(out)


def _plain(what: str, t: surface.Type, raw: Any) -> Step:
    """A value without parts that are values themselves."""
    yield from ()
    match t:
        case surface.Tensor():
            return _tensor(what, t, raw)
        case surface.Key():
            if _is_constructed(raw) and raw[0] == "key" and len(raw) == 2:
                raw = raw[1]
            if _is_constructed(raw):
                raise ValueError(f"`{what}` must be a whole number, not {_kind(raw)}")
            return int(tensors.key(what, _number(raw)))
        case surface.Graph():
            return _graph(what, raw)
        case surface.Segs():
            return _segs(what, raw)
        case surface.Sparse():
            return _sparse(what, t, raw)
        case surface.Rows():
            f = _named(what, "Rows", raw, ("indices", "values"), ("count",))
            values = tensors.from_numbers(f"{what}.values", _dtype(t), _array(what, f["values"]))
            count = f.get("count")
            return structures.Rows(
                _array(what, f["indices"]), values, None if count is None else _number(count)
            )
        case _:
            raise ValueError(f"`{what}`: a {t} cannot be written on the command line")


# -- tensors


def _tensor(what: str, t: surface.Tensor, raw: Any) -> Any:
    d = t.concrete
    x = _array(what, raw)
    if x.dtype == d.numpy or (d.name == "bf16" and x.dtype.kind == "V" and x.dtype.itemsize == 2):
        made = np.array(tensors.tensor(what, d, x))
    else:
        made = np.array(tensors.from_numbers(what, d, x))
    rank = t.rank
    if made.ndim == 0 and rank == 1:
        made = made.reshape(1)
    if made.ndim != rank:
        shape = f"[{', '.join(map(str, made.shape))}]" if made.ndim else "one number"
        raise ValueError(f"`{what}` must be {t}, not {shape}")
    return made if rank else made[()]


def _array(what: str, raw: Any) -> np.ndarray[Any, Any]:
    if isinstance(raw, dict):
        named = cast("dict[str, Any]", raw)
        if len(named) == 1:
            return np.asarray(next(iter(named.values())))
        raise ValueError(f"`{what}` must be one array; the file has {', '.join(named) or 'none'}")
    if _is_constructed(raw):
        raise ValueError(f"`{what}` must be numbers, not {_kind(raw)}")
    try:
        made = np.asarray(raw)
    except ValueError:
        raise ValueError(f"`{what}`: rows of different lengths") from None
    if made.dtype.kind in "USO":
        big = made.dtype.kind == "O" and not _has_names(raw)
        raise ValueError(f"`{what}`: {'a number is too large' if big else 'not all are numbers'}")
    return made


def _has_names(raw: Any) -> bool:
    work = [raw]
    while work:
        x = work.pop()
        if isinstance(x, str):
            return True
        if isinstance(x, (list, tuple)):
            work += cast("Sequence[Any]", x)
    return False


# -- structures


def _graph(what: str, raw: Any) -> structures.Graph:
    f = _named(what, "Graph", raw, ("src", "dst"), ("nodes",))
    src = structures.index_array(f"`{what}`: src", _array(what, f["src"]))
    dst = structures.index_array(f"`{what}`: dst", _array(what, f["dst"]))
    if len(src) != len(dst):
        raise ValueError(f"`{what}`: src has {len(src)} arcs, dst has {len(dst)}")
    if "nodes" in f:
        return structures.Graph(src, dst, _number(f["nodes"]))
    return structures.Graph(src, dst, max([-1, *src.tolist(), *dst.tolist()]) + 1)


def _segs(what: str, raw: Any) -> structures.Segs:
    if isinstance(raw, dict) and "starts" in raw:
        return structures.Segs.from_starts(_array(what, raw["starts"]))
    if isinstance(raw, dict) or _is_constructed(raw):
        items = _LANGUAGE["Segs"][1:] if _is_constructed(raw) and raw[0] == "segs" else ()
        parts = _named(what, "Segs", raw, ("lengths",), items)
        raw, items = parts["lengths"], parts.get("items")
    else:
        items = None
    x = _array(what, raw)
    try:
        made = structures.Segs(x.reshape(1) if x.ndim == 0 else x)
    except (TypeError, ValueError) as e:
        raise ValueError(f"`{what}`: {e}") from None
    if items is not None and made.items != _number(items):
        raise ValueError(f"`{what}`: the lengths add up to {made.items}, not {_number(items)}")
    return made


def _sparse(what: str, t: surface.Sparse, raw: Any) -> structures.Sparse:
    if isinstance(raw, dict) or _is_constructed(raw):
        f = _named(what, "Sparse", raw, ("indices", "values", "size"), ())
        values = tensors.from_numbers(f"{what}.values", _dtype(t), _array(what, f["values"]))
        return structures.Sparse(_array(what, f["indices"]), values, _number(f["size"]))
    x = tensors.from_numbers(what, _dtype(t), _array(what, raw))
    return structures.Sparse.from_dense(x.reshape(1) if x.ndim == 0 else x)


_LANGUAGE = {
    "Graph": ("nodes", "src", "dst"),
    "Segs": ("lengths", "items"),
    "Sparse": ("indices", "values", "size"),
}
"""How the language makes structures, which is understood as well: `graph(2, [0], [1])`."""


def _named(
    what: str, kind: str, raw: Any, needed: Sequence[str], more: Sequence[str]
) -> dict[str, Any]:
    """The parts of a structure: the arrays of an npz, or `Graph([0], [1], 2)`."""
    names = [*needed, *more]
    text = _shown(kind, [*needed, *(f"{n}?" for n in more)])
    if isinstance(raw, dict):
        given = cast("dict[str, Any]", raw)
    elif _is_constructed(raw) and raw[0] == kind and len(needed) < len(raw) <= len(names) + 1:
        given = dict(zip(names, raw[1:], strict=False))
    elif _is_constructed(raw) and raw[0] == kind.lower() and kind in _LANGUAGE:
        spelt = _LANGUAGE[kind]
        if len(raw) != len(spelt) + 1:
            text = _shown(kind.lower(), spelt)
            raise ValueError(f"`{what}`: {text} takes {len(spelt)} values, not {len(raw) - 1}")
        given = dict(zip(spelt, raw[1:], strict=True))
    else:
        raise ValueError(
            f"`{what}` must be {text} or @FILE.npz with {', '.join(needed)}, not {_kind(raw)}"
        )
    missing = [n for n in needed if n not in given]
    strange = [n for n in given if n not in names]
    if missing or strange:
        said = [f"no {n}" for n in missing] + [
            f"{n}, which is no part of a {kind}" for n in strange
        ]
        raise ValueError(f"`{what}`: the file has {', '.join(said)}")
    return given


def _dtype(t: surface.Sparse | surface.Rows) -> Any:
    return t.dtype


def _number(raw: Any) -> Any:
    """A number that may be an array without axes."""
    if isinstance(raw, np.ndarray):
        x = cast(Any, raw)
        return x if x.ndim else x[()]
    return raw


def _items(what: str, raw: Any) -> Sequence[Any]:
    if isinstance(raw, np.ndarray):
        if raw.ndim == 0:
            return [cast(Any, raw)[()]]
        return list(cast("Sequence[Any]", raw))
    if isinstance(raw, dict):
        raise ValueError(f"`{what}` must be a list, not an archive of arrays")
    if isinstance(raw, list):
        return cast("list[Any]", raw)
    return [raw]


def _is_constructed(raw: Any) -> bool:
    return isinstance(raw, tuple) and bool(raw) and isinstance(raw[0], str)  # pyright: ignore[reportUnknownArgumentType]


def _kind(raw: Any) -> str:
    if _is_constructed(raw):
        return f"`{raw[0]}`" if len(raw) == 1 else f"`{raw[0]}(…)`"
    if isinstance(raw, list):
        return "a list"
    if isinstance(raw, dict):
        return "an archive of arrays"
    return "an array" if isinstance(raw, np.ndarray) else f"`{raw}`"


def _shown(name: str, fields: Sequence[str]) -> str:
    return f"{name}({', '.join(fields)})" if fields else name


def _worded(text: str) -> str:
    return text.replace("dlc.Graph", "Graph").replace("dlc.Segs", "Segs")


# -- all inputs of an entry


def split_inputs(texts: Sequence[str]) -> dict[str, str]:
    """`("t=Leaf(1)", "x=@a.npy")` by name. Raises ArgumentTextError."""
    out: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise ArgumentTextError(f"--in takes NAME=VALUE, as in x=1,2,3, not `{text}`")
        if name.strip() in out:
            raise ArgumentTextError(f"--in gives `{name.strip()}` twice")
        out[name.strip()] = value
    return out


def match_names(entry: EntryInfo, given: Mapping[str, str]) -> None:
    """All inputs that are missing, and all that the entry does not have, named together."""
    wanted = {p.name: p for p in entry.parameters if p.parameter_set is None}
    sets = [p.name for p in entry.parameters if p.parameter_set is not None]
    missing = [n for n in wanted if n not in given]
    lines: list[str] = []
    for n in given:
        if n in sets:
            lines.append(f"`{n}` is a model: give --weights FILE, or --seed N with --bind")
        elif n not in wanted:
            close = near(n, missing or wanted)
            lines.append(f"there is no `{n}`" + (f"; did you mean `{close[0]}`?" if close else ""))
    lines += [f"`{n}` is missing: --in {n}=… ({wanted[n].type})" for n in missing]
    if lines:
        raise ArgumentTextError(f"{entry.name}: " + "\n  ".join(lines))


def read_inputs(
    reader: Reader, entry: EntryInfo, texts: Sequence[str], read: Callable[[str], Any]
) -> dict[str, Any]:
    """The values of an entry's inputs, by parameter. Raises ArgumentTextError with all that is
    wrong."""
    given = split_inputs(texts)
    match_names(entry, given)
    out: dict[str, Any] = {}
    wrong: list[str] = []
    for p in entry.parameters:
        if p.parameter_set is not None:
            continue
        try:
            out[p.name] = reader.read(p.name, p.type, read(given[p.name]))
        except OSError as e:
            wrong.append(f"`{p.name}`: cannot read {e.filename or 'it'}: {e.strerror or e}")
        except ArgumentTextError as e:
            wrong.append(str(e))
        except (ValueError, EOFError) as e:
            wrong.append(f"`{p.name}`: {e}")
    if wrong:
        raise ArgumentTextError("\n  ".join(wrong))
    return out
