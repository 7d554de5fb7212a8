"""Which copy of a generic function: the key of an instance, and function values.

Only dims stay symbolic in an instance. Element types, ranks of `*S`, const numbers and texts,
functions and the structures bound to `[M: value]` are fixed by its key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dlc.syntax import tree
from dlc.typesys.dims import Dim
from dlc.typesys.dtypes import DType
from dlc.typesys.surface import Type, short

Static: TypeAlias = int | str | bool


@dataclass(frozen=True, slots=True)
class Named:
    """A function value that is a function of the program, by its qualified name."""

    name: str

    def __str__(self) -> str:
        return short(self.name)


@dataclass(frozen=True, slots=True)
class Closure:
    """A function value written as `fn(x) => e`, with what it mentions of the place where it stands.

    `captures` are the values it reads, as (name in the lambda, name of the parameter that brings it
    into the instance, type); `statics` are names whose value is known when compiling; `functions`
    are static function names; `sizes` says which captured whole numbers are known dims. `dims` maps
    a dim name of that place to the dim parameter that brings it in. `module` is where names of
    functions and types are looked up; `at` is printed in names of instances."""

    node: tree.Lambda
    module: str
    at: str
    captures: tuple[tuple[str, str, Type], ...] = ()
    dims: tuple[tuple[str, str], ...] = ()
    statics: tuple[tuple[str, Static], ...] = ()
    sizes: tuple[tuple[str, Dim], ...] = ()
    functions: tuple[tuple[str, FunctionValue], ...] = ()

    def __str__(self) -> str:
        return f"fn@{self.at}"


FunctionValue: TypeAlias = Named | Closure


@dataclass(frozen=True, slots=True)
class InstanceKey:
    """An instance of the function `function` (qualified), or of a lifted `lifted` lambda.

    `dtypes` by variable; `ranks` of each `*S`, whose dims are called `S.0`, `S.1`, …; `consts` by
    dim or parameter name (`K`, `m.H`, `stride`); `functions` by parameter; `structures` by value
    variable, with dims renamed to `M.H` (models, algebraic types) or `M.0`, `M.1`, …; `rows` lists
    the leaves of a parameter of type `Tangent[…]` that are stored as `Rows`. `where` are dims
    that are no parameters of this instance, because they follow from the dims that closures bring
    along (or are numbers): else a closure could not use what is known where it was written.
    `params` is used by lifted lambdas only: their types."""

    function: str
    dtypes: tuple[tuple[str, DType], ...] = ()
    ranks: tuple[tuple[str, int], ...] = ()
    consts: tuple[tuple[str, Static], ...] = ()
    functions: tuple[tuple[str, FunctionValue], ...] = ()
    structures: tuple[tuple[str, Type], ...] = ()
    rows: tuple[tuple[str, tuple[str, ...]], ...] = ()
    where: tuple[tuple[str, Dim], ...] = ()
    lifted: Closure | None = None
    params: tuple[Type, ...] = ()

    @property
    def text(self) -> str:
        """A readable name, the same for the same program; two instances may share it (number
        them)."""
        said = [
            f"{n}={v}" for n, v in (*self.dtypes, *self.consts, *self.functions, *self.structures)
        ]
        said += [f"rank {n}={v}" for n, v in self.ranks]
        said += [f"{n}={v}" for n, v in self.where]
        said += [f"rows {n}={'+'.join(v) or 'all'}" for n, v in self.rows]
        name = self.function if self.lifted is None else str(self.lifted)
        text = f"{name}<{', '.join(said)}>" if said else name
        return text if len(text) <= 200 else f"{text[:199]}…"
