"""Settings of a registry: defaults, then `registry.yaml`, then `FLOWCTL_REGISTRY_*` variables, then flags."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from flowctl_core.errors import ConfigError

PREFIX = "FLOWCTL_REGISTRY_"
_FILE = "_file"


class Section(BaseModel):
    """A part of the settings; unknown names are errors, since a typing error must not switch protection off."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def is_loopback_url(url: str) -> bool:
    """Does plain http to it stay on this machine?"""
    parsed = urlsplit(url)
    try:
        host = parsed.hostname or ""
        return parsed.scheme == "http" and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


class Limits(Section):
    """What one request, release or client may take."""

    blob_bytes: int = 4_000_000_000
    """A file of a release at most."""
    release_bytes: int = 20_000_000_000
    """All files of a release at most."""
    release_files: int = 2_000
    """Files of a release at most."""
    json_bytes: int = 2_000_000
    """A JSON body at most."""
    document_bytes: int = 4_000_000
    """A metadata document or image manifest of a release at most."""
    upload_ttl_s: float = 3_600
    """How long an upload that is not committed keeps its blobs."""
    receive_timeout_s: float = 30
    """How long a client may send nothing in the middle of a body."""
    receive_bytes_per_s: int = 1_000
    """What a client that sends a body must reach on average, after `receive_timeout_s`; 0 is no limit."""
    requests_per_minute: int = 1_200
    """Of one address without a token; 0 is no limit."""
    token_requests_per_minute: int = 6_000
    """Of one token; 0 is no limit."""
    failed_logins_per_minute: int = 30
    """Wrong tokens of one address; 0 is no limit."""
    namespace_bytes: int = 0
    """What a namespace may store where it has no quota of its own; 0 is no limit."""
    search_candidates: int = 1_000
    """Matches that are ranked at most."""


class Server(Section):
    """Where the service listens."""

    host: str = "127.0.0.1"
    """Address to listen at; `0.0.0.0` is all."""
    port: int = Field(8080, ge=0, le=65535)
    """Port to listen at."""
    workers: int = Field(1, ge=1)
    """API processes."""
    public_url: str | None = None
    """As clients see it, for links and audiences; default: what the request says."""
    tls_certificate: Path | None = None
    """Serve https with this certificate chain (PEM)."""
    tls_key: Path | None = None
    """Its private key (PEM)."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks (CIDR) whose `X-Forwarded-For` and `X-Forwarded-Proto` headers are believed."""
    accel_prefix: str | None = None
    """Internal location of a proxy that sends the files itself (`X-Accel-Redirect`)."""
    shutdown_s: float = 30
    """How long running requests may finish after SIGTERM."""

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ipaddress.ip_network(each)) for each in networks)

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Server:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        return self


class Issuer(Section):
    """An OIDC issuer whose tokens are taken for trusted publishing."""

    url: str
    """As its tokens say in `iss`; https, except on loopback."""
    audience: str = "flowctl-registry"
    """What tokens must be made for."""

    @field_validator("url")
    @classmethod
    def _secure(cls, url: str) -> str:
        if not (url.startswith("https://") or is_loopback_url(url)):
            raise ValueError("an issuer needs https://")
        return url


class Access(Section):
    """Who may read without a token."""

    anonymous_read: bool = True
    """Public namespaces can be read without a token."""
    issuers: tuple[Issuer, ...] = ()


class Retention(Section):
    """Which versions `gc` may remove."""

    prerelease_days: int = 0
    """Prereleases older than this are removed; 0 keeps them."""
    prerelease_keep: int = 3
    """The newest prereleases of a component that stay, whatever their age."""
    build_log_days: int = 90
    """Logs of builds that ended longer ago are removed; 0 keeps them."""


