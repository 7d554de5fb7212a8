"""E06xx: targets, binding of dims and limits."""

from __future__ import annotations

from dlc.diag.codes.code import Code

CODES: tuple[Code, ...] = (
    Code(
        "E0601",
        "a const of an entry has no number",
        "An entry with const dims or parameters is compiled for one number each: from its default, "
        "or given with `--bind K=8` (`--bind beam.K=8` for one function, `--bind m.K=8` where it "
        "is a dim of the model `m`).",
        shown_by="tests/unit/check/test_program.py::test_an_entry_needs_its_consts",
    ),
    Code(
        "E0602",
        "this cannot be an entry",
        "An entry is a function of the program whose element types and ranks are written out.",
        shown_by="tests/unit/check/test_program.py::test_what_is_no_entry",
    ),
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
        shown_by="tests/unit/targets/cpu/llvm/test_llvm.py::test_an_unknown_cpu_is_the_users_error",
    ),
    Code(
        "E0610",
        "a type that cannot cross the border of an export",
        "Algebraic values are given to an export, and returned by it, as flat columns, and every "
        "column has rows of one size. So one algebraic type must not occur at two different sizes "
        "within a parameter or a result, nor at sizes that only each value knows.",
        shown_by="tests/unit/targets/cpu/test_schema.py::test_types_that_cannot_cross",
    ),
    Code(
        "E0616",
        "no weights to compile in",
        "With embedded weights the object holds them, so they must be there when compiling. "
        "Without, the program takes any block of weights at run time.",
        shown_by="tests/unit/driver/test_build.py::test_nothing_to_embed",
    ),
    Code(
        "E0617",
        "not a program",
        "A program is a file of text, `*.dl`, or a model in ONNX, `*.onnx`. Models of other "
        "formats are exported as ONNX first; files of weights are given to a program.",
        shown_by="tests/unit/driver/test_front.py::test_what_is_no_program",
    ),
    Code(
        "E0618",
        "no such export",
        "Only exported functions can be compiled as entries: write `export fn`.",
        shown_by="tests/unit/driver/test_front.py::test_entries",
    ),
    Code(
        "E0620",
        "a size that nothing shows",
        "Every dim of an exported function is found from its arguments: the axis of a tensor, the "
        "nodes of a graph, a whole number. A dim that none of them shows must be bound when "
        "compiling.",
        shown_by="tests/unit/artifact/test_border.py::test_a_dim_that_nothing_shows",
    ),
    Code(
        "E0621",
        "a name that the C interface needs",
        "The functions of the C interface are named by the exports: `f` also has `f_bytes` and "
        "`f_sizes`, and every artefact has `model_init`, `status_text` and a few more. An export "
        "must not have one of these names.",
        shown_by="tests/unit/artifact/test_border.py::test_names_that_the_interface_uses",
    ),
    Code(
        "E0622",
        "a `mut` parameter that cannot come back",
        "An export may change tensors and numbers in place and give back lists and algebraic "
        "values. A graph, segments or a sparse vector is given back as a result.",
        shown_by="tests/unit/artifact/test_border.py::test_a_changed_graph_cannot_come_back",
    ),
    Code(
        "E0630",
        "no dim of this name to bind",
        "`--bind` takes the dims of parameter sets (`m.V`), those of exports (`beam.K`), or the "
        "last part of a name that only one of them has (`V`). The message lists what there is.",
        shown_by="tests/unit/lower/test_border.py::test_names_of_dims",
    ),
    Code(
        "E0631",
        "a name that several dims have",
        "The last part of a name binds a dim only if one dim ends in it, one dim of the compiled "
        "functions, or only consts of exported functions.",
        shown_by="tests/unit/lower/test_border.py::test_names_of_dims",
    ),
    Code(
        "E0632",
        "a number that is no size",
        "Dims are whole numbers from 0 to 2147483647.",
        shown_by="tests/unit/lower/test_border.py::test_names_of_dims",
    ),
    Code(
        "E0633",
        "graphs inside values that cross the border",
        "The arcs of a graph, the starts of segments and the indices of a sparse vector are "
        "checked when a call comes in. They are given as parameters of their own, not inside a "
        "list or an algebraic value; the export builds such a value itself.",
        shown_by="tests/unit/lower/test_border.py::"
        "test_structures_inside_structures_cannot_come_from_outside",
    ),
    Code(
        "E0634",
        "control flow that is too deep",
        "Every `return`, `break` or `continue` before the end of a block, and every `match` with "
        "one arm, puts the rest of the block one level deeper, and no function may be deeper than "
        "256 levels.",
        shown_by="tests/unit/lower/test_flow.py::test_deep_nesting_is_refused_in_words",
    ),
    Code(
        "E0635",
        "a number that a convolution or pool can't have",
        "Strides, sizes, dilations and groups are at least 1, padding is at least 0. Where they "
        "are computed from const parameters, only the instance shows that one is not.",
        shown_by="tests/unit/lower/test_language.py::test_numbers_of_convolutions",
    ),
    Code(
        "E0636",
        "sizes beyond the limits",
        "How many elements a tensor has is a formula in the dims of its shape, of degree 16 and "
        "1,024 terms at most. Fewer dims that are only known at run time make it shorter.",
        shown_by="tests/unit/driver/test_build.py::test_sizes_without_a_formula",
    ),
    Code(
        "E0650",
        "an option of another target",
        "A triple, a CPU and its features name a processor that code is made for; the accelerator "
        "is one machine, whose presets (`sparrow:eie64`) differ in what they cost only.",
        shown_by="tests/unit/driver/test_sparrow.py::test_options_of_the_cpu",
    ),
    Code(
        "E0640",
        "an element type that Sparrow lacks",
        "The modelled machine has f32, bf16, i32, i8 and bool, and i64 for whole numbers in "
        "registers and single elements. There are no 64-bit floats on it, no f16, i16 and u8: "
        "convert to a type that it has, or compile for the CPU.",
        shown_by="tests/unit/targets/sparrow/test_refusals.py::"
        "test_an_element_type_that_the_machine_lacks",
    ),
    Code(
        "E0641",
        "an operation with too many axes for Sparrow",
        "The addresses and counters of one operation lie in registers of the modelled machine, "
        "which are enough for a dozen axes with sizes that are only known at run time. Reshape "
        "neighbouring axes into one, or split the operation.",
        shown_by="tests/unit/targets/sparrow/test_refusals.py::"
        "test_an_operation_with_too_many_axes",
    ),
)
