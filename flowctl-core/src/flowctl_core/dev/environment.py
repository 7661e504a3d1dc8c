"""The environment that a component gets, as the runtime of the ecosystem hands it out.

In order, the later wins: the caller's environment without flowctl's own variables; defaults of ports; `config`, by
metadata.json's `env_mapping`, else upper-cased; secrets; `env`; what ties it to this flowctl. Source: the process
orchestrator and the translator of withObsrvr/flowctl.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowctl_core.dev.check import REFERENCE
from flowctl_core.dev.pipeline import DevComponent
from flowctl_core.errors import SpecError

if TYPE_CHECKING:
    from flowctl_core.models.metadata import MetadataSpec

HEARTBEAT_INTERVAL = "10s"
FIRST_HEALTH_PORT = 18081
FIRST_PORT = 50051


@dataclass(frozen=True)
class Secrets:
    """Values that no log may show, by name: of a file, else of the environment."""

    file: Mapping[str, str] = field(default_factory=dict, repr=False)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    def find(self, name: str) -> str | None:
        """A secret's value."""
        return self.file.get(name, self.environ.get(name))


@dataclass(frozen=True)
class Ports:
    """Ports that one copy of a component was given."""

    health: int
    service: int | None = None
    """Where it serves gRPC; None: nothing says that it does."""


@dataclass(frozen=True)
class Handed:
    """The variables of a component and which of their values are secret."""

    variables: dict[str, str] = field(repr=False)
    secret_values: frozenset[str] = field(repr=False)


def hand_over(
    component: DevComponent,
    *,
    environ: Mapping[str, str],
    secrets: Secrets,
    ports: Ports,
    endpoint: str | None,
    replica: int = 0,
) -> Handed:
    """The whole environment of one copy of a component.

    `endpoint` is the control plane's `host:port`; None: there is none. Raises SpecError for a secret or a `${NAME}`
    that is not there.
    """
    entry = component.entry
    secret: set[str] = set()
    found = {name: value for name, value in environ.items() if not name.startswith("FLOWCTL_")}
    found["HEALTH_PORT"] = str(ports.health)
    if ports.service is not None:
        found["PORT"] = f":{ports.service}"
    lookup = {**environ, **secrets.file}

    def expand(value: str) -> str:
        text = expanded(value, lookup, component.id)
        if text != value and any(
            m["name"] in secrets.file or secret_like(m["name"]) for m in REFERENCE.finditer(value)
        ):
            secret.add(text)
        return text

    for key, value in entry.config.items():
        found[variable_of(key, component.metadata)] = expand(text_of(value))
    for item in entry.secrets:
        name = secret_name(item)
        if not name:  # a file or folder for a container
            continue
        value = secret_value(item, secrets)
        if value is None:
            raise SpecError(
                f"{component.id}: the secret {name} is not set",
                hint=f"Set {name} in the environment, or in a file of NAME=value lines named by --secrets.",
            )
        secret.add(value)
        found[name] = value
    found.update((name, expand(value)) for name, value in variables(entry.env).items())
    if entry.health_port is not None and component.replicas <= 1:
        found["HEALTH_PORT"] = str(entry.health_port)
    name = component.id if component.replicas <= 1 else f"{component.id}-{replica + 1}"
    if endpoint is not None:
        found.update(ENABLE_FLOWCTL="true", FLOWCTL_ENDPOINT=endpoint, FLOWCTL_HEARTBEAT_INTERVAL=HEARTBEAT_INTERVAL)
    found.update(FLOWCTL_SERVICE_ID=name, FLOWCTL_COMPONENT_ID=component.id)
    secret.update(value for key, value in found.items() if secret_like(key))
    return Handed(found, frozenset(value for value in secret if value))


def variable_of(key: str, metadata: MetadataSpec | None) -> str:
    """The variable that carries a configuration key."""
    if metadata is not None:
        schema = metadata.config_schema.get(key)
        named = metadata.env_mapping.get(key) or (schema.env if schema is not None else None)
        if named:
            return named
    return key.upper().replace("-", "_").replace(".", "_")


def variables(env: Mapping[str, str] | tuple[str, ...] | None) -> dict[str, str]:
    """`env` of an entry, a mapping or a list of NAME=value."""
    if env is None:
        return {}
    if isinstance(env, Mapping):
        return dict(env)
    return {name.strip(): value for name, _, value in (item.partition("=") for item in env)}


def text_of(value: Any) -> str:
    """A value of `config` as a variable holds it: numbers as they are spelled, lists and mappings as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return getattr(value, "text", None) or str(value)


def secret_name(item: str | Mapping[str, Any]) -> str:
    """The variable that a secret is handed over in; empty for one that a container mounts as a file."""
    if isinstance(item, str):
        return item
    if item.get("type") in ("file", "dir"):
        return ""
    return str(item.get("env") or item.get("name") or item.get("key") or "")


def secret_value(item: str | Mapping[str, Any], secrets: Secrets) -> str | None:
    """A secret's value: `key` is its name where it is kept, when that is another than the variable's."""
    if isinstance(item, str):
        return secrets.find(item)
    return secrets.find(str(item.get("key") or item.get("name") or item.get("env") or ""))


def secret_like(name: str) -> bool:
    """True for a variable that names a password, token or key, whoever set it."""
    from flowctl_core.runners.environment import is_secret_name

    return is_secret_name(name)


def expanded(text: str, environ: Mapping[str, str], id: str) -> str:
    """A text with its `${NAME}` and `${NAME:-default}` filled in. Raises SpecError for a name that is not set."""
    for match in REFERENCE.finditer(text):
        if match["default"] is None and match["name"] not in environ:
            raise SpecError(
                f"{id}: {match['name']} is not set, which '{match[0]}' asks for",
                hint=f"Set {match['name']}, or write ${{{match['name']}:-default}}.",
            )
    return REFERENCE.sub(lambda match: environ.get(match["name"]) or match["default"] or "", text)