class Builds(Section):
    """Remote builds: who does them, and how many at once."""

    embedded_slots: int = Field(2, ge=0)
    """Builds that the worker inside `serve` does at the same time; 0: `serve` has none."""
    idle_s: float = Field(300, gt=0)
    """The worker inside `serve` ends when it had nothing to do for so long, and comes back when there is something."""
    running_per_namespace: int = Field(4, ge=0)
    """Builds of one namespace at the same time; 0 is no limit."""
    queued_per_namespace: int = Field(200, ge=0)
    """Builds of one namespace that may wait; 0 is no limit."""
    tries: int = Field(4, ge=1)
    """How often a step is tried whose failure may pass, such as a network's."""
    retry_s: float = Field(2, gt=0)
    """Pause before the second try; each further one is twice as long."""
    placements: dict[str, str] = {}
    """Which label (`platform=darwin`) a worker needs to build a platform (glob, `darwin/*`); others build anywhere."""
    dead_after_s: float = Field(4, ge=1)
    """A worker whose heartbeat stands still for so long has lost its builds to others."""
    stop_s: float = Field(20, ge=0)
    """How long steps may end after SIGTERM; what has not ended then is done anew elsewhere."""
    python: Path | None = None
    """Python of the environment with flowctl and the builders that builds run from; default: the registry's own."""
    readable: tuple[Path, ...] = ()
    """Files and folders that builds may read: toolchains outside /usr (their `bin` is on PATH), advisories."""
    environment: dict[str, str] = {}
    """Variables that builds get, never secrets: where mirrors are (`GOPROXY`, `UV_DEFAULT_INDEX`), `RUSTUP_HOME`."""
    config: Path | None = None
    """flowctl's configuration for builds: base images, advisories, platforms."""
    seed: Path | None = None
    """Caches that a build begins with a copy of, laid out as `cache/` in a workspace; no build writes there."""
    history_days: int = Field(14, ge=1)
    """How long the job engine remembers builds that ended."""
    log_step_bytes: int = Field(4_000_000, gt=0)
    """Log of one try of a step for one platform; the rest is cut off."""
    log_bytes: int = Field(20_000_000, gt=0)
    """Log of a build, all tries of its steps together."""
    log_stream_s: float = Field(300, gt=0)
    """After this time a client that follows a log has to ask again; it goes on where it was."""


class Sources(Section):
    """Where the source of remote builds may come from."""

    schemes: tuple[Literal["https", "http"], ...] = ("https",)
    """Of repositories' addresses; http only for servers of your own network."""
    hosts: tuple[str, ...] = ("*",)
    """Hosts of repositories and their submodules, as globs (`*.example.org`); private addresses are refused anyway."""
    ports: tuple[int, ...] = (443, 80)
    """Ports of repositories."""
    allow_private: tuple[str, ...] = ()
    """Private networks (CIDR) or names of hosts that repositories may be in all the same: your own git server."""
    clone_bytes: int = Field(2_000_000_000, gt=0)
    """What a repository may bring at one commit, on the network and on disk."""
    clone_files: int = Field(200_000, gt=0)
    """Files that a commit may have, submodules included."""
    clone_s: float = Field(600, gt=0)
    """How long fetching one repository may take."""
    submodules: int = Field(50, ge=0)
    """Submodules that a commit may have, those of submodules included."""
    reconcile_s: float = Field(900, ge=1)
    """How often the reconciler looks for tags that no webhook told of."""
    github_secret: SecretStr | None = None
    """Secret of GitHub's webhooks, for sources without one of their own; without any, webhooks are refused."""
    webhook_bytes: int = Field(5_000_000, gt=0)
    """Body of an incoming webhook at most."""


class Hooks(Section):
    """Outgoing webhooks."""

    allow_private: tuple[str, ...] = ()
    """Private networks (CIDR) or names of hosts that webhooks may be sent to all the same."""
    allow_http: bool = False
    """Take http:// addresses too."""
    timeout_s: float = Field(15, gt=0)
    """How long a receiver may take to answer."""
    tries: int = Field(8, ge=1)
    """How often a message is sent to a receiver that does not take it."""
    retry_s: float = Field(5, gt=0)
    """Pause before the second try; each further one is four times as long, one day at most."""


class Sandbox(Section):
    """How builds are confined (docs/operators/build-sandbox.md)."""

    kind: Literal["auto", "bubblewrap", "docker", "none"] = "auto"
    """`auto` takes the best that works here; `none` works only with `--unsandboxed`."""
    unsandboxed: bool = False
    """Build without a sandbox where none works (`--unsandboxed`): only on a machine that holds nothing of worth."""
    user: str = "nobody"
    """Name or number of the user that builds run as where the service is root."""
    image: str | None = None
    """Image for builds in Docker; it has Python 3.11 or newer, git, tar, libstdc++, and all that builds need."""
    cgroup: Path | None = None
    """A control group (version 2) that was delegated for builds; default: the service's own."""
    cpu_s: float = Field(7_200, gt=0)
    """Processor time of one command, all its processes together."""
    wall_s: float = Field(1_800, gt=0)
    """How long one command may take."""
    memory_bytes: int = Field(4_000_000_000, ge=64_000_000)
    """Memory of one command, all its processes and its /tmp together."""
    processes: int = Field(1_024, ge=16)
    """Processes and threads of one command at one time."""
    file_bytes: int = Field(4_000_000_000, gt=0)
    """One file that a command writes."""
    disk_bytes: int = Field(20_000_000_000, gt=0)
    """What a command may add to its folders."""
    output_bytes: int = Field(50_000_000, gt=0)
    """What a command may print."""
    hosts: tuple[str, ...] = ()
    """Hosts that fetches may reach, as globs (`*.example.org`); empty: none."""
    ports: tuple[int, ...] = (443, 80)
    """Ports that fetches may reach."""
    allow_private: tuple[str, ...] = ()
    """Private networks (CIDR) or names of hosts that fetches may reach all the same: your own mirrors."""
    fetch_bytes: int = Field(10_000_000_000, gt=0)
    """What one fetch may send and receive."""
    fetch_connections: int = Field(256, gt=0)
    """Connections of one fetch at one time."""


