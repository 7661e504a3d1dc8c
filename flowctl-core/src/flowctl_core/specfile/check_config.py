"""Configuration schemas against their own defaults and examples."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

from flowctl_core.specfile.finding import Severity
from flowctl_core.specfile.problems import Path, describe

RuleProblem = tuple[Severity, tuple[Path, str]]

_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")
_EXPONENTIAL = re.compile(r"[*+}]\??\)[*+{]")
"""A repeated group that ends in a repetition, such as `(a+)+`: matching it can take for ever."""
_TESTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "string": (lambda value: isinstance(value, str), "text"),
    "integer": (
        lambda value: not isinstance(value, bool) and isinstance(value, int | float) and value == int(value),
        "a whole number",
    ),
    "number": (lambda value: not isinstance(value, bool) and isinstance(value, int | float), "a number"),
    "boolean": (lambda value: isinstance(value, bool), "true or false"),
    "array": (lambda value: isinstance(value, list), "a list"),
    "object": (lambda value: isinstance(value, dict), "a mapping"),
}


def check_schema(key: Path, schema: dict[str, Any]) -> Iterator[RuleProblem]:
    """One configuration key: its own rules make sense, and its default, enum and examples keep them."""
    if schema.get("type") is None:
        yield "warning", ((*key, "type"), "is missing; say string, integer, number, boolean, array or object")
    low, high = schema.get("minimum"), schema.get("maximum")
    if _is_number(low) and _is_number(high) and low > high:
        yield "error", ((*key, "minimum"), f"{low} is larger than the maximum, {high}")
    for path, pattern in _patterns(key, schema):
        try:
            re.compile(pattern)
        except re.error as error:
            yield "error", (path, f"not a regular expression: {error}")
        else:
            if _EXPONENTIAL.search(pattern):
                yield "warning", (path, "can take exponential time to match; values are not checked against it")
    if schema.get("default") is not None:
        yield from _at((*key, "default"), schema, schema["default"])
    for field in ("enum", "examples"):
        for index, value in enumerate(schema.get(field) or ()):
            yield from _at((*key, field, index), {**schema, "enum": None} if field == "enum" else schema, value)
    if isinstance(schema.get("items"), dict):
        yield from check_schema((*key, "items"), {"type": "string", **schema["items"]})
    for name, inner in (schema.get("properties") or {}).items():
        if isinstance(inner, dict):
            yield from check_schema((*key, "properties", name), inner)


def check_values(path: Path, schemas: dict[str, Any], values: dict[str, Any]) -> Iterator[RuleProblem]:
    """An example's configuration: known keys, good values, nothing required left out."""
    for name, value in values.items():
        schema = schemas.get(name)
        if schema is None:
            yield "warning", ((*path, name), "is not a declared configuration key")
        elif value is not None:
            yield from _at((*path, name), schema, value)
    for name, schema in schemas.items():
        if schema.get("required") is True and schema.get("default") is None and name not in values:
            yield "error", (path, f"lacks the required key '{name}'")


def _at(path: Path, schema: dict[str, Any], value: Any) -> Iterator[RuleProblem]:
    for inner, message in value_problems(schema, value):
        yield "error", ((*path, *inner), message)


def value_problems(schema: dict[str, Any], value: Any) -> Iterator[tuple[Path, str]]:
    """What is wrong with a value under a configuration key's schema: where inside the value, and what.

    Text with a `${VARIABLE}` passes: its value is known only when it runs.
    """
    if isinstance(value, str) and _PLACEHOLDER.search(value):
        return
    kind = schema.get("type")
    if kind in _TESTS and not _TESTS[kind][0](value):
        yield (), f"must be {_TESTS[kind][1]}, not {describe(value)}"
        return
    enum = schema.get("enum")
    if enum and not any(value == allowed and type(value) is type(allowed) for allowed in enum):
        yield (), f"{describe(value)} is none of {', '.join(describe(allowed) for allowed in enum)}"
    if _is_number(value):
        low, high = schema.get("minimum"), schema.get("maximum")
        if _is_number(low) and value < low:
            yield (), f"{value} is below the minimum, {low}"
        if _is_number(high) and value > high:
            yield (), f"{value} is above the maximum, {high}"
    if isinstance(value, str):
        for _, pattern in _patterns((), schema):
            if not _matches(pattern, value):
                yield (), f"{describe(value)} does not match the pattern {pattern}"
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            for inner, message in value_problems(schema["items"], item):
                yield (index, *inner), message
    properties = schema.get("properties")
    if isinstance(value, dict) and isinstance(properties, dict):
        for name, item in value.items():
            if isinstance(properties.get(name), dict) and item is not None:
                for inner, message in value_problems(properties[name], item):
                    yield (name, *inner), message


def _patterns(path: Path, schema: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    validation = schema.get("validation")
    if isinstance(validation, dict) and isinstance(validation.get("pattern"), str):
        yield (*path, "validation", "pattern"), validation["pattern"]
    if isinstance(schema.get("pattern"), str):
        yield (*path, "pattern"), schema["pattern"]


def _matches(pattern: str, value: str) -> bool:
    """True as well when the pattern cannot be tried."""
    if _EXPONENTIAL.search(pattern):
        return True
    try:
        return re.search(pattern, value[:4096]) is not None
    except re.error:
        return True


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
