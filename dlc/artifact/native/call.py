"""The functions of one entry: the call itself, its sizes."""

from __future__ import annotations

from dlc.artifact.border import MAX_DIM
from dlc.artifact.capi import Api, EntryApi
from dlc.artifact.flat import FlatType
from dlc.artifact.items import Item
from dlc.artifact.native.bind import bind_function, raw_dims
from dlc.artifact.native.buffers import Buffers, product
from dlc.artifact.native.flats import FlatRecord, flat_buffers, given_row_dims
from dlc.artifact.native.guard import NULL, Guard, size_of
from dlc.artifact.native.shown import Given
from dlc.diag import InternalError
from dlc.memory.form import BFunction, Param
from dlc.targets.cpu.emit import context
from dlc.targets.cpu.emit.dims import constant, emit_dim
from dlc.targets.cpu.emit.entry import Result, results_of
from dlc.targets.cpu.emit.structs import member
from dlc.targets.cpu.emit.unit import Unit
from dlc.targets.cpu.llvm import INDEX, Builder, Function, Value
from dlc.typesys import surface
from dlc.typesys.dims import Dim
from dlc.typesys.interface import LeafInfo
from dlc.typesys.types import TensorType


def size_type(unit: Unit) -> str:
    """The LLVM type of `size_t`."""
    arch = unit.target.arch
    narrow = arch in ("arm64_32", "aarch64_32") or "64" not in arch or "x32" in unit.target.triple
    return "i32" if narrow else INDEX


def parameters(e: EntryApi, *rest: tuple[str, str]) -> list[tuple[str, str]]:
    """The parameters of an entry's function: the model if it takes one, the input, and the rest."""
    return [*([("ptr", "model")] if e.border.sets else []), ("ptr", "in"), *rest]


class Opening:
    """The begin of each function of an entry: the error record is checked and the dims bound."""

    def __init__(self, f: Builder, api: Api, e: EntryApi, err: Value) -> None:
        self.f, self.api, self.e = f, api, e
        self.g = Guard(f, err)
        self.model = f.params[0] if e.border.sets else NULL
        self.base = f.params[1] if e.border.sets else f.params[0]
        self.given = Given(f, e, self.base)
        names = raw_dims(e)
        self.dims = f.alloca(INDEX, max(1, len(names)), 8)
        self.g.error_record()
        bind = bind_function(f.module, api, e)
        self.g.passed(f.call(bind, self.model, self.base, self.dims, err))
        self.env = {d: constant(n) for d, n in e.border.fixed.items()}
        for i, d in enumerate(names):
            self.env[d] = f.load(INDEX, f.gep(INDEX, self.dims, i))

    def size(self, d: Dim) -> Value:
        return emit_dim(self.f, d, lambda name: self.env[name])

    def knows(self, d: Dim) -> bool:
        return all(s in self.env for s in d.symbols())

    def output(self, at: Value) -> Given:
        """The caller's output struct, checked."""
        self.g.struct(at, size_of(self.f, self.e.output.llvm), self.api.number, "out")
        return Given(self.f, self.e, at, output=True)


def emit_call(unit: Unit, api: Api, e: EntryApi, fn: BFunction, raw: Function) -> Function:
    """`<entry>(model, in, out, arena, bytes, options, err)`."""
    size = size_type(unit)
    rest = (("ptr", "out"), ("ptr", "arena"), (size, "bytes"), ("ptr", "options"), ("ptr", "err"))
    params = parameters(e, *rest)
    f = Builder(unit.module, e.symbol, "i32", params, linkage="external")
    call = _Call(f, api, e, fn)
    out, arena, bytes_, options, err = f.params[-5:]
    call.emit(raw, out, (arena, f.cast("zext", bytes_, INDEX)), options, err)
    return f.define()


_Written = tuple[FlatRecord, list[list[Value]], int, tuple[Item, int, FlatType | None]]
"""A record that the call fills, dims of its columns' rows, and the item that it goes to."""