class Telemetry(Section):
    """Logs and traces."""

    log_format: Literal["auto", "json", "text"] = "auto"
    """`auto`: text for people at a terminal, JSON for everything else."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged; `debug` has the requests of `/healthz`, `/readyz` and `/metrics` too."""
    otlp_endpoint: str | None = None
    """Traces go there when set, by OTLP over HTTP (extra `telemetry`)."""


class Settings(Section):
    """All settings; `data` is enough for an embedded registry."""

    data: Path = Path("registry-data")
    """Folder of everything that has no address of its own: database, blobs, keys, sockets."""
    database_url: SecretStr | None = None
    """SQLAlchemy URL; default: SQLite in the data folder."""
    blob_url: str | None = None
    """`file:///path` or `s3://bucket/prefix`; default: files in the data folder."""
    blob_options: dict[str, SecretStr] = {}
    """Options of the store, such as `endpoint` and `access_key_id` (obstore's names)."""
    blob_redirect: bool = True
    """Clients fetch big blobs from the store itself by signed URLs, where it has them."""
    signer_socket: Path | None = None
    """Socket of a signer that runs elsewhere; default: `serve` starts one."""
    signer_key: str | None = None
    """Key of the signer, a PKCS#11 or KMS URI or a PEM file; default: one that the signer makes in the data folder."""
    server: Server = Server()
    limits: Limits = Limits()
    access: Access = Access()
    retention: Retention = Retention()
    builds: Builds = Builds()
    sources: Sources = Sources()
    hooks: Hooks = Hooks()
    sandbox: Sandbox = Sandbox()
    telemetry: Telemetry = Telemetry()

    @property
    def database(self) -> str:
        """The SQLAlchemy URL, with its password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.own_database}"

    @property
    def own_database(self) -> Path:
        """The file in the data folder, where no other database is named."""
        return self.data.absolute() / "registry.db"

    @property
    def blobs(self) -> str:
        """URL of the blob store."""
        return self.blob_url or (self.data.absolute() / "blobs").as_uri()

    @property
    def socket(self) -> Path:
        """Where the signer listens."""
        return self.signer_socket or self.data.absolute() / "signer.sock"


def load_settings(file: Path | None, environment: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    """Read the settings. `flags` use dots as `__` (`server__port=0`); None is not given. Raises ConfigError."""
    values: dict[str, Any] = _read(file) if file is not None else {}
    environment = os.environ if environment is None else environment
    for name, value in sorted(environment.items()):
        if name.startswith(PREFIX) and name != PREFIX + "CONFIG":
            setting = name.removeprefix(PREFIX).lower()
            if setting.endswith(_FILE):
                setting, value = setting.removesuffix(_FILE), _secret(name, Path(value))
            _put(values, setting.split("__"), _listed(value), name)
    for name, value in flags.items():
        if value is not None:
            _put(values, name.split("__"), value, name)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        told = [".".join(map(str, each["loc"])) + ": " + each["msg"] for each in error.errors()]
        raise ConfigError(
            "the registry's settings are wrong: " + "; ".join(told), hint="docs/operators/registry.md lists them."
        ) from None


def _secret(name: str, file: Path) -> str:
    """What a file holds that a variable with `_FILE` at its end names, as container engines mount secrets."""
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"{name}: {file} cannot be read: {told}", hint="Name a file with the value.") from None


def _listed(value: str) -> Any:
    """Lists and mappings in the environment are JSON."""
    if value[:1] not in "[{":
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _put(values: dict[str, Any], path: list[str], value: Any, name: str) -> None:
    for part in path[:-1]:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{name} contradicts another setting", hint="Remove one of them.")
    values[path[-1]] = value


def _read(file: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        read = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, YAMLError) as error:
        told = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{file} cannot be read: {told}", hint="Give the path of a registry.yaml.") from None
    if not isinstance(read, dict):
        raise ConfigError(f"{file} is no mapping", hint="docs/operators/registry.md has an example.")
    return read
