"""E03xx: types as they are written, dims of signatures and declarations."""

from __future__ import annotations

from dlc.diag.codes.code import Code

_NET = "model Net[X, H]:\n    w: f32[H, X] ~ glorot()\n"

CODES: tuple[Code, ...] = (
    Code(
        "E0301",
        "this is not a type",
        "A type is an element type, a builtin type, a `model` or a `type`.",
        bad="fn g(x: f32) -> f32:\n    return x\nfn f(x: g) -> f32:\n    return 0.0\n",
        good="fn f(x: f32) -> f32:\n    return x\n",
    ),
    Code(
        "E0302",
        "wrong brackets of a type",
        "Dims are given by position, then by name, each once; lists and options hold one type.",
        bad=_NET + "fn f(m: Net[3, 4, 5]) -> f32[4]:\n    return m.w[:, 0]\n",
        good=_NET + "fn f(m: Net[3, 4]) -> f32[4]:\n    return m.w[:, 0]\n",
    ),
    Code(
        "E0303",
        "a type needs its dims here",
        "In a parameter open dims become `m.H`, in a result they are found out. A field and `init` "
        "need them written out; defaults fill in.",
        bad=_NET + "model Pair[X]:\n    a: Net[X]\n",
        good=_NET + "model Pair[X, H]:\n    a: Net[X, H]\n",
    ),
    Code(
        "E0304",
        "this cannot be a dim",
        "A dim is a polynomial, with floor quotients, over names of dims, i32 parameters and "
        "variables. A value without a name cannot be in a type: name it first.",
        bad="fn f(x: f32[N]) -> f32[?k]:\n    return zeros(argmax(x))\n",
        good="fn f(x: f32[N]) -> f32[?k]:\n    n = argmax(x)\n    return zeros(n)\n",
    ),
    Code(
        "E0305",
        "a dim that no argument tells",
        "After the last parameter every dim must be found: it stands alone somewhere, or is the "
        "only unknown of a dim that is linear in it.",
        bad="fn f(x: f32[N*M]) -> f32:\n    return sum(x)\n",
        good="fn f(x: f32[N*M], y: f32[M]) -> f32:\n    return sum(x) + sum(y)\n",
    ),
    Code(
        "E0306",
        "an unknown dim where there is none",
        "`?k` names a dim that only running tells, in a result or an annotated binding. A result "
        "mentions no other names than those of the parameters.",
        bad="fn f(x: f32[N]) -> f32[K]:\n    return x\n",
        good="fn f(x: f32[N]) -> f32[N]:\n    return x\n",
    ),
    Code(
        "E0307",
        "a generic of no kind",
        "Generics are dims, `const` dims, element types (`float`, `int`, `number`, `any`) and "
        "structures (`value`). Only dims have defaults, whole numbers.",
        bad="fn f[T: real](x: T[N]) -> T[N]:\n    return x\n",
        good="fn f[T: float](x: T[N]) -> T[N]:\n    return x\n",
    ),
    Code(
        "E0308",
        "a value does not fit its variable or place",
        "An annotated binding converts nothing. Dims that are not known to be equal are checked "
        "when the program runs; dims that never are are an error.",
        bad="fn f(x: f32[N]) -> f32:\n    y: f32[N + 1] = x\n    return sum(y)\n",
        good="fn f(x: f32[N], z: f32[M]) -> f32:\n    y: f32[N] = z\n    return dot(x, y)\n",
    ),
    Code(
        "E0309",
        "a misplaced `*S`",
        "`*S` is a run of dims of any length, in the shape of a tensor of a function; at most one "
        "in a shape. As a parameter it comes last.",
        bad="fn f(x: f32[*A, *B]) -> f32:\n    return sum(x)\n",
        good="fn f(x: f32[*A, D]) -> f32:\n    return sum(x)\n",
    ),
    Code(
        "E0310",
        "a type without values",
        "Every variant needs a value of the type itself, so there is no first one; or a model "
        "contains itself.",
        bad="type Tree = Node(a: Tree, b: Tree)\n",
        good="type Tree = Leaf | Node(a: Tree, b: Tree)\n",
    ),
    Code(
        "E0311",
        "a type that cannot stand here",
        "Models hold tensors, models and Arrays of models. Functions, `const` and keys are "
        "parameters only.",
        bad="model Net[H]:\n    xs: List[f32[H]]\n",
        good="model Net[H]:\n    x: f32[H] ~ zeros()\n",
    ),
    Code(
        "E0337",
        "a const changes in a recursive call",
        "A function is compiled for each value of its const parameters; a recursive call with "
        "another value would make copies without end.",
        bad="fn f(n: const, x: f32) -> f32:\n    if n == 0:\n        return x\n"
        "    return f(n - 1, x * 2.0)\n",
        good="fn f(n: i32, x: f32) -> f32:\n    if n == 0:\n        return x\n"
        "    return f(n - 1, x * 2.0)\n",
    ),
    Code(
        "E0338",
        "a rule that does not fit",
        "`@vjp(r)`: r takes the parameters of the function, then the cotangents of its "
        "float results, and gives the tangents of the float parameters in order.",
        bad="fn r(x: f32, d: f32) -> (f32, f32):\n    return d, d\n@vjp(r)\n"
        "fn f(x: f32) -> f32:\n    return x * x\n",
        good="fn r(x: f32, d: f32) -> f32:\n    return 2.0 * x * d\n@vjp(r)\n"
        "fn f(x: f32) -> f32:\n    return x * x\n",
    ),
    Code(
        "E0339",
        "two parameter sets of one name",
        "An artefact has one set of parameters for each name of a model parameter of its exports; "
        "one name is one set, of one type. Sizes count as well: a set that has the sizes of "
        "another parameter takes them from it, `a: Net[m.I, m.H]`.",
        bad=_NET + "model Other[X]:\n    b: f32[X] ~ zeros()\n"
        "export fn f(m: Net) -> f32:\n    return sum(m.w)\n"
        "export fn g(m: Other) -> f32:\n    return sum(m.b)\n",
        good=_NET + "model Other[X]:\n    b: f32[X] ~ zeros()\n"
        "export fn f(m: Net) -> f32:\n    return sum(m.w)\n"
        "export fn g(o: Other) -> f32:\n    return sum(o.b)\n",
    ),
    Code(
        "E0340",
        "an export that is open",
        "What callers outside the program call has element types and ranks written out, and takes "
        "no functions.",
        bad="export fn f(x: f32[*S]) -> f32:\n    return sum(x)\n",
        good="export fn f(x: f32[N, D]) -> f32:\n    return sum(x)\n",
    ),
    Code(
        "E0348",
        "too many dims",
        "A tensor has at most 16 dims.",
        bad="fn f(x: f32[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]) -> f32:\n"
        "    return sum(x)\n",
        good="fn f(x: f32[1, 1, N]) -> f32:\n    return sum(x)\n",
    ),
    Code(
        "E0349",
        "a dim beyond the limits",
        "A dim has degree 16 and 1,024 terms at most, and is not divided by zero.",
        bad="fn f(x: f32[N], y: f32[N // 0]) -> f32:\n    return sum(x) + sum(y)\n",
        good="fn f(x: f32[N], y: f32[N // 2]) -> f32:\n    return sum(x) + sum(y)\n",
    ),
    Code(
        "E0350",
        "a wrong initialiser",
        "After `~` stands one of glorot, he, orthogonal, normal, uniform, zeros, ones, fill, with "
        "numbers.",
        bad="model Net[H]:\n    b: f32[H] ~ zero()\n",
        good="model Net[H]:\n    b: f32[H] ~ zeros()\n",
    ),
    Code(
        "E0351",
        "a dim that must be const",
        "The length of an Array, and dims declared `const`, are known when compiling.",
        bad="model Block[W]:\n    w: f32[W, W] ~ he()\n"
        "model Net[W, B]:\n    blocks: Array[Block[W], B]\n",
        good="model Block[W]:\n    w: f32[W, W] ~ he()\n"
        "model Net[W, B: const]:\n    blocks: Array[Block[W], B]\n",
    ),
    Code(
        "E0352",
        "a default that does not fit",
        "Numbers and `const` parameters have literal defaults of their type.",
        bad="fn f(x: f32, n: i32 = 0.5) -> f32:\n    return x * f32(n)\n",
        good="fn f(x: f32, n: i32 = 5) -> f32:\n    return x * f32(n)\n",
    ),
)
