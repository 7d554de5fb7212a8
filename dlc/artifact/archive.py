"""Static libraries: an `ar` archive of one object with the symbol index that linkers look for.

The common (System V, GNU) form; its dates and owners are 0, so equal objects give equal archives.
Source: the format as `ar(5)` describes it."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_HEADER = "{name:<16}{date:<12}{owner:<6}{group:<6}{mode:<8}{size:<10}`\n"


def archive(name: str, data: bytes, symbols: Sequence[str]) -> bytes:
    """The archive of an object called `name` that defines `symbols`."""
    strings = b"".join(s.encode() + b"\0" for s in symbols)
    index_size = 4 + 4 * len(symbols) + len(strings)
    long_name = f"{name}/\n".encode()
    first = 8 + 60 + _even(index_size) + 60 + _even(len(long_name))
    index = struct.pack(f">I{len(symbols)}I", len(symbols), *[first] * len(symbols)) + strings
    return b"!<arch>\n" + b"".join(
        (_member("/", index), _member("//", long_name), _member("/0", data))
    )


def _even(n: int) -> int:
    return n + n % 2


def _member(name: str, data: bytes) -> bytes:
    head = _HEADER.format(name=name, date=0, owner=0, group=0, mode="644", size=len(data))
    return head.encode() + data + b"\n" * (len(data) % 2)
