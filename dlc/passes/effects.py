"""What an operation may do besides giving results: fail, or not end."""

from __future__ import annotations

from collections.abc import Mapping

from dlc.ir.core import Module, Op, Region, walk
from dlc.ops.registry import card_of

STRUCTURED = frozenset("if match for loop map call yield return value_and_grad vjp jvp".split())


class Effects:
    """Which functions and operations of a module may fail. A failing operation keeps its place: it
    is not removed when unused, not hoisted out of a branch or a loop."""

    def __init__(self, module: Module) -> None:
        self._may_fail: dict[str, bool] = dict.fromkeys(module.functions, False)
        changed = True
        while changed:
            changed = False
            for name, fn in module.functions.items():
                if not self._may_fail[name] and self._region_fails(fn.body):
                    self._may_fail[name] = changed = True

    def may_fail(self, op: Op) -> bool:
        """Whether this use can end the program with a status."""
        if op.name in ("yield", "return"):
            return False
        if op.name == "call" or op.name in ("value_and_grad", "vjp", "jvp"):
            return self._may_fail.get(op.attr_str("fn"), True)
        if op.name in STRUCTURED:
            return any(self._region_fails(r) for r in op.regions)
        return card_of(op.name).may_fail(op)

    def _region_fails(self, r: Region) -> bool:
        return any(self.may_fail(op) for op in r.ops)


def calls(module: Module) -> Mapping[str, tuple[str, ...]]:
    """For each function the functions that it names (calls and derivatives), each once, in
    order."""
    out: dict[str, tuple[str, ...]] = {}
    for name, fn in module.functions.items():
        named = [op.attr_str("fn") for op in walk(fn.body) if "fn" in op.attrs]
        rule = fn.attrs.get("vjp")
        if isinstance(rule, str):
            named.append(rule)
        out[name] = tuple(dict.fromkeys(named))
    return out
