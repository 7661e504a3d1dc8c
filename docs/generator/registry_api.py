"""The registry's API, from the OpenAPI document that it serves."""

from __future__ import annotations

from typing import Any

from flowctl_registry.api.endpoints import ENDPOINTS
from flowctl_registry.api.openapi import document
from generator.models import table

_REFERENCE = "#/components/schemas/"


def registry_api() -> str:
    """A section for each group of endpoints, then one for each model."""
    made = document(ENDPOINTS)
    groups: dict[str, list[str]] = {}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    sections = [f"## {name.capitalize()}\n\n" + "\n\n".join(parts) for name, parts in sorted(groups.items())]
    models = [_model(name, schema) for name, schema in sorted(made["components"]["schemas"].items())]
    return "\n\n".join([*sections, "## Models", *filter(None, models)])


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    lines = [f"### {method.upper()} {path}", f"{operation['summary']}. {_first(operation['description'])}"]
    rows = [
        (f"`{each['name']}`", _kind(each["schema"]), each["description"])
        for each in operation["parameters"]
        if each["in"] == "query"
    ]
    if rows:
        lines.append(table(("Parameter", "Type", "Meaning"), rows))
    body = operation.get("requestBody")
    told = []
    if body is not None:
        ((media_type, content),) = body["content"].items()
        told.append(f"Body: {_kind(content['schema']) if '$ref' in content['schema'] else f'`{media_type}`'}.")
    for status, answer in operation["responses"].items():
        if int(status) < 400:
            schema = next(iter(answer.get("content", {}).values()), {}).get("schema")
            told.append(f"{status}: {_kind(schema) if schema else answer['description']}.")
    problems = ", ".join(status for status in operation["responses"] if int(status) >= 400)
    told.append(f"Problems: {problems}.")
    return "\n\n".join([*lines, " ".join(told)])


def _model(name: str, schema: dict[str, Any]) -> str | None:
    if "properties" not in schema:
        return None
    required = schema.get("required", ())
    rows = [
        (f"`{field}`", _kind(each) + ("" if field in required else ", may be missing"), each.get("description", ""))
        for field, each in schema["properties"].items()
    ]
    return f"### {name}\n\n{_first(schema.get('description', ''))}\n\n{table(('Field', 'Type', 'Meaning'), rows)}"


def _first(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split())


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REFERENCE)
        return "anything" if name == "JsonValue" else f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items') or {})}"
    if schema.get("type") == "object":
        return f"map to {_kind(schema.get('additionalProperties') or {})}"
    words = {"string": "text", "integer": "integer", "number": "number", "boolean": "true or false"}
    return words.get(str(schema.get("type")), "anything")
