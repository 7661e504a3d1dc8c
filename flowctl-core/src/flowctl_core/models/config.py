"""The user's configuration (`~/.flowctl/config.yaml`)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StringConstraints

from flowctl_core.models.plan import LanguageSettings
from flowctl_core.models.platform import Platform
from flowctl_core.models.severity import Threshold

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZES = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def _seconds(value: object) -> object:
    if isinstance(value, str):
        text = value.strip().lower()
        if text[-1:] in _UNITS and text[:-1].replace(".", "", 1).isdigit():
            return float(text[:-1]) * _UNITS[text[-1]]
        if text.replace(".", "", 1).isdigit():
            return float(text)
        raise ValueError("write a number of seconds or a duration such as 90s, 30m or 2h")
    return value


def parse_size(value: object) -> object:
    """Bytes from `500M`, `10G`, `10GiB`; numbers pass unchanged. Raises ValueError for other text."""
    if isinstance(value, str):
        text = value.strip().lower().removesuffix("b").removesuffix("i")
        if text.isdigit():
            return int(text)
        if text[-1:] in _SIZES and text[:-1].replace(".", "", 1).isdigit():
            return int(float(text[:-1]) * _SIZES[text[-1]])
        raise ValueError("write a number of bytes or a size such as 500M or 10G")
    return value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
Size = Annotated[int, BeforeValidator(parse_size), Field(ge=0)]
Folder = Annotated[Path, AfterValidator(lambda path: path.expanduser())]


def default_cache_dir() -> Path:
    """`$XDG_CACHE_HOME/flowctl`, else `~/.cache/flowctl`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "flowctl"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RegistryAuth(_Section):
    """How this user proves who they are."""

    token: SecretStr | None = Field(None, description="Access token; write ${FLOWCTL_TOKEN} to read it from there.")


class RegistryConfig(_Section):
    """The registry that publish and install talk to."""

    url: str | None = Field(None, description="Base URL, for example https://registry.example.org.")
    auth: RegistryAuth = RegistryAuth()


_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def check_registry_url(value: str) -> str:
    """An address with TLS or on this machine, without a slash at its end. Raises ValueError."""
    parts = urlsplit(value)
    plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or parts.username or parts.query or parts.fragment or (parts.scheme != "https" and not plain):
        raise ValueError("write https://HOST or https://HOST/PATH")
    return value.rstrip("/")


class RegistryEntry(_Section):
    """A registry of its own rules, beside the one at `registry.url` or in place of parts of it."""

    url: Annotated[str, AfterValidator(check_registry_url)] = Field(
        description="Base URL; settings for `registry.url` itself are written under the same URL."
    )
    namespaces: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*\*?$", max_length=100)], ...] = (
        Field((), description="Namespaces that only this registry answers; `acme-*` stands for all that begin so.")
    )
    private: bool = Field(False, description="Never ask it without a token.")
    mirrors: tuple[Annotated[str, AfterValidator(check_registry_url)], ...] = Field(
        (),
        description="Addresses that have the same files; what they send is held against the registry's signed index.",
    )
    ca: Folder | None = Field(None, description="File (PEM) of certificate authorities that it may be certified by.")
    proxy: SecretStr | None = Field(
        None, description="Proxy, `http://[USER:PASSWORD@]HOST:PORT`; else HTTPS_PROXY and NO_PROXY count."
    )


class LocalBuildConfig(_Section):
    """Builds on this machine."""

    cache_dir: Folder = Field(default_factory=default_cache_dir, description="Folder of the build cache.")
    cache_size: Size = Field(10 * 2**30, description="Limit of the build cache, in bytes or as 10G.")
    parallel_jobs: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, le=1024, description="Builds and jobs that run at once."
    )
    timeout: Seconds = Field(1800.0, description="Limit for each command of a toolchain, in seconds or as 30m.")
    languages: dict[str, LanguageSettings] = Field({}, description="Settings for one language each.")


class RemoteBuildConfig(_Section):
    """Builds in the registry."""

    platforms: tuple[Platform, ...] = Field(
        (Platform("linux/amd64"), Platform("linux/arm64"), Platform("darwin/amd64")),
        description="Platforms of a release.",
    )
    sign_artifacts: bool = Field(True, description="Sign what is published; false is told to every reader.")


class ScanConfig(_Section):
    """The scan for known vulnerabilities."""

    database: Folder | None = Field(
        None, description="Directory of advisories in OSV's format; used instead of the network."
    )
    api: str = Field("https://api.osv.dev", pattern=r"^https?://", description="Base URL of OSV's API.")
    fail_on: Threshold | None = Field(
        None, description="Least severity that makes a release fail: critical, high, medium or low; null: none does."
    )


class ImagesConfig(_Section):
    """Container images of releases."""

    base: dict[str, str] = Field(
        {}, description="Base image for each language, where component.yaml names none; `scratch` is none."
    )
    dockerfiles: bool = Field(
        True,
        description="Build images from a component's Dockerfile, in the Docker engine; false: assemble them always.",
    )
    test: dict[str, str] = Field(
        {}, description="Image for each language in which `flowctl component test --container` runs tests."
    )


class BuildConfig(_Section):
    """How components are built."""

    local: LocalBuildConfig = Field(default_factory=LocalBuildConfig)
    remote: RemoteBuildConfig = Field(default_factory=RemoteBuildConfig)
    scan: ScanConfig = ScanConfig()
    images: ImagesConfig = ImagesConfig()


class Config(_Section):
    """flowctl's configuration: `~/.flowctl/config.yaml`, overridden by environment variables and flags."""

    registry: RegistryConfig = RegistryConfig()
    registries: tuple[RegistryEntry, ...] = Field((), description="Registries by namespace.")
    build: BuildConfig = Field(default_factory=BuildConfig)
