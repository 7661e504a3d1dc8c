"""The pinned root: the one thing that a client believes because a person said so."""

from __future__ import annotations

import os
import re
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError
from tuf.api.exceptions import DownloadHTTPError, RepositoryError
from tuf.api.metadata import Metadata, Root

from flowctl_core.connection import Connection
from flowctl_core.errors import StoreError, TrustError
from flowctl_core.models.base import Frozen
from flowctl_core.models.trust import PinReport
from flowctl_core.store.files import atomic_write, remove_any, system_refusals
from flowctl_core.store.lock import file_lock
from flowctl_core.trust.fetcher import FolderFetcher, HttpFetcher, Patience, base, is_url, make_fetcher
from flowctl_core.trust.names import check_digest
from flowctl_core.trust.refusal import refusals

HOME = "FLOWCTL_TRUST"
"""Environment variable with another folder than `~/.flowctl/trust`."""
LOCK_TIMEOUT_S = 120.0
_ROOT_LIMIT = 512_000
_MOST_ROOTS = 256


class Pin(Frozen):
    """`pin.json`."""

    registry: str
    fingerprint: str
    root_version: int
    pinned_at: datetime


@dataclass(frozen=True)
class TrustFolder:
    """`~/.flowctl/trust/<registry>`: what a client keeps."""

    path: Path

    @property
    def pin(self) -> Path:
        """Address and fingerprint (Pin)."""
        return self.path / "pin.json"

    @property
    def root(self) -> Path:
        """The pinned root."""
        return self.path / "pinned.root.json"

    @property
    def metadata(self) -> Path:
        """Verified metadata, as python-tuf keeps it."""
        return self.path / "metadata"

    @property
    def targets(self) -> Path:
        """Verified targets."""
        return self.path / "targets"

    @property
    def seen(self) -> Path:
        """The last index of each component."""
        return self.path / "seen"

    @property
    def verified(self) -> Path:
        """When the registry was last asked."""
        return self.path / "verified.json"

    @property
    def lock(self) -> Path:
        """Held by who changes the folder."""
        return self.path / "lock"


def trust_home() -> Path:
    """`~/.flowctl/trust`, or what FLOWCTL_TRUST says."""
    named = os.environ.get(HOME)
    return Path(named) if named else Path(os.environ.get("HOME") or Path.home()) / ".flowctl" / "trust"


def normal(registry: str) -> str:
    """An address without a slash at its end, or the absolute path of a folder. Raises TrustError."""
    if is_url(registry):
        parts = urlsplit(registry)
        if not parts.hostname or parts.username or parts.query or parts.fragment:
            raise TrustError(
                f"'{parts.hostname or registry}' is no address of a trust repository", hint="Name https://HOST/PATH."
            )
        return registry.rstrip("/")
    if "://" in registry:
        raise TrustError(f"'{registry}' is neither an http(s) address nor a folder", hint="Name https://HOST/PATH.")
    return os.path.abspath(registry)  # noqa: PTH100 - resolve() would follow symlinks


def folder_of(registry: str, home: Path | None = None) -> TrustFolder:
    """Where a client keeps what it knows of a registry."""
    name = re.sub(r"[^A-Za-z0-9.-]+", "_", registry.partition("://")[2] or registry).strip("_.")[-60:]
    return TrustFolder((home or trust_home()) / f"{name}-{sha256(registry.encode()).hexdigest()[:8]}")


def pinned(home: Path | None = None) -> tuple[str, ...]:
    """All registries with a pinned root."""
    found = []
    for path in sorted((home or trust_home()).glob("*/pin.json")):
        found.append(read_pin(TrustFolder(path.parent), str(path.parent)).registry)
    return tuple(found)


def read_pin(folder: TrustFolder, registry: str) -> Pin:
    """What was pinned. Raises TrustError when nothing was."""
    try:
        return Pin.model_validate_json(folder.pin.read_bytes())
    except FileNotFoundError as error:
        raise TrustError(
            f"no root of {registry} is pinned",
            hint=f"Pin it once: `flowctl trust pin {registry} --fingerprint SHA256`.",
        ) from error
    except ValidationError as error:
        raise TrustError(f"{folder.pin} is damaged", hint="Pin the root again, with --replace.") from error
    except OSError as error:
        raise StoreError.of(error, folder.pin, "read") from error


def fingerprint_of(root: bytes) -> str:
    """`sha256:<hex>` of a root's bytes."""
    return "sha256:" + sha256(root).hexdigest()


def offered_root(
    registry: str, fingerprint: str | None, patience: Patience | None = None, connection: Connection | None = None
) -> bytes:
    """The root that the registry has under this fingerprint, the newest first; without one, the newest.

    Raises TrustError when it has none.
    """
    wanted = check_digest(fingerprint.lower()) if fingerprint is not None else None
    with closing(make_fetcher(registry, patience, connection)) as fetcher:
        return _offered(registry, wanted, fetcher)


def _offered(registry: str, wanted: str | None, fetcher: HttpFetcher | FolderFetcher) -> bytes:
    where = base(registry, "metadata")
    with refusals(registry):
        newest = fetcher.read(f"{where}root.json", _ROOT_LIMIT)
    version = root_version(newest, registry)
    if wanted is None or fingerprint_of(newest) == wanted:
        return newest
    for older in range(version - 1, max(0, version - _MOST_ROOTS), -1):
        with refusals(registry):
            try:
                data = fetcher.read(f"{where}{older}.root.json", _ROOT_LIMIT)
            except DownloadHTTPError:
                continue
        if fingerprint_of(data) == wanted:
            return data
    raise TrustError(
        f"{registry} has no root with the fingerprint {wanted}; its newest has {fingerprint_of(newest)}",
        hint="Compare with what the operator publishes elsewhere. Do not pin what you cannot compare.",
    )


def root_version(data: bytes, registry: str) -> int:
    """The version of a root that its own keys sign. Raises TrustError."""
    with refusals(registry):
        metadata = Metadata[Root].from_bytes(data)
        if not isinstance(metadata.signed, Root):
            raise RepositoryError("it is no root")
        metadata.verify_delegate(Root.type, metadata)
        return int(metadata.signed.version)


def pin(registry: str, root: bytes, *, home: Path | None = None, replace: bool = False) -> PinReport:
    """Believe this root from now on. Raises TrustError when another one is pinned and `replace` is not set."""
    folder = folder_of(registry, home)
    version = root_version(root, registry)
    new = Pin(
        registry=registry,
        fingerprint=fingerprint_of(root),
        root_version=version,
        pinned_at=datetime.now(UTC).replace(microsecond=0),
    )
    with system_refusals(folder.path, "made"):
        folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file_lock(folder.lock, what=str(folder.path), timeout_s=LOCK_TIMEOUT_S):
        changed = True
        if folder.pin.exists() and not replace:
            old = read_pin(folder, registry)
            changed = old.fingerprint != new.fingerprint
            if changed:
                raise TrustError(
                    f"another root of {registry} is pinned: {old.fingerprint}",
                    hint="A root that is rotated needs no new pin. If the registry was made anew, use --replace.",
                )
        if changed:
            with system_refusals(folder.path):
                # The pin goes first and comes last: what is half replaced counts as not pinned.
                for path in (folder.pin, folder.metadata, folder.targets, folder.seen, folder.verified):
                    remove_any(path)
            atomic_write(folder.root, root)
            atomic_write(folder.pin, new.model_dump_json().encode())
    return PinReport(registry=registry, fingerprint=new.fingerprint, root_version=version, changed=changed)
