"""E02xx: names and modules."""

from __future__ import annotations

from dlc.diag.codes.code import Code

CODES: tuple[Code, ...] = (
    Code(
        "E0201",
        "a name that means nothing here",
        "Names are those of the file, of what it imports, of the function and of the prelude. A "
        "name of the library has to be imported: `from nn import gru`.",
        bad="fn f(x: f32[N]) -> f32[N]:\n    return sofmax(x)\n",
        good="fn f(x: f32[N]) -> f32[N]:\n    return softmax(x)\n",
    ),
    Code(
        "E0202",
        "no such module",
        "`import` looks for a file beside the importing one, then in the library.",
        bad="import nnn\nfn f(x: f32) -> f32:\n    return x\n",
        good="import nn\nfn f(m: nn.Linear, x: f32[m.I]) -> f32[m.O]:\n    return nn.linear(m, x)\n"
        "",
    ),
    Code(
        "E0203",
        "a module has no such name",
        "Only what a module declares itself can be taken from it, not what it imports.",
        bad="from nn import Linaer\nfn f(x: f32) -> f32:\n    return x\n",
        good="from nn import Linear, linear\n"
        "fn f(m: Linear, x: f32[m.I]) -> f32[m.O]:\n    return linear(m, x)\n",
    ),
    Code(
        "E0204",
        "a name is defined twice",
        "Each name of a file, of a function's parameters, of a model's fields and dims means one "
        "thing. A file may hide names of the prelude. Types and constructors share the names of a "
        "file: `type Point = Point(x: f32)` defines one twice, `type Point = At(x: f32)` does not.",
        bad="fn f(x: f32) -> f32:\n    return x\nfn f(y: f32) -> f32:\n    return -y\n",
        good="fn f(x: f32) -> f32:\n    return x\nfn g(y: f32) -> f32:\n    return -y\n",
    ),
    Code(
        "E0205",
        "a module is in two places",
        "A file beside the importing one has the name of a module of the library. Which one is "
        "meant is not guessed.",
        bad="from nn import gru\nfn f(x: f32) -> f32:\n    return x\n",
        files=(("nn.dl", "fn gru(x: f32) -> f32:\n    return x\n"),),
        good="fn f(x: f32) -> f32:\n    return x\n",
    ),
    Code(
        "E0206",
        "modules import each other in a circle",
        "A module is checked after all that it imports, so imports have no circles.",
        bad="from other import g\nfn f(x: f32) -> f32:\n    return g(x)\n",
        files=(("other.dl", "from example import f\nfn g(x: f32) -> f32:\n    return f(x)\n"),),
        good="fn f(x: f32) -> f32:\n    return x\n",
    ),
    Code(
        "E0207",
        "no such dim",
        "`m.H` reads a dim that the model, the type, the graph or the segments declare.",
        bad="model Net[X, H]:\n    w: f32[H, X] ~ glorot()\n"
        "fn f(m: Net, x: f32[m.D]) -> f32[m.H]:\n    return m.w @ x\n",
        good="model Net[X, H]:\n    w: f32[H, X] ~ glorot()\n"
        "fn f(m: Net, x: f32[m.X]) -> f32[m.H]:\n    return m.w @ x\n",
    ),
    Code(
        "E0208",
        "a name of the language",
        "Names of element types and of builtin types, `true`, `false`, `Some` and `None` cannot be "
        "declared again.",
        bad="fn f32(x: i32) -> i32:\n    return x\n",
        good="fn single(x: i32) -> i32:\n    return x\n",
    ),
    Code(
        "E0209",
        "a variable may have no value",
        "On some path to this place nothing was assigned. A loop may have no turn.",
        bad="fn f(x: f32) -> f32:\n    if x > 0.0:\n        y = x\n    return y\n",
        good="fn f(x: f32) -> f32:\n    y = 0.0\n    if x > 0.0:\n        y = x\n    return y\n",
    ),
    Code(
        "E0210",
        "no such field",
        "Only models have fields, and dims by name. There are no methods: `f(x)`, not `x.f()`.",
        bad="fn f(x: f32) -> List[f32]:\n    xs: List[f32] = []\n    xs.push(x)\n    return xs\n",
        good="fn f(x: f32) -> List[f32]:\n"
        "    xs: List[f32] = []\n    push(mut xs, x)\n    return xs\n",
    ),
    Code(
        "E0211",
        "no such variant",
        "An arm of a `match` names a variant of the type that is matched.",
        bad="type Tree = Leaf(w: i32) | Node(a: Tree, b: Tree)\n"
        "fn f(t: Tree) -> i32:\n    match t:\n        Laef(w):\n            return w\n"
        "        _:\n            return 0\n",
        good="type Tree = Leaf(w: i32) | Node(a: Tree, b: Tree)\n"
        "fn f(t: Tree) -> i32:\n    match t:\n        Leaf(w):\n            return w\n"
        "        _:\n            return 0\n",
    ),
)
