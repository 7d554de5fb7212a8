"""What to say about names and methods of other array languages, where dl writes something else."""

from __future__ import annotations

NAMES = {
    "range": "a range is written `a..b`",
    "print": "there is no output; return what you want to see",
    "pass": "a block has at least one statement; `return` alone does nothing",
    "append": "`push(mut xs, v)`",
    "matmul": "write `a @ b`",
    "pow": "write `x ** y`",
    "size": "`len(x)`, or a dim of the signature",
    "shape": "a dim of the signature has a name; `len(x)` is the first",
    "power": "write `x ** y`",
    "int": "write `i32(x)`",
    "str": "the language has no texts at run time",
    "enumerate": "write `for i in 0..len(xs):` and `xs[i]`",
    "zip": "write `for i in 0..len(xs):` and `xs[i]`",
    "cat": "`concat(a, b, axis=0)`",
    "concatenate": "`concat(a, b, axis=0)`",
    "hstack": "`concat(a, b, axis=1)`",
    "stack": "`[a, b]` is a tensor of equal parts",
    "arange": "`iota(n)` is 0, 1, …, n - 1",
    "full": "`fill(value, n)`",
    "rand": "`uniform(key, n)`, with a parameter `key: Key`",
    "randn": "`normal(key, n)`, with a parameter `key: Key`",
    "randint": "`bits(key, n)`, with a parameter `key: Key`",
    "mm": "write `a @ b`",
    "bmm": "write `a @ b`",
    "clip": "`clamp(x, low, high)`",
    "tensor": "`[a, b]` is a tensor; a type's name converts",
    "array": "`[a, b]` is a tensor; a type's name converts",
    "null": "write `None`",
    "nil": "write `None`",
    "Nothing": "write `None`",
    "self": "there are no methods; give the model as the first parameter: `fn f(m: Net, …)`",
}
"""Remedies for unknown names."""

_CONVERSION = "a type's name converts: `f32(x)`"
_DIMS = "a dim of the signature has a name; `len(x)` is the first dim"
_PLACE = "remove it; where a program runs is chosen when it is compiled"
_COPY = "remove it: `y = x` never shares what changes"

METHODS = {
    "size": _DIMS,
    "dim": _DIMS,
    "shape": _DIMS,
    "ndim": _DIMS,
    "t": "write `x.T`",
    "transpose": "write `x.T`, or `transpose(x, 1, 0, 2)` for more dims",
    "permute": "`transpose(x, 1, 0, 2)` permutes the dims",
    "view": "`reshape(x, N, M)`",
    "flatten": "`reshape(x, N * M)`",
    "unsqueeze": "`column(x)` is f32[N, 1]; `reshape(x, 1, N)`",
    "squeeze": "`reshape(x, N)`, or an index: `x[0]`",
    "item": "an element is `x[0]`; a scalar needs nothing",
    "detach": "`stop_grad(x)`",
    "backward": "`grad(f, wrt=x)(…)` is the gradient of the function `f`",
    "requires_grad_": "`grad(f, wrt=x)(…)` says what is differentiated",
    "zero_grad": "gradients are values; nothing is accumulated",
    "mm": "write `x @ y`",
    "matmul": "write `x @ y`",
    "pow": "write `x ** y`",
    "to": _CONVERSION,
    "type": _CONVERSION,
    "astype": _CONVERSION,
    "float": _CONVERSION,
    "double": "write `f64(x)`",
    "half": "write `f16(x)`",
    "bfloat16": "write `bf16(x)`",
    "int": "write `i32(x)`",
    "long": "write `i64(x)`",
    "bool": "write `x != 0`",
    "numpy": _PLACE,
    "cpu": _PLACE,
    "cuda": _PLACE,
    "clone": _COPY,
    "copy": _COPY,
    "contiguous": "remove it; every tensor is",
    "extend": "push the values one by one: `for v in vs:` and `push(mut xs, v)`",
    "forward": "a function takes the model as its argument: `forward(m, x)`",
}
"""Remedies for methods that no function of the same name replaces."""

ROOTS = frozenset(
    {"torch", "np", "numpy", "jnp", "jax", "tf", "math", "F", "nn", "K", "mx", "self"}
)
"""Names of modules that a program written for something else would have."""

KEYWORDS = {
    "dim": "an axis is called `axis`; a function without one is along the last dim",
    "keepdim": "a dim that is reduced is gone; `column(s)` makes `f32[N]` into `f32[N, 1]`",
    "keepdims": "a dim that is reduced is gone; `column(s)` makes `f32[N]` into `f32[N, 1]`",
    "dtype": "a type's name converts: `f32(x)`",
    "device": "remove it; where a program runs is chosen when it is compiled",
    "requires_grad": "`grad(f, wrt=x)(…)` says what is differentiated",
}
"""Remedies for keywords of calls."""
