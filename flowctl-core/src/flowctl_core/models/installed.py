"""What is installed on this machine, and what a lockfile holds (docs/users/installing.md)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from flowctl_core.models.base import Frozen
from flowctl_core.models.platform import Platform
from flowctl_core.models.verification import CheckVerdict

Kind = Literal["component", "bundle"]
_DIGEST = r"^sha256:[0-9a-f]{64}$"


class Publisher(Frozen):
    """Whose signature made a version believable. Equal as long as the same one signs: a registry may change its keys
    (its pinned root says which), somebody else's key or certificate may not."""

    kind: Literal["registry", "key", "certificate"]
    """`registry`: its own signer, by a key of its signed index; `key`, `certificate`: the publisher's own."""
    registry: str = ""
    """registry: fingerprint of its pinned root."""
    key_hint: str = ""
    """key: base64 of the SHA-256 of the public key."""
    identity: str = ""
    """certificate: subject."""
    issuer: str = ""
    """certificate: OIDC issuer."""

    @property
    def told(self) -> str:
        """In words."""
        return {
            "registry": f"the registry with the root {self.registry[:19]}…",
            "key": f"the key {self.key_hint}",
            "certificate": f"{self.identity} ({self.issuer})",
        }[self.kind]


class Origin(Frozen):
    """Who stands behind a version, as the checks proved it."""

    publisher: Publisher
    """Who signed it."""
    builder: str | None = None
    """builder.id of the signed provenance; None without one."""
    repository: str | None = None
    """Source repository, as the signed provenance says."""


class InstalledFile(Frozen):
    """A file of an installed version."""

    digest: str = Field(pattern=_DIGEST)
    """`sha256:<hex>`, measured."""
    size: int
    """Bytes."""
    state: tuple[int, int, int, int]
    """Mode, size, mtime in nanoseconds and inode when it was verified: while they are so, it is not read again."""


class InstalledProgram(Frozen):
    """A program of an installed version."""

    name: str
    """What it is called in `~/.flowctl/bin`."""
    path: str
    """Relative to the version's folder."""
    platform: Platform
    """What it runs on."""
    interpreter: str = ""
    """For a script: the program that has to be on PATH."""


class InstalledVersion(Frozen):
    """`~/.flowctl/components/<namespace>/<name>/<version>/installed.json`."""

    schema_version: Literal[1] = 1
    """Version of this format."""
    kind: Kind = "component"
    """What it is."""
    namespace: str
    """Where it belongs."""
    name: str
    """Its name there."""
    version: str
    """Without a leading v."""
    registry: str
    """Address of the registry that it came from."""
    origin: Origin
    """Who stands behind it."""
    commit: str | None = None
    """Source commit, as the signed provenance says."""
    checks: tuple[CheckVerdict, ...] = ()
    """The seven checks, as they ended."""
    programs: tuple[InstalledProgram, ...] = ()
    """Programs and libraries, of all platforms that were asked for."""
    files: dict[str, InstalledFile] = {}
    """All files but this one, by their path in the version's folder."""
    installed_at: datetime
    """When it was verified and put there."""

    @property
    def reference(self) -> str:
        """`namespace/name@version`."""
        return f"{self.namespace}/{self.name}@{self.version}"

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """Those that it is installed for."""
        return tuple(dict.fromkeys(each.platform for each in self.programs))


class LockedVersion(Frozen):
    """What `flowctl.lock` holds of a component or bundle."""

    requested: str = "*"
    """The range that was asked for: `update` stays in it."""
    version: str
    """The one version that may be installed."""
    registry: str
    """Address of the registry that answers for it."""
    origin: Origin
    """Who must stand behind it."""
    platforms: dict[str, dict[str, str]] = {}
    """Platform to files and their digests, for every platform that the version has. Of a bundle: empty."""
    images: dict[str, str] = {}
    """Digests of the container images, by platform, and `index`."""
    files: dict[str, str] = {}
    """Files that belong to no platform, and their digests. Of a component: empty."""


class Lock(Frozen):
    """`flowctl.lock`."""

    schema_version: Literal[1] = 1
    """Version of this format."""
    components: dict[str, LockedVersion] = {}
    """By `namespace/name`."""
    bundles: dict[str, LockedVersion] = {}
    """By `namespace/name`; their members stand among the components."""
