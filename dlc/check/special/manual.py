"""The manual of the builtins that a signature cannot describe."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpecialEntry:
    """`text` shows the forms of a call, one on a line."""

    group: str
    name: str
    text: str
    comment: str


_R, _E, _M, _H, _D, _C = (
    "reductions without a signature",
    "elements without a signature",
    "moving without a signature",
    "functions as arguments",
    "derivatives",
    "conversions",
)


def _reduction(name: str, comment: str, result: str = "T") -> SpecialEntry:
    text = f"{name}(x: T[*S]) -> {result}\n{name}(x: T[*S], axis) -> {result}[…]"
    return SpecialEntry(_R, name, text, comment)


def _conversion(name: str) -> SpecialEntry:
    whole = name[0] in "iu"
    of = "Floats are rounded to zero and saturate; NaN becomes 0." if whole else ""
    if name == "bool":
        of = "True where it is not 0; so is NaN."
    text = f"Each element as {name}, of a number or a tensor. {of}".rstrip()
    return SpecialEntry(_C, name, f"{name}(x: T[*S]) -> {name}[*S]", text)


SPECIAL_ENTRIES = (
    _reduction("sum", "The sum of all elements, or along an axis, which goes; 0 of nothing."),
    _reduction("mean", "The sum divided by the count; 0 of nothing."),
    _reduction("max", "The largest; NaN if any is; the lowest number of nothing."),
    _reduction("min", "The smallest; NaN if any is; the highest number of nothing."),
    _reduction("prod", "The product; 1 of nothing."),
    _reduction("argmax", "Where the largest is, the first of several. Fails of nothing.", "i32"),
    _reduction("argmin", "Where the smallest is, the first of several. Fails of nothing.", "i32"),
    _reduction("any", "Whether any is true; false of nothing.", "bool"),
    _reduction("all", "Whether all are true; true of nothing.", "bool"),
    SpecialEntry(_E, "minimum", "minimum(a, b)", "The smaller of each two; NaN if either is."),
    SpecialEntry(_E, "maximum", "maximum(a, b)", "The larger of each two; NaN if either is."),
    SpecialEntry(
        _E, "where", "where(c: bool[*S], a, b)", "a where c is true, else b; shapes as for `+`."
    ),
    SpecialEntry(
        _E, "einsum", 'einsum("ij,jk->ik", a, b)', "The sum of products over the letters that the "
        "result does not have. The text is known when compiling.",
    ),
    SpecialEntry(
        _M, "transpose", "transpose(x, 1, 0, 2)", "Axis i of the result is the given axis of x; "
        "`x.T` turns a matrix.",
    ),
    SpecialEntry(
        _M, "concat", "concat(a, b, …)\nconcat(a, b, …, axis=1)", "One behind the other along an "
        "axis, 0 if none is given.",
    ),
    SpecialEntry(
        _M, "chunk", "a, b, c = chunk(x, 3)", "Equal parts of the first dim, as a tuple; the "
        "count is known when compiling and must divide the dim.",
    ),
    SpecialEntry(
        _M, "reshape", "reshape(x, N, M)", "The same elements in order, in other dims. Fails if "
        "the counts differ.",
    ),
    SpecialEntry(_M, "len", "len(x) -> i32", "The length of a list, or of a tensor's first dim."),
    SpecialEntry(_M, "push", "push(mut xs: List[T], v: T)", "Appends v to the list."),
    SpecialEntry(_M, "Some", "Some(value)", "An `Option` with a value."),
    SpecialEntry(_M, "None", "None", "An `Option` without one."),
    SpecialEntry(
        _M, "init", "init(Net[H=4], key)", "A model drawn by the initialisers of its fields. Every "
        "field must have one.",
    ),
    SpecialEntry(
        _H, "map", "map(f, xs, …)", "f of each row of tensors, or of each element of lists, of one "
        "length. Where f gives a tuple, the result is a tuple of tensors or lists.",
    ),
    SpecialEntry(_H, "fold", "fold(f, x0, xs)", "f(…f(f(x0, xs[0]), xs[1])…, xs[n - 1])."),
    SpecialEntry(
        _H, "scan", "scan(f, x0, xs)", "All states: y[0] = f(x0, xs[0]), y[t] = f(y[t - 1], "
        "xs[t]).",
    ),
    SpecialEntry(
        _H, "each", "each(f, m, g, …)", "f, a function of scalars, of every float of equal "
        "structures: models, tuples, lists, gradients.",
    ),
    SpecialEntry(_H, "total", "total(f, m, …) -> f32", "The sum of f over every float."),
    SpecialEntry(
        _H, "fixpoint", "fixpoint(f, x0)\nfixpoint(f, x0, tol, turns)", "x with f(x) = x: f again "
        "and again from x0. Its derivative is that of the solution, not of the turns.",
    ),
    SpecialEntry(
        _D, "grad", "grad(f, wrt=p)(…)\ngrad(f, wrt=(p, q))(…)", "The derivative of the float that "
        "f gives with respect to its parameter p. Further results of f follow. A gathered table's "
        "is `Rows`.",
    ),
    SpecialEntry(
        _D, "value_and_grad", "value_and_grad(f, wrt=p)(…)", "What f gives, then the derivative."
    ),
    SpecialEntry(
        _D, "vjp", "vjp(f, wrt=p)(…, dy)", "The transposed Jacobian times dy: reverse mode."
    ),
    SpecialEntry(
        _D, "jvp", "jvp(f, wrt=p)(…, dx)", "What f gives, then its Jacobian times dx: forward mode."
    ),
    *map(_conversion, ("f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8", "bool")),
)  # fmt: skip
