"""E07xx: ONNX models."""

from __future__ import annotations

from dlc.diag.codes.code import Code

_TESTS = "tests/unit/importers"

CODES: tuple[Code, ...] = (
    Code(
        "E0701",
        "this is no ONNX model",
        "The bytes are not those of a ModelProto: a field has another type than the format says, a "
        "length reaches beyond the end, or there is no graph. Mostly the file was not written or "
        "downloaded completely.",
        shown_by=f"{_TESTS}/test_malformed.py::test_refused",
    ),
    Code(
        "E0702",
        "a model asks for more than is allowed",
        "Models come from anywhere, so the importer counts before it works: bytes, fields, "
        "nesting, operators after functions are inlined, sizes of tensors, operations of the "
        "result. Every limit can be raised by the caller.",
        shown_by=f"{_TESTS}/test_malformed.py::test_refused",
    ),
    Code(
        "E0703",
        "data outside of the model's file cannot be used",
        "Tensors may lie in files beside the model. Such a file is named by a relative path below "
        "the model's folder, without `..` and without links, is a regular file with one name, and "
        "is large enough for what the model says is in it.",
        shown_by=f"{_TESTS}/test_external.py::test_refused",
    ),
    Code(
        "E0704",
        "a tensor's data don't fit it",
        "The number of bytes or numbers is that of the shape and the element type exactly; they "
        "stand in one field, the one for the type; indices of sparse tensors are in range.",
        shown_by=f"{_TESTS}/test_malformed.py::test_refused",
    ),
    Code(
        "E0705",
        "an operator set is missing or not known",
        "A model says for every domain of operators which version it uses. Versions 1 to 28 of "
        "`ai.onnx` are known.",
        shown_by=f"{_TESTS}/test_malformed.py::test_refused",
    ),
    Code(
        "E0706",
        "the graph is not put together rightly",
        "Every value is made once and exists before it is used; operators don't need each other in "
        "a circle; initialisers and inputs have names of their own; attributes are given once and "
        "have a value.",
        shown_by=f"{_TESTS}/test_malformed.py::test_refused",
    ),
    Code(
        "E0707",
        "an operator is used wrongly",
        "The inputs, outputs and attributes of each operator are compared with ONNX's own "
        "definition at the operator's version, and shapes with what the operator demands of them.",
        shown_by=f"{_TESTS}/test_malformed.py::test_refused",
    ),
    Code(
        "E0708",
        "operators are not supported",
        "All operators that have no rule are listed at once, with the place where each is first "
        "used. An operator can be given a meaning by a model-local function of its name.",
        shown_by=f"{_TESTS}/test_errors.py::test_all_unsupported_operators_at_once",
    ),
    Code(
        "E0709",
        "this form of an operator is not supported",
        "The operator is supported, but not like this: something has to be known when the model is "
        "imported, or the combination of attributes isn't there yet.",
        shown_by=f"{_TESTS}/test_errors.py::test_forms_that_are_refused",
    ),
    Code(
        "E0710",
        "an element type is not supported",
        "Texts, complex numbers, and floats of 6 bits have no form in compiled programs.",
        shown_by=f"{_TESTS}/test_errors.py::test_texts",
    ),
    Code(
        "E0711",
        "a function of the model calls itself",
        "Model-local functions are inlined, so they cannot be recursive.",
        shown_by=f"{_TESTS}/test_malformed.py::test_refused",
    ),
    Code(
        "E0712",
        "a dim cannot be bound like this",
        "`bind` gives names of dims numbers, or makes them equal to others. The names are those of "
        "the model's inputs.",
        shown_by=f"{_TESTS}/test_model.py::test_bind_refuses",
    ),
    Code(
        "E0713",
        "an output is declared otherwise than it is computed",
        "The shapes that a file declares for its outputs are hints. Where they contradict what the "
        "operators give, the computed shape counts, and this warning says where they differ.",
        shown_by=f"{_TESTS}/test_model.py::test_a_wrong_declaration_is_a_warning",
    ),
    Code(
        "E0714",
        "a model that dl has no words for",
        "`dlc import` writes a model as a program. What only the compiler's own form can say, such "
        "as the bits of whole numbers, transposed convolutions or windows of unequal sides, cannot "
        "be written; nor can sizes that the checker of dl cannot prove equal. The model itself "
        "compiles, and a program can import it.",
        shown_by="tests/programs/test_onnx_source.py::test_what_dl_cannot_say",
    ),
)
