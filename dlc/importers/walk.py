"""The walk over a model's graphs: every needed operator, in order, through its rule."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from dlc.importers import schemas
from dlc.importers.call import Call, Operator
from dlc.importers.elements import Element
from dlc.importers.emission import Emission, identifier
from dlc.importers.expansion import Key
from dlc.importers.findings import Findings, Place
from dlc.importers.messages import (
    Attribute,
    FunctionBody,
    Graph,
    Node,
    TensorData,
    TypeInfo,
)
from dlc.importers.operators.sparse import sparse_tensor
from dlc.importers.refusal import Failed, Refusal, refuse
from dlc.importers.scope import Scope, Uses, needed_order, producers
from dlc.importers.tensor import FAILED, OMITTED, Item, Nothing, Tensor
from dlc.importers.tensor_data import Decoder
from dlc.ir.core import Loc
from dlc.ops.build import BuildError
from dlc.typesys.dims import DimError


def _no_attributes() -> Mapping[str, Attribute]:
    return MappingProxyType({})


@dataclass(frozen=True)
class Around:
    """What holds inside one graph or function: operator sets, the attributes of the function, the
    functions that are being inlined, the path."""

    opsets: Mapping[str, int]
    path: str
    attributes: Mapping[str, Attribute] = field(default_factory=_no_attributes)
    open: tuple[Key, ...] = ()
    depth: int = 0


@dataclass(frozen=True)
class Probe:
    """A value that an operator gives: its name if it is one of the main graph, and the operator."""

    name: str
    place: Place
    tensor: Tensor


class Walk:
    """One import. With `probing`, `probes` are the values of all operators outside of branches and
    loops."""

    def __init__(
        self,
        e: Emission,
        decoder: Decoder,
        functions: Sequence[FunctionBody],
        operators: Mapping[tuple[str, str], tuple[Operator, ...]],
        file: str,
        probing: bool = False,
    ) -> None:
        self.e, self.decoder, self.operators = e, decoder, operators
        self.findings = Findings(file)
        self.functions: dict[Key, FunctionBody] = {}
        for f in functions:
            key = (f.domain, f.name, f.overload)
            if key in self.functions:
                raise refuse("E0706", f"the function `{f.name}` is defined twice")
            self.functions[key] = f
        self.uses = Uses()
        self.places: list[Place] = []
        self.file = file
        self.probing = probing
        self.probes: list[Probe] = []

    # -- graphs

    def graph(
        self, g: Graph, inputs: Sequence[Item], around: Around, outer: Scope | None = None
    ) -> tuple[Item, ...]:
        """The graph's outputs for these inputs, in the region that is open."""
        scope = Scope(outer)
        stored = self._store(g, scope)
        given = [v.name for v in g.inputs if v.name not in stored] if outer is None else None
        names = given if given is not None else [v.name for v in g.inputs]
        if len(names) != len(inputs):
            raise refuse("E0706", f"the graph at {around.path} takes {len(names)} inputs, it is "
                         f"given {len(inputs)}")  # fmt: skip
        if len(set(names)) != len(names):
            raise refuse("E0706", f"two inputs of the graph at {around.path} have one name")
        scope.items.update(zip(names, inputs, strict=True))
        taken = [*names, *stored]
        return self._run(g.nodes, [v.name for v in g.outputs], scope, taken, around)

    def _store(self, g: Graph, scope: Scope) -> list[str]:
        for t in g.initialisers:
            if not t.name:
                raise refuse("E0706", "an initialiser without a name")
            if t.name in scope.stored:
                raise refuse("E0706", f"the initialiser `{t.name}` is given twice")
            scope.stored[t.name] = t
        for s in g.sparse:
            scope.items[s.values.name] = sparse_tensor(self.e, self.decoder, s)
        return [*scope.stored, *scope.items]

    def _run(
        self,
        nodes: Sequence[Node],
        outputs: Sequence[str],
        scope: Scope,
        taken: Sequence[str],
        around: Around,
    ) -> tuple[Item, ...]:
        self.e.budget.check_depth(around.depth, "graphs and functions")
        scope.nodes = nodes
        makers = producers(nodes, taken)
        for i in needed_order(nodes, makers, outputs, self.uses):
            self._node(nodes[i], i, scope, around)
        return tuple(self._find(n, scope, around) for n in outputs)

    def rerun(
        self, nodes: Sequence[Node], wanted: str, scope: Scope, taken: Sequence[str], around: Around
    ) -> tuple[Item, ...]:
        """One value of the nodes, in a scope where what is `taken` is there."""
        return self._run(nodes, [wanted], scope, taken, around)

    def _find(self, name: str, scope: Scope, around: Around) -> Item:
        found = scope.find(name)
        if found is None:
            raise refuse("E0706", f"there is no value `{name}` at {around.path}")
        if not isinstance(found, TensorData):
            return found
        element, numbers = self.decoder.tensor(found)
        t = self.e.array(numbers, element, name)
        t = replace(t, is_parameter=element.is_float and t.rank > 0)
        scope.keep(name, t)
        return t

    # -- operators

    def _node(self, node: Node, number: int, scope: Scope, around: Around) -> None:
        self.e.budget.take_node()
        place = Place(f"{around.path}/{node.op}_{number}", node.name, node.op, node.domain, 0)
        outputs: tuple[Item, ...] = (FAILED,) * len(node.outputs)
        try:
            outputs = self._outputs(node, place, scope, around)
        except Failed:
            pass
        except Refusal as found:
            if found.found.code == "E0702":
                raise
            self.findings.add(found, self._versioned(node, place, around))
        except (BuildError, DimError) as e:
            place = self._versioned(node, place, around)
            self.findings.add(refuse("E0707", f"it cannot be applied here: {e}"), place)
        for name, x in zip(node.outputs, outputs, strict=False):
            if name:
                scope.items[name] = x
                self._name(name, x, node, place, around)

    def _name(self, name: str, x: Item, node: Node, place: Place, around: Around) -> None:
        """Lets the IR value have the file's name, and keeps it if values are asked for."""
        if not isinstance(x, Tensor) or x.value is None:
            return
        x.value.suggest(readable(name))
        if self.probing and len(self.e.frames) == 1:
            shown = name if around.path == "main" else ""
            self.probes.append(Probe(shown, self._versioned(node, place, around), x))

    def _versioned(self, node: Node, place: Place, around: Around) -> Place:
        opset = around.opsets.get(node.domain, 0)
        s = schemas.schema_of(node.domain, node.op, opset)
        return replace(place, version=s.version if s else opset)

    def _outputs(self, node: Node, place: Place, scope: Scope, around: Around) -> tuple[Item, ...]:
        inputs = tuple(OMITTED if not n else self._find(n, scope, around) for n in node.inputs)
        failed: tuple[Item, ...] = (FAILED,) * len(node.outputs)
        # What depends on something that failed is still looked at: all that is missing is told.
        broken = any(isinstance(x, Nothing) and x.failed for x in inputs)
        node = _bound(node, around.attributes)
        f = self.functions.get((node.domain, node.op, node.overload))
        if f is not None:
            return self._function(f, node, inputs, place, around)
        opset = self._opset(node, around)
        schema = schemas.schema_of(node.domain, node.op, opset)
        place = replace(place, version=schema.version if schema else opset)
        attributes = node.attributes
        if schema is not None:
            schemas.check_counts(schema, node)
            attributes = schemas.checked_attributes(schema, node)
            if not broken:
                schemas.check_types(schema, [_type_name(x) for x in inputs])
        rule, why = self._rule(node, schema, place.version)
        if rule is None:
            self.findings.add_missing(place, why)
        if rule is None or broken:
            self._survey(attributes, scope, replace(around, path=place.path))
            return failed
        self.places.append(place)
        self.e.locate(Loc(self.file, len(self.places), 1))
        inside = _Inside(self, scope, replace(around, path=place.path, depth=around.depth + 1))
        call = Call(self.e, inside, node, place.version, inputs, attributes)
        try:
            made = rule.rule(call)
        except Failed:
            self._survey(attributes, scope, replace(around, path=place.path))
            raise
        return made if isinstance(made, tuple) else (made,)

    def _survey(self, attributes: Mapping[str, Attribute], scope: Scope, around: Around) -> None:
        """Looks at the graphs of an operator that is not imported, for what is missing in them."""
        inner = replace(around, depth=around.depth + 1)
        for name, a in attributes.items():
            for g in a.value if isinstance(a.value, tuple) else (a.value,):
                if isinstance(g, Graph):
                    label = name.removesuffix("_branch")
                    at = replace(inner, path=f"{around.path}.{label}")
                    self.graph(g, [FAILED] * len(g.inputs), at, scope)

    def _opset(self, node: Node, around: Around) -> int:
        opset = around.opsets.get(node.domain)
        if opset is None:
            known = ", ".join(d or "ai.onnx" for d in around.opsets)
            domain = node.domain or "ai.onnx"
            found = refuse("E0705", f"no version of `{domain}` is imported")
            raise found.with_help(f"the model imports {known or 'none'}")
        return opset

    def _rule(
        self, node: Node, schema: schemas.Schema | None, version: int
    ) -> tuple[Operator | None, str]:
        """The rule for the operator at this version, or None and the reason."""
        found = self.operators.get((node.domain, node.op), ())
        for rule in found:
            if version in rule.versions:
                return rule, ""
        if found:
            known = ", ".join(str(v) for r in found for v in r.versions)
            return None, f"supported versions: {known}"
        if schema is None and node.domain in ("", "ai.onnx.ml"):
            return None, "there is no such operator in this operator set"
        return None, "no rule"

    # -- functions

    def _function(
        self,
        f: FunctionBody,
        node: Node,
        inputs: Sequence[Item],
        place: Place,
        around: Around,
    ) -> tuple[Item, ...]:
        key = (f.domain, f.name, f.overload)
        if key in around.open:
            chain = " → ".join(k[1] for k in (*around.open, key))
            raise refuse("E0711", f"the function `{f.name}` calls itself: {chain}")
        if len(node.inputs) > len(f.inputs) or len(node.outputs) > len(f.outputs):
            raise refuse(
                "E0707", f"the function `{f.name}` has {len(f.inputs)} inputs and "
                f"{len(f.outputs)} outputs, not {len(node.inputs)} and {len(node.outputs)}",
            )  # fmt: skip
        opsets = {**around.opsets, **f.opsets}
        inner = Around(
            MappingProxyType(opsets), place.path, {**f.defaults, **node.attributes},
            (*around.open, key), around.depth + 1,
        )  # fmt: skip
        return self.body(f, inputs, inner, len(node.outputs))

    def body(
        self, f: FunctionBody, inputs: Sequence[Item], around: Around, wanted: int
    ) -> tuple[Item, ...]:
        """A function's outputs for these inputs, inlined."""
        scope = Scope()
        given = [*inputs, *[OMITTED] * (len(f.inputs) - len(inputs))]
        scope.items.update(zip(f.inputs, given, strict=True))
        return self._run(f.nodes, f.outputs[:wanted], scope, f.inputs, around)


