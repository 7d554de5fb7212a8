"""Identifiers of the C interface: legal in C and C++, and each used once."""

from __future__ import annotations

import re

_WORDS = frozenset(
    """
    alignas alignof and and_eq asm atomic_cancel atomic_commit atomic_noexcept auto bitand bitor
    bool break case catch char char8_t char16_t char32_t class compl concept const consteval
    constexpr constinit const_cast continue contract_assert co_await co_return co_yield decltype
    default delete do double dynamic_cast else enum explicit export extern false float for friend
    goto if import inline int long module mutable namespace new noexcept not not_eq nullptr
    operator or or_eq private protected public reflexpr register reinterpret_cast requires restrict
    return short signed sizeof static static_assert static_cast struct switch synchronized template
    this thread_local throw true try typedef typeid typename typeof typeof_unqual union unsigned
    using virtual void volatile wchar_t while xor xor_eq
    linux unix i386 near far interface small
    """.split()
)
"""Keywords of C (to C23) and C++ (to C++26), and names that common compilers define as macros."""


def identifier(*parts: str) -> str:
    """The parts joined by `_`, with whatever C doesn't allow replaced."""
    name = re.sub(
        r"[^A-Za-z0-9_]",
        lambda m: f"u{ord(m.group()):x}",
        "_".join(p.replace(".", "_").replace("$", "_") for p in parts if p),
    )
    if not name or name[0].isdigit() or name[0] == "_":
        name = f"x{name}"
    return f"{name}_" if name in _WORDS else name


def is_prefix(text: str) -> bool:
    """Whether a text can begin the symbols of an artefact."""
    return bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", text)) and text not in _WORDS


class Scope:
    """Names that are taken. The one who comes first gets the plain name."""

    def __init__(self, taken: tuple[str, ...] = ()) -> None:
        self._taken = set(taken)

    def take(self, *parts: str) -> str:
        name = base = identifier(*parts)
        n = 1
        while name in self._taken:
            n += 1
            name = f"{base}_{n}"
        self._taken.add(name)
        return name

    def has(self, name: str) -> bool:
        return name in self._taken
