"""JSON text to nodes: the standard library's reader knows no positions and hides a key given twice."""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import NoReturn

from flowctl_core.specfile.limits import MAX_DEPTH, MAX_NODES
from flowctl_core.specfile.node import Entry, Node, plain_scalar
from flowctl_core.specfile.yaml_text import TextProblem

_SPACE = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null")


def parse_json(text: str) -> tuple[Node, list[TextProblem]]:
    """The root node, and problems that did not stop the reading (duplicate keys).

    Raises TextProblem for a syntax error, a limit exceeded or an empty file.
    """
    if not text.strip():
        raise TextProblem("the file is empty")
    reader = _Reader(text)
    root = reader.value(0)
    if reader.position < len(text):
        reader.fail("more text after the end of the value")
    return root, reader.problems


class _Reader:
    """A recursive descent of at most MAX_DEPTH levels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.problems: list[TextProblem] = []
        self.position = 0
        self._nodes = 0
        self._line = 1
        self._counted = 0
        self._skip()

    def fail(self, message: str) -> NoReturn:
        """Stop at the current position."""
        raise TextProblem(f"not valid JSON: {message}", self._here())

    def value(self, depth: int) -> Node:
        """The value that starts here, and the space after it."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise TextProblem(f"more than {MAX_NODES:,} values", self._here())
        if depth >= MAX_DEPTH:
            raise TextProblem(f"nested deeper than {MAX_DEPTH} levels", self._here())
        start = self.position
        node = Node(self._here(), self.position - self.text.rfind("\n", 0, self.position))
        match self.text[self.position : self.position + 1]:
            case "{":
                node.mapping = self._mapping(depth)
            case "[":
                node.sequence = self._sequence(depth)
            case '"':
                node.scalar = self._string()
            case _:
                word = _WORD.match(self.text, self.position)
                if word is None:
                    self.fail("a value is missing" if self.position >= len(self.text) else self._unexpected())
                node.scalar = plain_scalar(word.group())
                self.position = word.end()
        if node.mapping is None and node.sequence is None:
            node.span = (start, self.position)
        self._skip()
        return node

    def _mapping(self, depth: int) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        self._step()
        while not self._take("}"):
            if found:
                self._expect(",", "'}'")
            line = self._here()
            if self.text[self.position : self.position + 1] != '"':
                self.fail(f"a key in double quotes is wanted, {self._unexpected()}")
            key = self._string()
            self._skip()
            self._expect(":", "a value")
            node = self.value(depth + 1)
            if key in found:
                first = found[key].line
                self.problems.append(TextProblem(f"the key '{key[:80]}' is given twice, first on line {first}", line))
            else:
                found[key] = Entry(line, node)
        return found

    def _sequence(self, depth: int) -> list[Node]:
        found: list[Node] = []
        self._step()
        while not self._take("]"):
            if found:
                self._expect(",", "']'")
            found.append(self.value(depth + 1))
        return found

    def _string(self) -> str:
        try:
            value, self.position = scanstring(self.text, self.position + 1, True)
        except json.JSONDecodeError as error:
            self.fail(error.msg)
        return str(value)

    def _step(self) -> None:
        self.position += 1
        self._skip()

    def _take(self, character: str) -> bool:
        if self.text[self.position : self.position + 1] != character:
            return False
        self.position += 1
        return True

    def _expect(self, character: str, otherwise: str) -> None:
        if not self._take(character):
            self.fail(f"'{character}' or {otherwise} is wanted, {self._unexpected()}")
        self._skip()

    def _unexpected(self) -> str:
        rest = self.text[self.position : self.position + 12].split("\n")[0]
        return f"here stands {rest!r}" if self.position < len(self.text) else "here the file ends"

    def _skip(self) -> None:
        space = _SPACE.match(self.text, self.position)
        self.position = space.end() if space else self.position

    def _here(self) -> int:
        self._line += self.text.count("\n", self._counted, self.position)
        self._counted = self.position
        return self._line