@dataclass(frozen=True, eq=False)
class _Inside:
    """What a rule may ask of the walk: to import a graph that is an attribute of its operator."""

    walk: Walk
    scope: Scope
    around: Around

    @property
    def decoder(self) -> Decoder:
        return self.walk.decoder

    @property
    def opsets(self) -> Mapping[str, int]:
        return self.around.opsets

    def graph(self, g: Graph, inputs: Sequence[Item], label: str) -> tuple[Item, ...]:
        """The outputs of a graph for these inputs, in the open region. `label` names it in
        paths."""
        around = replace(self.around, path=f"{self.around.path}.{label}")
        out = self.walk.graph(g, inputs, around, self.scope)
        if any(isinstance(x, Nothing) and x.failed for x in out):
            raise Failed
        return out

    def again(self, names: Sequence[str], values: Sequence[Item], wanted: str) -> Item:
        """The value called `wanted` of the graph around, computed once more with these values for
        these names, in the open region."""
        scope = Scope(self.scope)
        scope.items.update(zip(names, values, strict=True))
        (out,) = self.walk.rerun(self.scope.nodes, wanted, scope, names, self.around)
        if isinstance(out, Nothing) and out.failed:
            raise Failed
        return out

    def function(
        self, f: FunctionBody, inputs: Sequence[Item], attributes: Mapping[str, Attribute],
        wanted: int,
    ) -> tuple[Item, ...]:  # fmt: skip
        """The outputs of a function that is the definition of an operator."""
        around = replace(
            self.around, opsets=MappingProxyType({**self.around.opsets, **f.opsets}),
            attributes=attributes,
        )  # fmt: skip
        return self.walk.body(f, inputs, around, wanted)


Inside = _Inside


def readable(name: str) -> str:
    """The last part of a value's name, without what exporters add: `Conv` of
    `/enc/conv1/Conv_output_0`."""
    parts = [p for p in re.split(r"[/;:]", name) if p and not p.isdigit()]
    return identifier(re.sub(r"_output_\d+$", "", parts[-1]) if parts else name)


def _bound(node: Node, given: Mapping[str, Attribute]) -> Node:
    """The node with attributes that refer to those of the function around it replaced; those
    that the function doesn't have are left out."""
    if not any(a.refers for a in node.attributes.values()):
        return node
    out: dict[str, Attribute] = {}
    for name, a in node.attributes.items():
        if not a.refers:
            out[name] = a
        elif a.refers in given:
            out[name] = replace(given[a.refers], name=name)
    return replace(node, attributes=MappingProxyType(out))


def _type_name(x: Item) -> str | None:
    """The type as ONNX writes it; None for what isn't compared."""
    return f"tensor({x.element})" if isinstance(x, Tensor) else None


def element_name(e: Element) -> str:
    return f"tensor({e})"


__all__ = ["Around", "Inside", "TypeInfo", "Walk"]
