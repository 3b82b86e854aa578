"""YAML from people: JSON values with the line of each, bounded in size, depth and aliases.

Scalars are read as kubectl reads them, so that `3e-4` is a number (YAML 1.1 by the letter makes it
a string) and `12:30` and dates are strings. Tags, merge keys and keys written twice are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

import yaml

MAX_NODES = 20_000
MAX_DEPTH = 50

Path = tuple[int | str, ...]
"""Where a value stands in its document: names of fields and positions in lists."""


class YamlInvalid(Exception):
    """The text cannot be read; `line` (1 for the first) and a sentence say where and why."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line
        self.sentence = sentence


class Document(NamedTuple):
    """One document: its value and the line on which each part of it begins."""

    value: Any
    lines: dict[Path, int]

    def line(self, path: Path = ()) -> int:
        """The line of a path, or of the nearest place above it that was written."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]


class _Anchor(NamedTuple):
    value: Any
    nodes: int


class _Reader:
    """Builds values from the events of one text; its bounds hold over all documents in it."""

    def __init__(self, text: str) -> None:
        self._events = yaml.parse(text, Loader=yaml.SafeLoader)
        self._nodes = 0
        self._anchors: dict[str, _Anchor] = {}
        self._lines: dict[Path, int] = {}

    def documents(self) -> Iterator[Document]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors, self._lines = {}, {}
                yield Document(self._value(next(self._events), (), 0), self._lines)

    def _value(self, event: yaml.Event, path: Path, depth: int) -> Any:
        line = _line(event)
        self._lines.setdefault(path, line)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), line)
        self._count(1, line)
        before = self._nodes
        value: Any = None
        if depth > MAX_DEPTH:
            raise YamlInvalid(line, f"nests deeper than {MAX_DEPTH} levels; write it flatter")
        if isinstance(event, yaml.MappingStartEvent):
            _core(event.tag, line)
            value = self._mapping(path, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            _core(event.tag, line)
            value = self._sequence(path, depth)
        elif isinstance(event, yaml.ScalarEvent):
            value = _scalar(event, line)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self._anchors[anchor] = _Anchor(value, self._nodes - before + 1)
        return value

    def _mapping(self, path: Path, depth: int) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            line = _line(key)
            if not isinstance(key, yaml.ScalarEvent):
                raise YamlInvalid(line, "the name of a field must be plain text")
            name = _text(key, line)
            if name == "<<" and key.style is None:
                raise YamlInvalid(line, "merge keys (<<) are not supported; write the fields out")
            if name in fields:
                first = self._lines[(*path, name)]
                raise YamlInvalid(
                    line, f"field {name!r} is written twice, first on line {first}; keep one"
                )
            self._count(1, line)
            self._lines[(*path, name)] = line
            fields[name] = self._value(next(self._events), (*path, name), depth + 1)
        return fields

    def _sequence(self, path: Path, depth: int) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items)), depth + 1))
        return items

    def _alias(self, name: str, line: int) -> Any:
        anchor = self._anchors.get(name)
        if anchor is None:
            raise YamlInvalid(line, f"alias *{name} stands for nothing before it; write &{name}")
        self._count(anchor.nodes, line)
        return anchor.value

    def _count(self, nodes: int, line: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise YamlInvalid(
                line, f"holds more than {MAX_NODES} values, aliases included; split the file"
            )


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def documents(text: str) -> list[Document]:
    """The documents of a YAML text, empty ones left out. Raises YamlInvalid."""
    try:
        return [document for document in _Reader(text).documents() if document.value is not None]
    except yaml.MarkedYAMLError as error:
        _refuse(error)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = error.character
        remedy = "delete it" if code else "save the file as UTF-8 text"
        raise YamlInvalid(line, f"holds the control character U+{code:04X}; {remedy}") from error


def _refuse(error: yaml.MarkedYAMLError) -> NoReturn:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "malformed"
    remedy = "check its indentation, colons and quotes"
    if "'\\t'" in problem:
        problem, remedy = "a tab stands where YAML wants spaces", "indent with spaces"
    raise YamlInvalid(mark.line + 1 if mark else 1, f"not YAML: {problem}; {remedy}") from error


_TAG = "tag:yaml.org,2002:"
_CORE = {f"{_TAG}{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null")}
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    spelling: value
    for word, value in {"true": True, "yes": True, "on": True, "false": False, "no": False}.items()
    for spelling in (word, word.capitalize(), word.upper())
}
_WORDS |= {"off": False, "Off": False, "OFF": False}
_INTEGER = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAX_DIGITS = 300


def _core(tag: str | None, line: int) -> None:
    if tag is not None and tag not in _CORE:
        raise YamlInvalid(line, f"tag {tag!r} is not supported; remove it")


def _text(event: yaml.ScalarEvent, line: int) -> str:
    text = str(event.value)
    if text.startswith("\ufeff") and event.style is None:
        raise YamlInvalid(line, "holds a byte order mark (U+FEFF) inside the file; delete it")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise YamlInvalid(line, "holds half of a character (\\ud800 to \\udfff); write the whole")
    return text


def _scalar(event: yaml.ScalarEvent, line: int) -> Any:
    """The JSON value of a scalar: text where it is quoted, what it looks like where it is not."""
    text = _text(event, line)
    _core(event.tag, line)
    plain = event.implicit[0] if event.tag is None else event.tag != f"{_TAG}str"
    if not plain:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if not (_INTEGER.fullmatch(text) or _FLOAT.fullmatch(text) or _INFINITE.fullmatch(text)):
        return text
    number = _number(text)
    if number is None:
        raise YamlInvalid(line, f"{text[:40]} is no finite number; quote it if it is text")
    return number


def _number(text: str) -> int | float | None:
    """What a text that looks like a number stands for; None if JSON has no such number."""
    if len(text) > _MAX_DIGITS or _INFINITE.fullmatch(text):
        return None
    if _INTEGER.fullmatch(text):
        digits = text.replace("_", "")
        sign = -1 if digits[0] == "-" else 1
        digits = digits.lstrip("+-")
        octal = re.fullmatch(r"0o?([0-7]+)", digits)
        return sign * (int(octal[1], 8) if octal else int(digits or "0", 0))
    value = float(text)
    return value if math.isfinite(value) else None
