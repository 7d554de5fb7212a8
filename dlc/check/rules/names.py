"""Names, literals, fields and dims of values."""

from __future__ import annotations

from dlc.check import typed
from dlc.check.body import Body, Constant, FunctionSlot, Val, Variable, bad
from dlc.check.convert import fact_normal, settle
from dlc.check.entities import (
    AdtItem,
    BrokenItem,
    ConstructorItem,
    Entity,
    FunctionItem,
    ModelItem,
    ModuleItem,
    SpecialItem,
)
from dlc.check.modules import declared_names, no_member
from dlc.check.paths import dim_of_type, field_type, path_error
from dlc.check.rules import foreign
from dlc.check.rules.construct import construct, option_none
from dlc.diag import Diagnostic, Edit, Span, error
from dlc.diag.suggest import did_you_mean
from dlc.resources import std_modules
from dlc.syntax import tree
from dlc.typesys.dims import Dim
from dlc.typesys.surface import (
    BOOL_SCALAR,
    Flex,
    Function,
    Key,
    Keys,
    Model,
    Tensor,
    Type,
    Unknown,
)

FLEX_INT = Tensor(Flex("int"))
FLEX_DIM = Tensor(Flex("dim"))
FLEX_FLOAT = Tensor(Flex("float"))


def number(b: Body, node: tree.Number, want: Type | None) -> Val:
    if isinstance(node.value, int):
        return Val(typed.Literal(node.value, type=FLEX_INT, span=node.span), Dim.const(node.value))
    return Val(typed.Literal(node.value, type=FLEX_FLOAT, span=node.span))


def string(b: Body, node: tree.String, want: Type | None) -> Val:
    found = error("E0328", "a text is only an argument for a `const` parameter", node.span)
    line = node.span.source.line_text(node.span.line).lstrip()
    if line.startswith("assert("):
        text = 'without parentheses: `assert x > 0.0, "what must hold"`'
        return b.fail(found.with_help(text))
    return b.fail(found.with_note("the language has no texts at run time"))


def fresh_dim(b: Body, node: tree.FreshDim, want: Type | None) -> Val:
    found = error("E0306", f"`?{node.name}` stands in a type only", node.span)
    return b.fail(found.with_help("name an unknown in an annotated binding: `x: i32[?k] = …`"))


def dim_value(b: Body, d: Dim, span: Span) -> Val:
    """A dim as a whole number whose width is still open."""
    d = b.norm(d)
    if d.is_constant:
        return Val(typed.Literal(d.constant, type=FLEX_DIM, span=span), d)
    return Val(typed.DimValue(d, type=FLEX_DIM, span=span), d)


def truth(value: bool, span: Span) -> Val:
    return Val(typed.Literal(value, type=BOOL_SCALAR, span=span))


def name(b: Body, node: tree.Name, want: Type | None) -> Val:
    binding = b.lookup(node.id)
    if isinstance(binding, Variable):
        return read(b, node.id, binding, node.span)
    if isinstance(binding, Constant):
        return constant(b, binding, node.span)
    if isinstance(binding, FunctionSlot):
        return b.fail(function_as_value(node.id, node.span, None))
    if node.id in b.dim_names:
        return dim_value(b, b.dim_names[node.id], node.span)
    if node.id in ("true", "false"):
        return truth(node.id == "true", node.span)
    if node.id == "None":
        return option_none(b, node.span, want)
    if node.id == "_":
        return b.fail(error("E0201", "`_` holds no value", node.span).with_help("give it a name"))
    entity = b.tables.modules.find(b.module, node.id)
    if entity is None:
        return b.fail(unknown_name(b, node.id, node.span, "name"))
    return entity_value(b, node.id, entity, node, want)


def constant(b: Body, c: Constant, span: Span) -> Val:
    """The value of a name that is known when compiling."""
    if isinstance(c.value, Dim):
        return dim_value(b, c.value, span)
    if isinstance(c.value, bool):
        return truth(c.value, span)
    if isinstance(c.value, int):
        return dim_value(b, Dim.const(c.value), span)
    found = error("E0328", "a text is only an argument for a `const` parameter", span)
    return b.fail(found.with_note("the language has no texts at run time"))


