"""A backup: one moment of the database, all blobs that it refers to, and the signer's folder.

FOLDER/backup.json             what there is; written last, so that a backup is there whole or not at all
FOLDER/database-<time>.jsonl   a row a line (maintenance/dump.py)
FOLDER/blobs/sha256/ab/<hex>   shared by the backups that follow one another in the folder
FOLDER/signer-<time>/          keys and the signer's side of the signed index: keep it like a key
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import Connection, select

from flowctl_registry.blobs import claims
from flowctl_registry.blobs.durable import make_durable
from flowctl_registry.blobs.store import BlobStore
from flowctl_registry.database.engine import now, snapshot, writing
from flowctl_registry.database.migrate import head
from flowctl_registry.database.tables import blobs
from flowctl_registry.errors import DamagedError, UnavailableError
from flowctl_registry.maintenance.dump import dump
from flowctl_registry.maintenance.references import referenced
from flowctl_registry.models.maintenance import BackupManifest, BackupReport
from flowctl_registry.services import Services

FORMAT = 1
MANIFEST = "backup.json"
_CLAIM_S = 6 * 3600
_RENEW_EVERY = 1000
_ATTEMPTS = 3


def back_up(services: Services, folder: Path, *, keys: bool = True) -> BackupReport:
    """Write a backup to a new folder, or bring the one that is there up to date. Other processes go on.

    Raises DamagedError for a blob that is missing or damaged, ConfigError, UnavailableError, OSError.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).exists():
        left = [each.name for each in folder.iterdir() if not each.name.startswith(("database-", "signer-", "blobs"))]
        if left:
            raise DamagedError(f"{folder} has other files, among them {min(left)}", hint="Name a new folder.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    holder = f"backup-{secrets.token_hex(8)}"
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    try:
        moment, rows, digest, wanted = _dump_claimed(services, folder / f"database-{stamp}.jsonl", holder)
        copied = _copy(services, folder, holder, wanted)
        signer = _copy_signer(services.settings.data / "signer", folder / f"signer-{stamp}") if keys else None
        manifest = BackupManifest(
            format=FORMAT,
            schema_revision=head(),
            created_at=moment,
            database=f"database-{stamp}.jsonl",
            database_sha256=digest,
            rows=rows,
            blobs=len(wanted),
            blob_bytes=sum(wanted.values()),
            signer=signer,
        )
        _write(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    finally:
        writing(services.engine, lambda connection: claims.release(connection, holder))
    _tidy(folder, manifest, wanted)
    return BackupReport(**manifest.model_dump(), copied=copied)


def _dump_claimed(services: Services, path: Path, holder: str) -> tuple[datetime, int, str, dict[str, int]]:
    """Write the rows; gc leaves their blobs alone from then on."""
    for _ in range(_ATTEMPTS):
        rows, sha256 = 0, hashlib.sha256()
        with snapshot(services.engine) as connection, path.open("wb") as file:
            moment = now(connection)
            query = select(blobs.c.digest, blobs.c.size).where(referenced())
            wanted = {row.digest: row.size for row in connection.execute(query)}
            for line in dump(connection):
                data = line.encode()
                sha256.update(data)
                file.write(data)
                rows += 1
            file.flush()
            os.fsync(file.fileno())
        if _claimed(services, holder, wanted):
            return moment, rows, sha256.hexdigest(), wanted
    raise UnavailableError("gc removes blobs faster than they can be claimed", hint="Back up when no gc runs.")


def _claimed(services: Services, holder: str, wanted: Iterable[str]) -> bool:
    digests = set(wanted)

    def change(connection: Connection) -> bool:
        claims.guard(connection)
        claims.claim(connection, holder, digests, _CLAIM_S)
        row = select(blobs.c.digest).where(blobs.c.deleting_at.is_(None))
        return digests <= set(connection.execute(row).scalars())

    return writing(services.engine, change)


def _copy(services: Services, folder: Path, holder: str, wanted: dict[str, int]) -> int:
    copied = 0
    for number, (digest, size) in enumerate(sorted(wanted.items()), 1):
        path = folder / "blobs" / BlobStore.key(digest)
        if not path.exists() or path.stat().st_size != size:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(path.name + ".part")
            sha256 = hashlib.sha256()
            with partial.open("wb") as file:
                for chunk in services.blobs.stream(digest):
                    sha256.update(chunk)
                    file.write(chunk)
            if "sha256:" + sha256.hexdigest() != digest:
                partial.unlink()
                raise DamagedError(f"the blob {digest} is damaged in the store", hint="Run `flowctl-registry fsck`.")
            partial.replace(path)
            make_durable(folder, path)
            copied += 1
        if number % _RENEW_EVERY == 0:
            _claimed(services, holder, wanted)
    return copied


def _copy_signer(source: Path, target: Path) -> str | None:
    """A copy during which nothing changed."""
    if not source.is_dir():
        return None
    for _ in range(20):
        before = _state(source)
        try:
            shutil.copytree(source, target)
        except (OSError, shutil.Error):  # files came or went in the middle
            shutil.rmtree(target, ignore_errors=True)
            continue
        if _state(source) == before:
            target.chmod(0o700)
            return target.name
        shutil.rmtree(target)
    raise UnavailableError("the signer changes its folder all the time", hint="Try again in a minute.")


def _state(folder: Path) -> list[tuple[str, int, int]]:
    return sorted(
        (str(path), path.lstat().st_mtime_ns, path.lstat().st_size) for path in folder.rglob("*") if path.is_file()
    )


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8")
    make_durable(path.parent, partial)
    partial.replace(path)
    make_durable(path.parent, path)


def _tidy(folder: Path, manifest: BackupManifest, wanted: dict[str, int]) -> None:
    """Remove what only earlier backups in this folder had."""
    keep = {manifest.database, manifest.signer, MANIFEST, "blobs"}
    for path in folder.iterdir():
        if path.name not in keep and path.name.startswith("database-"):
            path.unlink()
        elif path.name not in keep and path.name.startswith("signer-"):
            shutil.rmtree(path)
    names = {digest.removeprefix("sha256:") for digest in wanted}
    for path in (folder / "blobs").glob("sha256/*/*"):
        if path.name not in names:
            path.unlink()


def read_manifest(folder: Path) -> BackupManifest:
    """What a backup's folder has. Raises DamagedError for one that is none, or of another release."""
    try:
        manifest = BackupManifest.model_validate_json((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        raise DamagedError(f"{folder} has no backup that is whole", hint="Name a folder that backup wrote.") from None
    if (manifest.format, manifest.schema_revision) != (FORMAT, head()):
        raise DamagedError(
            f"the backup has schema {manifest.schema_revision}, this release needs {head()}",
            hint="Restore with the release that made it, then run `flowctl-registry migrate` with this one.",
        )
    return manifest
