"""Reads the text that `printer` writes. A mistake is a `ReadError` with its line and column."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dlc.ir.core import (
    NOWHERE,
    AdtDecl,
    Attr,
    Constructor,
    Field,
    Function,
    Loc,
    Module,
    Op,
    Region,
    Value,
    freeze_attrs,
)
from dlc.typesys.dims import Dim, DimError, parse_dim
from dlc.typesys.dtypes import DTYPES
from dlc.typesys.types import AdtType, ListType, TensorType, Type

MAX_NESTING = 256
MAX_BRACKETS = 32

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+|;[^\n]*)|(?P<value>%[A-Za-z0-9_?][\w.$?]*)|(?P<symbol>@[A-Za-z_][\w.$]*)"
    r"|(?P<string>\"(?:[^\"\\\n]|\\.)*\")|(?P<number>-?(?:\d+\.\d*(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|\d+)|-inf\b)"
    r"|(?P<name>[A-Za-z_][\w.$]*)|(?P<punct>->|\*\*|//|[-+*%(){}\[\],:=|!])"
)


class ReadError(ValueError):
    """Text that is no IR. `line` and `column` are 1-based."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"{line}:{column}: {message}")
        self.message, self.line, self.column = message, line, column


@dataclass(frozen=True, slots=True)
class _Tok:
    kind: str
    text: str
    at: int


