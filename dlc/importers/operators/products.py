"""Matrix products, Einsum, determinants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from string import ascii_letters

from dlc.importers.broadcasting import agree, common_shape, stretch, with_dim
from dlc.importers.call import Call, Operator
from dlc.importers.elements import INT64
from dlc.importers.operators.sparse import by_sparse
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Tensor
from dlc.typesys.dims import ONE, Dim


def _matmul(c: Call) -> Tensor:
    return matmul(c.tensor(0), c.tensor(1))


Contract = Callable[[str, Tensor, Tensor], Tensor]


def matmul(a: Tensor, b: Tensor, contract: Contract | None = None) -> Tensor:
    """numpy's matmul: products of the last two axes, for every position in the others. `contract`
    computes them, if not the IR's own."""
    e = a.e
    if not a.rank or not b.rank:
        raise refuse("E0707", f"MatMul of {a} and {b}")
    if b.sparse is not None and contract is None:
        a, _ = agree(a, a.rank - 1, b, 0, "the inner dim of MatMul")
        return by_sparse(a, b.sparse, a.rank - 1, b.shape[1])
    if a.sparse is not None and contract is None:
        axis = max(b.rank - 2, 0)
        b, _ = agree(b, axis, a, 1, "the inner dim of MatMul")
        return by_sparse(b, a.sparse.transposed, axis, a.shape[0])
    inner = max(b.rank - 2, 0)
    a, b = agree(a, a.rank - 1, b, inner, "the inner dim of MatMul")
    lead = common_shape(e, [a.shape[:-2], b.shape[:-2]])
    many = ascii_letters[: len(lead)]
    i, k, j = ascii_letters[len(lead) : len(lead) + 3]
    left, a = _batch(a, lead, many)
    right, b = _batch(b, lead, many)
    rows = i if a.rank > len(left) + 1 else ""
    columns = j if b.rank > len(right) + 1 else ""
    used = "".join(x for x in many if x in left or x in right)
    spec = f"{left}{rows}{k},{right}{k}{columns}->{used}{rows}{columns}"
    y = (contract or e.contract)(spec, a, b)
    shape = (*lead, *([y.shape[len(used)]] if rows else ()), *([y.shape[-1]] if columns else ()))
    return e.reshape(y, shape)


def _batch(x: Tensor, lead: tuple[Dim, ...], letters: str) -> tuple[str, Tensor]:
    """The operand without axes of size 1 that are only there for broadcasting, and the letters of
    its batch axes."""
    e, have = x.e, x.shape[:-2]
    offset = len(lead) - len(have)
    keep = [a for a, d in enumerate(have) if d != ONE]
    y = e.reshape(x, [*(have[a] for a in keep), *x.shape[len(have) :]])
    want = tuple(lead[offset + a] for a in keep)
    if tuple(have[a] for a in keep) != want:
        y = stretch(y, (*want, *x.shape[len(have) :]))
    return "".join(letters[offset + a] for a in keep), y


def _gemm(c: Call) -> Tensor:
    a, b, e = c.tensor(0), c.tensor(1), c.e
    if a.rank != 2 or b.rank != 2:
        raise refuse("E0707", f"Gemm of {a} and {b}")
    left, right = ("ki" if c.flag("transA") else "ik"), ("jk" if c.flag("transB") else "kj")
    at, bt = left.index("k"), right.index("k")
    if a.sparse is None and b.sparse is None:
        a, b = agree(a, at, b, bt, "the inner dim of Gemm")
        y = e.contract(f"{left},{right}->ij", a, b)
    else:
        a, b = (_turned(x) if flag else x for x, flag in ((a, at == 0), (b, bt == 1)))
        y = matmul(a, b)
    alpha, beta = (_number(c, n, y) for n in ("alpha", "beta"))
    if alpha != 1:
        y = y * alpha
    if not c.has(2) or beta == 0:
        return y
    z = stretch(c.tensor(2), y.shape)
    return y + (z if beta == 1 else z * beta)


def _turned(x: Tensor) -> Tensor:
    if x.sparse is None:
        return x.e.transpose(x, (1, 0))
    return replace(x, shape=(x.shape[1], x.shape[0]), sparse=x.sparse.transposed)


def _number(c: Call, name: str, like: Tensor) -> float | int:
    """A float attribute, as a number of the tensor's kind."""
    x = c.float(name, 1.0)
    if like.element.is_float:
        return x
    if not x.is_integer():
        raise c.refused(f"{name}={x} for whole numbers")
    return int(x)


# -- Einsum


def _einsum(c: Call) -> Tensor:
    xs, e = list(c.tensors()), c.e
    terms, out = _equation(c.text("equation"), xs)
    done, letters = xs[0], terms[0]
    done, letters = _diagonals(done, letters)
    for i in range(1, len(xs)):
        x, own = _diagonals(xs[i], terms[i])
        later = set("".join(terms[i + 1 :]) + out)
        keep = "".join(dict.fromkeys(ch for ch in letters + own if ch in later))
        done, x = _agree(done, letters, x, own)
        done = e.contract(f"{letters},{own}->{keep}", done, x)
        letters = keep
    gone = tuple(i for i, ch in enumerate(letters) if ch not in out)
    done = e.reduce("sum", done, gone)
    letters = "".join(ch for ch in letters if ch in out)
    return e.transpose(done, [letters.index(ch) for ch in out])


