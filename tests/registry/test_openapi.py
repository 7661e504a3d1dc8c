"""The OpenAPI document is served, complete and valid."""

from __future__ import annotations

import re

import pytest
from jsonschema import Draft202012Validator

from flowctl_registry.api.endpoints import ENDPOINTS
from flowctl_registry.api.openapi import document

from .conftest import Registry


def test_it_is_served(registry: Registry) -> None:
    got = registry.client().get("/v1/openapi.json")
    assert (got.status_code, got.headers["content-type"]) == (200, "application/json")
    assert got.json() == document(ENDPOINTS)
    assert got.json()["openapi"] == "3.1.0"


def test_it_has_every_endpoint_once() -> None:
    made = document(ENDPOINTS)
    found = {(method, path) for path, operations in made["paths"].items() for method in operations}
    assert found == {(each.method.lower(), each.path.replace(":path", "")) for each in ENDPOINTS}
    names = [operation["operationId"] for operations in made["paths"].values() for operation in operations.values()]
    assert len(set(names)) == len(names) == len(ENDPOINTS)


def test_its_schemas_are_valid_and_complete() -> None:
    made = document(ENDPOINTS)
    schemas = made["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    for reference in re.findall(r"'#/components/schemas/([^']+)'", str(made)):
        assert reference in schemas


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: f"{each.method} {each.path}")
def test_everything_is_described(endpoint) -> None:
    operation = document([endpoint])["paths"][endpoint.path.replace(":path", "")][endpoint.method.lower()]
    assert operation["summary"]
    assert operation["description"]
    for parameter in operation["parameters"]:
        assert parameter["description"], parameter["name"]


def test_every_field_is_described() -> None:
    schemas = document(ENDPOINTS)["components"]["schemas"]
    missing = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for field, each in schema.get("properties", {}).items()
        if not each.get("description")
    ]
    assert missing == []
