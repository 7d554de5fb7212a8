"""dlc: a compiler for networks that change shape with every input.

    net = dlc.load(dlc.compile("treelstm.dl"))
    net.init(0, V=100, D=16, H=8, C=2)
    net.logits(net.types.Tree.Leaf(3))

Importing this is fast: the compiler is imported by the first call.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from dlc.artifact.product import Artifact
    from dlc.artifact.python.net import Net
    from dlc.artifact.python.structures import Graph, Rows, Segs, Sparse
    from dlc.artifact.weights.files import Source
    from dlc.diag import CompileError
    from dlc.driver.build import Compilation

__all__ = ["CompileError", "Graph", "Rows", "Segs", "Sparse", "compile", "load"]

_STRUCTURES = ("Graph", "Segs", "Sparse", "Rows")


def compile(
    source: str | os.PathLike[str],
    target: Literal["cpu", "evaluate"] = "cpu",
    *,
    bind: Mapping[str, int] | None = None,
    weights: Source | None = None,
    **options: Any,
) -> Compilation:
    """Compiles a program: a path, or the text itself (a string with a line break).

    `bind` gives numbers to dims (`{"m.V": 20000}`, `{"K": 8}`), `weights` a safetensors or npz file
    or a mapping of arrays. Further options are those of `dlc.driver.options.Options` (`level`,
    `debug`, `prefix`, `entries`, …). Raises CompileError with all that is wrong."""
    from dlc.driver.compile import compile_program
    from dlc.driver.options import Options

    o = Options(target=target, bind=tuple((bind or {}).items()), **options)
    return compile_program(source, o, weights=weights)


def load(what: Compilation | Artifact | str | os.PathLike[str]) -> Net:
    """A compiled program that can be called: of `dlc.compile`, or read from the files of one."""
    from dlc.artifact.load import read_artifact
    from dlc.artifact.product import Artifact
    from dlc.artifact.python.net import Net
    from dlc.driver.build import Compilation

    if isinstance(what, Compilation):
        return Net(what.artifact, params=what.params)
    return Net(what if isinstance(what, Artifact) else read_artifact(what))


def __getattr__(name: str) -> Any:
    if name in _STRUCTURES:
        from dlc.artifact.python import structures

        return getattr(structures, name)
    if name == "CompileError":
        from dlc.diag import CompileError

        return CompileError
    raise AttributeError(f"module 'dlc' has no attribute {name!r}")
