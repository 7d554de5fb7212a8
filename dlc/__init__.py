"""dlc: a compiler for networks that change shape with every input."""
