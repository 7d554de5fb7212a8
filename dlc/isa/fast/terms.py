"""Terms and statements of `do` to LLVM text: the fast machine's half of "said once, compiled
twice".

A tensor is in the *common form* when its elements are f32 or i32 (or i8, where the instruction asks
for it) and, as the instruction indexes it, without gaps: row-major for `flat` and `iflat`, last
axis adjacent for `at` and `int`. Instructions are compiled twice, for operands all in the common
form and for any; both follow the same term.
"""

from __future__ import annotations

from collections.abc import Callable

from dlc.diag import InternalError
from dlc.isa import terms as t
from dlc.isa.fast import access, effects, primitives
from dlc.isa.fast.context import Context
from dlc.isa.fast.text import LLVM_TYPES, real
from dlc.isa.fast.tiles import banked_columns, emit_banked_columns

_COMPARE = {
    "==": ("eq", "oeq"),
    "!=": ("ne", "une"),
    "<": ("slt", "olt"),
    "<=": ("sle", "ole"),
    ">": ("sgt", "ogt"),
    ">=": ("sge", "oge"),
}
_INTEGER = {"+": "add", "-": "sub", "*": "mul", "&": "and"}
_FLOAT = {"+": "fadd", "-": "fsub", "*": "fmul", "/": "fdiv"}


def expr(ctx: Context, term: t.Term) -> str:
    """The LLVM value of a term."""
    b = ctx.builder
    match term:
        case t.Int(value=value):
            return str(value)
        case t.Real(value=value):
            return real(value)
        case t.Local(name=name):
            return ctx.locals[name]
        case t.Operand(name=name):
            return ctx.operands[name]
        case t.Special(name=name):
            return ctx.specials[name]
        case t.Register(file=file, operand=operand):
            return ctx.load(file, ctx.operands[operand], "i64" if file == "r" else "float")
        case t.Element(operand=operand, access=how, indices=indices):
            return access.load_element(ctx, operand, how, [expr(ctx, i) for i in indices])
        case t.Word(space=space, view=view, index=index):
            return access.load_word(ctx, space, view, expr(ctx, index))
        case t.Minus() | t.Not() | t.Binary() | t.Compare() | t.Logic():
            return _operator(ctx, term)
        case t.Choice(test=test, yes=yes, no=no):
            return b.choose(
                expr(ctx, test),
                lambda: expr(ctx, yes),
                lambda: expr(ctx, no),
                LLVM_TYPES[term.type],
            )
        case t.Match(operand=operand, arms=arms):
            if operand in ctx.members:
                return expr(
                    ctx, next(arm for _, value, arm in arms if value == ctx.members[operand])
                )
            cases = [(value, lambda arm=arm: expr(ctx, arm)) for _, value, arm in arms]
            return b.switch(ctx.operands[operand], cases, LLVM_TYPES[term.type])
        case t.Call(name=name, args=args):
            return _call(ctx, name, args)
        case t.Quantifier():
            return _quantifier(ctx, term)
        case t.Fold(accumulator=accumulator, start=start, var=var, bound=bound, body=body):
            first, count = expr(ctx, start), expr(ctx, bound)

            def turn(k: str, value: str) -> tuple[str]:
                ctx.locals[var], ctx.locals[accumulator] = k, value
                return (expr(ctx, body),)

            return b.loop(count, turn, [(LLVM_TYPES[term.type], first)])[0]
        case t.Ref():
            raise InternalError(f"{term.file}[{term.operand}] is no number", stage="fast machine")


def _operator(ctx: Context, term: t.Minus | t.Not | t.Binary | t.Compare | t.Logic) -> str:
    b = ctx.builder
    match term:
        case t.Minus(value=value):
            inner = expr(ctx, value)
            return b.op(f"fneg float {inner}" if value.type == "f" else f"sub i64 0, {inner}")
        case t.Not(value=value):
            return b.op(f"xor i1 {expr(ctx, value)}, true")
        case t.Binary():
            return _binary(ctx, term)
        case t.Compare(op=op, left=left, right=right):
            x, y = expr(ctx, left), expr(ctx, right)
            integer, floating = _COMPARE[op]
            if left.type == "f":
                return b.op(f"fcmp {floating} float {x}, {y}")
            return b.op(f"icmp {integer} i64 {x}, {y}")
        case t.Logic(op=op, left=left, right=right):
            first = expr(ctx, left)
            if op == "and":
                return b.choose(first, lambda: expr(ctx, right), lambda: "false", "i1")
            return b.choose(first, lambda: "true", lambda: expr(ctx, right), "i1")


def _binary(ctx: Context, term: t.Binary) -> str:
    x, y = expr(ctx, term.left), expr(ctx, term.right)
    b = ctx.builder
    if term.type == "f":
        return b.op(f"{_FLOAT[term.op]} float {x}, {y}")
    if term.op in _INTEGER:
        return b.op(f"{_INTEGER[term.op]} i64 {x}, {y}")
    if (
        isinstance(term.right, t.Int)
        and term.right.value > 0
        and term.right.value & term.right.value - 1 == 0
    ):
        power = term.right.value
        return (
            b.op(f"ashr i64 {x}, {power.bit_length() - 1}")
            if term.op == "//"
            else b.op(f"and i64 {x}, {power - 1}")
        )
    return b.op(
        f"call i64 @{'floor_quotient' if term.op == '//' else 'floor_remainder'}(i64 {x}, i64 {y})"
    )


