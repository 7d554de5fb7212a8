"""The bytes of a model's file, and of the files beside it that hold its tensors.

Data outside of the model's file is read only from below the model's folder: a relative path without
`..`, no symbolic link on the way, a regular file with one name. Offsets and lengths are compared
with the file's size before anything is mapped."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from dlc.importers.limits import Limits
from dlc.importers.refusal import Refusal, refuse

READ_BELOW = 16 << 20
"""Files of at most so many bytes are read; larger ones are mapped."""


def read_model(path: Path, limits: Limits) -> memoryview:
    """The bytes of a model's file. Raises E0901 (no file), E0702 (too large)."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as e:
        raise refuse("E0901", f"the file cannot be read: {e.strerror}") from None
    try:
        return _whole(fd, limits.model_bytes)
    finally:
        os.close(fd)


def _whole(fd: int, most: int) -> memoryview:
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode):
        raise refuse("E0901", "this is no regular file")
    if facts.st_size > most:
        raise refuse("E0702", f"the file has {facts.st_size} bytes; at most {most} are read")
    if facts.st_size <= READ_BELOW:
        parts: list[bytes] = []
        while chunk := os.read(fd, 1 << 20):
            parts.append(chunk)
            if sum(map(len, parts)) > READ_BELOW + (1 << 20):
                raise refuse("E0901", "the file grows while it is read")
        return memoryview(b"".join(parts))
    return memoryview(mmap.mmap(fd, facts.st_size, access=mmap.ACCESS_READ))


class ExternalData:
    """Tensor data in files below one folder; each file is opened once."""

    def __init__(self, folder: Path | None, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self._files: dict[str, memoryview] = {}

    def read(self, where: Mapping[str, str], size: int) -> memoryview:
        """The `size` bytes of a tensor. `where` has `location`, `offset` and `length`, as the
        file says them. Raises E0703."""
        location = where.get("location", "")
        data = self._open(location)
        offset, length = (_count(where, k) for k in ("offset", "length"))
        start = offset or 0
        if length is not None and length != size:
            raise _bad(location, f"{length} bytes are given for a tensor of {size}")
        if start > len(data) or size > len(data) - start:
            raise _bad(location, f"the file has {len(data)} bytes, the tensor is at {start} with "
                       f"{size} bytes")  # fmt: skip
        return data[start : start + size]

    def _open(self, location: str) -> memoryview:
        if location not in self._files:
            if self.folder is None:
                raise refuse("E0703", "the model has data outside of its file").with_help(
                    "import it from its file, not from a message"
                )
            self._files[location] = _below(self.folder, location, self.limits)
        return self._files[location]


def _bad(location: str, why: str) -> Refusal:
    return refuse("E0703", f"the external data {location!r}: {why}").with_help(
        "external data lie beside the model: a relative path below its folder, no links"
    )


def _count(where: Mapping[str, str], key: str) -> int | None:
    text = where.get(key)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise _bad(where.get("location", ""), f"the {key} is {text[:40]!r}")
    return int(text)


def _below(folder: Path, location: str, limits: Limits) -> memoryview:
    """The bytes of the file, opened step by step so that no link is followed."""
    path = PurePosixPath(location)
    parts = path.parts
    if not parts or "\0" in location or "\\" in location or path.is_absolute() or ".." in parts:
        raise _bad(location, "this is no path below the model's folder")
    here = os.open(folder, os.O_RDONLY)
    try:
        for i, name in enumerate(parts):
            inner = _step(here, name, location, last=i == len(parts) - 1)
            os.close(here)
            here = inner
        facts = os.fstat(here)
        if facts.st_nlink != 1:
            raise _bad(location, "the file has several names (hard links)").with_help(
                "make a copy of the file beside the model"
            )
        return _whole(here, limits.tensor_bytes)
    finally:
        os.close(here)


def _step(here: int, name: str, location: str, *, last: bool) -> int:
    try:
        facts = os.stat(name, dir_fd=here, follow_symlinks=False)
        if stat.S_ISLNK(facts.st_mode):
            raise _bad(location, f"`{name}` is a symbolic link")
        if not (stat.S_ISREG if last else stat.S_ISDIR)(facts.st_mode):
            raise _bad(location, f"`{name}` is no {'regular file' if last else 'folder'}")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        return os.open(name, flags, dir_fd=here)
    except OSError as e:
        raise _bad(location, f"it cannot be read: {e.strerror}") from None
