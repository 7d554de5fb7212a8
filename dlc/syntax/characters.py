"""What to say about characters and numbers that dl does not know."""

from __future__ import annotations

import unicodedata

from dlc.diag import Diagnostic, Edit, Span, error

_INSTEAD = {
    "&": ("and", "`and` joins conditions"),
    "!": ("not ", "`not` negates; `!=` compares"),
    "^": ("**", "`**` is the power"),
    "×": ("*", "`*` multiplies"),
    "·": ("*", "`*` multiplies, `dot(a, b)` is the inner product"),
    "÷": ("/", "`/` divides"),
    "−": ("-", "`-` subtracts"),
    "–": ("-", "`-` subtracts"),
    "—": ("-", "`-` subtracts"),
    "≤": ("<=", "`<=`"),
    "≥": (">=", "`>=`"),
    "≠": ("!=", "`!=`"),
    "→": ("->", "`->`"),
    "⇒": ("=>", "`=>`"),
    "…": ("..", "`..`"),
    "“": ('"', 'texts stand between `"`'),
    "”": ('"', 'texts stand between `"`'),
    "„": ('"', 'texts stand between `"`'),
    "\u00a0": (" ", "a plain space"),
    "\u3000": (" ", "a plain space"),
}

_WORDS = {
    "'": 'texts stand between `"`',
    "`": 'texts stand between `"`',
    ";": "one statement a line",
    "\\": "inside brackets a line may go on; put the expression in parentheses",
    "{": "there are no dictionaries or sets; a block is opened by `:` and indentation",
    "}": "a block ends where the indentation ends",
    "$": "a name consists of letters, digits and `_`",
    "\0": "a program is plain text",
    "\ufeff": "save the file without byte order marks",
    "\r": "lines end with a line feed, with or without a carriage return before it",
}


def unexpected(char: str, place: Span) -> Diagnostic:
    """E0107 for a run of one character that starts no token."""
    found = error("E0107", f"{_shown(char)} means nothing in dl", place)
    if char == "'" and len(place.text) > 1:
        return found.with_help('texts stand between `"`', Edit(place, f'"{place.text[1:-1]}"'))
    if char in _INSTEAD:
        text, words = _INSTEAD[char]
        return found.with_help(words, Edit(place, text))
    if char in _WORDS:
        return found.with_help(_WORDS[char])
    if char.isalpha():
        return found.with_help("names consist of the letters a to z, A to Z, digits and `_`")
    return found.with_help("remove it; outside comments and texts a program is plain ASCII")


def _shown(char: str) -> str:
    """The character if it can be seen, with its number if it is not ASCII."""
    if " " < char < "\x7f":
        return f"`{char}`"
    name = unicodedata.name(char, "")
    number = f"U+{ord(char):04X}"
    if char.isprintable():
        return f"`{char}` ({number})"
    return f"the character {number}" + (f", {name.lower()}," if name else "")


def number_help(found: Diagnostic, text: str) -> Diagnostic:
    """Add the remedy for a malformed number."""
    place = found.primary.span if found.primary else None
    plain = text.replace("_", "")
    if place is not None and "_" in text and plain.isdigit():
        return found.with_help("digits are not grouped", Edit(place, plain))
    if place is not None and text[-1] == "." and text[:-1].isdigit():
        return found.with_help("write a digit after the point", Edit(place, text + "0"))
    if text[:2].lower() in ("0x", "0b", "0o"):
        return found.with_help("numbers are decimal")
    if text.count(".") > 1:
        return found.with_help("a number has one point; a range is `a..b`")
    if text[-1] in "eE":
        return found.with_help("an exponent needs digits, as in `1e-6`")
    return found.with_help("a name starts with a letter; a product needs `*`")
