"""E03xx: operators, shapes and values."""

from __future__ import annotations

from dlc.diag.codes.code import Code

_TREE = "type Tree[D] = Nil | Leaf(v: f32[D])\n"

CODES: tuple[Code, ...] = (
    Code(
        "E0313",
        "a result of another type",
        "What is returned has the declared type; dims are equal, not perhaps equal.",
        bad="fn f(mask: bool[N]) -> i32[N]:\n    i = nonzero_indices(mask)\n    return i\n",
        good="fn f(mask: bool[N]) -> i32[?k]:\n    i = nonzero_indices(mask)\n    return i\n",
    ),
    Code(
        "E0314",
        "a function, a model or a module is not a value",
        "Functions are called, or given to parameters that take a function; they are not kept in "
        "variables.",
        bad="fn f(x: f32) -> f32:\n    g = relu\n    return x\n",
        good="fn f(x: f32) -> f32:\n    return relu(x)\n",
    ),
    Code(
        "E0315",
        "an empty list of nothing",
        "`[]` has the type that its annotation says.",
        bad="fn f(x: f32) -> f32:\n    xs = []\n    return x\n",
        good="fn f(x: f32) -> f32:\n    xs: List[f32] = []\n    return x\n",
    ),
    Code(
        "E0318",
        "an operator that does not work on these",
        "Nothing is converted silently: both sides have one element type. `/` is of floats, `//` "
        "and `%` of whole numbers, `and or not` of bools.",
        bad="fn f(x: f32, i: i32) -> f32:\n    return x * i\n",
        good="fn f(x: f32, i: i32) -> f32:\n    return x * f32(i)\n",
    ),
    Code(
        "E0319",
        "shapes that do not go together",
        "Shapes are aligned at the right. A dim must be the same on both sides, or be written 1.",
        bad="fn f(s: f32[K], x: f32[K, V]) -> f32[K, V]:\n    return s + x\n",
        good="fn f(s: f32[K], x: f32[K, V]) -> f32[K, V]:\n    return column(s) + x\n",
    ),
    Code(
        "E0320",
        "`@` of two vectors",
        "It could be the number or the matrix: `dot` and `outer` say which.",
        bad="fn f(a: f32[N], b: f32[N]) -> f32:\n    return a @ b\n",
        good="fn f(a: f32[N], b: f32[N]) -> f32:\n    return dot(a, b)\n",
    ),
    Code(
        "E0321",
        "matrices that cannot be multiplied",
        "`a @ b` needs the columns of a to be the rows of b. Leading dims are equal.",
        bad="fn f(w: f32[H, X], x: f32[N, X]) -> f32[N, H]:\n    return x @ w\n",
        good="fn f(w: f32[H, X], x: f32[N, X]) -> f32[N, H]:\n    return x @ w.T\n",
    ),
    Code(
        "E0322",
        "elements of what has none, or too many indices",
        "Tensors have as many indices as dims, lists and Arrays one.",
        bad="fn f(x: f32[N]) -> f32:\n    return x[0, 0]\n",
        good="fn f(x: f32[N, M]) -> f32:\n    return x[0, 0]\n",
    ),
    Code(
        "E0323",
        "an index that is not a whole number",
        "An index is i32 or i64; a tensor of them gathers rows. A mask selects through "
        "`nonzero_indices`.",
        bad="fn f(x: f32[N]) -> f32[?k]:\n    return x[x > 0.0]\n",
        good="fn f(x: f32[N]) -> f32[?k]:\n    return x[nonzero_indices(x > 0.0)]\n",
    ),
    Code(
        "E0324",
        "a tuple is only taken apart",
        "A tuple is several results of one call; it is bound to several names at once.",
        bad="fn g(x: f32) -> (f32, f32):\n    return x, -x\nfn f(x: f32) -> f32:\n"
        "    p = g(x)\n    return x\n",
        good="fn g(x: f32) -> (f32, f32):\n    return x, -x\nfn f(x: f32) -> f32:\n"
        "    a, b = g(x)\n    return a * b\n",
    ),
    Code(
        "E0325",
        "a slice whose length has no name",
        "The length of a slice is a dim of its type: both bounds are dims or named numbers.",
        bad="fn f(x: f32[N], n: i32[M], i: i32) -> f32:\n    return sum(x[i : i + n[i]])\n",
        good="fn f(x: f32[N], n: i32[M], i: i32) -> f32:\n"
        "    e = i + n[i]\n    return sum(x[i : e])\n",
    ),
    Code(
        "E0326",
        "an index out of bounds",
        "A number known when compiling is outside a dim known when compiling.",
        bad="fn f(x: f32[3]) -> f32:\n    return x[3]\n",
        good="fn f(x: f32[3]) -> f32:\n    return x[-1]\n",
    ),
    Code(
        "E0327",
        "no such axis",
        "An axis is a number, from 0, or from -1 backwards.",
        bad="fn f(x: f32[N, M]) -> f32[N]:\n    return sum(x, 2)\n",
        good="fn f(x: f32[N, M]) -> f32[N]:\n    return sum(x, 1)\n",
    ),
    Code(
        "E0334",
        "not equal parts",
        "`chunk(x, n)` takes the first dim into n equal parts; the text has to show that it can.",
        bad="fn f(x: f32[4*H]) -> f32[H]:\n    a, b, c = chunk(x, 3)\n    return a\n",
        good="fn f(x: f32[4*H]) -> f32[H]:\n    a, b, c, d = chunk(x, 4)\n    return a\n",
    ),
    Code(
        "E0335",
        "a wrong einsum",
        '`"ij,jk->ik"`: operands by commas, one letter for each dim, then the letters of the '
        "result.",
        bad='fn f(a: f32[N, M]) -> f32:\n    return sum(einsum("ij->il", a))\n',
        good='fn f(a: f32[N, M]) -> f32:\n    return sum(einsum("ij->ji", a))\n',
    ),
    Code(
        "E0341",
        "as many names as values",
        "A tuple is taken apart into as many names as it has parts; `_` takes one that is not "
        "needed.",
        bad="fn f(x: f32[2*H]) -> f32[H]:\n    a, b, c = chunk(x, 2)\n    return a\n",
        good="fn f(x: f32[2*H]) -> f32[H]:\n    a, _ = chunk(x, 2)\n    return a\n",
    ),
    Code(
        "E0342",
        "unequal elements",
        "The parts of a tensor have one shape and element type; the elements of a List one type.",
        bad="fn f(a: f32[N], b: f32[M]) -> f32:\n    return sum([a, b])\n",
        good="fn f(a: f32[N], b: f32[N]) -> f32:\n    return sum([a, b])\n",
    ),
    Code(
        "E0344",
        "a reshape that never fits",
        "The number of elements stays. Where it is not known to, it is checked when the program "
        "runs.",
        bad="fn f(x: f32[2*N + 1]) -> f32[N, 2]:\n    return reshape(x, N, 2)\n",
        good="fn f(x: f32[2*N]) -> f32[N, 2]:\n    return reshape(x, N, 2)\n",
    ),
    Code(
        "E0345",
        "this cannot be walked over",
        "`for` and `map` walk over tensors, Lists, Rows and keys, `for` over ranges too.",
        bad="fn f(n: i32) -> i32:\n    s = 0\n    for i in n:\n        s += i\n    return s\n",
        good="fn f(n: i32) -> i32:\n    s = 0\n    for i in 0..n:\n        s += i\n    return s\n",
    ),
    Code(
        "E0347",
        "a number that does not fit",
        "A literal lies in the range of its element type.",
        bad="fn f(x: i32) -> i32:\n    return x + 3000000000\n",
        good="fn f(x: i64) -> i64:\n    return x + 3000000000\n",
    ),
    Code(
        "E0353",
        "a type that is not known here",
        "`None`, a variant without fields of a type with dims, and `?k` take what they lack "
        "from an "
        "annotation, a parameter or a result.",
        bad=_TREE + "fn f(x: f32) -> f32:\n    t = Nil\n    return x\n",
        good=_TREE + "fn f(x: f32) -> f32:\n    t: Tree[3] = Nil\n    return x\n",
    ),
    Code(
        "E0354",
        "a conditional with two types",
        "Both sides of `a if c else b` have one type and one shape.",
        bad="fn f(x: f32[N], c: bool) -> f32:\n    return sum(x if c else 0.0)\n",
        good="fn f(x: f32[N], c: bool) -> f32:\n    return sum(x) if c else 0.0\n",
    ),
)
