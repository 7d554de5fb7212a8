"""What to say about a token that no rule allows."""

from __future__ import annotations

from dlc.diag import Diagnostic, Edit, SourceFile, Span, error
from dlc.syntax.foreign import nearest_keyword, of_comment, of_sign, of_word
from dlc.syntax.lexer import missing_colon
from dlc.syntax.table import END, Token, Unexpected

_EXPRESSION = frozenset({"NAME", "NUMBER", "STRING", "LPAR", "LSQB", "MINUS"})
"""If all of these may follow, an expression may."""

_EXPRESSION_STARTS = _EXPRESSION | {"NOT", "FN", "QUESTION"}

_CONTINUES = frozenset(
    "LPAR LSQB DOT DSTAR STAR SLASH DSLASH PERCENT AT PLUS MINUS DOTS CMPOP AND OR IF AUGOP".split()
)
"""What may follow a finished expression; not worth a mention beside anything else."""

_OPERATORS = frozenset(
    "DSTAR STAR SLASH DSLASH PERCENT AT PLUS MINUS DOTS CMPOP AND OR NOT AUGOP EQUAL MUT TILDE "
    "FATARROW".split()
)

_WORDS = {
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a text in quotes",
    "CMPOP": "a comparison",
    "AUGOP": "`+=`, `-=`, `*=`",
    "_NL": "the end of the line",
    "_INDENT": "an indented block",
    "_DEDENT": "the end of the block",
    END: "the end of the file",
}
_SIGNS = {
    "COMMA": ",", "COLON": ":", "EQUAL": "=", "LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]",
    "DOT": ".", "ARROW": "->", "FATARROW": "=>", "DOTS": "..", "DSTAR": "**", "DSLASH": "//",
    "PLUS": "+", "MINUS": "-", "STAR": "*", "SLASH": "/", "PERCENT": "%", "AT": "@", "BAR": "|",
    "TILDE": "~", "QUESTION": "?",
}  # fmt: skip
_OTHER = frozenset({"NAME", "NUMBER", "STRING", "CMPOP", "AUGOP"})

_AFTER_NAME = frozenset(
    {"EQUAL", "COLON", "COMMA", "DOT", "RPAR", "RSQB", "LSQB", "AUGOP", "LPAR", "_NL"}
)

_ITEM = frozenset({"IMPORT", "FROM", "TYPE", "MODEL", "FN", "TEST"})
_STATEMENT = frozenset({"RETURN", "ASSERT", "BREAK", "CONTINUE"})

_FORMS = {
    "IMPORT": 'the forms are `import nn, loss` and `import onnx "f.onnx" as Name`',
    "FROM": "the form is `from nn import GRU, gru`",
    "TYPE": "the form is `type Tree = Leaf(word: i32) | Node(left: Tree, right: Tree)`",
    "MODEL": "the form is `model Linear[I, O]:`, and a member a line below",
    "member": "a member of a model is `w: f32[O, I] ~ glorot()`",
    "FN": "the form is `fn name(x: f32[N], n: i32) -> f32[N]:`",
    "EXPORT": "the form is `export fn name(x: f32[N], n: i32) -> f32[N]:`",
    "BUILTIN": "the form is `builtin fn name(x: f32[N]) -> f32[N]`",
    "AT": "the form is `@name`, `@name(x)` or `@name(x=1)`",
    "TEST": 'the form is `test "what holds":`',
    "IF": "the form is `if x > 0.0:`",
    "ELIF": "the form is `elif x > 0.0:`",
    "ELSE": "the form is `else:`",
    "WHILE": "the form is `while x > 0.0:`",
    "FOR": "the forms are `for i in 0..n:` and `for x, y in pairs:`",
    "STATIC": "the form is `static for i in 0..N:`",
    "MATCH": "the form is `match e:`, and below an arm `Node(left, right):` for each variant",
    "RETURN": "the forms are `return`, `return x` and `return x, y`",
    "ASSERT": 'the form is `assert x > 0.0, "what must hold"`',
    "BREAK": "`break` stands alone",
    "CONTINUE": "`continue` stands alone",
    "BAR": "a variant is `Leaf` or `Node(left: Tree, right: Tree)`",
}


