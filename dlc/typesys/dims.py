"""Dims: polynomials with integer coefficients over named whole numbers and floor quotients.

Every dim is kept in one normal form, so two dims that are equal as polynomials are equal as values:
`1 + n` is `n + 1`, `(2*W + 1) // 2` is `W`, `(H + 4 - 5) // 2 + 1` is `(H + 1) // 2`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

MAX_DEGREE = 16
MAX_TERMS = 1024


@dataclass(frozen=True)
class Quotient:
    """The atom `numerator // denominator`, rounded down; both sides are in normal form."""

    numerator: Dim
    denominator: Dim

    @cached_property
    def key(self) -> str:
        return f"{_bracket(self.numerator)}//{_bracket(self.denominator)}"


Atom = str | Quotient
Monomial = tuple[tuple[Atom, int], ...]


def _key(a: Atom) -> str:
    return a if isinstance(a, str) else a.key


def _order(m: Monomial) -> tuple[int, tuple[tuple[str, int], ...]]:
    return (-sum(p for _, p in m), tuple((_key(a), p) for a, p in m))


class DimError(ValueError):
    """A dim that cannot be: division by zero, a degree or a number of terms beyond the limit."""


@dataclass(frozen=True)
class Dim:
    """`sum of coefficient * product of atom ** power`, terms in canonical order, no zero
    coefficient."""

    terms: tuple[tuple[Monomial, int], ...]

    # -- making

    @staticmethod
    def const(n: int) -> Dim:
        return Dim((((), n),)) if n else Dim(())

    @staticmethod
    def sym(name: str) -> Dim:
        return Dim(((((name, 1),), 1),))

    @staticmethod
    def of(x: Dim | int | str) -> Dim:
        """A number, a name or the text of a dim (`"4*H"`), as a dim."""
        if isinstance(x, Dim):
            return x
        if isinstance(x, int):
            return Dim.const(x)
        return parse_dim(x)

    @staticmethod
    def _from(terms: Mapping[Monomial, int]) -> Dim:
        kept = [(m, c) for m, c in terms.items() if c]
        if len(kept) > MAX_TERMS:
            raise DimError(f"a dim of more than {MAX_TERMS} terms")
        kept.sort(key=lambda t: _order(t[0]))
        return Dim(tuple(kept))

    # -- arithmetic

    def __add__(self, other: Dim | int) -> Dim:
        out = dict(self.terms)
        for m, c in Dim.of(other).terms:
            out[m] = out.get(m, 0) + c
        return Dim._from(out)

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return Dim(tuple((m, -c) for m, c in self.terms))

    def __sub__(self, other: Dim | int) -> Dim:
        return self + -Dim.of(other)

    def __rsub__(self, other: Dim | int) -> Dim:
        return Dim.of(other) - self

    def __mul__(self, other: Dim | int) -> Dim:
        out: dict[Monomial, int] = {}
        for m1, c1 in self.terms:
            for m2, c2 in Dim.of(other).terms:
                m = _times(m1, m2)
                out[m] = out.get(m, 0) + c1 * c2
        return Dim._from(out)

    __rmul__ = __mul__

    def __pow__(self, n: int) -> Dim:
        out = ONE
        for _ in range(n):
            out = out * self
        return out

    def __floordiv__(self, other: Dim | int) -> Dim:
        """The quotient rounded down. Multiples of the divisor are split off before an atom is
        made."""
        q = Dim.of(other)
        if q == ZERO:
            raise DimError("a dim divided by zero")
        exact = self.divide_exactly(q)
        if exact is not None:
            return exact
        if q.is_constant:
            c = q.constant
            whole = Dim._from({m: k // c for m, k in self.terms})
            rest = Dim._from({m: k % c for m, k in self.terms})
            if rest.is_constant:
                return whole + rest.constant // c
            return whole + Dim(((((Quotient(rest, q), 1),), 1),))
        return Dim(((((Quotient(self, q), 1),), 1),))

    def __mod__(self, other: Dim | int) -> Dim:
        q = Dim.of(other)
        return self - q * (self // q)

    def divide_exactly(self, q: Dim) -> Dim | None:
        """The polynomial `r` with `r * q == self`, or None if there is none."""
        if q == ZERO:
            return None
        rest, out = self, ZERO
        lead, lead_c = q.terms[0]
        for _ in range(MAX_TERMS):
            if rest == ZERO:
                return out
            m, c = rest.terms[0]
            ratio = _over(m, lead)
            if ratio is None or c % lead_c:
                return None
            t = Dim(((ratio, c // lead_c),))
            out, rest = out + t, rest - t * q
        return None

    # -- asking

    @property
    def is_constant(self) -> bool:
        return not self.terms or (len(self.terms) == 1 and not self.terms[0][0])

    @property
    def constant(self) -> int:
        """The value of a constant dim."""
        if not self.is_constant:
            raise DimError(f"{self} is not a constant")
        return self.terms[0][1] if self.terms else 0

    @property
    def constant_part(self) -> int:
        return next((c for m, c in self.terms if not m), 0)

    @property
    def name(self) -> str | None:
        """The symbol, if the dim is one symbol standing alone."""
        if len(self.terms) == 1 and self.terms[0][1] == 1 and len(self.terms[0][0]) == 1:
            a, p = self.terms[0][0][0]
            if p == 1 and isinstance(a, str):
                return a
        return None

    def symbols(self) -> tuple[str, ...]:
        """The names in the dim (quotients included), each once, in order of appearance."""
        return tuple(dict.fromkeys(self._symbols()))

    def _symbols(self) -> Iterator[str]:
        for m, _ in self.terms:
            for a, _ in m:
                if isinstance(a, str):
                    yield a
                else:
                    yield from a.numerator._symbols()
                    yield from a.denominator._symbols()

    def coefficient(self, symbol: str) -> Dim | None:
        """The `k` of `k * symbol + rest` if the dim is linear in the symbol, else None."""
        k = ZERO
        for m, c in self.terms:
            powers = dict(m)
            if symbol in powers:
                if powers[symbol] != 1:
                    return None
                others = tuple((a, p) for a, p in m if a != symbol)
                if any(symbol in Dim(((((a, p),), 1),)).symbols() for a, p in others):
                    return None
                k = k + Dim(((others, c),))
            elif symbol in Dim(((m, c),)).symbols():
                return None
        return k

    def never_zero(self) -> bool:
        """True if no whole numbers >= 0 make the dim 0: a constant term, and all of one sign."""
        if not self.constant_part:
            return False
        signs = {c > 0 for _, c in self.terms}
        return len(signs) == 1

    def at_least(self, other: Dim | int) -> bool:
        """True if `self >= other` follows term by term from all names being >= 0."""
        return all(c >= 0 for _, c in (self - Dim.of(other)).terms)

    def substitute(self, bindings: Mapping[str, Dim]) -> Dim:
        """The dim with names replaced, in normal form again."""
        name = self.name
        if name is not None:
            return bindings.get(name, self)
        if not any(s in bindings for s in self._symbols()):
            return self
        out = ZERO
        for m, c in self.terms:
            t = Dim.const(c)
            for a, p in m:
                if isinstance(a, str):
                    x = bindings.get(a, Dim.sym(a))
                else:
                    x = a.numerator.substitute(bindings) // a.denominator.substitute(bindings)
                t = t * x**p
            out = out + t
        return out

    def evaluate(self, env: Mapping[str, int]) -> int:
        """The number, given every name's value. Raises KeyError for a missing name, DimError for
        `//` 0."""
        total = 0
        for m, c in self.terms:
            t = c
            for a, p in m:
                if isinstance(a, str):
                    x = env[a]
                else:
                    d = a.denominator.evaluate(env)
                    if d == 0:
                        raise DimError(f"{a.key} divides by zero")
                    x = a.numerator.evaluate(env) // d
                t *= x**p
            total += t
        return total

    @property
    def degree(self) -> int:
        return max((sum(p for _, p in m) for m, _ in self.terms), default=0)

    # -- text

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        parts: list[str] = []
        for m, c in self.terms:
            body = "*".join(_factor(a, p) for a, p in m)
            mag = abs(c)
            text = body if body and mag == 1 else f"{mag}*{body}" if body else str(mag)
            sign = "-" if c < 0 else "+" if parts else ""
            parts.append(sign + text)
        return "".join(parts)

    def __repr__(self) -> str:
        return f"Dim({self})"


def _times(a: Monomial, b: Monomial) -> Monomial:
    powers: dict[Atom, int] = dict(a)
    for x, p in b:
        powers[x] = powers.get(x, 0) + p
    if sum(powers.values()) > MAX_DEGREE:
        raise DimError(f"a dim of degree above {MAX_DEGREE}")
    return tuple(sorted(powers.items(), key=lambda t: _key(t[0])))


def _over(a: Monomial, b: Monomial) -> Monomial | None:
    powers: dict[Atom, int] = dict(a)
    for x, p in b:
        if powers.get(x, 0) < p:
            return None
        powers[x] -= p
    return tuple((x, p) for x, p in sorted(powers.items(), key=lambda t: _key(t[0])) if p)


def _bracket(d: Dim) -> str:
    text = str(d)
    return text if re.fullmatch(r"[\w.]+", text) else f"({text})"


def _factor(a: Atom, p: int) -> str:
    text = a if isinstance(a, str) else f"({a.key})"
    return text if p == 1 else f"{text}**{p}"


ZERO = Dim(())
ONE = Dim((((), 1),))

_TOKEN = re.compile(r"\s*(\*\*|//|[-+*()%]|\d+|[A-Za-z_][\w.]*)")


def parse_dim(text: str) -> Dim:
    """The dim that `str` prints (and any sum, product, `//`, `%`, power by a number, brackets)."""
    tokens: list[str] = []
    at = 0
    while at < len(text):
        m = _TOKEN.match(text, at)
        if m is None:
            if text[at:].strip():
                raise DimError(f"not a dim: {text!r}")
            break
        tokens.append(m.group(1))
        at = m.end()
    if len(tokens) > 4096:
        raise DimError("a dim of more than 4096 tokens")
    d, rest = _sum(tokens, 0, text)
    if rest != len(tokens):
        raise DimError(f"not a dim: {text!r}")
    return d


def _sum(ts: list[str], i: int, text: str) -> tuple[Dim, int]:
    left, i = _product(ts, i, text)
    while i < len(ts) and ts[i] in "+-":
        right, j = _product(ts, i + 1, text)
        left = left + right if ts[i] == "+" else left - right
        i = j
    return left, i


def _product(ts: list[str], i: int, text: str) -> tuple[Dim, int]:
    left, i = _power(ts, i, text)
    while i < len(ts) and ts[i] in ("*", "//", "%"):
        right, j = _power(ts, i + 1, text)
        left = left * right if ts[i] == "*" else left // right if ts[i] == "//" else left % right
        i = j
    return left, i


def _power(ts: list[str], i: int, text: str) -> tuple[Dim, int]:
    base, i = _atom(ts, i, text)
    if i + 1 < len(ts) and ts[i] == "**" and ts[i + 1].isdigit():
        n = int(ts[i + 1])
        if n > MAX_DEGREE:
            raise DimError(f"a dim of degree above {MAX_DEGREE}")
        return base**n, i + 2
    return base, i


def _atom(ts: list[str], i: int, text: str) -> tuple[Dim, int]:
    if i >= len(ts):
        raise DimError(f"not a dim: {text!r}")
    t = ts[i]
    if t == "-":
        d, j = _power(ts, i + 1, text)
        return -d, j
    if t == "(":
        d, j = _sum(ts, i + 1, text)
        if j >= len(ts) or ts[j] != ")":
            raise DimError(f"not a dim: {text!r}")
        return d, j + 1
    if t.isdigit():
        return Dim.const(int(t)), i + 1
    if t[0].isalpha() or t[0] == "_":
        return Dim.sym(t), i + 1
    raise DimError(f"not a dim: {text!r}")
