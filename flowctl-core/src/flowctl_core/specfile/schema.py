"""JSON Schema (2020-12) of the files people write, for editors."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

SchemaKind = Literal["component", "bundle", "pipeline", "config", "policy"]
KINDS: tuple[SchemaKind, ...] = ("component", "bundle", "pipeline", "config", "policy")

_GROUPS = {"component": r"component\.flowctl\.io", "bundle": r"component\.flowctl\.io", "pipeline": r"flowctl(\.io)?"}
_WAYS = ("image", "command", "type", "path")
_EXAMPLES: dict[str, dict[str, Any]] = {
    "component": {
        "apiVersion": "component.flowctl.io/v1",
        "kind": "ComponentSpec",
        "metadata": {"name": "ledger-processor", "version": "0.1.0"},
        "spec": {"type": "processor", "languages": [{"name": "go", "main": "cmd/ledger-processor"}]},
    },
    "bundle": {
        "apiVersion": "component.flowctl.io/v1",
        "kind": "ComponentBundle",
        "metadata": {"name": "ledger-suite", "version": "0.1.0"},
        "spec": {"components": [{"name": "ledger-source", "path": "ledger-source/", "type": "source"}]},
    },
    "pipeline": {
        "apiVersion": "flowctl/v1",
        "kind": "Pipeline",
        "metadata": {"name": "ledgers"},
        "spec": {
            "sources": [{"id": "source", "type": "stellar/ledger-source@v1.0.0"}],
            "sinks": [{"id": "sink", "path": "./sink", "inputs": ["source"]}],
        },
    },
}


def json_schema(kind: SchemaKind) -> dict[str, Any]:
    """The schema of component.yaml, bundle.yaml, pipeline.yaml, the user's config.yaml or policy.

    It accepts what loading accepts: unknown fields are allowed (loading warns of them), empty fields count as absent.
    """
    schema = _model(kind).model_json_schema(by_alias=True)
    head: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": _title(kind)}
    if kind in _GROUPS:
        properties = schema["properties"]
        properties["apiVersion"] |= {"type": "string", "pattern": rf"^{_GROUPS[kind]}/v1(?![0-9]).*$"}
        schema["examples"] = [_EXAMPLES[kind]]
        _allow_empty(schema)
        if kind == "pipeline":
            _pipeline_rules(schema["$defs"])
    schema.pop("title", None)
    return head | schema


def _model(kind: SchemaKind) -> type[BaseModel]:
    match kind:
        case "policy":
            from flowctl_core.models.policy import Policy

            return Policy
        case "component":
            from flowctl_core.models.component_document import ComponentDocument

            return ComponentDocument
        case "bundle":
            from flowctl_core.models.bundle import BundleSpec

            return BundleSpec
        case "pipeline":
            from flowctl_core.models.pipeline import PipelineSpec

            return PipelineSpec
        case "config":
            from flowctl_core.models.config import Config

            return Config


def _title(kind: SchemaKind) -> str:
    return "~/.flowctl/config.yaml of flowctl" if kind == "config" else f"{kind}.yaml of flowctl"


def _allow_empty(schema: dict[str, Any]) -> None:
    """An optional field may be written without a value (`tags:`), as loading allows."""
    for model in (schema, *schema.get("$defs", {}).values()):
        required = set(model.get("required", ()))
        for name, field in model.get("properties", {}).items():
            if name in required or any(choice == {"type": "null"} for choice in field.get("anyOf", ())) or not field:
                continue
            about = {key: field.pop(key) for key in ("title", "description", "examples", "default") if key in field}
            if field:
                model["properties"][name] = {"anyOf": [dict(field), {"type": "null"}], **about}
            else:
                field.update(about)


def _pipeline_rules(definitions: dict[str, Any]) -> None:
    """Exactly one of image, command, type and path; processors and sinks have inputs."""
    component = definitions["PipelineComponent"]
    given = [{"required": [way], "properties": {way: {"not": {"type": "null"}}}} for way in _WAYS]
    body = definitions["PipelineBody"]["properties"]
    for stage in ("sources", "processors", "sinks"):
        rule: dict[str, Any] = {"oneOf": given}
        if stage != "sources":
            rule |= {"required": ["inputs"], "properties": {"inputs": {"type": "array", "minItems": 1}}}
        for choice in body[stage].get("anyOf", [body[stage]]):
            if choice.get("type") == "array":
                choice["items"] = {"allOf": [choice["items"], rule]}
    component["dependentRequired"] = {"health_check": ["health_port"]}
