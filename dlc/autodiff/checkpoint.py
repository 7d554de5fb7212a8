"""`@checkpoint`: computing again instead of keeping.

    none       nothing is kept between the halves: the backward half runs the forward half first
    every=k    each loop becomes a loop over chunks of k turns, and a chunk is `none`: what is kept
               are the carried values at the start of every chunk
    sqrt       the same with chunks of sqrt(n) turns; where n is not known before (`while`), chunks
               of 1, 2, 3, … turns, so that n turns take about sqrt(2 n) chunks

A loop of n turns with r bytes a turn and c bytes of carried values so keeps n / k * c and, while a
chunk runs backwards, k * r, instead of n * r; every turn runs once more. A function without loops
is `none` in every mode.

In a recursion, running again from above would run each subtree once for every node above it. So
there the results of recursive calls are kept, and everything else that the body computes is
computed again. Loops that hold no recursive call are split as above.

Source: Griewank 1992 (checkpoints), Chen et al. 2016 (sqrt).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from dlc.autodiff.mirror import Block, Node
from dlc.ir.core import Attr, Function, Op, Region, Signature, Value, freeze_attrs, walk
from dlc.ir.names import DimNames, defined_dims
from dlc.ir.rewrite import Substitution, all_dims, copy_function, free_values, used_dims
from dlc.ops.build import Builder
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import BOOL, F32, I32
from dlc.typesys.types import SCALAR_I32, Type, type_symbols

Allows = Callable[[Node], bool]

AGAIN = ".again"
"""What is appended to the name of a function to name its copy that is not checkpointed."""


def is_checkpointed(f: Function) -> bool:
    return "checkpoint" in f.attrs


def uncheckpointed(f: Function) -> Function:
    """The function under another name, to be differentiated as if nothing had been said."""
    return replace(f, name=f.name + AGAIN, attrs=freeze_attrs({}))


@dataclass(frozen=True)
class Split:
    """A function whose loops run over chunks, and the functions that run one chunk."""

    function: Function
    chunks: tuple[Function, ...]


def split_loops(f: Function, group: tuple[str, ...]) -> Split:
    """The outermost loops of `f` over chunks. Left as they are: loops with a recursive call inside,
    and loops that carry values of hidden size. `none` splits nothing."""
    mode = f.attrs.get("checkpoint", "none")
    if mode == "none":
        return Split(f, ())
    every = f.attrs.get("checkpoint_every", 0) if mode == "every" else 0
    assert isinstance(every, int)
    s = _Splitter(f, group, every)
    body = s.region(f.body)
    return Split(f.with_body(body), tuple(s.chunks))


class _Splitter:
    def __init__(self, f: Function, group: tuple[str, ...], every: int) -> None:
        self.f, self.group, self.every = f, group, every
        self.names = DimNames([*all_dims(f), *used_dims(f.body.ops)])
        self.values = Substitution()
        self.chunks: list[Function] = []

    def region(self, r: Region) -> Region:
        out: list[Op] = []
        for op in r.ops:
            now = replace(op, operands=tuple(map(self.values.value, op.operands)))
            if op.name in ("for", "loop"):
                out += self.loop(Substitution(self.values.values).op(now))
            else:
                out.append(replace(now, regions=tuple(map(self.region, op.regions))))
        return Region(r.params, tuple(out), r.dims)

    def loop(self, op: Op) -> list[Op]:
        if op.dims or op.regions[0].dims or calls_any(walk(op.regions[0]), self.group):
            return [op]
        b = Builder({}, self.names, op.loc)
        results = self.counted(b, op) if op.name == "for" else self.general(b, op)
        self.values.values.update(zip(op.results, results, strict=True))
        return b.ops

    def counted(self, b: Builder, op: Op) -> tuple[Value, ...]:
        """`for c in 0..chunks`: the chunk's bounds, then the chunk. In a loop that runs backwards
        the first chunk is the last part of the range."""
        lo, hi, inits = op.operands[0], op.operands[1], op.operands[2:]
        t = lo.tensor.dtype
        exits = op.attrs.get("exits", False) is True
        reverse = op.attrs.get("reverse", False) is True
        zero = b.scalar(0, t)
        n = b.emit("max", b.emit("sub", hi, lo), zero)
        k = b.scalar(self.every, t) if self.every else _root(b, n)
        count = b.emit("floordiv", b.emit("add", n, b.emit("sub", k, b.scalar(1, t))), k)
        chunk = self.chunk(op, (lo.type, lo.type), exits)
        body = b.nested((lo.type, *(v.type for v in inits)), ("c",))
        done = body.emit("mul", body.params[0], k)
        if reverse:
            last = body.emit("sub", hi, done)
            first = body.emit("sub", last, body.emit("min", k, body.emit("sub", last, lo)))
        else:
            first = body.emit("add", lo, done)
            last = body.emit("add", first, body.emit("min", k, body.emit("sub", hi, first)))
        given = [*chunk.captured, *body.params[1:], first, last]
        out = body.call(chunk.signature, given, chunk.dims)
        return b.for_(zero, count, inits, body.yield_(*out), exits=exits)

    def general(self, b: Builder, op: Op) -> tuple[Value, ...]:
        """`loop` over chunks; the number of turns in the next one is carried, and grows."""
        inits = op.operands
        chunk = self.chunk(op, (SCALAR_I32,), True)
        body = b.nested((SCALAR_I32, *(v.type for v in inits)), ("turns",))
        k = body.params[0]
        given = [*chunk.captured, *body.params[1:], k]
        go, *out = body.call(chunk.signature, given, chunk.dims)
        after = k if self.every else body.emit("add", k, body.scalar(1, I32))
        region = body.yield_(go, after, *out)
        return b.loop((b.scalar(self.every or 1, I32), *inits), region)[1:]

    def chunk(self, op: Op, bounds: tuple[Type, ...], exits: bool) -> _Chunk:
        """The function that runs the body over a range: captured values, carried values, bounds
        (one bound: a number of turns) -> (go, if the loop has an exit; carried values)."""
        region = op.regions[0]
        counted = op.name == "for"
        captured = free_values(region)
        carries = region.params[1:] if counted else region.params
        inits = tuple(Value(v.type, v.hint) for v in carries)
        ends = tuple(Value(t, "end") for t in bounds)
        dims = _free_dims(region, (*captured, *carries))
        b = Builder({}, DimNames([*dims, *all_dims(self.f)]), op.loc, (*captured, *inits, *ends))
        index = region.params[0] if counted else Value(SCALAR_I32, "turn")
        lo, hi = ends if counted else (b.scalar(0, I32), ends[0])
        params, yields = (index, *carries), region.yields
        if exits:
            params = (*params, Value(yields[0].type, "go"))
            yields = (*yields, yields[0])
            inits = (*inits, b.scalar(True, BOOL))
        end = replace(region.terminator, operands=yields)
        body = Region(params, (*region.ops[:-1], end))
        reverse = op.attrs.get("reverse", False) is True
        out = b.for_(lo, hi, inits, body, exits=exits, reverse=reverse)
        returned = (out[-1], *out[:-1]) if exits else out
        name = f"{self.f.name}.chunk{len(self.chunks) + 1}"
        attrs: dict[str, Attr] = {"checkpoint": "none"}
        fn = b.function(name, dims, b.return_(*returned), attrs=attrs, loc=op.loc)
        fn = copy_function(fn, name)
        self.chunks.append(fn)
        return _Chunk(fn.signature, captured, tuple(map(Dim.sym, dims)))


@dataclass(frozen=True)
class _Chunk:
    """The function of a chunk, the values that it takes from around the loop, and the dims."""

    signature: Signature
    captured: tuple[Value, ...]
    dims: tuple[Dim, ...]


def _root(b: Builder, n: Value) -> Value:
    """The least whole number from sqrt(n) up, at least 1; beyond 2^24 it may be one off, which
    chunks may. f32 because every target has it."""
    t = n.tensor.dtype
    root = b.emit("ceil", b.emit("sqrt", b.emit("convert", n, dtype=F32)))
    return b.emit("max", b.emit("convert", root, dtype=t), b.scalar(1, t))


def _free_dims(region: Region, values: tuple[Value, ...]) -> tuple[str, ...]:
    """The dim names that the region and these values mention and the region doesn't define."""
    own = set(defined_dims(region))
    seen = [s for v in values for s in type_symbols(v.type)]
    return tuple(d for d in dict.fromkeys([*seen, *used_dims(region.ops)]) if d not in own)


