"""One matrix product, matrix times vector, outer product or dot product: which kernel does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dlc.targets.cpu.emit.body import Body
from dlc.targets.cpu.emit.nest import ONE, ZERO
from dlc.targets.cpu.kernels import kernel
from dlc.targets.cpu.kernels.math import convert
from dlc.targets.cpu.kernels.operands import OPERANDS
from dlc.targets.cpu.llvm import INDEX, Builder, Function, Module, Value
from dlc.typesys.dims import Dim

Form = Literal["dot", "outer", "gemv_n", "gemv_t", "gemm", "rows"]

COPIED = 512
"""Elements of a strided vector that are gathered on the stack at a time."""


@dataclass(frozen=True)
class Product:
    """c[m, n] = sum over k of a[m, k] b[k, n]; strides are (row, column). A size of 1 is a missing
    letter."""

    m: Dim
    n: Dim
    k: Dim
    a: tuple[Dim, Dim]
    b: tuple[Dim, Dim]
    c: tuple[Dim, Dim]

    def form(self) -> Form | None:
        """How a kernel does it as it lies, or None."""
        if self.m == ONE and self.n == ONE:
            return "dot" if self.a[1] == ONE and self.b[0] == ONE else None
        if self.k == ONE:
            return "outer" if self.b[1] == ONE and self.c[1] == ONE else None
        if self.m == ONE:
            # A row: c[n] = sum of a[k] b[k, n].
            if self.c[1] != ONE:
                return None
            if self.b[0] == ONE and self.a[1] == ONE:
                return "gemv_n"
            return "gemv_t" if self.b[1] == ONE else None
        if self.n == ONE:
            return None  # the mirrored product is a row
        if self.c[1] != ONE or self._variant() is None:
            return None
        return "gemm"

    def by_rows(self) -> bool:
        """Whether it can be done row by row of c, with rows of a gathered first."""
        return self.b[0] == ONE and (self.c[1] == ONE or self.n == ONE)

    def _variant(self) -> str | None:
        """Which of the kernel's orders the operands have."""
        a = "n" if self.a[1] == ONE else "t" if self.a[0] == ONE else None
        b = "n" if self.b[1] == ONE else "t" if self.b[0] == ONE else None
        return None if a is None or b is None or (a, b) == ("t", "t") else a + b

    def prepare(self, body: Body) -> Prepared:
        """Sizes and strides as values, computed where they stay known."""
        dims = (self.m, self.n, self.k, *self.a, *self.b, *self.c)
        return Prepared(self, self.form() or "rows", tuple(body.dim(d) for d in dims))


@dataclass(frozen=True)
class Prepared:
    """A product, how to do it, and the values of m, n, k and of its six strides."""

    product: Product
    form: Form
    values: tuple[Value, ...]

    @property
    def variant(self) -> str:
        variant = self.product._variant()  # pyright: ignore[reportPrivateUsage]
        assert variant is not None
        return variant


def emit_product(
    body: Body, name: str, p: Prepared, a: Value, b: Value, c: Value, add: Value
) -> None:
    """c (+)= a b at these addresses; `add` says whether to add."""
    f = body.f
    m, n, k, a_row, a_col, b_row, b_col, c_row, _ = p.values
    form, module = p.form, f.module
    if form == "gemm":
        lda = a_row if p.variant[0] == "n" else a_col
        ldb = b_row if p.variant[1] == "n" else b_col
        f.call(kernel(module, "gemm", name, p.variant), m, n, k, a, lda, b, ldb, c, c_row, add)
    elif form == "gemv_n":
        f.call(kernel(module, "gemv", name, "n"), n, k, b, b_col, a, c, add)
    elif form == "gemv_t":
        f.call(kernel(module, "gemv", name, "t"), k, n, b, b_row, a, a_col, c, add)
    elif form == "outer":
        f.call(kernel(module, "outer", name), m, n, a, a_row, b, c, c_row, add)
    elif form == "dot":
        _emit_dot(body, name, k, a, b, c, add)
    else:
        rows = _rows_function(module, name)
        f.call(rows, m, n, k, a, a_row, a_col, b, b_col, c, c_row, add)


def _rows_function(module: Module, name: str) -> Function:
    """`dlc.rows(m, n, k, a, a_row, a_col, b, b_col, c, c_row, add)`: c[i] (+)= b^T a[i], row by
    row, COPIED elements of a at a time; even for k = 0, which must write zeros."""
    ops = OPERANDS[name]
    sizes = ((INDEX, "m"), (INDEX, "n"), (INDEX, "k"))
    a = (("ptr", "a"), (INDEX, "a_row"), (INDEX, "a_col"))
    b = (("ptr", "b"), (INDEX, "b_col"))
    c = (("ptr noalias", "c"), (INDEX, "c_row"), ("i1", "add"))

    def emit() -> tuple[Function, str]:
        f = Builder(module, f"dlc.rows.{name}", "void", (*sizes, *a, *b, *c), inline="never")
        m, n, k, a_at, a_row, a_col, b_at, b_col, c_at, c_row, add = f.params
        buffer = f.alloca(ops.memory("a"), COPIED)
        copy, gemv = kernel(module, "copy2", ops.a), kernel(module, "gemv", name, "n")
        some = f.imax(k, 1)
        with f.loop(0, m, name="row") as row, f.loop(0, some, COPIED, name="part") as part:
            count = f.imin(f.sub(k, part.index), COPIED)
            at = f.add(f.mul(row.index, a_row), f.mul(part.index, a_col))
            source = f.gep(ops.memory("a"), a_at, at)
            f.call(copy, buffer, 0, 1, source, 0, a_col, 1, count)
            to = f.gep(ops.memory("c"), c_at, f.mul(row.index, c_row))
            more = f.or_(add, f.icmp("ne", part.index, 0))
            w = f.gep(ops.memory("b"), b_at, part.index)
            f.call(gemv, n, count, w, b_col, buffer, to, more)
        f.ret()
        return f.finish()

    return module.function(f"dlc.rows.{name}", emit)


def _emit_dot(body: Body, name: str, k: Value, a: Value, b: Value, c: Value, add: Value) -> None:
    f = body.f
    ops = OPERANDS[name]
    total = f.call(kernel(f.module, "dot", name), k, a, b)
    if add.text != "false":
        old = ops.widen(f, convert.load(f, ops.c, c), ops.c)
        total = f.select(add, f.plus(total, old), total)
    convert.store(f, ops.c, ops.narrow(f, total), c)


__all__ = ["ZERO", "Prepared", "Product", "emit_product"]