def read_module(text: str) -> Module:
    """The module of the text. Structure only: types are checked by the verifier."""
    return _Reader(text).module()


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.toks = self._lex(text)
        self.i = 0
        self.depth = 0
        self.files: dict[int, str] = {}
        self.env: dict[str, Value] = {}

    def _lex(self, text: str) -> list[_Tok]:
        out: list[_Tok] = []
        at = 0
        while at < len(text):
            m = _TOKEN.match(text, at)
            if m is None:
                self.i = 0
                raise self._error_at(f"unexpected character {text[at]!r}", at)
            kind = m.lastgroup or ""
            if kind != "space":
                out.append(_Tok(kind, m.group(), at))
            at = m.end()
        out.append(_Tok("end", "", len(text)))
        return out

    def _error_at(self, message: str, at: int) -> ReadError:
        line = self.text.count("\n", 0, at) + 1
        return ReadError(message, line, at - (self.text.rfind("\n", 0, at) + 1) + 1)

    def error(self, message: str) -> ReadError:
        return self._error_at(message, self.toks[self.i].at)

    # -- tokens

    def peek(self, text: str) -> bool:
        return self.toks[self.i].text == text and self.toks[self.i].kind != "string"

    def accept(self, text: str) -> bool:
        if self.peek(text):
            self.i += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise self.error(f"expected `{text}`, found `{self.toks[self.i].text or 'the end'}`")

    def take(self, kind: str) -> str:
        t = self.toks[self.i]
        if t.kind != kind:
            raise self.error(f"expected a {kind}, found `{t.text or 'the end'}`")
        self.i += 1
        return t.text

    def integer(self) -> int:
        text = self.take("number")
        try:
            return int(text)
        except ValueError:
            self.i -= 1
            raise self.error(f"expected a whole number, found `{text}`") from None

    def names(self) -> tuple[str, ...]:
        out = [self.take("name")]
        while self.accept(","):
            out.append(self.take("name"))
        return tuple(out)

    # -- module

    def module(self) -> Module:
        types: dict[str, AdtDecl] = {}
        functions: dict[str, Function] = {}
        while self.toks[self.i].kind != "end":
            if self.accept("source"):
                n = self.integer()
                self.files[n] = self.string()
            elif self.accept("type"):
                t = self.adt()
                if t.name in types:
                    raise self.error(f"type @{t.name} is declared twice")
                types[t.name] = t
            else:
                self.expect("fn")
                fn = self.function()
                if fn.name in functions:
                    raise self.error(f"function @{fn.name} is defined twice")
                functions[fn.name] = fn
        return Module.of(types, functions)

    def adt(self) -> AdtDecl:
        name = self.take("symbol")[1:]
        dims: tuple[str, ...] = ()
        if self.accept("["):
            dims = self.names()
            self.expect("]")
        self.expect("=")
        cs: list[Constructor] = []
        while True:
            c = self.take("name")
            hidden: tuple[str, ...] = ()
            if self.accept("{"):
                hidden = self.names()
                self.expect("}")
            fields: list[Field] = []
            if self.accept("("):
                while True:
                    f = self.take("name")
                    self.expect(":")
                    fields.append(Field(f, self.type()))
                    if not self.accept(","):
                        break
                self.expect(")")
            cs.append(Constructor(c, tuple(fields), hidden))
            if not self.accept("|"):
                return AdtDecl(name, dims, tuple(cs))

    def function(self) -> Function:
        name = self.take("symbol")[1:]
        self.env = {}
        dims: tuple[str, ...] = ()
        if self.accept("["):
            dims = self.names()
            self.expect("]")
        params = self.params()
        self.expect("->")
        self.expect("(")
        results: list[Type] = []
        while not self.accept(")"):
            results.append(self.type())
            if not self.peek(")"):
                self.expect(",")
        result_dims = self.names() if self.accept("def") else ()
        attrs = self.attrs() if self.peek("{") and not self._body_follows() else freeze_attrs({})
        loc = self.loc()
        body = Region((), self.block())
        return Function(name, dims, params, tuple(results), body, result_dims, attrs, loc)

    def _body_follows(self) -> bool:
        """True if `{` opens a body: attributes are `{key=…`, and no operation is named before
        `=`."""
        return not (self.toks[self.i + 1].kind == "name" and self.toks[self.i + 2].text == "=")

    def params(self) -> tuple[Value, ...]:
        self.expect("(")
        out: list[Value] = []
        while not self.accept(")"):
            name = self.take("value")[1:]
            self.expect(":")
            out.append(self.define(name, self.type()))
            if not self.peek(")"):
                self.expect(",")
        return tuple(out)

    def define(self, name: str, t: Type) -> Value:
        if name in self.env:
            raise self.error(f"%{name} is defined twice")
        v = self.env[name] = Value(t, name)
        return v

    def block(self) -> tuple[Op, ...]:
        self.expect("{")
        self.deeper()
        ops: list[Op] = []
        while not self.accept("}"):
            ops.append(self.op())
        self.depth -= 1
        return tuple(ops)

    def op(self) -> Op:
        names: list[str] = []
        while self.toks[self.i].kind == "value":
            names.append(self.take("value")[1:])
            if not self.accept(","):
                self.expect("=")
                break
        name = self.take("name")
        operands: list[Value] = []
        while self.toks[self.i].kind == "value":
            v = self.take("value")[1:]
            if v not in self.env:
                self.i -= 1
                raise self.error(f"%{v} is used before it is defined")
            operands.append(self.env[v])
            if not self.accept(","):
                break
        attrs = self.attrs() if self.peek("{") else freeze_attrs({})
        dims = self.names() if self.accept("def") else ()
        regions: list[Region] = []
        while self.peek("("):
            params = self.params()
            rdims = self.names() if self.accept("def") else ()
            regions.append(Region(params, self.block(), rdims))
        results: list[Value] = []
        if names:
            self.expect(":")
            for k, n in enumerate(names):
                if k:
                    self.expect(",")
                results.append(self.define(n, self.type()))
        return Op(name, tuple(operands), tuple(results), attrs, tuple(regions), dims, self.loc())

    def loc(self) -> Loc:
        if not self.accept("!"):
            return NOWHERE
        f = self.integer()
        self.expect(":")
        line = self.integer()
        self.expect(":")
        column = self.integer()
        if f not in self.files:
            raise self.error(f"source {f} is not declared")
        return Loc(self.files[f], line, column)

    # -- types and attributes

    def deeper(self) -> None:
        """One more level of regions, types or attributes in each other."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise self.error(f"nested deeper than {MAX_NESTING}")

    def type(self) -> Type:
        t = self.toks[self.i]
        if t.kind == "symbol":
            self.i += 1
            return AdtType(t.text[1:], self.dim_list())
        name = self.take("name")
        if name == "List":
            self.expect("[")
            self.deeper()
            cols = [self.type()]
            while self.accept(","):
                cols.append(self.type())
            self.expect("]")
            self.depth -= 1
            return ListType(tuple(cols))
        if name not in DTYPES:
            self.i -= 1
            raise self.error(f"`{name}` is no type")
        return TensorType(DTYPES[name], self.dim_list())

    def dim_list(self) -> tuple[Dim, ...]:
        if not self.accept("["):
            return ()
        out = [self.dim(",]")]
        while self.accept(","):
            out.append(self.dim(",]"))
        self.expect("]")
        return tuple(out)

    def dim(self, ends: str) -> Dim:
        start, level = self.i, 0
        while True:
            t = self.toks[self.i].text
            if self.toks[self.i].kind == "end" or (level == 0 and t and t in ends):
                break
            level += (t == "(") - (t == ")")
            if level > MAX_BRACKETS:
                raise self.error(f"a dim of more than {MAX_BRACKETS} brackets in each other")
            self.i += 1
        text = " ".join(t.text for t in self.toks[start : self.i])
        try:
            return parse_dim(text)
        except DimError as e:
            self.i = start
            raise self.error(str(e)) from None

    def attrs(self) -> Mapping[str, Attr]:
        self.expect("{")
        out: dict[str, Attr] = {}
        while not self.accept("}"):
            k = self.take("name")
            self.expect("=")
            out[k] = self.attr()
            if not self.peek("}"):
                self.expect(",")
        return freeze_attrs(out)

    def attr(self) -> Attr:
        t = self.toks[self.i]
        if t.kind == "string":
            return self.string()
        if t.kind == "number":
            return self.number()
        if self.accept("["):
            self.deeper()
            out: list[Attr] = []
            while not self.accept("]"):
                out.append(self.attr())
                if not self.peek("]"):
                    self.expect(",")
            self.depth -= 1
            return tuple(out)
        name = self.take("name")
        if name in ("true", "false"):
            return name == "true"
        if name in ("nan", "inf"):
            return float(name)
        self.expect("(")
        if name == "dim":
            v: Attr = self.dim(")")
        elif name == "dtype":
            v = DTYPES[self.dtype_name()]
        elif name == "type":
            v = self.type()
        elif name == "array":
            v = self.array()
        else:
            raise self.error(f"`{name}(` begins no attribute")
        self.expect(")")
        return v

    def string(self) -> str:
        text = self.take("string")
        try:
            return str(json.loads(text))
        except ValueError:
            self.i -= 1
            raise self.error("a string with an unknown escape") from None

    def number(self) -> int | float:
        text = self.take("number")
        try:
            return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
        except ValueError:
            self.i -= 1
            raise self.error("a number of too many digits") from None

    def dtype_name(self) -> str:
        d = self.take("name")
        if d not in DTYPES:
            self.i -= 1
            raise self.error(f"`{d}` is no element type")
        return d

    def array(self) -> Attr:
        start = self.i
        d = self.dtype_name()
        self.expect(",")
        shape = self.attr()
        self.expect(",")
        items = self.attr()
        sizes: list[int] = []
        for n in shape if isinstance(shape, tuple) else (None,):
            if not isinstance(n, int) or isinstance(n, bool) or n < 0:
                self.i = start
                raise self.error("array attribute: its shape is no list of sizes")
            sizes.append(n)
        try:
            if not isinstance(items, tuple):
                raise ValueError("its elements are no list")
            return np.array(items, dtype=DTYPES[d].numpy).reshape(sizes)
        except (ValueError, OverflowError, TypeError) as e:
            self.i = start
            raise self.error(f"array attribute: {e}") from None
