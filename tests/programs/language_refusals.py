"""Programs that the checker refuses, each for one reason, in features' less usual company."""

from __future__ import annotations

_F = "fn f(x: f32[N]) -> f32:\n"

REFUSED: list[tuple[str, str]] = [
    # dims
    ("E0313", "fn f(x: f32[N], y: f32[M]) -> f32[N]:\n    return y\n"),
    ("E0308", "fn f(x: f32[N]) -> f32[N]:\n    y: f32[N + 1] = x\n    return x\n"),
    ("E0305", "fn f(x: f32[N * M]) -> f32:\n    return sum(x)\n"),
    ("E0306", "fn f(x: f32[N]) -> f32[K]:\n    return x\n"),
    ("E0319", "fn f(s: f32[K], x: f32[K, V]) -> f32[K, V]:\n    return s + x\n"),
    ("E0319", "fn f(x: f32[N], y: f32[N + 1]) -> f32[N]:\n    return x * y\n"),
    ("E0321", "fn f(w: f32[A, B], x: f32[A]) -> f32[A]:\n    return w @ x\n"),
    ("E0320", "fn f(x: f32[N], y: f32[N]) -> f32:\n    return x @ y\n"),
    ("E0325", "fn f(x: f32[N], y: f32) -> f32:\n    return sum(x[1 : i32(y)])\n"),
    ("E0326", "fn f(x: f32[3]) -> f32:\n    return x[3]\n"),
    ("E0326", "fn f(x: f32[3]) -> f32:\n    return x[-4]\n"),
    ("E0334", "fn f(x: f32[4*H]) -> f32[H]:\n    a, b, c = chunk(x, 3)\n    return a\n"),
    (
        "E0331",
        "fn g(x: f32[N]) -> f32[?k]:\n    return x[nonzero_indices(x > 0.0)]\n"
        "fn f(x: f32[N]) -> f32:\n    a = g(x)\n    b = g(x)\n    return h(a, b)\n"
        "fn h(a: f32[K], b: f32[K]) -> f32:\n    return dot(a, b)\n",
    ),
    # values
    ("E0318", "fn f(i: i32, x: f32) -> f32:\n    return i * x\n"),
    ("E0318", "fn f(i: i32, j: i32) -> i32:\n    return i / j\n"),
    ("E0106", "fn f(a: f32) -> bool:\n    return 0.0 < a < 1.0\n"),
    ("E0403", _F + "    if x > 0.0:\n        return 1.0\n    return 0.0\n"),
    ("E0323", "fn f(x: f32[N, N]) -> f32:\n    y = x[x > 0.0]\n    return sum(y)\n"),
    ("E0324", _F + "    t = (1.0, 2.0)\n    return 1.0\n"),
    ("E0315", _F + "    y = []\n    return 1.0\n"),
    ("E0314", _F + "    y = relu\n    return 1.0\n"),
    ("E0312", _F + "    y = f(1.0, 2.0)\n    return y\n"),
    # names
    ("E0201", _F + "    return sofmax(x)\n"),
    ("E0209", _F + "    if N > 2:\n        y = 1.0\n    return y\n"),
    ("E0204", "fn f() -> i32:\n    return 1\nfn f() -> i32:\n    return 2\n"),
    ("E0204", "fn f(x: f32, x: f32) -> f32:\n    return x\n"),
    ("E0210", "fn f(xs: List[f32]):\n    xs.push(1.0)\n"),
    # control
    ("E0401", _F + "    for i in 0..N:\n        return x[i]\n"),
    ("E0402", _F + "    return 1.0\n    y = 2.0\n"),
    ("E0405", _F + "    sum(x)\n    return 1.0\n"),
    ("E0406", "fn f(x: f32[N]) -> f32[N]:\n    x[0] = 1.0\n    return x\n"),
    ("E0406", _F + "    for i in 0..3:\n        i = 4\n    return 1.0\n"),
    ("E0407", "fn f(x: mut f32[N]):\n    x = zeros(N + 1)\n"),
    ("E0410", _F + "    y = x\n    for i in 0..3:\n        y = concat(y, x)\n    return 1.0\n"),
    (
        "E0418",
        _F + "    y = x\n    if N > 3:\n        y = concat(x, x)\n    return sum(y)\n",
    ),
    ("E0413", _F + "    static for i in 0..N:\n        y = 1.0\n    return 1.0\n"),
    (
        "E0420",
        "fn g(x: mut f32):\n    x = 1.0\nfn f() -> f32:\n    y = 2.0\n    g(y)\n    return y\n",
    ),
    (
        "E0421",
        "fn g(x: mut f32[N], y: f32[N]):\n    x = y\nfn f(x: mut f32[N]):\n    g(mut x, x)\n",
    ),
    # keys
    ("E0419", "fn f(k: Key) -> f32:\n    return normal(k) + normal(k)\n"),
    (
        "E0411",
        "fn f(k: Key) -> f32:\n    y = 0.0\n    for i in 0..3:\n"
        "        y += normal(k)\n    return y\n",
    ),
    ("E0411", "fn f(k: Key, x: f32[N]) -> f32[N]:\n    return map(fn(v) => v + normal(k), x)\n"),
    (
        "E0419",
        "fn f(k: Key, b: bool) -> f32:\n    y = 0.0\n    if b:\n        y = normal(k)\n"
        "    return y + uniform(k)\n",
    ),
    # algebraic types
    (
        "E0417",
        "type T = A | B(x: f32)\nfn f(t: T) -> f32:\n    match t:\n"
        "        A:\n            return 1.0\n",
    ),
    ("E0310", "type T = A(t: T)\nfn f(t: T) -> f32:\n    return 1.0\n"),
    ("E0303", "model M[H]:\n    w: f32[H] ~ zeros()\nmodel N[H]:\n    m: M\n"),
    # functions and generics
    (
        "E0337",
        "fn h[B: const](x: f32[N]) -> f32:\n    return h[B=B - 1](x) if B > 0 else sum(x)\n"
        "export fn f(x: f32[N]) -> f32:\n    return h[B=3](x)\n",
    ),
    (
        "E0337",
        "fn h(x: f32, n: const) -> f32:\n    return x if n == 0 else h(x, n - 1)\n"
        "export fn f(x: f32) -> f32:\n    return h(x, 3)\n",
    ),
    (
        "E0318",
        'fn h(x: f32[N], kind: const = "sum") -> f32:\n    y = x[0] == "sum"\n    return 1.0\n',
    ),
    ("E0340", "export fn f[T: float](x: T[N]) -> T[N]:\n    return x\n"),
    ("E0340", "export fn f(x: f32[*S]) -> f32:\n    return sum(x)\n"),
    ("E0307", "fn f[T: floating](x: T[N]) -> T[N]:\n    return x\n"),
    ("E0352", "fn f(x: f32 = 1) -> f32:\n    return x\nfn g(n: i32 = 0.5) -> i32:\n    return n\n"),
    # derivatives
    ("E0502", _F + "    return sum(x)\nfn g(x: f32[N]) -> f32[N]:\n    return grad(f, wrt=y)(x)\n"),
    (
        "E0503",
        "fn f(x: f32[N]) -> f32[N]:\n    return x\n"
        "fn g(x: f32[N]) -> f32[N]:\n    return grad(f, wrt=x)(x)\n",
    ),
    (
        "E0505",
        "fn f(i: i32) -> f32:\n    return f32(i)\n"
        "fn g(i: i32) -> f32:\n    return grad(f, wrt=i)(i)\n",
    ),
    (
        "E0504",
        "fn f(s: mut f32, x: f32) -> f32:\n    s = x\n    return x\n"
        "fn g(s: mut f32, x: f32) -> f32:\n    return grad(f, wrt=x)(mut s, x)\n",
    ),
    # derivatives
    ("E0312", _F + "    return jvp(g, wrt=y)(x)\n\nfn g(y: f32[N]) -> f32:\n    return sum(y)\n"),
    (
        "E0502",
        "model M[H]:\n    a: f32[H] ~ zeros()\nfn l(m: M) -> f32:\n    return sum(m.a)\n"
        "fn f(m: M) -> f32[m.H]:\n    return grad(l, wrt=m.a)(m)\n",
    ),
    ("E0502", _F + "    return grad(fn(y) => y * y, wrt=x)(sum(x))\n"),
]
