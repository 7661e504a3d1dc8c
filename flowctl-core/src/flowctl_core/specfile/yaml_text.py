"""YAML text to nodes, one event at a time, so that limits hold before anything is expanded.

ruamel.yaml scans and parses; composing is done here because positions, duplicate keys, the spelling of
numbers and the cost of aliases are all lost in ready-made constructors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

from flowctl_core.specfile.limits import MAX_ALIASES, MAX_DEPTH, MAX_NODES
from flowctl_core.specfile.node import Entry, Node, plain_scalar

_LONG_TAG = re.compile(r"(?:^|[\s\[{,:-])!\S{4096}")
"""Scanning a tag takes time that grows with the square of its length."""


class TextProblem(Exception):  # noqa: N818 - becomes a Finding, never reaches the user as an exception
    """What stops the reading of a text, at a line counted from 1."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass
class _Open:
    """A mapping or sequence whose end has not come yet."""

    node: Node
    anchor: str | None
    key: tuple[str, int, bool] | None = None
    """Waiting for its value: name, line, and whether it is the merge key."""
    merges: list[Node] = field(default_factory=list)


def parse_yaml(text: str) -> tuple[Node, list[TextProblem]]:
    """The root node, and problems that did not stop the reading (duplicate keys).

    Raises TextProblem for a syntax error, a limit exceeded, several documents or an empty file.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    if long := _LONG_TAG.search(text):
        raise TextProblem("a tag is too long", text.count("\n", 0, long.end()) + 1)
    composer = _Composer()
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            composer.take(event)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise TextProblem(_syntax(error, text), mark.line + 1 if mark else None) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise TextProblem("a control character is not allowed here", line) from error
    except YAMLError as error:
        raise TextProblem(str(error).splitlines()[0]) from error
    except (ValueError, ArithmeticError, RecursionError) as error:  # bad escapes such as "\UFFFFFFFF"
        raise TextProblem(f"cannot be read as YAML ({error})") from error
    if composer.root is None:
        raise TextProblem("the file is empty")
    return composer.root, composer.problems


def _syntax(error: Any, text: str) -> str:
    problem = str(error.problem or error.context or "not YAML")
    mark = error.problem_mark
    if (mark is not None and "\\t" in problem) or "'\t'" in problem:
        return "a tab is used for indentation; YAML allows only spaces"
    lines = text.splitlines()
    if mark is not None and mark.line < len(lines) and lines[mark.line].lstrip(" ").startswith("\t"):
        return "a tab is used for indentation; YAML allows only spaces"
    context = f" ({error.context}, line {error.context_mark.line + 1})" if error.context and error.context_mark else ""
    return f"not valid YAML: {problem}{context}"


class _Composer:
    """Builds nodes from events, without recursion."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.problems: list[TextProblem] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}
        self._aliases = 0
        self._nodes = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        """Handle one parser event."""
        line = event.start_mark.line + 1 if event.start_mark else 1
        match type(event).__name__:
            case "DocumentStartEvent":
                self._documents += 1
                if self._documents > 1:
                    raise TextProblem("a second document starts here; only one is allowed in a file", line)
            case "ScalarEvent":
                span = (event.start_mark.index, event.end_mark.index)
                node = Node(line, event.start_mark.column + 1, scalar=_scalar(event, line), span=span)
                merge = event.value == "<<" and event.style is None and not event.anchor
                self._count(line)
                self._add(node, event.anchor, event.value, merge)
            case "MappingStartEvent" | "SequenceStartEvent" as kind:
                _check_tag(event, line, "map" if kind == "MappingStartEvent" else "seq")
                if len(self._stack) >= MAX_DEPTH:
                    raise TextProblem(f"nested deeper than {MAX_DEPTH} levels", line)
                self._count(line)
                node = Node(line, event.start_mark.column + 1)
                if kind == "MappingStartEvent":
                    if self._stack and self._stack[-1].node.mapping is not None and self._stack[-1].key is None:
                        raise TextProblem("a mapping cannot be a key; put quotes around the text", line)
                    node.mapping = {}
                else:
                    node.sequence = []
                if event.anchor:
                    self._anchors[event.anchor] = None  # not complete: using it inside itself is an error
                self._stack.append(_Open(node, event.anchor))
            case "MappingEndEvent" | "SequenceEndEvent":
                done = self._stack.pop()
                self._finish(done)
                self._add(done.node, done.anchor, None, False)
            case "AliasEvent":
                self._add(self._alias(event.anchor, line), None, None, False)

    def _count(self, line: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise TextProblem(f"more than {MAX_NODES:,} values", line)

    def _alias(self, name: str, line: int) -> Node:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise TextProblem(f"more than {MAX_ALIASES:,} aliases", line)
        if name not in self._anchors:
            raise TextProblem(f"the alias *{name[:80]} has no anchor &{name[:80]} before it", line)
        node = self._anchors[name]
        if node is None:
            raise TextProblem(f"the alias *{name[:80]} stands inside what it names", line)
        if len(self._stack) + node.depth > MAX_DEPTH:
            raise TextProblem(f"aliases nest deeper than {MAX_DEPTH} levels", line)
        return node

    def _add(self, node: Node, anchor: str | None, text: str | None, merge: bool) -> None:
        """Put a complete node where the open container wants it."""
        if anchor:
            self._anchors[anchor] = node
        if not self._stack:
            self.root = node
            return
        parent = self._stack[-1]
        target = parent.node
        if target.sequence is not None:
            target.sequence.append(node)
        elif parent.key is None:
            if node.mapping is not None or node.sequence is not None:
                raise TextProblem("a list or mapping cannot be a key", node.line)
            parent.key = (text if text is not None else str(node.scalar), node.line, merge)
            return
        else:
            self._put(parent, node)
        target.size += node.size
        target.depth = max(target.depth, node.depth + 1)
        if target.size > MAX_NODES:
            raise TextProblem(f"aliases expand to more than {MAX_NODES:,} values", node.line)

    def _put(self, parent: _Open, node: Node) -> None:
        key, line, merge = parent.key or ("", node.line, False)
        parent.key = None
        mapping = parent.node.mapping
        if mapping is None:
            return
        if merge:
            parent.merges += [node] if node.sequence is None else node.sequence
            if any(source.mapping is None for source in parent.merges):
                _refuse("'<<' merges mappings only", line)
        elif key in mapping:
            self.problems.append(
                TextProblem(f"the key '{key[:80]}' is given twice, first on line {mapping[key].line}", line)
            )
        else:
            mapping[key] = Entry(line, node)

    def _finish(self, done: _Open) -> None:
        """Lay merged mappings under the mapping's own keys."""
        for source in done.merges:
            for key, entry in (source.mapping or {}).items():
                if done.node.mapping is not None:
                    done.node.mapping.setdefault(key, entry)


def _refuse(message: str, line: int) -> NoReturn:
    raise TextProblem(message, line)


def _scalar(event: Any, line: int) -> Any:
    tag = _check_tag(event, line, "str", "int", "float", "bool", "null")
    if tag == "str" or (tag is None and not (event.implicit[0] and event.style is None)):
        return str(event.value)
    value = plain_scalar(event.value)
    if tag is None:
        return value
    wanted = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}[tag]
    if not isinstance(value, wanted):  # type: ignore[arg-type]
        raise TextProblem(f"'{event.value[:80]}' is not a !!{tag}", line)
    return value


def _check_tag(event: Any, line: int, *allowed: str) -> str | None:
    """Name of the tag (`str` for `!!str`), None without one; refuses tags that could name code."""
    tag = str(event.ctag) if getattr(event, "ctag", None) else None
    if tag is None:
        return None
    if tag == "!":
        return "str" if "str" in allowed else None
    name = tag.rpartition(":")[2].rpartition("!")[2]
    if name not in allowed or not (tag.startswith("!!") or tag.startswith("tag:yaml.org,2002:")):
        raise TextProblem(f"the tag {tag[:80]} is not allowed", line)
    return name
