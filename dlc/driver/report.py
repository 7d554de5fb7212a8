"""A compile on one page of HTML: stages and their times, entries and their memory, files, weights,
functions and kernels of the code, and where something is copied or grows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from dlc.artifact.header import signature
from dlc.artifact.manifest import Manifest, Memory
from dlc.driver.build import Compilation
from dlc.driver.options import StageTime

TEXTS = ("bufferise", "llvm-optimised")
"""Stages whose texts the page reads: functions and remarks, where they were dumped."""

_FUNCTION = re.compile(r"^define [^@]*@(\"?)([^\"(]+)\1\(.*?\{\n(.*?)^\}", re.S | re.M)
_REMARK = re.compile(r'^  remark "((?:[^"\\]|\\.)*)"(?: !"?([^"\n]*)"?:(\d+):(\d+))?', re.M)
_BFUNCTION = re.compile(r"^bfn @(\S+?)[\[(]", re.M)

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 62em; padding: 0 1em;
       color: #222; background: #fff }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .2em .8em .2em 0; border-bottom: 1px solid #ddd;
         vertical-align: top }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
code { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere }
.bar { background: #5b8def; height: .7em; display: inline-block }
.in { padding-left: 1.5em }
"""

Cell = str | int


def report(made: Compilation) -> str:
    """The page. It needs nothing else: no script, no other file."""
    m = made.artifact.manifest
    body = [
        f"<h1>{escape(m.name)}</h1>",
        _facts(m),
        *_section("Stages", _stages(made.times)),
        *_section("Entries", _table(("entry", "arena", "bytes"), _entries(m))),
        *_section("Files", _table(("role", "bytes"), _files(made))),
        *_section("Weights", _weights(m)),
        *_section("Remarks", _table(("function", "what", "where"), _remarks(made))),
        *_section("Functions and kernels", _table(("function", "instructions"), _functions(made))),
        *_section("Warnings", _table(("warning",), ([w.message] for w in made.warnings))),
    ]
    head = f'<meta charset="utf-8"><title>{escape(m.name)}</title><style>{_STYLE}</style>'
    return (
        f"<!doctype html>\n<html lang=en><head>{head}</head><body>\n{_joined(body)}</body></html>\n"
    )


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _section(title: str, content: str) -> Iterator[str]:
    if content:
        yield f"<h2>{title}</h2>"
        yield content


def _facts(m: Manifest) -> str:
    words = [f"dlc {m.dlc}", f"target {m.kind}"]
    if m.machine is not None:
        words.append(f"{m.machine.triple} {m.machine.cpu}")
    options = dict(m.options)
    words += [f"{d} = {n}" for d, n in dict(options.pop("bind", {})).items()]
    words += [f"{k} {v}" for k, v in options.items() if v not in (None, False)]
    return f"<p>{escape(' · '.join(map(str, words)))}</p>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A table; numbers at the right. Nothing without rows."""
    lines = [f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows]
    if not lines:
        return ""
    head = "".join(f"<th>{h}</th>" for h in heads)
    return f"<table><tr>{head}</tr>\n{_joined(lines)}</table>"


def _cell(x: Cell) -> str:
    if isinstance(x, int):
        return f'<td class="n">{x:,}</td>'
    return f"<td><code>{escape(x)}</code></td>"


def _stages(times: Sequence[StageTime]) -> str:
    whole = sum(t.seconds for t in times) or 1.0
    rows = [_stage(t, whole, "") + "".join(_stage(i, whole, "in") for i in t.inside) for t in times]
    return f"<table>{_joined(rows)}</table><p>{whole:.2f} s together</p>"


def _stage(t: StageTime, whole: float, kind: str) -> str:
    width = 100 * t.seconds / whole
    bar = f'<span class="bar" style="width: {width:.1f}%"></span>'
    name = f'<td class="{kind}"><code>{escape(t.name)}</code></td>'
    return f'<tr>{name}<td class="n">{t.seconds * 1e3:.1f} ms</td><td width="60%">{bar}</td></tr>'


def _entries(m: Manifest) -> Iterator[list[Cell]]:
    for e in m.interface.entries:
        need = m.memory.get(e.name, Memory("unknown"))
        told = need.formula or need.reason or ""
        bytes_: Cell = told if need.bytes is None else need.bytes
        yield [signature(e), need.kind, bytes_]


def _files(made: Compilation) -> Iterator[list[Cell]]:
    for role, data in made.artifact.contents.items():
        yield [role, len(data)]


def _weights(m: Manifest) -> str:
    layout = m.layout
    rows: list[list[Cell]] = []
    for w in layout.weights:
        row: list[Cell] = [w.name, f"{w.dtype.name}[{', '.join(map(str, w.shape))}]"]
        if m.dims is not None:
            count = w.dtype.bytes
            for n in w.shape_at(m.dims):
                count *= n
            row.append(count)
        rows.append(row)
    return _table(("weight", "type", *(["bytes"] if m.dims is not None else [])), rows)


def _remarks(made: Compilation) -> Iterator[list[Cell]]:
    """What the bufferiser remarks: copies that stayed, heaps that grow."""
    text = made.dumps.get("bufferise", "")
    starts = [(f.start(), f[1]) for f in _BFUNCTION.finditer(text)]
    for r in _REMARK.finditer(text):
        name = next((n for at, n in reversed(starts) if at < r.start()), "")
        where = f"{r[2]}:{r[3]}:{r[4]}" if r[3] else ""
        yield [name, r[1], where]


def _functions(made: Compilation) -> list[list[Cell]]:
    """LLVM's instructions after optimisation, the largest functions first."""
    text = made.dumps.get("llvm-optimised", "")
    found: list[list[Cell]] = []
    for f in _FUNCTION.finditer(text):
        count = sum(line.startswith("  ") for line in f[3].splitlines())
        found.append([f[2], count])
    return sorted(found, key=lambda row: (-int(row[1]), str(row[0])))
