"""Machines whose code this one can run: the host, and what older and smaller ones lack."""

from __future__ import annotations

from dataclasses import replace

from dlc.targets.cpu.llvm import Target, host_target, named_target

LINUX = "x86_64-unknown-linux-gnu"


def machines() -> dict[str, Target]:
    """By name. "x86-64": four lanes, no masks, no FMA, no rounding; "haswell": eight lanes and
    half the registers; "scalar": no vectors at all, as on a microcontroller. On x86-64 hosts
    only."""
    host = host_target()
    found = {"host": host}
    if host.triple.startswith("x86_64"):
        base = named_target(LINUX, "x86-64")
        found["x86-64"] = base
        found["scalar"] = replace(base, f32_lanes=1)
        if host.fma32:
            found["haswell"] = named_target(LINUX, "haswell")
    return found


MACHINES = machines()
HOST_ONLY = {"host": MACHINES["host"]}
