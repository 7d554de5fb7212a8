"""E03xx: calls and function values."""

from __future__ import annotations

from dlc.diag.codes.code import Code

_NET = "model Net[X, H]:\n    w: f32[H, X] ~ glorot()\n"

CODES: tuple[Code, ...] = (
    Code(
        "E0312",
        "wrong arguments",
        "Arguments are given by position, then by name, each once; those with defaults may be left "
        "out.",
        bad="fn g(x: f32, y: f32) -> f32:\n    return x * y\nfn f(x: f32) -> f32:\n"
        "    return g(x)\n",
        good="fn g(x: f32, y: f32 = 2.0) -> f32:\n    return x * y\n"
        "fn f(x: f32) -> f32:\n    return g(x)\n",
    ),
    Code(
        "E0316",
        "this is not a function",
        "Functions of the program, builtins, constructors, function parameters and ONNX models are "
        "called.",
        bad="fn f(x: f32) -> f32:\n    return x(2.0)\n",
        good="fn f(x: f32) -> f32:\n    return x * 2.0\n",
    ),
    Code(
        "E0317",
        "a field without an initialiser",
        "`init` draws every tensor of a model by the initialiser after `~`. One without has to be "
        "given its weights.",
        bad='model Net[H]:\n    w: f32[H]\ntest "init":\n    m = init(Net[3], key(0))\n'
        "    assert sum(m.w) == 0.0\n",
        good='model Net[H]:\n    w: f32[H] ~ zeros()\ntest "init":\n    m = init(Net[3], key(0))\n'
        "    assert sum(m.w) == 0.0\n",
    ),
    Code(
        "E0328",
        "not known when compiling",
        "Arguments for `const` parameters and dims are numbers, texts and const names.",
        bad="fn f(x: f32[1, W], w: f32[1, 1, 3], s: i32) -> f32:\n"
        "    return sum(conv1d(x, w, stride=s))\n",
        good="fn f(x: f32[1, W], w: f32[1, 1, 3], s: const) -> f32:\n"
        "    return sum(conv1d(x, w, stride=s))\n",
    ),
    Code(
        "E0331",
        "dims of arguments that do not agree",
        "The dims of a call's arguments must be those of its parameters, with one number for each "
        "name. Distinct names are distinct numbers, unless the text says that they are equal.",
        bad=_NET + "fn g(m: Net, x: f32[m.X]) -> f32[m.H]:\n    return m.w @ x\n"
        "fn f(m: Net, n: Net, x: f32[m.X]) -> f32[n.H]:\n    return g(n, x)\n",
        good=_NET + "fn g(m: Net, x: f32[m.X]) -> f32[m.H]:\n    return m.w @ x\n"
        "fn f(m: Net, n: Net[X=m.X], x: f32[m.X]) -> f32[n.H]:\n    return g(n, x)\n",
    ),
    Code(
        "E0332",
        "an argument of another type",
        "An argument has the form and the element type of its parameter; nothing is converted "
        "silently.",
        bad="fn f(n: i32) -> f32:\n    return exp(n)\n",
        good="fn f(n: i32) -> f32:\n    return exp(f32(n))\n",
    ),
    Code(
        "E0333",
        "a function with another number of parameters",
        "`map` calls its function with one argument for each thing that it walks over, `scan` and "
        "`fold` with the state first.",
        bad="fn f(x: f32[N]) -> f32[N]:\n    return map(fn(a, b) => a * b, x)\n",
        good="fn f(x: f32[N]) -> f32[N]:\n    return map(fn(a) => a * a, x)\n",
    ),
    Code(
        "E0336",
        "copies without end",
        "A recursive call with another rank or another structure needs another instance of the "
        "function each time.",
        bad="fn g[M: value](m: M, n: i32) -> f32:\n    if n == 0:\n        return 0.0\n"
        "    return g((m, 1.0), n - 1)\n"
        "export fn f(x: f32) -> f32:\n    return g(x, 3)\n",
        good="fn g[M: value](m: M, n: i32) -> f32:\n    if n == 0:\n        return 0.0\n"
        "    return g(m, n - 1)\n"
        "export fn f(x: f32) -> f32:\n    return g(x, 3)\n",
    ),
    Code(
        "E0343",
        "structures that are not equal",
        "`each` and `total` walk over the floats of structures of one form: a model and its "
        "tangent, or two models of one type. Their function is of scalars.",
        bad=_NET + "fn f(m: Net, x: f32[m.X]) -> Net[m.X, m.H]:\n"
        "    return each(fn(p, d) => p - d, m, x)\n",
        good=_NET + "fn f(m: Net, n: Net[X=m.X, H=m.H]) -> Net[m.X, m.H]:\n"
        "    return each(fn(p, d) => p - d, m, n)\n",
    ),
)
