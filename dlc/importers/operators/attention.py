"""Attention, and the rotation of positions that goes with it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dlc.importers import numbers
from dlc.importers.broadcasting import agree, with_dim
from dlc.importers.call import Call, Operator, check_rank
from dlc.importers.elements import INT64, element_of
from dlc.importers.operators.padding import pad
from dlc.importers.operators.reductions import total
from dlc.importers.refusal import refuse
from dlc.importers.tensor import Tensor
from dlc.typesys.dims import ONE, ZERO, Dim


def heads(x: Tensor, count: int) -> Tensor:
    """`[B, S, count*D]` as `[B, count, S, D]`."""
    size = x.shape[2].divide_exactly(Dim.const(count)) if count > 0 else None
    if size is None:
        raise refuse("E0707", f"{x.shape[2]} features in {count} heads")
    return x.e.transpose(x.e.reshape(x, (*x.shape[:2], count, size)), (0, 2, 1, 3))


@dataclass(frozen=True)
class Heads:
    """The operands with a head axis, and the keys and values that a next call starts from."""

    q: Tensor
    k: Tensor
    v: Tensor
    past: Dim
    packed: bool


def _heads(c: Call) -> Heads:
    q, k, v = (c.tensor(i) for i in range(3))
    packed = q.rank == 3
    if not q.rank == k.rank == v.rank or q.rank not in (3, 4):
        raise refuse("E0707", f"Attention of {q}, {k} and {v}")
    if packed:
        nq, nk = c.int("q_num_heads"), c.int("kv_num_heads")
        q, k, v = heads(q, nq), heads(k, nk), heads(v, nk)
    past = ZERO
    if c.has(4) != c.has(5):
        raise refuse("E0707", "past keys and past values go together")
    if c.has(4):
        past = check_rank(c.tensor(4), 4).shape[2]
        check_rank(c.tensor(5), 4)
        k, v = c.e.concat([c.tensor(4), k], 2), c.e.concat([c.tensor(5), v], 2)
    k, v = agree(k, 2, v, 2, "the number of keys and of values")
    return Heads(q, k, v, past, packed)


def _attention(c: Call) -> tuple[Tensor, ...]:
    """Source: ONNX Attention-25 (23 and 24 without windows)."""
    e, h = c.e, _heads(c)
    q, k, v = h.q, h.k, h.v
    nq, nk = q.shape[1], k.shape[1]
    group = nq.divide_exactly(nk)
    if group is None:
        raise refuse("E0707", f"{nq} heads of queries for {nk} of keys")
    k, q = agree(k, 3, q, 3, "the size of a head")
    scale = c.float("scale") if c.given("scale") else 0.0
    if scale and not 0 < scale < math.inf:
        raise refuse("E0707", f"the attribute `scale` is {scale}")
    if scale:
        factor: Tensor | float = math.sqrt(scale)
    else:
        size = numbers.cast(e.dim(q.shape[3]), q.element)
        factor = 1.0 / size.op("sqrt").op("sqrt")
    batch, rows, columns = q.shape[0], q.shape[2], k.shape[2]
    grouped = e.reshape(q * factor, (batch, nk, group, rows, q.shape[3]))
    scores = e.contract("bngqd,bnkd->bngqk", grouped, k * factor)
    scores = e.reshape(scores, (batch, nq, rows, columns))
    cap = c.float("softcap", 0.0)
    if cap > 0:
        scores = (scores / cap).op("tanh") * cap
    allowed, bias = _masks(c, h, scores)
    masked = _applied(scores, allowed, bias)
    mode = c.int("qk_matmul_output_mode", 0)
    shares = _shares(c, masked, allowed, bias)
    weights = e.reshape(shares, (batch, nk, group, rows, columns))
    y = e.contract("bngqk,bnkd->bngqd", numbers.cast(weights, v.element), v)
    y = e.reshape(y, (batch, nq, rows, v.shape[3]))
    if h.packed:
        y = e.reshape(e.transpose(y, (0, 2, 1, 3)), (batch, rows, nq * v.shape[3]))
    shown = {2: masked, 3: shares}.get(mode, scores)
    return y, k, v, shown


def _masks(c: Call, h: Heads, scores: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Which keys each query may see (None: all), and what is added to the scores; both are
    stretched over `[B, heads, queries, keys]`."""
    e, (rows, columns) = c.e, scores.shape[2:]
    allowed: Tensor | None = None
    bias: Tensor | None = None
    mask = c.optional(3)
    if mask is not None:
        check_rank(mask, 1, 2, 3, 4)
        missing = columns - mask.shape[-1]
        if missing != ZERO:
            value = False if mask.element.is_bool else -math.inf
            mask = pad(mask, [ZERO] * mask.rank, [*[ZERO] * (mask.rank - 1), missing], value)
        if mask.element.is_bool:
            allowed = mask
        else:
            bias = numbers.cast(mask, scores.element)
    valid = c.optional(6)
    i = e.reshape(e.iota(rows), (1, 1, rows, 1))
    j = e.reshape(e.iota(columns), (1, 1, 1, columns))
    offset = e.dim(h.past)
    if valid is not None:
        if c.has(4):
            raise refuse("E0707", "nonpad_kv_seqlen and past keys exclude each other")
        check_rank(valid, 1)
        length = e.reshape(numbers.cast(valid, INT64), (valid.shape[0], 1, 1, 1))
        offset = length - e.dim(rows)
        allowed = _both(allowed, j < length)
    place = i + offset
    if c.flag("is_causal"):
        allowed = _both(allowed, j <= place)
    left, right = c.int("left_window_size", -1), c.int("right_window_size", -1)
    if left >= 0:
        allowed = _both(allowed, j >= place - left)
    if right >= 0:
        allowed = _both(allowed, j <= place + right)
    return allowed, bias


