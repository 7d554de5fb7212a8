"""Makes every merge of storage an explicit copy, as when leaving SSA (Boissinot et al. 2009).

Copies stand at the yields of branches, at first values of loops, at returns, before everything that
is updated, and where an operation needs dense elements. At a loop's yield a value made directly in
the body, or another carried value, stays uncopied: it can keep its place or its buffer.
What is copied needlessly is found out later, by coalescing.

Operations that only exist here: `copy`, `box` (a copy for a record: on the heap, never changed),
`fill` (equal elements), `data` (constant array), `load` (the one element of a view).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dlc.diag import InternalError
from dlc.ir.core import Attr, Function, Op, Region, Value, freeze_attrs
from dlc.memory.access import VIEWS, Access, view_access, whole
from dlc.memory.facts import (
    LIST_UPDATES,
    is_list,
    is_scalar,
    is_tensor,
    is_update,
    takes_strides,
)
from dlc.memory.fuse import number_attr, uniform
from dlc.memory.hazards import lists_changed_under, views_to_copy
from dlc.memory.prepare import without_unused
from dlc.memory.storage import MOVED, OWNING, Interface, Kind, Sizes
from dlc.typesys.dims import Dim
from dlc.typesys.types import AdtType, TensorType

COPIES = frozenset({"copy", "box"})


@dataclass
class Normal:
    """A function in normal form. `access` holds every tensor with elements, `kinds` every value,
    `numbers` integer scalars that are dims; `outs` are the places of results, by number, and
    `lasting` the lent values whose storage outlives everything."""

    fn: Function
    faces: Mapping[str, Interface]
    sizes: Sizes
    access: dict[Value, Access] = field(default_factory=dict[Value, Access])
    kinds: dict[Value, Kind] = field(default_factory=dict[Value, Kind])
    numbers: dict[Value, Dim] = field(default_factory=dict[Value, Dim])
    outs: dict[int, Value] = field(default_factory=dict[int, Value])
    lasting: set[Value] = field(default_factory=set[Value])

    @property
    def face(self) -> Interface:
        return self.faces[self.fn.name]

    def root(self, v: Value) -> Value | None:
        """The value whose storage `v` is in, if somebody here owns it."""
        a = self.access.get(v)
        r = a.root if a is not None else v
        return r if self.kinds[r] in OWNING else None


def normalise(fn: Function, faces: Mapping[str, Interface]) -> Normal:
    """The function (prepared: see `dlc.memory.prepare`) in normal form."""
    return _Normaliser(fn, faces).run()


class _Normaliser:
    def __init__(self, fn: Function, faces: Mapping[str, Interface]) -> None:
        self.fn, self.faces = fn, faces
        self.n = Normal(fn, faces, Sizes.of(fn))
        self.made: dict[Value, Op] = {}
        self.block: list[Op] = []
        self.here: set[Value] = set()
        """Values that operations of the present block define."""
        owned = {name: f.taken_over for name, f in faces.items()}
        self.unstable = lists_changed_under(fn, owned)
        self.forced = views_to_copy(fn, owned)
        self.dense: dict[Value, Value] = {}

    def run(self) -> Normal:
        n = self.n
        for i, p in enumerate(self.fn.params):
            self.define(p, self._param_kind(i, p))
        for i, t in enumerate(self.fn.result_types):
            if n.face.by_place[i]:
                n.outs[i] = Value(t, "out")
                self.define(n.outs[i], Kind.SLOT)
        body = self.region(self.fn.body, self.returned)
        n.fn = without_unused(self.fn.with_body(body))
        return n

    def _param_kind(self, i: int, p: Value) -> Kind:
        if is_tensor(p):
            return Kind.SLOT if i in self.n.face.inout else Kind.LENT
        if is_list(p):
            return Kind.LIST if i in self.n.face.owned else Kind.LENT_LIST
        return self.plain_kind(p)

    # -- definitions

    def define(self, v: Value, kind: Kind, access: Access | None = None) -> None:
        self.n.kinds[v] = kind
        if is_tensor(v):
            self.n.access[v] = access if access is not None else whole(v)

    def plain_kind(self, v: Value) -> Kind:
        """The kind of a value that an operation makes afresh."""
        if isinstance(v.type, TensorType):
            if not v.type.rank:
                return Kind.SCALAR
            return Kind.SLOT if self.n.sizes.of_type(v.type) is not None else Kind.HEAP
        return Kind.ADT if isinstance(v.type, AdtType) else Kind.LIST

    def put(self, op: Op, *kinds: Kind) -> Op:
        """The operation at the end of the block; results get these kinds, or the plain ones."""
        self.block.append(op)
        for i, v in enumerate(op.results):
            self.define(v, kinds[i] if kinds else self.plain_kind(v))
            self.made[v] = op
            self.here.add(v)
        return op

    def kind(self, v: Value) -> Kind:
        return self.n.kinds[v]

    # -- copies

    def copy(self, v: Value, kind: Kind, op: Op, name: str = "copy") -> Value:
        """A copy of the value, in storage of this kind, made for `op`."""
        to = Value(v.type, v.hint)
        maker = self.made.get(v)
        if name == "copy" and maker is not None and maker.name in ("fill", "undef", "list_new"):
            self.put(Op(maker.name, maker.operands, (to,), maker.attrs, loc=op.loc), kind)
        else:
            self.put(Op(name, (v,), (to,), loc=op.loc), kind)
        return to

    def stored(self, v: Value, op: Op) -> Value:
        """A copy of the value in storage of its plain kind."""
        return self.copy(v, self.plain_kind(v), op)

    def contiguous(self, v: Value, op: Op) -> Value:
        """The value, or a copy with dense elements."""
        if not is_tensor(v) or self.n.access[v].is_contiguous:
            return v
        if v not in self.dense or self.dense[v] not in self.here:
            self.dense[v] = self.stored(v, op)
        return self.dense[v]

    def boxed(self, v: Value, op: Op) -> Value:
        """The value as a record or a list of lists may hold it: never changed, and lasting."""
        if is_list(v):
            return v if v in self.n.lasting else self.copy(v, Kind.LIST, op, "box")
        if not is_tensor(v):
            return v
        a = self.n.access[v]
        if a.root in self.n.lasting and a.is_contiguous and not a.terms and a.base == Dim.const(0):
            return v
        return self.copy(v, Kind.HEAP, op, "box")

    # -- regions

    def region(self, r: Region, finish: Callable[[Op], Op]) -> Region:
        block, here, self.block, self.here = self.block, self.here, [], set()
        for op in r.ops[:-1]:
            self.op(op)
        end = finish(r.terminator)
        ops = (*self.block, end)
        self.block, self.here = block, here
        return Region(r.params, ops, r.dims)

    def op(self, op: Op) -> None:
        special = getattr(self, f"op_{op.name}", None)
        if special is not None:
            special(op)
        elif op.name in VIEWS:
            self.view(op)
        elif is_update(op):
            self.update(op)
        else:
            self.general(op)

    def general(self, op: Op) -> None:
        operands = tuple(
            v if takes_strides(op, i) else self.contiguous(v, op) for i, v in enumerate(op.operands)
        )
        self.put(_with(op, operands))

    def returned(self, end: Op) -> Op:
        """Results first, those in place of parameters last; if such a one comes from the place of
        another such parameter, or from its own but differently arranged, it is copied twice."""
        face = self.n.face
        out: dict[int, Value] = {}
        late = {i: p for i in range(len(end.operands)) if (p := face.in_place_of(i)) is not None}
        places = {self.fn.params[p] for p in face.inout}
        sources = {i: end.operands[i] for i in late}
        for i, p in late.items():
            root = self.n.root(sources[i])
            stays = root is self.fn.params[p] and self.n.access[sources[i]].whole
            if root in places and not stays:
                sources[i] = self.stored(sources[i], end)
        for i, v in enumerate(end.operands):
            if i not in late:
                out[i] = self._result(i, v, end)
        for i, v in sources.items():
            out[i] = self.copy(v, Kind.SLOT, end)
        return _with(end, tuple(out[i] for i in range(len(end.operands))))

    def _result(self, i: int, v: Value, end: Op) -> Value:
        if is_tensor(v):
            return self.copy(v, Kind.SLOT if self.n.face.by_place[i] else Kind.HEAP, end)
        return self.copy(v, Kind.LIST, end) if is_list(v) else v

    # -- structured operations

    def op_if(self, op: Op) -> None:
        self.branches(op)

    def op_match(self, op: Op) -> None:
        for r in op.regions:
            for p in r.params:
                lent = Kind.LENT if is_tensor(p) else Kind.LENT_LIST if is_list(p) else None
                self.define(p, lent or self.plain_kind(p))
                if lent is not None:
                    self.n.lasting.add(p)
        self.branches(op)

    def branches(self, op: Op) -> None:
        kinds = [self._merged_kind(op, j) for j in range(len(op.results))]

        def finish(end: Op) -> Op:
            pairs = zip(end.operands, kinds, strict=True)
            return _with(end, tuple(self.copy(v, k, end) if k in OWNING else v for v, k in pairs))

        regions = tuple(self.region(r, finish) for r in op.regions)
        self.put(_with(op, op.operands, regions), *kinds)

    def _merged_kind(self, op: Op, j: int) -> Kind:
        """The kind of a branching result: in a slot only if that holds every branch's value."""
        kind = self.plain_kind(op.results[j])
        if kind is not Kind.SLOT:
            return kind
        size = self.n.sizes.of_type(op.results[j].tensor)
        for r in op.regions:
            s = self.n.sizes.of_type(r.yields[j].tensor)
            if s is None or size is None or not size.at_least(s):
                return Kind.HEAP
        return kind

    def op_for(self, op: Op) -> None:
        self.loop(op, 2)

    def op_loop(self, op: Op) -> None:
        self.loop(op, 0)

    def op_map(self, op: Op) -> None:
        for r in op.regions:
            for v in (*r.params, *(x for o in r.ops for x in o.results)):
                self.define(v, Kind.SCALAR)
            self._note_numbers(r)
        self.put(op)

    def _note_numbers(self, r: Region) -> None:
        for o in r.ops:
            if o.name == "const":
                self._number(o)

    def loop(self, op: Op, bounds: int) -> None:
        (body,) = op.regions
        carries = body.params[len(body.params) - len(op.results) :]
        kinds = [self.plain_kind(c) for c in carries]
        inits = tuple(
            self.copy(v, k, op) if k in OWNING else v
            for v, k in zip(op.operands[bounds:], kinds, strict=True)
        )
        for p in body.params[: len(body.params) - len(carries)]:
            self.define(p, Kind.SCALAR)
        for c, k in zip(carries, kinds, strict=True):
            self.define(c, k)

        def finish(end: Op) -> Op:
            return self._turn_end(end, carries, kinds)

        region = self.region(body, finish)
        self.put(_with(op, (*op.operands[:bounds], *inits), (region,)), *kinds)

    def _turn_end(self, end: Op, carries: tuple[Value, ...], kinds: list[Kind]) -> Op:
        skip = len(end.operands) - len(carries)
        seen: set[Value] = set()
        out = list(end.operands[:skip])
        for v, k in zip(end.operands[skip:], kinds, strict=True):
            if k in OWNING and not self._may_stay(v, k, carries, seen):
                v = self.copy(v, k, end)
            seen.add(v)
            out.append(v)
        return _with(end, tuple(out))

    def _may_stay(self, v: Value, kind: Kind, carries: tuple[Value, ...], seen: set[Value]) -> bool:
        """Whether a yielded value can keep its storage into the next turn."""
        if v in seen or self.kind(v) is not kind:
            return False
        if v in carries:
            return True
        if v not in self.here:
            return False
        return kind in MOVED or self.made[v].name not in ("for", "loop")

    # -- calls

    def op_call(self, op: Op) -> None:
        face = self.faces[op.attr_str("fn")]
        args: list[Value] = []
        for i, v in enumerate(op.operands):
            if i in face.inout:
                args.append(self.stored(v, op))
            elif i in face.owned:
                args.append(self.copy(v, Kind.LIST, op))
            else:
                args.append(self.contiguous(v, op))
        kinds: list[Kind] = []
        for i, v in enumerate(op.results):
            p = face.in_place_of(i)
            if p is not None:
                kinds.append(self.kind(args[p]))
            elif is_tensor(v) and not face.by_place[i]:
                kinds.append(Kind.HEAP)
            else:
                kinds.append(self.plain_kind(v))
        self.put(_with(op, tuple(args)), *kinds)

    # -- updates

    def update(self, op: Op) -> None:
        base = self.stored(op.operands[0], op)
        rest = [
            v if takes_strides(op, i) else self.contiguous(v, op)
            for i, v in enumerate(op.operands[1:], 1)
        ]
        if op.name in LIST_UPDATES:
            rest = [self.boxed(v, op) if is_list(v) else v for v in rest]
        now = _with(op, (base, *rest))
        kinds = [self.kind(base), *(self._column_kind(v) for v in op.results[1:])]
        self.put(now, *kinds)
        self.n.lasting.update(v for v in op.results[1:] if is_list(v))

    def _column_kind(self, v: Value) -> Kind:
        """The kind of a value taken out of a list and kept."""
        return Kind.LENT_LIST if is_list(v) else self.plain_kind(v)

    def op_list_fill(self, op: Op) -> None:
        self.put(_with(op, tuple(self.boxed(v, op) if is_list(v) else v for v in op.operands)))

    def op_list_get(self, op: Op) -> None:
        """Columns that are tensors are seen in the list, or copied if the list changes too soon."""
        (source, _) = op.operands
        copied = [(k, v) for k, v in enumerate(op.results) if is_tensor(v) and v in self.unstable]
        results = list(op.results)
        for k, v in copied:
            results[k] = Value(v.type, v.hint)
        self.put(Op(op.name, op.operands, tuple(results), op.attrs, loc=op.loc))
        for v in results:
            if is_tensor(v):
                self.define(v, Kind.VIEW, whole(v, source))
            elif is_list(v):
                self.define(v, Kind.LENT_LIST)
                self.n.lasting.add(v)
        for k, v in copied:
            self.put(Op("copy", (results[k],), (v,), loc=op.loc))

    def op_variant(self, op: Op) -> None:
        self.put(_with(op, tuple(self.boxed(v, op) for v in op.operands)))

    # -- sources and views

    def op_const(self, op: Op) -> None:
        v = op.result
        if not is_tensor(v):
            self._number(op)
            self.put(op)
            return
        x = uniform(op.attrs["value"])
        if x is not None:
            attrs: Mapping[str, Attr] = freeze_attrs({"value": number_attr(x, v.tensor.dtype)})
            self.put(Op("fill", (), (v,), attrs, loc=op.loc))
        else:
            self.put(Op("data", (), (v,), op.attrs, loc=op.loc), Kind.LENT)
            self.n.lasting.add(v)

    def _number(self, op: Op) -> None:
        x = op.attrs["value"]
        if isinstance(x, int) and not isinstance(x, bool) and op.result.tensor.dtype.is_int:
            self.n.numbers[op.result] = Dim.const(x)

    def op_dim(self, op: Op) -> None:
        """As long as it does not wrap, which the evaluator's and the target's dims don't either."""
        if op.result.tensor.dtype.bits >= 32 and op.result.tensor.dtype.is_int:
            self.n.numbers[op.result] = op.attr_dim("value")
        self.put(op)

    def view(self, op: Op) -> None:
        v, x = op.result, op.operands[0]
        if is_scalar(x):
            name = "scalar" if is_scalar(v) else "fill"
            if name == "scalar":
                raise InternalError(f"{op.name} of a scalar to a scalar", stage="memory")
            self.put(Op("fill", (x,), (v,), loc=op.loc))
            return
        if v in self.forced:
            seen = Value(v.type, v.hint)
            self.view(_with_result(op, seen))
            self.put(Op("copy", (seen,), (v,), loc=op.loc))
            return
        access = view_access(op, self.n.access[x], self.n.numbers)
        if access is None:
            x = self.stored(x, op)
            op = _with(op, (x, *op.operands[1:]))
            access = view_access(op, self.n.access[x], self.n.numbers)
            assert access is not None
        self.put(op)
        if is_scalar(v):
            self.n.access[v] = access
        else:
            self.define(v, Kind.VIEW, access)


def _with(op: Op, operands: tuple[Value, ...], regions: tuple[Region, ...] | None = None) -> Op:
    inner = op.regions if regions is None else regions
    return Op(op.name, operands, op.results, op.attrs, inner, op.dims, op.loc)


def _with_result(op: Op, v: Value) -> Op:
    return Op(op.name, op.operands, (v,), op.attrs, op.regions, op.dims, op.loc)
