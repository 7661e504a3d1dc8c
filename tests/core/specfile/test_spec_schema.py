"""JSON Schema for editors: accepts what loading accepts, refuses what it refuses."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from flowctl_core.specfile.schema import KINDS, json_schema


def validator(kind):
    return jsonschema.Draft202012Validator(json_schema(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_is_a_schema(kind):
    schema = json_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] and schema["description"]
    json.dumps(schema)
    for example in schema.get("examples", ()):
        assert not list(validator(kind).iter_errors(example))


@pytest.mark.parametrize("kind", ["component", "bundle", "pipeline"])
def test_every_field_is_described(kind):
    schema = json_schema(kind)
    for name, model in schema["$defs"].items():
        for field, about in model.get("properties", {}).items():
            assert about.get("description"), f"{name}.{field}"


VARIANTS = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {name: x, version: 1.10, tags: }
spec:
  type: consumer
  x-own: 1
  languages: {go: {version: 1.23, native_build: {enabled: true, build_command: go build, binary_path: ./p}}, rust: }
  build:
    command: [make, 1]
    language: go
    native: {commands: [a, b], environment: {A: 1, B: true}, runtime: node, dependencies: [libssl-dev]}
    dependencies: {system: [x], build: [y]}
  interface:
    communication: {consumes: [s, {name: t}]}
    inputSchemas: [a, {name: b, version: 1.0}]
  health: {readiness: {http: {path: /r, port: 1}}}
  environment: [A=1, {name: B}]
"""


def variants():
    return YAML(typ="safe", pure=True).load(VARIANTS)


def test_all_variants_are_accepted():
    check = validator("component")
    data = variants()
    assert not list(check.iter_errors(data))
    data["spec"]["languages"] = ["go", {"name": "node", "main": "x"}]
    data["spec"]["environment"] = {"A": 1}
    data["spec"]["build"]["native"]["environment"] = ["A=1"]
    assert not list(check.iter_errors(data))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["apiVersion"], "component.flowctl.io/v2"),
        (["apiVersion"], "component.flowctl.io/v10"),
        (["kind"], "Component"),
        (["metadata", "name"], "A/B"),
        (["metadata"], None),
        (["spec", "type"], "sorce"),
        (["spec", "interface", "communication", "port"], 70000),
        (["spec", "interface", "config"], {"k": {"type": "integr"}}),
        (["spec", "languages"], "go"),
        (["spec", "build", "native", "environment"], ["novalue"]),
        (["spec", "platforms"], "linux/amd64"),
    ],
)
def test_broken_components_are_refused(path, value):
    data = variants()
    target = data
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    assert list(validator("component").iter_errors(data))


PIPELINE = {
    "apiVersion": "flowctl.io/v1",
    "kind": "Pipeline",
    "metadata": {"name": "p"},
    "spec": {"sources": [{"id": "a", "type": "x@v1"}], "sinks": [{"id": "b", "path": "b", "inputs": ["a"]}]},
}


@pytest.mark.parametrize(
    ("stage", "change"),
    [
        ("sources", {"image": "x"}),
        ("sources", {"type": None}),
        ("sinks", {"inputs": []}),
        ("sinks", {"inputs": None}),
        ("sinks", {"health_check": "/health"}),
        ("sinks", {"replicas": -1}),
    ],
)
def test_broken_pipelines_are_refused(stage, change):
    check = validator("pipeline")
    assert not list(check.iter_errors(PIPELINE))
    data = copy.deepcopy(PIPELINE)
    data["spec"][stage][0].update(change)
    assert list(check.iter_errors(data))


def test_config_is_the_users_configuration():
    schema = json_schema("config")
    assert {"registry", "build"} <= schema["properties"].keys()
    assert not Path(str(schema)).is_absolute()
    assert str(Path.home()) not in json.dumps(schema)
