"""What follows from `do`: which places it reads and writes, how it uses tensors, and the traps
nobody needs to write.

A trap is derived for an element type or rank that the indices don't fit, for a result in a
read-only space or in bytes that it shares with itself, and for results that overlap operands:
`clashes` (anything but the identical view) where every read of an operand happens before, or at the
same indices as, the write that could disturb it; `overlaps` otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dlc.isa import terms as t
from dlc.isa.model import Count, Items, PlaceName, Steps, Tensor, TrapWhen, Work
from dlc.isa.primitives import EFFECTS, PRIMITIVES


@dataclass(frozen=True, slots=True)
class Access:
    """One use of tensor data in `do`: where it stands in program order, and inside which loops."""

    element: t.Element
    written: bool
    loops: tuple[tuple[int, str], ...]
    """(number, variable) of the loops around its statement."""
    order: int
    """Position of its statement in program order; a value is read before its place is written."""


def accesses(body: tuple[t.Stmt, ...]) -> tuple[Access, ...]:
    """Every use of tensor data, in program order."""
    found: list[Access] = []
    counter = iter(range(1 << 30))

    def visit(block: tuple[t.Stmt, ...], loops: tuple[tuple[int, str], ...]) -> None:
        for stmt in block:
            order = next(counter)
            for term in t.statement_terms(stmt):
                inner = (
                    t.parts(term) if isinstance(stmt, t.Assign) and term is stmt.place else (term,)
                )
                found.extend(
                    Access(e, False, loops, order)
                    for part in inner
                    for e in t.walk(part)
                    if isinstance(e, t.Element)
                )
            if isinstance(stmt, t.Assign) and isinstance(stmt.place, t.Element):
                found.append(Access(stmt.place, True, loops, order))
            if isinstance(stmt, t.Loop):
                visit(stmt.body, (*loops, (order, stmt.var)))
            elif isinstance(stmt, t.When):
                visit(stmt.body, loops)

    visit(body, ())
    return tuple(found)


# -- places ----------------------------------------------------------------------------------------


def _term_reads(term: t.Term) -> Iterator[PlaceName]:
    for part in t.walk(term):
        match part:
            case t.Register(file=file, operand=operand):
                yield PlaceName(file, operand)
            case t.Special(name=name):
                yield PlaceName(name)
            case t.Element(operand=operand):
                yield PlaceName("T", operand)
            case t.Word(space=space):
                yield PlaceName(space)
            case t.Call(name=name, args=args):
                for arg in args:
                    if isinstance(arg, t.Ref):
                        yield PlaceName(
                            arg.file, arg.operand, descriptor=not PRIMITIVES[name].reads_data
                        )
            case _:
                pass


def _spec_places(specs: tuple[str, ...], args: tuple[t.Term, ...]) -> Iterator[PlaceName]:
    for spec in specs:
        name = spec.removeprefix("desc ")
        if len(name) == 1:
            yield PlaceName(name)
            continue
        ref = args[int(name[1])]
        assert isinstance(ref, t.Ref)
        yield PlaceName(ref.file, ref.operand, descriptor=spec.startswith("desc "))


def clause_terms(
    counts: Iterable[Count], work: Work, traps: Iterable[TrapWhen]
) -> Iterator[t.Term]:
    """Every term outside `do`."""
    for count in counts:
        yield count.value
        if count.of is not None and count.of.file != "T":
            yield t.Call("entries", (count.of, t.Int(0)), "i")
    match work:
        case Items(count=items):
            yield items
        case Steps(bound=bound, weight=weight, matrix=matrix, column=column):
            yield from (bound, weight)
            if matrix is not None and column is not None:
                yield t.Call("entries", (matrix, column), "i")
    for trap in traps:
        yield trap.when
        if trap.code is not None:
            yield trap.code


def places_read(body: tuple[t.Stmt, ...], others: Iterable[t.Term]) -> frozenset[PlaceName]:
    """Places read by `do` and by the other clauses. Sizes count as `desc T[x]` only where the data
    of x isn't used at all."""
    found: set[PlaceName] = set()
    written: set[PlaceName] = set()
    for stmt in t.statements(body):
        for term in t.statement_terms(stmt):
            if isinstance(stmt, t.Assign) and term is stmt.place:
                written.add(next(iter(_term_reads(term))))
                for part in t.parts(term):
                    found.update(_term_reads(part))
            elif not (isinstance(stmt, t.Effect) and isinstance(term, t.Ref)):
                found.update(_term_reads(term))
        if isinstance(stmt, t.Effect):
            found.update(_spec_places(EFFECTS[stmt.name].reads, stmt.args))
            written.update(_spec_places(EFFECTS[stmt.name].writes, stmt.args))
    for term in others:
        found.update(_term_reads(term))
    if PlaceName("r") in found:
        found = {place for place in found if place.base != "r" or place.operand is None}
    data = {(place.base, place.operand) for place in found | written if not place.descriptor}
    return frozenset(
        place for place in found if not (place.descriptor and (place.base, place.operand) in data)
    )


def places_written(body: tuple[t.Stmt, ...]) -> frozenset[PlaceName]:
    """Places that `do` writes."""
    found: set[PlaceName] = set()
    for stmt in t.statements(body):
        if isinstance(stmt, t.Assign):
            found.add(next(iter(_term_reads(stmt.place))))
        elif isinstance(stmt, t.Effect):
            found.update(_spec_places(EFFECTS[stmt.name].writes, stmt.args))
    return frozenset(found)