def _equation(text: str, xs: list[Tensor]) -> tuple[list[str], str]:
    """The letters of each operand and of the result; an ellipsis becomes letters that are not
    used."""
    text = "".join(text.split())
    left, arrow, out = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(xs):
        raise refuse("E0707", f"the equation {text!r} has {len(terms)} operands, not {len(xs)}")
    letters = {ch for ch in text if ch in ascii_letters}
    if set(text) - letters - set(",.->"):
        raise refuse("E0707", f"the equation {text!r}")
    free = [ch for ch in ascii_letters if ch not in letters]
    wide = max(
        (x.rank - len(t.replace("...", "")) for t, x in zip(terms, xs, strict=True) if "..." in t),
        default=0,
    )
    if wide < 0 or wide > len(free):
        raise refuse("E0707", f"the equation {text!r} doesn't fit the ranks")
    many = "".join(free[:wide])
    full: list[str] = []
    for t, x in zip(terms, xs, strict=True):
        n = x.rank - len(t.replace("...", ""))
        t = t.replace("...", many[len(many) - n :] if n > 0 else "")
        if len(t) != x.rank or "." in t:
            raise refuse("E0707", f"the equation {text!r} doesn't fit {x}")
        full.append(t)
    if arrow:
        out = out.replace("...", many)
    else:
        once = sorted(ch for ch in letters if sum(t.count(ch) for t in full) == 1)
        out = many + "".join(once)
    if set(out) - set("".join(full)) or len(set(out)) != len(out):
        raise refuse("E0707", f"the result of the equation {text!r}")
    return full, out


def _diagonals(x: Tensor, letters: str) -> tuple[Tensor, str]:
    """Where a letter is repeated within one operand: the elements with equal positions."""
    e = x.e
    for ch in letters:
        while letters.count(ch) > 1:
            first = letters.index(ch)
            second = letters.index(ch, first + 1)
            order = (first, second, *(a for a in range(x.rank) if a not in (first, second)))
            y = e.transpose(x, order)
            n, rest = y.shape[0], y.shape[2:]
            y = with_dim(y, 1, n, "axes with one letter")
            flat = e.reshape(y, (n * n, *rest))
            x = e.emit("take", flat, e.iota(n) * e.dim(n + 1), axis=0, in_bounds=True)
            letters = ch + "".join(letters[a] for a in order[2:])
    return x, letters


def _agree(a: Tensor, la: str, b: Tensor, lb: str) -> tuple[Tensor, Tensor]:
    """Equal dims for equal letters; an axis of 1 is stretched."""
    for i, ch in enumerate(la):
        j = lb.find(ch)
        if j < 0 or a.shape[i] == b.shape[j]:
            continue
        d = common_shape(a.e, [(a.shape[i],), (b.shape[j],)])[0]
        a = stretch(a, (*a.shape[:i], d, *a.shape[i + 1 :]))
        b = stretch(b, (*b.shape[:j], d, *b.shape[j + 1 :]))
    return a, b


# -- determinants


def _det(c: Call) -> Tensor:
    """Elimination with the largest pivot of each column, for all matrices at once."""
    x, e = c.tensor(0), c.e
    if x.rank < 2:
        raise refuse("E0707", f"Det of {x}")
    n, lead = x.shape[-1], x.shape[:-2]
    x = with_dim(x, x.rank - 2, n, "the sides of a square")
    many = ONE
    for d in lead:
        many = many * d
    a = e.reshape(x, (many, n, n))
    det = e.full(1.0, (many,), x.element)
    lo, hi = e.b.scalar(0, INT64.storage), e.b.dim(n, INT64.storage)
    av, dv = e.value(a), e.value(det)
    with e.region([lo.tensor, av.type, dv.type], ["k", "a", "det"]) as b:
        k = e.tensor(b.params[0], INT64)
        now, det_now = e.tensor(b.params[1], x.element), e.tensor(b.params[2], x.element)
        new, factor = _eliminate(now, k)
        body = e.yield_region(new, det_now * factor)
    _, out = e.b.for_(lo, hi, (av, dv), body)
    return e.reshape(e.tensor(out, x.element), lead)


def _eliminate(a: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """Column k of every matrix below row k becomes 0; gives the pivots, with the sign of the
    exchange of rows."""
    from dlc.importers import numbers
    from dlc.importers.elements import INT32

    e, (many, n, _) = a.e, a.shape
    column = e.reshape(e.emit("slice", a, k, axis=2, size=1, in_bounds=True), (many, n))
    row = e.iota(n)
    below = (row >= k).choose(column.op("abs"), -1.0)
    p = numbers.cast(e.emit("argmax", below, element=INT32, axis=1, in_bounds=True), INT64)
    row_k = e.reshape(e.emit("slice", a, k, axis=1, size=1, in_bounds=True), (many, n))
    at = e.iota(many) * e.dim(n) + p
    flat = e.reshape(a, (many * n, n))
    row_p = e.emit("take", flat, at, axis=0, in_bounds=True)
    pivot = e.reshape(e.emit("slice", row_p, k, axis=1, size=1, in_bounds=True), (many,))
    rows = e.reshape(row, (1, n, 1))
    is_k = rows.equals(k)
    is_p = rows.equals(e.reshape(p, (many, 1, 1)))
    swapped = is_k.choose(
        e.reshape(row_p, (many, 1, n)), is_p.choose(e.reshape(row_k, (many, 1, n)), a)
    )
    safe = pivot.equals(0.0).choose(1.0, pivot)
    first = e.emit("slice", swapped, k, axis=2, size=1, in_bounds=True)
    factor = (rows > k).choose(first / e.reshape(safe, (many, 1, 1)), 0.0)
    new = swapped - factor * e.reshape(row_p, (many, 1, n))
    return new, p.equals(k).choose(pivot, -pivot)


OPERATORS: tuple[Operator, ...] = (
    Operator("MatMul", (1, 9, 13), _matmul),
    Operator("Gemm", (1, 6, 7, 9, 11, 13), _gemm),
    Operator("Einsum", (12, 28), _einsum),
    Operator("Det", (11, 22), _det),
)
