"""Terms and statements as text in the language of `isa/*.isa`."""

from __future__ import annotations

from collections.abc import Mapping

from dlc.isa import terms as t

_ATTRIBUTES = {"rows": "rows", "cols": "cols", "nnz": "nnz", "last": "max"}
_INDEXED = {"row": "row", "val": "val", "index": "index", "value": "value"}
_RANKS = {"or": 1, "and": 2, "+": 5, "-": 5}


class Printer:
    """Prints with names of enum values where a number is compared with an element type."""

    def __init__(self, dtypes: Mapping[str, int]) -> None:
        self.dtypes = {value: name for name, value in dtypes.items()}

    def expr(self, term: t.Term, above: int = 0) -> str:
        """The text of a term; in brackets where its operator binds less than the one above."""
        text, own = self._expr(term)
        return f"({text})" if own < above else text

    def _expr(self, term: t.Term) -> tuple[str, int]:
        match term:
            case t.Int(value=value):
                return (str(value) if abs(value) < 1 << 32 else hex(value & (1 << 64) - 1)), 9
            case t.Real(value=value):
                return repr(value), 9
            case t.Local(name=name) | t.Operand(name=name) | t.Special(name=name):
                return name, 9
            case t.Register(file=file, operand=operand) | t.Ref(file=file, operand=operand):
                return f"{file}[{operand}]", 9
            case t.Element(operand=operand, access=access, indices=indices):
                dot = "" if access == "at" else f".{access}"
                return f"T[{operand}]{dot}[{', '.join(self.expr(i) for i in indices)}]", 9
            case t.Word(space=space, view=view, index=index):
                return f"{space}.{view}[{self.expr(index)}]", 9
            case t.Call(name=name, args=args):
                return self._call(name, args), 9
            case t.Quantifier(kind=kind, var=var, bound=bound, body=body, lane=lane):
                tail = "" if lane is None else f", {self.expr(lane)}"
                return f"{kind}({var} < {self.expr(bound, 5)}: {self.expr(body)}{tail})", 9
            case t.Fold(accumulator=accumulator, start=start, var=var, bound=bound, body=body):
                head = f"{accumulator} = {self.expr(start)}; {var} < {self.expr(bound, 5)}"
                return f"fold({head}: {self.expr(body)})", 9
            case t.Match(operand=operand, arms=arms):
                texts = ", ".join(f"{name}: {self.expr(arm)}" for name, _, arm in arms)
                return f"match {operand} {{ {texts} }}", 9
            case _:
                return self._operator(term)

    def _operator(self, term: t.Expr) -> tuple[str, int]:
        match term:
            case t.Choice(test=test, yes=yes, no=no):
                parts = self.expr(test, 1), self.expr(yes, 1), self.expr(no)
                return f"if {parts[0]} then {parts[1]} else {parts[2]}", 0
            case t.Minus(value=value):
                return f"-{self.expr(value, 8)}", 7
            case t.Not(value=value):
                return f"not {self.expr(value, 4)}", 3
            case t.Logic(op=op, left=left, right=right):
                own = _RANKS[op]
                return f"{self.expr(left, own)} {op} {self.expr(right, own + 1)}", own
            case t.Compare(op=op, left=left, right=right):
                return f"{self.expr(left, 5)} {op} {self._compared(left, right)}", 4
            case t.Binary(op=op, left=left, right=right):
                own = _RANKS.get(op, 6)
                return f"{self.expr(left, own)} {op} {self.expr(right, own + 1)}", own
            case _:
                raise ValueError(f"no text for {term}")

    def _compared(self, left: t.Expr, right: t.Expr) -> str:
        if isinstance(left, t.Call) and left.name == "dtype" and isinstance(right, t.Int):
            return f"dtype.{self.dtypes[right.value]}"
        return self.expr(right, 5)

    def _call(self, name: str, args: tuple[t.Term, ...]) -> str:
        first = args[0] if args else None
        if isinstance(first, t.Ref) and name in _ATTRIBUTES:
            return f"{self.expr(first)}.{_ATTRIBUTES[name]}"
        if isinstance(first, t.Ref) and name in _INDEXED:
            return (
                f"{self.expr(first)}.{_INDEXED[name]}[{', '.join(self.expr(a) for a in args[1:])}]"
            )
        return f"{name}({', '.join(self.expr(a) for a in args)})"

    def block(self, body: tuple[t.Stmt, ...], indent: str = "") -> list[str]:
        """Lines of a block."""
        lines: list[str] = []
        for stmt in body:
            match stmt:
                case t.Let(name=name, value=value):
                    lines.append(f"{indent}let {name} = {self.expr(value)};")
                case t.Assign(place=place, value=value):
                    lines.append(f"{indent}{self.expr(place)} := {self.expr(value)};")
                case t.Loop(var=var, bound=bound, body=inner):
                    lines.append(f"{indent}for {var} < {self.expr(bound, 5)} {{")
                    lines += [*self.block(inner, indent + "  "), f"{indent}}};"]
                case t.When(test=test, body=inner):
                    lines.append(f"{indent}when {self.expr(test)} {{")
                    lines += [*self.block(inner, indent + "  "), f"{indent}}};"]
                case t.Effect(name=name, args=args):
                    lines.append(f"{indent}{name}!({', '.join(self.expr(a) for a in args)});")
        return lines
