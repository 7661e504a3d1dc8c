"""A TUF repository in a folder: `metadata/` and `targets/`, with consistent snapshots, as any TUF client reads it.

Files of a version are written once under a new name; the rename of `metadata/timestamp.json` is what makes a change
visible, so a process that is killed leaves the state before or after it. What it left unnamed is written over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from flowctl_core.errors import TrustError
from flowctl_core.models.trust import RepositoryReport
from flowctl_core.store.files import atomic_write, sweep_temporaries, system_refusals
from flowctl_core.store.lock import file_lock
from flowctl_core.trust.draft import Draft
from flowctl_core.trust.names import TOP_LEVEL
from flowctl_core.trust.role_keys import KeyFolders
from flowctl_core.trust.roles import state_of

_T = TypeVar("_T", Root, Snapshot, Targets, Timestamp)
_LOCK_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Lifetimes:
    """How long what is signed now is believed."""

    root: timedelta = timedelta(days=365)
    targets: timedelta = timedelta(days=365)
    """Also of the namespaces' roles."""
    snapshot: timedelta = timedelta(days=14)
    timestamp: timedelta = timedelta(days=7)
    """How long a client may go without network, and a frozen registry unnoticed."""

    def of(self, role: str) -> timedelta:
        """The lifetime of a role's metadata."""
        return {"root": self.root, "snapshot": self.snapshot, "timestamp": self.timestamp}.get(role, self.targets)


class Repository:
    """A trust repository's folder, and the keys that are at hand."""

    def __init__(self, folder: Path, keys: KeyFolders, lifetimes: Lifetimes | None = None) -> None:
        self.folder = folder
        self.keys = keys
        self.lifetimes = lifetimes or Lifetimes()
        self.written: list[Path] = []
        """What this object wrote, in its order; whoever serves a copy takes it from here."""
        self._metadata = folder / "metadata"
        self._targets = folder / "targets"

    @property
    def exists(self) -> bool:
        """True when there is a repository."""
        return (self._metadata / "1.root.json").exists()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One operator's command at a time. Raises LockedError, StoreError."""
        with system_refusals(self.folder, "made"):
            for folder in (self._metadata, self._targets):
                folder.mkdir(parents=True, exist_ok=True)
        with file_lock(self.folder / ".lock", what=str(self.folder), timeout_s=_LOCK_TIMEOUT_S):
            sweep_temporaries(self._metadata)
            yield

    @contextmanager
    def edit(self) -> Iterator[Draft]:
        """The current state to be changed; it is written when the body ends without an error."""
        if not self.exists:
            raise TrustError(f"{self.folder} is no trust repository", hint="Make one: `flowctl trust init`.")
        with self.locked():
            draft = self.load()
            yield draft
            self.write(draft)

    def report(self) -> RepositoryReport:
        """Fingerprint and roles. Raises TrustError."""
        if not self.exists:
            raise TrustError(f"{self.folder} is no trust repository", hint="Make one: `flowctl trust init`.")
        draft = self.load()
        root = draft.root.signed
        data = self._read(self._metadata / f"{root.version}.root.json")
        roles = [
            state_of(role, draft.signed(role), draft.delegator(role)) for role in (*TOP_LEVEL, *draft.delegated_roles)
        ]
        return RepositoryReport(
            folder=str(self.folder), fingerprint="sha256:" + sha256(data).hexdigest(), roles=tuple(roles)
        )

    def target(self, draft: Draft, role: str, path: str) -> bytes | None:
        """The bytes of a target that a role lists. Raises TrustError when they are not what it says."""
        if path in draft.files:
            return draft.files[path][1]
        info = draft.targets[role].signed.targets.get(path)
        if info is None:
            return None
        data = self._read(self._target_file(path, info.hashes["sha256"]))
        try:
            info.verify_length_and_hashes(data)
        except RepositoryError as error:
            raise TrustError(f"{path} was changed in {self.folder}", hint="Restore it from a backup.") from error
        return data

    def write(self, draft: Draft) -> None:
        """Sign what changed and write it, what others refer to first. Raises SigningError, StoreError."""
        signed = draft.sign(self.keys, self.lifetimes, datetime.now(UTC).replace(microsecond=0))
        for path, (_, data) in draft.files.items():
            file = self._target_file(path, sha256(data).hexdigest())
            with system_refusals(file.parent, "made"):
                file.parent.mkdir(parents=True, exist_ok=True)
            self._place(file, data)
        root = signed.pop("root", None)
        timestamp = signed.pop("timestamp", None)
        for role, (version, data) in signed.items():
            self._place(self._metadata / f"{version}.{role}.json", data)
        # Timestamp and snapshot are signed by the keys of the old root and of the new one, so between the two
        # renames, too, every client finds a chain that it can follow.
        if timestamp is not None:
            self._place(self._metadata / "timestamp.json", timestamp[1])
        if root is not None:
            self._place(self._metadata / f"{root[0]}.root.json", root[1])
            self._place(self._metadata / "root.json", root[1])

    def current(self) -> set[Path]:
        """The files that a client reads which begins now: all roots, and what the newest timestamp leads to."""
        draft = self.load()
        found = {self._metadata / "timestamp.json", *self._metadata.glob("*root.json")}
        found.add(self._metadata / f"{draft.snapshot.signed.version}.snapshot.json")
        for role, metadata in draft.targets.items():
            found.add(self._metadata / f"{metadata.signed.version}.{role}.json")
            found |= {self._target_file(path, info.hashes["sha256"]) for path, info in metadata.signed.targets.items()}
        return found

    def _place(self, file: Path, data: bytes) -> None:
        atomic_write(file, data)
        self.written.append(file)

    def load(self) -> Draft:
        """The current state. Raises TrustError."""
        version = 1
        while (self._metadata / f"{version + 1}.root.json").exists():
            version += 1
        root = self._metadata_of(f"{version}.root", Root)
        timestamp = self._metadata_of("timestamp", Timestamp)
        snapshot = self._metadata_of(f"{timestamp.signed.snapshot_meta.version}.snapshot", Snapshot)
        targets = {}
        for file, info in snapshot.signed.meta.items():
            role = file.removesuffix(".json")
            targets[role] = self._metadata_of(f"{info.version}.{role}", Targets)
        return Draft(root, timestamp, snapshot, targets)

    def _metadata_of(self, name: str, kind: type[_T]) -> Metadata[_T]:
        path = self._metadata / f"{name}.json"
        try:
            found: Metadata[_T] = Metadata.from_bytes(self._read(path))
        except RepositoryError as error:
            raise TrustError(f"{path} is no TUF metadata", hint="Restore the folder from a backup.") from error
        if not isinstance(found.signed, kind):
            raise TrustError(f"{path} is metadata of another role", hint="Restore the folder from a backup.")
        return found

    def _read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise TrustError(f"{path} is missing", hint="Restore the folder from a backup.") from error
        except OSError as error:
            raise TrustError(f"{path} cannot be read: {error.strerror}", hint="Check its permissions.") from error

    def _target_file(self, path: str, digest: str) -> Path:
        folder, _, name = path.rpartition("/")
        return self._targets / folder / f"{digest}.{name}"
