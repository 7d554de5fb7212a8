"""What to say about words and signs of other languages, where dl writes something else."""

from __future__ import annotations

from difflib import get_close_matches

from dlc.syntax.table import Token

_EXCEPTIONS = 'there are no exceptions; `assert x > 0.0, "what must hold"` ends the call'
_VARIABLE = "a variable is made by assigning: `x = …`"
_CHOICE = "a choice of values is `a if x > 0.0 else b`"

_WORDS = {
    "def": "a function starts with `fn`",
    "func": "a function starts with `fn`",
    "function": "a function starts with `fn`",
    "async": "there are no threads; a function starts with `fn`",
    "await": "there are no threads",
    "pub": "`export fn` exports a function",
    "public": "`export fn` exports a function",
    "class": "data are `model` or `type`; there are no classes",
    "struct": "data are `model` or `type`",
    "enum": "`type T = A | B` is an enumeration",
    "lambda": "a function value is `fn(x) => e`",
    "let": _VARIABLE,
    "var": _VARIABLE,
    "val": _VARIABLE,
    "global": "there are no globals; give the value as an argument",
    "nonlocal": "there are no globals; give the value as an argument",
    "pass": "a block has at least one statement",
    "del": "nothing is deleted by hand; remove the line",
    "import": "`import` stands at the top of a file",
    "switch": "`match` chooses by variant",
    "case": "an arm of a `match` is `Variant(fields):`",
    "is": "`==` compares numbers; `match` tells variants apart, `None` from `Some(x)` too",
    "elsif": "write `elif`",
    "elseif": "write `elif`",
    "try": _EXCEPTIONS,
    "except": _EXCEPTIONS,
    "raise": _EXCEPTIONS,
    "throw": _EXCEPTIONS,
    "with": "there is nothing to enter; `stop_grad(x)` keeps gradients out of a value",
    "yield": "collect the values in a List: `push(mut xs, v)`",
    "print": "there is no output; return what you want to see",
}

_ANYWHERE = ("await", "is", "lambda", "yield")
"""Words that begin or join expressions; the others begin a line, and may be names elsewhere."""

_NO_STEP = ("_NL", "EQUAL", "")
_COMMENT_AFTER = ("STRING", "_NL", "_INDENT", "_DEDENT", "")
_LINE_STARTS = (
    "return", "assert", "break", "continue", "while", "for", "if", "elif", "else", "match", "static"
)  # fmt: skip
_ITEM_STARTS = ("import", "from", "type", "model", "fn", "export", "test")


def of_word(before: Token | None, token: Token, opens: Token | None, second: bool) -> str | None:
    """The remedy for a word that another language has: at the token, just before it, or before
    the colon of the line (`try:`, given as `opens`). `second` says whether the token is the second
    one of its line.
    """
    if opens is not None and token.kind == "_NL" and opens.text in _WORDS:
        return _WORDS[opens.text]
    for word in (before, token):
        if word is not None and word.kind == "NAME" and word.text in _WORDS:
            if second or word is token or word.text in _ANYWHERE:
                return _WORDS[word.text]
    return _WORDS.get(token.text) if token.kind == "IMPORT" else None


def nearest_keyword(word: Token, at_item: bool) -> str | None:
    """What a misspelt first word of a line probably is: `retrun` is `return`."""
    known = _ITEM_STARTS if at_item else _LINE_STARTS
    near = get_close_matches(word.text, known, n=1, cutoff=0.75)
    return f"did you mean `{near[0]}`?" if near and word.kind == "NAME" else None


def of_comment(before: Token | None, token: Token) -> str | None:
    """The remedy for `// …` and a text where a line begins."""
    last = before.kind if before else ""
    if token.kind not in ("STRING", "DSLASH") or last not in _COMMENT_AFTER:
        return None
    return "a comment starts with `#`"


def of_sign(
    before: Token | None, token: Token, after: Token | None, wanted: frozenset[str], head: str
) -> str | None:
    """The remedy for signs and texts that mean something elsewhere."""
    kind, last = token.kind, before.kind if before else ""
    next_kind = after.kind if after else ""
    if kind == "QUESTION":
        return _CHOICE
    if last == "CMPOP" and kind == "CMPOP" and before is not None and before.text == "<":
        return "`!=` compares for being unequal"
    if kind == "DOTS" and last in ("LSQB", "COMMA"):
        return "an index says every dim it keeps: `x[:, 0]`"
    if kind == "DOTS" and head in ("FOR", "STATIC"):
        return "a range has no step: `for k in 0..m:`, and in it `i = 2 * k`"
    if kind == "COLON" and "RSQB" in wanted and next_kind not in _NO_STEP:
        return "a slice has no step: `x[idx]` takes the elements of a tensor of indices"
    if kind == "FATARROW" and head in ("NAME", "MATCH"):
        return "an arm of a `match` is `Variant(fields):`, and its statements are a line below"
    if kind == "IN" and head not in ("FOR", "STATIC"):
        return "`in` belongs to `for`; `any(xs == x)` looks for a value in a tensor"
    if head in ("FN", "EXPORT", "TYPE") and last == "NAME" and before is not None:
        if token.text == "<":
            return f"what a type holds stands in square brackets: `{before.text}[…]`"
        if kind == "LPAR":
            return f"dims stand in square brackets: `{before.text}[…]`"
    if head in ("FN", "EXPORT") and (last, kind) == ("RSQB", "LSQB"):
        return "the dims of a tensor stand together: `f32[N, M]`"
    if kind == "DOT" and head in ("IMPORT", "FROM"):
        return "modules have names without points: `from nn import Linear`"
    if kind == "STAR" and head == "FROM":
        return "the names are listed: `from nn import GRU, gru`"
    if kind == "COMMA" and head in ("FN", "EXPORT") and last not in ("LPAR", "COMMA"):
        return "several results stand in parentheses: `-> (f32, f32)`"
    if kind in ("TYPE", "MODEL") and last == "EXPORT":
        return "only functions are exported; a type of their signatures goes along"
    return None
