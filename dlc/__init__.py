"""dlc: a compiler for networks that change shape with every input.

    net = dlc.compile("treelstm.dl", weights="sst.safetensors")
    Tree = net.types.Tree
    y = net.logits(Tree.Node(Tree.Leaf(3), Tree.Leaf(5)))

`compile` and `load` give a `Net`, whose entries are the exported functions of the program. Nothing
is imported before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlc.artifact.product import Artifact
    from dlc.artifact.python.codec import Some
    from dlc.artifact.python.errors import CallError
    from dlc.artifact.python.net import Net
    from dlc.artifact.python.params import Params
    from dlc.artifact.python.structures import Graph, Rows, Segs, Sparse
    from dlc.diag import CompileError
    from dlc.driver.python import build, compile, load

__version__ = "0.1.0"

_HOMES = {
    "Artifact": "dlc.artifact.product",
    "CallError": "dlc.artifact.python.errors",
    "CompileError": "dlc.diag",
    "Graph": "dlc.artifact.python.structures",
    "Net": "dlc.artifact.python.net",
    "Params": "dlc.artifact.python.params",
    "Rows": "dlc.artifact.python.structures",
    "Segs": "dlc.artifact.python.structures",
    "Some": "dlc.artifact.python.codec",
    "Sparse": "dlc.artifact.python.structures",
    "build": "dlc.driver.python",
    "compile": "dlc.driver.python",
    "load": "dlc.driver.python",
}

__all__ = [
    "Artifact",
    "CallError",
    "CompileError",
    "Graph",
    "Net",
    "Params",
    "Rows",
    "Segs",
    "Some",
    "Sparse",
    "build",
    "compile",
    "load",
]


def __getattr__(name: str) -> Any:
    import importlib

    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'dlc' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
