"""Results as text that people read (and `--in` reads again), as JSON data, and as files."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from dlc.artifact.python.algebra import Value
from dlc.artifact.python.codec import Record, Some
from dlc.artifact.python.structures import Graph, Rows, Segs, Sparse
from dlc.cli.values import format_value


def parts_of(v: Any) -> tuple[str, tuple[tuple[str, Any], ...]] | None:
    """The name and the named parts of a structure, None for other values."""
    match v:
        case Value():
            return v.constructor, tuple(zip(v.field_names, v.fields, strict=True))
        case Graph():
            return "Graph", (("src", v.src), ("dst", v.dst), ("nodes", v.nodes))
        case Segs():
            return "Segs", (("lengths", v.lengths),)
        case Sparse():
            return "Sparse", (("indices", v.indices), ("values", v.values), ("size", v.size))
        case Rows():
            count = () if v.count is None else (("count", v.count),)
            return "Rows", (("indices", v.indices), ("values", v.values), *count)
        case Some():
            return "Some", (("value", v.value),)
        case Record():
            return "Record", tuple(vars(v).items())
        case _:
            return None


def plain(v: Any) -> Any:
    """The value as tuples `("Node", …)`, lists and arrays. Without recursion."""
    return _fold(v, lambda name, items: (name, *items), lambda x: x)


def text_of(v: Any) -> str:
    """One line of text. Without recursion."""
    out: list[str] = []
    work: list[Any] = [v]
    while work:
        x = work.pop()
        if isinstance(x, _Piece):
            out.append(x.text)
            continue
        found = parts_of(x)
        items: Sequence[Any]
        if found is not None:
            name, fields = found
            items = [f for _, f in fields]
            begin, end = (f"{name}(", ")") if items else (name, "")
        elif isinstance(x, (list, tuple)):
            items = cast("Sequence[Any]", x)
            begin, end = "[", "]"
        else:
            out.append(_atom(x))
            continue
        out.append(begin)
        work.append(_Piece(end))
        for i in range(len(items) - 1, -1, -1):
            work.append(items[i])
            if i:
                work.append(_Piece(", "))
    return "".join(out)


class _Piece:
    def __init__(self, text: str) -> None:
        self.text = text


def _atom(x: Any) -> str:
    if x is None:
        return "None"
    if isinstance(x, np.ndarray):
        return "".join(
            line.strip() + " " for line in _array_text(cast(Any, x)).splitlines()
        ).strip()
    if isinstance(x, (bool, np.bool_)):
        return "true" if x else "false"
    if isinstance(x, np.generic):
        return str(cast(Any, x))
    return str(x)


def _array_text(x: np.ndarray[Any, Any]) -> str:
    if not x.ndim:
        return _atom(x[()])
    if not x.size:
        return "[]" if x.ndim == 1 else f"[] of shape {list(x.shape)}"
    if x.dtype == np.bool_:
        made = np.array2string(
            x, separator=", ", threshold=sys.maxsize,
            formatter={"bool": lambda b: "true" if b else "false"},
        )  # fmt: skip
    else:
        made = np.array2string(x, separator=", ", threshold=sys.maxsize, max_line_width=100)
    return made


def lines_of(results: Mapping[str, Any]) -> str:
    """All results for people: the only one bare, several with their names."""
    out: list[str] = []
    for name, v in results.items():
        text = _array_text(cast(Any, v)) if isinstance(v, np.ndarray) else text_of(v)
        if len(results) > 1:
            text = f"{name} ={chr(10) if chr(10) in text else ' '}{text}"
        out.append(text)
    return "\n".join(out)


# -- JSON


def json_of(results: Mapping[str, Any]) -> str:
    """One JSON object with the results by name. NaN and infinities are texts, for JSON has none.

    Raises ValueError for values that nest too deeply."""
    try:
        data = {n: _finite(format_value(plain(v))) for n, v in results.items()}
        return json.dumps(data, ensure_ascii=False, allow_nan=False)
    except RecursionError:
        raise ValueError("the result nests too deeply for JSON: take it as text") from None


def _finite(v: Any) -> Any:
    if isinstance(v, float):
        return v if np.isfinite(v) else str(v)
    if isinstance(v, list):
        return [_finite(x) for x in cast("list[Any]", v)]
    if isinstance(v, dict):
        return {k: _finite(x) for k, x in cast("dict[str, Any]", v).items()}
    return v


def _fold(v: Any, join: Callable[[str, list[Any]], Any], leaf: Callable[[Any], Any]) -> Any:
    """A value made again from its parts, the innermost first."""
    done: list[Any] = []
    work: list[tuple[Any, tuple[str | None, int] | None]] = [(v, None)]
    while work:
        x, closing = work.pop()
        if closing is not None:
            name, count = closing
            items = done[len(done) - count :]
            del done[len(done) - count :]
            done.append(items if name is None else join(name, items))
            continue
        found = parts_of(x)
        if found is not None:
            inside: Sequence[Any] = [f for _, f in found[1]]
            work.append((None, (found[0], len(inside))))
        elif isinstance(x, (list, tuple)):
            inside = cast("Sequence[Any]", x)
            work.append((None, (None, len(inside))))
        else:
            done.append(leaf(x))
            continue
        work += [(y, None) for y in reversed(inside)]
    return done[0]


# -- files


def save(path: str, results: Mapping[str, Any]) -> None:
    """Writes `.npy` (one array), `.npz` (arrays and structures of arrays), `.json` or `.txt`, whole
    or not at all.

    Raises ValueError for results that the file cannot hold, CompileError E0930."""
    from dlc.artifact.publish import write_file
    from dlc.artifact.weights.files import npz_bytes

    at = Path(path)
    suffix = at.suffix.lower()
    if suffix == ".npy":
        arrays = _arrays(path, results)
        if len(arrays) != 1:
            raise ValueError(f"{path} holds one array, there are {', '.join(arrays)}: use .npz")
        out = io.BytesIO()
        np.save(out, next(iter(arrays.values())), allow_pickle=False)
        write_file(at, out.getvalue())
    elif suffix == ".npz":
        write_file(at, npz_bytes(_arrays(path, results)))
    elif suffix == ".json":
        write_file(at, (json_of(results) + "\n").encode())
    elif suffix == ".txt":
        write_file(at, (lines_of(results) + "\n").encode())
    else:
        raise ValueError(f"{path}: results are written as .npy, .npz, .json or .txt")


def _arrays(path: str, results: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    out: dict[str, np.ndarray[Any, Any]] = {}
    for name, v in results.items():
        if isinstance(v, (Graph, Segs, Sparse, Rows)):
            found = parts_of(v)
            assert found is not None
            out |= {f"{name}.{n}": np.asarray(x) for n, x in found[1]}
        elif isinstance(v, (np.ndarray, np.generic, bool, int, float)):
            out[name] = np.asarray(v)
        elif isinstance(v, list) and all(
            isinstance(x, (np.generic, bool, int, float)) for x in cast("list[Any]", v)
        ):
            out[name] = np.asarray(cast(Any, v))
        else:
            raise ValueError(f"{path}: `{name}` is no array: write it as .json or .txt")
    return out


def check_path(path: str) -> None:
    """Refuses early what `save` would refuse late."""
    if path != "-" and Path(path).suffix.lower() not in (".npy", ".npz", ".json", ".txt"):
        raise ValueError(f"{path}: results are written as .npy, .npz, .json or .txt")
