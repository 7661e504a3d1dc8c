"""Makes and changes trust repositories, and reports their state, for operators."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flowctl_core.cli.console import emit, say, table
from flowctl_core.errors import StoreError, UsageError

if TYPE_CHECKING:
    from flowctl_core.trust.repository import Repository


def open_repository(folder: Path, keys: Path | None, online_keys: Path | None) -> Repository:
    """The repository of a folder, with the keys of these folders or of the default ones."""
    from flowctl_core.trust.repository import Repository
    from flowctl_core.trust.role_keys import KeyFolders

    home = Path(os.environ.get("HOME") or Path.home()) / ".flowctl" / "trust-keys"
    return Repository(folder, KeyFolders(keys or home / "offline", online_keys or home / "online"))


def init(
    repository: Repository,
    namespaces: Sequence[str],
    trusted_root: Path | None,
    *,
    root_keys: int,
    root_threshold: int,
) -> None:
    """`flowctl trust init`."""
    from flowctl_core.trust import publishing

    publishing.init(
        repository,
        root_keys=root_keys,
        root_threshold=root_threshold,
        namespaces=namespaces,
        trusted_root=_bytes(trusted_root) if trusted_root is not None else None,
    )
    _report(repository)


def refresh(repository: Repository, trusted_root: Path | None, *, everything: bool) -> None:
    """`flowctl trust refresh`."""
    from flowctl_core.trust import publishing

    if trusted_root is not None:
        publishing.set_trusted_root(repository, _bytes(trusted_root))
    publishing.refresh(repository, everything=everything)
    _report(repository)


def add_key(
    repository: Repository, name: str, file: Path, valid_from: datetime | None, valid_until: datetime | None
) -> None:
    """`flowctl trust add-key`."""
    from flowctl_core.trust import publishing

    publishing.add_key(repository, publishing.read_key(name, file, _utc(valid_from), _utc(valid_until)))
    _report(repository)


def revoke_key(repository: Repository, name: str) -> None:
    """`flowctl trust revoke-key`."""
    from flowctl_core.trust import publishing

    publishing.revoke_key(repository, name)
    _report(repository)


def rotate(repository: Repository, role: str) -> None:
    """`flowctl trust rotate`."""
    from flowctl_core.trust import publishing

    publishing.rotate(repository, role)
    _report(repository)


def publish(
    repository: Repository,
    component: str,
    version: str,
    release: Path | None,
    digests: Sequence[str],
    *,
    new_namespace: bool,
) -> None:
    """`flowctl trust publish`."""
    from flowctl_core.trust import publishing
    from flowctl_core.trust.release_digests import release_digests

    namespace, name = _parts(component)
    wanted = release_digests(release) if release is not None else {}
    for text in digests:
        subject, equals, digest = text.rpartition("=")
        if not equals or not subject:
            raise UsageError(f"'{text}' is no digest of a subject", hint="Write NAME=sha256:HEX.")
        wanted[subject] = digest
    if new_namespace:
        publishing.add_namespace(repository, namespace)
    publishing.publish(repository, namespace, name, version, wanted)
    _report(repository)


def yank(repository: Repository, component: str, version: str, reason: str) -> None:
    """`flowctl trust yank`."""
    from flowctl_core.trust import publishing

    publishing.yank(repository, *_parts(component), version, reason)
    _report(repository)


def unyank(repository: Repository, component: str, version: str) -> None:
    """`flowctl trust unyank`."""
    from flowctl_core.trust import publishing

    publishing.unyank(repository, *_parts(component), version)
    _report(repository)


def _report(repository: Repository) -> None:
    report = repository.report()
    if emit(report.model_dump(mode="json")):
        return
    say(f"{report.folder}: root {report.fingerprint}")
    say()
    table(
        ("ROLE", "VERSION", "EXPIRES", "KEYS"),
        [
            (role.role, role.version, f"{role.expires:%Y-%m-%d %H:%M} UTC", " ".join(key[:16] for key in role.keys))
            for role in report.roles
        ],
    )


def _parts(component: str) -> tuple[str, str]:
    namespace, slash, name = component.partition("/")
    if not slash or not namespace or not name:
        raise UsageError(f"'{component}' is no component of a namespace", hint="Write NAMESPACE/COMPONENT.")
    return namespace, name


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError.of(error, path, "read") from error
