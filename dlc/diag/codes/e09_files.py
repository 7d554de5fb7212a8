"""E09xx: files, artefacts and weights."""

from __future__ import annotations

from dlc.diag.codes.code import Code

CODES: tuple[Code, ...] = (
    Code(
        "E0901",
        "a file cannot be read",
        "The file does not exist, is a folder, or may not be read. The name of a file in a source "
        "is looked up beside that source.",
        shown_by="tests/unit/syntax/test_files.py::test_missing_file",
    ),
    Code(
        "E0910",
        "a weight is missing",
        "Weights are named by the path of their field: `m.cell.wx`. With one parameter "
        "set its name may be left out. Every weight that the compiled functions take must be in "
        "the file; `net.load` leaves sets of which the file has nothing as they are.",
        shown_by="tests/unit/artifact/test_weights.py::test_missing_and_unexpected",
    ),
    Code(
        "E0911",
        "an unexpected weight",
        "The file holds an array that is no weight of the program. Weights are named by "
        "the path of their field: `m.cell.wx`. Parameter sets of functions that are not compiled "
        "may be in the file.",
        shown_by="tests/unit/artifact/test_weights.py::test_missing_and_unexpected",
    ),
    Code(
        "E0912",
        "a weight of the wrong shape",
        "The dims of a parameter set are found from all its weights together. This one "
        "fits none, or contradicts another one or a number that was bound.",
        shown_by="tests/unit/artifact/test_weights.py::test_misshapen",
    ),
    Code(
        "E0913",
        "a weight of the wrong element type",
        "Nothing converts silently: the array in the file must have the element type of the field.",
        shown_by="tests/unit/artifact/test_weights.py::test_wrong_element_type",
    ),
    Code(
        "E0914",
        "a pickle is refused",
        "Reading a pickle runs code that is in it. Weights are read from safetensors and "
        "npz files, which hold nothing but numbers.",
        shown_by="tests/unit/artifact/test_weights.py::test_pickles_are_refused",
    ),
    Code(
        "E0915",
        "a malformed file of weights",
        "Weights are read from safetensors files, npz files and mappings of arrays. This "
        "one is none of them, or it is damaged.",
        shown_by="tests/unit/artifact/test_weights.py::test_malformed_files",
    ),
    Code(
        "E0916",
        "a dim that no weight shows",
        "A model may have a dim that is in none of its weights' shapes, such as the number of "
        "slots of a memory. Reading weights cannot find it, so it has to be given.",
        shown_by="tests/programs/test_structures.py::test_a_dim_that_no_weight_shows",
    ),
    Code(
        "E0917",
        "a kind of file that is not written",
        "Weights are written as safetensors or npz files. A name without such a suffix is an "
        "artefact: its object, its header, its weights and its manifest begin with it.",
        shown_by="tests/unit/artifact/test_weights.py::test_files_that_are_not_written",
    ),
    Code(
        "E0930",
        "a file cannot be written",
        "The files of an artefact are written beside their place and moved there "
        "together. The disk refused; what was there before is still there.",
        shown_by="tests/unit/artifact/test_publish.py::test_the_disk_refuses",
    ),
    Code(
        "E0931",
        "not a manifest",
        "A file `*.manifest.json` describes an artefact: see docs/manifest.md. This one "
        "is damaged, or of a version that this dlc does not read.",
        shown_by="tests/unit/artifact/test_manifest.py::test_malformed_manifests",
    ),
    Code(
        "E0932",
        "a file that is not the one of its manifest",
        "The manifest holds the hash of every file of the artefact, and this one has "
        "another. Files of one artefact belong together: compile again.",
        shown_by="tests/unit/artifact/test_manifest.py::test_changed_and_missing_files",
    ),
    Code(
        "E0933",
        "code of another machine",
        "An object runs on the processor and system that it was compiled for, and may "
        "need features that this CPU lacks.",
        shown_by="tests/unit/artifact/test_manifest.py::test_code_of_another_machine",
    ),
    Code(
        "E0934",
        "an artefact without code",
        "To be loaded, an artefact must have an object, or a shared library.",
        shown_by="tests/unit/artifact/test_manifest.py::test_without_code",
    ),
    Code(
        "E0940",
        "no linker",
        "A shared library or a program needs the system's C compiler, or the linker of "
        "the extra `dlc[link]`. An object needs none.",
        shown_by="tests/unit/artifact/test_manifest.py::test_no_linker",
    ),
    Code(
        "E0941",
        "the linker failed",
        "The system's C compiler or linker did not accept the object. What it said follows.",
        shown_by="tests/unit/artifact/test_manifest.py::test_the_linker_fails",
    ),
)
