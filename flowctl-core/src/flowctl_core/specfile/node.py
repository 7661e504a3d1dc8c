"""A parsed document with the position and the source text of everything in it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


class SourceInt(int):
    """An integer that remembers how it was spelled (`0x1F`)."""

    text: str


class SourceFloat(float):
    """A number that remembers how it was spelled: `1.10` may be a version."""

    text: str


@dataclass(slots=True)
class Node:
    """A mapping, a sequence or a scalar, at a position counted from 1."""

    line: int
    column: int
    mapping: dict[str, Entry] | None = None
    sequence: list[Node] | None = None
    scalar: Any = None
    span: tuple[int, int] | None = None
    """First and last offset of a scalar's text in the file, quotes included."""
    size: int = 1
    """Nodes in it, aliases expanded."""
    depth: int = 1
    """Levels in it, aliases expanded."""

    def child(self, key: str | int) -> Node | None:
        """The value under a key or index; None when there is none."""
        if self.mapping is not None:
            entry = self.mapping.get(str(key)) if isinstance(key, str) else None
            return entry.node if entry else None
        if self.sequence is not None and isinstance(key, int) and 0 <= key < len(self.sequence):
            return self.sequence[key]
        return None

    def line_of(self, path: tuple[str | int, ...]) -> int:
        """Line of the field at `path`, or of the nearest parent that exists."""
        node, line = self, self.line
        for key in path:
            entry = node.mapping.get(key) if node.mapping is not None and isinstance(key, str) else None
            child = entry.node if entry else node.child(key)
            if child is None:
                break
            node, line = child, entry.line if entry else child.line
        return line

    def data(self) -> Any:
        """Plain Python values; numbers remember their spelling."""
        if self.mapping is not None:
            return {key: entry.node.data() for key, entry in self.mapping.items()}
        if self.sequence is not None:
            return [node.data() for node in self.sequence]
        return self.scalar


@dataclass(slots=True)
class Entry:
    """A key of a mapping, the line it stands on, and its value."""

    line: int
    node: Node = field(repr=False)


def plain_scalar(text: str) -> Any:
    """The value of an unquoted scalar under YAML 1.2's core schema.

    Infinities and NaN stay text: JSON, which a spec crosses, has no word for them.
    """
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    try:
        if _INTEGER.fullmatch(text):
            base = {"0o": 8, "0x": 16}.get(text[:2], 10)
            return _spelled(SourceInt(text[2:] if base != 10 else text, base), text)
        if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
            return _spelled(SourceFloat(text), text)
    except ValueError:  # more digits than Python converts
        return text
    return text


def _spelled(number: SourceInt | SourceFloat, text: str) -> SourceInt | SourceFloat:
    number.text = text
    return number


def spell(path: tuple[str | int, ...]) -> str:
    """`spec.languages[0].main`; keys with odd characters are quoted."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        elif re.fullmatch(r"[\w/-]{1,80}", key):
            text += f".{key}" if text else key
        else:
            text += f'["{key[:80]}"]'
    return text
