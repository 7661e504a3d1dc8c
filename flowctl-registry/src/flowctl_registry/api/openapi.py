"""The OpenAPI document, made from the endpoints and their models when it is first asked for."""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.responses import Response

from flowctl_registry.api.field_meanings import describe_fields
from flowctl_registry.api.routing import LONGEST, PATTERNS, Call, Endpoint
from flowctl_registry.models.problem import Problem

_REFERENCE = "#/components/schemas/"
_PROBLEMS = {
    400: "The request is malformed",
    401: "There is no token, or one that is not valid",
    403: "The token does not allow it",
    404: "There is nothing of that name, or the caller must not know of it",
    409: "Something else has that name",
    412: "`If-Match` does not match",
    413: "Larger than this registry takes",
    416: "The range lies behind the end of the file",
    422: "What was uploaded is no release",
    429: "A rate limit is used up; `Retry-After` says for how long",
    503: "Database, blob store or signer do not answer; nothing was changed",
    507: "The storage is full",
}
_PARAMETERS = {
    "ns": "Namespace",
    "name": "Name in its namespace",
    "version": "Version without a leading v",
    "reference": "Version, with or without a leading v, or `latest`",
    "digest": "`sha256:<hex>`",
    "build": "Id of a build",
    "path": "Path of a file",
    "id": "As the answer to its beginning named it",
}


def show(_call: Call) -> Response:
    """OpenAPI 3.1."""
    return Response(_text(), media_type="application/json", headers={"Cache-Control": "no-cache"})


@functools.cache
def _text() -> str:
    from flowctl_registry.api.endpoints import ENDPOINTS  # which this endpoint is one of

    return json.dumps(document(ENDPOINTS), indent=1)


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The document as JSON data, in the order of the endpoints."""
    endpoints = tuple(endpoints)
    models: dict[type[BaseModel], None] = {Problem: None}
    for endpoint in endpoints:
        models |= {model: None for model in (endpoint.body, endpoint.answer) if model is not None}
    # "validation": answers leave out what is None, which "serialization" would require.
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCE + "{model}")
    definitions = schemas["$defs"]
    describe_fields(definitions, models)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        path = re.sub(r"{(\w+):path}", r"{\1}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "flowctl registry",
            "version": version("flowctl-registry"),
            "description": "Components and bundles: find, download, publish. Errors are problem+json (RFC 9457).",
        },
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of `flowctl-registry token`"},
                "basic": {"type": "http", "scheme": "basic", "description": "Any user, and a token as password"},
            },
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    parameters = [_path_parameter(name) for name in re.findall(r"{(\w+)", endpoint.path)]
    if endpoint.query is not None:
        parameters += _query_parameters(endpoint.query)
    tokens: list[dict[str, list[str]]] = [{"token": []}, {"basic": []}]
    found: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{endpoint.method.lower()}{endpoint.path}").strip("_"),
        "summary": endpoint.summary,
        "description": inspect.getdoc(endpoint.handler) or "",
        "tags": [endpoint.tag],
        "parameters": parameters,
        "responses": _responses(endpoint),
        # Reading needs no token where the registry and the namespace are open.
        "security": [{}, *tokens] if endpoint.action in (None, "read") else tokens,
    }
    if endpoint.body is not None:
        schema: dict[str, Any] = {"$ref": _REFERENCE + endpoint.body.__name__}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    elif endpoint.body_media_type != "application/json":
        schema = {"type": "string", "format": "binary"}
        found["requestBody"] = {"required": True, "content": {endpoint.body_media_type: {"schema": schema}}}
    return found


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    success: dict[str, Any] = {"description": endpoint.summary}
    if endpoint.answer is not None:
        schema = {"$ref": _REFERENCE + endpoint.answer.__name__}
        success["content"] = {endpoint.media_type: {"schema": schema}}
    elif endpoint.status == 200:
        success["content"] = {"*/*" if endpoint.media_type == "application/octet-stream" else endpoint.media_type: {}}
    found = {str(endpoint.status): success}
    for status, meaning in endpoint.answers.items():
        found[str(status)] = {"description": meaning}
        if status == 206:
            found["206"]["content"] = {"*/*": {}}
    told = {401, 429, 503, *endpoint.errors}
    if "{" in endpoint.path or endpoint.query is not None or endpoint.body is not None:
        told.add(400)
    if endpoint.action is not None:
        told.add(403)
    if "{" in endpoint.path:
        told.add(404)
    if endpoint.body is not None:
        told.add(413)
    problem = {"application/problem+json": {"schema": {"$ref": _REFERENCE + "Problem"}}}
    for status in sorted(told):
        found[str(status)] = {"description": _PROBLEMS[status]}
        if status not in (412, 416):
            found[str(status)]["content"] = problem
    return found


def _path_parameter(name: str) -> dict[str, Any]:
    pattern, longest = PATTERNS.get(name, r"^[!-.0-~]+$"), LONGEST if name in PATTERNS else 512
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": _PARAMETERS.get(name, name.capitalize()),
        "schema": {"type": "string", "pattern": pattern, "minLength": 1, "maxLength": longest},
    }


def _query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema()
    describe_fields({model.__name__: schema}, [model])
    definitions = schema.get("$defs", {})
    required = schema.get("required", ())
    found = []
    for name, each in schema["properties"].items():
        meaning = each.pop("description", "")
        found.append(
            {
                "name": name,
                "in": "query",
                "required": name in required,
                "description": meaning,
                "schema": _plain(each, definitions),
            }
        )
    return found


def _plain(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Without null, which no query can say, and without references out of the parameter."""
    schema = {key: value for key, value in schema.items() if key != "title" and (key, value) != ("default", None)}
    options = [each for each in schema.pop("anyOf", ()) if each != {"type": "null"}]
    if len(options) == 1:
        schema |= options[0]
    elif options:
        schema["anyOf"] = options
    if "$ref" in schema:
        schema |= definitions[schema.pop("$ref").rpartition("/")[2]]
    return schema


ENDPOINTS = (
    Endpoint("GET", "/v1/openapi.json", show, None, "This document", "operations"),
)  # fmt: skip