def _call(ctx: Context, name: str, args: tuple[t.Term, ...]) -> str:
    emit = primitives.EMIT.get(name)
    if emit is None:
        raise InternalError(f"the fast machine lacks the primitive `{name}`", stage="fast machine")
    given = [arg.operand if isinstance(arg, t.Ref) else expr(ctx, arg) for arg in args]
    if name in primitives.OVERLOADED:
        first = args[0]
        given.append("f" if not isinstance(first, t.Ref) and first.type == "f" else "i")
    return emit(ctx, *given)


def _quantifier(ctx: Context, term: t.Quantifier) -> str:
    b = ctx.builder
    count = expr(ctx, term.bound)
    if term.kind == "banksum":
        return _banksum(ctx, term, count)

    def turn(k: str, value: str) -> tuple[str]:
        ctx.locals[term.var] = k
        found = expr(ctx, term.body)
        return (b.op(f"add i64 {value}, {found}") if term.kind == "sum" else found,)

    if term.kind == "sum":
        return b.loop(count, turn, [("i64", "0")])[0]
    if term.kind == "any":
        return b.loop(count, turn, [("i1", "false")], until=True)[0]

    def turn_all(k: str, _: str) -> tuple[str]:
        ctx.locals[term.var] = k
        return (b.op(f"xor i1 {expr(ctx, term.body)}, true"),)

    return b.op(f"xor i1 {b.loop(count, turn_all, [('i1', 'false')], until=True)[0]}, true")


def _banksum(ctx: Context, term: t.Quantifier, count: str) -> str:
    """64 partial sums, then a tree. Without lanes whole groups of 64 go in a loop of their own,
    which LLVM can vectorise."""
    b = ctx.builder
    banks = b.alloca("[64 x float]")
    b.do(f"call void @llvm.memset.p0.i64(ptr align 64 {banks}, i8 0, i64 256, i1 false)")

    def add(bank: str, k: str) -> tuple[()]:
        ctx.locals[term.var] = k
        value = expr(ctx, term.body)
        old = b.load("float", banks, bank, 4)
        b.store("float", b.op(f"fadd float {old}, {value}"), banks, bank, 4)
        return ()

    if term.lane is None:
        positive = b.op(f"call i64 @llvm.smax.i64(i64 {count}, i64 0)")
        groups = b.op(f"lshr i64 {positive}, 6")
        done = b.op(f"shl i64 {groups}, 6")

        def after(first: str) -> Callable[[str], tuple[()]]:
            def turn(lane: str) -> tuple[()]:
                return add(lane, b.op(f"add i64 {first}, {lane}"))

            return turn

        def group(g: str) -> tuple[()]:
            b.loop("64", after(b.op(f"shl i64 {g}, 6")))
            return ()

        b.loop(groups, group)
        b.loop(b.op(f"sub i64 {count}, {done}"), after(done))
    else:
        lane = term.lane

        def by_lane(k: str) -> tuple[()]:
            ctx.locals[term.var] = k
            return add(b.op(f"and i64 {expr(ctx, lane)}, 63"), k)

        b.loop(count, by_lane)
    return b.op(f"call float @bank_tree(ptr {banks})")


# -- statements ------------------------------------------------------------------------------------


def block(ctx: Context, body: tuple[t.Stmt, ...]) -> None:
    """The statements of a block, in order."""
    for stmt in body:
        statement(ctx, stmt)


def statement(ctx: Context, stmt: t.Stmt) -> None:
    match stmt:
        case t.Let(name=name, value=value):
            ctx.locals[name] = expr(ctx, value)
        case t.Assign(place=place, value=value):
            _assign(ctx, place, expr(ctx, value))
        case t.Loop():
            _loop(ctx, stmt)
        case t.When(test=test, body=body):
            ctx.builder.when(expr(ctx, test), lambda: block(ctx, body))
        case t.Effect(name=name, args=args):
            given = [arg.operand if isinstance(arg, t.Ref) else expr(ctx, arg) for arg in args]
            effects.EMIT[name](ctx, *given)


def _loop(ctx: Context, stmt: t.Loop) -> None:
    chosen = _chosen(ctx, stmt)
    banked = banked_columns(chosen) if ctx.packed else None
    if banked is not None:
        place, total = banked
        emit_banked_columns(
            ctx,
            chosen,
            total,
            lambda term: expr(ctx, term),
            lambda value: _assign(ctx, place, value),
        )
        return

    def turn(k: str) -> tuple[()]:
        ctx.locals[stmt.var] = k
        block(ctx, stmt.body)
        return ()

    ctx.builder.loop(expr(ctx, stmt.bound), turn)


def _chosen(ctx: Context, stmt: t.Loop) -> t.Loop:
    """The loop with the arm of a known enum operand in place of the choice."""
    match stmt.body:
        case (t.Assign(place=place, value=t.Match(operand=operand, arms=arms)),) if (
            operand in ctx.members
        ):
            arm = next(a for _, value, a in arms if value == ctx.members[operand])
            return t.Loop(stmt.var, stmt.bound, (t.Assign(place, arm),))
        case _:
            return stmt


def _assign(ctx: Context, place: t.Place, value: str) -> None:
    b = ctx.builder
    match place:
        case t.Register(file="r", operand=operand):
            number = ctx.operands[operand]
            at = b.op(f"getelementptr i64, ptr %r, i64 {number}")
            kept = b.select(ctx.test("eq", number, 0), "i64", "0", value)
            b.do(f"store i64 {kept}, ptr {at}, align 8")
        case t.Register(operand=operand):
            ctx.store("f", ctx.operands[operand], value, "float")
        case t.Special(name=name):
            ctx.specials[name] = value
        case t.Element(operand=operand, access=how, indices=indices):
            access.store_element(ctx, operand, how, [expr(ctx, i) for i in indices], value)
        case t.Word(space=space, view=view, index=index):
            access.store_word(ctx, space, view, expr(ctx, index), value)
