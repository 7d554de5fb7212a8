"""Kernels of the CPU target, as templates of LLVM text, emitted into a module when first asked for.

    f.call(kernel(module, "gemm", "f32", "nn"), m, n, k, a, lda, b, ldb, c, ldc, False)
    y = math.apply(f, "tanh", x)                       # x: float, double, or a vector of them

`f` is a `dlc.targets.cpu.llvm.Builder`, arguments are its `Value`s or Python numbers. `kernel`
returns a `Function` whose `signature` tells types and names; asking again returns the same. All
functions are internal to the module and named `dlc.<kernel>[.<variant>].<dtype>`.

Conventions
* Sizes and strides are i64 and count elements, not bytes. Sizes may be 0. Rows are contiguous
  unless a stride for the column is a parameter too.
* `accumulate` (i1): add to what the result holds, or overwrite it.
* The destination overlaps no operand, unless the kernel says so. Pointers are aligned to the
  element.
* f16 and bf16 lie in memory as their bits, are computed in f32 and rounded once when stored. A
  bool is a byte 0 or 1. Integers wrap.
* Nothing is checked here: bounds of indices, division by zero and shapes are the caller's.
* The order of every sum is stated by its module, and the same at -O0 and -O3: no kernel leaves it
  to LLVM. Where a target has FMA, products are fused into sums; where not, both round
  (`Builder.mul_add`). An element of a product may depend on how many rows it is computed with.
* No kernel allocates or calls outside. What needs scratch takes a pointer and states the size;
  convolutions keep at most `Target.stack_buffer` bytes on the stack.

Families (dtypes in the module's table; `dtype` of contractions may be mixed, `a_b_c`)
| family | variants | arguments |
|---|---|---|
| copy | | to, from, n |
| fill | | to, x, n |
| copy2 | | to, to_row, to_col, from, from_row, from_col, rows, cols |
| gemm | nn nt tn | m, n, k, a, lda, b, ldb, c, ldc, accumulate |
| gemm | np tp | m, n, k, a, lda, packed b, c, ldc, accumulate |
| pack | | k, n, b, row, col, to (`packing.packed_elements` of room; in numpy: `packing.packed`) |
| gemv | n | m, k, w, ldw, x, y, accumulate |
| gemv | t | k, n, w, ldw, x, incx, y, accumulate |
| outer | | m, n, a, inca, b, c, ldc, accumulate |
| dot | | n, x, y → the type of sums |
| compress | | n, x, idx i32, val → count |
| events | t n | count, idx i32, val, n, w, ldw, y, accumulate |
| reduce_rows | sum prod max min any all | rows, n, x, x_row, y, y_row, accumulate |
| reduce_cols | sum prod max min any all | cols, n, x, x_row, y, accumulate |
| cumsum | | n, cols, x, x_row, x_col, y, y_row, y_col, reverse, exclusive |
| argmax argmin | | n, x, incx → i32 |
| sort | | n, x, incx, val, idx i32, inc, tmp_val, tmp_idx, descending |
| top_k | | n, k, x, incx, val, idx i32, inc |
| searchsorted | | n, sorted, inc, m, x, out i32 |
| nonzero | | n, mask, idx i32 → count |
| conv | | geometry, x, w, y, accumulate (`windows.FIELDS`, `windows.geometry`) |
| conv_input_grad | | geometry, dy, w, dx, accumulate |
| conv_weight_grad | | geometry, x, dy, dw, accumulate |
| pool | max mean mean_pad | geometry, x, y |
| pool_grad | max mean mean_pad | geometry, x, dy, dx, accumulate |
| random | | key, n, out: i32 the bits, f32 uniform in [0, 1) (`dlc.ops.random_bits`) |
| split | | key → { i64, i64 } |

Elementwise functions are in `math` (`math.FUNCTIONS` lists them with their accuracy), conversions
between element types in `math.convert`; `simd` has loops with tails and partial loads and stores.
"""

from collections.abc import Mapping

from dlc.diag import InternalError
from dlc.targets.cpu.kernels import (
    conv,
    events,
    gemm,
    gemv,
    memory,
    order,
    packing,
    pool,
    random,
    reduce,
)
from dlc.targets.cpu.kernels.registry import Family, Key, require, table
from dlc.targets.cpu.llvm import Function, Module

_MODULES = (
    memory,
    gemv,
    gemm,
    packing,
    events,
    random,
    reduce,
    order,
    conv,
    pool,
)

KERNELS: Mapping[str, Family] = table(family for m in _MODULES for family in m.FAMILIES)
"""Every family of kernels by name."""


def kernel(module: Module, name: str, dtype: str, variant: str = "") -> Function:
    """The kernel, emitted into `module` if it is not there yet; call it with `Builder.call`.

    Raises: InternalError for a kernel that does not exist.
    """
    family = KERNELS.get(name)
    if family is None:
        raise InternalError(f"no kernel is called {name}")
    return require(module, family, dtype, variant)


__all__ = ["KERNELS", "Family", "Key", "kernel"]
