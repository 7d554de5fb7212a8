"""Register tiles: the innermost loops of every matrix product.

A tile computes c[i, j] (+)= sum over k of a[i, k] b[k, j] for a few rows i (its height) and one to
four vectors of columns j, with all sums in registers: for each k a row of b is loaded once, each
a[i, k] is spread over a vector, and height x width multiply-adds follow. Heights of up to three
keep several sums for each element (k modulo 4 or 2), because so few chains of multiply-adds would
wait for each other; they are added up in pairs at the end. For greater heights the sum runs over k
in order.
"""

from __future__ import annotations

from dataclasses import dataclass

from dlc.targets.cpu.kernels.operands import Operands
from dlc.targets.cpu.kernels.simd import first_lanes, partial_load, partial_store, zero
from dlc.targets.cpu.llvm import INDEX, Builder, Function, Module, Target, Value


@dataclass(frozen=True, slots=True)
class Shape:
    """The largest tile of a machine: rows, and columns in vectors."""

    height: int
    width: int


def largest(target: Target) -> Shape:
    """What fits into the registers: height x width sums, a row of b, and one element of a."""
    if target.vector_registers >= 32:
        return Shape(6, 4) if target.is_x86 else Shape(4, 4)
    return Shape(6, 2) if target.f32_lanes > 1 and target.vector_registers >= 16 else Shape(2, 2)


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile. `a_order`: "row" if a[i, k] lies at i * lda + k, "col" if at i + k * lda.

    `lanes` is 1 for the last columns on machines without masks; `masked` tiles are one vector wide
    and take the number of columns that exist.
    """

    operands: Operands
    a_order: str
    height: int
    width: int
    lanes: int
    masked: bool = False
    packed: bool = False
    """b has all columns of the last vector, also those beyond the matrix."""

    @property
    def symbol(self) -> str:
        kind = "masked" if self.masked else ""
        kind += "packed" if self.masked and self.packed else ""
        shape = f"{self.height}x{self.width}x{self.lanes}{kind}"
        return f"dlc.tile.{self.a_order}.{shape}.{self.operands.name}"

    @property
    def splits(self) -> int:
        """Sums kept for each element."""
        return {1: 4, 2: 2, 3: 2}.get(self.height, 1)


def tile_function(module: Module, tile: Tile) -> Function:
    """`void (k, a, lda, b, ldb, c, ldc, accumulate, columns)`; strides count elements.

    `accumulate` says whether c is added to or overwritten; `columns` matters to masked tiles only.
    """

    def emit() -> tuple[Function, str]:
        params = [
            (INDEX, "k"),
            ("ptr", "a"),
            (INDEX, "lda"),
            ("ptr", "b"),
            (INDEX, "ldb"),
            ("ptr noalias", "c"),
            (INDEX, "ldc"),
            ("i1", "accumulate"),
            (INDEX, "columns"),
        ]
        f = Builder(module, tile.symbol, "void", params, inline="never")
        _Writer(f, tile).write()
        f.ret()
        return f.finish()

    return module.function(tile.symbol, emit)


class _Writer:
    """The text of one tile."""

    def __init__(self, f: Builder, tile: Tile) -> None:
        self.f, self.tile, self.ops = f, tile, tile.operands
        self.k, self.a, self.lda, self.b, self.ldb, self.c, self.ldc, self.add, self.columns = (
            f.params
        )
        self.type = self.ops.vector(tile.lanes)
        self.count = tile.height * tile.width
        # Columns of each vector that exist (0 or less: none; the lanes or more: all), and as masks.
        self.left = [
            f.sub(self.columns, j * tile.lanes) for j in range(tile.width if tile.masked else 0)
        ]
        self.masks = [first_lanes(f, left, tile.lanes) for left in self.left]

    def write(self) -> None:
        f, tile = self.f, self.tile
        rows = [f.gep(self.ops.memory("c"), self.c, f.mul(self.ldc, i)) for i in range(tile.height)]
        firsts = f.if_else(self.add, lambda: self._load_c(rows), self._zeros)
        a_rows = self._a_rows()
        sums = [*firsts, *self._zeros() * (tile.splits - 1)]
        sums = self._loop(sums, a_rows)
        self._store_c(rows, self._joined(sums))

    def _zeros(self) -> list[Value]:
        return [zero(self.type)] * self.count

    def _a_rows(self) -> list[Value]:
        """Where each row of a starts (one address for "col": rows are neighbours there)."""
        if self.tile.a_order == "col":
            return [self.a]
        memory = self.ops.memory("a")
        return [
            self.f.gep(memory, self.a, self.f.mul(self.lda, i)) for i in range(self.tile.height)
        ]

    def _loop(self, sums: list[Value], a_rows: list[Value]) -> list[Value]:
        """All of k, `splits` steps a turn, then one by one into the first sums."""
        f, splits, n = self.f, self.tile.splits, self.count
        start = f.index(0)
        b = self.b
        if splits > 1:
            whole = f.and_(self.k, -splits)
            with f.loop(0, whole, splits, carried=[self.b, *sums], name="k") as loop:
                b, *current = loop.carried
                following: list[Value] = []
                for s in range(splits):
                    at = f.add(loop.index, s) if s else loop.index
                    following += self._step(at, b, current[s * n : (s + 1) * n], a_rows)
                    b = f.gep(self.ops.memory("b"), b, self.ldb)
                loop.next(b, *following)
            start = loop.index
            b, *sums = loop.carried
        with f.loop(start, self.k, carried=[b, *sums[:n]], name="k") as loop:
            b, *current = loop.carried
            after = self._step(loop.index, b, current, a_rows)
            loop.next(f.gep(self.ops.memory("b"), b, self.ldb), *after)
        return [*loop.carried[1:], *sums[n:]]

    def _step(self, k: Value, b: Value, sums: list[Value], a_rows: list[Value]) -> list[Value]:
        """One k: a row of b, and each element of a's column k times it."""
        f, tile = self.f, self.tile
        memory = self.ops.memory("a")
        columns = [self._load_b(b, j) for j in range(tile.width)]
        if tile.a_order == "col":
            column = f.gep(memory, self.a, f.mul(k, self.lda))
            places = [f.gep(memory, column, i) for i in range(tile.height)]
        else:
            places = [f.gep(memory, row, k) for row in a_rows]
        out: list[Value] = []
        for i, place in enumerate(places):
            x = f.splat(self.ops.load(f, "a", place), tile.lanes)
            for j, column in enumerate(columns):
                out.append(self.ops.mac(f, x, column, sums[i * tile.width + j]))
        return out

    def _load_b(self, b: Value, j: int) -> Value:
        f, tile = self.f, self.tile
        place = f.gep(self.ops.memory("b"), b, j * tile.lanes)
        if tile.masked and not tile.packed:
            x = self._partial(self.ops.b, place, j)
            return self.ops.widen(f, x, self.ops.b)
        return self.ops.load(f, "b", place, tile.lanes)

    def _partial(self, dtype: str, place: Value, j: int) -> Value:
        lanes = self.tile.lanes
        return partial_load(self.f, dtype, place, self.left[j], lanes, self.masks[j])

    def _place(self, row: Value, j: int) -> Value:
        return self.f.gep(self.ops.memory("c"), row, j * self.tile.lanes)

    def _load_c(self, rows: list[Value]) -> list[Value]:
        f, tile = self.f, self.tile
        if tile.masked:
            raw = [
                self._partial(self.ops.c, self._place(row, j), j)
                for row in rows
                for j in range(tile.width)
            ]
            return [self.ops.widen(f, x, self.ops.c) for x in raw]
        return [
            self.ops.load(f, "c", self._place(row, j), tile.lanes)
            for row in rows
            for j in range(tile.width)
        ]

    def _store_c(self, rows: list[Value], sums: list[Value]) -> None:
        f, tile = self.f, self.tile
        for i, row in enumerate(rows):
            for j in range(tile.width):
                x = sums[i * tile.width + j]
                place = self._place(row, j)
                if tile.masked:
                    y, mask = self.ops.narrow(f, x), self.masks[j]
                    partial_store(f, self.ops.c, y, place, self.left[j], mask)
                else:
                    self.ops.store(f, x, place)

    def _joined(self, sums: list[Value]) -> list[Value]:
        """The sums of each element added up, in pairs: (0 + 1) + (2 + 3)."""
        groups = [sums[s * self.count : (s + 1) * self.count] for s in range(self.tile.splits)]
        while len(groups) > 1:
            groups = [
                [self.f.plus(x, y) for x, y in zip(a, b, strict=True)]
                for a, b in zip(groups[::2], groups[1::2], strict=True)
            ]
        return groups[0]


