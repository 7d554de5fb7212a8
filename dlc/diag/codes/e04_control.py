"""E04xx: control flow, assignment, keys and effects."""

from __future__ import annotations

from dlc.diag.codes.code import Code

_TREE = "type Tree = Leaf(w: i32) | Node(a: Tree, b: Tree)\n"

CODES: tuple[Code, ...] = (
    Code(
        "E0401",
        "a path returns nothing",
        "Every path through a function with a result ends with `return`. A loop may have no turn, "
        "so what follows it has to return.",
        bad="fn f(x: f32) -> f32:\n    if x > 0.0:\n        return x\n",
        good="fn f(x: f32) -> f32:\n    if x > 0.0:\n        return x\n    return -x\n",
    ),
    Code(
        "E0402",
        "code that is never reached",
        "Every path before it returns, breaks or continues.",
        bad="fn f(x: f32) -> f32:\n    return x\n    y = x\n",
        good="fn f(x: f32) -> f32:\n    y = x\n    return y\n",
    ),
    Code(
        "E0403",
        "a condition that is not a bool",
        "`if`, `while`, `assert` and `a if c else b` take one bool. `all` and `any` make one of "
        "many.",
        bad="fn f(x: f32[N]) -> f32:\n    if x > 0.0:\n        return 1.0\n    return 0.0\n",
        good="fn f(x: f32[N]) -> f32:\n    if all(x > 0.0):\n        return 1.0\n    return 0.0\n",
    ),
    Code(
        "E0404",
        "`break` or `continue` without a loop",
        "They belong to the innermost `for` or `while`. A `static for` is unrolled and has none.",
        bad="fn f(x: f32) -> f32:\n    if x > 0.0:\n        break\n    return x\n",
        good="fn f(x: f32) -> f32:\n    if x > 0.0:\n        return x\n    return -x\n",
    ),
    Code(
        "E0405",
        "a value where none is used, or none where one is",
        "A line that is an expression must give no value; `_ = e` drops one on purpose. A call "
        "without a result cannot be an operand.",
        bad="fn f(x: f32) -> f32:\n    exp(x)\n    return x\n",
        good="fn f(x: f32) -> f32:\n    _ = exp(x)\n    return x\n",
    ),
    Code(
        "E0406",
        "a constant is assigned",
        "Parameters without `mut`, loop and pattern variables, dims and const names keep their "
        "value; that keeps `m.H` true. A Key parameter may be assigned.",
        bad="fn f(x: f32) -> f32:\n    x = x + 1.0\n    return x\n",
        good="fn f(x: f32) -> f32:\n    y = x + 1.0\n    return y\n",
    ),
    Code(
        "E0407",
        "a `mut` parameter keeps its type",
        "The caller's variable has this type and these dims after the call as well.",
        bad="fn f(x: mut f32[N], y: f32[M]):\n    x = y\n",
        good="fn f(x: mut f32[N], y: f32[N]):\n    x = y\n",
    ),
    Code(
        "E0408",
        "this cannot be assigned",
        "Names and elements of variables are assigned. Fields never are: a new model is made by "
        "`each`, or by a function that returns one.",
        bad="model Net[H]:\n    b: f32[H] ~ zeros()\nfn f(m: mut Net):\n    m[0] = 1.0\n",
        good="fn f(b: mut f32[H]):\n    b[0] = 1.0\n",
    ),
    Code(
        "E0410",
        "a variable changes its type in a loop",
        "After any number of turns a variable has one type and the same dims.",
        bad="fn f(x: f32[N]) -> f32:\n    y = x\n    for i in 0..3:\n"
        "        y = concat(y, y)\n    return sum(y)\n",
        good="fn f(x: f32[N]) -> f32:\n    ys: List[f32[N]] = []\n    for i in 0..3:\n"
        "        push(mut ys, x)\n    return sum(ys[0])\n",
    ),
    Code(
        "E0411",
        "a key would be spent many times",
        "A loop or a function value that runs many times cannot use up one key: each turn needs "
        "its "
        "own.",
        bad="fn f(k: Key) -> f32:\n    s = 0.0\n    for i in 0..3:\n"
        "        s += sum(normal(k, 4))\n    return s\n",
        good="fn f(k: Key) -> f32:\n    s = 0.0\n    for i in 0..3:\n        k, a = split(k)\n"
        "        s += sum(normal(a, 4))\n    return s\n",
    ),
    Code(
        "E0412",
        "a key inside a value",
        "A Key is used once, so it is not kept in lists, options, models or algebraic values.",
        bad="type Draw = Once(k: Key)\n",
        good="type Draw = Once(seed: i64)\n",
    ),
    Code(
        "E0413",
        "a `static for` over what is not known",
        "It is unrolled when compiling, so its bounds are numbers or const names.",
        bad="fn f(x: f32[N]) -> f32:\n    s = 0.0\n    static for i in 0..N:\n"
        "        s += x[i]\n    return s\n",
        good="fn f[N: const](x: f32[N]) -> f32:\n    s = 0.0\n    static for i in 0..N:\n"
        "        s += x[i]\n    return s\n",
    ),
    Code(
        "E0414",
        "a `static for` with too many turns",
        "Each turn is a copy of the body. 4096 in one function are the most.",
        bad="fn f(x: f32) -> f32:\n    y = x\n    static for i in 0..100000:\n"
        "        y += x\n    return y\n",
        good="fn f(x: f32) -> f32:\n    y = x\n    for i in 0..100000:\n"
        "        y += x\n    return y\n",
    ),
    Code(
        "E0415",
        "only algebraic values are matched",
        "`match` takes a value of a declared `type`, or an Option, apart.",
        bad="fn f(x: i32) -> i32:\n    match x:\n        _:\n            return 0\n",
        good="fn f(x: i32) -> i32:\n    return 0 if x == 1 else x\n",
    ),
    Code(
        "E0416",
        "an arm that is never reached",
        "Arms before it take every value that it could take.",
        bad=_TREE + "fn f(t: Tree) -> i32:\n    match t:\n        _:\n            return 0\n"
        "        Leaf(w):\n            return w\n",
        good=_TREE + "fn f(t: Tree) -> i32:\n    match t:\n        Leaf(w):\n            return w\n"
        "        _:\n            return 0\n",
    ),
    Code(
        "E0417",
        "a match that forgets a variant",
        "Every variant needs its arm, or `_:` takes the rest.",
        bad=_TREE + "fn f(t: Tree) -> i32:\n    match t:\n        Leaf(w):\n            return w\n",
        good=_TREE + "fn f(t: Tree) -> i32:\n    match t:\n        Leaf(w):\n            return w\n"
        "        Node(a, b):\n            return f(a) + f(b)\n",
    ),
    Code(
        "E0418",
        "a variable with two types",
        "Where paths meet, a variable that is read afterwards has one type on all of them.",
        bad="fn f(x: f32[N]) -> f32:\n    y = x\n    if sum(x) > 0.0:\n"
        "        y = concat(x, x)\n    return sum(y)\n",
        good="fn f(x: f32[N]) -> f32:\n    s = sum(x)\n    if s > 0.0:\n"
        "        s = sum(concat(x, x))\n    return s\n",
    ),
    Code(
        "E0419",
        "a key is used twice",
        "Two draws with one key are the same draw. `split` makes two keys of one.",
        bad="fn f(k: Key) -> f32[4]:\n    return normal(k, 4) + normal(k, 4)\n",
        good="fn f(k: Key) -> f32[4]:\n    a, b = split(k)\n"
        "    return normal(a, 4) + normal(b, 4)\n",
    ),
    Code(
        "E0420",
        "a call changes what is not marked",
        "What a call changes is marked where it is called: `push(mut xs, v)`.",
        bad="fn bump(x: mut f32):\n    x = x + 1.0\nfn f(y: mut f32):\n    bump(y)\n",
        good="fn bump(x: mut f32):\n    x = x + 1.0\nfn f(y: mut f32):\n    bump(mut y)\n",
    ),
    Code(
        "E0421",
        "a changed variable is used by the same call",
        "A `mut` argument stands for one variable that no other argument mentions.",
        bad="fn add(x: mut f32, d: f32):\n    x += d\nfn f(y: mut f32):\n    add(mut y, y)\n",
        good="fn add(x: mut f32, d: f32):\n    x += d\n"
        "fn f(y: mut f32):\n    old = y\n    add(mut y, old)\n",
    ),
    Code(
        "E0422",
        "`mut` for a parameter that is not",
        "Only a parameter that is declared `mut` changes its argument.",
        bad="fn g(x: f32) -> f32:\n    return x\nfn f(y: mut f32) -> f32:\n    return g(mut y)\n",
        good="fn g(x: f32) -> f32:\n    return x\nfn f(y: mut f32) -> f32:\n    return g(y)\n",
    ),
    Code(
        "E0423",
        "this cannot be changed",
        "A `mut` argument is a plain variable. A function value changes nothing outside itself.",
        bad="fn bump(x: mut f32):\n    x += 1.0\nfn f(y: f32):\n    bump(mut 2.0 * y)\n",
        good="fn bump(x: mut f32):\n    x += 1.0\nfn f(y: f32):\n    z = 2.0 * y\n    bump(mut z)\n"
        "",
    ),
    Code(
        "E0424",
        "an arm with another number of fields",
        "An arm names all fields of its variant; `_` drops one.",
        bad=_TREE + "fn f(t: Tree) -> i32:\n    match t:\n        Leaf(w):\n            return w\n"
        "        Node(a):\n            return f(a)\n",
        good=_TREE + "fn f(t: Tree) -> i32:\n    match t:\n        Leaf(w):\n            return w\n"
        "        Node(a, _):\n            return f(a)\n",
    ),
    Code(
        "E0425",
        "a `return` with or without a value",
        "A function with a result returns a value on every path, one without returns none.",
        bad="fn f(x: mut f32):\n    return x\n",
        good="fn f(x: mut f32):\n    x += 1.0\n    return\n",
    ),
    Code(
        "E0427",
        "an assertion that never holds",
        "What is asserted is known to be false when compiling.",
        bad="fn f(x: f32[N]) -> f32:\n    assert N == N + 1\n    return sum(x)\n",
        good="fn f(x: f32[N], y: f32[M]) -> f32:\n    assert N == M\n    return dot(x, y)\n",
    ),
    Code(
        "E0428",
        "a decorator that means nothing",
        "There are `@checkpoint(none | sqrt | every=k)`, `@vjp(rule)` and `@batch(levels | off)`.",
        bad="@chekpoint(sqrt)\nfn f(x: f32) -> f32:\n    return x\n",
        good="@checkpoint(sqrt)\nfn f(x: f32) -> f32:\n    return x\n",
    ),
)
