"""E06xx: targets, binding of dims and limits."""

from __future__ import annotations

from dlc.diag.codes.code import Code

CODES: tuple[Code, ...] = (
    Code(
        "E0605",
        "no code generator for a target",
        "A target is a triple as LLVM writes it: `x86_64-unknown-linux-gnu`, "
        "`aarch64-unknown-linux-gnu`, `thumbv7em-none-eabihf`, `wasm32`. This build of LLVM has no "
        "code generator for the one that was asked for.",
        shown_by="tests/unit/targets/cpu/llvm/test_llvm.py::"
        "test_an_unknown_triple_is_the_users_error",
    ),
    Code(
        "E0606",
        "an unknown CPU or feature",
        "A CPU and its features are named as LLVM names them: `haswell`, `cortex-m4`, `+avx2`. "
        "Without a CPU the oldest one is meant that the triple stands for.",
        shown_by="tests/unit/targets/cpu/llvm/test_llvm.py::"
        "test_an_unknown_cpu_is_the_users_error",
    ),
    Code(
        "E0610",
        "a type that cannot cross the border of an export",
        "Algebraic values are given to an export, and returned by it, as flat columns, and every "
        "column has rows of one size. So one algebraic type must not occur at two different sizes "
        "within a parameter or a result, nor at sizes that only each value knows.",
        shown_by="tests/unit/targets/cpu/test_schema.py::test_types_that_cannot_cross",
    ),
)