# -- what may run again in a recursion


def calls_any(ops: Iterable[Op], group: tuple[str, ...]) -> bool:
    """Whether one of the operations calls a function of the group (regions are not looked into)."""
    return any(op.name == "call" and op.attrs["fn"] in group for op in ops)


@dataclass(frozen=True)
class Again:
    """What a checkpointed recursion computes again: everything but the recursive calls and what
    holds them (`recursing`). A loop without a recursive call runs again as a whole, so its turns
    keep what they need as usual."""

    recursing: frozenset[Node]

    @staticmethod
    def of(block: Block, group: tuple[str, ...]) -> Again:
        """For a function's body, before its calls have been replaced by forward halves."""
        found: set[Node] = set()

        def look(b: Block) -> bool:
            inside = False
            for n in b.flat():
                deep = [look(c) for c in n.blocks]
                if any(deep) or (n.name == "call" and n.attrs["fn"] in group):
                    found.add(n)
                    inside = True
            return inside

        look(block)
        return Again(frozenset(found))

    def in_loop(self, body: Block) -> Allows | None:
        """What may run again in a turn of a loop."""
        return self.allows if any(n in self.recursing for n in body.flat()) else None

    def allows(self, n: Node) -> bool:
        """Whether the operation may run again. Operations that define dims may not: what has these
        dims is kept with them."""
        return not n.dims and n not in self.recursing
