"""ONNX models as IR: one function, its weights, and the description of its border.

net = import_onnx(Path("model.onnx"), bind={"batch": 1})
net.module, net.interface, net.weights
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from dlc.diag import CompileError, Diagnostic, warning
from dlc.importers import schemas
from dlc.importers.emission import Emission, identifier
from dlc.importers.expansion import check_expansion
from dlc.importers.files import ExternalData, read_model
from dlc.importers.findings import Place
from dlc.importers.interface import MODEL, dims_of_results, hidden_values, interface_of
from dlc.importers.limits import Budget, Limits
from dlc.importers.messages import Array, Model
from dlc.importers.parsing import Parser
from dlc.importers.ports import Bind, Given, Inputs, Outputs, Structure, conflicts
from dlc.importers.refusal import Failed, Refusal, refuse
from dlc.importers.tensor_data import Decoder
from dlc.importers.walk import Around, Walk
from dlc.ir.core import Function, Module, Region, freeze_attrs, walk
from dlc.ops.build import Builder
from dlc.typesys.dims import Dim
from dlc.typesys.interface import Interface
from dlc.typesys.types import TensorType


@dataclass(frozen=True)
class Probed:
    """A value inside the model that is returned as well: its name in the main graph if it has one,
    the operator that gives it, and what it is."""

    name: str
    place: Place
    port: Structure


@dataclass(frozen=True)
class Imported:
    """A model as IR. The function takes the weights in the order of `weights` (named as in weight
    files: `m.conv1_weight`), then the inputs.

    `inputs` and `outputs` say what ONNX's users give and get. Run-time errors name a line: entry
    `line - 1` of `places` is the operator. `opsets` and `producer` are as in the file."""

    name: str
    module: Module
    function: str
    interface: Interface
    weights: Mapping[str, Array]
    inputs: tuple[Structure, ...]
    outputs: tuple[Structure, ...]
    places: tuple[Place, ...]
    warnings: tuple[Diagnostic, ...]
    opsets: Mapping[str, int]
    producer: str
    file: str
    probes: tuple[Probed, ...] = ()


def import_onnx(
    source: Path | bytes | memoryview,
    *,
    function: str = "main",
    bind: Bind | None = None,
    given: Mapping[str, Given] | None = None,
    limits: Limits | None = None,
    file: str | None = None,
    probing: bool = False,
) -> Imported:
    """The model of a file, or of its bytes (then without data outside of it).

    `bind` gives dims of the file numbers, or makes them equal to others. `given` says what the file
    leaves open of its inputs. With `probing` the function returns, behind the outputs, the values
    of `probes`. Raises CompileError (E07xx, E0901) with everything that was found."""
    limits = limits or Limits()
    folder = source.parent if isinstance(source, Path) else None
    shown = file or (str(source) if isinstance(source, Path) else "model")
    try:
        data = read_model(source, limits) if isinstance(source, Path) else memoryview(source)
        if len(data) > limits.model_bytes:
            raise refuse("E0702", f"the model has {len(data)} bytes")
        budget = Budget(limits)
        model = Parser(budget).model(data)
        decoder = Decoder(ExternalData(folder, limits), limits)
        return _import(model, decoder, budget, function, bind or {}, given or {}, shown, probing)
    except Refusal as found:
        raise found.in_file(shown) from None
    except RecursionError:
        raise refuse("E0702", "the model is nested too deeply").in_file(shown) from None


def _import(
    model: Model, decoder: Decoder, budget: Budget, function: str, bind: Bind,
    given: Mapping[str, Given], file: str, probing: bool,
) -> Imported:  # fmt: skip
    from dlc.importers.operators import TABLE

    _check_opsets(model)
    e = Emission(budget, function)
    ins = Inputs(e, bind, given)
    items, inputs = ins.make(model.graph)
    walk = Walk(e, decoder, model.functions, TABLE, file, probing)
    check_expansion(model.graph, walk.functions, budget.limits.nodes)
    around = Around(model.opsets, "main")
    made = walk.graph(model.graph, items, around)
    if not walk.findings.is_empty:
        raise walk.findings.error()
    outs = Outputs(e)
    declared = list(zip(model.graph.outputs, made, strict=True))
    warnings: list[Diagnostic] = []
    try:
        outputs = tuple(outs.structure(v.name, x) for v, x in declared)
    except Failed:
        raise walk.findings.error() from None
    for v, x in declared:
        for text in conflicts(v, x):
            warnings.append(warning("E0713", f"{file}: the output `{v.name}`: {text}"))
    probed = tuple(outs.structure(p.name, p.tensor) for p in walk.probes)
    fn = _function(e, function, ins, outs)
    name = identifier(Path(file).stem)
    interface = interface_of(name, file, fn, e.weights, inputs, (*outputs, *probed))
    return Imported(
        name, Module.of({}, {function: fn, **e.functions}), function, interface,
        MappingProxyType({f"{MODEL}.{w.name}": w.data for w in e.weights}), inputs, outputs,
        tuple(walk.places), tuple(warnings), model.opsets, model.producer, file,
        tuple(Probed(p.name, p.place, s) for p, s in zip(walk.probes, probed, strict=True)),
    )  # fmt: skip


def _check_opsets(model: Model) -> None:
    """Raises E0705 for operator sets that are newer than what is known."""
    version = model.opsets.get("")
    if not model.opsets and model.ir_version >= 3:
        raise refuse("E0705", "the model doesn't say which operator sets it uses")
    if version is not None and not schemas.OLDEST <= version <= schemas.NEWEST:
        raise refuse(
            "E0705",
            f"operator set {version} is not known; {schemas.OLDEST} to {schemas.NEWEST} are",
        ).with_help("convert the model to an operator set that is known")


def _function(e: Emission, name: str, ins: Inputs, outs: Outputs) -> Function:
    b = e.frames[0].builder
    types: list[TensorType] = [v.tensor for v in outs.values]
    dims = tuple(ins.dims)
    hidden = dims_of_results(dims, types)
    region = b.return_(*outs.values, dims=hidden_values(hidden))
    checks = _assumptions(e)
    region = Region((), (*checks.ops, *region.ops), region.dims)
    used = {v for op in walk(region) for v in op.operands}
    e.weights = [w for w in e.weights if w.value in used]
    params = (*(w.value for w in e.weights), *ins.params)
    attrs = freeze_attrs({"entry": True, "public": True})
    return Function(name, dims, params, tuple(types), region, hidden, attrs)


def _assumptions(e: Emission) -> Builder:
    """Checks of what was taken for granted of the inputs' dims."""
    b = Builder({}, e.names)
    for name in e.reason.assumed:
        d = b.dim(Dim.sym(name))
        one = b.scalar(1, d.tensor.dtype)
        b.emit_many("assert", b.emit("ge", d, one), message=f"the dim {name} is at least 1")
    return b


__all__ = ["CompileError", "Given", "Imported", "import_onnx"]