class _Call:
    def __init__(self, f: Builder, api: Api, e: EntryApi, fn: BFunction) -> None:
        self.f, self.api, self.e, self.fn = f, api, e, fn
        self.results = results_of(fn)
        self._rows: list[_Written] = []
        self._hidden: list[tuple[Value, Value, LeafInfo, Item]] = []

    def emit(
        self, raw: Function, out: Value, room: tuple[Value, Value], options: Value, err: Value
    ) -> None:
        f, e = self.f, self.e
        arena, bytes_ = room
        self.o = Opening(f, self.api, e, err)
        self.g = self.o.g
        fuel = self._fuel(options)
        self.out = self.o.output(out)
        given = [p for p in self.fn.params if p.mode != "out"]
        leaves = sum(len(p.leaves) for p in e.border.entry.parameters)
        if len(given) != leaves or len(self.results) < len(e.border.entry.results):
            raise InternalError(f"`{e.name}` is not the function of its interface", stage="emit")
        self.args = f.alloca("ptr", max(1, leaves), 8)
        self.outs = f.alloca("ptr", max(1, len(self.results)), 8)
        for j in range(len(self.results)):
            f.store(NULL, f.gep("ptr", self.outs, j))
        self.buffers = Buffers(self.g)
        self._models()
        for number in self.o.given.items:
            self._input(number)
        for number in self.out.items:
            self._output(number)
        self.buffers.range(arena, bytes_, "arena", written=True)
        there = f.or_(f.icmp("eq", bytes_, 0), f.icmp("ne", arena, NULL))
        self.g.require(there, "arg", "arena: null", 0, bytes_)
        self.buffers.check_overlap()
        code = f.call(raw, self.o.dims, self.args, self.outs, arena, bytes_, fuel, err)
        self._after(code)
        f.ret(code)

    def _fuel(self, options: Value) -> Value:
        """The turns that the options allow, 0 where they do not say."""
        f, s = self.f, self.api.options
        cell = f.alloca(INDEX, 1, 8)
        f.store(f.index(0), cell)
        with f.when(f.icmp("ne", options, NULL)):
            self.g.struct(options, size_of(f, s.llvm), self.api.number, "options")
            fuel = f.load(INDEX, member(f, s.llvm, options, s.index("fuel")))
            self.g.require(f.icmp("sge", fuel, 0), "arg", "options, fuel: negative", fuel, 0)
            f.store(fuel, cell)
        return f.load(INDEX, cell)

    def _argument(self, leaf: LeafInfo, address: Value) -> None:
        self.f.store(address, self.f.gep("ptr", self.args, leaf.number))

    def _result(self, number: int, address: Value) -> None:
        self.f.store(address, self.f.gep("ptr", self.outs, number))

    def _holder(self, leaf: LeafInfo) -> Result:
        return self.results[leaf.number]

    # -- weights

    def _models(self) -> None:
        f, api, e = self.f, self.api, self.e
        if not e.border.sets:
            return
        assert api.model is not None
        if e.border.written:
            at = member(f, api.model.llvm, self.o.model, api.model.index("writable"))
            writable = f.icmp("ne", f.load("i32", at), 0)
            self.g.require(writable, "arg", "model: its weights may not be changed")
        for p in e.border.entry.parameters:
            if p.parameter_set is not None:
                number = 4 + [s.name for s in api.interface.parameter_sets].index(p.parameter_set)
                base = f.load("ptr", member(f, api.model.llvm, self.o.model, number))
                self._weights(p.parameter_set, p.leaves, base, p.mut)

    def _weights(self, set_: str, leaves: tuple[LeafInfo, ...], base: Value, written: bool) -> None:
        f, layout = self.f, self.api.layout
        first: Value | None = None
        end = base
        for leaf in leaves:
            number = layout.number(set_, ".".join(leaf.path))
            offset = f.load(INDEX, f.gep("i8", base, layout.offset_field(number)))
            address = f.gep("i8", base, offset)
            self._argument(leaf, address)
            self._in_place(leaf)
            first = address if first is None else first
            end = f.gep("i8", address, self.o.size(layout.weights[number].bytes))
        if first is not None:
            start = f.cast("ptrtoint", first, INDEX)
            bytes_ = f.sub(f.cast("ptrtoint", end, INDEX), start)
            self.buffers.range(first, bytes_, f"the weights of {set_}", written=written)

    def _in_place(self, leaf: LeafInfo) -> None:
        """A changed weight or tensor must be changed where it lies."""
        if leaf.back is None:
            return
        holder = self.results[leaf.back].holder
        if isinstance(holder, Param) and holder.mode == "inout":
            return
        if isinstance(leaf.type, TensorType) and not leaf.type.rank:
            at = self.f.load("ptr", self.f.gep("ptr", self.args, leaf.number))
            self._result(leaf.back, at)
            return
        raise InternalError(f"`{'.'.join(leaf.path)}` does not change in place", stage="emit")

    # -- inputs

    def _input(self, number: int) -> None:
        given, f = self.o.given, self.f
        x, _, flat = given.items[number]
        if x.kind == "scalar":
            address = given.scalar_address(number)
            self._argument(x.leaf, address)
            if x.mut:
                size = x.tensor.dtype.bytes
                self.buffers.add(address, f.index(1), size, x.name, written=True)
                self._in_place(x.leaf)
        elif x.kind == "tensor":
            data = given.get(number, "data", "ptr")
            extents = [given.dim(number, axis) for axis in range(x.tensor.rank)]
            elements = product(self.g, extents, x.name)
            self.buffers.add(data, elements, x.tensor.dtype.bytes, x.name, written=x.mut)
            self._argument(x.leaf, data)
            self._in_place(x.leaf)
        elif flat is not None:
            flat_buffers(self.g, given, number, self.buffers, given_row_dims(given, number))
            record = FlatRecord(f, given, number)
            self._argument(x.leaf, record.fill())
            if x.mut:
                self._back(number, x)
        else:
            self._arrays(x, number)

    def _arrays(self, x: Item, number: int) -> None:
        """The arrays of a graph, of segments or of a sparse vector."""
        given, f = self.o.given, self.f
        for leaf, name in zip(x.leaves, _ARRAYS[x.kind], strict=True):
            assert isinstance(leaf.type, TensorType)
            data = given.get(number, name, "ptr")
            if x.kind == "segs":
                count = f.add(given.get(number, "rows"), 1)
            else:
                count = given.get(number, "arcs" if x.kind == "graph" else "count")
            self.buffers.add(data, count, leaf.type.dtype.bytes, f"{x.name}, {name}")
            self._argument(leaf, data)

    def _back(self, number: int, x: Item) -> None:
        """A changed list or algebraic value comes back in the output."""
        assert x.leaf.back is not None
        out = self.out
        key = -1 - number
        out.items[key] = (x, self.e.back[number], self.o.given.items[number][2])
        self._flat_output(key, x.leaf.back)
        del out.items[key]

    # -- outputs

    def _output(self, number: int) -> None:
        x, _, flat = self.out.items[number]
        if x.kind == "scalar":
            self._result(x.leaf.number, self.out.at(number))
        elif flat is not None:
            self._flat_output(number, x.leaf.number)
        elif x.kind == "tensor":
            self._tensor_output(number, x)
        else:
            for leaf, name in zip(x.leaves, _ARRAYS[x.kind], strict=True):
                self._array_output(number, x, leaf, name)

    def _tensor_output(self, number: int, x: Item) -> None:
        out = self.out
        data, capacity = out.get(number, "data", "ptr"), out.get(number, "capacity")
        name = x.name or "result"
        self._capacity(capacity, name)
        self.buffers.add(data, capacity, x.tensor.dtype.bytes, name, written=True)
        if self._holder(x.leaf).hidden:
            # The carrier of an output tensor is laid out as the raw entry's record.
            self._result(x.leaf.number, out.at(number))
            return
        extents = [self.o.size(d) for d in x.tensor.shape]
        self._fits(product(self.g, extents, name), capacity, name)
        for axis, n in enumerate(extents):
            self.f.store(n, self.f.gep(INDEX, out.part(number, "dims"), axis))
        self._result(x.leaf.number, data)

    def _array_output(self, number: int, x: Item, leaf: LeafInfo, name: str) -> None:
        f, out = self.f, self.out
        assert isinstance(leaf.type, TensorType)
        data, capacity = out.get(number, name, "ptr"), out.get(number, "capacity")
        text = f"{x.name or 'result'}, {name}"
        self._capacity(capacity, text)
        self.buffers.add(data, capacity, leaf.type.dtype.bytes, text, written=True)
        count = out.part(number, _COUNT[x.kind])
        if self._holder(leaf).hidden:
            record = f.alloca("{ ptr, i64, [1 x i64] }", 1, 8)
            f.store(data, record)
            f.store(capacity, f.gep(INDEX, record, 1))
            self._result(leaf.number, record)
            self._hidden.append((count, f.gep(INDEX, record, 2), leaf, x))
            return
        n = self.o.size(leaf.type.shape[0])
        self._fits(n, capacity, text)
        f.store(f.sub(n, 1) if x.kind == "segs" else n, count)
        self._result(leaf.number, data)

    def _capacity(self, n: Value, name: str) -> None:
        ok = self.f.icmp("sge", n, 0)
        self.g.require(ok, "arg", f"{name}: a negative capacity", n)

    def _fits(self, want: Value, have: Value, name: str) -> None:
        ok = self.f.icmp("sle", want, have)
        self.g.require(ok, "space", f"{name}: elements", have, want)

    def _flat_output(self, number: int, result: int) -> None:
        out = self.out
        x, _, flat = out.items[number]
        assert flat is not None
        for name in ("nodes", "child_count"):
            if any(m.name == name for m in out.carrier(number).members):
                self._capacity(out.get(number, name), f"{x.name or 'result'}, {name}")
        row_dims = [[] if c.varies else [self.o.size(d) for d in c.shape] for c in flat.columns]
        for c in range(len(flat.columns)):
            self._capacity(out.rows(number, c), f"{x.name or 'result'}, rows")
        flat_buffers(self.g, out, number, self.buffers, row_dims, written=True)
        record = FlatRecord(self.f, out, number)
        self._result(result, record.fill())
        self._rows.append((record, row_dims, number, out.items[number]))

    # -- after the call

    def _after(self, code: Value) -> None:
        """Counts go back to the caller, also where there was too little space."""
        f = self.f
        told = f.or_(f.icmp("eq", code, 0), f.icmp("eq", code, _SPACE))
        with f.when(told):
            for record, row_dims, number, item in self._rows:
                self.out.items[number] = item
                record.take(row_dims)
        with f.when(f.icmp("eq", code, 0)):
            self._found_sizes()
            for count, at, leaf, x in self._hidden:
                n = f.load(INDEX, at)
                f.store(f.sub(n, 1) if x.kind == "segs" else n, count)
                assert isinstance(leaf.type, TensorType)
                name = leaf.type.shape[0].name
                if name is not None:
                    self.o.env[name] = n
            for number, (x, _, _) in list(self.out.items.items()):
                self._told(number, x)

    def _found_sizes(self) -> None:
        """The dims that resulting tensors of hidden size show."""
        for number, (x, _, _) in self.out.items.items():
            if x.kind == "tensor" and self._holder(x.leaf).hidden:
                for axis, d in enumerate(x.tensor.shape):
                    if d.name is not None and d.name not in self.o.env:
                        self.o.env[d.name] = self.out.dim(number, axis)

    def _told(self, number: int, x: Item) -> None:
        """Sizes of a resulting structure that none of its arrays shows."""
        if isinstance(x.type, surface.Graph):
            what, d = "nodes", x.type.nodes
        elif isinstance(x.type, surface.Sparse):
            what, d = "size", x.type.size
        elif isinstance(x.type, surface.Rows):
            what, d = "count", x.type.count
        else:
            return
        if not self.o.knows(d):
            raise InternalError(f"`{self.e.name}` gives a structure of unknown {what}")
        self.f.store(self.o.size(d), self.out.part(number, what))


def emit_sizes(unit: Unit, api: Api, e: EntryApi) -> Function:
    """`<entry>_sizes(model, in, out, err)`: the dims of results of known sizes."""
    params = parameters(e, ("ptr", "out"), ("ptr", "err"))
    f = Builder(unit.module, f"{e.symbol}_sizes", "i32", params, linkage="external")
    out, err = f.params[-2:]
    o = Opening(f, api, e, err)
    given = o.output(out)
    for number, (x, _, _) in given.items.items():
        if x.kind == "tensor" and all(o.knows(d) for d in x.tensor.shape):
            for axis, d in enumerate(x.tensor.shape):
                n = o.size(d)
                o.g.require(f.icmp("ule", n, MAX_DIM), "shape", f"{x.name or 'result'}: too large")
                f.store(n, f.gep(INDEX, given.part(number, "dims"), axis))
    f.ret(Value("i32", "0"))
    return f.define()


_ARRAYS = {"graph": ("src", "dst"), "segs": ("starts",), "sparse": ("indices", "values")}
_COUNT = {"graph": "arcs", "segs": "rows", "sparse": "count"}
_SPACE = context.status("space")
