"""Reads the structure of Terraform files without running Terraform.

This finds blocks, their labels, arguments and places, and reads constant values. Expressions stay text.
Whether a file is right is for Terraform to say; this reads right files, and raises on others.
"""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass, field
from typing import Any

_NAME = re.compile(r"[A-Za-z_][\w-]*")
_SPACE = re.compile(r"(?:[ \t\r]+|#[^\n]*|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_BLANK = re.compile(r"(?:\s+|#[^\n]*|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_HEREDOC = re.compile(r"<<(-?)([A-Za-z_]\w*)\r?\n")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})|\\(.)|\$\$\{|%%\{", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_OPEN, _CLOSE = "([{", ")]}"
_MAX_DEPTH = 100


class HclError(ValueError):
    """The text cannot be read; ``line`` is where."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Argument:
    """``name = expression``; the expression is text."""

    name: str
    expression: str
    line: int

    @property
    def constant(self) -> Any:
        """The value of a constant expression; :class:`ValueError` where it is none."""
        return constant(self.expression)


@dataclass
class Body:
    arguments: dict[str, Argument] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def of_type(self, name: str) -> list[Block]:
        return [block for block in self.blocks if block.type == name]

    def text(self, name: str) -> str:
        """A constant string argument, or "" where there is none."""
        try:
            value = self.arguments[name].constant
        except (KeyError, ValueError):
            return ""
        return value if isinstance(value, str) else ""


@dataclass
class Block:
    type: str
    labels: tuple[str, ...]
    body: Body
    line: int


def parse(text: str) -> Body:
    """The top level of a ``.tf`` file."""
    return _Reader(text.removeprefix("\ufeff")).body(top=True)


def parse_json(text: str) -> Body:
    """The top level of a ``.tf.json`` file. Places are not known, and nested blocks are arguments."""
    body = Body()
    for kind, value in json.loads(text).items():
        for labels, content in _json_blocks(value, _LABELS.get(kind, 0)):
            arguments = {name: Argument(name, json.dumps(item), 1) for name, item in content.items()}
            body.blocks.append(Block(kind, labels, Body(arguments, _json_nested(kind, content)), 1))
    return body


_LABELS = {"resource": 2, "data": 2, "ephemeral": 2, "variable": 1, "output": 1, "module": 1, "provider": 1}


def _json_blocks(value: Any, labels: int) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    if isinstance(value, list):
        return [found for item in value for found in _json_blocks(item, labels)]
    if not isinstance(value, dict):
        return []
    if labels == 0:
        return [((), value)]
    return [
        ((name, *rest), content) for name, item in value.items() for rest, content in _json_blocks(item, labels - 1)
    ]


def _json_nested(kind: str, content: dict[str, Any]) -> list[Block]:
    """``required_providers`` is the one nested block that has to be found by its name."""
    value = content.get("required_providers") if kind == "terraform" else None
    found = []
    for _, item in _json_blocks(value, 0):
        arguments = {name: Argument(name, json.dumps(each), 1) for name, each in item.items()}
        found.append(Block("required_providers", (), Body(arguments), 1))
    return found


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    @property
    def line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1

    def fail(self, message: str) -> HclError:
        return HclError(message, self.line)

    def skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        if match:
            self.at = match.end()

    @property
    def char(self) -> str:
        return self.text[self.at : self.at + 1]

    def body(self, *, top: bool = False) -> Body:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.fail("blocks are nested too deeply")
        body = Body()
        while True:
            self.skip(_BLANK)
            if not self.char:
                if top:
                    break
                raise self.fail("a block is not closed")
            if self.char == "}" and not top:
                self.at += 1
                break
            self.element(body)
        self.depth -= 1
        return body

    def element(self, body: Body) -> None:
        line = self.line
        match = _NAME.match(self.text, self.at)
        if not match:
            raise self.fail(f"a name is expected, not {self.char!r}")
        self.at = match.end()
        self.skip(_SPACE)
        if self.char == "=":
            self.at += 1
            body.arguments[match.group()] = Argument(match.group(), self.expression(), line)
            return
        labels = []
        while self.char != "{":
            labels.append(self.label())
            self.skip(_SPACE)
        self.at += 1
        body.blocks.append(Block(match.group(), tuple(labels), self.body(), line))

    def label(self) -> str:
        if self.char == '"':
            start = self.at
            self.string()
            return str(constant(self.text[start : self.at]))
        match = _NAME.match(self.text, self.at)
        if not match:
            raise self.fail(f"a label or a block is expected, not {self.char!r}")
        self.at = match.end()
        return match.group()

    def expression(self) -> str:
        """Text up to the end of the line, or of the brackets that are open at it."""
        start, depth = self.at, 0
        while self.at < len(self.text):
            char = self.char
            if (char == "\n" and depth == 0) or (char in _CLOSE and depth == 0):
                break
            if char in _OPEN or char in _CLOSE:
                depth += 1 if char in _OPEN else -1
                self.at += 1
            elif char == '"':
                self.string()
            elif (heredoc := _HEREDOC.match(self.text, self.at)) is not None:
                self.heredoc(heredoc)
            elif _SPACE.match(self.text, self.at) and char in "#/ \t\r":
                self.skip(_SPACE)
            else:
                self.at += 1
        return self.text[start : self.at].strip()

    def string(self) -> None:
        """Move behind a quoted string. Templates inside it may hold strings of their own."""
        self.at += 1
        while self.char and self.char != '"':
            if self.char == "\\":
                self.at += 2
            elif self.text.startswith(("$${", "%%{"), self.at):
                self.at += 3
            elif self.text.startswith(("${", "%{"), self.at):
                self.at += 2
                self.template()
            elif self.char == "\n":
                raise self.fail("a string is not closed")
            else:
                self.at += 1
        if not self.char:
            raise self.fail("a string is not closed")
        self.at += 1

    def template(self) -> None:
        depth = 1
        while depth:
            if not self.char:
                raise self.fail("a template is not closed")
            if self.char == '"':
                self.string()
                continue
            depth += {"{": 1, "}": -1}.get(self.char, 0)
            self.at += 1

    def heredoc(self, opening: re.Match[str]) -> None:
        end = re.compile(rf"^[ \t]*{re.escape(opening.group(2))}[ \t\r]*$", re.MULTILINE)
        match = end.search(self.text, opening.end())
        if not match:
            raise self.fail(f"the text up to {opening.group(2)} is not closed")
        self.at = match.end()


def constant(expression: str) -> Any:
    """The value of a constant expression: string, number, bool, null, list or object of those."""
    reader = _Reader(expression)
    value = _value(reader)
    reader.skip(_BLANK)
    if reader.char:
        raise reader.fail("the expression is not constant")
    return value


def _value(reader: _Reader) -> Any:
    reader.skip(_BLANK)
    if reader.char == '"':
        return _string(reader)
    if reader.char == "[":
        return _list(reader)
    if reader.char == "{":
        return _object(reader)
    heredoc = _HEREDOC.match(reader.text, reader.at)
    if heredoc:
        return _heredoc(reader, heredoc)
    for pattern, make in ((_NUMBER, _number), (_NAME, _word)):
        match = pattern.match(reader.text, reader.at)
        if match:
            reader.at = match.end()
            return make(match.group(), reader)
    raise reader.fail("the expression is not constant")


def _number(text: str, reader: _Reader) -> float | int:
    del reader
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _word(text: str, reader: _Reader) -> bool | None:
    if text not in {"true", "false", "null"}:
        raise reader.fail("the expression is not constant")
    return None if text == "null" else text == "true"


def _string(reader: _Reader) -> str:
    start = reader.at + 1
    reader.string()
    return _unescaped(reader.text[start : reader.at - 1], reader)


def _unescaped(text: str, reader: _Reader) -> str:
    bare = text.replace("$${", "").replace("%%{", "")
    if "${" in bare or "%{" in bare:
        raise reader.fail("the string is not constant")
    return _ESCAPE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = match.group(1) or match.group(2)
    if code:
        return chr(int(code, 16))
    if match.group(3):
        return _ESCAPES.get(match.group(3), match.group())
    return match.group()[1:]


def _heredoc(reader: _Reader, opening: re.Match[str]) -> str:
    reader.heredoc(opening)
    text = reader.text[opening.end() : reader.text.rfind("\n", opening.end() - 1, reader.at) + 1]
    if "${" in text.replace("$${", "") or "%{" in text.replace("%%{", ""):
        raise reader.fail("the text is not constant")
    return textwrap.dedent(text) if opening.group(1) else text


def _list(reader: _Reader) -> list[Any]:
    reader.at += 1
    items: list[Any] = []
    while True:
        reader.skip(_BLANK)
        if reader.char == "]":
            reader.at += 1
            return items
        items.append(_value(reader))
        reader.skip(_BLANK)
        if reader.char == ",":
            reader.at += 1
        elif reader.char != "]":
            raise reader.fail("the list is not constant")


def _object(reader: _Reader) -> dict[str, Any]:
    reader.at += 1
    items: dict[str, Any] = {}
    while True:
        reader.skip(_BLANK)
        if reader.char == "}":
            reader.at += 1
            return items
        key = _string(reader) if reader.char == '"' else reader.label()
        reader.skip(_BLANK)
        if reader.char not in {"=", ":"}:
            raise reader.fail("the object is not constant")
        reader.at += 1
        items[key] = _value(reader)
        reader.skip(_SPACE)
        if reader.char == ",":
            reader.at += 1
