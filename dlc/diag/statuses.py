"""The statuses that a call of a compiled program can end with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Status:
    """`meaning` says what happened, `remedy` what to do about it."""

    name: str
    meaning: str
    remedy: str


STATUSES = (
    Status("ok", "The call has done all that it should.", ""),
    Status(
        "abi",
        "The caller was built for another version of the interface: a struct begins with a size "
        "that this program does not know.",
        "Compile the caller with the header that came with the program.",
    ),
    Status(
        "arg",
        "An argument is missing, is at an address that is not aligned, or overlaps another; or a "
        "number is out of its range.",
        "Look at the argument that the error names.",
    ),
    Status(
        "shape",
        "Sizes do not fit: those of two arguments, of an argument and the weights, or of values "
        "that only the run knows, where the text shows a check (`y: f32[m.D] = e`, `reshape`).",
        "The error says what there is and what was wanted; the place is that of the check.",
    ),
    Status(
        "struct",
        "A structure is none: a tree with a cycle or with a child of two parents, a tag of no "
        "constructor, an arc to no node, segments that do not ascend.",
        "Look at how the caller builds the structure that the error names.",
    ),
    Status(
        "arena",
        "The memory that the caller gave is too small.",
        "Ask for the need of this call (`*_bytes`), or give more where it is no exact number.",
    ),
    Status(
        "weights",
        "The weights are missing, or are not those of this program.",
        "Give a file with `--weights`, or draw them: `--seed`, `net.init(seed)`.",
    ),
    Status(
        "fuel",
        "A loop without a bound has taken as many turns as the call allows.",
        "Bound the loop, or allow more turns.",
    ),
    Status(
        "bounds",
        "An index is outside: of a tensor, a list, a slice; the k of a `top_k` is larger than what "
        "it chooses from; `argmax` of nothing.",
        "The error says which index and how many there are. Negative indices count from the end "
        "only where they are literals.",
    ),
    Status("assert", "An `assert` of the program is false.", "The message is the program's own."),
    Status("div_zero", "A whole number was divided by 0.", "Look before: `d != 0`."),
    Status(
        "space",
        "A size is beyond what the machine can count or hold.",
        "Look at the size that the error names.",
    ),
)
"""In the order of their numbers."""


def find_status(name: str) -> Status | None:
    """The status of this name, letters in either case; `NET_E_BOUNDS` is `bounds`."""
    wanted = name.strip().lower()
    wanted = wanted.rsplit("_e_", 1)[-1]
    return next((s for s in STATUSES if s.name == wanted), None)


def explain_status(status: Status) -> str:
    """The page of a status, for `dlc explain`."""
    text = f"{status.name.upper()}: a call ended with this status\n\n{status.meaning}\n"
    return text + (f"\n{status.remedy}\n" if status.remedy else "")
