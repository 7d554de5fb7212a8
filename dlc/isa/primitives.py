"""The primitives of `do`: name, argument types, result, one line of meaning. Said once; both
machines implement each of them.

Argument types: `i f b` numbers, `n` integer or float (all `n` of a call alike, and the result where
it is `n`), `T W Q` a descriptor, a compressed matrix, a queue. `reads_data` tells which primitives
read what a reference stands for and not only its sizes. A test checks that the reference machine
and the fast machine each implement exactly this table.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Primitive:
    """A function of the `do` language."""

    name: str
    args: str
    result: str
    doc: str
    reads_data: bool = False


@dataclass(frozen=True, slots=True)
class EffectSpec:
    """An effect of the `do` language; `writes` and `reads` are the places that a use must declare:
    `Q0` is the queue of the first argument, `desc T0` its descriptor."""

    name: str
    args: str
    writes: tuple[str, ...]
    reads: tuple[str, ...]
    doc: str


_FLOAT = (
    ("floor", "f", "greatest whole number that isn't greater"),
    ("ceil", "f", "least whole number that isn't less"),
    ("round", "f", "nearest whole number, halves to even"),
    ("trunc", "f", "whole number next toward 0"),
    ("sqrt", "f", "square root, correctly rounded"),
    ("exp", "f", "through f64, rounded once"),
    ("expm1", "f", "exp(x) - 1, through f64, rounded once"),
    ("log", "f", "natural logarithm, through f64, rounded once"),
    ("log1p", "f", "log(1 + x), through f64, rounded once"),
    ("sin", "f", "through f64, rounded once"),
    ("cos", "f", "through f64, rounded once"),
    ("tanh", "f", "through f64, rounded once"),
    ("sigmoid", "f", "1 / (1 + exp(-x)), in f64, rounded once"),
    ("erf", "f", "through f64, rounded once"),
    ("asinh", "f", "through f64, rounded once"),
    ("acosh", "f", "through f64, rounded once"),
    ("atanh", "f", "through f64, rounded once"),
    ("pow", "ff", "x to the power y, through f64, rounded once"),
    ("atan2", "ff", "angle of the point (y, x), through f64, rounded once"),
    ("relu", "f", "x where x > 0, NaN where x is, else +0"),
    ("sign", "f", "-1, 0 or 1; NaN where x is"),
    ("mac", "fff", "mac(s, x, y) = s + x y, two roundings"),
    ("from_bits", "i", "the float whose bits are the low 32"),
    ("to_real", "i", "nearest float, halves to even"),
)
_INTEGER = (
    ("to_int", "f", "rounded toward 0; saturates; NaN gives 0"),
    ("bits", "f", "the 32 bits as a whole number from 0; NaN gives 0x7fc00000"),
    (
        "order",
        "f",
        "whole number from 0, below 2^32, in the order of floats: -0 as +0, NaN greatest",
    ),
    ("shl", "ii", "x 2^(y mod 64), modulo 2^64"),
    ("sra", "ii", "floor(x / 2^(y mod 64))"),
    ("srl", "ii", "x without sign / 2^(y mod 64), rounded down"),
    ("bit_or", "ii", "bit by bit"),
    ("bit_xor", "ii", "bit by bit"),
    ("least", "", "-2^63"),
    ("dim", "Ti", "size of an axis; 1 beyond the rank"),
    ("rank", "T", "number of axes"),
    ("size", "T", "number of elements"),
    ("dtype", "T", "element type"),
    ("address", "T", "first byte in its space"),
    ("rows", "W", "rows of a compressed matrix"),
    ("cols", "W", "columns of a compressed matrix"),
    ("nnz", "W", "stored entries of a compressed matrix"),
    ("capacity", "", "events that a queue holds"),
    ("stack_words", "", "words of STACK"),
    ("tape_words", "", "words of TAPE"),
    ("dram_bytes", "", "bytes of DRAM"),
    ("heap_base", "", "first byte of the heap"),
    ("heap_limit", "", "byte after the heap"),
    (
        "row_fault",
        "ii",
        "row k of the descriptor table at byte y: 0 fine, 1 shape, 2 misaligned, 3 outside its "
        "space",
    ),
    ("view_fault", "Ti", "row k of the descriptor table over the bytes of T: as row_fault"),
)
_DATA = (
    ("row", "Wii", "i", "row of entry e of column j"),
    ("val", "Wii", "f", "value of entry e of column j"),
    ("entries", "Wi", "i", "stored entries of column j"),
    ("start", "Wi", "i", "stored entries before column j"),
    ("len", "Q", "i", "events in a queue"),
    ("last", "Q", "i", "index of the last event; -1 when there is none"),
    ("index", "Qi", "i", "index of event k"),
    ("value", "Qi", "f", "value of event k"),
    ("active", "Qi", "i", "costs only: events in the queue; in the dense twin the second argument"),
)
_TRUTH = (
    ("finite", "f", "neither NaN nor infinite"),
    ("no", "", "false"),
    ("same_shape", "TT", "rank and sizes agree"),
    ("overlaps", "TT", "the byte intervals of two descriptors meet"),
    ("clashes", "TT", "the byte intervals meet and the views aren't identical"),
    (
        "values_overlap",
        "TW",
        "the byte intervals of a descriptor and of the values of a matrix meet",
    ),
    ("writable", "T", "its space can be written"),
    ("injective", "T", "no two of its elements share a byte"),
    ("is_order", "Ti", "the value names every axis once, two bits each"),
)

PRIMITIVES: dict[str, Primitive] = {
    p.name: p
    for p in (
        *(Primitive(n, a, "f", d) for n, a, d in _FLOAT),
        *(Primitive(n, a, "i", d) for n, a, d in _INTEGER),
        *(Primitive(n, a, "b", d) for n, a, d in _TRUTH),
        *(Primitive(n, a, r, d, reads_data=True) for n, a, r, d in _DATA),
        Primitive("abs", "n", "n", "magnitude; of the least integer, itself"),
        Primitive("max", "nn", "n", "the greater; NaN where either is; of equals the first"),
        Primitive("min", "nn", "n", "the lesser; NaN where either is; of equals the first"),
    )
}

EFFECTS: dict[str, EffectSpec] = {
    e.name: e
    for e in (
        EffectSpec("halt", "", (), (), "stop, with success"),
        EffectSpec("nothing", "", (), (), "no change"),
        EffectSpec("fence", "i", (), (), "costs only: wait for the units of the mask"),
        EffectSpec("compress", "Wi", ("desc W0",), (), "a matrix of the program's table"),
        EffectSpec(
            "constant", "Ti", ("desc T0",), (), "a row without registers of the descriptor table"
        ),
        EffectSpec(
            "describe",
            "Tii",
            ("desc T0",),
            ("r",),
            "a row of the descriptor table at a byte of its space",
        ),
        EffectSpec(
            "view",
            "TTi",
            ("desc T0",),
            ("desc T1", "r"),
            "the bytes of a descriptor as a row of the table",
        ),
        EffectSpec("row", "TTi", ("desc T0",), ("desc T1",), "drop axis 0 at an index"),
        EffectSpec(
            "slice",
            "TTiii",
            ("desc T0",),
            ("desc T1",),
            "along axis, from a start, so many entries",
        ),
        EffectSpec("permute", "TTi", ("desc T0",), ("desc T1",), "axes in another order"),
        EffectSpec("clear", "Q", ("Q0",), (), "no events"),
        EffectSpec("push", "Qif", ("Q0",), (), "one more event; NaN is kept as the canonical NaN"),
    )
}