# -- tensors ---------------------------------------------------------------------------------------


def tensors(
    body: tuple[t.Stmt, ...], others: Iterable[t.Term], order: Iterable[str]
) -> tuple[Tensor, ...]:
    """How each descriptor operand is used, in the order of the operands.

    Raises ValueError where one operand is used as floats and as integers, or with two ranks.
    """
    uses = [(a.element, a.written) for a in accesses(body)]
    uses += [(e, False) for term in others for e in t.walk(term) if isinstance(e, t.Element)]
    made: list[Tensor] = []
    for operand in order:
        mine = [(e, w) for e, w in uses if e.operand == operand]
        if not mine:
            continue
        kinds = {e.access in ("at", "flat") for e, _ in mine}
        ranks = {len(e.indices) for e, _ in mine if e.access in ("at", "int")}
        if len(kinds) > 1:
            raise ValueError(f"T[{operand}] is used as floats and as integers")
        if len(ranks) > 1:
            raise ValueError(
                f"T[{operand}] is used with {' and '.join(str(r) for r in sorted(ranks))} indices"
            )
        made.append(
            Tensor(
                operand,
                float=next(iter(kinds)),
                rank=next(iter(ranks), None),
                flat=any(e.access in ("flat", "iflat") for e, _ in mine),
                read=any(not w for _, w in mine),
                written=any(w for _, w in mine),
            )
        )
    return tuple(made)


def derived_traps(
    body: tuple[t.Stmt, ...],
    used: tuple[Tensor, ...],
    written: frozenset[PlaceName],
    read: frozenset[PlaceName],
    dtypes: Mapping[str, int],
) -> tuple[TrapWhen, ...]:  # fmt: skip
    """Traps that follow from use: element types, ranks, read-only results, overlaps; in this
    order."""
    made: list[TrapWhen] = []
    for tensor in used:
        ref = t.Ref("T", tensor.operand)
        first, second = ("f32", "bf16") if tensor.float else ("i32", "i8")
        kind = t.Call("dtype", (ref,), "i")
        wrong = t.Logic(
            "and",
            t.Compare("!=", kind, t.Int(dtypes[first])),
            t.Compare("!=", kind, t.Int(dtypes[second])),
        )
        made.append(TrapWhen("dtype", wrong, derived=True))
    for tensor in used:
        if tensor.rank is not None:
            rank = t.Call("rank", (t.Ref("T", tensor.operand),), "i")
            made.append(TrapWhen("shape", t.Compare("!=", rank, t.Int(tensor.rank)), derived=True))
    for tensor in used:
        if tensor.written:
            ref = t.Ref("T", tensor.operand)
            made.append(TrapWhen("readonly", t.Not(t.Call("writable", (ref,), "b")), derived=True))
            made.append(TrapWhen("overlap", t.Not(t.Call("injective", (ref,), "b")), derived=True))
    made.extend(_overlaps(body, used, read))
    queues_read = sorted(p.operand for p in read if p.base == "Q" and p.operand is not None)
    queues_written = sorted(p.operand for p in written if p.base == "Q" and p.operand is not None)
    for q in queues_written:
        for b in queues_read:
            if b != q:
                made.append(
                    TrapWhen("overlap", t.Compare("==", t.Operand(q), t.Operand(b)), derived=True)
                )
    return tuple(made)


def _overlaps(
    body: tuple[t.Stmt, ...], used: tuple[Tensor, ...], read: frozenset[PlaceName]
) -> Iterator[TrapWhen]:
    all_accesses = accesses(body)
    results = [tensor for tensor in used if tensor.written]
    for position, result in enumerate(results):
        ref = t.Ref("T", result.operand)
        writes = [a for a in all_accesses if a.written and a.element.operand == result.operand]
        for other in used:
            if other.operand == result.operand or (other.written and other in results[:position]):
                continue
            reads = [
                a for a in all_accesses if not a.written and a.element.operand == other.operand
            ]
            worst = max((_hazard(w, r) for w in writes for r in reads), default=0)
            if other.written:
                worst = 2
            if worst:
                name = "clashes" if worst == 1 else "overlaps"
                yield TrapWhen(
                    "overlap", t.Call(name, (ref, t.Ref("T", other.operand)), "b"), derived=True
                )
        for place in sorted(read, key=str):
            if place.base == "W" and not place.descriptor and place.operand is not None:
                args = (ref, t.Ref("W", place.operand))
                yield TrapWhen("overlap", t.Call("values_overlap", args, "b"), derived=True)


def _hazard(write: Access, read: Access) -> int:
    """0: the read is over before the first write; 1: harmless when both operands are the identical
    view; 2: harmful."""
    common = [loop for loop, other in zip(write.loops, read.loops, strict=False) if loop == other]
    before = read.order <= write.order
    if not common:
        return 0 if before else 2
    here, there = write.element, read.element
    if not before or here.access != there.access or len(here.indices) != len(there.indices):
        return 2
    for _, var in common:
        local = t.Local(var, "i")
        if not any(
            i == local and j == local for i, j in zip(here.indices, there.indices, strict=True)
        ):
            return 2
    return 1


def is_constant_time(term: t.Term) -> bool:
    """No quantifier and no fold: the term costs the same whatever the state."""
    return not any(isinstance(part, t.Quantifier | t.Fold) for part in t.walk(term))
