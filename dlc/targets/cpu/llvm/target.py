"""The machine that code is generated for, as plain facts.

What a CPU can do is asked of LLVM itself: a few small functions are compiled for it, and what they
become (an instruction, or a call into a library that we do not have) is the answer. So a named
CPU, a feature string and the host go the same way.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from dlc.diag import CompileError, error
from dlc.targets.cpu.llvm import binding
from dlc.targets.cpu.llvm.objects import symbols

BASELINES = {"x86_64": "x86-64", "amd64": "x86-64", "i386": "pentium4", "i686": "pentium4"}
"""The CPU that is meant when a triple comes without one; elsewhere LLVM's `generic`."""


@dataclass(frozen=True)
class Target:
    """A triple, a CPU and features in LLVM's words, and the facts that the templates ask for."""

    triple: str
    cpu: str
    features: str
    abi: str
    f32_lanes: int
    """Lanes of the widest vector register, in f32: 16, 8, 4, or 1 where there are no vectors."""
    vector_registers: int
    fma32: bool
    fma64: bool
    """A fused multiply-add is one instruction. Where it is not, products and sums round apart."""
    rounds32: bool
    rounds64: bool
    """floor, ceil, trunc and roundeven are instructions."""
    sqrt32: bool
    sqrt64: bool
    """The square root is an instruction."""
    half: bool
    """f16 converts to and from f32 by an instruction."""
    masked: bool
    """Loads and stores take a lane mask."""
    compresses: bool
    """`vpcompress` (AVX-512)."""
    vnni: bool
    """`vpdpbusd` on 512 bits."""

    @property
    def arch(self) -> str:
        """The first part of the triple: `x86_64`, `aarch64`, `wasm32`, `thumbv7em`."""
        return self.triple.split("-")[0]

    @property
    def is_x86(self) -> bool:
        return self.arch in ("x86_64", "amd64", "i386", "i686")

    @property
    def is_windows(self) -> bool:
        return "windows" in self.triple or "win32" in self.triple

    @property
    def is_wasm(self) -> bool:
        return self.arch.startswith("wasm")

    def lanes(self, bytes_: int) -> int:
        """Lanes of a vector register for elements of `bytes_` bytes computed at that width."""
        return max(1, self.f32_lanes * 4 // bytes_)

    def fma(self, scalar: str) -> bool:
        """Whether `scalar` (`float` or `double`) multiplies and adds in one rounding."""
        return self.fma32 if scalar == "float" else self.fma64

    def rounds(self, scalar: str) -> bool:
        """Whether rounding to an integer is an instruction for `scalar`."""
        return self.rounds32 if scalar == "float" else self.rounds64

    def sqrt(self, scalar: str) -> bool:
        """Whether the square root is an instruction for `scalar`."""
        return self.sqrt32 if scalar == "float" else self.sqrt64

    @property
    def stack_buffer(self) -> int:
        """Bytes that a kernel may reserve on the stack at once: little where there is little stack,
        and on Windows, where a larger frame would call the run-time to probe it."""
        return 3072 if self.is_windows or self.f32_lanes == 1 else 32768

    @property
    def has_runtime(self) -> bool:
        """Whether the machine's linker brings a compiler run-time (libgcc, compiler-rt) that
        objects may call for arithmetic the CPU lacks: those of 32 bits. No libc anywhere."""
        short = ("arm", "thumb", "riscv32", "i386", "i686")
        return self.arch.startswith(short) and self.arch != "arm64"

    @property
    def is_bare(self) -> bool:
        """No operating system, or none that loads position-independent objects."""
        return self.is_wasm or "-none" in self.triple


def host_target() -> Target:
    """The machine that this process runs on, with all that its CPU can do."""
    triple, cpu, features = binding.host()
    return _target(triple, cpu, features, "")


def named_target(triple: str, cpu: str = "", features: str = "", abi: str = "") -> Target:
    """A machine by name; without a CPU, the oldest that the triple stands for.

    Raises: E0605 for a triple that LLVM cannot generate code for, E0606 for a CPU or a feature
    that it does not know.
    """
    arch = triple.split("-")[0]
    if triple == "wasm32":
        triple = "wasm32-unknown-unknown"
    if not binding.has_target(triple):
        found = error("E0605", f"no code generator for the target `{triple}`")
        raise CompileError(
            found.with_help("there is cpu, evaluate, sparrow, and LLVM's triples (`dlc targets`)")
        )
    if not abi and arch.startswith("riscv64"):
        abi = "lp64d"
        features = features or "+m,+a,+f,+d,+c"
    if cpu and arch in ("x86_64", "amd64"):
        # LLVM ends the process over a 32-bit CPU; what the triple promises is there in any case.
        features = f"{features},+64bit,+sse2".removeprefix(",")
    cpu = cpu or BASELINES.get(arch, "generic")
    unknown = binding.unknown_names(triple, cpu, features, abi)
    if unknown:
        names = ", ".join(f"`{name}`" for name in unknown)
        found = error("E0606", f"no CPU or feature {names} for the target `{triple}`")
        raise CompileError(
            found.with_note("CPUs and features are named as LLVM names them: `haswell`, `+avx2`")
        )
    return _target(triple, cpu, features, abi)


_UNARY = ("floor", "ceil", "trunc", "roundeven", "sqrt")


def _probe_calls() -> str:
    """One function for each operation and format that may be a call of a library."""
    lines: list[str] = []
    for t, short in (("float", "f32"), ("double", "f64")):
        for name in (*_UNARY, "fma"):
            arguments = [f"{t} %{a}" for a in ("abc" if name == "fma" else "a")]
            given = ", ".join(arguments)
            lines += [
                f"declare {t} @llvm.{name}.{short}({', '.join([t] * len(arguments))})",
                f"define {t} @probe_{name}_{short}({given}) {{",
                f"  %r = call {t} @llvm.{name}.{short}({given})",
                f"  ret {t} %r",
                "}",
            ]
    return "\n".join(lines)


_PROBE_ASSEMBLY = """
define void @probe_vector(ptr %a, ptr %b) {
  %x = load <16 x float>, ptr %a, align 4
  %y = load <16 x float>, ptr %b, align 4
  %r = fadd <16 x float> %x, %y
  store <16 x float> %r, ptr %a, align 4
  ret void
}
define void @probe_half(ptr %p, ptr %q) {
  %h = load half, ptr %p
  %r = fpext half %h to float
  store float %r, ptr %q
  ret void
}
"""

# x86 CPUs with AVX-512 VNNI, for a CPU named without features. An intrinsic cannot be probed: LLVM
# ends the process over one that the CPU lacks.
_VNNI = frozenset(
    "cascadelake cooperlake icelake-client icelake-server tigerlake rocketlake sapphirerapids "
    "emeraldrapids graniterapids graniterapids-d znver4 znver5".split()
)


@functools.cache
def _target(triple: str, cpu: str, features: str, abi: str) -> Target:
    tm = binding.machine(triple, cpu, features, abi, 0, pic=False)
    probed = binding.emit_object(binding.parse(_probe_calls(), tm, triple), tm)
    calls = set(symbols(probed).undefined)
    text = binding.emit_assembly(binding.parse(_PROBE_ASSEMBLY, tm, triple), tm)
    arch = triple.split("-")[0]
    x86 = arch in ("x86_64", "amd64", "i386", "i686")
    lanes, registers = _vectors(arch, text)
    wide = x86 and lanes == 16
    return Target(
        triple=triple,
        cpu=cpu,
        features=features,
        abi=abi,
        f32_lanes=lanes,
        vector_registers=registers,
        fma32="fmaf" not in calls,
        fma64="fma" not in calls,
        rounds32=not calls & {"floorf", "ceilf", "truncf", "roundevenf"},
        rounds64=not calls & {"floor", "ceil", "trunc", "roundeven"},
        sqrt32="sqrtf" not in calls,
        sqrt64="sqrt" not in calls,
        half="vcvtph2ps" in text or arch in ("aarch64", "arm64"),
        masked=x86 and lanes >= 8,
        compresses=wide,
        vnni=wide and ("+avx512vnni" in features.split(",") or cpu in _VNNI),
    )


def _vectors(arch: str, assembly: str) -> tuple[int, int]:
    """Lanes in f32 and number of vector registers, from what an addition of 16 lanes became."""
    if arch in ("x86_64", "amd64"):
        if "zmm" in assembly:
            return 16, 32
        return (8, 16) if "ymm" in assembly else (4, 16)
    if arch in ("i386", "i686"):
        return (4, 8) if "addps" in assembly else (1, 8)
    if arch in ("aarch64", "arm64"):
        return 4, 32
    if arch.startswith("riscv") and "vfadd.vv" in assembly:
        return 4, 16  # 32 registers, but fixed vectors of LMUL 1 spill with tiles that use them all
    if arch.startswith("wasm") and "f32x4.add" in assembly:
        return 4, 16
    if arch.startswith("arm") and "vadd.f32\tq" in assembly:
        return 4, 16
    return 1, 16
