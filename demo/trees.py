"""Real trees: the functions of Python's own standard library, parsed with `ast` and made binary.

A function's tree has its syntax in its shape and words at its leaves (kinds of node, and
identifiers that are frequent enough). Which of eight packages a function comes from is the class.
Files, not functions, are held out, so nothing of a test file has been seen in training.
"""

from __future__ import annotations

import ast
import hashlib
import sysconfig
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGES = (
    "asyncio",
    "email",
    "unittest",
    "multiprocessing",
    "xml",
    "importlib",
    "encodings",
    "urllib",
)
"""Packages that every CPython from 3.11 on has as source."""

UNKNOWN = 0
LARGEST = 120
"""Leaves of the largest tree that is kept; larger functions are left out."""
SMALLEST = 8

Tree = int | tuple["Tree", "Tree"]
"""A word's number, or a pair of trees."""
Named = str | tuple["Named", "Named"]


@dataclass(frozen=True)
class Sample:
    """One function: its tree, its class, and the file that it comes from."""

    tree: Tree
    label: int
    file: str


@dataclass(frozen=True)
class Data:
    """Samples to train on and samples of other files; `words[k]` is the word of number k."""

    train: list[Sample]
    held_out: list[Sample]
    words: list[str]


def load(words: int = 1000, most: int = 320) -> Data:
    """The functions of the eight packages, at most `most` of each for training and a quarter of
    that held out; the split is by file and always alike."""
    root = Path(sysconfig.get_paths()["stdlib"])
    train: list[tuple[Named, int, str]] = []
    held: list[tuple[Named, int, str]] = []
    for label, package in enumerate(PACKAGES):
        far, near = _split(root, package)
        train += [(t, label, f) for t, f in near[:most]]
        held += [(t, label, f) for t, f in far[: most // 4]]
    counts: Counter[str] = Counter()
    for t, _, _ in train:
        counts.update(leaves(t))
    known = [w for w, _ in sorted(counts.items(), key=lambda x: (-x[1], x[0]))[: words - 1]]
    number = {w: k + 1 for k, w in enumerate(known)}

    def samples(rows: list[tuple[Named, int, str]]) -> list[Sample]:
        return [Sample(_numbered(t, number), label, f) for t, label, f in rows]

    return Data(samples(train), samples(held), ["?", *known])


def _split(root: Path, package: str) -> tuple[list[tuple[Named, str]], list[tuple[Named, str]]]:
    """A package's functions, held out and not: whole files are held out, in the order of a hash of
    their names, until they have a fifth of the functions (a file with over a third of them is never
    taken)."""
    files: list[tuple[str, list[Named]]] = []
    for path in sorted((root / package).rglob("*.py")):
        if "test" in path.relative_to(root).parts:
            continue
        name = path.relative_to(root).as_posix()
        files.append((name, [t for t in functions(path) if SMALLEST <= size(t) <= LARGEST]))
    files.sort(key=lambda f: _share(f[0]))
    total = sum(len(ts) for _, ts in files)
    far: list[tuple[Named, str]] = []
    near: list[tuple[Named, str]] = []
    for name, ts in files:
        out = len(far) < total / 5 and len(ts) <= total / 3
        (far if out else near).extend((t, name) for t in ts)
    # Spread over files, in case only some are taken.
    far.sort(key=lambda x: _share(f"{x[1]} {x[0]}"))
    near.sort(key=lambda x: _share(f"{x[1]} {x[0]}"))
    return far, near


def functions(path: Path) -> Iterator[Named]:
    """The tree of every function in a file."""
    try:
        module = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return
    for node in ast.walk(module):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield binary(node)


def binary(node: ast.AST) -> Named:
    """`Node(kind, Node(child 1, Node(child 2, …)))`: a kind of node, then its children, folded from
    the right.

    Without recursion over long statement lists: children are folded in a loop."""
    parts: list[Named] = [type(node).__name__]
    parts += [f"={w}" for w in _words(node)]
    parts += [binary(c) for c in ast.iter_child_nodes(node) if not _is_noise(c)]
    tree = parts[-1]
    for p in reversed(parts[:-1]):
        tree = (p, tree)
    return tree


def _words(node: ast.AST) -> Iterator[str]:
    """Identifiers and short literals that stand at the node itself."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.keyword) and node.arg:
        yield node.arg
    elif isinstance(node, ast.Constant):
        yield type(node.value).__name__


def _is_noise(node: ast.AST) -> bool:
    """Load and Store contexts and documentation strings say nothing about structure."""
    if isinstance(node, ast.expr_context):
        return True
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def leaves(t: Named) -> Iterator[str]:
    """The words of a tree, left to right."""
    work: list[Named] = [t]
    while work:
        x = work.pop()
        if isinstance(x, str):
            yield x
        else:
            work += [x[1], x[0]]


def size(t: Named) -> int:
    """Number of leaves."""
    return sum(1 for _ in leaves(t))


def _numbered(t: Named, number: dict[str, int]) -> Tree:
    if isinstance(t, str):
        return number.get(t, UNKNOWN)
    return (_numbered(t[0], number), _numbered(t[1], number))


def _share(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32


def flat(t: Tree) -> tuple[list[int], list[int], list[int]]:
    """The tree in post-order: a tag per node (0 leaf, 1 inner), the inner nodes' children as node
    numbers, and the leaves' words. What the compiled program reads."""
    tags: list[int] = []
    children: list[int] = []
    words: list[int] = []
    work: list[tuple[Tree, bool]] = [(t, False)]
    done: list[int] = []
    while work:
        x, seen = work.pop()
        if isinstance(x, int):
            done.append(len(tags))
            tags.append(0)
            words.append(x)
        elif not seen:
            work += [(x, True), (x[1], False), (x[0], False)]
        else:
            right, left = done.pop(), done.pop()
            done.append(len(tags))
            tags.append(1)
            children += [left, right]
    return tags, children, words


def size_of(t: Tree) -> int:
    """Number of leaves of a numbered tree."""
    work, n = [t], 0
    while work:
        x = work.pop()
        if isinstance(x, int):
            n += 1
        else:
            work += [x[0], x[1]]
    return n
