"""Reads the text that `dlc.memory.print` writes. A mistake is a `FormError` with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np

from dlc.ir.core import NOWHERE, Attr, Loc, freeze_attrs
from dlc.ir.reader import read_module as read_ir
from dlc.memory import form as f
from dlc.memory.print import OPTIONAL, keyword
from dlc.typesys.dims import ZERO, Dim, DimError, parse_dim
from dlc.typesys.dtypes import DTYPES
from dlc.typesys.types import AdtType, ListType, TensorType, Type

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<string>\"(?:[^\"\\\n]|\\.)*\")|(?P<reg>%[\w.]+)|(?P<lane>\$[a-z]+\d+)"
    r"|(?P<number>-?(?:\d+\.\d*(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|\d+|inf\b|nan\b))"
    r"|(?P<name>[A-Za-z_][\w.$]*)|(?P<punct>->|\*\*|//|[-+*%(){}\[\],:=!@<>])"
)
_STATEMENTS: Mapping[str, type[Any]] = MappingProxyType(
    {keyword(c): c for c in get_args(f.Statement)}
)
_BLOCKS = frozenset({"then", "otherwise", "body"})
_LANES: Mapping[str, Literal["input", "temp", "index"]] = MappingProxyType(
    {"in": "input", "t": "temp", "i": "index"}
)


class FormError(ValueError):
    """Text that is no form. `line` and `column` are 1-based."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"{line}:{column}: {message}")
        self.line, self.column = line, column


def read_module(text: str) -> f.BModule:
    """The module of the text. Structure only: `dlc.memory.verify` checks the rest."""
    start = text.find("bfn @")
    head = text if start < 0 else text[:start]
    types = read_ir(head).types
    reader = _Reader(text, start if start >= 0 else len(text))
    functions: dict[str, f.BFunction] = {}
    while not reader.at_end():
        fn = reader.function()
        functions[fn.name] = fn
    return f.BModule(types, MappingProxyType(functions))


