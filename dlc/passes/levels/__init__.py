"""Level batching: recursion down a structure becomes loops over its levels, all nodes of a level at
once."""

from dlc.passes.levels.level import batch_levels

__all__ = ["batch_levels"]
