"""component.yaml against the metadata.json beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

from flowctl_core.models.component import ComponentSpec
from flowctl_core.models.metadata import MetadataSpec
from flowctl_core.specfile.check_interface import health_ports
from flowctl_core.specfile.finding import Finding
from flowctl_core.specfile.load import LoadedSpec, read_metadata

_OURS = {"produces", "consumes", "input_types", "output_types", "env_mapping", "config_schema", "port", "health_port"}
"""One of these marks a metadata.json as a component's; other programs use the file name too."""
_RUNTIME_KEYS = {"port", "health_port", "flowctl_endpoint", "component_id"}
"""Keys that the runtime sets; component.yaml need not declare them."""


def check_metadata(root: FilePath, loaded: LoadedSpec[ComponentSpec]) -> Iterator[Finding]:
    """Name, version, type, event types, configuration keys and ports say the same in both files.

    Raises SpecError when metadata.json is there and cannot be read at all.
    """
    path = root / "metadata.json"
    if not path.exists() and not path.is_symlink():
        return
    reading = read_metadata(path)
    yield from reading.findings
    other = reading.loaded
    if other is not None and _OURS & other.data.keys():
        yield from _compare(loaded, other)


def _compare(loaded: LoadedSpec[ComponentSpec], other: LoadedSpec[MetadataSpec]) -> Iterator[Finding]:
    spec, metadata = loaded.spec, other.spec

    def differs(field: str, theirs: object, ours: object, ours_at: str) -> Finding:
        return other.finding("error", (field,), f"{_say(theirs)}, but {ours_at} in {loaded.file} is {_say(ours)}")

    if metadata.name != spec.name:
        yield differs("name", metadata.name, spec.name, "metadata.name")
    version = metadata.version.removeprefix("v") if metadata.version else None
    if version and spec.version and version != spec.version:
        yield differs("version", metadata.version, spec.version, "metadata.version")
    kind = "sink" if metadata.type == "consumer" else metadata.type
    if kind and spec.type and kind != spec.type:
        yield differs("type", metadata.type, spec.type, "spec.type")
    sides = (
        (metadata.inputs, spec.input_event_types, ("consumes", "input_types"), "inputEventTypes"),
        (metadata.outputs, spec.output_event_types, ("produces", "output_types"), "outputEventTypes"),
    )
    for theirs, ours, fields, name in sides:
        if theirs is not None and set(theirs) != set(ours):
            field = next(field for field in fields if field in other.data)
            yield differs(field, theirs, ours, f"spec.interface.{name}")
    yield from _ports(loaded, other)
    yield from _config(loaded, other)


def _ports(loaded: LoadedSpec[ComponentSpec], other: LoadedSpec[MetadataSpec]) -> Iterator[Finding]:
    body = _mapping(loaded.data.get("spec"))
    port = _mapping(_mapping(body.get("interface")).get("communication")).get("port")
    if other.spec.port is not None and port is not None and other.spec.port != int(port):
        message = f"{other.spec.port}, but spec.interface.communication.port in {loaded.file} is {port}"
        yield other.finding("error", ("port",), message)
    probes = {probe for _, probe in health_ports(body)}
    if other.spec.health_port is not None and probes and other.spec.health_port not in probes:
        message = f"{other.spec.health_port}, but spec.health in {loaded.file} asks port {min(probes)}"
        yield other.finding("error", ("health_port",), message)


def _config(loaded: LoadedSpec[ComponentSpec], other: LoadedSpec[MetadataSpec]) -> Iterator[Finding]:
    theirs, ours = other.spec.config_schema, loaded.spec.config
    for key, field in theirs.items():
        path = ("config_schema", key)
        if key not in ours:
            if key not in _RUNTIME_KEYS:
                yield other.finding("error", path, f"is not a configuration key of {loaded.file}")
            continue
        schema = _mapping(ours[key])
        if field.type and schema.get("type") and field.type != schema["type"]:
            message = f"'{field.type}', but '{schema['type']}' in {loaded.file}"
            yield other.finding("error", (*path, "type"), message)
        default = schema.get("default")
        if field.default is not None and default is not None and str(field.default) != str(default):
            message = f"{_say(field.default)}, but {_say(default)} in {loaded.file}"
            yield other.finding("warning", (*path, "default"), message)
    if "config_schema" in other.data:
        for key in ours.keys() - theirs.keys() - _RUNTIME_KEYS:
            yield other.finding("error", ("config_schema",), f"lacks the key '{key}' of {loaded.file}")
    known = theirs.keys() | ours.keys() | _RUNTIME_KEYS
    for key in other.spec.env_mapping:
        if key not in known:
            yield other.finding("warning", ("env_mapping", key), "is not a configuration key")


def _say(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return f"'{value}'"


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