def entity_value(
    b: Body, text: str, entity: Entity, node: tree.Name | tree.Attr, want: Type | None
) -> Val:
    """A name of the program in the place of a value."""
    if isinstance(entity, BrokenItem):
        return bad(node.span)
    if isinstance(entity, ConstructorItem):
        return construct(b, entity, (), node.span, want, called=False)
    if isinstance(entity, (FunctionItem, SpecialItem)):
        return b.fail(function_as_value(text, node.span, entity))
    found = error("E0314", f"`{text}` is {entity.kind}, not a value", node.span)
    if isinstance(entity, ModelItem):
        return b.fail(found.with_help(f"`init({text}[…], key)` makes one"))
    if isinstance(entity, AdtItem):
        shown = ", ".join(f"`{v.name}`" for v in entity.node.variants)
        return b.fail(found.with_note(f"its variants make values: {shown}"))
    return b.fail(found.with_help(f"name something of it: `{text}.…`"))


def function_as_value(text: str, span: Span, entity: Entity | None) -> Diagnostic:
    """E0314: functions are only called, or given to a parameter that takes one."""
    found = error("E0314", f"`{text}` is a function, not a value", span)
    found = found.with_note("a function is called, or given where a function is expected")
    if isinstance(entity, FunctionItem):
        names = ", ".join(p.name.text for p in entity.node.params)
        return found.with_help(f"call it: `{text}({names})`")
    return found.with_help(f"call it: `{text}(…)`")


def read(b: Body, text: str, v: Variable, span: Span) -> Val:
    """The value of a variable; a key is spent by this."""
    if isinstance(v.type, Unknown):
        return bad(span)
    if v.clash is not None:
        c = v.clash
        one, other = b.show(c.one), b.show(c.other)
        found = error("E0418", f"`{text}` is {one} on one path and {other} on another", span)
        found = found.with_label(c.one_at, one).with_label(c.other_at, other)
        return b.fail(found.with_help("use two names, or make the types equal"))
    if v.missing is not None:
        found = error("E0209", f"`{text}` may have no value here", span)
        found = found.with_label(v.missing, "given a value only on this path")
        return b.fail(found.with_help(f"give `{text}` a value before"))
    if isinstance(v.type, (Key, Keys)):
        spend(b, text, v, span)
    return fact_normal(b, Val(typed.Read(v.local, type=v.type, span=span), v.dim))


def spend(b: Body, text: str, v: Variable, span: Span) -> None:
    """E0419, E0411: a key is used once."""
    several = isinstance(v.type, Keys)
    what = "keys" if several else "key"
    if b.lambda_names and text not in b.lambda_names[-1]:
        found = error("E0411", f"{what} `{text}` would be spent once for every call", span)
        found = found.with_note("this function value may be called many times")
        b.report(found.with_help(f"give it a key for each: `splits({text}, n)` beside the values"))
        return
    if v.spent is not None:
        found = error("E0419", f"{what} `{text}` is used twice", span)
        found = found.with_label(v.spent, "first used here")
        b.report(found.with_help(f"`a, b = split({text})` makes two of it"))
        return
    b.update(text, spent=span)


def attr(b: Body, node: tree.Attr, want: Type | None) -> Val:
    member = module_member(b, node)
    if isinstance(member, Diagnostic):
        return b.fail(member)
    if member is not None:
        return entity_value(b, node.name.text, member, node, want)
    if isinstance(node.base, tree.Name) and _means_nothing(b, node.base.id):
        return b.fail(_unknown_root(b, node.base, node))
    base = b.expr(node.base)
    if base.is_bad:
        return bad(node.span)
    base = settle(b, base)
    t, text = base.type, node.name.text
    if text == "T" and isinstance(t, Tensor):
        return transposed(b, base, node.span)
    inner = field_type(b.tables, t, text)
    if inner is not None:
        if isinstance(inner, Unknown):
            return bad(node.span)
        return fact_normal(b, Val(typed.FieldOf(base.expr, text, type=inner, span=node.span)))
    d = dim_of_type(b.tables, t, text)
    if d is not None:
        return dim_value(b, d, node.span)
    if isinstance(t, Model) and t.name not in b.tables.models:
        return bad(node.span)
    return b.fail(path_error(b.tables, t, node.name))


