"""What one call shares: the context record, status codes, and how a failure is written down.

A context lies on the native stack of the raw entry. Every function takes its address first, and the
address of its frame second. Frames grow up from the arena's start, the heap grows down to `HEAP`;
the least room ever left between them is kept, so that a call can say how much arena it needed.
"""

from __future__ import annotations

from dlc.diag import InternalError
from dlc.targets.cpu.llvm import Builder, Function, Module, Operand, Value

STATUS = (
    "ok", "abi", "arg", "shape", "struct", "arena", "weights", "fuel", "bounds", "assert",
    "div_zero", "space",
)  # fmt: skip
"""Names of the status codes; the position is the number."""

HEAP = 0
"""ptr: the lowest byte of the heap in use."""
ROOM = 8
"""i64: the least number of bytes that were ever free between frames and heap."""
FUEL = 16
"""i64: turns left for loops without a bound; `LIMIT` is how many there were."""
CODE, LINE, COLUMN = 24, 28, 32
"""i32: status, and where in the source."""
GOT, WANT = 40, 48
"""i64: what was found, and what was asked for."""
WHAT = 56
"""ptr: a text that ends with a zero byte."""
SIZE = 64
"""i64: bytes of the arena."""
ARGUMENT = 72
"""ptr: the name of the argument that is being read, which comes before `WHAT`; or null."""
LIMIT = 80
"""i64: turns that loops without a bound may take."""
CONTEXT_BYTES = 88

ALIGN = 64
"""The arena starts at a multiple of this, and is a multiple long."""

MAX_DIM = 2**31 - 1
"""The largest dim: every index is an i32."""


def status(name: str) -> int:
    """The number of a status."""
    return STATUS.index(name)


def field(f: Builder, ctx: Value, offset: int) -> Value:
    """Address of a field of the context."""
    return f.gep("i8", ctx, offset) if offset else ctx


def fail_function(module: Module) -> Function:
    """`dlc.fail(ctx, code, line, column, got, want, what)`: write a failure into the context."""
    params = (
        ("ptr", "ctx"), ("i32", "code"), ("i32", "line"), ("i32", "column"), ("i64", "got"),
        ("i64", "want"), ("ptr", "what"),
    )  # fmt: skip

    def emit() -> tuple[Function, str]:
        f = Builder(module, "dlc.fail", "void", params, inline="never", attributes="cold")
        ctx, *values = f.params
        for x, at in zip(values, (CODE, LINE, COLUMN, GOT, WANT, WHAT), strict=True):
            f.store(x, field(f, ctx, at))
        f.ret()
        return f.finish()

    return module.function("dlc.fail", emit)


def text(module: Module, message: str) -> Value:
    """Address of a message as a constant, cut to what `dlc_error.what` holds."""
    return module.data(_cut(message) + b"\0", 1)


def _cut(message: str) -> bytes:
    """At most 63 bytes of UTF-8, whole characters."""
    return message.encode()[:63].decode(errors="ignore").encode()


def fail(
    f: Builder,
    ctx: Value,
    name: str,
    line: int,
    column: int,
    got: Operand,
    want: Operand,
    what: str,
) -> None:
    """Write a failure; the caller leaves the function."""
    code = status(name)
    if not code:
        raise InternalError("no failure is called ok")
    f.call(fail_function(f.module), ctx, code, line, column, got, want, text(f.module, what))


def room_left(f: Builder, ctx: Value, top: Value) -> Value:
    """Bytes between `top` and the heap, negative if they overlap."""
    heap = f.load("ptr", field(f, ctx, HEAP))
    return f.sub(f.cast("ptrtoint", heap, "i64"), f.cast("ptrtoint", top, "i64"))


def note_room(f: Builder, ctx: Value, room: Value) -> None:
    """Remember the least room."""
    at = field(f, ctx, ROOM)
    f.store(f.imin(room, f.load("i64", at)), at)
