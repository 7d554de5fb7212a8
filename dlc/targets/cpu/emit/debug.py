"""Debug information: every instruction of a function belongs to a line of the source.

Only lines are described, no variables. Kernels have none: a debugger steps over them.
"""

from __future__ import annotations

from dlc.ir.core import NOWHERE, Loc
from dlc.targets.cpu.llvm import Module


class DebugInfo:
    """The metadata of one module. Numbers are those of `Module.metadata`."""

    def __init__(self, module: Module) -> None:
        self._module = module
        flags = ['!{i32 2, !"Debug Info Version", i32 3}']
        if module.target.is_windows:
            flags.append('!{i32 2, !"CodeView", i32 1}')
        else:
            flags.append('!{i32 7, !"Dwarf Version", i32 4}')
        for flag in flags:
            module.named_metadata("llvm.module.flags", module.metadata(flag))
        self._unit = ""

    def _file(self, name: str) -> str:
        text = name.replace("\\", "\\5C").replace('"', "\\22")
        return self._module.metadata(f'!DIFile(filename: "{text}", directory: "")')

    def _compile_unit(self, file: str) -> str:
        if not self._unit:
            self._unit = self._module.metadata(
                f"distinct !DICompileUnit(language: DW_LANG_C99, file: {file}, "
                'producer: "dlc", isOptimized: true, emissionKind: LineTablesOnly)'
            )
            self._module.named_metadata("llvm.dbg.cu", self._unit)
        return self._unit

    def subprogram(self, name: str, symbol: str, loc: Loc) -> str:
        """The description of a function that begins at `loc`."""
        m = self._module
        file = self._file(loc.file or "<generated>")
        type_ = m.metadata(f"!DISubroutineType(types: {m.metadata('!{}')})")
        return m.metadata(
            f'distinct !DISubprogram(name: "{name}", linkageName: "{symbol}", scope: {file}, '
            f"file: {file}, line: {loc.line}, type: {type_}, scopeLine: {loc.line}, "
            f"spFlags: DISPFlagDefinition, unit: {self._compile_unit(file)})"
        )

    def location(self, subprogram: str, home: Loc, loc: Loc) -> str:
        """The place `loc` inside a function whose own place is `home`."""
        at = home if loc == NOWHERE else loc
        scope = subprogram
        if at.file != home.file:
            file = self._file(at.file or "<generated>")
            scope = self._module.metadata(
                f"!DILexicalBlockFile(scope: {subprogram}, file: {file}, discriminator: 0)"
            )
        column = min(at.column, 0xFFFF)
        return self._module.metadata(
            f"!DILocation(line: {at.line}, column: {column}, scope: {scope})"
        )