class _Reader:
    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.toks: list[tuple[str, str, int]] = []
        while at < len(text):
            m = _TOKEN.match(text, at)
            if m is None:
                raise self.wrong(f"unexpected {text[at]!r}", at)
            if m.lastgroup != "space":
                self.toks.append((m.lastgroup or "", m.group(), at))
            at = m.end()
        self.toks.append(("end", "", len(text)))
        self.i = 0
        self.regs: dict[str, f.Reg] = {}

    # -- tokens

    def wrong(self, message: str, at: int | None = None) -> FormError:
        where = self.toks[self.i][2] if at is None else at
        line = self.text.count("\n", 0, where) + 1
        return FormError(message, line, where - self.text.rfind("\n", 0, where))

    def at_end(self) -> bool:
        return self.toks[self.i][0] == "end"

    def peek(self, text: str) -> bool:
        kind, t, _ = self.toks[self.i]
        return t == text and kind != "string"

    def accept(self, text: str) -> bool:
        if self.peek(text):
            self.i += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise self.wrong(f"expected `{text}`, found `{self.toks[self.i][1] or 'the end'}`")

    def take(self, kind: str) -> str:
        k, t, _ = self.toks[self.i]
        if k != kind:
            raise self.wrong(f"expected a {kind}, found `{t or 'the end'}`")
        self.i += 1
        return t

    def sequence(self, item: Callable[[], Any], close: str) -> tuple[Any, ...]:
        """Items separated by commas, up to the closing bracket."""
        out: list[Any] = []
        while not self.accept(close):
            out.append(item())
            if not self.peek(close):
                self.expect(",")
        return tuple(out)

    # -- functions

    def function(self) -> f.BFunction:
        self.expect("bfn")
        self.expect("@")
        name = self.take("name")
        self.regs = {}
        dims = self.sequence(lambda: self.take("name"), "]") if self.accept("[") else ()
        self.expect("(")
        params = self.sequence(self.param, ")")
        self.expect("->")
        self.expect("(")
        pending = self.sequence(self.result, ")")
        result_dims, result_names, returns = (), (), ()
        if self.accept("dims"):
            result_dims, result_names = self.value(), self.value()
        self.expect("returns")
        self.expect("[")
        returns = self.sequence(lambda: self.take("reg"), "]")
        group = int(self.take("number")) if self.accept("group") else None
        entry = self.accept("entry")
        loc = self.loc()
        self.expect("{")
        slots, frame, remarks = self.declarations()
        body = self.block_rest()
        results = tuple(self.reg(n) for n, _ in pending)
        return f.BFunction(
            name, dims, params, results, tuple(t for _, t in pending), result_dims,
            tuple(map(self.reg, returns)), slots, frame, body, group, entry, loc, remarks,
            result_names,
        )  # fmt: skip

    def param(self) -> f.Param:
        mode: Any = self.take("name")
        owned = self.accept("owned")
        name = json.loads(self.take("string"))
        reg = self.take("reg")
        self.expect(":")
        t = self.type()
        made = f.Reg(_register_type(t), _hint(reg))
        self.regs[reg] = made
        return f.Param(name, mode, t, made, owned)

    def result(self) -> tuple[str, Type]:
        reg = self.take("reg")
        self.expect(":")
        return reg, self.type()

    def declarations(
        self,
    ) -> tuple[tuple[f.FrameSlot, ...], Dim, tuple[tuple[Loc, str], ...]]:
        while self.accept("reg"):
            t = self.take("name")
            kind: Any = DTYPES.get(t, t)
            while True:
                name = self.take("reg")
                self.regs[name] = f.Reg(kind, _hint(name))
                if not self.accept(","):
                    break
        slots: list[f.FrameSlot] = []
        while self.accept("slot"):
            self.take("number")
            d = DTYPES[self.take("name")]
            sizes: list[Dim] = []
            for word in ("size", "at", "bytes"):
                self.expect(word)
                sizes.append(self.bare_dim())
            slots.append(f.FrameSlot(d, *sizes))
        self.expect("frame")
        frame = self.value()
        remarks: list[tuple[Loc, str]] = []
        while self.accept("remark"):
            text = json.loads(self.take("string"))
            remarks.append((self.loc(), text))
        return tuple(slots), frame, tuple(remarks)

    def reg(self, name: str) -> f.Reg:
        if name not in self.regs:
            raise self.wrong(f"register {name} is not declared")
        return self.regs[name]

    def loc(self) -> Loc:
        if not self.accept("!"):
            return NOWHERE
        file = json.loads(self.take("string"))
        self.expect(":")
        line = int(self.take("number"))
        self.expect(":")
        return Loc(file, line, int(self.take("number")))

    # -- statements

    def block(self) -> f.Block:
        self.expect("{")
        return self.block_rest()

    def block_rest(self) -> f.Block:
        out: list[f.Statement] = []
        while not self.accept("}"):
            out.append(self.statement())
        return tuple(out)

    def statement(self) -> f.Statement:
        word = self.take("name")
        c = _STATEMENTS.get(word)
        if c is None:
            self.i -= 1
            raise self.wrong(f"`{word}` is no statement")
        given: dict[str, Any] = {}
        for x in fields(c):
            if x.name == "loc":
                continue
            if x.name in OPTIONAL:
                given.update({x.name: self.value()} if self.accept(x.name) else {})
            elif x.name == "cases":
                given["cases"] = self.cases()
            elif x.name in _BLOCKS and c is not f.Map:
                given[x.name] = self.block()
            else:
                given[x.name] = self.value()
        loc = self.loc()
        return c(**given, loc=loc) if any(x.name == "loc" for x in fields(c)) else c(**given)

    def cases(self) -> tuple[f.Case, ...]:
        out: list[f.Case] = []
        while self.accept("case"):
            name = self.take("name")
            payload = self.value()
            dims = self.value() if self.accept("dims") else ()
            out.append(f.Case(None if name == "_" else name, payload, self.block(), dims))
        return tuple(out)

    # -- values

    def value(self) -> Any:
        kind, text, _ = self.toks[self.i]
        if kind == "name" and self.toks[self.i + 1][1] == "(" and text not in _CALLED:
            return self.instruction()
        if kind in ("string", "number") or (kind == "name" and text in _CALLED):
            return self.attr()
        self.i += 1
        if kind == "reg":
            return self.reg(text)
        if kind == "lane":
            m = re.fullmatch(r"\$([a-z]+)(\d+)", text)
            assert m is not None
            return f.Lane(_LANES[m.group(1)], int(m.group(2)))
        if text == "<":
            return self.view()
        if text == "[":
            return self.sequence(self.value, "]")
        if text == "{":
            return self.attrs()
        if kind == "name":
            return self.word(text)
        self.i -= 1
        raise self.wrong(f"`{text}` begins no value")

    def word(self, text: str) -> Any:
        if text in ("true", "false"):
            return text == "true"
        if text in DTYPES:
            return DTYPES[text]
        if re.fullmatch(r"slot\d+", text):
            return f.Slot(int(text[4:]))
        if text == "none":
            return None
        self.i -= 1
        raise self.wrong(f"`{text}` is no value")

    def instruction(self) -> f.MapInstr:
        op = self.take("name")
        self.expect("(")
        args = self.sequence(self.value, ")")
        self.expect(":")
        d = DTYPES[self.take("name")]
        return f.MapInstr(op, args, d, self.attrs() if self.accept("{") else freeze_attrs({}))

    def view(self) -> f.View:
        d = DTYPES[self.take("name")]
        place = self.value()
        self.expect("[")
        shape = self.sequence(self.bare_dim, "]")
        if self.accept("("):
            strides = self.sequence(self.bare_dim, ")")
        else:
            strides = f.row_major(shape)
        base, terms = ZERO, list[tuple[f.Reg, Dim]]()
        while self.accept("+"):
            r = self.reg(self.take("reg")) if self.toks[self.i][0] == "reg" else None
            if r is not None:
                self.expect("*")
            self.expect("(")
            n = self.bare_dim()
            self.expect(")")
            if r is None:
                base = n
            else:
                terms.append((r, n))
        self.expect(">")
        return f.View(place, d, shape, strides, base, tuple(terms))

    def bare_dim(self) -> Dim:
        """A dim up to a comma, a closing bracket, or a word that is none of its names."""
        start, level = self.i, 0
        while True:
            kind, text, _ = self.toks[self.i]
            after_operand = self.i > start and self.toks[self.i - 1][0] in ("name", "number")
            after_operand = after_operand or self.toks[self.i - 1][1] == ")"
            next_word = kind == "name" and self.i > start and after_operand
            if kind == "end" or (not level and (text in (",", "]", ")") or next_word)):
                break
            level += (text == "(") - (text == ")")
            self.i += 1
        text = self.text[self.toks[start][2] : self.toks[self.i][2]]
        try:
            return parse_dim(text)
        except DimError as e:
            self.i = start
            raise self.wrong(str(e)) from None

    # -- types and attributes

    def type(self) -> Type:
        if self.accept("@"):
            name = self.take("name")
            return AdtType(name, self.dim_list())
        name = self.take("name")
        if name == "List":
            self.expect("[")
            return ListType(self.sequence(self.type, "]"))
        if name not in DTYPES:
            raise self.wrong(f"`{name}` is no type")
        return TensorType(DTYPES[name], self.dim_list())

    def dim_list(self) -> tuple[Dim, ...]:
        return self.sequence(self.bare_dim, "]") if self.accept("[") else ()

    def attrs(self) -> Mapping[str, Attr]:
        """After the opening brace."""
        out: dict[str, Attr] = {}
        while not self.accept("}"):
            key = self.take("name")
            self.expect("=")
            out[key] = self.attr()
            if not self.peek("}"):
                self.expect(",")
        return freeze_attrs(out)

    def attr(self) -> Any:
        kind, text, _ = self.toks[self.i]
        self.i += 1
        if kind == "string":
            return json.loads(text)
        if kind == "number":
            return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
        if text == "[":
            return self.sequence(self.attr, "]")
        if text in ("true", "false"):
            return text == "true"
        if text not in _CALLED:
            self.i -= 1
            raise self.wrong(f"`{text}` begins no attribute")
        self.expect("(")
        v: Any
        if text == "dim":
            v = self.bare_dim()
        elif text == "dtype":
            v = DTYPES[self.take("name")]
        elif text == "type":
            v = self.type()
        else:
            v = self.array()
        self.expect(")")
        return v

    def array(self) -> np.ndarray[Any, Any]:
        d = DTYPES[self.take("name")]
        self.expect(",")
        shape = self.attr()
        self.expect(",")
        return np.array(self.attr(), dtype=d.numpy).reshape(shape)


_CALLED = frozenset({"dim", "dtype", "type", "array"})


def _register_type(t: Type) -> Any:
    if isinstance(t, TensorType):
        return "place" if t.rank else t.dtype
    return "list" if isinstance(t, ListType) else "variant"


def _hint(reg: str) -> str:
    return reg[1:]
