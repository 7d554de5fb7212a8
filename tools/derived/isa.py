"""The manual of the accelerator, from `isa/*.isa`."""

from __future__ import annotations

from dlc.isa.manual import manual_text
from dlc.isa.project import isa_files, load_isa


def derived() -> dict[str, str]:
    return {"isa/manual.md": manual_text(load_isa(), isa_files())}
