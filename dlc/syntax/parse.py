"""From source to tree: `parse(source)`.

    text -> tokens in segments, one per item (lexer) -> LALR(1) machine (table) -> nodes
    (build_item)

Nothing here recurses, so no source can exhaust the stack; what nests deeper than 256 is an error.
"""

from __future__ import annotations

import functools
from pathlib import Path

from dlc.diag import CompileError, Diagnostic, SourceFile, Span, error
from dlc.syntax import tree
from dlc.syntax.build_item import ItemBuilder
from dlc.syntax.expect import explain
from dlc.syntax.lexer import MAX_DEPTH, MAX_ERRORS, Lexer, Scanner, Segment, too_deep
from dlc.syntax.table import Action, Table, TooDeep, Unexpected, load_table, run

MAX_BYTES = 8 * 1024 * 1024
"""The largest source."""

_DEEPER = frozenset(
    (
        "suite match_ typedef call index attr slice negate binary range_ compare not_ and_ or_ "
        "if_expr lambda_ paren tuple_ list_ type_args type_tuple type_fn"
    ).split()
)
"""Actions that make a level of nesting."""


def read_source(path: str | Path, name: str | None = None) -> SourceFile:
    """The text of a file. `name` is what diagnostics call it; by default the path as given.

    Raises CompileError: E0901 (cannot be read), E0117 (larger than 8 MiB), E0118 (not UTF-8).
    """
    shown = str(path) if name is None else name
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise CompileError(error("E0901", f'cannot read "{shown}": {reason}')) from None
    return decode_source(shown, data)


def decode_source(name: str, data: bytes) -> SourceFile:
    """A source from the bytes of a file. Raises CompileError: E0117, E0118."""
    if len(data) > MAX_BYTES:
        found = error("E0117", f'"{name}" is larger than 8 MiB')
        raise CompileError(found.with_help("split it into modules, and import them"))
    try:
        return SourceFile(name, data.decode("utf-8"))
    except UnicodeDecodeError as problem:
        start = len(data[: problem.start].decode("utf-8"))
        source = SourceFile(name, data.decode("utf-8", "replace"))
        place = source.span(start, start + 1)
        found = error("E0118", f"this is not UTF-8: byte 0x{data[problem.start]:02x}", place)
        raise CompileError(found.with_help("save the file as UTF-8")) from None


def parse(source: SourceFile, *, allow_builtin: bool = False) -> tree.Module:
    """The tree of a source. `allow_builtin`: this is the prelude, which may declare `builtin fn`.

    Raises CompileError with every syntax error found (E01xx): at most one for each item, and at
    most 20."""
    if len(source.text) > MAX_BYTES:
        raise CompileError(error("E0117", f'"{source.name}" is larger than 8 MiB'))
    table = load_table()
    lexer = Lexer(source, _scanner())
    errors: list[Diagnostic] = []
    builder = ItemBuilder(source)
    actions = _actions(table, builder)
    items: list[tree.Item] = []
    for segment in lexer.segments():
        if segment.is_broken or len(errors) >= MAX_ERRORS:
            continue
        before = len(builder.errors)
        found = _parse_item(table, actions, segment, source)
        if isinstance(found, Diagnostic):
            errors.append(found)
            del builder.errors[before:]
            builder.forget_outside()
            continue
        builder.report_outside()
        errors += builder.errors[before:]
        if isinstance(found, tree.FnDef) and found.is_builtin and not allow_builtin:
            errors.append(_builtin_outside(found))
        items.append(found)
    errors += lexer.errors
    if errors:
        errors.sort(key=lambda d: d.primary.span.start if d.primary else -1)
        raise CompileError(errors[:MAX_ERRORS])
    whole = Span(source, 0, len(source.text))
    return tree.Module(
        source, tuple(items), tuple(lexer.comments), tuple(builder.parens), span=whole
    )


def _parse_item(
    table: Table, actions: dict[str, Action], segment: Segment, source: SourceFile
) -> tree.Item | Diagnostic:
    try:
        return run(table, segment.tokens, actions, _DEEPER, MAX_DEPTH)
    except Unexpected as problem:
        return explain(problem, segment.tokens, source)
    except TooDeep as problem:
        return too_deep(Span(source, problem.start, min(problem.start + 1, problem.end)))


def _builtin_outside(fn: tree.FnDef) -> Diagnostic:
    place = Span(fn.span.source, fn.span.start, fn.name.span.end)
    found = error("E0119", "only the prelude declares builtin functions", place)
    return found.with_help(f"write a body: `fn {fn.name.text}(…) -> …:`")


@functools.cache
def _scanner() -> Scanner:
    return Scanner(load_table().terminals)


def _actions(table: Table, builder: ItemBuilder) -> dict[str, Action]:
    names = sorted({rule.action for rule in table.rules if rule.action})
    return {name: getattr(builder, name) for name in names}
