"""Speed of single kernels against numpy, one thread: `python bench/kernels.py
[gemm gemv math conv events order]`.

Both sides are timed by the thread's CPU clock, best of several runs, interleaved. Pin numpy's BLAS
to one thread from outside (`OPENBLAS_NUM_THREADS=1`), or the comparison is not one.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from dlc.targets.cpu.kernels import kernel, packing
from dlc.targets.cpu.kernels.math import FUNCTIONS, apply
from dlc.targets.cpu.kernels.windows import geometry
from dlc.targets.cpu.llvm import (
    ELEMENTS,
    INDEX,
    Builder,
    Module,
    compile_object,
    host_target,
    load,
    vector,
)

_CTYPES = {
    "ptr": ctypes.c_void_p,
    "i64": ctypes.c_int64,
    "i32": ctypes.c_int32,
    "i1": ctypes.c_bool,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    "void": None,
}
TARGET = host_target()


def exported(
    wanted: list[tuple[str, str, str]],
) -> dict[tuple[str, str, str], Callable[..., object]]:
    """The kernels as Python callables that take the number of repetitions first."""
    module = Module(TARGET)
    names = {}
    for key in wanted:
        function = kernel(module, *key)
        types = function.signature.types
        symbol = ".".join(("bench", *key))
        params = [(INDEX, "times"), *((t, f"p{i}") for i, t in enumerate(types))]
        f = Builder(module, symbol, "void", params, linkage="external")
        hidden = module.global_(f"{symbol}.address", f"internal global ptr @{function.name}")
        with f.loop(0, f.params[0]):
            # Through a pointer that LLVM cannot see through, or it would call once.
            pointer = f.let("ptr", f"load volatile ptr, {hidden}")
            given = ", ".join(map(str, f.params[1:]))
            result = function.signature.result
            head = "" if result == "void" else f"{f.fresh()} = "
            f.line(f"{head}call {result} {pointer.text}({given})")
        f.ret()
        f.define()
        names[key] = symbol, types
    library = load(compile_object(module.text(), TARGET).data, [s for s, _ in names.values()])
    calls = {}
    for key, (symbol, types) in names.items():
        proto = ctypes.CFUNCTYPE(None, ctypes.c_int64, *(_CTYPES[t] for t in types))
        function = proto(library.address(symbol))

        def call(times: int, *args: object, function=function, library=library) -> None:
            function(times, *(a.ctypes.data if isinstance(a, np.ndarray) else a for a in args))

        calls[key] = call
    return calls


def seconds(run: Callable[[int], object], budget: float = 0.03) -> float:
    """Best time of one run: repeated so often that the clock can be read, then the best of six."""
    times = 1
    while True:
        start = time.thread_time()
        run(times)
        spent = time.thread_time() - start
        if spent > budget / 6 or times > 1 << 22:
            break
        times *= 2 if spent == 0 else max(2, min(64, int(budget / 6 / spent)))
    best = spent / times
    for _ in range(5):
        start = time.thread_time()
        run(times)
        best = min(best, (time.thread_time() - start) / times)
    return best


def repeat(fn: Callable[..., object], *args: object) -> Callable[[int], None]:
    def run(times: int) -> None:
        for _ in range(times):
            fn(*args)

    return run


def gemm() -> None:
    calls = exported([("gemm", "f32", v) for v in ("nn", "nt", "tn", "np")])
    rng = np.random.default_rng(0)
    print("gemm f32, GF/s: numpy, then ours by variant")
    sizes = [(m, n, n) for n in (256, 1024) for m in (1, 2, 3, 4, 5, 6, 16, 64, 256)]
    for m, n, k in [*sizes, (64, 256, 2304), (512, 512, 512), (33, 47, 65), (128, 10, 256)]:
        a, b = (rng.standard_normal(s).astype(np.float32) for s in ((m, k), (k, n)))
        at, bt = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
        c, packed = np.zeros((m, n), np.float32), packing.packed(TARGET, "f32", b)
        args = {
            "nn": (m, n, k, a, k, b, n, c, n, False),
            "nt": (m, n, k, a, k, bt, k, c, n, False),
            "tn": (m, n, k, at, m, b, n, c, n, False),
            "np": (m, n, k, a, k, packed, c, n, False),
        }
        out = np.zeros((m, n), np.float32)
        flops = 2e-9 * m * n * k
        base = seconds(repeat(np.matmul, a, b, out))
        row = [f"{flops / base:7.1f}"]
        for v, xs in args.items():
            t = seconds(lambda times, v=v, xs=xs: calls["gemm", "f32", v](times, *xs))
            row.append(f"{v} {flops / t:7.1f} ({base / t:4.2f}x)")
        print(f"{m:4d} {n:4d} {k:4d}", *row)


def gemv() -> None:
    calls = exported([("gemv", "f32", "n"), ("gemv", "f32", "t"), ("outer", "f32", "")])
    rng = np.random.default_rng(0)
    print("gemv f32, GB/s of W: numpy, then ours")
    for m, k in ((16, 16), (64, 64), (256, 256), (768, 256), (1024, 1024), (4096, 1024)):
        w, x = rng.standard_normal((m, k)).astype(np.float32), rng.standard_normal(k)
        x = x.astype(np.float32)
        xt, y, yt = rng.standard_normal(m).astype(np.float32), np.zeros(m, np.float32), x.copy()
        size = 4e-9 * m * k
        for name, v, base, args in (
            ("W x", "n", (w, x, y), (m, k, w, k, x, y, False)),
            ("x W", "t", (xt, w, yt), (m, k, w, k, xt, 1, yt, False)),
        ):
            b = seconds(repeat(np.matmul, *base))
            t = seconds(lambda times, v=v, a=args: calls["gemv", "f32", v](times, *a))
            print(
                f"{name} {m:5d} {k:5d} {size / b:6.1f} {size / t:6.1f} ({b / t:4.2f}x)", end="   "
            )
        out = np.zeros((m, k), np.float32)
        xs = (m, k, xt, 1, x, out, k, True)
        t = seconds(lambda times, a=xs: calls["outer", "f32", ""](times, *a))
        print(f"outer += {2 * size / t:6.1f}")


def math() -> None:
    module = Module(TARGET)
    names = [n for n, e in FUNCTIONS.items() if e.floats]
    for name in names:
        for dtype in ("f32", "f64"):
            _map(module, name, dtype)
    obj = compile_object(module.text(), TARGET)
    library = load(obj.data, obj.symbols.defined)
    print("ns an element, 2048 elements: f32, f64")
    for name in names:
        row = []
        for dtype, t in (("f32", np.float32), ("f64", np.float64)):
            x = np.random.default_rng(0).uniform(0.05, 0.95, (2, 2048)).astype(t)
            out = np.zeros_like(x[0])
            call = ctypes.CFUNCTYPE(None, ctypes.c_int64, *[ctypes.c_void_p] * 3)(
                library.address(f"{name}_{dtype}")
            )
            spent = seconds(
                lambda times, c=call, x=x, o=out: c(times, *(v.ctypes.data for v in (*x, o)))
            )
            row.append(f"{spent / 2048 * 1e9:6.2f}")
        print(f"{name:10s}", *row)


def _map(module: Module, name: str, dtype: str) -> None:
    scalar = ELEMENTS[dtype].memory
    params = [(INDEX, "times"), ("ptr", "x"), ("ptr", "y"), ("ptr", "out")]
    f = Builder(module, f"{name}_{dtype}", "void", params, linkage="external")
    times, *operands, out = f.params
    lanes = TARGET.lanes(ELEMENTS[dtype].bytes)
    t = vector(scalar, lanes)
    with f.loop(0, times), f.loop(0, 2048, lanes) as loop:
        places = [f.gep(scalar, p, loop.index) for p in operands[: FUNCTIONS[name].arity]]
        r = apply(f, name, *(f.load(t, p) for p in places))
        if FUNCTIONS[name].predicate:
            r = f.select(r, f.const(t, 1.0), f.const(t, 0.0))
        f.store(r, f.gep(scalar, out, loop.index))
    f.ret()
    f.define()


def conv() -> None:
    names = ("conv", "conv_input_grad", "conv_weight_grad")
    calls = exported([(n, "f32", "") for n in names])
    rng = np.random.default_rng(0)
    print(
        "conv f32, GF/s: forward, input gradient, weight gradient; groups cg og size kernel stride"
    )
    layers = [
        (1, 3, 64, 224, 7, 2), (1, 64, 64, 56, 3, 1), (1, 64, 128, 56, 3, 2),
        (1, 64, 128, 56, 1, 2),
        (1, 128, 128, 28, 3, 1), (1, 256, 256, 14, 3, 1), (1, 512, 512, 7, 3, 1),
        (1, 32, 96, 56, 1, 1),
        (96, 1, 1, 56, 3, 1), (96, 1, 1, 112, 3, 2), (1, 1, 6, 28, 5, 1),
    ]  # fmt: skip
    for groups, cg, og, n, k, s in layers:
        pad = k // 2
        out = (n + 2 * pad - k) // s + 1
        fields = geometry(1, groups, cg, og, (n, n), (k, k), (out, out), (s, s), (pad, pad), (1, 1))
        g = np.array(fields, np.int64)
        x = rng.standard_normal((groups * cg, n, n)).astype(np.float32)
        w = rng.standard_normal((groups * og, cg, k, k)).astype(np.float32)
        y = np.zeros((groups * og, out, out), np.float32)
        row = []
        for name, args in zip(names, ((x, w, y), (y, w, x), (x, y, w)), strict=True):
            t = seconds(lambda r, c=calls[name, "f32", ""], a=args, g=g: c(r, g, *a, False))
            row.append(f"{2e-9 * y.size * cg * k * k / t:7.1f}")
        print(f"{groups:3d} {cg:4d} {og:4d} {n:4d} {k} {s}", *row)


def events() -> None:
    keys = [("compress", "f32", ""), ("events", "f32", "t"), ("events", "f32", "n")]
    calls = exported([*keys, ("gemv", "f32", "t")])
    rng = np.random.default_rng(0)
    print(
        "events f32, us: dense gemv; then compress, events by rows and by columns at each density"
    )
    for n in (256, 1024, 4096):
        w = rng.standard_normal((n, n)).astype(np.float32)
        wt, y = np.ascontiguousarray(w.T), np.zeros(n, np.float32)
        x = rng.standard_normal(n).astype(np.float32)
        args = (n, n, w, n, x, 1, y, False)
        dense = seconds(lambda r, a=args: calls["gemv", "f32", "t"](r, *a))
        row = [f"{n:5d} {dense * 1e6:8.2f} |"]
        for density in (1.0, 0.5, 0.1, 0.05):
            x = (rng.standard_normal(n) * (rng.random(n) < density)).astype(np.float32)
            idx, val = np.zeros(n, np.int32), np.zeros(n, np.float32)
            find = (n, x, idx, val)
            spent = [seconds(lambda r, a=find: calls[keys[0]](r, *a))]
            count = int(np.count_nonzero(x))
            for key, mem in ((keys[1], w), (keys[2], wt)):
                args = (count, idx, val, n, mem, n, y, False)
                spent.append(seconds(lambda r, k=key, a=args: calls[k](r, *a)))
            row.append(f"{density:4.2f}: " + " ".join(f"{t * 1e6:8.2f}" for t in spent))
        print(*row)


def order() -> None:
    keys = [("sort", "f32", ""), ("top_k", "f32", ""), ("argmax", "f32", "")]
    calls = exported([*keys, ("random", "i32", ""), ("reduce_rows", "f32", "sum")])
    rng = np.random.default_rng(0)
    print("order f32, ns an element: sort (numpy's argsort), top 10, argmax, sum, random bits")
    for n in (100, 1000, 30000):
        x = rng.standard_normal(n).astype(np.float32)
        val, idx = np.zeros(n, np.float32), np.zeros(n, np.int32)
        tmp = val.copy(), idx.copy()
        runs = [
            (keys[0], (n, x, 1, val, idx, 1, *tmp, False)),
            (keys[1], (n, min(n, 10), x, 1, val, idx, 1)),
            (keys[2], (n, x, 1)),
            (("reduce_rows", "f32", "sum"), (1, n, x, n, val, 1, False)),
            (("random", "i32", ""), (5, n, idx)),
        ]
        base = seconds(repeat(lambda x=x: np.argsort(x, kind="stable")))
        spent = [seconds(lambda r, k=k, a=a: calls[k](r, *a)) for k, a in runs]
        numbers = [spent[0], base, *spent[1:]]
        print(f"{n:6d}", " ".join(f"{t / n * 1e9:8.2f}" for t in numbers))


PARTS = {"gemm": gemm, "gemv": gemv, "math": math, "conv": conv, "events": events, "order": order}


def main(arguments: list[str]) -> None:
    for part in arguments or PARTS:
        PARTS[part]()


if __name__ == "__main__":
    main(sys.argv[1:])
