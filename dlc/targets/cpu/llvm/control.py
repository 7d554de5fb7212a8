"""Blocks, loops and branches of a function's text, in SSA form."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from dlc.diag import InternalError
from dlc.targets.cpu.llvm.module import Module
from dlc.targets.cpu.llvm.types import INDEX, Value


class Loop:
    """A loop being written: its index, and what it carries from turn to turn.

    `carried` are the values at the start of a turn; after the loop, the same values are its
    results.
    """

    def __init__(self, index: Value, carried: tuple[Value, ...]) -> None:
        self.index = index
        self.carried = carried
        self.following: tuple[Value, ...] | None = None if carried else ()

    def next(self, *values: Value) -> None:
        """What the next turn starts with."""
        if [v.type for v in values] != [v.type for v in self.carried]:
            raise InternalError("a loop carries other types than it started with")
        self.following = values


class Control:
    """The part of `Builder` that makes blocks. `block` is the label being filled, "" after a
    terminator."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.block = "entry"
        self.debug = ""
        self._entry: list[str] = []
        self._lines: list[str] = []
        self._next = 0
        self._labels = 0

    # -- lines ----------------------------------------------------------------------------------

    def fresh(self) -> str:
        """A name that is not taken."""
        self._next += 1
        return f"%v{self._next}"

    def line(self, text: str) -> None:
        """An instruction without a result."""
        if not self.block:
            raise InternalError(f"an instruction after the end of a block: {text}")
        self._lines.append(f"  {text}, !dbg {self.debug}" if self.debug else f"  {text}")

    def let(self, type_: str, text: str) -> Value:
        """An instruction with a result of `type_`."""
        name = self.fresh()
        self.line(f"{name} = {text}")
        return Value(type_, name)

    # -- blocks ---------------------------------------------------------------------------------

    def label(self, hint: str) -> str:
        """A label that is not taken; no block starts yet."""
        self._labels += 1
        return f"{hint}{self._labels}"

    def start(self, label: str) -> None:
        """Begin a block; falls through from an open one."""
        if self.block:
            self.branch(label)
        self._lines.append(f"{label}:")
        self.block = label

    def branch(self, label: str) -> None:
        self.line(f"br label %{label}")
        self.block = ""

    def branch_if(self, condition: Value, yes: str, no: str) -> None:
        self.line(f"br {condition}, label %{yes}, label %{no}")
        self.block = ""

    def ret(self, x: Value | None = None) -> None:
        self.line("ret void" if x is None else f"ret {x}")
        self.block = ""

    def ret_many(self, *xs: Value) -> None:
        """Return a struct of several values."""
        t = "{ " + ", ".join(x.type for x in xs) + " }"
        agg = Value(t, "poison")
        for i, x in enumerate(xs):
            agg = self.let(t, f"insertvalue {agg}, {x}, {i}")
        self.ret(agg)

    def field(self, x: Value, at: int, type_: str) -> Value:
        """A field of a returned struct."""
        return self.let(type_, f"extractvalue {x}, {at}")

    def unreachable(self) -> None:
        self.line("unreachable")
        self.block = ""

    def switch(self, x: Value, default: str, cases: Sequence[tuple[int, str]]) -> None:
        listed = " ".join(f"{x.type} {n}, label %{label}" for n, label in cases)
        self.line(f"switch {x}, label %{default} [ {listed} ]")
        self.block = ""

    def phi(self, type_: str, edges: Sequence[tuple[Value, str]]) -> Value:
        """A merge at the start of a block: (value, label it comes from)."""
        listed = ", ".join(f"[ {v.text}, %{label} ]" for v, label in edges)
        return self.let(type_, f"phi {type_} {listed}")

    # -- structured -----------------------------------------------------------------------------

    @contextmanager
    def loop(
        self,
        lo: Value | int,
        hi: Value | int,
        step: Value | int = 1,
        *,
        carried: Sequence[Value] = (),
        name: str = "for",
    ) -> Generator[Loop]:
        """for (i = lo; i < hi; i += step), tested at the head, so no turn is a turn too many.

        Afterwards `carried` are the results and `index` the first number not below `hi`.
        """
        head, body, done = (self.label(f"{name}.{s}") for s in ("head", "body", "done"))
        start, stop, by = (
            x if isinstance(x, Value) else Value(INDEX, str(x)) for x in (lo, hi, step)
        )
        before = self.block
        self.start(head)
        index = Value(start.type, self.fresh())
        loop = Loop(index, tuple(Value(c.type, self.fresh()) for c in carried))
        slots: list[int] = []
        for _ in range(1 + len(carried)):
            slots.append(len(self._lines))
            self.line("phi")
        more = self.let("i1", f"icmp slt {index}, {stop.text}")
        self.branch_if(more, body, done)
        self.start(body)
        yield loop
        if loop.following is None:
            raise InternalError("a loop does not say what its next turn starts with")
        after = self.let(index.type, f"add nsw {index}, {by.text}")
        latch = self.block
        self.branch(head)
        self._close(
            slots,
            (index, *loop.carried),
            before,
            (start, *carried),
            latch,
            (after, *loop.following),
        )
        self.start(done)

    def _close(
        self,
        slots: Sequence[int],
        phis: Sequence[Value],
        before: str,
        firsts: Sequence[Value],
        latch: str,
        thens: Sequence[Value],
    ) -> None:
        """Write the phis of a loop's head, now that the values of its next turn are known."""
        for at, x, first, then in zip(slots, phis, firsts, thens, strict=True):
            edges = f"[ {first.text}, %{before} ], [ {then.text}, %{latch} ]"
            self._lines[at] = f"  {x.text} = phi {x.type} {edges}"

    def loop_while(
        self,
        carried: Sequence[Value],
        test: Callable[[tuple[Value, ...]], Value],
        body: Callable[[tuple[Value, ...]], Sequence[Value]],
        name: str = "while",
    ) -> tuple[Value, ...]:
        """while test(carried): carried = body(carried). Returns the last `carried`."""
        head, inside, done = (self.label(f"{name}.{s}") for s in ("head", "body", "done"))
        before = self.block
        self.start(head)
        current = tuple(Value(c.type, self.fresh()) for c in carried)
        slots = range(len(self._lines), len(self._lines) + len(carried))
        for _ in carried:
            self.line("phi")
        self.branch_if(test(current), inside, done)
        self.start(inside)
        following = body(current)
        latch = self.block
        self.branch(head)
        self._close(slots, current, before, carried, latch, following)
        self.start(done)
        return current

    @contextmanager
    def when(self, condition: Value) -> Generator[None]:
        """if condition: …"""
        yes, done = self.label("then"), self.label("done")
        self.branch_if(condition, yes, done)
        self.start(yes)
        yield
        if self.block:
            self.branch(done)
        self.start(done)

    def if_else(
        self,
        condition: Value,
        then: Callable[[], Sequence[Value]],
        otherwise: Callable[[], Sequence[Value]],
    ) -> tuple[Value, ...]:
        """Both branches give as many values of the same types; the merged ones come back."""
        yes, no, done = self.label("then"), self.label("else"), self.label("done")
        self.branch_if(condition, yes, no)
        self.start(yes)
        a = tuple(then())
        from_yes = self.block
        self.branch(done)
        self.start(no)
        b = tuple(otherwise())
        from_no = self.block
        self.branch(done)
        self.start(done)
        return tuple(
            self.phi(x.type, ((x, from_yes), (y, from_no))) for x, y in zip(a, b, strict=True)
        )
