"""E05xx: differentiation."""

from __future__ import annotations

from dlc.diag.codes.code import Code

CODES: tuple[Code, ...] = (
    Code(
        "E0501",
        "only functions of the program are differentiated",
        "`grad`, `value_and_grad`, `vjp` and `jvp` take the name of a function or `fn(x) => …`, "
        "and "
        "give a function that is called at once: `grad(f, wrt=x)(x)`.",
        bad="fn f(x: f32) -> f32:\n    return grad(exp, wrt=x)(x)\n",
        good="fn f(x: f32) -> f32:\n    return grad(fn(y) => exp(y), wrt=y)(x)\n",
    ),
    Code(
        "E0502",
        "`wrt` names no parameter",
        "`wrt` is the name of a parameter of the function that is differentiated, or several: "
        "`wrt=(a, b)`.",
        bad="fn l(x: f32) -> f32:\n    return x * x\nfn f(x: f32) -> f32:\n"
        "    return grad(l, wrt=y)(x)\n",
        good="fn l(x: f32) -> f32:\n    return x * x\nfn f(x: f32) -> f32:\n"
        "    return grad(l, wrt=x)(x)\n",
    ),
    Code(
        "E0503",
        "grad needs one float",
        "The function returns one float, or a tuple that begins with one. `vjp` differentiates a "
        "function with any float result, and takes its cotangent.",
        bad="fn l(x: f32[N]) -> f32[N]:\n    return x * x\nfn f(x: f32[N]) -> f32[N]:\n"
        "    return grad(l, wrt=x)(x)\n",
        good="fn l(x: f32[N]) -> f32:\n    return sum(x * x)\nfn f(x: f32[N]) -> f32[N]:\n"
        "    return grad(l, wrt=x)(x)\n",
    ),
    Code(
        "E0504",
        "a function that changes a parameter is differentiated",
        "A derivative is of a function from its arguments to its result. Return the new value "
        "instead of changing the old one.",
        bad="fn l(x: f32, s: mut f32) -> f32:\n    s += x\n    return x * s\n"
        "fn f(x: f32) -> f32:\n    s = 0.0\n    return grad(l, wrt=x)(x, mut s)\n",
        good="fn l(x: f32, s: f32) -> (f32, f32):\n    return x * (s + x), s + x\n"
        "fn f(x: f32) -> f32:\n    g, _ = grad(l, wrt=x)(x, 0.0)\n    return g\n",
    ),
    Code(
        "E0505",
        "no derivative by whole numbers",
        "Floats and structures with floats have derivatives; whole numbers, bools, keys, graphs "
        "and "
        "segments have none.",
        bad="fn l(x: f32, i: i32) -> f32:\n    return x * f32(i)\nfn f(x: f32) -> f32:\n"
        "    return f32(grad(l, wrt=i)(x, 3))\n",
        good="fn l(x: f32, i: i32) -> f32:\n    return x * f32(i)\nfn f(x: f32) -> f32:\n"
        "    return grad(l, wrt=x)(x, 3)\n",
    ),
    Code(
        "E0506",
        "a function takes the gradient of itself",
        "Its derivative would contain its own derivative, without end.",
        bad="fn f(x: f32, n: i32) -> f32:\n    if n == 0:\n        return x * x\n"
        "    return grad(f, wrt=x)(x, n - 1)\n",
        good="fn l(x: f32) -> f32:\n    return x * x\nfn f(x: f32) -> f32:\n"
        "    return grad(l, wrt=x)(x)\n",
    ),
)
