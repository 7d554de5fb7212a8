"""The whole verifier: the structural rules of `dlc.ir`, and every card's type rule run again."""

from __future__ import annotations

from dlc.ir.core import Module, Op
from dlc.ir.verify import Problem, VerifyError, problems_of
from dlc.ops.card import CardError, site_of
from dlc.ops.registry import CARDS
from dlc.typesys.dims import DimError
from dlc.typesys.types import AdtType


def problems(m: Module) -> list[Problem]:
    """Everything that is wrong with the module, in order of its text."""
    return problems_of(m, lambda op: _wrong(m, op))


def verify(m: Module, stage: str = "verify") -> Module:
    """The module itself, if it is valid. Raises VerifyError, which names the stage that made it."""
    found = problems(m)
    if found:
        raise VerifyError(found, stage)
    return m


def _wrong(m: Module, op: Op) -> str | None:
    card = CARDS.get(op.name)
    if card is None:
        return f"no operation is named `{op.name}`"
    try:
        want = card.result_types(site_of(op))
    except (CardError, DimError) as e:
        return str(e)
    got = tuple(v.type for v in op.results)
    if want != got:
        return f"gives ({', '.join(map(str, want))}), not ({', '.join(map(str, got))})"
    return _variant(m, op) if op.name == "variant" else None


def _variant(m: Module, op: Op) -> str | None:
    """Whether the fields are those of the declaration."""
    t, name, dims = op.result.type, op.attr_str("constructor"), op.attr_dims()
    assert isinstance(t, AdtType)
    decl = m.types.get(t.name)
    c = next((c for c in decl.constructors if c.name == name), None) if decl else None
    if decl is None or c is None or len(decl.dims) != len(t.dims):
        return f"{t} has no constructor {name}"
    if len(dims) != len(c.dims):
        return f"{name} has {len(c.dims)} hidden dims, not {len(dims)}"
    want = decl.field_types(t, name, dims)
    got = tuple(v.type for v in op.operands)
    if want != got:
        return (
            f"{name} has the fields ({', '.join(map(str, want))}), not ({', '.join(map(str, got))})"
        )
    return None
