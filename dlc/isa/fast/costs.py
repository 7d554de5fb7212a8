"""The cost of each instruction as LLVM text: counts, cycles of its unit, waiting; see
`dlc.isa.cost.model`."""

from __future__ import annotations

from dlc.isa import terms as t
from dlc.isa.cost.layout import UNIT_WORDS, C, CostLayout, P, U
from dlc.isa.cost.resources import Resource, Resources, fence_mask, resources
from dlc.isa.fast.context import ARGUMENTS, PARAMETERS, Context
from dlc.isa.fast.cost_support import ceiling
from dlc.isa.fast.terms import expr
from dlc.isa.fast.text import Builder
from dlc.isa.layout import D, M
from dlc.isa.model import Count, Instruction, Isa, Items, Steps, counter_names


class CostText:
    """Builds `@cost_N` of one instruction: it sees the state before, once every trap is
    excluded."""

    def __init__(
        self, isa: Isa, layout: CostLayout, instruction: Instruction, specials: tuple[str, ...]
    ) -> None:
        self.isa = isa
        self.layout = layout
        self.instruction = instruction
        names = [str(field.name) for field in instruction.operands]
        operands = "".join(f", i64 %o_{name}" for name in names)
        values = "".join(f", i64 %{name}" for name in specials)
        number = list(isa.instructions).index(instruction.mnemonic)
        head = (
            f"define internal void @cost_{number}({PARAMETERS}{operands}{values}, ptr noalias %C)"
        )
        self.b = Builder(f"{head} noinline")
        self.ctx = Context(
            isa,
            self.b,
            {name: f"%o_{name}" for name in names},
            {name: f"%{name}" for name in specials},
        )
        self.first = len(isa.actions)
        self.counters = counter_names(isa.actions, isa.spaces)

    def text(self) -> str:
        b, ctx = self.b, self.ctx
        ctx.dense = b.op(f"icmp ne i64 {self._get(C.DENSE)}, 0")
        dram = "0"
        for count in self.instruction.counts:
            dram = self._charge(count, dram)
        unit = self.isa.unit_number(self.instruction.work.unit)
        cycles = self._cycles(unit)
        needs = resources(self.instruction)
        ready = self._ready(needs)
        numbers = f"i64 {unit}, i64 {cycles}, i64 {dram}, i64 {ready}"
        end = b.op(f"call i64 @issue(ptr %C, i64 %pc, {numbers})")
        self._settle(needs, end)
        fence = fence_mask(self.instruction)
        if fence is not None:
            self._fence(fence)
        b.do("ret void")
        return b.finish()

    def _get(self, word: int | str) -> str:
        return self.b.load("i64", "%C", str(int(word) if isinstance(word, int) else word), 8)

    def _set(self, word: int | str, value: str) -> None:
        self.b.store("i64", value, "%C", str(int(word) if isinstance(word, int) else word), 8)

    def _add(self, word: int | str, value: str) -> None:
        self._set(word, self.b.op(f"add i64 {self._get(word)}, {value}"))

    # -- counts ------------------------------------------------------------------------------------

    def _charge(self, count: Count, dram: str) -> str:
        """Add a count; returns the bytes of DRAM so far."""
        b, ctx = self.b, self.ctx
        value = expr(ctx, count.value)
        if count.of is None:
            self._add(self.layout.counters + self.counters.index(count.counter), value)
            return b.op(f"add i64 {dram}, {value}") if count.counter.startswith("DRAM.") else dram
        way = 0 if count.counter == "read" else 1
        if count.of.file == "T":
            dtype = ctx.field("T", count.of.operand, D.DTYPE)
            space = ctx.field("T", count.of.operand, D.SPACE)
            amount = b.op(f"shl i64 {value}, {ctx.item_shift(dtype)}")
            place = b.op(f"shl i64 {space}, 1")
            self._add(b.op(f"add i64 {place}, {self.layout.counters + self.first + way}"), amount)
            here = ctx.test("eq", space, self.isa.space("DRAM"))
            return b.op(f"add i64 {dram}, {b.select(here, 'i64', amount, '0')}")
        self._charge_matrix(count.of.operand, value, way)
        return dram

    def _charge_matrix(self, operand: str, value: str, way: int) -> None:
        b, ctx = self.b, self.ctx
        dtype = ctx.field("W", operand, M.DTYPE)
        nibbles = b.op(f"lshr i64 {b.op(f'add i64 {value}, 1')}, 1")
        half = b.select(ctx.test("eq", dtype, 1), "i64", b.op(f"shl i64 {value}, 1"), nibbles)
        whole = b.op(f"shl i64 {value}, 2")
        stored = b.select(ctx.test("eq", dtype, 0), "i64", whole, half)
        first = self.layout.counters + self.first + way
        self._add(first + 2 * self.isa.space("WGT"), stored)
        bits = self._get(self.layout.array + P.INDEX_BITS)
        width = b.select(ctx.test("eq", bits, 0), "i64", "32", bits)
        padded = b.op(f"add i64 {b.op(f'mul i64 {value}, {width}')}, 7")
        pattern = b.select(ctx.dense, "i64", "0", b.op(f"lshr i64 {padded}, 3"))
        self._add(first + 2 * self.isa.space("IDX"), pattern)

    # -- cycles ------------------------------------------------------------------------------------

    def _cycles(self, unit: int) -> str:
        b, work = self.b, self.instruction.work
        if isinstance(work, Items):
            at = self.layout.units + UNIT_WORDS * unit
            items = ceiling(b, expr(self.ctx, work.count), self._get(at + U.PER_CYCLE))
            return b.op(f"add i64 {self._get(at + U.LATENCY)}, {items}")
        b.do("call void @array_start(ptr %C)")
        bound = expr(self.ctx, work.bound)
        steps = b.op(f"call i64 @llvm.smax.i64(i64 {bound}, i64 0)")
        if work.matrix is None or work.column is None:
            rows = expr(self.ctx, work.weight)
            b.do(f"call void @array_uniform(ptr %C, i64 {steps}, i64 {rows})")
        else:
            tag = b.fresh()
            b.branch(self.ctx.dense, f"dense{tag}", f"sparse{tag}")
            b.start(f"dense{tag}")
            height = self.ctx.field("W", work.matrix.operand, M.ROWS)
            rows = b.op(f"mul i64 {height}, {expr(self.ctx, work.weight)}")
            b.do(f"call void @array_uniform(ptr %C, i64 {steps}, i64 {rows})")
            b.jump(f"worked{tag}")
            b.start(f"sparse{tag}")
            self._columns(work, work.matrix, work.column, steps)
            b.jump(f"worked{tag}")
            b.start(f"worked{tag}")
        return b.op("call i64 @array_finish(ptr %C)")

    def _columns(self, work: Steps, matrix: t.Ref, column: t.Expr, steps: str) -> None:
        b, ctx = self.b, self.ctx
        dense, ctx.dense = ctx.dense, ""

        def step(k: str) -> tuple[()]:
            ctx.locals[work.var] = k
            j = expr(ctx, column)
            weight = expr(ctx, work.weight)
            pointers = ctx.pointer(ctx.field("W", matrix.operand, M.POINTERS), "idx")
            first = b.op(f"sext i32 {b.load('i32', pointers, j, 4)} to i64")
            following = b.op(f"add i64 {j}, 1")
            after = b.op(f"sext i32 {b.load('i32', pointers, following, 4)} to i64")
            rows = ctx.pointer(ctx.field("W", matrix.operand, M.ROW), "idx")
            at = b.op(f"getelementptr i32, ptr {rows}, i64 {first}")
            count = b.op(f"sub i64 {after}, {first}")
            b.do(f"call void @array_column(ptr %C, ptr {at}, i64 {count}, i64 {weight})")
            return ()

        b.loop(steps, step)
        ctx.dense = dense

    # -- waiting -----------------------------------------------------------------------------------

    def _interval(self, resource: Resource) -> tuple[str, str]:
        b, ctx, operand = self.b, self.ctx, str(resource.operand)
        if resource.kind == "data":
            return ctx.field("T", operand, D.LO), ctx.field("T", operand, D.HI)
        if resource.kind == "values":
            return ctx.field("W", operand, M.LO), ctx.field("W", operand, M.HI)
        assert resource.index is not None
        step = b.op(f"mul i64 {expr(ctx, resource.index)}, {resource.width}")
        at = b.op(f"add i64 {ctx.base('DRAM')}, {step}")
        return at, b.op(f"add i64 {at}, {resource.width}")

    def _slot(self, resource: Resource) -> str | int:
        if resource.kind == "core":
            return int(C.READY)
        first = int(getattr(self.layout, resource.kind))
        return self.b.op(f"add i64 {self.ctx.operands[str(resource.operand)]}, {first}")

    def _all(self, needs: Resources) -> list[tuple[Resource, bool]]:
        return [*((r, False) for r in needs.reads), *((r, True) for r in needs.writes)]

    def _ready(self, needs: Resources) -> str:
        b = self.b
        ready = "0"
        for resource, writes in self._all(needs):
            if resource.kind in ("data", "values", "word"):
                lo, hi = self._interval(resource)
                flag = "true" if writes else "false"
                time = b.op(f"call i64 @board_ready(ptr %C, i64 {lo}, i64 {hi}, i1 {flag})")
            elif resource.kind in ("r", "f") and resource.operand is None:
                time = self._whole_file(resource.kind)
            else:
                time = self._get(self._slot(resource))
            ready = b.op(f"call i64 @llvm.smax.i64(i64 {ready}, i64 {time})")
        return ready

    def _whole_file(self, kind: str) -> str:
        b = self.b
        first = int(getattr(self.layout, kind))

        def turn(k: str, latest: str) -> tuple[str]:
            time = self._get(b.op(f"add i64 {k}, {first}"))
            return (b.op(f"call i64 @llvm.smax.i64(i64 {latest}, i64 {time})"),)

        return b.loop(str(self.isa.file(kind).count), turn, [("i64", "0")])[0]

    def _settle(self, needs: Resources, end: str) -> None:
        b = self.b
        for resource, writes in self._all(needs):
            if resource.kind in ("data", "values", "word"):
                lo, hi = self._interval(resource)
                flag = "true" if writes else "false"
                numbers = f"i64 {lo}, i64 {hi}, i64 {end}, i1 {flag}"
                b.do(f"call void @board_note(ptr %C, {numbers})")
            elif writes or resource.kind == "Q":
                kept = end
                if resource.kind == "r":
                    zero = self.ctx.test("eq", self.ctx.operands[str(resource.operand)], 0)
                    kept = b.select(zero, "i64", "0", end)
                self._set(self._slot(resource), kept)

    def _fence(self, mask: t.Expr) -> None:
        b = self.b
        wanted = expr(self.ctx, mask)
        clock = self._get(C.CLOCK)
        for number in range(len(self.isa.units)):
            bit = b.op(f"and i64 {wanted}, {1 << number}")
            free = self._get(self.layout.units + UNIT_WORDS * number + U.FREE)
            waited = b.select(self.ctx.test("ne", bit, 0), "i64", free, "0")
            clock = b.op(f"call i64 @llvm.smax.i64(i64 {clock}, i64 {waited})")
        self._set(C.CLOCK, clock)


def cost_call(isa: Isa, instruction: Instruction, specials: tuple[str, ...], state: str) -> str:
    """The call of an instruction's cost function from its own."""
    number = list(isa.instructions).index(instruction.mnemonic)
    operands = "".join(f", i64 %o_{field.name}" for field in instruction.operands)
    values = "".join(f", i64 %{name}" for name in specials)
    return f"call void @cost_{number}({ARGUMENTS}{operands}{values}, ptr {state})"
