"""Random numbers from keys, as `random_bits` defines them: the same bits on every target.

Normal numbers, permutations and choices are written in the language on top of these.
"""

from __future__ import annotations

from typing import Any

from dlc.ir.core import Op, Value
from dlc.ops import random_bits
from dlc.ops.card import (
    Batched,
    Batching,
    Card,
    CardError,
    Gradient,
    NotBatchable,
    Run,
    Site,
)
from dlc.ops.numeric import np
from dlc.typesys.dtypes import F32, I32, I64
from dlc.typesys.types import TensorType, Type

KEY = TensorType(I64)


class _Draw(Card):
    """Takes a key; a draw is a constant to differentiation."""

    operands = ("key",)
    derivative, batching = "zero", "refused"
    source = "threefry2x32-20; see dlc/ops/random_bits.py"

    def _need_key(self, site: Site) -> None:
        if site.tensor(0) != KEY:
            raise CardError(f"`{self.name}` draws from a key, an i64, not {site.tensor(0)}")

    def gradient(self, g: Gradient, op: Op, d: tuple[Value | None, ...]) -> None:
        return

    def batch(self, b: Batching, op: Op, xs: tuple[Batched, ...]) -> tuple[Batched, ...]:
        raise NotBatchable(f"`{self.name}`: every row has a key of its own")


class RandomBits(_Draw):
    """`y[i]` = element i, in row-major order, of the 32-bit words that the key draws."""

    name, attributes = "random_bits", ("shape",)

    def infer(self, site: Site) -> tuple[Type, ...]:
        self._need_key(site)
        return (TensorType(I32, site.attr_dims("shape")),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        shape = run.dims("shape")
        n = int(np.prod(shape, dtype=np.int64))
        return (random_bits.bits(int(args[0]), n).reshape(shape)[()],)


class RandomUniform(_Draw):
    """`y[i]` = the upper 24 bits of element i over 2**24: in [0, 1), exact in f32."""

    name, attributes = "random_uniform", ("shape",)

    def infer(self, site: Site) -> tuple[Type, ...]:
        self._need_key(site)
        return (TensorType(F32, site.attr_dims("shape")),)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        shape = run.dims("shape")
        n = int(np.prod(shape, dtype=np.int64))
        return (random_bits.uniform(int(args[0]), n).reshape(shape)[()],)


class KeySplit(_Draw):
    """Two keys: neither draws what the given one or the other draws."""

    name = "key_split"

    def infer(self, site: Site) -> tuple[Type, ...]:
        self._need_key(site)
        return (KEY, KEY)

    def evaluate(self, run: Run, *args: Any) -> tuple[Any, ...]:
        a, b = random_bits.split(int(args[0]))
        return (np.int64(a), np.int64(b))


CARDS: tuple[Card, ...] = (RandomBits(), RandomUniform(), KeySplit())