def transposed(b: Body, base: Val, span: Span) -> Val:
    """`x.T` of a matrix."""
    t = base.type
    assert isinstance(t, Tensor)
    if t.rank != 2:
        found = error("E0322", f"`.T` is of matrices, this is {b.show(t)}", span)
        return b.fail(found.with_help("`transpose(x, 1, 0, 2)` permutes the dims of any tensor"))
    made = Tensor(t.dtype, (t.shape[1], t.shape[0]))
    return Val(typed.Transpose(base.expr, (1, 0), type=made, span=span))


def module_member(b: Body, node: tree.Attr) -> Entity | Diagnostic | None:
    """What `nn.gru` means; None if the base is no module."""
    if (
        not isinstance(node.base, tree.Name)
        or b.lookup(node.base.id)
        or node.base.id in b.dim_names
    ):
        return None
    owner = b.tables.modules.find(b.module, node.base.id)
    if isinstance(owner, BrokenItem):
        return owner
    if not isinstance(owner, ModuleItem):
        return None
    scope = b.tables.modules.by_name[owner.name]
    found = scope.own.get(node.name.text)
    return no_member(scope, node.name) if found is None else found


def unknown_name(b: Body, text: str, span: Span, what: str) -> Diagnostic:
    """E0201, with what was probably meant."""
    found = error("E0201", f"no {what} `{text}`", span)
    where = [m for m in std_modules() if text in declared_names(m)]
    if where:
        return _import_help(b, found, f"from {where[0]} import {text}")
    words = {"float": "f32", "double": "f64", "True": "true", "False": "false"}
    if text in words:
        return found.with_help(f"write `{words[text]}`", Edit(span, words[text]))
    words_for = foreign.NAMES.get(text)
    if words_for is not None:
        return found.with_help(words_for)
    names = list(b.tables.modules.visible(b.module))
    if what == "function":
        names = [n for n in names if _callable(b, n)]
        names += [n for n, v in b.env.items() if isinstance(v, FunctionSlot)]
    else:
        names = [n for n in names if not _callable(b, n)]
        names += [*b.env, *b.dim_names, "true", "false"]
    better = did_you_mean(found, text, names, span)
    if not better.helps:
        better = did_you_mean(found, text, (*b.tables.modules.visible(b.module), *b.env), span)
    return (
        better
        if better.helps
        else better.with_note("names are those of this file, its imports and the prelude")
    )


def _means_nothing(b: Body, name: str) -> bool:
    known = b.lookup(name) is not None or name in b.dim_names or b.element(name) is not None
    return not known and b.tables.modules.find(b.module, name) is None


def _unknown_root(b: Body, base: tree.Name, node: tree.Attr) -> Diagnostic:
    """E0201 for `torch.relu` and `nn.gru`: what the part after the point is here."""
    text = node.name.text
    if base.id in std_modules():
        found = error("E0201", f"module `{base.id}` is not imported", base.span)
        scope = declared_names(base.id)
        if text in scope:
            return _import_help(b, found, f"import {base.id}")
        found = found.with_note(f"it is a module of the library, and has no `{text}`")
        return did_you_mean(found, text, scope, node.name.span)
    if base.id not in foreign.ROOTS:
        return unknown_name(b, base.id, base.span, "name")
    found = error("E0201", f"no name `{base.id}`", base.span)
    if b.tables.modules.find(b.module, text) is not None:
        return found.with_help(f"`{text}` alone", Edit(node.span, text))
    inner = unknown_name(b, text, node.name.span, "function")
    help = foreign.METHODS.get(text) or foreign.NAMES.get(text)
    if help is None and inner.helps:
        help = inner.helps[0].text
    if help is not None:
        return found.with_help(f"for `{text}`: {help}")
    listed = ", ".join(std_modules())
    return found.with_note(f"functions stand alone; the library's modules are {listed}")


def _import_help(b: Body, found: Diagnostic, line: str) -> Diagnostic:
    """The line, put at the top of the file."""
    start = b.tables.modules.by_name[b.module].tree.items[0].span
    top = Span(start.source, start.start, start.start)
    return found.with_help(f"`{line}`", Edit(top, f"{line}\n"))


def _callable(b: Body, name: str) -> bool:
    entity = b.tables.modules.find(b.module, name)
    return isinstance(entity, (FunctionItem, SpecialItem)) or (
        isinstance(entity, ConstructorItem) and bool(entity.node.fields)
    )


def is_function(t: Type) -> bool:
    return isinstance(t, Function)