def explain(problem: Unexpected, tokens: tuple[Token, ...], source: SourceFile) -> Diagnostic:
    """The diagnostic for a token where none of its kind may stand."""
    token, index = problem.token, problem.index
    wanted = frozenset(problem.expected)
    before = tokens[index - 1] if index else None
    after = tokens[index + 1] if index + 1 < len(tokens) else None
    place = _place(tokens, index, source)
    special = (
        _header(token, before, wanted, source, place)
        or _stray(token, before, wanted, place)
        or _keyword_as_name(token, after, wanted, place)
    )
    if special is not None:
        return special
    found = error("E0110", f"expected {describe(wanted)}, found {_shown(token)}", place)
    head = _heads(tokens, index)[-1]
    opens = tokens[index - 2] if before is not None and before.kind == "COLON" else None
    if (token.kind, head) == ("FN", "FN") and tokens[0].kind == "MODEL":
        return found.with_help("a model has no methods; below it, `fn name(m: Net, …)` takes one")
    second = index > 0 and _starts_line(tokens, index - 1)
    remedy = of_word(before, token, opens, second) or of_comment(before, token)
    if wanted >= _ITEM:
        remedy = remedy or nearest_keyword(token, at_item=True)
    elif before is not None and second:
        remedy = remedy or nearest_keyword(before, at_item=False)
    remedy = remedy or _remedy(token, before, after, wanted, head)
    remedy = remedy or _missing_value(token, before, wanted) or _form(tokens, index)
    return found.with_help(remedy)


def _missing_value(token: Token, before: Token | None, wanted: frozenset[str]) -> str | None:
    """Where an expression may stand, what to do about its absence."""
    if before is None or not wanted >= _EXPRESSION or wanted >= _STATEMENT:
        return None
    if token.kind == "IF":
        return "a choice of values is `a if x > 0.0 else b`"
    if before.kind in _OPERATORS:
        return f"a value is missing after `{before.text}`"
    if before.kind == "COMMA":
        return "remove the comma, or write a value after it"
    if before.kind == "LPAR" and token.kind == "RPAR":
        return "there is no empty tuple"
    if before.kind == "LSQB" and token.kind == "RSQB":
        return "an index is `x[i]`, `x[i, j]` or `x[a:b]`"
    return None


def _heads(tokens: tuple[Token, ...], index: int) -> list[str]:
    """The kinds of the first tokens of the lines, up to the line of a token."""
    return [t.kind for i, t in enumerate(tokens[: index + 1]) if _starts_line(tokens, i)]


def _starts_line(tokens: tuple[Token, ...], index: int) -> bool:
    return index == 0 or tokens[index - 1].kind in ("_NL", "_INDENT", "_DEDENT")


def _form(tokens: tuple[Token, ...], index: int) -> str:
    """The form of the line that holds the token, as a last remedy."""
    heads = _heads(tokens, index)
    head = heads[-1]
    if head == "NAME":
        head = {"MODEL": "member", "TYPE": "TYPE"}.get(heads[0], "NAME")
    return _FORMS.get(head, "a statement is `x = …`, `f(…)`, `return …`, or opens a block")


def _place(tokens: tuple[Token, ...], index: int, source: SourceFile) -> Span:
    """The token, or for one without width (the end of a line) the last character before it."""
    while index > 0 and tokens[index].start == tokens[index].end:
        index -= 1
        if tokens[index].end > tokens[index].start:
            return Span(source, tokens[index].end - 1, tokens[index].end)
    return Span(source, tokens[index].start, tokens[index].end)


def _header(
    token: Token, before: Token | None, wanted: frozenset[str], source: SourceFile, place: Span
) -> Diagnostic | None:
    """Errors around the colon of a header."""
    if (
        token.kind == "_NL"
        and "COLON" in wanted
        and "NUMBER" not in wanted
        and "LSQB" not in wanted
    ):
        return missing_colon(source, token.end)
    if token.kind == "_NL" and "COLON" in wanted and "EQUAL" not in wanted and "RSQB" not in wanted:
        return missing_colon(source, token.end)
    if before is not None and before.kind == "COLON" and wanted == frozenset({"_NL"}):
        found = error("E0114", "a block starts on a line of its own", place)
        return found.with_help("break the line after `:` and indent the block")
    return None


def _keyword_as_name(
    token: Token, after: Token | None, wanted: frozenset[str], place: Span
) -> Diagnostic | None:
    """A keyword where a name is meant: nothing but a name may stand there, or what follows shows
    it.
    """
    if not _is_keyword(token) or "NAME" not in wanted:
        return None
    only_name = "NUMBER" not in wanted and "TYPE" not in wanted
    follows = after is not None and after.kind in _AFTER_NAME - {"LPAR", "_NL"}
    if not only_name and not follows:
        return None
    if only_name and after is not None and after.kind not in _AFTER_NAME | {"CMPOP", "IN"}:
        return None
    found = error("E0111", f"`{token.text}` is a keyword and cannot be a name", place)
    return found.with_help(f"for example `{token.text}_`", Edit(place, token.text + "_"))


def _is_keyword(token: Token) -> bool:
    return token.kind not in _OTHER and token.text.isalpha()


