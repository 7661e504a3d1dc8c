"""The wiring of a pipeline: event types that meet, ports that clash, config against each component's schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from flowctl_core.dev.pipeline import DevComponent, DevPipeline, FieldPath, needs
from flowctl_core.specfile.check_config import check_values
from flowctl_core.specfile.check_interface import health_ports
from flowctl_core.specfile.finding import Finding, Severity
from flowctl_core.specfile.problems import suggestion

Problem = tuple[Severity, FieldPath, str]
REFERENCE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
"""`${NAME}` or `${NAME:-default}` in a value of config, env, args or command."""


def check_wiring(pipeline: DevPipeline, environ: Mapping[str, str]) -> list[Finding]:
    """Everything that is wrong between components, in the order of the file."""
    problems: list[Problem] = []
    ports: dict[int, str] = {}
    for component in pipeline.components:
        problems += _events(component, pipeline)
        problems += _config(component)
        problems += _ports(component, ports)
        problems += _references(component, environ)
        problems += _replicas(component)
    problems += _start_loops(pipeline)
    findings = [pipeline.loaded.finding(severity, path, message) for severity, path, message in problems]
    return sorted(dict.fromkeys(findings), key=lambda finding: finding.line or 0)


def _events(component: DevComponent, pipeline: DevPipeline) -> Iterator[Problem]:
    stage = component.stage
    kind = component.spec.type if component.spec else None
    wanted = {"sources": "source", "processors": "processor", "sinks": "sink"}.get(stage)
    if kind and wanted and kind != wanted:
        yield "error", (*component.at, "id"), f"'{component.id}' stands among the {stage}, and is a {kind}"
    if stage in ("sources", "processors") and not pipeline.readers(component.id):
        yield "warning", (*component.at, "id"), f"nothing takes the events of '{component.id}'"
    takes = component.input_types
    for index, id in enumerate(component.entry.inputs):
        upstream = pipeline.by_id.get(id)
        if upstream is None or takes is None or upstream.output_types is None:
            continue
        if not set(takes) & set(upstream.output_types):
            yield (
                "error",
                (*component.at, "inputs", index),
                f"no event type meets: '{id}' gives {', '.join(upstream.output_types)}; "
                f"'{component.id}' takes {', '.join(takes)}",
            )


def _config(component: DevComponent) -> Iterator[Problem]:
    path: FieldPath = (*component.at, "config")
    values = component.entry.config
    schemas: dict[str, Any] = {}
    if component.spec is not None:
        schemas = {name: schema for name, schema in component.spec.config.items() if isinstance(schema, dict)}
    elif component.metadata is not None:
        schemas = {
            name: field.model_dump(mode="json", exclude_defaults=True)
            for name, field in component.metadata.config_schema.items()
        }
    if not schemas:
        return
    given = _given_otherwise(component)
    for severity, (where, message) in check_values(path, schemas, values):
        if severity == "error" and where == path and any(message.endswith(f"'{name}'") for name in given):
            continue  # required, and set by `env`
        if severity == "warning":
            better = suggestion(str(where[-1]), (name for name in schemas if name not in values))
            message += f"; did you mean '{better}'?" if better else ""
        yield severity, where, message


def _given_otherwise(component: DevComponent) -> set[str]:
    """Configuration keys whose variable `env` or `secrets` sets."""
    from flowctl_core.dev.environment import secret_name, variable_of, variables

    names = {*variables(component.entry.env), *(secret_name(item) for item in component.entry.secrets)}
    keys = component.spec.config if component.spec else component.metadata.config_schema if component.metadata else {}
    return {key for key in keys if variable_of(key, component.metadata) in names}


def _ports(component: DevComponent, taken: dict[int, str]) -> Iterator[Problem]:
    """Two components (or two ports of one) cannot open the same port of this machine."""
    entry = component.entry
    stated: list[tuple[FieldPath, int]] = [] if entry.health_port is None else [(("health_port",), entry.health_port)]
    for index, opened in enumerate(entry.ports):
        stated.append((("ports", index), opened.host_port or opened.container_port))
    severity: Severity = "error"
    if not stated:  # what its own file says may be set otherwise by config
        declared = [*service_ports(component), *(port for _, port in health_ports(component.body))]
        stated = [(("id",), port) for port in dict.fromkeys(declared)]
        severity = "warning"
    for where, port in stated:  # one port twice in a component: its health may be answered where it serves
        if taken.setdefault(port, component.id) != component.id:
            yield severity, (*component.at, *where), f"port {port} is taken by '{taken[port]}'"
    if component.replicas > 1 and component.program.kind != "image" and entry.health_port is not None:
        yield "error", (*component.at, "replicas"), "replicas on one machine cannot share a health_port; leave it out"


def service_ports(component: DevComponent) -> list[int]:
    """The port that component.yaml or metadata.json says it serves events on, if any."""
    interface = component.body.get("interface")
    communication = interface.get("communication") if isinstance(interface, dict) else None
    port = communication.get("port") if isinstance(communication, dict) else None
    port = port or (component.metadata.port if component.metadata else None)
    return [port] if isinstance(port, int) else []


def _references(component: DevComponent, environ: Mapping[str, str]) -> Iterator[Problem]:
    """`${NAME}` that is not set: told here, refused when the pipeline starts."""
    entry = component.entry
    for field, value in (
        ("config", entry.config),
        ("env", entry.env),
        ("args", entry.args),
        ("command", entry.command),
    ):
        for path, text in _texts(value):
            for match in REFERENCE.finditer(text):
                if match["default"] is None and match["name"] not in environ:
                    yield "warning", (*component.at, field, *path), f"{match['name']} is not set in the environment"


def _texts(value: Any, path: FieldPath = ()) -> Iterator[tuple[FieldPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))


def _replicas(component: DevComponent) -> Iterator[Problem]:
    if component.replicas == 0:
        yield "warning", (*component.at, "replicas"), f"0: '{component.id}' does not run, and its events go nowhere"


def _start_loops(pipeline: DevPipeline) -> Iterator[Problem]:
    """Components that wait for each other: through `depends_on`, since loops of `inputs` are told of elsewhere."""
    waiting = {c.id: {id for id in needs(c) if id in pipeline.by_id} for c in pipeline.components}
    while ready := [id for id, wanted in waiting.items() if not wanted & waiting.keys()]:
        for id in ready:
            del waiting[id]
    for component in pipeline.components:
        if component.id not in waiting:
            continue
        for index, id in enumerate(component.entry.depends_on):
            if id in waiting:
                message = f"'{component.id}' and '{id}' wait for each other to start"
                if id == component.id:
                    message = f"'{id}' depends on itself"
                yield "error", (*component.at, "depends_on", index), message
