"""What component.yaml says of itself: events, ports, platforms, examples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from flowctl_core.models.component import ComponentSpec
from flowctl_core.specfile.check_config import RuleProblem, check_schema, check_values
from flowctl_core.specfile.problems import Path, one_of

OPERATING_SYSTEMS = (
    "linux", "darwin", "windows", "freebsd", "openbsd", "netbsd", "dragonfly", "illumos", "solaris", "aix",
    "android", "ios", "plan9", "js", "wasip1",
)  # fmt: skip
"""GOOS of Go 1.23 (`go tool dist list`), which OCI images use as well."""
ARCHITECTURES = (
    "amd64", "arm64", "386", "arm", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le",
    "riscv64", "s390x", "wasm",
)  # fmt: skip
"""GOARCH of Go 1.23."""
_MEANT = {
    "x86_64": "amd64",
    "x64": "amd64",
    "aarch64": "arm64",
    "i386": "386",
    "macos": "darwin",
    "mac": "darwin",
    "osx": "darwin",
}
_QUANTITY = re.compile(r"\d+(\.\d+)?([numkMGTPE]|[KMGTPE]i|[eE][-+]?\d+)?")
_HTTP = ("http", "https", "rest", "websocket", "ws", "http2", "grpc-web", "connect")


def check_interface(spec: ComponentSpec) -> Iterator[RuleProblem]:
    """All checks that need nothing but the spec."""
    body = _mapping(spec.data.get("spec"))
    yield from _events(spec, body)
    yield from _ports(spec, body)
    yield from _platforms(body)
    yield from _modes(body)
    yield from _resources(body)
    prefix = config_path(body)
    for name, schema in spec.config.items():
        if isinstance(schema, dict):
            yield from check_schema((*_key_path(body, prefix, name), name), schema)
    schemas = {name: schema for name, schema in spec.config.items() if isinstance(schema, dict)}
    for index, example in enumerate(_list(body.get("examples"))):
        values = _mapping(_mapping(example).get("config"))
        yield from check_values(("spec", "examples", index, "config"), schemas, values)


def config_path(body: dict[str, Any]) -> Path:
    """Where the configuration keys stand: spec.interface.config, or its older places."""
    if _mapping(body.get("interface")).get("config") or not body.get("config"):
        return ("spec", "interface", "config")
    inner = isinstance(_mapping(body["config"]).get("properties"), dict)
    return ("spec", "config", "properties") if inner else ("spec", "config")


def _key_path(body: dict[str, Any], prefix: Path, name: str) -> Path:
    """Both places may be used at once; say the one that has the key."""
    if prefix[1] == "interface" and name not in _mapping(_mapping(body.get("interface")).get("config")):
        return config_path({**body, "interface": {}})
    return prefix


def _events(spec: ComponentSpec, body: dict[str, Any]) -> Iterator[RuleProblem]:
    if spec.type is None:
        yield "error", (("spec", "type"), "is missing; say source, processor or sink")
        return
    interface = _mapping(body.get("interface"))
    here: Path = ("spec", "interface")
    sides = (
        ("inputEventTypes", spec.input_event_types, spec.type != "source", ("input", "upstream"), "takes"),
        ("outputEventTypes", spec.output_event_types, spec.type != "sink", ("output", "downstream"), "gives"),
    )
    article = f"a {spec.type}"
    for field, events, wanted, older, verb in sides:
        if events and not wanted:
            yield "error", ((*here, field), f"{article} {verb} no events; is it a processor?")
        elif wanted and not events and not any(interface.get(name) for name in older):
            yield (
                "warning",
                ((*here, field), f"is {'empty' if field in interface else 'missing'}; {article} {verb} events"),
            )
        for index, event in enumerate(events):
            if event in events[:index]:
                yield "warning", ((*here, field, index), f"'{event}' is given twice")


def _ports(spec: ComponentSpec, body: dict[str, Any]) -> Iterator[RuleProblem]:
    communication = _mapping(_mapping(body.get("interface")).get("communication"))
    port = communication.get("port")
    protocol = str(communication.get("protocol", "")).lower()
    probes = dict(health_ports(body))
    for path, probe in probes.items():
        if port is not None and probe == port and protocol and protocol not in _HTTP:
            yield "error", (path, f"port {probe} is taken by {protocol} (spec.interface.communication.port)")
    for index, stream in enumerate(_list(communication.get("consumes"))):
        theirs = _mapping(stream).get("port")
        if port is not None and theirs == port:
            path = ("spec", "interface", "communication", "consumes", index, "port")
            yield "warning", (path, f"port {port} is this component's own; both cannot run on one host")
    default = _mapping(spec.config.get("health_port")).get("default")
    for path, probe in probes.items():
        if default is not None and str(default) != str(probe):
            yield "warning", (path, f"port {probe} differs from the default of the key health_port, {default}")


def health_ports(body: dict[str, Any]) -> Iterator[tuple[Path, int]]:
    """Ports of the health probes, in either spelling."""
    for name, probe in _mapping(body.get("health")).items():
        nested = _mapping(_mapping(probe).get("http"))
        if isinstance(nested.get("port"), int):
            yield ("spec", "health", name, "http", "port"), nested["port"]
        elif isinstance(_mapping(probe).get("port"), int):
            yield ("spec", "health", name, "port"), probe["port"]


def _platforms(body: dict[str, Any]) -> Iterator[RuleProblem]:
    platforms = _list(body.get("platforms"))
    for index, platform in enumerate(platforms):
        path: Path = ("spec", "platforms", index)
        system, _, rest = str(platform).partition("/")
        for word, known, noun in (
            (system, OPERATING_SYSTEMS, "operating system"),
            (rest.split("/")[0], ARCHITECTURES, "architecture"),
        ):
            if word not in known:
                meant = _MEANT.get(word)
                better = f"'{word}' is not an {noun}; did you mean '{meant}'?" if meant else one_of(word, known, noun)
                yield "error", (path, better)
        if platform in platforms[:index]:
            yield "warning", (path, f"'{platform}' is given twice")


def _modes(body: dict[str, Any]) -> Iterator[RuleProblem]:
    execution = _mapping(body.get("execution"))
    modes = _list(execution.get("modes"))
    for index, mode in enumerate(modes):
        if mode not in ("container", "native"):
            yield "warning", (("spec", "execution", "modes", index), one_of(str(mode), ("container", "native"), "mode"))
    default = execution.get("default")
    if default is not None and modes and default not in modes:
        yield (
            "error",
            (("spec", "execution", "default"), f"'{default}' is not among the modes {', '.join(map(str, modes))}"),
        )


def _resources(body: dict[str, Any]) -> Iterator[RuleProblem]:
    for group, amounts in _mapping(body.get("resources")).items():
        for name, amount in _mapping(amounts).items():
            if isinstance(amount, str) and name in ("cpu", "memory", "storage") and not _QUANTITY.fullmatch(amount):
                message = f"'{amount[:40]}' is not a quantity; write one such as 500m, 512Mi or 2"
                yield "error", (("spec", "resources", group, name), message)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
