"""E01xx: the form of a program: characters, lines, brackets, grammar."""

from __future__ import annotations

from dlc.diag.codes.code import Code

CODES: tuple[Code, ...] = (
    Code(
        "E0101",
        "a tab",
        "Blocks are told by indentation with spaces. A tab looks different in every editor, so "
        "there is none outside comments and texts.",
        bad="fn f(x: f32) -> f32:\n\treturn x\n",
        good="fn f(x: f32) -> f32:\n    return x\n",
    ),
    Code(
        "E0102",
        "a line is indented for no reason",
        "Only a line that ends with `:` opens a block. All lines of a block have the same "
        "indentation; inside brackets indentation has no meaning.",
        bad="fn f(x: f32) -> f32:\n    y = x + 1.0\n        return y\n",
        good="fn f(x: f32) -> f32:\n    y = x + 1.0\n    return y\n",
    ),
    Code(
        "E0103",
        "a line returns to no open block",
        "A line that is indented less than the one before closes blocks, and must have the "
        "indentation of a block that is open.",
        bad="fn f(x: f32) -> f32:\n        if x > 0.0:\n            return x\n    return 0.0\n",
        good="fn f(x: f32) -> f32:\n    if x > 0.0:\n        return x\n    return 0.0\n",
    ),
    Code(
        "E0104",
        "a bracket is never closed",
        "Inside `(` and `[` an expression may run over many lines, up to the closing bracket. The "
        "compiler notices that it is missing at a line that can only be a new statement, or at the "
        "end of the file.",
        bad="fn f(x: f32) -> f32:\n    y = exp((x + 1.0)\n    return y\n",
        good="fn f(x: f32) -> f32:\n    y = exp((x + 1.0))\n    return y\n",
    ),
    Code(
        "E0105",
        "a closing bracket without its opening one",
        "Brackets close in the reverse order in which they open, each by its own kind.",
        bad="fn f(x: f32[N]) -> f32:\n    return x[0)\n",
        good="fn f(x: f32[N]) -> f32:\n    return x[0]\n",
    ),
    Code(
        "E0106",
        "comparisons do not chain",
        "`a < b < c` would compare a bool with a number. Two comparisons are joined by `and`.",
        bad="fn f(a: f32, b: f32) -> bool:\n    return 0.0 < a < b\n",
        good="fn f(a: f32, b: f32) -> bool:\n    return 0.0 < a and a < b\n",
    ),
    Code(
        "E0107",
        "a character that means nothing",
        "Outside comments and texts a program consists of ASCII letters, digits, spaces and the "
        "signs of the language.",
        bad="fn f(x: bool) -> bool:\n    return !x\n",
        good="fn f(x: bool) -> bool:\n    return not x\n",
    ),
    Code(
        "E0108",
        "a text is never closed",
        'A text stands between `"` on one line. It has no escapes, and so it holds no `"`.',
        bad='fn f(x: f32):\n    assert x > 0.0, "not positive\n',
        good='fn f(x: f32):\n    assert x > 0.0, "not positive"\n',
    ),
    Code(
        "E0109",
        "a malformed number",
        "Numbers are decimal: `3`, `0.5`, `1e-6`, `2.5e8`. There are digits on both sides of a "
        "point. Whole numbers fit 64 bits, floats fit f64.",
        bad="fn f(x: f32) -> f32:\n    return .5 * x\n",
        good="fn f(x: f32) -> f32:\n    return 0.5 * x\n",
    ),
    Code(
        "E0110",
        "something else is expected here",
        "The grammar allows nothing of this kind at this place; the message says what may stand "
        "there.",
        bad="fn f(x: f32) -> f32:\n    return x +\n",
        good="fn f(x: f32) -> f32:\n    return x + 1.0\n",
    ),
    Code(
        "E0111",
        "a keyword as a name",
        "The keywords are reserved everywhere: and as assert break builtin const continue elif "
        "else export fn for from if import in match model mut not or return static test type "
        "while.",
        bad="fn f(type: f32) -> f32:\n    return 1.0\n",
        good="fn f(kind: f32) -> f32:\n    return 1.0\n",
    ),
    Code(
        "E0112",
        "the colon of a header is missing",
        "The header of a block (`fn`, `model`, `test`, `if`, `elif`, `else`, `while`, `for`, "
        "`match` and an arm) ends with `:`.",
        bad="fn f(x: f32) -> f32:\n    if x > 0.0\n        return x\n    return 0.0\n",
        good="fn f(x: f32) -> f32:\n    if x > 0.0:\n        return x\n    return 0.0\n",
    ),
    Code(
        "E0113",
        "an empty block",
        "A header that ends with `:` is followed by at least one line that is indented deeper.",
        bad="fn f(x: f32) -> f32:\n    if x > 0.0:\n    return x\n",
        good="fn f(x: f32) -> f32:\n    if x > 0.0:\n        return x\n    return 0.0\n",
    ),
    Code(
        "E0114",
        "a block on the line of its header",
        "A block starts on a line of its own.",
        bad="fn f(x: f32) -> f32:\n    if x > 0.0: return x\n    return 0.0\n",
        good="fn f(x: f32) -> f32:\n    if x > 0.0:\n        return x\n    return 0.0\n",
    ),
    Code(
        "E0115",
        "this cannot be assigned",
        "A target is a variable or a part of one: `x = …`, `x[i] = …`. A field is never assigned: "
        "make a new value of the whole.",
        bad="fn f(x: f32[N]) -> f32[N]:\n    exp(x) = x\n    return x\n",
        good="fn f(x: f32[N]) -> f32[N]:\n    y = exp(x)\n    return y\n",
    ),
    Code(
        "E0116",
        "nested too deep",
        "Brackets, blocks and expressions nest at most 256 deep. Deeper ones come from generators, "
        "and are better cut into functions or named parts.",
        bad="fn f(x: f32) -> f32:\n    return " + "(" * 257 + "x" + ")" * 257 + "\n",
        good="fn f(x: f32) -> f32:\n    return ((x))\n",
    ),
    Code(
        "E0117",
        "a source is too large",
        "A source has at most 8 MiB.",
        shown_by="tests/unit/syntax/test_files.py::test_too_large",
    ),
    Code(
        "E0118",
        "a source is not UTF-8",
        "Sources are UTF-8 text. Comments and texts may hold any of it.",
        shown_by="tests/unit/syntax/test_files.py::test_not_utf8",
    ),
    Code(
        "E0119",
        "a builtin outside the prelude",
        "`builtin fn` declares what the compiler itself provides, and stands only in the prelude.",
        bad="builtin fn f(x: f32) -> f32\n",
        good="fn f(x: f32) -> f32:\n    return x\n",
    ),
    Code(
        "E0120",
        "`?k` or `*S` outside a type",
        "An unknown dim `?k` and a run of dims `*S` stand between the brackets of a type. `?k` "
        "names a dim that a result or an annotated variable brings along.",
        bad="fn f(n: i32) -> f32[n]:\n    return zeros(?n)\n",
        good="fn f(n: i32) -> f32[n]:\n    return zeros(n)\n",
    ),
    Code(
        "E0121",
        "this is not a type",
        "Between the brackets of a type stand dims or types: `f32[N, 4*H]`, `List[(i32, f32[D])]`.",
        bad="fn f(xs: List[f32[0:3]]) -> f32:\n    return 0.0\n",
        good="fn f(xs: List[f32[3]]) -> f32:\n    return 0.0\n",
    ),
    Code(
        "E0122",
        "an argument by position after one by name",
        "Arguments by position come first, then those by name.",
        bad="fn f(a: f32, b: f32) -> f32:\n    return a - b\n\n\n"
        "fn g(x: f32) -> f32:\n    return f(a=x, 1.0)\n",
        good="fn f(a: f32, b: f32) -> f32:\n    return a - b\n\n\n"
        "fn g(x: f32) -> f32:\n    return f(x, b=1.0)\n",
    ),
)
