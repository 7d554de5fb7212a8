"""Writes LLVM functions as text: values are names or literals, loops and choices are made with
their phis."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

PLAIN_LOOPS = """!0 = distinct !{!0, !1, !2}
!1 = !{!"llvm.loop.vectorize.enable", i1 false}
!2 = !{!"llvm.loop.unroll.disable"}"""
"""Metadata of the loops that aren't worth the code."""
LLVM_TYPES = {"i": "i64", "f": "float", "b": "i1"}


def real(value: float) -> str:
    """A float constant; LLVM spells it by the bits of the double that equals it."""
    rounded = struct.unpack("<f", struct.pack("<f", value))[0]
    return f"0x{struct.unpack('<Q', struct.pack('<d', rounded))[0]:016X}"


class Builder:
    """One function under construction. A value is its LLVM name or literal; types are given where
    they are used."""

    def __init__(self, head: str) -> None:
        self.head = head
        self.entry: list[str] = []
        """Lines that run first: what is computed once for the function."""
        self.lines: list[str] = []
        self.block = "start"
        self._names = 0
        self._memo: dict[str, str] = {}
        self.vectorise = False
        """Whether LLVM may unroll and vectorise the loops that are made from now on."""

    def fresh(self, hint: str = "") -> str:
        self._names += 1
        return f"{hint}{self._names}"

    def op(self, text: str) -> str:
        """An instruction with a result."""
        name = f"%{self.fresh('x')}"
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        """An instruction without a result."""
        self.lines.append(f"  {text}")

    def load(self, type_: str, base: str, index: str, align: int) -> str:
        """Entry `index` of the array at a pointer."""
        at = self.op(f"getelementptr {type_}, ptr {base}, i64 {index}")
        return self.op(f"load {type_}, ptr {at}, align {align}")

    def store(self, type_: str, value: str, base: str, index: str, align: int) -> None:
        at = self.op(f"getelementptr {type_}, ptr {base}, i64 {index}")
        self.do(f"store {type_} {value}, ptr {at}, align {align}")

    def select(self, test: str, type_: str, yes: str, no: str) -> str:
        return self.op(f"select i1 {test}, {type_} {yes}, {type_} {no}")

    def is_nan(self, x: str) -> str:
        return self.op(f"fcmp uno float {x}, {x}")

    def once(self, text: str) -> str:
        """An instruction of the entry block, the same name for the same text."""
        if text not in self._memo:
            name = f"%{self.fresh('e')}"
            self.entry.append(f"  {name} = {text}")
            self._memo[text] = name
        return self._memo[text]

    def alloca(self, type_: str) -> str:
        """Stack memory of the function."""
        name = f"%{self.fresh('a')}"
        self.entry.append(f"  {name} = alloca {type_}, align 64")
        return name

    def start(self, label: str) -> None:
        """Begin a block."""
        self.lines.append(f"{label}:")
        self.block = label

    def jump(self, label: str) -> None:
        self.do(f"br label %{label}")

    def branch(self, test: str, yes: str, no: str) -> None:
        self.do(f"br i1 {test}, label %{yes}, label %{no}")

    # -- shapes of control -------------------------------------------------------------------------

    def choose(self, test: str, yes: Callable[[], str], no: Callable[[], str], type_: str) -> str:
        """A value of which only one side is evaluated."""
        tag = self.fresh()
        self.branch(test, f"yes{tag}", f"no{tag}")
        found: list[tuple[str, str]] = []
        for label, side in ((f"yes{tag}", yes), (f"no{tag}", no)):
            self.start(label)
            value = side()
            found.append((value, self.block))
            self.jump(f"met{tag}")
        self.start(f"met{tag}")
        return self.phi(type_, found)

    def phi(self, type_: str, found: Sequence[tuple[str, str]]) -> str:
        return self.op(
            f"phi {type_} " + ", ".join(f"[ {value}, %{label} ]" for value, label in found)
        )

    def switch(self, value: str, cases: Sequence[tuple[int, Callable[[], str]]], type_: str) -> str:
        """The value of the case that an i64 names; the last case also stands for every other
        number."""
        tag = self.fresh()
        labels = [f"case{tag}.{k}" for k in range(len(cases))]
        table = " ".join(
            f"i64 {number}, label %{label}"
            for (number, _), label in zip(cases[:-1], labels, strict=False)
        )
        self.do(f"switch i64 {value}, label %{labels[-1]} [ {table} ]")
        found: list[tuple[str, str]] = []
        for label, (_, side) in zip(labels, cases, strict=True):
            self.start(label)
            result = side()
            found.append((result, self.block))
            self.jump(f"met{tag}")
        self.start(f"met{tag}")
        return self.phi(type_, found) if type_ else ""

    def when(self, test: str, body: Callable[[], None]) -> None:
        """A body that runs where the test holds."""
        tag = self.fresh()
        self.branch(test, f"when{tag}", f"met{tag}")
        self.start(f"when{tag}")
        body()
        self.jump(f"met{tag}")
        self.start(f"met{tag}")

    def loop(
        self,
        count: str,
        body: Callable[..., Sequence[str]],
        carried: Sequence[tuple[str, str]] = (),
        until: bool = False,
    ) -> tuple[str, ...]:
        """`for k < count: carried = body(k, *carried)`; carried are (type, start). Returns their
        last values.

        With `until`, the first carried value is an i1 that ends the loop as soon as it is true.
        """
        tag = self.fresh()
        before = self.block
        self.jump(f"head{tag}")
        self.start(f"head{tag}")
        k = f"%k{tag}"
        names = [f"%c{tag}.{n}" for n in range(len(carried))]
        at = len(self.lines)
        more = self.op(f"icmp slt i64 {k}, {count}")
        if until:
            more = self.op(f"select i1 {names[0]}, i1 false, i1 {more}")
        self.branch(more, f"body{tag}", f"done{tag}")
        self.start(f"body{tag}")
        results = body(k, *names)
        following = self.op(f"add nuw nsw i64 {k}, 1")
        latch = self.block
        self.do(f"br label %head{tag}" + ("" if self.vectorise else ", !llvm.loop !0"))
        phis = [f"  {k} = phi i64 [ 0, %{before} ], [ {following}, %{latch} ]"]
        for name, (type_, first), result in zip(names, carried, results, strict=True):
            phis.append(f"  {name} = phi {type_} [ {first}, %{before} ], [ {result}, %{latch} ]")
        self.lines[at:at] = phis
        self.start(f"done{tag}")
        return tuple(names)

    def finish(self) -> str:
        """The text of the function. One that says nothing about it isn't inlined."""
        quiet = "inline" not in self.head and "internal" in self.head
        return "\n".join(
            [
                f"{self.head}{' noinline' if quiet else ''} {{",
                "entry:",
                *self.entry,
                "  br label %start",
                "start:",
                *self.lines,
                "}",
            ]
        )
