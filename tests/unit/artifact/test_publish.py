"""A group of files appears whole or not at all, whatever happens on the way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlc.artifact import publish as module
from dlc.artifact.publish import publish, recover, write_file
from dlc.diag import CompileError

OLD = {"net.o": b"old object", "net.h": b"old header", "net.json": b"old: manifest"}
NEW = {"net.o": b"new object!", "net.h": b"new header!", "net.x": b"x", "net.json": b"new"}


def state(folder: Path) -> str:
    """`old`, `new`, `none`, or what is wrong, as a reader sees it who recovers first."""
    recover(folder, "net")
    have = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    if not have:
        return "none"
    for name, group in (("old", OLD), ("new", NEW)):
        if all(have.get(n) == data for n, data in group.items()):
            return name
    return f"mixed: {have}"


def test_files_appear(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    publish(folder, "net", OLD, "net.json")
    assert state(folder) == "old"
    publish(folder, "net", NEW, "net.json")
    assert state(folder) == "new"
    assert sorted(p.name for p in folder.iterdir()) == sorted(NEW | OLD)


class Injected(OSError):
    pass


CALLS = ("open", "fsync", "rename", "replace", "unlink", "rmdir")


def failing(n: int, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Makes the n-th call to the disk fail; tells how many there were."""
    count = 0

    def wrap(real: Any) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == n:
                raise error
            return real(*args, **named)

        return call

    class Disk:
        def __getattr__(self, name: str) -> Any:
            real = getattr(os, name)
            return wrap(real) if name in CALLS else real

    monkeypatch.setattr(module, "os", Disk())
    monkeypatch.setattr(module, "open", wrap(open), raising=False)
    return lambda: count


@pytest.mark.parametrize("error", [Injected(28, "no space left"), KeyboardInterrupt()])
def test_every_call_may_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    n = total = 0
    while n <= total:
        n += 1
        folder = tmp_path / str(n)
        publish(folder, "net", OLD, "net.json")
        with monkeypatch.context() as patch:
            calls = failing(n, error, patch)
            try:
                publish(folder, "net", NEW, "net.json")
                done = True
            except (CompileError, KeyboardInterrupt):
                done = False
            total = calls()
        seen = state(folder)
        assert seen == "new" if done else seen in ("old", "new"), (n, seen)
        publish(folder, "net", NEW, "net.json")
        assert state(folder) == "new"
    assert total > 15


def test_the_disk_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path, "net", OLD, "net.json")
    failing(3, Injected(28, "No space left on device"), monkeypatch)
    with pytest.raises(CompileError, match=r"E0930: cannot write .* No space left"):
        publish(tmp_path, "net", NEW, "net.json")
    monkeypatch.undo()
    assert state(tmp_path) == "old"
    assert not list(tmp_path.glob(".net*"))


def test_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.npz"
    write_file(path, b"one")
    with monkeypatch.context() as patch:
        failing(1, Injected(28, "full"), patch)
        with pytest.raises(CompileError, match="E0930"):
            write_file(path, b"two")
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


WRITER = """
import os
import signal
import sys
from pathlib import Path
from dlc.artifact.publish import publish
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever ran the tests may ignore it
folder = Path(sys.argv[1])
print("ready", flush=True)
i = 0
while True:
    i += 1
    data = f"{os.getpid()} {i}".encode() * 2000
    publish(folder, "net", {f"net.{k}": data for k in range(6)} | {"net.json": data}, "net.json")
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_at_any_moment(tmp_path: Path, how: signal.Signals) -> None:
    rng = random.Random(11)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0.01, 0.15))
        process.send_signal(how)
        try:
            process.wait(20)
        finally:
            process.kill()
            process.stdout.close()
        recover(tmp_path, "net")
        found = {p.read_bytes() for p in tmp_path.glob("net.*")}
        assert len(found) <= 1, "files of two groups"


def test_two_writers(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    time.sleep(0.8)
    for w in writers:
        w.send_signal(signal.SIGKILL)
    errors = [w.communicate()[1] for w in writers]
    assert errors == [b"", b""]
    recover(tmp_path, "net")
    found = [p.read_bytes() for p in tmp_path.glob("net.*")]
    assert len(found) == 7
    assert len(set(found)) == 1, "files of two groups"
