"""Terms of `do` to Python text: the reference machine's half of "said once, compiled twice".

Names are made hygienic by prefixes (`o_` operands, `v_` locals); `m` is the machine's
`dlc.isa.runtime.Runtime`. Integers are Python's, wrapped to 64 bits wherever the bits of the
operands don't exclude overflow; floats are numpy float32, so every operation rounds. Reads and
writes of memory are methods of `m` that check their bounds: a failure there is a bug of ours, never
a trap.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dlc.isa import terms as t

LIMIT = 62


@dataclass(slots=True)
class PythonText:
    """Translates the terms of one instruction. `bits` bounds the magnitude of loop variables."""

    bits: dict[str, int] = field(default_factory=dict[str, int])

    # -- expressions -------------------------------------------------------------------------------

    def expr(self, term: t.Term) -> str:
        match term:
            case t.Int(value=value):
                return f"({value})" if value < 0 else str(value)
            case t.Real(value=value):
                return f"F({value!r})"
            case t.Local(name=name):
                return f"v_{name}"
            case t.Operand(name=name):
                return f"o_{name}"
            case t.Ref(operand=operand):
                return f"o_{operand}"
            case t.Special(name=name):
                return f"m.{name}"
            case t.Register(file=file, operand=operand):
                return f"int(m.r[o_{operand}])" if file == "r" else f"m.f[o_{operand}]"
            case t.Element(operand=operand, access=access, indices=indices):
                return f"m.{access}(o_{operand}, ({', '.join(self.expr(i) for i in indices)},))"
            case t.Word(space=space, view=view, index=index):
                return f"m.word_{view}({space!r}, {self.expr(index)})"
            case t.Minus(value=value):
                return f"(-{self.expr(value)})" if value.type == "f" else f"I(-{self.expr(value)})"
            case t.Not(value=value):
                return f"(not {self.expr(value)})"
            case t.Binary():
                return self._binary(term)
            case t.Compare(op=op, left=left, right=right):
                return f"bool({self.expr(left)} {op} {self.expr(right)})"
            case t.Logic(op=op, left=left, right=right):
                return f"({self.expr(left)} {op} {self.expr(right)})"
            case t.Choice(test=test, yes=yes, no=no):
                return f"({self.expr(yes)} if {self.expr(test)} else {self.expr(no)})"
            case t.Match(operand=operand, arms=arms):
                text = self.expr(arms[-1][2])
                for _, value, arm in reversed(arms[:-1]):
                    text = f"({self.expr(arm)} if o_{operand} == {value} else {text})"
                return text
            case t.Call(name=name, args=args):
                return f"m.p_{name}({', '.join(self.expr(a) for a in args)})"
            case t.Quantifier():
                return self._quantifier(term)
            case t.Fold(accumulator=accumulator, start=start, var=var, bound=bound, body=body):
                first, count = self.expr(start), self.expr(bound)
                self.bits[var] = self.width(bound)
                self.bits[accumulator] = 64
                return (
                    f"m.fold({first}, {count}, lambda v_{accumulator}, v_{var}: {self.expr(body)})"
                )

    def _binary(self, term: t.Binary) -> str:
        text = f"({self.expr(term.left)} {term.op} {self.expr(term.right)})"
        if term.type == "f" or self.width(term) <= LIMIT:
            return text
        return f"I{text}"

    def _quantifier(self, term: t.Quantifier) -> str:
        count = self.expr(term.bound)
        self.bits[term.var] = self.width(term.bound)
        body = self.expr(term.body)
        if term.kind == "banksum":
            lane = "None" if term.lane is None else f"lambda v_{term.var}: {self.expr(term.lane)}"
            products = isinstance(term.body, t.Binary) and term.body.op == "*"
            name = "banksum_of_products" if products else "banksum"
            return f"m.{name}({count}, lambda v_{term.var}: {body}, {lane})"
        text = f"{term.kind}({body} for v_{term.var} in range({count}))"
        return f"I({text})" if term.kind == "sum" else text

    def width(self, term: t.Term) -> int:
        """Bits that the magnitude of an integer may need; 64 where nothing is known."""
        match term:
            case t.Int(value=value):
                return abs(value).bit_length()
            case t.Operand():
                return 32
            case t.Local(name=name):
                return self.bits.get(name, 64)
            case t.Call(
                name="dim"
                | "size"
                | "rank"
                | "rows"
                | "cols"
                | "nnz"
                | "entries"
                | "start"
                | "len"
                | "index"
                | "row"
                | "bits"
            ):
                return 32
            case t.Element(access="int" | "iflat"):
                return 32
            case t.Binary(op="+" | "-", left=left, right=right):
                return max(self.width(left), self.width(right)) + 1
            case t.Binary(op="*", left=left, right=right):
                return self.width(left) + self.width(right)
            case t.Binary(op="//", left=left):
                return self.width(left)
            case t.Binary(op="%", right=right):
                return self.width(right)
            case t.Choice(yes=yes, no=no):
                return max(self.width(yes), self.width(no))
            case t.Match(arms=arms):
                return max(self.width(arm) for _, _, arm in arms)
            case t.Call(name="min", args=(a, b)):
                return max(self.width(a), self.width(b))
            case t.Call(name="max", args=(a, b)):
                return max(self.width(a), self.width(b))
            case _:
                return 64

    # -- statements --------------------------------------------------------------------------------

    def block(self, body: tuple[t.Stmt, ...], indent: str) -> list[str]:
        """Lines of Python for a block."""
        lines: list[str] = []
        for stmt in body:
            match stmt:
                case t.Let(name=name, value=value):
                    lines.append(f"{indent}v_{name} = {self.expr(value)}")
                    self.bits[name] = self.width(value) if value.type == "i" else 64
                case t.Assign(place=place, value=value):
                    lines.append(indent + self._assign(place, self.expr(value)))
                case t.Loop(var=var, bound=bound, body=inner):
                    lines.append(f"{indent}for v_{var} in range({self.expr(bound)}):")
                    self.bits[var] = self.width(bound)
                    lines += self.block(inner, indent + "    ")
                case t.When(test=test, body=inner):
                    lines.append(f"{indent}if {self.expr(test)}:")
                    lines += self.block(inner, indent + "    ")
                case t.Effect(name=name, args=args):
                    lines.append(f"{indent}m.e_{name}({', '.join(self.expr(a) for a in args)})")
        return lines

    def _assign(self, place: t.Place, value: str) -> str:
        match place:
            case t.Register(file=file, operand=operand):
                return f"m.set_{file}(o_{operand}, {value})"
            case t.Special(name=name):
                return f"m.{name} = {value}"
            case t.Element(operand=operand, access=access, indices=indices):
                return (
                    f"m.set_{access}(o_{operand}, ({', '.join(self.expr(i) for i in indices)},), "
                    f"{value})"
                )
            case t.Word(space=space, view=view, index=index):
                return f"m.set_word_{view}({space!r}, {self.expr(index)}, {value})"
