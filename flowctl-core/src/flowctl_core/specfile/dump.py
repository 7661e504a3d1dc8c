"""Specs back to text: what nobody changed keeps its comments, quotes and order."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import Any, TypeVar

from pydantic import BaseModel

from flowctl_core.specfile.json_text import parse_json
from flowctl_core.specfile.load import LoadedSpec
from flowctl_core.specfile.node import Node, plain_scalar
from flowctl_core.specfile.yaml_text import TextProblem, parse_yaml

S = TypeVar("S", bound=BaseModel)

_OTHER_READERS = re.compile(
    r"(?i:y|n|yes|no|on|off)|0[0-7]+|[-+]?[\d_:.]+(e[-+]?\d+)?|\d{4}-\d\d?-\d\d?.*|[-+]?\.(inf|nan)|<<|="
)
"""Plain words that YAML 1.1 readers (Go's yaml.v2, PyYAML) take for something else than text."""

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def dump(loaded: LoadedSpec[S], data: dict[str, Any] | None = None) -> str:
    """Text of a loaded spec, with `data` (the whole document, changed) laid over it.

    Without a change this is the text of the file, byte for byte. With one, only the changed fields are written
    anew; comments elsewhere, quotes and the order of keys stay.
    """
    if data is None or data == loaded.data:
        return loaded.text
    for attempt in (_edit_scalars, _edit_tree):
        text = attempt(loaded, data)
        if text is not None and _says(text, data, json_text=loaded.path.suffix == ".json"):
            return text
    return dump_json(data) if loaded.path.suffix == ".json" else dump_yaml(data)


def _edit_scalars(loaded: LoadedSpec[S], data: dict[str, Any]) -> str | None:
    """Replace changed scalars where they stand; None when more than scalars changed."""
    if loaded.node is None:
        return None
    edits = _scalar_edits(loaded.node, loaded.data, data, loaded.path.suffix == ".json")
    if edits is None:
        return None
    text = loaded.text
    for start, end, new in sorted(edits, reverse=True):
        if start == end or text[start] in "&*!|>":  # nothing there, an anchor or a tag, a block of lines
            return None
        text = text[:start] + new + text[end:]
    return text


def _scalar_edits(node: Node, before: Any, after: Any, json_text: bool) -> set[tuple[int, int, str]] | None:
    if type(before) is type(after) and before == after:
        return set()
    pairs: list[tuple[Node | None, Any, Any]] = []
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        pairs = [(node.child(key), before[key], after[key]) for key in before]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = [(node.child(index), before[index], after[index]) for index in range(len(before))]
    elif isinstance(after, dict | list) or node.span is None or "\n" in str(after):
        return None
    else:
        return {(*node.span, json.dumps(after, ensure_ascii=False) if json_text else _scalar_text(after))}
    edits: set[tuple[int, int, str]] = set()
    for child, old, new in pairs:
        inner = None if child is None else _scalar_edits(child, old, new, json_text)
        if inner is None:
            return None
        edits |= inner
    return edits


def _scalar_text(value: Any) -> str:
    """One scalar in YAML; JSON's spelling is YAML's too."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w./-]*", value) and not _misread(value):
        return value
    return json.dumps(value, ensure_ascii=isinstance(value, str) and _UNPRINTABLE.search(value) is not None)


def _edit_tree(loaded: LoadedSpec[S], data: dict[str, Any]) -> str | None:
    """Change a round-trip tree: comments stay, spaces at line ends do not."""
    if loaded.path.suffix == ".json":
        return None
    from ruamel.yaml import YAML
    from ruamel.yaml.util import load_yaml_guess_indent

    _, sequence, offset = load_yaml_guess_indent(loaded.text)
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=(sequence or 2) - (offset or 0) or 2, sequence=sequence or 2, offset=offset or 0)
    tree = yaml.load(loaded.text)
    _lay_over(tree, loaded.data, data)
    out = StringIO()
    yaml.dump(tree, out)
    return out.getvalue()


def _says(text: str, data: dict[str, Any], *, json_text: bool) -> bool:
    """The text reads back as the data, spelled-out numbers and truths in text fields allowed for."""
    try:
        root, problems = (parse_json if json_text else parse_yaml)(text)
    except TextProblem:
        return False
    return not problems and _same(root.data(), data)


def _same(read: Any, wanted: Any) -> bool:
    if isinstance(read, dict) and isinstance(wanted, dict):
        return read.keys() == wanted.keys() and all(_same(read[key], wanted[key]) for key in read)
    if isinstance(read, list) and isinstance(wanted, list):
        return len(read) == len(wanted) and all(map(_same, read, wanted))
    if isinstance(wanted, str) and not isinstance(read, str):
        return wanted == getattr(read, "text", str(read).lower() if isinstance(read, bool) else None)
    return bool(read == wanted) and isinstance(read, bool) == isinstance(wanted, bool)


def dump_yaml(data: dict[str, Any]) -> str:
    """YAML text of a document. Text that some reader could take for a number, a date or a truth is quoted."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt")
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = StringIO()
    yaml.dump(_quoted(data), out)
    return out.getvalue()


def dump_json(data: dict[str, Any]) -> str:
    """JSON text of a document (metadata.json), indented, with a line end."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _lay_over(tree: Any, before: Any, after: Any) -> None:
    """Change a round-trip tree, which says `before`, so that it says `after`; leave equal parts alone."""
    if isinstance(after, dict):
        for key in [key for key in before if key not in after]:
            del tree[key]
        for key, value in after.items():
            if key not in before:
                tree[key] = _quoted(value)
            elif before[key] != value or type(before[key]) is not type(value):
                if _alike(before[key], value):
                    _lay_over(tree[key], before[key], value)
                else:
                    tree[key] = _quoted(value)
        return
    for index, value in enumerate(after):
        if before[index] == value and type(before[index]) is type(value):
            continue
        if _alike(before[index], value):
            _lay_over(tree[index], before[index], value)
        else:
            tree[index] = _quoted(value)


def _alike(before: Any, after: Any) -> bool:
    """Both mappings, or both lists of one length: worth going into."""
    if isinstance(before, dict) and isinstance(after, dict):
        return True
    return isinstance(before, list) and isinstance(after, list) and len(before) == len(after)


def _quoted(value: Any) -> Any:
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

    if isinstance(value, dict):
        return {key: _quoted(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_quoted(item) for item in value]
    if isinstance(value, str):
        if "\n" in value and not re.search(r"[ \t]\n|[^\S\n ]|\r", value) and not value.startswith((" ", "\n")):
            return LiteralScalarString(value)
        if _misread(value) or _UNPRINTABLE.search(value):
            return DoubleQuotedScalarString(value)
    return value


def _misread(text: str) -> bool:
    """Some YAML reader takes this plain word for something else than text."""
    return _OTHER_READERS.fullmatch(text) is not None or not isinstance(plain_scalar(text), str)
