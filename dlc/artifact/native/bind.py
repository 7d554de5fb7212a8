"""`dlc.bind.<entry>`: the checks of the structs that an entry is given, and the values of its dims.

`i32 bind(model, in, dims, err)`: `dims` receives the dims of the raw entry, in order."""

from __future__ import annotations

from dlc.artifact.border import MAX_DIM, Mention, Step
from dlc.artifact.capi import Api, EntryApi
from dlc.artifact.native.guard import NULL, Guard, size_of
from dlc.artifact.native.shown import Given
from dlc.targets.cpu.emit.dims import constant, emit_dim
from dlc.targets.cpu.emit.structs import member
from dlc.targets.cpu.llvm import INDEX, Builder, Function, Module, Value
from dlc.typesys.dims import Dim


def raw_dims(e: EntryApi) -> tuple[str, ...]:
    """The dims of the raw entry: the entry's, without those that are fixed."""
    return tuple(d.name for d in e.border.entry.dims if d.name not in e.border.fixed)


def bind_function(module: Module, api: Api, e: EntryApi) -> Function:
    """The function that binds an entry's dims."""
    name = f"dlc.bind.{e.symbol}"

    def emit() -> tuple[Function, str]:
        params = (("ptr", "model"), ("ptr", "in"), ("ptr", "dims"), ("ptr", "err"))
        f = Builder(module, name, "i32", params, inline="never")
        _Binder(f, api, e).emit()
        return f.finish()

    return module.function(name, emit)


def model_dims(f: Builder, api: Api, e: EntryApi, model: Value) -> dict[str, Value]:
    """The dims that come with the model."""
    if not e.border.model_dims:
        return {}
    assert api.model is not None and api.dims is not None
    dims = member(f, api.model.llvm, model, api.model.index("dims"))
    return {
        d: f.load(INDEX, member(f, api.dims.llvm, dims, 2 + api.layout.dims.index(d)))
        for d in e.border.model_dims
    }


class _Binder:
    def __init__(self, f: Builder, api: Api, e: EntryApi) -> None:
        self.f, self.api, self.e = f, api, e
        self.model, given, self.dims, err = f.params
        self.g = Guard(f, err)
        self.base = given
        self.given = Given(f, e, given)
        self.env: dict[str, Value] = {}

    def emit(self) -> None:
        f, e = self.f, self.e
        if e.border.sets:
            self._check_model()
        self.g.struct(self.base, size_of(f, e.input.llvm), self.api.number, "in")
        for number in self.given.items:
            self._check_item(number)
        self.env = {d: constant(n) for d, n in e.border.fixed.items()}
        self.env |= model_dims(f, self.api, e, self.model)
        for step in e.border.steps:
            self._bind(step)
        for m in e.border.compares:
            self._compare(m)
        for i, d in enumerate(raw_dims(e)):
            f.store(self.env[d], f.gep(INDEX, self.dims, i))
        f.ret(Value("i32", "0"))

    def _check_model(self) -> None:
        f, api = self.f, self.api
        assert api.model is not None
        self.g.struct(self.model, size_of(f, api.model.llvm), api.number, "model")
        for s in self.e.border.sets:
            number = 4 + [x.name for x in api.interface.parameter_sets].index(s)
            base = f.load("ptr", member(f, api.model.llvm, self.model, number))
            self.g.require(f.icmp("ne", base, NULL), "arg", "model: not initialised")

    # -- numbers that are out of any range

    def _size(self, n: Value, what: str, status: str = "shape", most: int = MAX_DIM) -> None:
        self.g.require(self.f.icmp("ule", n, most), status, f"{what} out of range", n, most)

    def _check_item(self, number: int) -> None:
        given = self.given
        x, _, flat = given.items[number]
        if x.kind == "scalar":
            if x.mut:
                there = self.f.icmp("ne", given.scalar_address(number), NULL)
                self.g.require(there, "arg", f"{x.name}: null")
        elif x.kind == "tensor":
            for axis in range(x.tensor.rank):
                self._size(given.dim(number, axis), f"{x.name}, axis {axis}:")
        elif x.kind == "graph":
            self._size(given.get(number, "nodes"), f"{x.name}, nodes:")
            self._size(given.get(number, "arcs"), f"{x.name}, arcs:")
        elif x.kind == "segs":
            self._size(given.get(number, "rows"), f"{x.name}, rows:", most=MAX_DIM - 1)
            starts = given.get(number, "starts", "ptr")
            self.g.require(self.f.icmp("ne", starts, NULL), "arg", f"{x.name}, starts: null")
        elif x.kind == "sparse":
            self._size(given.get(number, "size"), f"{x.name}, size:")
            self._size(given.get(number, "count"), f"{x.name}, count:")
        elif flat is not None:
            self._check_flat(number)

    def _check_flat(self, number: int) -> None:
        given = self.given
        x, _, flat = given.items[number]
        assert flat is not None
        for name in ("length", "count", "nodes", "child_count"):
            if any(m.name == name for m in given.carrier(number).members):
                self._size(given.get(number, name), f"{x.name}, {name}:", "struct")
        for c, column in enumerate(flat.columns):
            text = f"{x.name}.{column.name}".rstrip(".")
            self._size(given.rows(number, c), f"{text}, rows:", "struct")
            if not column.varies:
                for axis in range(len(column.shape)):
                    at = self.f.gep(INDEX, given.column(number, c, "dims"), axis)
                    self._size(self.f.load(INDEX, at), f"{text}, axis {axis}:")

    # -- dims

    def _lookup(self, name: str) -> Value:
        return self.env[name]

    def _bind(self, step: Step) -> None:
        f, m = self.f, step.mention
        got = self.given.show(m.at)
        for other in reversed(step.others):
            shown = self.given.is_shown(m.at)
            second = self.given.is_shown(other.at)
            if shown is not None and second is not None:
                use = f.and_(f.not_(shown), second)
                got = f.select(use, self.given.show(other.at), got)
        k = m.size.coefficient(step.dim)
        assert k is not None
        factor = emit_dim(f, k, self._lookup)
        rest = emit_dim(f, m.size.substitute({step.dim: Dim.const(0)}), self._lookup)
        over = f.sub(got, rest)
        zero = f.icmp("eq", factor, 0)
        safe = f.select(zero, constant(1), factor)
        n = f.sdiv(over, safe)
        exact = f.icmp("eq", f.mul(n, safe), over)
        fits = f.and_(f.and_(exact, f.not_(zero)), f.icmp("ule", n, MAX_DIM))
        self.g.require(fits, "shape", m.text, got, rest, m.place)
        self.env[step.dim] = n

    def _compare(self, m: Mention) -> None:
        f = self.f
        got, want = self.given.show(m.at), emit_dim(f, m.size, self._lookup)
        ok = f.icmp("eq", got, want)
        shown = self.given.is_shown(m.at)
        if shown is not None:
            ok = f.or_(ok, f.not_(shown))
        self.g.require(ok, "shape", m.text, got, want, m.place)
