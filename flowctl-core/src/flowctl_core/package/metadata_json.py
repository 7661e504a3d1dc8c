"""metadata.json: what today's runtime reads of a component, made from component.yaml and the project's own file."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import JsonValue

from flowctl_core.models.component import ComponentSpec
from flowctl_core.models.component_document import ComponentDocument, ConfigField, Probe

Json = dict[str, JsonValue]
_JOINED = ("env_mapping", "config_schema")
_SPELLINGS = (("input_types", "consumes"), ("output_types", "produces"))


def metadata_json(
    component: str, version: str, spec: ComponentSpec | None, own: Mapping[str, JsonValue] | None = None
) -> Json:
    """The document for an image and for `metadata/`; what `own` (the project's metadata.json) says wins.

    `env_mapping` and `config_schema` are joined key by key. What `own` does not say and component.yaml does not know
    is left out.
    """
    given = dict(own or {})
    made: Json = {"name": component, "version": version}
    if spec is not None and spec.data:
        made |= _of_spec(spec)
    for ours, theirs in _SPELLINGS:
        if theirs in given:
            made.pop(ours, None)
    for key in _JOINED:
        first, second = made.get(key), given.get(key)
        if isinstance(first, dict) and isinstance(second, dict):
            given[key] = {**first, **second}
    # The version is what was built, whatever a forgotten file says.
    return {**made, **given, "version": version}


def encode(document: Mapping[str, JsonValue]) -> str:
    """Indented, keys in their order, with a line end."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _of_spec(spec: ComponentSpec) -> Json:
    body = ComponentDocument.model_validate(spec.data).spec
    interface = body.interface
    found: Json = {
        "type": spec.type,
        "description": spec.description,
        "input_types": list(spec.input_event_types),
        "output_types": list(spec.output_event_types),
    }
    fields = {key: ConfigField.model_validate(value) for key, value in spec.config.items() if isinstance(value, dict)}
    mapping: Json = {key: field.env for key, field in fields.items() if field.env}
    if mapping:
        found["env_mapping"] = mapping
    if fields:
        found["config_schema"] = {key: _config(field) for key, field in fields.items()}
    if interface is not None and interface.communication is not None:
        found["port"] = interface.communication.port
    if body.health is not None:
        found["health_port"] = _probe_port(body.health.readiness) or _probe_port(body.health.liveness)
    return {key: value for key, value in found.items() if value is not None}


def _config(field: ConfigField) -> Json:
    found: Json = {"type": field.type, "description": field.description, "default": field.default, "env": field.env}
    found = {key: value for key, value in found.items() if value is not None}
    if field.required is True:
        found["required"] = True
    if field.enum:
        found["enum"] = list(field.enum)
    return found


def _probe_port(probe: Probe | None) -> int | None:
    if probe is None:
        return None
    return probe.port or (probe.http.port if probe.http is not None else None)