def _stray(
    token: Token, before: Token | None, wanted: frozenset[str], place: Span
) -> Diagnostic | None:
    """Words and lines that are right somewhere else."""
    at_line = before is None or before.kind in ("_NL", "_INDENT", "_DEDENT")
    if token.kind in ("ELIF", "ELSE") and at_line:
        found = error("E0110", f"this `{token.text}` belongs to no `if`", place)
        return found.with_help("`if`, `elif` and `else` of one choice have the same indentation")
    if before is not None and before.kind == "ELSE" and token.kind == "IF":
        return error("E0110", "expected `:`, found `if`", place).with_help("write `elif`")
    if wanted >= _ITEM and at_line and token.kind != "NAME" and before is None:
        found = error("E0110", f"{_shown(token)} cannot stand outside a function", place)
        remedy = of_comment(before, token)
        return found.with_help(
            remedy or "at this level are imports, types, models, functions and tests"
        )
    if before is not None and before.kind == "_NL" and "AT" in wanted and "FN" in wanted:
        found = error("E0110", f"expected `fn`, found {_shown(token)}", place)
        return found.with_help("a decorator stands before a function")
    return None


def _remedy(
    token: Token, before: Token | None, after: Token | None, wanted: frozenset[str], head: str
) -> str | None:
    at_item = wanted >= _ITEM
    found = of_sign(before, token, after, wanted, head)
    if found is not None:
        return found
    if at_item and after is not None and after.kind in ("EQUAL", "COLON"):
        return "at this level are imports, types, models, functions and tests; no variables"
    if at_item:
        return "at this level are imports, types, models, functions and tests"
    if token.kind == "FN" and wanted >= _EXPRESSION:
        return "here a function value stands in parentheses: `(fn(x) => e)`"
    if token.kind in _ITEM:
        return f"`{token.text}` starts a line at the left margin"
    return _remedy_for_signs(token, before, after, wanted, head)


def _remedy_for_signs(
    token: Token, before: Token | None, after: Token | None, wanted: frozenset[str], head: str
) -> str | None:
    pair = (before.kind if before else "", token.kind)
    if token.kind == "EQUAL" and pair[0] in ("SLASH", "DSLASH", "PERCENT", "AT", "DSTAR"):
        sign = before.text if before else ""
        return f"only `+=`, `-=` and `*=` update; write `x = x {sign} …`"
    if token.kind == "EQUAL" and "CMPOP" in wanted:
        return "`==` compares; `=` assigns, at the start of a statement"
    if token.kind == "EQUAL" and head in ("IF", "ELIF", "WHILE", "ASSERT", "RETURN"):
        return "`==` compares"
    if token.kind == "EQUAL" and "TILDE" in wanted:
        return "an initialiser stands after `~`: `w: f32[O, I] ~ glorot()`"
    if token.kind == "EQUAL" and "_NL" in wanted:
        return "one `=` a statement"
    if pair == ("FN", "NAME"):
        return "functions stand at the left margin; a function value is `fn(x) => e`"
    if token.kind == "FOR":
        return "`map(fn(x) => e, xs)` is a tensor or list of the `e`s"
    if pair == ("BAR", "BAR") or token.kind == "BAR":
        return "`or` joins conditions"
    if token.kind == "PLUS":
        return "there is no `+x` and no `++`"
    if token.kind == "MUT":
        return "`mut` marks a parameter, `x: mut T`, or an argument, `f(mut x)`"
    if token.kind == "EXPORT" or (before is not None and before.kind == "EXPORT"):
        return "`export fn` exports a function"
    if token.kind == "_NL" and wanted == frozenset({"EQUAL"}):
        return "a variable gets a value when it is made: `x: f32 = 0.0`"
    if token.kind in ("NAME", "NUMBER", "STRING") and pair[0] in ("NAME", "NUMBER", "RPAR", "RSQB"):
        return "an operator or a comma is missing before it"
    if token.kind == "COLON" and after is not None and after.kind == "EQUAL":
        return "`=` assigns"
    return None


def describe(wanted: frozenset[str]) -> str:
    """Terminals in words, in a fixed order: `an expression or `)``."""
    rest = set(wanted)
    words: list[str] = []
    if wanted >= _ITEM:
        words.append("an import, type, model, function or test")
        rest.clear()
    elif wanted >= _EXPRESSION | _STATEMENT:
        words.append("a statement")
        rest &= {"_DEDENT", "ELIF", "ELSE"} - {"_DEDENT"}
    elif wanted >= _EXPRESSION:
        words.append("an expression")
        rest -= _EXPRESSION_STARTS | {"MUT", "STAR"}
    elif rest - _CONTINUES:
        rest -= _CONTINUES
    else:
        words.append("an operator")
        rest.clear()
    words += [_word(kind) for kind in sorted(rest, key=lambda k: (k in ("_NL", END), k))]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def _word(kind: str) -> str:
    if kind in _WORDS:
        return _WORDS[kind]
    return f"`{_SIGNS.get(kind, kind.lower())}`"


def _shown(token: Token) -> str:
    if token.kind in ("_NL", "_INDENT", "_DEDENT", END):
        return _WORDS[token.kind]
    text = token.text if len(token.text) <= 40 else token.text[:37] + "..."
    return f"`{text}`"
