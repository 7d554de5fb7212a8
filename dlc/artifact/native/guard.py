"""Checks that end a function with a status, written into the caller's error record."""

from __future__ import annotations

from dlc.artifact.capi import ERROR_SIZE
from dlc.targets.cpu.emit import context
from dlc.targets.cpu.emit.entry import (
    ERR_CODE,
    ERR_COLUMN,
    ERR_GOT,
    ERR_LINE,
    ERR_WANT,
    ERR_WHAT,
    append_function,
)
from dlc.targets.cpu.llvm import INDEX, Builder, Function, Module, Operand, Value
from dlc.typesys.interface import Place

NULL = Value("ptr", "null")
NOWHERE = Place("", 0, 0)


class Guard:
    """A function that returns a status; `err` is its error record, or null."""

    def __init__(self, f: Builder, err: Value) -> None:
        self.f, self.err = f, err

    def require(
        self,
        ok: Value,
        status: str,
        what: str,
        got: Operand = 0,
        want: Operand = 0,
        place: Place = NOWHERE,
    ) -> None:
        """Goes on if `ok`, else returns the status."""
        f = self.f
        good, bad = f.label("ok"), f.label("bad")
        f.branch_if(ok, good, bad)
        f.start(bad)
        text = context.text(f.module, what)
        code = f.call(
            fail_function(f.module), self.err, context.status(status), place.line, place.column,
            got, want, text, text, text, 1,
        )  # fmt: skip
        f.ret(code)
        f.start(good)

    def passed(self, code: Value) -> None:
        """Goes on if the status is 0, else returns it."""
        f = self.f
        good, bad = f.label("ok"), f.label("bad")
        f.branch_if(f.icmp("eq", code, 0), good, bad)
        f.start(bad)
        f.ret(code)
        f.start(good)

    def error_record(self) -> None:
        """Refuses an error record that is too small, without touching it."""
        f = self.f
        there, bad, good = f.label("there"), f.label("bad"), f.label("ok")
        f.branch_if(f.icmp("eq", self.err, NULL), good, there)
        f.start(there)
        f.branch_if(f.icmp("ult", f.load("i32", self.err), ERROR_SIZE), bad, good)
        f.start(bad)
        f.ret(Value("i32", str(context.status("abi"))))
        f.start(good)

    def struct(self, at: Value, size: int | Value, number: int, what: str) -> None:
        """Checks a struct's address, size and build."""
        f = self.f
        self.require(f.icmp("ne", at, NULL), "arg", f"{what}: null")
        have = f.load("i32", at)
        self.require(
            f.icmp("eq", have, size), "abi", f"{what}: size", f.cast("zext", have, INDEX),
            f.cast("zext", size, INDEX) if isinstance(size, Value) else size,
        )  # fmt: skip
        abi = f.load("i32", f.gep("i8", at, 4))
        wanted = Value("i32", str(number))
        self.require(
            f.icmp("eq", abi, wanted), "abi", f"{what}: made for another build",
            f.cast("zext", abi, INDEX), number,
        )  # fmt: skip


def size_of(f: Builder, llvm: str) -> Value:
    """`sizeof` of an LLVM struct type on the target."""
    end = f.let("ptr", f"getelementptr {llvm}, ptr null, i32 1")
    return f.cast("ptrtoint", end, "i32")


_PARAMS = (
    ("ptr", "err"), ("i32", "code"), ("i32", "line"), ("i32", "column"), (INDEX, "got"),
    (INDEX, "want"), ("ptr", "a"), ("ptr", "b"), ("ptr", "c"), ("i32", "texts"),
)  # fmt: skip


def fail_function(module: Module) -> Function:
    """`dlc.api.fail(err, code, line, column, got, want, a, b, c, texts)`: fill in the error record,
    if there is one, and return the code. The first 1 or 3 texts follow each other in `what`."""

    def emit() -> tuple[Function, str]:
        f = Builder(module, "dlc.api.fail", "i32", _PARAMS, inline="never", attributes="cold")
        err, code, line, column, got, want, a, b, c, texts = f.params
        with f.when(f.icmp("eq", err, NULL)):
            f.ret(code)
        for x, at in (
            (code, ERR_CODE), (line, ERR_LINE), (column, ERR_COLUMN), (got, ERR_GOT),
            (want, ERR_WANT),
        ):  # fmt: skip
            f.store(x, f.gep("i8", err, at))
        append = append_function(module)
        what = f.gep("i8", err, ERR_WHAT)
        end = f.call(append, what, f.index(0), a)
        with f.when(f.icmp("sgt", texts, 1)):
            second = f.call(append, what, end, b)
            f.call(append, what, second, c)
        f.ret(code)
        return f.finish()

    return module.function("dlc.api.fail", emit)
