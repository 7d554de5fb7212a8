"""The Tree-LSTM once more, by hand in numpy: Tai, Socher and Manning 2015, the binary form.

Nothing of the compiler is used here; the demo compares the compiled program with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from demo.trees import Tree

Array = np.ndarray[Any, Any]


def _sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def logits(w: dict[str, Array], tree: Tree) -> Array:
    """`wo @ h(root)`, from weights by name (`emb wl bl wn bn wo`), with an explicit stack."""
    done: list[tuple[Array, Array]] = []
    work: list[tuple[Tree, bool]] = [(tree, False)]
    while work:
        t, seen = work.pop()
        if isinstance(t, int):
            i, o, u = np.split(w["wl"] @ w["emb"][t] + w["bl"], 3)
            c = _sigmoid(i) * np.tanh(u)
            done.append((_sigmoid(o) * np.tanh(c), c))
        elif not seen:
            work += [(t, True), (t[1], False), (t[0], False)]
        else:
            (hr, cr), (hl, cl) = done.pop(), done.pop()
            i, fl, fr, o, u = np.split(w["wn"] @ np.concatenate([hl, hr]) + w["bn"], 5)
            c = _sigmoid(i) * np.tanh(u) + _sigmoid(fl) * cl + _sigmoid(fr) * cr
            done.append((_sigmoid(o) * np.tanh(c), c))
    return w["wo"] @ done[0][0]
