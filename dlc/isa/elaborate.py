"""Syntax trees of `do` and of the other clauses to typed terms: names resolved, types checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from lark import Token, Tree

from dlc.isa import terms as t
from dlc.isa.model import Field, wrap64
from dlc.isa.primitives import EFFECTS, PRIMITIVES
from dlc.isa.syntax import Node, node, number, parts, present, text, token

COST_ONLY = ("active",)
_ATTRIBUTES = {
    "rows": ("W", "rows"),
    "cols": ("W", "cols"),
    "nnz": ("W", "nnz"),
    "max": ("Q", "last"),
}
_INDEXED = {
    "row": ("W", "row"),
    "val": ("W", "val"),
    "index": ("Q", "index"),
    "value": ("Q", "value"),
}
_NAMES = {"i": "an integer", "f": "a float", "b": "a truth value"}


class Refusal(Exception):
    """A clause that doesn't hold together, with the tree at fault."""

    def __init__(self, message: str, at: Node | Token | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


@dataclass(frozen=True, slots=True)
class Names:
    """What terms may name besides operands and locals."""

    constants: Mapping[str, int]
    enums: Mapping[str, Mapping[str, int]]
    specials: frozenset[str]
    spaces: Mapping[str, str]


@dataclass(slots=True)
class Elaborator:
    """Elaborates the clauses of one instruction. `costs` allows what only costs may say."""

    names: Names
    operands: Mapping[str, Field]
    costs: bool = False
    scope: dict[str, t.Type] = field(default_factory=dict[str, t.Type])

    # -- expressions -------------------------------------------------------------------------------

    def typed(self, tree: Node | Token | None, wanted: str) -> t.Expr:
        """An expression of one of the types in `wanted`."""
        term = self.expr(node(tree))
        if term.type not in wanted:
            need = " or ".join(_NAMES[w] for w in wanted)
            raise Refusal(f"here stands {_NAMES[term.type]} where {need} belongs", node(tree))
        return term

    def expr(self, tree: Node) -> t.Expr:
        term = self.term(tree)
        if isinstance(term, t.Ref):
            raise Refusal(f"`{term.file}[{term.operand}]` isn't a number", tree)
        return term

    def term(self, tree: Node) -> t.Term:
        handler = getattr(self, f"_{tree.data}", None)
        if handler is None:
            raise Refusal(f"`{tree.data}` is no expression", tree)
        return cast(t.Term, handler(tree))

    def _int(self, tree: Node) -> t.Expr:
        value = number(parts(tree)[0])
        if value >= 1 << 64:
            raise Refusal("the number has more than 64 bits", tree)
        return t.Int(wrap64(value))

    def _float(self, tree: Node) -> t.Expr:
        return t.Real(float(text(parts(tree)[0])))

    def _name(self, tree: Node) -> t.Expr:
        name = text(parts(tree)[0])
        if name in self.scope:
            return t.Local(name, self.scope[name])
        if name in self.operands:
            kind = self.operands[name].kind
            assert kind is not None
            if kind.members or (kind.of is not None and len(kind.of) == 1):
                raise Refusal(f"`{name}` names {kind.doc}, not a number", tree)
            return t.Operand(name)
        if name in self.names.constants:
            return t.Int(wrap64(self.names.constants[name]))
        if name in self.names.specials:
            return t.Special(name)
        raise Refusal(f"nothing is called `{name}`", tree)

    def _minus(self, tree: Node) -> t.Expr:
        value = self.typed(parts(tree)[0], "if")
        match value:
            case t.Int(value=v):
                return t.Int(wrap64(-v))
            case t.Real(value=v):
                return t.Real(-v)
            case _:
                return t.Minus(value)

    def _negation(self, tree: Node) -> t.Expr:
        return t.Not(self.typed(parts(tree)[0], "b"))

    def _binary(self, tree: Node) -> t.Expr:
        left_tree, sign, right_tree = self._three(tree)
        op = text(sign)
        wanted = {"/": "f", "//": "i", "%": "i", "&": "i"}.get(op, "if")
        left = self.typed(left_tree, wanted)
        right = self.typed(right_tree, left.type)
        return t.Binary(op, left, right)

    def _compare(self, tree: Node) -> t.Expr:
        left_tree, sign, right_tree = self._three(tree)
        left = self.typed(left_tree, "if")
        return t.Compare(text(sign), left, self.typed(right_tree, left.type))

    def _three(self, tree: Node) -> Sequence[Node | Token | None]:
        if len(tree.children) != 3:
            raise Refusal("an operator needs two sides", tree)
        return parts(tree)

    def _either(self, tree: Node) -> t.Expr:
        left, right = parts(tree)
        return t.Logic("or", self.typed(left, "b"), self.typed(right, "b"))

    def _both(self, tree: Node) -> t.Expr:
        left, right = parts(tree)
        return t.Logic("and", self.typed(left, "b"), self.typed(right, "b"))

    def _if_(self, tree: Node) -> t.Expr:
        test, yes, no = parts(tree)
        first = self.expr(node(yes))
        return t.Choice(self.typed(test, "b"), first, self.typed(no, first.type))

    def _match_(self, tree: Node) -> t.Expr:
        head, *rest = present(tree)
        name = text(head)
        kind = self.operands[name].kind if name in self.operands else None
        if kind is None or not kind.members:
            raise Refusal(f"`{name}` is no operand with named values", tree)
        found: dict[str, Node] = {}
        for arm in rest:
            member, body = parts(node(arm))
            if text(member) in found:
                raise Refusal(f"`{text(member)}` has two arms", arm)
            found[text(member)] = node(body)
        missing = [m for m, _ in kind.members if m not in found]
        unknown = [m for m in found if m not in dict(kind.members)]
        if missing or unknown:
            lack = (
                f"no arm for {', '.join(missing)}"
                if missing
                else f"`{kind.name}` has no {', '.join(unknown)}"
            )
            raise Refusal(lack, tree)
        arms = [(member, value, self.expr(found[member])) for member, value in kind.members]
        for member, _, term in arms:
            if term.type != arms[0][2].type:
                raise Refusal(
                    f"the arm `{member}` is {_NAMES[term.type]}, the first is "
                    f"{_NAMES[arms[0][2].type]}",
                    found[member],
                )
        return t.Match(name, tuple(arms))

    def _call(self, tree: Node) -> t.Expr:
        head, *rest = present(tree)
        name = text(head)
        primitive = PRIMITIVES.get(name)
        if primitive is None or (name in COST_ONLY and not self.costs):
            raise Refusal(f"there is no function `{name}` here", tree)
        args = self.arguments(name, primitive.args, [node(arg) for arg in rest], tree)
        result = (
            primitive.result
            if primitive.result != "n"
            else next(a.type for a in args if not isinstance(a, t.Ref))
        )
        return t.Call(name, args, cast(t.Type, result))

    def arguments(self, name: str, wanted: str, given: list[Node], at: Node) -> tuple[t.Term, ...]:
        """The arguments of a primitive or effect, by its signature."""
        if len(given) != len(wanted):
            raise Refusal(f"`{name}` takes {len(wanted)} arguments, here are {len(given)}", at)
        args: list[t.Term] = []
        number_type = "if"
        for want, tree in zip(wanted, given, strict=True):
            if want in "TWQ":
                args.append(self._ref(tree, want, name))
                continue
            term = self.typed(tree, number_type if want == "n" else want)
            if want == "n":
                number_type = term.type
            args.append(term)
        return tuple(args)

    def _ref(self, tree: Node, want: str, name: str) -> t.Ref:
        term = self.term(tree)
        if not isinstance(term, t.Ref) or term.file != want:
            raise Refusal(f"`{name}` takes {want}[...] here", tree)
        return term

    def _quantifier(self, tree: Node) -> t.Expr:
        kind, var, bound, body, lane = parts(tree)
        name, variable = text(kind), text(var)
        limit = self.typed(bound, "i")
        wanted = {"sum": "i", "any": "b", "all": "b", "banksum": "f"}.get(name)
        if wanted is None:
            raise Refusal(f"there is no quantifier `{name}`", tree)
        if lane is not None and name != "banksum":
            raise Refusal(f"`{name}` takes no lane", tree)
        with_var = self.bind({variable: "i"}, tree)
        value = self.typed(body, wanted)
        bank = None if lane is None else self.typed(lane, "i")
        self.unbind(with_var)
        return t.Quantifier(cast(t.Reduction, name), variable, limit, value, bank)

    def _fold(self, tree: Node) -> t.Expr:
        accumulator, start, var, bound, body = parts(tree)
        first = self.typed(start, "if")
        limit = self.typed(bound, "i")
        bound_names = self.bind({text(accumulator): first.type, text(var): "i"}, tree)
        value = self.typed(body, first.type)
        self.unbind(bound_names)
        return t.Fold(text(accumulator), first, text(var), limit, value)

    def bind(self, added: Mapping[str, t.Type], at: Node) -> tuple[str, ...]:
        """Bring locals into scope; a name already in use is refused, so no reader has to ask which
        is meant."""
        for name, type_ in added.items():
            if (
                name in self.scope
                or name in self.operands
                or name in self.names.constants
                or name in self.names.specials
            ):
                raise Refusal(f"`{name}` already means something here", at)
            self.scope[name] = type_
        return tuple(added)

    def unbind(self, added: tuple[str, ...]) -> None:
        for name in added:
            del self.scope[name]

    # -- places ------------------------------------------------------------------------------------

    def _index(self, tree: Node) -> t.Term:
        base, *rest = present(tree)
        indices = [node(part) for part in rest]
        if node(base).data == "name":
            return self._numbered(text(parts(node(base))[0]), indices, tree)
        if node(base).data == "attribute":
            return self._indexed_attribute(node(base), indices, tree)
        ref = self.term(node(base))
        if isinstance(ref, t.Ref) and ref.file == "T":
            return t.Element(ref.operand, "at", self._integers(indices))
        raise Refusal("this can't be indexed", tree)

    def _numbered(self, name: str, indices: list[Node], tree: Node) -> t.Term:
        if name not in ("r", "f", "T", "W", "Q"):
            raise Refusal(f"`{name}` can't be indexed", tree)
        if len(indices) != 1 or indices[0].data != "name":
            raise Refusal(f"`{name}[...]` takes the name of an operand", tree)
        operand = text(parts(indices[0])[0])
        kind = self.operands[operand].kind if operand in self.operands else None
        if kind is None:
            raise Refusal(f"`{operand}` isn't an operand", tree)
        if kind.of != name:
            raise Refusal(f"`{operand}` is {kind.doc}, it doesn't number {name}", tree)
        if name in ("r", "f"):
            return t.Register(name, operand)
        return t.Ref(name, operand)

    def _integers(self, trees: list[Node]) -> tuple[t.Expr, ...]:
        return tuple(self.typed(tree, "i") for tree in trees)

    def _indexed_attribute(self, base: Node, indices: list[Node], tree: Node) -> t.Term:
        owner, attribute = node(parts(base)[0]), text(parts(base)[1])
        if owner.data == "name" and (space := text(parts(owner)[0])) in self.names.spaces:
            if attribute not in ("i64", "f32") or len(indices) != 1:
                raise Refusal("a space has words `.i64[k]` and `.f32[k]`", tree)
            index = self.typed(indices[0], "i")
            return t.Word(space, attribute, index)
        ref = self.term(owner)
        if isinstance(ref, t.Ref) and ref.file == "T" and attribute in ("flat", "int", "iflat"):
            if attribute != "int" and len(indices) != 1:
                raise Refusal(f"`.{attribute}` takes one index", tree)
            return t.Element(
                ref.operand,
                cast(t.Access, attribute),
                self._integers(indices),
            )
        if isinstance(ref, t.Ref) and attribute in _INDEXED and _INDEXED[attribute][0] == ref.file:
            name = _INDEXED[attribute][1]
            primitive = PRIMITIVES[name]
            if len(indices) != len(primitive.args) - 1:
                raise Refusal(f"`.{attribute}` takes {len(primitive.args) - 1} indices", tree)
            return t.Call(name, (ref, *self._integers(indices)), cast(t.Type, primitive.result))
        raise Refusal(f"there is no `.{attribute}` here", tree)

    def _attribute(self, tree: Node) -> t.Term:
        owner, attribute = node(parts(tree)[0]), text(parts(tree)[1])
        if owner.data == "name" and (enum := text(parts(owner)[0])) in self.names.enums:
            members = self.names.enums[enum]
            if attribute not in members:
                raise Refusal(f"`{enum}` has no `{attribute}`", tree)
            return t.Int(members[attribute])
        ref = self.term(owner)
        if (
            isinstance(ref, t.Ref)
            and attribute in _ATTRIBUTES
            and _ATTRIBUTES[attribute][0] == ref.file
        ):
            return t.Call(_ATTRIBUTES[attribute][1], (ref,), "i")
        raise Refusal(f"there is no `.{attribute}` here", tree)

    # -- statements --------------------------------------------------------------------------------

    def block(self, tree: Node) -> tuple[t.Stmt, ...]:
        """The statements of a block; its lets end with it."""
        made: list[t.Stmt] = []
        lets: list[str] = []
        for part in present(tree):
            stmt = self._stmt(node(part))
            if isinstance(stmt, t.Let):
                lets.extend(self.bind({stmt.name: stmt.value.type}, node(part)))
            made.append(stmt)
        self.unbind(tuple(lets))
        return tuple(made)

    def _stmt(self, tree: Node) -> t.Stmt:
        children = parts(tree)
        match tree.data:
            case "let":
                return t.Let(text(children[0]), self.typed(children[1], "ifb"))
            case "assign":
                place = self.term(node(children[0]))
                if not isinstance(place, t.Register | t.Special | t.Element | t.Word):
                    raise Refusal("this is no place that can be written", children[0])
                return t.Assign(place, self.typed(children[1], place.type))
            case "for_":
                bound = self.typed(children[1], "i")
                bound_names = self.bind({text(children[0]): "i"}, tree)
                body = self.block(node(children[2]))
                self.unbind(bound_names)
                return t.Loop(text(children[0]), bound, body)
            case "when":
                return t.When(self.typed(children[0], "b"), self.block(node(children[1])))
            case "effect":
                name = text(token(children[0]))
                if name not in EFFECTS:
                    raise Refusal(f"there is no effect `{name}!`", tree)
                given = [node(part) for part in children[1:] if isinstance(part, Tree)]
                return t.Effect(name, self.arguments(name, EFFECTS[name].args, given, tree))
            case _:
                raise Refusal(f"`{tree.data}` is no statement", tree)
