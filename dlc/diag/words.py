"""The words of the language itself, for `dlc explain`: keywords, constants and built-in types."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """`names` share one entry: `meaning`, and a piece of a program."""

    names: tuple[str, ...]
    meaning: str
    example: str


WORDS = (
    Word(
        ("match",),
        "Takes a value of an algebraic type, or an Option, apart. It names every constructor, each "
        "with names for its fields, or ends with `_:`.",
        "match t:\n    Leaf(value):\n        return value\n    Node(left, right):\n"
        "        return total(left) + total(right)",
    ),
    Word(
        ("type",),
        "An algebraic type: constructors with fields. Types and constructors share the names of a "
        "file, so a single constructor has a name other than its type's.",
        "type Tree = Leaf(value: f32) | Node(left: Tree, right: Tree)\n"
        "type Point = At(x: f32, y: f32)",
    ),
    Word(
        ("Option",),
        "`Option[T]` is `None` or `Some(value)`; `match` takes it apart.",
        "match found:\n    None:\n        return 0.0\n    Some(x):\n        return x",
    ),
    Word(
        ("true", "false", "and", "or", "not"),
        "The values of `bool`. `and`, `or`, `not` join them, element by element on tensors.",
        "done = found and not late",
    ),
    Word(
        ("if", "elif", "else"),
        "Chooses what is done, or, between values, `a if c else b` what is taken.",
        "y = x if x > 0.0 else 0.0",
    ),
    Word(
        ("for", "in", "static", "while", "break", "continue"),
        "Loops: over numbers (`0..n` ends before n), over lists, and as long as a condition holds. "
        "`static for` is unrolled when compiling.",
        "for i in 0..n:\n    s += x[i]",
    ),
    Word(
        ("model",),
        "A record of parameters with initialisers. A function takes it as `m: Net`, or with some "
        "dims fixed as `m: Net[L=4]`; `init(Net[L=4], key)` draws one, `m(x)` calls an imported "
        "ONNX model.",
        "model Net[I, O]:\n    w: f32[O, I] ~ glorot()",
    ),
    Word(
        ("fn", "export", "return"),
        "A function; `export` makes it callable from outside. Every path of one that has a result "
        "returns.",
        "export fn twice(x: f32[N]) -> f32[N]:\n    return 2.0 * x",
    ),
    Word(
        ("mut",),
        "A parameter that the call changes; it is marked at the call as well.",
        "fn step(m: mut Net, rate: f32):\n    …\nstep(mut m, 0.1)",
    ),
    Word(
        ("const",),
        "A whole number or a text that is known when compiling: `[K: const]`, `kind: const`. Of an "
        "export it is given with `--bind K=3`.",
        "fn blocks(m: Net, x: f32[N], count: const) -> f32[N]:",
    ),
    Word(
        ("import", "from", "as"),
        "Another file, or a module of the library, as `nn.gru(…)`; single names with `from`. An "
        'ONNX model is imported as a function: `import onnx "f.onnx" as Name`.',
        "import nn\nfrom loss import cross_entropy",
    ),
    Word(
        ("assert",),
        "Ends the call with the status ASSERT unless a condition holds. On dims (`assert a == b`) "
        "the fact is known in the rest of the block.",
        'assert n > 0, "nothing to do"',
    ),
    Word(
        ("test",),
        "Statements that `dlc test` runs.",
        'test "adds":\n    assert 1 + 1 == 2',
    ),
    Word(
        ("List",),
        "`List[T]`: a sequence that grows. `push(mut xs, v)` appends, `len(xs)` counts, `xs[i]` "
        "reads.",
        "xs: List[f32] = []\npush(mut xs, 1.0)",
    ),
    Word(
        ("Graph",),
        "Nodes and arcs from node to node, with the dims `g.nodes` and `g.arcs`; data on them are "
        "tensors. `graph` makes one, `inflow` sums over the arcs that arrive.",
        "fn spread(g: Graph, x: f32[g.nodes, D]) -> f32[g.nodes, D]:",
    ),
    Word(
        ("Segs",),
        "Rows of different lengths, one behind the other, with the dims `s.rows` and `s.items`.",
        "fn sums(s: Segs, x: f32[s.items]) -> f32[s.rows]:",
    ),
    Word(
        ("Array",),
        "`Array[Block, B]`: B models of one type, B known when compiling.",
        "model Stack[W, B: const]:\n    blocks: Array[Block[W], B]",
    ),
    Word(("Key",), "A source of random numbers, usable once; `split` makes two of one.", ""),
    Word(
        ("Tangent", "Rows"),
        "`Tangent[M]` is the gradient of an M, `Rows[f32, V, D]` that of a table of which only the "
        "rows that were read have one.",
        "fn step(m: mut Net, g: Tangent[Net], rate: f32):",
    ),
    Word(("Sparse",), "`Sparse[f32, N]`: the active units of a vector; `nonzero` makes one.", ""),
    Word(
        ("int",),
        "Another name of `i32`, the type of dims and indices; as a kind (`[T: int]`), any type of "
        "whole numbers.",
        "i: int",
    ),
)


def find_word(name: str) -> Word | None:
    """The entry of a keyword or built-in type, spelled exactly."""
    return next((w for w in WORDS if name in w.names), None)


def explain_word(w: Word) -> str:
    """The entry as text."""
    head = f"{', '.join(w.names)}\n\n{w.meaning}"
    if not w.example:
        return head
    return head + "\n\n" + "\n".join(f"    {line}" for line in w.example.split("\n"))