def _both(a: Tensor | None, b: Tensor) -> Tensor:
    return b if a is None else a.op("and", b)


def _applied(scores: Tensor, allowed: Tensor | None, bias: Tensor | None) -> Tensor:
    y = scores if bias is None else scores + bias
    return y if allowed is None else allowed.choose(y, -math.inf)


def _shares(c: Call, masked: Tensor, allowed: Tensor | None, bias: Tensor | None) -> Tensor:
    """Softmax over keys; a query that may see no key gets zeros."""
    e, element = c.e, masked.element
    work = element
    if c.given("softmax_precision") and c.int("softmax_precision"):
        work = element_of(c.int("softmax_precision"))
    if allowed is None and bias is None:
        from dlc.importers.operators.reductions import softmax

        return numbers.cast(softmax(numbers.cast(masked, work), (3,)), element)
    x = numbers.cast(masked, work)
    top = e.reduce("max", x, (3,), keep=True)
    seen = top > -math.inf
    powers = (x - seen.choose(top, 0.0)).op("exp")
    sums = total(powers, (3,), True)
    shares = powers / seen.choose(sums, 1.0)
    return numbers.cast(shares, element)


# -- positions


def _rotary(c: Call) -> Tensor:
    """Pairs of features, each turned by an angle of its own."""
    x, e = check_rank(c.tensor(0), 3, 4), c.e
    packed = x.rank == 3
    y = heads(x, c.int("num_heads", 0)) if packed else x
    size = y.shape[3]
    turned = c.int("rotary_embedding_dim", 0)
    part = Dim.const(turned) if turned else size
    half = part.divide_exactly(Dim.const(2))
    if half is None:
        raise refuse("E0707", f"{part} features cannot be paired")
    cos, sin = (_angles(c, i, half) for i in (1, 2))
    head = e.slice(y, 3, 0, part)
    if c.flag("interleaved"):
        pairs = e.reshape(head, (*y.shape[:3], half, 2))
        a, b = (e.reshape(e.slice(pairs, 4, k, 1), (*y.shape[:3], half)) for k in range(2))
    else:
        a, b = e.slice(head, 3, 0, half), e.slice(head, 3, half, half)
    real, imaginary = a * cos - b * sin, b * cos + a * sin
    if c.flag("interleaved"):
        wide = (*y.shape[:3], half, ONE)
        out = e.concat([e.reshape(real, wide), e.reshape(imaginary, wide)], 4)
        out = e.reshape(out, (*y.shape[:3], part))
    else:
        out = e.concat([real, imaginary], 3)
    if part != size:
        out = e.concat([out, e.slice(y, 3, part, size - part)], 3)
    return e.reshape(e.transpose(out, (0, 2, 1, 3)), x.shape) if packed else out


def _angles(c: Call, i: int, half: Dim) -> Tensor:
    """A table of cosines or sines, at the positions of the tokens: `[B, 1, S, half]`."""
    e, table = c.e, c.tensor(i)
    if c.has(3):
        positions = numbers.cast(c.tensor(3), INT64)
        table = e.emit("take", check_rank(table, 2), check_rank(positions, 2), axis=0)
    check_rank(table, 3)
    table = with_dim(table, table.rank - 1, half, "the number of angles")
    return e.reshape(table, (table.shape[0], 1, *table.shape[1:]))


OPERATORS: tuple[Operator, ...] = (
    Operator("Attention", (23, 24, 25), _attention),
    Operator("RotaryEmbedding", (23,), _rotary),
)
