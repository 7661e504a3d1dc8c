"""The signed index: a trust repository in the signer's folder, copied to the database as a whole after each change.

Clients read the copy only. A signer that is killed between the two does the same change again, which changes nothing.
Operators may change the repository with `flowctl trust` meanwhile: what they did is noticed, and copied too.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from flowctl_core.errors import FlowctlError
from flowctl_core.models.signing import TrustedKey
from flowctl_core.trust import publishing
from flowctl_core.trust.repository import Repository
from flowctl_core.trust.role_keys import KeyFolders
from flowctl_registry.database.engine import reading, writing
from flowctl_registry.errors import UnavailableError
from flowctl_registry.settings import Settings
from flowctl_registry.signer.adopting import adopt, read_copy, version_of
from flowctl_registry.signer.keys import folder_of
from flowctl_registry.signer.outbox import Waiting, mark_done, read_backlog, read_waiting
from flowctl_registry.signer.trust_files import KEYS_FILE, forget_trust_files, write_trust_files

_LOG = logging.getLogger(__name__)
_RENEW = timedelta(days=60)  # roles that live a year


def open_repository(settings: Settings, offline_keys: Path | None = None) -> Repository:
    """The signer's trust repository; `offline_keys`: where the keys of root and targets are, if not with the others."""
    folder = folder_of(settings)
    return Repository(folder / "trust", KeyFolders(offline_keys or folder / "trust-keys", folder / "trust-keys"))


class Index:
    """What the signer tells clients of versions and keys. Safe to use from several threads."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._repository = open_repository(settings)
        self._engine = engine
        self._lock = threading.Lock()
        self._copied: int | None = None
        self._stale: set[Path] = set()
        self._failed: dict[int, str] = {}
        self._told: set[str] = set()

    def prepare(self, key: TrustedKey) -> None:
        """Make the repository if there is none, and trust the signer's key.

        Raises ConfigError for a folder that is not this database's, and other FlowctlErrors.
        """
        with self._lock:
            with reading(self._engine) as connection:
                copy = read_copy(connection)
            adopt(self._repository, copy)
            if not self._repository.exists:
                publishing.init(self._repository)
                _LOG.info("made the trust repository; its root is %s", self._repository.report().fingerprint)
            if key.public_key not in {each.public_key for each in publishing.trusted_keys(self._repository).keys}:
                publishing.add_key(self._repository, key)
            self._copy(())

    def apply(self) -> None:
        """Enter all changes that wait. What cannot be entered is logged and stays in the outbox; the rest goes on.

        Raises UnavailableError when some of them cannot be entered.
        """
        with self._lock:
            before, self._failed = self._failed, {}
            if self._copied != self._version():
                self._copy(())
            while True:
                with reading(self._engine) as connection:
                    waiting = read_waiting(connection, frozenset(self._failed))
                if not waiting:
                    break
                self._copy(self._record(waiting, before))
        if self._failed:
            raise UnavailableError(f"the signed index lacks {len(self._failed)} versions; see the signer's log")

    def refresh(self) -> None:
        """Sign anew what expires soon, and forget files that no client can be reading any more."""
        with self._lock:
            moment, lives = datetime.now(UTC), self._repository.lifetimes
            left = {each.role: each.expires - moment for each in self._repository.report().roles}
            short = {"timestamp", "snapshot"}
            yearly = sorted(role for role, time in left.items() if time < _RENEW and role not in short)
            renewed = [role for role in yearly if self._renew(role)]
            if not renewed and any(left[role] < lives.of(role) / 2 for role in short):
                publishing.refresh(self._repository)
                renewed = sorted(short)
            if renewed:
                _LOG.info("signed anew: %s", ", ".join(renewed))
                self._copy(())
            self._forget()

    def status(self) -> dict[str, Any]:
        """Fingerprint of the root, expiry, and what waits."""
        report = self._repository.report()
        with reading(self._engine) as connection:
            count, since = read_backlog(connection)
        first = min(report.roles, key=lambda role: role.expires)
        return {
            "root": report.fingerprint,
            "expires": first.expires.isoformat(),
            "expires_role": first.role,
            "waiting": count,
            "waiting_since": since.isoformat() if since is not None else None,
            "failed": len(self._failed),
        }

    def _record(self, waiting: Sequence[Waiting], told: dict[int, str]) -> tuple[Waiting, ...]:
        """Those that the repository has now; `told` were in the log already."""
        try:
            publishing.record(self._repository, [each.entry for each in waiting])
            return tuple(waiting)
        except FlowctlError as error:
            if len(waiting) == 1:
                entry, version_id = waiting[0].entry, waiting[0].version_id
                self._failed[version_id] = error.message
                if told.get(version_id) != error.message:
                    what = f"{entry.namespace}/{entry.component} {entry.version}"
                    _LOG.error("%s is not in the signed index: %s", what, error.message)
                return ()
        return tuple(done for each in waiting for done in self._record((each,), told))

    def _renew(self, role: str) -> bool:
        """Sign a role anew, and what refers to it; False where its keys are elsewhere, which is told once."""
        try:
            publishing.refresh(self._repository, roles=[role])
            return True
        except FlowctlError as error:
            if role not in self._told:
                _LOG.warning("%s expires soon and its keys are not here: %s", role, error.message)
            self._told.add(role)
            return False

    def _copy(self, done: tuple[Waiting, ...]) -> None:
        """What was written since the last copy goes to the database, with the changes that it has."""
        repository = self._repository
        with repository.locked():
            version, own = self._version(), sum(path.name == "timestamp.json" for path in repository.written)
            ours = self._copied is not None and version == self._copied + own
            paths = dict.fromkeys(repository.written) if ours else sorted(repository.current())
            files = {path.relative_to(repository.folder).as_posix(): path.read_bytes() for path in paths}
            files[KEYS_FILE] = publishing.trusted_keys(repository).model_dump_json().encode()

        def change(connection: Connection) -> None:
            write_trust_files(connection, files)
            if done:
                mark_done(connection, done)

        writing(self._engine, change)
        repository.written.clear()
        self._copied = version

    def _version(self) -> int:
        return version_of((self._repository.folder / "metadata" / "timestamp.json").read_bytes())

    def _forget(self) -> None:
        """Files that were replaced already when this was last asked."""
        folder = self._repository.folder
        with self._repository.locked():
            there = {path for part in ("metadata", "targets") for path in (folder / part).rglob("*.json")}
            replaced = there - self._repository.current()
        gone = sorted(replaced & self._stale)
        self._stale = replaced
        names = [path.relative_to(folder).as_posix() for path in gone]
        writing(self._engine, lambda connection: forget_trust_files(connection, names))
        for path in gone:
            path.unlink(missing_ok=True)
