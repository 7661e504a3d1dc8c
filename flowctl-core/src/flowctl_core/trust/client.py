"""Verifies what a registry's trust repository says, and works from what it verified while there is no network.

python-tuf's client does the work of the specification (root chain, rollback, freeze, mix-and-match). What it keeps is
verified again each time it is read, with the clock of now.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TypeVar
from urllib.parse import quote, unquote

from pydantic import ValidationError
from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    LengthOrHashMismatchError,
    RepositoryError,
)
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient import Updater, UpdaterConfig

from flowctl_core.connection import Connection
from flowctl_core.errors import StoreError, TrustError
from flowctl_core.models.signing import TrustMaterial
from flowctl_core.models.trust import ComponentIndex, TrustDocument, TrustedKeys, TrustState
from flowctl_core.store.files import atomic_write, system_refusals
from flowctl_core.store.lock import file_lock
from flowctl_core.trust.fetcher import (
    FolderFetcher,
    HttpFetcher,
    KeptFetcher,
    Patience,
    UnreachableError,
    base,
    make_fetcher,
)
from flowctl_core.trust.kept import ago, check_clock, copy_metadata, read_verified, sweep_metadata, write_verified
from flowctl_core.trust.names import KEYS, TARGET_LIMIT, TRUSTED_ROOT, index_path, namespace_of
from flowctl_core.trust.pinning import LOCK_TIMEOUT_S, fingerprint_of, folder_of, normal, read_pin
from flowctl_core.trust.refusal import refusals
from flowctl_core.trust.roles import state_of

_INCOMPLETE = (DownloadHTTPError, DownloadLengthMismatchError, LengthOrHashMismatchError)
"""What is kept is of different moments: a refresh was interrupted, or this part was not asked for since."""
_NOT_MINE = frozenset([errno.EACCES, errno.EPERM, errno.EROFS])
_CONFIG = UpdaterConfig(max_delegations=4, targets_max_length=TARGET_LIMIT)


_T = TypeVar("_T", Root, Snapshot, Targets, Timestamp)


class TrustStore:
    """What may be believed of one registry. A context manager; the registry is asked once, on first use."""

    def __init__(
        self,
        registry: str,
        *,
        home: Path | None = None,
        offline: bool = False,
        patience: Patience | None = None,
        connection: Connection | None = None,
    ) -> None:
        """`registry`: http(s) address or folder whose root was pinned. `offline`: do not ask it. `connection`: how the
        registry is reached whose trust repository this is; without its token private namespaces have no index."""
        self.registry = normal(registry)
        self._folder = folder_of(self.registry, home)
        self._offline = "asked not to" if offline else None
        self._patience = patience
        self._connection = connection
        self._fetcher: HttpFetcher | FolderFetcher | None = None
        self._updater: Updater | None = None
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._metadata = self._folder.metadata

    def __enter__(self) -> TrustStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and remove temporary files."""
        if self._fetcher is not None:
            self._fetcher.close()
        if self._copy is not None:
            self._copy.cleanup()
        self._fetcher = self._updater = self._copy = None
        self._metadata = self._folder.metadata

    def refresh(self) -> TrustState:
        """Ask the registry, or say how old the last verified state is when it cannot be reached.

        Raises TrustError for what is expired, older than what was seen, not signed as it must be, or never verified.
        """
        self.close()
        self._open()
        return self.state()

    def state(self) -> TrustState:
        """The verified state of the top-level roles. Raises TrustError."""
        self._open()
        pin, verified = read_pin(self._folder, self.registry), read_verified(self._folder, self.registry)
        root = self._role("root", Root)
        roles = tuple(
            state_of(role, signed, root)
            for role, signed in (
                ("root", root),
                ("timestamp", self._role("timestamp", Timestamp)),
                ("snapshot", self._role("snapshot", Snapshot)),
                ("targets", self._role("targets", Targets)),
            )
        )
        return TrustState(
            registry=self.registry,
            fingerprint=pin.fingerprint,
            roles=roles,
            verified_at=verified.at,
            age_s=max(0.0, (datetime.now(UTC) - verified.at).total_seconds()),
            expires=min(role.expires for role in roles),
            offline=self._offline,
        )

    def document(self) -> TrustDocument:
        """State, keys and namespaces. Raises TrustError."""
        state, material = self.state(), self.material()
        delegations = self._role("targets", Targets).delegations
        roles = delegations.roles if delegations is not None and delegations.roles is not None else {}
        return TrustDocument(
            **dict(state),
            keys=material.keys,
            trusted_root=bool(material.trusted_roots),
            namespaces=tuple(sorted(namespace_of(role) for role in roles)),
        )

    def material(self) -> TrustMaterial:
        """Trusted keys and Sigstore roots of this moment: what was removed or revoked is believed no more.

        Revoked keys are there, marked, so that a verifier can say why; their validity is the verifier's to hold them
        to. Raises TrustError.
        """
        data = self._target(KEYS)
        if data is None:
            raise TrustError(
                f"{self.registry} names no trusted keys", hint="Its operator makes them: `flowctl trust init`."
            )
        try:
            keys = TrustedKeys.model_validate_json(data)
        except ValidationError as error:
            raise TrustError(f"{KEYS} of {self.registry} has an unknown format", hint="Upgrade flowctl.") from error
        root = self._target(TRUSTED_ROOT)
        try:
            roots = () if root is None else (root.decode(),)
        except UnicodeDecodeError as error:
            raise TrustError(f"{TRUSTED_ROOT} of {self.registry} is no JSON", hint="Tell its operator.") from error
        return TrustMaterial(keys=keys.keys, trusted_roots=roots)

    def index(self, namespace: str, component: str) -> ComponentIndex | None:
        """The signed index of a component; None when the registry has none.

        Raises TrustError, also when a version that was seen earlier is gone or has other digests.
        """
        path = index_path(namespace, component)
        data = self._target(path)
        new = self._parsed(data, namespace, component) if data is not None else None
        seen = self._folder.seen / quote(path, "")
        try:
            before = self._parsed(seen.read_bytes(), namespace, component)
        except FileNotFoundError:
            before = None
        except OSError as error:
            raise StoreError.of(error, seen, "read") from error
        if before is not None:
            self._compare(before, new, f"{namespace}/{component}")
        if new is not None and new != before:
            # Where nothing can be written, it was compared with what is there; others may still be able to read.
            with suppress(StoreError), system_refusals(seen):
                seen.parent.mkdir(parents=True, exist_ok=True)
                atomic_write(seen, data or b"")
        return new

    def _parsed(self, data: bytes, namespace: str, component: str) -> ComponentIndex:
        try:
            index = ComponentIndex.model_validate_json(data)
        except ValidationError as error:
            raise TrustError(
                f"the signed index of {namespace}/{component} has an unknown format", hint="Upgrade flowctl."
            ) from error
        if (index.namespace, index.component) != (namespace, component):
            raise TrustError(
                f"the signed index of {namespace}/{component} is that of {index.namespace}/{index.component}",
                hint="Tell the registry's operator; nothing of it is used.",
            )
        return index

    def _compare(self, before: ComponentIndex, now: ComponentIndex | None, what: str) -> None:
        for version, entry in before.versions.items():
            other = now.versions.get(version) if now is not None else None
            if other is None or other.digests != entry.digests:
                change = "is gone from" if other is None else "has other digests in"
                raise TrustError(
                    f"{what} {version} {change} the signed index of {self.registry}",
                    hint="A version means one thing for ever; ask the operator. After a repair: pin again, --replace.",
                )

    def _open(self) -> Updater:
        """The refreshed updater, by network or from what is here."""
        if self._updater is not None:
            return self._updater
        pin = read_pin(self._folder, self.registry)
        root = self._pinned_root(pin.fingerprint)
        if self._offline is None:
            with self._locked(), refusals(self.registry):
                try:
                    self._updater = self._asked(root)
                    return self._updater
                except UnreachableError as error:
                    if not self._folder.verified.exists():
                        raise
                    self._offline = str(error)
                except OSError as error:
                    # A read-only folder that somebody prepared is as good as no network: it serves until it expires.
                    if error.errno not in _NOT_MINE or not self._folder.verified.exists():
                        raise
                    self._offline = f"{self._folder.path} cannot be written"
        self._updater = self._remembered(root)
        return self._updater

    def _asked(self, root: bytes) -> Updater:
        sweep_metadata(self._folder.metadata)
        self._fetcher = make_fetcher(self.registry, self._patience, self._connection)
        self._folder.targets.mkdir(parents=True, exist_ok=True)
        updater = self._make_updater(root, self._folder.metadata, self._fetcher, base(self.registry, "metadata"))
        updater.refresh()
        for path in (KEYS, TRUSTED_ROOT):
            self._download(updater, path)
        for path in self._followed():
            # What is wrong with a namespace is said to those who ask for it.
            with suppress(RepositoryError, DownloadError):
                self._download(updater, path)
        write_verified(self._folder)
        return updater

    def _remembered(self, root: bytes) -> Updater:
        """Verify again, by the clock of now, what was kept. In a copy: the folder may be read-only."""
        verified = read_verified(self._folder, self.registry)
        check_clock(verified)
        with system_refusals(self._folder.metadata, "read"):
            self._copy = tempfile.TemporaryDirectory(prefix="flowctl-trust-")
            self._metadata = copy = Path(self._copy.name) / "metadata"
            copy_metadata(self._folder.metadata, copy)
        try:
            with refusals(f"{self.registry}, last verified {ago(verified.at)},"):
                updater = self._make_updater(root, copy, KeptFetcher(), f"{copy}/")
                updater.refresh()
                return updater
        except TrustError as error:
            if isinstance(error.__cause__, _INCOMPLETE):
                raise self._missing("part of the metadata") from error
            raise TrustError(error.message, hint=f"Without network ({self._offline}) no newer is to be had.") from error

    def _make_updater(self, root: bytes, metadata: Path, fetcher: HttpFetcher | FolderFetcher, source: str) -> Updater:
        metadata.mkdir(parents=True, exist_ok=True)
        return Updater(
            metadata_dir=str(metadata),
            metadata_base_url=source,
            target_dir=str(self._folder.targets),
            target_base_url=base(self.registry, "targets"),
            fetcher=fetcher,
            config=_CONFIG,
            bootstrap=root,
        )

    def _target(self, path: str) -> bytes | None:
        """The verified bytes of a target; None when the registry lists none."""
        updater = self._open()
        if self._offline is not None:
            return self._kept(updater, path)
        if self._fetcher is not None:
            self._fetcher.begin()
        with self._locked(), refusals(self.registry):
            return self._download(updater, path)

    def _kept(self, updater: Updater, path: str) -> bytes | None:
        try:
            with refusals(self.registry):
                info = updater.get_targetinfo(path)
        except TrustError as error:
            if isinstance(error.__cause__, _INCOMPLETE):
                raise self._missing(path) from error
            raise
        if info is None:
            return None
        data = self._cached(updater, info)
        if data is None:
            raise self._missing(path)
        return data

    def _download(self, updater: Updater, path: str) -> bytes | None:
        info = updater.get_targetinfo(path)
        if info is None:
            return None
        if info.length > TARGET_LIMIT:
            raise RepositoryError(f"{path} has {info.length} bytes; at most {TARGET_LIMIT} are read")
        data = self._cached(updater, info)
        if data is None:
            place = self._folder.targets / quote(path, "")
            temporary = place.with_name(place.name + ".part")
            updater.download_target(info, str(temporary))
            data = temporary.read_bytes()
            temporary.replace(place)
        return data

    def _cached(self, updater: Updater, info: TargetFile) -> bytes | None:
        place = updater.find_cached_target(info)
        if place is None:
            return None
        data = Path(place).read_bytes()
        # Of the bytes that are used, not of those that were there a moment ago.
        with suppress(RepositoryError):
            info.verify_length_and_hashes(data)
            return data
        return None

    def _followed(self) -> Iterator[str]:
        """Components that were looked up before: they are kept fresh, for when there is no network."""
        if self._folder.seen.is_dir():
            for path in sorted(self._folder.seen.iterdir()):
                if not path.name.startswith("."):
                    yield unquote(path.name)

    def _missing(self, what: str) -> TrustError:
        return TrustError(
            f"{what} of {self.registry} is not known on this machine in its newest verified state ({self._offline})",
            hint="Run the command once with network.",
        )

    def _pinned_root(self, fingerprint: str) -> bytes:
        with system_refusals(self._folder.root, "read"):
            data = self._folder.root.read_bytes()
        if fingerprint_of(data) != fingerprint:
            raise TrustError(
                f"{self._folder.root} is not the root that was pinned", hint="Pin it again, with --replace."
            )
        return data

    def _role(self, role: str, kind: type[_T]) -> _T:
        """A top-level role as it was verified: python-tuf keeps nothing else in its folder."""
        with refusals(self.registry):
            signed = Metadata.from_file(str(self._metadata / f"{role}.json")).signed
            if not isinstance(signed, kind):
                raise RepositoryError(f"{role} is metadata of another role")
            return signed

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with file_lock(self._folder.lock, what=str(self._folder.path), timeout_s=LOCK_TIMEOUT_S):
            yield
