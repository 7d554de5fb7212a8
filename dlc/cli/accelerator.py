"""What a program file of the accelerator holds, as values and as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dlc.isa.program import At, Dim, Entry, Given, InRegister, Made, Port, PortPlace, Program


def description(program: Program, name: str) -> dict[str, Any]:
    """The program as plain values: sizes, memories, entries, functions with their bounds, tables,
    and whether the verifier takes it."""
    from dlc.diag import CompileError
    from dlc.isa.machine import Machine

    findings: list[str] = []
    try:
        Machine.load(program, engine="reference", name=name)
    except CompileError as e:
        findings = [d.message for d in e.diagnostics]
    return {
        "file": name,
        "isa": program.isa,
        "words": len(program.text),
        "verified": not findings,
        "findings": findings,
        "memories": dict(program.memories),
        "heap": program.heap,
        "queue": program.queue,
        "constants": sum(len(image.data) for image in program.images),
        "descriptors": len(program.table),
        "entries": [_entry(e) for e in program.entries],
        "functions": [
            {
                "name": f.name, "word": f.start, "frame_words": f.frame_words,
                "stack_words": f.stack_words, "tape_words": f.tape_words,
            }
            for f in program.functions
        ],
        "symbols": [
            {
                "name": s.name, "space": s.space, "address": s.address, "dtype": s.dtype,
                "shape": list(s.shape),
            }
            for s in program.symbols
        ],
        "matrices": [
            {"rows": m.rows, "cols": m.cols, "nnz": m.nnz, "dtype": m.dtype}
            for m in program.matrices
        ],
        "sources": list(dict.fromkeys(mark.file for mark in program.marks if mark.file)),
        "predicted": dict(program.predicted),
    }  # fmt: skip


def _entry(e: Entry) -> dict[str, Any]:
    def port(p: Port) -> dict[str, Any]:
        return {
            "name": p.name, "dtype": p.dtype, "shape": list(p.shape), "place": _place(p.place),
        }  # fmt: skip

    def dim(d: Dim) -> dict[str, Any]:
        return {"name": d.name, "bound": d.bound, "made": d.made}

    return {
        "name": e.name,
        "word": e.start,
        "dims": [dim(d) for d in e.dims],
        "parameters": [port(p) for p in e.parameters],
        "results": [port(p) for p in e.results],
    }


def _place(place: PortPlace) -> str:
    match place:
        case InRegister(file=file, number=number):
            return f"{file}{number}"
        case At(space=space, address=address, capacity=capacity):
            return f"{space} {address}..{address + capacity}"
        case Given(register=register):
            return f"DRAM, at r{register}"
        case Made(register=register):
            return f"DRAM, at r{register} when it ends"


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """A description for people."""
    yield from head(told)
    for e in told["entries"]:
        yield f"\nentry {e['name']}, word {e['word']}"
        for d in e["dims"]:
            made = "made by the run" if d["made"] else "given"
            bound = "" if d["bound"] is None else f", ≤ {d['bound']}"
            yield f"  dim    {d['name']}: {made}{bound}"
        yield from (f"  takes  {_port(p)}" for p in e["parameters"])
        yield from (f"  gives  {_port(p)}" for p in e["results"])
    if told["functions"]:
        yield ""
    yield from functions(told)
    for s in told["symbols"]:
        yield f"  symbol    {s['name']}: {s['dtype']}{s['shape']} at {s['address']} of {s['space']}"


def head(told: Mapping[str, Any]) -> Iterator[str]:
    """Sizes, memories, weights."""
    state = "verified" if told["verified"] else "does not pass the verifier"
    yield f"program {told['file']}: {told['words']:,} words, {state}"
    yield from (f"  finding   {text}" for text in told["findings"])
    yield f"  isa       {told['isa'][:16]}"
    sizes = ", ".join(f"{space} {size:,}" for space, size in told["memories"].items() if size)
    yield f"  memories  {sizes or 'none'} bytes; a queue holds {told['queue']:,} events"
    yield f"  constants {told['constants']:,} bytes, {told['descriptors']} descriptors"
    for m in told["matrices"]:
        share = m["nnz"] / max(m["rows"] * m["cols"], 1)
        yield (
            f"  weights   {m['rows']} by {m['cols']} of {m['dtype']}, {m['nnz']:,} stored "
            f"({share:.1%})"
        )
    for preset, cycles in told["predicted"].items():
        yield f"  predicted {cycles:,} cycles on {preset}"
    for name in told["sources"]:
        yield f"  source    {name}"


def functions(told: Mapping[str, Any]) -> Iterator[str]:
    """The functions of the text, with words of frame, stack and tape."""
    for f in told["functions"]:
        bounds = [f"{k} {'unbounded' if f[n] is None else f[n]}" for k, n in _BOUNDS]
        frame = f"frame {f['frame_words']}"
        yield f"  function  {f['name']} at {f['word']}: {', '.join((frame, *bounds))}"


_BOUNDS = (("stack", "stack_words"), ("tape", "tape_words"))


def _port(p: Mapping[str, Any]) -> str:
    shape = f"[{', '.join(p['shape'])}]" if p["shape"] else ""
    return f"{p['name']}: {p['dtype']}{shape} in {p['place']}"
