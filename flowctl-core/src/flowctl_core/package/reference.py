"""Image references, as Docker reads them (distribution/reference): `[registry/]name[:tag][@digest]`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace

from flowctl_core.errors import ImageError

DOCKER_HUB = "docker.io"
_HUB_HOST = "registry-1.docker.io"
_DOMAIN = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:]+\])"
)
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_FORM = re.compile(
    rf"(?:(?P<registry>{_DOMAIN}(?::\d+)?)/)?(?P<name>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
_LIMIT = 255


@dataclass(frozen=True)
class Reference:
    """Where an image is."""

    registry: str
    """Host and port as people write them; `docker.io` for Docker Hub."""
    repository: str
    tag: str | None = None
    digest: str | None = None

    @property
    def host(self) -> str:
        """Host and port to ask."""
        return _HUB_HOST if self.registry == DOCKER_HUB else self.registry

    @property
    def name(self) -> str:
        """`registry/repository[:tag]`, without digest."""
        return f"{self.registry}/{self.repository}" + (f":{self.tag}" if self.tag else "")

    @property
    def version(self) -> str:
        """What the registry is asked for: the digest, else the tag."""
        return self.digest or self.tag or "latest"

    @property
    def is_loopback(self) -> bool:
        """True for a registry on this machine, which is asked without TLS."""
        return is_loopback(re.sub(r":\d+$", "", self.registry).strip("[]"))

    def at(self, digest: str) -> Reference:
        """The same repository at a digest."""
        return replace(self, digest=digest)

    def __str__(self) -> str:
        return self.name + (f"@{self.digest}" if self.digest else "")


def parse_reference(text: str) -> Reference:
    """Read a reference. Without registry it is Docker Hub's, without tag and digest `latest`. Raises ImageError."""
    first, slash, _ = text.partition("/")
    # What stands before the first slash is a registry only if it looks like one: `org/name` is on Docker Hub.
    has_registry = bool(slash) and (
        any(sign in first for sign in ".:[") or first == "localhost" or first != first.lower()
    )
    match = _FORM.fullmatch(text if has_registry else f"{DOCKER_HUB}/{text}")
    if match is None:
        raise ImageError(
            f"'{text[:300]}' is not an image reference",
            hint="Write registry/name:tag, for example docker.io/library/debian:12-slim, in lower case.",
        )
    registry, name, tag, digest = match.group("registry", "name", "tag", "digest")
    if registry in (DOCKER_HUB, f"index.{DOCKER_HUB}", _HUB_HOST):
        registry = DOCKER_HUB
        name = name if "/" in name else f"library/{name}"
    if len(name) > _LIMIT:
        raise ImageError(f"the image name '{name[:80]}…' is longer than {_LIMIT} characters")
    return Reference(registry, name, tag if tag or digest else "latest", digest)


def is_loopback(host: str) -> bool:
    """True for a host that is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
