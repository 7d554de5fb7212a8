"""Every kind of malformed model is refused: in words, soon, and in little memory."""

from __future__ import annotations

import os
import pickle
import resource
import time
from dataclasses import dataclass

import pytest

from dlc.diag import CompileError
from dlc.importers.model import import_onnx
from dlc.importers.schemas import schema_of
from tests.unit.importers.malformed import KINDS

SECONDS, BYTES = 2.0, 512 << 20


@dataclass(frozen=True)
class Outcome:
    codes: tuple[str, ...]
    text: str
    remedies: int
    seconds: float


def refused(data: bytes) -> Outcome:
    """What importing gives, in a process whose address space may grow by BYTES."""
    schema_of("", "Relu", 21)  # the onnx package is loaded before the clock starts
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(r)
        with os.fdopen(w, "wb") as out:
            out.write(pickle.dumps(_import(data)))
        os._exit(0)
    os.close(w)
    with os.fdopen(r, "rb") as inp:
        made = inp.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0 and made, f"the process ended with status {status}"
    outcome: Outcome = pickle.loads(made)
    return outcome


def _import(data: bytes) -> Outcome:
    with open("/proc/self/statm") as f:
        now = int(f.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (now + BYTES, now + BYTES))
    start = time.process_time()
    try:
        import_onnx(data, file="m.onnx")
    except CompileError as e:
        seconds = time.process_time() - start
        remedies = sum(len(d.helps) + len(d.notes) for d in e.diagnostics)
        return Outcome(tuple(d.code for d in e.diagnostics), str(e), remedies, seconds)
    except BaseException as e:
        return Outcome((type(e).__name__,), repr(e), 0, time.process_time() - start)
    return Outcome((), "accepted", 0, time.process_time() - start)


def test_there_are_enough_kinds() -> None:
    assert len(KINDS) >= 40


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="measures memory by /proc")
@pytest.mark.parametrize("kind", KINDS)
def test_refused(kind: str) -> None:
    make, code = KINDS[kind]
    got = refused(make())
    assert got.codes and set(got.codes) == {code}, got
    assert "m.onnx" in got.text
    assert got.seconds < SECONDS
