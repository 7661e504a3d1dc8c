"""pydantic's errors and extra fields, said in the words of the file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from flowctl_core.specfile.node import Node

Path = tuple[str | int, ...]
Problem = tuple[Path, str]
"""Where, and what is wrong."""

_MEANT = {
    "int": "integer", "long": "integer", "bool": "boolean", "float": "number", "double": "number",
    "str": "string", "text": "string", "list": "array", "tuple": "array", "map": "object", "dict": "object",
    "producer": "source", "input": "source", "transform": "processor", "transformer": "processor",
    "output": "sink", "writer": "sink", "k8s": "kubernetes",
}  # fmt: skip


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    choices = list(known)
    folded = {re.sub(r"[^a-z0-9]", "", choice.lower()): choice for choice in reversed(choices)}
    plain = re.sub(r"[^a-z0-9]", "", word.lower())
    if plain in folded:
        return folded[plain]
    if _MEANT.get(plain) in choices:
        return _MEANT[plain]
    swapped = next((known for known in folded if len(plain) > 2 and sorted(known) == sorted(plain)), None)
    if swapped:
        return folded[swapped]
    close = get_close_matches(plain, list(folded), n=1, cutoff=0.7)
    return folded[close[0]] if close else None


def one_of(word: str, known: Iterable[str], noun: str) -> str:
    """`'integr' is not a type; did you mean 'integer'?`, or the list of what is known."""
    choices = list(known)
    article = "an" if noun[:1] in "aeiou" else "a"
    better = suggestion(word, choices)
    rest = (
        f"did you mean '{better}'?"
        if better
        else f"use {' or '.join(filter(None, [', '.join(choices[:-1]), choices[-1]]))}"
    )
    return f"'{word[:80]}' is not {article} {noun}; {rest}"


def describe(value: Any) -> str:
    """A value, for people."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = getattr(value, "text", None) or str(value)
    if isinstance(value, int | float):
        return text[:80]
    return f"'{text if len(text) <= 80 else text[:77] + '…'}'"


def model_problems(error: ValidationError, root: Node) -> Iterator[Problem]:
    """Each pydantic error, with the path as it is in the file (without names of union branches)."""
    seen: set[Problem] = set()
    for detail in error.errors(include_url=False):
        path = _path_in_file(detail["loc"], root, missing=detail["type"] == "missing")
        problem = (path, _message(dict(detail), path))
        if problem not in seen:
            seen.add(problem)
            yield problem


def _path_in_file(loc: tuple[str | int, ...], root: Node, *, missing: bool) -> Path:
    node, path = root, list[str | int]()
    for index, key in enumerate(loc):
        child = node.child(key)
        if child is not None:
            node = child
            path.append(key)
        elif missing and index == len(loc) - 1:
            path.append(key)
    return tuple(path)


def _message(detail: dict[str, Any], path: Path) -> str:
    kind, value, context = detail["type"], detail.get("input"), detail.get("ctx", {})
    noun = next((key for key in reversed(path) if isinstance(key, str)), "value")
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", context["expected"])
        if not isinstance(value, str):
            return f"must be {' or '.join(repr(word) for word in known)}, not {describe(value)}"
        return (
            f"must be '{known[0]}', not '{value[:80]}'" if len(known) == 1 else one_of(value, known, noun.rstrip("s"))
        )
    words = {
        "missing": "is missing",
        "string_type": f"must be text, not {describe(value)}",
        "bool_type": f"must be true or false, not {describe(value)}",
        "bool_parsing": f"must be true or false, not {describe(value)}",
        "int_type": f"must be a whole number, not {describe(value)}",
        "int_parsing": f"must be a whole number, not {describe(value)}",
        "int_from_float": f"must be a whole number, not {describe(value)}",
        "float_type": f"must be a number, not {describe(value)}",
        "float_parsing": f"must be a number, not {describe(value)}",
        "tuple_type": f"must be a list, not {describe(value)}",
        "dict_type": f"must be a mapping, not {describe(value)}",
        "model_type": f"must be a mapping, not {describe(value)}",
        "model_attributes_type": f"must be a mapping, not {describe(value)}",
        "too_short": "must not be empty",
        "string_too_short": "must not be empty",
        "greater_than_equal": f"must be at least {context.get('ge')}, not {describe(value)}",
        "less_than_equal": f"must be at most {context.get('le')}, not {describe(value)}",
    }
    if kind in words:
        return words[kind]
    if kind == "shape":
        return f"{detail['msg']}, not {describe(value)}"
    return str(context["error"]) if kind == "value_error" and "error" in context else str(detail["msg"])


def unknown_fields(model: BaseModel, path: Path = ()) -> Iterator[Problem]:
    """Fields that the models do not know, except `x-…` which is left to others."""
    fields = type(model).model_fields
    known = [field.alias or name for name, field in fields.items()]
    for key in model.model_extra or {}:
        if not key.startswith("x-"):
            better = suggestion(key, (name for name in known if name not in _given(model)))
            yield (*path, key), "unknown field" + (f"; did you mean '{better}'?" if better else "")
    for name, field in fields.items():
        yield from _unknown_inside(getattr(model, name), (*path, field.alias or name))


def _given(model: BaseModel) -> set[str]:
    fields = type(model).model_fields
    extra = model.model_extra or {}
    return {fields[name].alias or name for name in model.model_fields_set if name in fields and name not in extra}


def _unknown_inside(value: Any, path: Path) -> Iterator[Problem]:
    if isinstance(value, BaseModel):
        yield from unknown_fields(value, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _unknown_inside(item, (*path, key))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _unknown_inside(item, (*path, index))
