"""Files that appear together or not at all.

A group is written into a staging folder beside its target, flushed to disk, and committed by one
rename of that folder. Then the files move to their places, the manifest last. Whoever is
interrupted before the rename leaves the old group as it was; after it, whoever comes next (a reader
through `recover`, or another writer) finishes the move. From the rename to the last move a writer
holds a lock on the target's folder, which the system releases when its process ends; so the files
of two writers never mix."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path

from dlc.diag import CompileError, error

try:
    import fcntl
except ImportError:  # a system without POSIX locks: writers there must not share a folder
    fcntl = None

STAGING, COMMITTED = ".staging-", ".committed"


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
        with _locked(folder):
            _finish(folder, committed)
            os.rename(staging, committed)
            _flush_folder(folder)
            try:
                _finish(folder, committed)
            except KeyboardInterrupt:
                _finish(folder, committed)
                raise
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


_LAST = ".last"
"""A file in the committed folder with the name of the one to be moved last."""


def _write(path: Path, data: bytes) -> None:
    with open(path, "xb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())


def recover(folder: Path, name: str) -> None:
    """Finishes what an interrupted writer had committed."""
    committed = folder / f".{name}{COMMITTED}"
    if committed.is_dir():
        with _locked(folder):
            _finish(folder, committed)


@contextlib.contextmanager
def _locked(folder: Path) -> Generator[None]:
    """Holds the folder's lock. File systems without locks are used without."""
    if fcntl is None:
        yield
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _finish(folder: Path, committed: Path) -> None:
    """Moves the committed files to their places; the caller holds the lock."""
    if not committed.is_dir():
        return
    last = ""
    with contextlib.suppress(FileNotFoundError):
        last = (committed / _LAST).read_text()
    waiting = sorted(p.name for p in committed.iterdir() if p.name != _LAST)
    for file in [*(f for f in waiting if f != last), *(f for f in waiting if f == last)]:
        os.replace(committed / file, folder / file)
    _flush_folder(folder)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(committed / _LAST)
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
