"""Files that appear together or not at all.

A group is written into a staging folder beside its target, flushed to disk, and committed by one
rename of that folder. Then the files move to their places, the manifest last. Whoever is
interrupted before the rename leaves the old group as it was; after it, whoever comes next (a reader
through `recover`, or another writer) finishes the move."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dlc.diag import CompileError, error

STAGING, COMMITTED = ".staging-", ".committed"
TRIES = 100


def publish(
    folder: Path,
    name: str,
    files: Mapping[str, bytes],
    last: str,
    programs: frozenset[str] = frozenset(),
) -> None:
    """Writes `files` into `folder` as the group `name`; `last` is the file that readers open first,
    `programs` are those that can be run.

    Raises CompileError E0930 if the disk refuses; the old group is then as it was."""
    try:
        _publish(folder, name, files, last, programs)
    except OSError as e:
        reason = e.strerror or str(e)
        raise CompileError(error("E0930", f'cannot write "{folder / name}": {reason}')) from e


def _publish(
    folder: Path, name: str, files: Mapping[str, bytes], last: str, programs: frozenset[str]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _remove_stale(folder, name)
    staging = Path(tempfile.mkdtemp(prefix=f".{name}{STAGING}", dir=folder))
    committed = folder / f".{name}{COMMITTED}"
    try:
        for file, data in files.items():
            _write(staging / file, data)
            if file in programs:
                os.chmod(staging / file, 0o777 & ~_umask())
        _write(staging / _LAST, last.encode())
        _flush_folder(staging)
        _commit(staging, committed, folder, name)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    try:
        recover(folder, name)
    except KeyboardInterrupt:
        recover(folder, name)
        raise


_LAST = ".last"
"""A file in the committed folder with the name of the one to be moved last."""


def _write(path: Path, data: bytes) -> None:
    with open(path, "xb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())


def _commit(staging: Path, committed: Path, folder: Path, name: str) -> None:
    """Renames the staging folder; another writer's group is moved out of the way first."""
    for _ in range(TRIES):
        try:
            os.rename(staging, committed)
        except OSError:
            if not committed.is_dir():
                raise
            recover(folder, name)
            continue
        _flush_folder(folder)
        return
    raise OSError(f"{committed.name} does not go away")


def recover(folder: Path, name: str) -> None:
    """Finishes what an interrupted writer had committed."""
    committed = folder / f".{name}{COMMITTED}"
    if not committed.is_dir():
        return
    try:
        last = (committed / _LAST).read_text()
        waiting = sorted(p.name for p in committed.iterdir() if p.name != _LAST)
    except FileNotFoundError:  # another process finished it
        last, waiting = "", []
    for file in [*(f for f in waiting if f != last), *(f for f in waiting if f == last)]:
        with contextlib.suppress(FileNotFoundError):  # another process moved it
            os.replace(committed / file, folder / file)
    _flush_folder(folder)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(committed / _LAST)
    with contextlib.suppress(OSError):
        os.rmdir(committed)


def _remove_stale(folder: Path, name: str) -> None:
    """Staging folders that killed writers left behind an hour ago or more."""
    for old in folder.glob(f".{name}{STAGING}*"):
        with contextlib.suppress(OSError):
            age = old.parent.stat().st_mtime - old.stat().st_mtime
            if age > 3600:
                shutil.rmtree(old, ignore_errors=True)


def _flush_folder(folder: Path) -> None:
    """Renames reach the disk; where folders cannot be opened there is nothing to do."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def write_file(path: Path, data: bytes) -> None:
    """One file, whole or not at all. Raises CompileError E0930."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, temporary = tempfile.mkstemp(prefix=f".{path.name}{STAGING}", dir=path.parent)
        try:
            with os.fdopen(fd, "wb") as f:
                f.write(data)
                f.flush()
                os.fsync(f.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as e:
        reason = e.strerror or str(e)
        raise CompileError(error("E0930", f'cannot write "{path}": {reason}')) from e


def _umask() -> int:
    now = os.umask(0o022)
    os.umask(now)
    return now
