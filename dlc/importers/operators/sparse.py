"""Sparse initialisers: matrices of which only some elements are stored.

A product with one takes the elements of the other operand that meet a stored one, multiplies, and
adds each where it belongs: K steps for K stored elements, instead of one for every zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dlc.importers.elements import INT32, Element
from dlc.importers.emission import Emission
from dlc.importers.messages import Array, SparseData
from dlc.importers.tensor import SparseMatrix, Tensor
from dlc.importers.tensor_data import Decoder
from dlc.typesys.dims import ONE, Dim

DENSE = 4
"""A matrix of which at least one element in so many is stored is made dense."""


def sparse_tensor(e: Emission, decoder: Decoder, s: SparseData) -> Tensor:
    """A sparse initialiser: sparse if it is a matrix of floats with few elements, else dense."""
    element, values, at = decoder.coordinates(s)
    sparse = (
        len(s.dims) == 2
        and element.is_float
        and element.is_native
        and len(values) * DENSE < s.dims[0] * s.dims[1]
        and len(np.unique(at)) == len(at)
    )
    if not sparse:
        element, numbers = decoder.sparse(s)
        t = e.array(numbers, element, s.values.name)
        return replace(t, is_parameter=element.is_float and t.rank > 0)
    rows, columns = np.divmod(at, np.int64(s.dims[1]))
    stored = replace(e.array(values, element, s.values.name), is_parameter=True)
    matrix = SparseMatrix(
        stored, rows.astype(np.int32), columns.astype(np.int32), lambda: decoder.sparse(s)[1]
    )
    shape = tuple(map(Dim.const, s.dims))
    return Tensor(e, element, shape, hint=s.values.name, sparse=matrix)


def by_sparse(x: Tensor, m: SparseMatrix, axis: int, size: Dim) -> Tensor:
    """`x` along the axis times the matrix: `y[p, j, q] = sum over i of x[p, i, q] * m[i, j]`."""
    e = x.e
    rows, columns = (_index(e, a, m.values.hint, k) for a, k in ((m.rows, "i"), (m.columns, "j")))
    taken = e.emit("take", x, rows, element=x.element, axis=axis, in_bounds=True)
    after = [ONE] * (x.rank - 1 - axis)
    made = taken * e.reshape(m.values, [m.values.shape[0], *after])
    none = e.full(0.0, (*x.shape[:axis], size, *x.shape[axis + 1 :]), x.element)
    return e.emit("scatter_add", none, columns, made, element=x.element, axis=axis, in_bounds=True)


def _index(e: Emission, a: Array, name: str, kind: str) -> Tensor:
    element: Element = INT32
    return e.array(a, element, f"{name}_{kind}")