def column_of_tiles(
    module: Module, ops: Operands, a_order: str, edge: str, packed: bool
) -> Function:
    """`void (m, k, a, lda, b, ldb, c, ldc, accumulate, columns)`: m rows of tiles below each other.

    `edge`: "" for full width, "vector" for one whole vector, "masked" for a part of one, "scalar"
    for one column.
    """
    target = module.target
    shape = largest(target)
    lanes = 1 if edge == "scalar" else ops.lanes(target)
    width = shape.width if edge in ("", "wide") else 1
    masked = edge in ("wide", "masked")
    kind = f".{edge}" if edge else ""
    kind += ".packed" if packed and masked else ""
    name = f"dlc.tiles.{a_order}{kind}.{ops.name}"

    def emit() -> tuple[Function, str]:
        params = [
            (INDEX, "m"),
            (INDEX, "k"),
            ("ptr", "a"),
            (INDEX, "lda"),
            ("ptr", "b"),
            (INDEX, "ldb"),
            ("ptr noalias", "c"),
            (INDEX, "ldc"),
            ("i1", "accumulate"),
            (INDEX, "columns"),
        ]
        f = Builder(module, name, "void", params, inline="never")
        m, k, a, lda, b, ldb, c, ldc, add, columns = f.params

        def rows(i: Value, height: int) -> None:
            tile = Tile(ops, a_order, height, width, lanes, masked, packed)
            step = f.mul(i, lda) if a_order == "row" else i
            a_at = f.gep(ops.memory("a"), a, step)
            c_at = f.gep(ops.memory("c"), c, f.mul(i, ldc))
            f.call(tile_function(module, tile), k, a_at, lda, b, ldb, c_at, ldc, add, columns)

        whole = f.sub(m, shape.height - 1)
        with f.loop(0, whole, shape.height, name="rows") as loop:
            rows(loop.index, shape.height)
        left = f.sub(m, loop.index)
        for height in range(1, shape.height if edge != "wide" else 1):
            with f.when(f.icmp("eq", left, height)):
                rows(loop.index, height)
        f.ret()
        return f.finish()

    return module.function(name, emit)
