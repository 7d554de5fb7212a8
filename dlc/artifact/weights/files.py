"""Files of weights: safetensors and npz, in and out. Pickles are refused."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from dlc.diag import CompileError, error
from dlc.typesys.dtypes import DTYPES, dtype_of_numpy

Array = np.ndarray[Any, Any]
Source = str | os.PathLike[str] | Mapping[str, Any]

_CODES = {
    "F64": "f64", "F32": "f32", "F16": "f16", "BF16": "bf16", "I64": "i64", "I32": "i32",
    "I16": "i16", "I8": "i8", "U8": "u8", "BOOL": "bool",
}  # fmt: skip
PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt")
"""Suffixes of files that are not even opened as something else."""


def read_weights(source: Source) -> dict[str, Array]:
    """The arrays of a file, or of a mapping, by name.

    Raises CompileError: E0901 (cannot be read), E0914 (a pickle), E0915 (malformed)."""
    if isinstance(source, Mapping):
        return {str(name): _array(str(name), x) for name, x in source.items()}
    path = Path(source)
    try:
        data = path.read_bytes()
    except OSError as e:
        reason = e.strerror or type(e).__name__
        raise CompileError(error("E0901", f'cannot read "{path}": {reason}')) from None
    if data[:4] == b"PK\x03\x04":
        return _npz(path, data)
    pickled = data[:1] == b"\x80" and not _has_header(data)
    if pickled or path.suffix.lower() in PICKLES:
        raise CompileError(_pickle(path))
    return _safetensors(path, data)


def _has_header(data: bytes) -> bool:
    """Whether it begins as safetensors do, with the length of a JSON header. A length of 128 is the
    byte that pickles begin with."""
    return data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data) - 8


def _array(name: str, x: Any) -> Array:
    if isinstance(x, np.ndarray):
        return cast(Array, x)
    if hasattr(x, "detach"):  # a tensor that may be part of a graph, or on another device
        x = x.detach().cpu()
    if hasattr(x, "__dlpack__"):
        return np.from_dlpack(x)
    made = np.asarray(x)
    if made.dtype.kind == "O":
        raise CompileError(error("E0915", f"the weight `{name}` is no array"))
    return made


def _pickle(path: Path) -> Any:
    found = error("E0914", f'"{path}" is a pickle, which can run any code when it is read')
    return found.with_help(
        "convert it once where you trust it: "
        "safetensors.torch.save_file(torch.load(f, weights_only=True), 'weights.safetensors')"
    )


def _malformed(path: Path, kind: str, reason: object) -> CompileError:
    return CompileError(error("E0915", f'"{path}" is no {kind} file: {reason}'))


def _npz(path: Path, data: bytes) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if any(n.endswith("data.pkl") for n in names):
                raise CompileError(_pickle(path))
        with np.load(io.BytesIO(data), allow_pickle=False) as opened:
            return {name: np.asarray(opened[name]) for name in opened.files}
    except ValueError as e:
        if "pickle" in str(e) or "Object arrays" in str(e):
            raise CompileError(_pickle(path)) from None
        raise _malformed(path, "npz", e) from None
    except (OSError, EOFError, KeyError, zipfile.BadZipFile, RuntimeError, SyntaxError) as e:
        raise _malformed(path, "npz", e) from None


def _safetensors(path: Path, data: bytes) -> dict[str, Array]:
    import safetensors
    from safetensors import SafetensorError

    try:
        found = cast("list[tuple[str, Any]]", cast(Any, safetensors).deserialize(data))
    except SafetensorError as e:
        raise _malformed(path, "safetensors", e) from None
    out: dict[str, Array] = {}
    for name, info in sorted(found, key=lambda item: item[0]):  # the library has no order
        code = str(info["dtype"])
        if code not in _CODES:
            raise _malformed(path, "safetensors", f"`{name}` has elements of type {code}")
        dtype = DTYPES[_CODES[code]].numpy
        out[str(name)] = np.frombuffer(cast(bytes, info["data"]), dtype).reshape(info["shape"])
    return out


# -- writing

FOREIGN = (
    *PICKLES, ".bin", ".h5", ".hdf5", ".keras", ".npy", ".onnx", ".safetensor", ".st", ".dl",
)  # fmt: skip
"""Suffixes of other files of weights or programs: an artefact of such a name is a mistake."""


def refuse_suffix(path: Path) -> None:
    """Raises CompileError E0917 for a file that is not written: `net.pt`."""
    if path.suffix.lower() in FOREIGN:
        found = error("E0917", f'"{path}" would be no {path.suffix} file')
        near = path.with_suffix(".safetensors")
        raise CompileError(
            found.with_help(f'write the weights as "{near}", or the artefact as "{path.stem}"')
        )


def safetensors_bytes(arrays: Mapping[str, Array]) -> bytes:
    """A safetensors file: the length of a JSON header, the header, the arrays one after another.
    The largest elements come first, so that every array is aligned."""
    names = {v: k for k, v in _CODES.items()}
    header: dict[str, Any] = {}
    parts: list[bytes] = []
    at = 0
    for name, x in sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0])):
        d = dtype_of_numpy(x.dtype)
        if d is None:
            raise TypeError(f"`{name}` has elements of type {x.dtype}")
        data = np.ascontiguousarray(x).tobytes()
        header[name] = {
            "dtype": names[d.name],
            "shape": list(x.shape),
            "data_offsets": [at, at + len(data)],
        }
        parts.append(data)
        at += len(data)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def npz_bytes(arrays: Mapping[str, Array]) -> bytes:
    """An npz file; the same arrays give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, x in arrays.items():
            inner = io.BytesIO()
            np.lib.format.write_array(inner, np.asarray(x, order="C"), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            archive.writestr(info, inner.getvalue())
    return out.getvalue()
