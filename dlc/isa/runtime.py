"""What the Python text of the reference machine calls: primitives, effects and checked access to
memory.

Every primitive `p` of `dlc.isa.primitives` is a method `p_NAME`, every effect `e_NAME`. Floats are
numpy float32; functions beyond arithmetic go through a 64-bit float and round once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dlc.diag import InternalError
from dlc.isa import descriptors
from dlc.isa.layout import NAN_BITS, SPACE_SHIFT, D, E, Flag, M, R, S
from dlc.isa.model import wrap64
from dlc.isa.state import State

F: Any = np.float32
I = wrap64
_NAN = F(np.nan)


class Halted(Exception):
    """The program is done."""


def through_f64(function: Callable[[float], float]) -> Callable[[object, Any], Any]:
    """A method that applies a function of 64-bit floats and rounds once; what C gives at poles and
    outside the domain."""

    def method(self: object, x: Any) -> Any:
        return F(_total(function, float(x)))

    return method


def _total(function: Callable[..., float], *args: float) -> float:
    try:
        return function(*args)
    except OverflowError:
        return _overflow(function, *args)
    except ValueError:
        return _pole(function, *args)


def _overflow(function: Callable[..., float], *args: float) -> float:
    if function is math.pow:
        odd = args[1] % 2 == 1
        return -math.inf if args[0] < 0 and odd else math.inf
    return math.inf


def _pole(function: Callable[..., float], *args: float) -> float:
    if (function is math.log and args[0] == 0) or (function is math.log1p and args[0] == -1):
        return -math.inf
    if function is math.atanh and abs(args[0]) == 1:
        return math.copysign(math.inf, args[0])
    if function is math.pow and args[0] == 0 and args[1] < 0:
        return math.copysign(math.inf, args[0]) if args[1] % 2 == 1 else math.inf
    return math.nan


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x > -709.0 else math.exp(x) if x == x else math.nan


class Runtime:
    """The machine's state as the Python text sees it. `mac_calls` counts products for the tests of
    declared counts."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.r = state.r
        self.f = state.f
        self.dense = False
        self.mac_calls = 0
        self.fence = 0
        self.spaces = {s.name: (state.base(s.name), state.size(s.name)) for s in state.isa.spaces}
        self.access = [s.access for s in state.isa.spaces]
        memory = state.memory[: len(state.memory) // 8 * 8]
        self.i8, self.u8 = memory.view(np.int8), memory
        self.i16, self.i32, self.i64 = (
            memory.view(np.uint16),
            memory.view(np.int32),
            memory.view(np.int64),
        )
        self.f32, self.u32 = memory.view(np.float32), memory.view(np.uint32)

    # -- special registers -------------------------------------------------------------------------

    def _get(self, word: int) -> int:
        return int(self.state.scalars[word])

    def _set(self, word: int, value: int) -> None:
        self.state.scalars[word] = wrap64(value)

    pc = property(lambda self: self._get(S.PC), lambda self, v: self._set(S.PC, v))
    sp = property(lambda self: self._get(S.SP), lambda self, v: self._set(S.SP, v))
    heap = property(lambda self: self._get(S.HEAP), lambda self, v: self._set(S.HEAP, v))
    tape = property(lambda self: self._get(S.TAPE), lambda self, v: self._set(S.TAPE, v))

    def set_r(self, register: int, value: int) -> None:
        if register:
            self.r[register] = wrap64(value)

    def set_f(self, register: int, value: Any) -> None:
        self.f[register] = value

    # -- memory ------------------------------------------------------------------------------------

    def _words(self, operand: int) -> list[int]:
        return self.state.T[operand].tolist()

    def _place(self, operand: int, indices: tuple[int, ...], flat: bool) -> tuple[int, int]:
        """(byte, dtype) of an element; the instruction's traps have excluded everything else."""
        d = self._words(operand)
        if flat:
            index = indices[0]
            if not 0 <= index < d[D.SIZE]:
                raise InternalError(f"element {index} of {d[D.SIZE]}", stage="reference machine")
            indices = (
                tuple(int(i) for i in np.unravel_index(index, d[D.SHAPE : D.SHAPE + d[D.RANK]]))
                if d[D.RANK]
                else ()
            )
        if len(indices) != d[D.RANK]:
            raise InternalError(
                f"{len(indices)} indices, rank {d[D.RANK]}", stage="reference machine"
            )
        at = 0
        for axis, index in enumerate(indices):
            if not 0 <= index < d[D.SHAPE + axis]:
                raise InternalError(
                    f"index {index} of {d[D.SHAPE + axis]}, axis {axis}", stage="reference machine"
                )
            at += index * d[D.STRIDE + axis]
        return d[D.POINTER] + at * descriptors.ITEM_BYTES[d[D.DTYPE]], d[D.DTYPE]

    def _real(self, operand: int, indices: tuple[int, ...], flat: bool) -> Any:
        byte, dtype = self._place(operand, indices, flat)
        if dtype == 0:
            return self.f32[byte // 4]
        return np.uint32(int(self.i16[byte // 2]) << 16).view(np.float32)

    def _integer(self, operand: int, indices: tuple[int, ...], flat: bool) -> int:
        byte, dtype = self._place(operand, indices, flat)
        return int(self.i32[byte // 4]) if dtype == 2 else int(self.i8[byte])

    def _set_real(self, operand: int, indices: tuple[int, ...], value: Any, flat: bool) -> None:
        byte, dtype = self._place(operand, indices, flat)
        bits = self.p_bits(value)
        if dtype == 0:
            self.u32[byte // 4] = bits
        else:
            self.i16[byte // 2] = (
                (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 if value == value else NAN_BITS >> 16
            )

    def _set_integer(self, operand: int, indices: tuple[int, ...], value: int, flat: bool) -> None:
        byte, dtype = self._place(operand, indices, flat)
        if dtype == 2:
            self.u32[byte // 4] = value & 0xFFFFFFFF
        else:
            self.u8[byte] = value & 0xFF

    def at(self, operand: int, indices: tuple[int, ...]) -> Any:
        return self._real(operand, indices, False)

    def flat(self, operand: int, indices: tuple[int, ...]) -> Any:
        return self._real(operand, indices, True)

    def int(self, operand: int, indices: tuple[int, ...]) -> int:
        return self._integer(operand, indices, False)

    def iflat(self, operand: int, indices: tuple[int, ...]) -> int:
        return self._integer(operand, indices, True)

    def set_at(self, operand: int, indices: tuple[int, ...], value: Any) -> None:
        self._set_real(operand, indices, value, False)

    def set_flat(self, operand: int, indices: tuple[int, ...], value: Any) -> None:
        self._set_real(operand, indices, value, True)

    def set_int(self, operand: int, indices: tuple[int, ...], value: int) -> None:
        self._set_integer(operand, indices, value, False)

    def set_iflat(self, operand: int, indices: tuple[int, ...], value: int) -> None:
        self._set_integer(operand, indices, value, True)

    def _word(self, space: str, index: int, size: int) -> int:
        base, length = self.spaces[space]
        if not 0 <= index < length // size:
            raise InternalError(
                f"word {index} of {length // size} in {space}", stage="reference machine"
            )
        return base // size + index

    def word_i64(self, space: str, index: int) -> int:
        return int(self.i64[self._word(space, index, 8)])

    def word_f32(self, space: str, index: int) -> Any:
        return self.f32[self._word(space, index, 4)]

    def set_word_i64(self, space: str, index: int, value: int) -> None:
        self.i64[self._word(space, index, 8)] = wrap64(value)

    def set_word_f32(self, space: str, index: int, value: Any) -> None:
        self.u32[self._word(space, index, 4)] = self.p_bits(value)

    # -- loops -------------------------------------------------------------------------------------

    def fold(self, start: Any, count: int, body: Callable[[Any, int], Any]) -> Any:
        value = start
        for k in range(count):
            value = body(value, k)
        return value

    def banksum(
        self, count: int, body: Callable[[int], Any], lane: Callable[[int], int] | None
    ) -> Any:
        banks = [F(0)] * 64
        for k in range(count):
            bank = (k if lane is None else lane(k)) & 63
            banks[bank] = banks[bank] + body(k)
        width = 32
        while width:
            banks = [banks[k] + banks[k + width] for k in range(width)]
            width //= 2
        return banks[0]

    def banksum_of_products(
        self, count: int, body: Callable[[int], Any], lane: Callable[[int], int] | None
    ) -> Any:
        """A banked sum whose terms are products: multiply-accumulates as well."""
        self.mac_calls += count
        return self.banksum(count, body, lane)

    # -- floats ------------------------------------------------------------------------------------

    def p_mac(self, s: Any, x: Any, y: Any) -> Any:
        self.mac_calls += 1
        return s + x * y

    p_floor = through_f64(np.floor)
    p_ceil = through_f64(np.ceil)
    p_round = through_f64(np.rint)
    p_trunc = through_f64(np.trunc)
    p_exp = through_f64(math.exp)
    p_expm1 = through_f64(math.expm1)
    p_log = through_f64(math.log)
    p_log1p = through_f64(math.log1p)
    p_sin = through_f64(math.sin)
    p_cos = through_f64(math.cos)
    p_tanh = through_f64(math.tanh)
    p_erf = through_f64(math.erf)
    p_asinh = through_f64(math.asinh)
    p_acosh = through_f64(math.acosh)
    p_atanh = through_f64(math.atanh)
    p_sigmoid = through_f64(_sigmoid)

    def p_sqrt(self, x: Any) -> Any:
        return np.sqrt(x)

    def p_pow(self, x: Any, y: Any) -> Any:
        return F(_total(math.pow, float(x), float(y)))

    def p_atan2(self, y: Any, x: Any) -> Any:
        return F(math.atan2(float(y), float(x)))

    def p_relu(self, x: Any) -> Any:
        return x if x > 0 else (x if x != x else F(0))

    def p_sign(self, x: Any) -> Any:
        return F(1) if x > 0 else F(-1) if x < 0 else x if x != x else F(0)

    def p_abs(self, x: Any) -> Any:
        return wrap64(abs(x)) if type(x) is int else abs(x)

    def p_max(self, x: Any, y: Any) -> Any:
        if x != x or y != y:
            return _NAN
        return x if x >= y else y

    def p_min(self, x: Any, y: Any) -> Any:
        if x != x or y != y:
            return _NAN
        return x if x <= y else y

    def p_finite(self, x: Any) -> bool:
        return bool(np.isfinite(x))

    def p_no(self) -> bool:
        return False

    def p_bits(self, x: Any) -> int:
        return NAN_BITS if x != x else int(F(x).view(np.uint32))

    def p_from_bits(self, x: int) -> Any:
        return np.uint32(x & 0xFFFFFFFF).view(np.float32)

    def p_to_real(self, x: int) -> Any:
        return np.int64(x).astype(np.float32)

    def p_to_int(self, x: Any) -> int:
        if x != x:
            return 0
        limit = 1 << 63
        return limit - 1 if x >= limit else -limit if x <= -limit else int(x)

    def p_order(self, x: Any) -> int:
        if x != x:
            return 0xFFFFFFFF
        bits = self.p_bits(x + F(0))
        return bits ^ 0xFFFFFFFF if bits >> 31 else bits | 0x80000000

    # -- integers ----------------------------------------------------------------------------------

    def p_shl(self, x: int, y: int) -> int:
        return wrap64(x << (y & 63))

    def p_sra(self, x: int, y: int) -> int:
        return x >> (y & 63)

    def p_srl(self, x: int, y: int) -> int:
        return wrap64((x & (1 << 64) - 1) >> (y & 63))

    def p_bit_or(self, x: int, y: int) -> int:
        return x | y

    def p_bit_xor(self, x: int, y: int) -> int:
        return x ^ y

    def p_least(self) -> int:
        return -(1 << 63)

    # -- sizes -------------------------------------------------------------------------------------

    def p_dim(self, t: int, axis: int) -> int:
        return int(self.state.T[t, D.SHAPE + axis]) if 0 <= axis < 4 else 1

    def p_rank(self, t: int) -> int:
        return int(self.state.T[t, D.RANK])

    def p_size(self, t: int) -> int:
        return int(self.state.T[t, D.SIZE])

    def p_dtype(self, t: int) -> int:
        return int(self.state.T[t, D.DTYPE])

    def p_address(self, t: int) -> int:
        return int(self.state.T[t, D.POINTER]) - self._get(S.BASE + int(self.state.T[t, D.SPACE]))

    def p_rows(self, w: int) -> int:
        return int(self.state.W[w, M.ROWS])

    def p_cols(self, w: int) -> int:
        return int(self.state.W[w, M.COLS])

    def p_nnz(self, w: int) -> int:
        return int(self.state.W[w, M.NNZ])

    def p_capacity(self) -> int:
        return self._get(S.CAPACITY)

    def p_stack_words(self) -> int:
        return self._get(S.STACK_WORDS)

    def p_tape_words(self) -> int:
        return self._get(S.TAPE_WORDS)

    def p_dram_bytes(self) -> int:
        return self._get(S.DRAM_BYTES)

    def p_heap_base(self) -> int:
        return self._get(S.HEAP_BASE)

    def p_heap_limit(self) -> int:
        return self._get(S.HEAP_LIMIT)

    def p_same_shape(self, a: int, b: int) -> bool:
        T = self.state.T
        return bool(
            T[a, D.RANK] == T[b, D.RANK]
            and (T[a, D.SHAPE : D.SHAPE + 4] == T[b, D.SHAPE : D.SHAPE + 4]).all()
        )

    def p_overlaps(self, a: int, b: int) -> bool:
        return descriptors.overlap(self._words(a), self._words(b))

    def p_clashes(self, a: int, b: int) -> bool:
        return self.p_overlaps(a, b) and not descriptors.identical(self._words(a), self._words(b))

    def p_values_overlap(self, t: int, w: int) -> bool:
        return descriptors.values_overlap(self._words(t), self.state.W[w].tolist())

    def p_writable(self, t: int) -> bool:
        return self.access[int(self.state.T[t, D.SPACE])] == "writable"

    def p_injective(self, t: int) -> bool:
        return bool(self.state.T[t, D.FLAGS] & Flag.INJECTIVE)

    def p_is_order(self, t: int, order: int) -> bool:
        rank = self.p_rank(t)
        return (
            0 <= order < 1 << 2 * rank
            and len({order >> 2 * k & 3 for k in range(rank)} & set(range(rank))) == rank
        )

    # -- matrices and queues -----------------------------------------------------------------------

    def p_entries(self, w: int, j: int) -> int:
        if not 0 <= j < self.p_cols(w):
            raise InternalError(f"column {j} of {self.p_cols(w)}", stage="reference machine")
        if self.dense:
            return self.p_rows(w)
        return self.p_start(w, j + 1) - self.p_start(w, j)

    def p_start(self, w: int, j: int) -> int:
        return int(self.i32[int(self.state.W[w, M.POINTERS]) // 4 + j])

    def _entry(self, w: int, j: int, e: int) -> int:
        at = self.p_start(w, j) + e
        if not (0 <= j < self.p_cols(w) and 0 <= e and at < self.p_start(w, j + 1)):
            raise InternalError(f"entry {e} of column {j}", stage="reference machine")
        return at

    def p_row(self, w: int, j: int, e: int) -> int:
        return int(self.i32[int(self.state.W[w, M.ROW]) // 4 + self._entry(w, j, e)])

    def p_val(self, w: int, j: int, e: int) -> Any:
        at, words = self._entry(w, j, e), self.state.W[w].tolist()
        if words[M.DTYPE] == 0:
            return self.f32[words[M.VALUES] // 4 + at]
        if words[M.DTYPE] == 1:
            return np.uint32(int(self.i16[words[M.VALUES] // 2 + at]) << 16).view(np.float32)
        code = int(self.u8[words[M.VALUES] + at // 2]) >> 4 * (at % 2) & 15
        return self.f32[words[M.CODEBOOK] // 4 + code]

    def p_len(self, q: int) -> int:
        return int(self.state.Q[q, E.LENGTH])

    def p_active(self, q: int, n: int) -> int:
        return n if self.dense else self.p_len(q)

    def _event(self, q: int, k: int) -> int:
        if not 0 <= k < self.p_len(q):
            raise InternalError(f"event {k} of {self.p_len(q)}", stage="reference machine")
        return k

    def p_last(self, q: int) -> int:
        length = self.p_len(q)
        return int(self.i32[int(self.state.Q[q, E.INDEX]) // 4 + length - 1]) if length else -1

    def p_index(self, q: int, k: int) -> int:
        if self.dense:
            return k
        return int(self.i32[int(self.state.Q[q, E.INDEX]) // 4 + self._event(q, k)])

    def p_value(self, q: int, k: int) -> Any:
        return self.f32[int(self.state.Q[q, E.VALUE]) // 4 + self._event(q, k)]

    # -- effects -----------------------------------------------------------------------------------

    def e_halt(self) -> None:
        raise Halted

    def e_nothing(self) -> None:
        pass

    def e_fence(self, mask: int) -> None:
        self.fence = mask

    def e_clear(self, q: int) -> None:
        self.state.Q[q, E.LENGTH] = 0

    def e_push(self, q: int, index: int, value: Any) -> None:
        k = self.p_len(q)
        if k >= self.p_capacity() or index <= self.p_last(q) or index >= 1 << 31:
            raise InternalError(
                f"event {index} pushed after {self.p_last(q)}, {k} of {self.p_capacity()}",
                stage="reference machine",
            )
        self.i32[int(self.state.Q[q, E.INDEX]) // 4 + k] = index
        self.u32[int(self.state.Q[q, E.VALUE]) // 4 + k] = self.p_bits(value)
        self.state.Q[q, E.LENGTH] = k + 1

    def e_compress(self, w: int, k: int) -> None:
        self.state.W[w] = self.state.matrices[k]

    def e_constant(self, t: int, k: int) -> None:
        self.state.T[t] = self.state.static[k]

    def _describe(self, k: int, address: int) -> tuple[int, list[int]]:
        row = self.state.table[k].tolist()
        shape, stride = descriptors.resolve(row, self.r.tolist())
        scalars = self.state.scalars
        space, moved = row[R.SPACE], address >> SPACE_SHIFT
        if moved > 0:
            space, address = space + moved, address & (1 << SPACE_SHIFT) - 1
            if space >= int(scalars[S.NAMED]):
                space, address = row[R.SPACE], -1 << SPACE_SHIFT
        base = int(scalars[S.BASE + space])
        end = base + int(scalars[S.BYTES + space])
        return descriptors.make(
            space, row[R.DTYPE], base + address + row[R.OFFSET], shape, stride, base, end
        )

    def p_row_fault(self, k: int, address: int) -> int:
        return self._describe(k, address)[0]

    def e_describe(self, t: int, k: int, address: int) -> None:
        self.state.T[t] = self._describe(k, address)[1]

    def _view(self, a: int, k: int) -> tuple[int, list[int]]:
        row, whole = self.state.table[k].tolist(), self._words(a)
        shape, stride = descriptors.resolve(row, self.r.tolist())
        pointer = whole[D.POINTER] + row[R.OFFSET]
        return descriptors.make(
            whole[D.SPACE], row[R.DTYPE], pointer, shape, stride, whole[D.LO], whole[D.HI]
        )

    def p_view_fault(self, a: int, k: int) -> int:
        return self._view(a, k)[0]

    def e_view(self, t: int, a: int, k: int) -> None:
        self.state.T[t] = self._view(a, k)[1]

    def _finish(
        self, t: int, d: list[int], pointer: int, shape: list[int], stride: list[int]
    ) -> None:
        self.state.T[t] = descriptors.finish(d[D.SPACE], d[D.DTYPE], pointer, shape, stride)

    def _axes(self, d: list[int]) -> tuple[list[int], list[int], int]:
        rank = d[D.RANK]
        return (
            d[D.SHAPE : D.SHAPE + rank],
            d[D.STRIDE : D.STRIDE + rank],
            descriptors.ITEM_BYTES[d[D.DTYPE]],
        )

    def e_row(self, t: int, a: int, i: int) -> None:
        d = self._words(a)
        shape, stride, item = self._axes(d)
        self._finish(t, d, d[D.POINTER] + i * stride[0] * item, shape[1:], stride[1:])

    def e_slice(self, t: int, a: int, axis: int, start: int, count: int) -> None:
        d = self._words(a)
        shape, stride, item = self._axes(d)
        shape[axis] = count
        offset = start * stride[axis] * item if all(shape) else 0
        self._finish(t, d, d[D.POINTER] + offset, shape, stride)

    def e_permute(self, t: int, a: int, order: int) -> None:
        d = self._words(a)
        shape, stride, _ = self._axes(d)
        axes = [order >> 2 * k & 3 for k in range(d[D.RANK])]
        self._finish(t, d, d[D.POINTER], [shape[x] for x in axes], [stride[x] for x in axes])
