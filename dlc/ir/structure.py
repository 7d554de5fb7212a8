"""The type rules of the structured operations: what their regions take, yield and give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dlc.ir.core import Attr, Module, Op, Region, Signature, Value
from dlc.ir.tangent import tangent_type
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import BOOL, I32
from dlc.typesys.types import (
    SCALAR_I32,
    AdtType,
    ListType,
    TensorType,
    Type,
    substitute_type,
)

GRADIENTS = ("value_and_grad", "vjp", "jvp")
"""Derivatives of functions by name: gone after autodiff."""

STRUCTURED = ("if", "match", "for", "loop", "map", "call", "yield", "return", *GRADIENTS)
"""The operations that have no card."""

_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "if": (), "match": ("cases",),
    "for": ("exits", "reverse", "init_dims"), "loop": ("init_dims", "visits"),
    "map": ("shape", "indexed"), "call": ("fn", "dims"), "yield": ("dims",), "return": ("dims",),
    "value_and_grad": ("fn", "dims", "wrt", "rows"), "vjp": ("fn", "dims", "wrt", "rows"),
    "jvp": ("fn", "dims", "wrt"),
}  # fmt: skip

_REGIONS = {"if": 2, "for": 1, "loop": 1, "map": 1}


def _show(types: Sequence[Type]) -> str:
    return f"({', '.join(map(str, types))})"


def _types(values: Sequence[Value]) -> list[Type]:
    return [v.type for v in values]


class Rules:
    """The rules, for operations of one module."""

    def __init__(self, m: Module) -> None:
        self.m = m

    def check(self, op: Op) -> Iterator[str]:
        """What is wrong with a structured operation whose regions are not empty."""
        form = list(self._form(op))
        yield from form
        if form:
            return
        if op.name in ("yield", "return"):
            if op.results or op.dims:
                yield "a terminator has results"
        elif op.name in ("if", "match"):
            yield from self._branches(op)
        elif op.name in ("for", "loop"):
            yield from self._loop(op)
        elif op.name == "map":
            yield from self._map(op)
        else:
            yield from self._call(op)

    def _form(self, op: Op) -> Iterator[str]:
        """Attributes of known names and kinds, and the number of regions."""
        for key, v in op.attrs.items():
            if key not in _ATTRIBUTES[op.name]:
                yield f"`{op.name}` has no attribute `{key}`"
            elif not _KINDS[key](v):
                yield f"the attribute `{key}` is {v!r}"
        for key in ("fn", "cases", "shape", "wrt"):
            if key in _ATTRIBUTES[op.name] and key not in op.attrs:
                yield f"`{op.name}` lacks its attribute `{key}`"
        n = len(op.attr_strs("cases")) if "cases" in op.attrs else _REGIONS.get(op.name, 0)
        if len(op.regions) != n:
            yield f"`{op.name}` has {len(op.regions)} regions, not {n}"

    # -- if and match

    def _branches(self, op: Op) -> Iterator[str]:
        if op.name == "if":
            if _types(op.operands) != [TensorType(BOOL)]:
                yield f"the condition is {_show(_types(op.operands))}"
            for r in op.regions:
                if r.params or r.dims:
                    yield "a branch with parameters or dims"
        else:
            yield from self._cases(op)
        for r in op.regions:
            yield from _yields(op, r, _types(r.yields), _types(op.results), op.dims)

    def _cases(self, op: Op) -> Iterator[str]:
        t = op.operands[0].type if len(op.operands) == 1 else None
        if not isinstance(t, AdtType) or t.name not in self.m.types:
            yield f"`match` on {_show(_types(op.operands))}"
            return
        decl, cases = self.m.types[t.name], op.attr_strs("cases")
        known = [c.name for c in decl.constructors]
        if len(set(cases)) != len(cases) or not set(cases) <= {*known, "_"}:
            yield f"the cases {list(cases)} of @{t.name}"
            return
        if "_" in cases[:-1]:
            yield "`_` is not the last case"
        missing = [c for c in known if c not in cases]
        if missing and "_" not in cases:
            yield f"no case for {', '.join(missing)}"
        for case, r in zip(cases, op.regions, strict=True):
            if case == "_":
                if r.params or r.dims:
                    yield "the case `_` has a payload"
                continue
            if len(r.dims) != len(decl.constructor(case).dims):
                yield f"the case {case} defines {len(r.dims)} hidden dims"
                continue
            want = list(decl.field_types(t, case, tuple(map(Dim.sym, r.dims))))
            if _types(r.params) != want:
                yield f"the payload of {case} is {_show(want)}, not {_show(_types(r.params))}"

    # -- loops

    def _loop(self, op: Op) -> Iterator[str]:
        (body,), first = op.regions, 2 if op.name == "for" else 0
        inits, params, yields = list(op.operands[first:]), list(body.params), list(body.yields)
        if op.name == "for":
            bounds = _types(op.operands[:2])
            index = params.pop(0).type if params else None
            if len(bounds) < 2 or bounds[0] != bounds[1] or not _is_index(bounds[0]):
                yield f"the bounds are {_show(bounds)}"
            elif index != bounds[0]:
                yield f"the index is {index}, not {bounds[0]}"
        if op.name == "loop" or op.attr_flag("exits"):
            go = yields.pop(0).type if yields else None
            if go != TensorType(BOOL):
                yield f"the first yielded value must be bool, not {go}"
        carries, hidden = _types(params), body.dims
        init_dims = op.attr_dims("init_dims")
        if not len(init_dims) == len(hidden) == len(op.dims):
            yield f"{len(hidden)} hidden dims, {len(init_dims)} first, {len(op.dims)} last values"
            return
        yield from _agree("the first values", carries, dict(zip(hidden, init_dims, strict=True)),
                          _types(inits))  # fmt: skip
        yield from _yields(op, body, _types(yields), carries, hidden)
        last = {d: Dim.sym(n) for d, n in zip(hidden, op.dims, strict=True)}
        yield from _agree("the results", carries, last, _types(op.results))

    def _map(self, op: Op) -> Iterator[str]:
        (body,), shape = op.regions, op.attr_dims("shape")
        want: list[Type] = [SCALAR_I32] * len(shape) if op.attr_flag("indexed") else []
        for x in op.operands:
            t = x.type
            if not isinstance(t, TensorType) or t.shape[: len(shape)] != shape:
                yield f"`map` over {_show(list(_dims_text(shape)))} of {t}"
                return
            want.append(TensorType(t.dtype, t.shape[len(shape) :]))
        if _types(body.params) != want or body.dims:
            yield f"the body takes {_show(want)}, not {_show(_types(body.params))}"
        if op.dims or body.terminator.attrs:
            yield "`map` has hidden sizes"
        made: list[Type] = []
        for v in body.yields:
            if not isinstance(v.type, TensorType):
                yield f"the body yields {v.type}, which is no tensor"
                return
            made.append(TensorType(v.type.dtype, (*shape, *v.type.shape)))
        if _types(op.results) != made:
            yield f"the results are {_show(made)}, not {_show(_types(op.results))}"

    # -- calls and derivatives

    def _call(self, op: Op) -> Iterator[str]:
        callee = self.m.functions.get(op.attr_str("fn"))
        if callee is None:
            yield f"there is no function @{op.attr_str('fn')}"
            return
        sig, dims = callee.signature, op.attr_dims()
        if len(dims) != len(sig.dims) or len(op.dims) != len(sig.result_dims):
            yield (
                f"@{sig.name} has {len(sig.dims)} dims and {len(sig.result_dims)} hidden ones, not "
                f"{len(dims)} and {len(op.dims)}"
            )
            return
        bind = dict(zip(sig.dims, dims, strict=True))
        bind |= dict(zip(sig.result_dims, map(Dim.sym, op.dims), strict=True))
        args = [substitute_type(t, bind) for t in sig.params]
        results = [substitute_type(t, bind) for t in sig.results]
        if op.name in GRADIENTS:
            try:
                args, results = self._derivative(op, sig, args, results)
            except ValueError as e:
                yield str(e)
                return
        yield from _agree("the arguments", args, {}, _types(op.operands))
        yield from _agree("the results", results, {}, _types(op.results))

    def _derivative(
        self, op: Op, sig: Signature, args: list[Type], results: list[Type]
    ) -> tuple[list[Type], list[Type]]:
        """Arguments and results of a derivative of a function with these."""
        wrt, rows = op.attr_ints("wrt"), op.attr_tuple("rows")
        if not all(0 <= i < len(args) for i in wrt):
            raise ValueError(f"@{sig.name} has no arguments {list(wrt)}")
        if rows and len(rows) != len(wrt):
            raise ValueError("`rows` says something of every argument in `wrt`")
        flags = [r is True for r in rows] or [False] * len(wrt)
        gradients = [self._tangent(args[i], r) for i, r in zip(wrt, flags, strict=True)]
        floats = [d for t in results if (d := tangent_type(self.m.types, t)) is not None]
        if op.name == "value_and_grad":
            if not results or not _is_float_scalar(results[0]):
                raise ValueError(f"@{sig.name} does not begin with a float scalar")
            return args, [*results, *gradients]
        if op.name == "vjp":
            return [*args, *floats], [*results, *gradients]
        return [*args, *gradients], [*results, *floats]

    def _tangent(self, t: Type, rows: bool) -> Type:
        d = tangent_type(self.m.types, t)
        if d is None:
            raise ValueError(f"{t} has no derivative")
        if not rows:
            return d
        if not isinstance(d, TensorType) or not d.shape:
            raise ValueError(f"{t} has no rows")
        return ListType((SCALAR_I32, TensorType(d.dtype, d.shape[1:])))


def _is_index(t: Type) -> bool:
    return isinstance(t, TensorType) and t.dtype.is_int and not t.shape


def _is_float_scalar(t: Type) -> bool:
    return isinstance(t, TensorType) and t.dtype.is_float and not t.shape


def _dims_text(shape: Sequence[Dim]) -> Iterator[Type]:
    yield TensorType(I32, tuple(shape))


def _agree(
    what: str, types: Sequence[Type], bind: dict[str, Dim], got: list[Type]
) -> Iterator[str]:
    want = [substitute_type(t, bind) for t in types]
    if want != got:
        yield f"{what} are {_show(got)}, not {_show(want)}"


def _yields(
    op: Op, r: Region, got: list[Type], types: Sequence[Type], names: Sequence[str]
) -> Iterator[str]:
    """The yielded types, against types in which `names` stand for the yielded hidden sizes."""
    given = r.terminator.attr_dims()
    if len(given) != len(names):
        yield f"a region yields {len(given)} hidden sizes, not {len(names)}"
        return
    yield from _agree("the yielded values", types, dict(zip(names, given, strict=True)), got)


def _dims(v: Attr) -> bool:
    return isinstance(v, tuple) and all(isinstance(d, (Dim, int)) and d is not True for d in v)


def _flag(v: Attr) -> bool:
    return isinstance(v, bool)


def _text(v: Attr) -> bool:
    return isinstance(v, str)


def _texts(v: Attr) -> bool:
    return isinstance(v, tuple) and all(isinstance(x, str) for x in v)


def _ints(v: Attr) -> bool:
    return isinstance(v, tuple) and all(type(x) is int for x in v)


def _flags(v: Attr) -> bool:
    return isinstance(v, tuple) and all(isinstance(x, bool) for x in v)


_KINDS = {
    "cases": _texts, "exits": _flag, "visits": _flag,
    "reverse": _flag, "init_dims": _dims, "shape": _dims,
    "indexed": _flag, "fn": _text, "dims": _dims, "wrt": _ints, "rows": _flags,
}  # fmt: skip
