"""Names that a dl text can have."""

from __future__ import annotations

from dlc.importers.emission import identifier
from dlc.typesys.dtypes import DTYPES

KEYWORDS = frozenset(
    "and as assert break builtin const continue elif else export false fn for from if import in "
    "match model mut not or return static test true type while None Some".split()
)
WORDS = frozenset(
    "abs acos acosh all any argmax argmin asin asinh atan atan2 atanh ceil clamp concat conv1d "
    "conv2d conv3d cos cosh cumsum dense diag dot einsum elu erf exp expm1 eye fill floor fold "
    "gelu grad init iota is_finite is_inf is_nan key leaky_relu len log log1p log_softmax "
    "logsumexp map max max_pool1d max_pool2d max_pool3d maximum mean mean_pool1d mean_pool2d "
    "mean_pool3d min minimum nonzero nonzero_indices norm normal one_hot ones outer pad prod push "
    "relu reshape reverse round rsqrt scan scatter_add scatter_max sigmoid sign silu sin sinh "
    "softmax softplus sort sparse split sqrt stop_grad sum take tan tanh tile top_k total "
    "transpose trunc uniform where zeros List Option Array Graph Segs Sparse Rows Key Keys".split()
)
"""Builtins, which a name of the program would hide."""
LONGEST = 40


class Names:
    """Names in one scope, each given once."""

    def __init__(self) -> None:
        self._taken: set[str] = {*KEYWORDS, *WORDS, *DTYPES}

    def fresh(self, hint: str) -> str:
        """The name that the hint suggests, with a number where it is taken."""
        base = identifier(hint).strip("_")[:LONGEST].rstrip("_") or "v"
        base = base if not base[0].isdigit() else f"v{base}"
        name, n = base, 1
        while name in self._taken:
            n += 1
            name = f"{base}_{n}"
        self._taken.add(name)
        return name
