"""What a trust repository says: the signed index of versions, and the trusted keys (docs/operators/trust.md)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Literal

from flowctl_core.errors import VerificationError
from flowctl_core.models.base import Frozen
from flowctl_core.models.signing import TrustedKey

_ASK = "Ask the publisher or the registry's operator; do not use this file until it is explained."


class Yank(Frozen):
    """A version that must not be used any more."""

    at: datetime
    """When it was yanked."""
    reason: str
    """Why, for people."""


class IndexedVersion(Frozen):
    """A published version."""

    digests: dict[str, str]
    """Name of a subject (a file name, `index` for the image index, a platform for an image manifest) to
    `sha256:<hex>`."""
    published: datetime
    """When it was published."""
    yanked: Yank | None = None
    """Set when it must not be used any more."""


class ComponentIndex(Frozen):
    """Which versions of a component exist, with which digests: the target `index/<namespace>/<component>.json`."""

    schema_version: Literal[1] = 1
    """Version of this format."""
    namespace: str
    """Namespace of the component."""
    component: str
    """Name of the component."""
    versions: dict[str, IndexedVersion] = {}
    """Version to what was published as it."""

    def newest(self) -> str | None:
        """The newest version that is not yanked; None when there is none.

        By Semantic Versioning where all versions are written so, otherwise by time of publication.
        """
        from univers.versions import InvalidVersion, SemverVersion

        alive = [version for version, entry in self.versions.items() if entry.yanked is None]
        try:
            return max(alive, key=SemverVersion, default=None)
        except InvalidVersion:
            return max(alive, key=lambda version: self.versions[version].published, default=None)

    def check_version(
        self, version: str, digests: Mapping[str, str] | Collection[str], *, newest: bool = False
    ) -> IndexedVersion:
        """The entry of a version that exists, is not yanked, and has these digests.

        `digests`: name of a subject to `sha256:<hex>`, or digests alone where the names are not known. `newest`: the
        newest version was asked for, so that an older one is a replay. Raises VerificationError (check `identity`).
        """
        what = f"{self.namespace}/{self.component} {version}"
        entry = self.versions.get(version)
        if entry is None:
            raise _refused(f"the signed index knows no {what}", _ASK)
        if entry.yanked is not None:
            raise _refused(
                f"{what} was yanked on {entry.yanked.at:%Y-%m-%d}: {entry.yanked.reason}", "Use another version."
            )
        known = set(entry.digests.values())
        if isinstance(digests, Mapping):
            for name, digest in digests.items():
                if entry.digests.get(name) != _prefixed(digest):
                    listed = entry.digests.get(name, "nothing of that name")
                    raise _refused(f"{name} of {what} is {_prefixed(digest)}, the signed index has {listed}", _ASK)
        else:
            for digest in digests:
                if _prefixed(digest) not in known:
                    raise _refused(f"{_prefixed(digest)} is no part of {what} by the signed index", _ASK)
        if not digests:
            raise _refused(f"no digest of {what} was given to compare with the signed index", _ASK)
        latest = self.newest() if newest else version
        if latest != version:
            raise _refused(
                f"{what} was given as the newest version, the signed index has {latest}",
                "Somebody may be replaying an old version; try again, or name the version that you want.",
            )
        return entry


class TrustedKeys(Frozen):
    """The target `trust/keys.json`."""

    schema_version: Literal[1] = 1
    """Version of this format."""
    keys: tuple[TrustedKey, ...] = ()
    """Keys that the registry's operators name. Which namespace a key may sign is the client's policy to say."""


class MetadataState(Frozen):
    """A role of the trust repository."""

    role: str
    """`root`, `timestamp`, `snapshot`, `targets`, or `namespace-<namespace>`."""
    version: int
    """Version of its metadata."""
    expires: datetime
    """Not believed from then on."""
    keys: tuple[str, ...] = ()
    """Ids of the keys that may sign it."""
    threshold: int = 1
    """How many of them must."""


class TrustState(Frozen):
    """What a client knows of a registry's trust repository."""

    registry: str
    """Address of the trust repository."""
    fingerprint: str
    """`sha256:<hex>` of the pinned root."""
    roles: tuple[MetadataState, ...]
    """The four top-level roles, as verified."""
    verified_at: datetime
    """When the registry was last asked and its answer verified."""
    age_s: float
    """Seconds since then."""
    expires: datetime
    """When the first of the roles expires: until then the client works offline."""
    offline: str | None = None
    """Why this is what was verified earlier; null when the registry was asked now."""


class TrustDocument(TrustState):
    """What is trusted by a registry's trust repository."""

    keys: tuple[TrustedKey, ...] = ()
    """Trusted keys, the revoked ones too."""
    trusted_root: bool = False
    """Whether there is a Sigstore TrustedRoot."""
    namespaces: tuple[str, ...] = ()
    """Namespaces with an index."""


class PinReport(Frozen):
    """A root that was pinned."""

    registry: str
    """Address of the trust repository."""
    fingerprint: str
    """`sha256:<hex>` of the pinned root."""
    root_version: int
    """Version of the pinned root."""
    changed: bool
    """False when it was pinned already."""


class RepositoryReport(Frozen):
    """A trust repository after an operator's command."""

    folder: str
    """The folder."""
    fingerprint: str
    """`sha256:<hex>` of the newest root, for clients to pin."""
    roles: tuple[MetadataState, ...]
    """All roles, those of namespaces too."""


def _prefixed(digest: str) -> str:
    return digest if ":" in digest else f"sha256:{digest}"


def _refused(message: str, hint: str) -> VerificationError:
    return VerificationError(message, check="identity", hint=hint)
