"""`python -m bench NAME …`: one measurement; without a name, what needs no peers."""

from __future__ import annotations

import importlib
import sys

NAMES = {
    "kernels": "GFLOP/s of the kernels beside numpy",
    "treelstm": "microseconds per tree beside the peers",
    "networks": "microseconds per call of dynamic networks beside the peers",
    "onnx": "milliseconds per call of ONNX models beside ONNX Runtime",
    "training": "a Tree-LSTM's training step and energy inference beside the peers",
    "calls": "microseconds of a call besides its work; the arena that calls say they need",
    "sparrow": "cycles and joules on the modelled accelerator beside the dense twins",
    "compiling": "seconds of every stage, size of objects, start of the command",
}


def main() -> int:
    args = sys.argv[1:]
    if args and args[0] not in NAMES:
        print("\n".join(f"{n:10} {line}" for n, line in NAMES.items()))
        return 2
    name, rest = (args[0], args[1:]) if args else ("compiling", [])
    module = importlib.import_module(f"bench.{name}")
    module.main(rest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
