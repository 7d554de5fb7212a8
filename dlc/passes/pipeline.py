"""The passes by name, and the order in which a compile runs them.

Autodiff stands between `BEFORE` and `AFTER`; the driver runs it, since it is no pass of this
folder.
"""

from __future__ import annotations

from dlc.passes.base import Pass
from dlc.passes.cse import eliminate_common_subexpressions
from dlc.passes.dce import eliminate_dead_code, prune
from dlc.passes.fold import fold_constants
from dlc.passes.gathers import sum_gathered_rows
from dlc.passes.inline import inline_calls
from dlc.passes.levels import batch_levels
from dlc.passes.licm import hoist_invariants
from dlc.passes.loops import canonicalise_loops
from dlc.passes.parts import narrow_products

INLINE = Pass("inline", "small and once-called functions into their callers", inline_calls)
FOLD = Pass("fold", "constants, decided branches, exact algebra", fold_constants)
CSE = Pass("cse", "equal operations once", eliminate_common_subexpressions)
DCE = Pass("dce", "what nobody uses", eliminate_dead_code)
PRUNE = Pass("prune", "functions and types that nothing public reaches", prune)
LICM = Pass("licm", "what a loop computes the same each turn", hoist_invariants)
LOOPS = Pass("loops", "unchanged carries, loops without turns, equal branches", canonicalise_loops)
LEVELS = Pass("levels", "recursion over structures level by level", batch_levels)
PARTS = Pass("parts", "products of which a part is needed, or known earlier", narrow_products)
GATHERS = Pass("gathers", "sums of gathered rows without copies of them", sum_gathered_rows)

PASSES: dict[str, Pass] = {
    p.name: p for p in (INLINE, FOLD, CSE, DCE, PRUNE, LICM, LOOPS, LEVELS, PARTS, GATHERS)
}

BEFORE_AUTODIFF: tuple[Pass, ...] = (
    PRUNE,
    FOLD,  # decided branches go before they are copied
    INLINE,
    PRUNE,  # what was inlined everywhere: the passes that follow need not see it
    FOLD,
    LOOPS,
    CSE,
    DCE,  # so that no gradient is made of what nobody uses
)

AFTER_AUTODIFF: tuple[Pass, ...] = (
    PRUNE,
    INLINE,  # forward and backward halves meet: residuals become plain values
    FOLD,
    LOOPS,
    CSE,
    LICM,
    CSE,  # what was hoisted from two loops
    DCE,
)

BATCHING: tuple[Pass, ...] = (
    LEVELS,  # after autodiff: a branch that is not taken must not reach a gradient
    PRUNE,
    FOLD,
    PARTS,
    CSE,
    LICM,
    GATHERS,  # last: a loop over events is no batch
    DCE,
)
"""What turns work on one node after another into work on many at once. It needs room in proportion
to the nodes, and reassociates sums."""
