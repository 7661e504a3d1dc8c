"""Putting a backup into an empty registry, whatever it keeps its data in."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, select

from flowctl_registry.blobs.store import BlobStore
from flowctl_registry.catalog import search_index
from flowctl_registry.database import migrate
from flowctl_registry.database.engine import open_engine, writing
from flowctl_registry.database.schema import metadata
from flowctl_registry.database.tables import blobs
from flowctl_registry.errors import BadRequestError, ConflictError, DamagedError
from flowctl_registry.maintenance.backup import read_manifest
from flowctl_registry.maintenance.dump import load
from flowctl_registry.models.maintenance import BackupManifest, BackupReport
from flowctl_registry.settings import Settings

_CHUNK = 1 << 20


def restore(settings: Settings, folder: Path) -> BackupReport:
    """Blobs first, then all rows in one transaction: until then the registry is as empty as before.

    Raises DamagedError for a backup that is not whole, ConflictError for a registry that is not empty, ConfigError,
    UnavailableError.
    """
    manifest = read_manifest(folder)
    _check_database(folder, manifest)
    if missing := _missing_blobs(folder, manifest):
        raise DamagedError(f"the backup lacks {len(missing)} blobs, among them {min(missing)}", hint="Use another one.")
    settings.data.mkdir(parents=True, exist_ok=True)
    engine = open_engine(settings.database)
    try:
        migrate.upgrade(engine)
        _empty(engine)
        copied = _copy(BlobStore.open(settings), folder)
        _restore_signer(settings, folder, manifest)

        def change(connection: Connection) -> int:
            _check_empty(connection)
            with (folder / manifest.database).open(encoding="utf-8") as lines:
                rows = load(connection, lines)
            search_index.rebuild(connection)
            return rows

        if writing(engine, change, long=True) != manifest.rows:
            raise AssertionError("the digest was right, the number of rows is not")
    finally:
        engine.dispose()
    return BackupReport(**manifest.model_dump(), copied=copied)


def _check_database(folder: Path, manifest: BackupManifest) -> None:
    try:
        with (folder / manifest.database).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DamagedError(f"the backup's {manifest.database} cannot be read: {error.strerror}") from None
    if found != manifest.database_sha256:
        raise DamagedError(f"the backup's {manifest.database} is not what was written", hint="Use another backup.")


def _empty(engine: Engine) -> None:
    with engine.connect() as connection:
        _check_empty(connection)


def _check_empty(connection: Connection) -> None:
    for table in metadata.sorted_tables:
        if connection.execute(select(table).limit(1)).first() is not None:
            raise ConflictError(
                f"the registry is not empty: there is something in its table {table.name}",
                hint="Restore into a new data folder, or a new database.",
            )


def _copy(store: BlobStore, folder: Path) -> int:
    copied = 0
    for path in sorted((folder / "blobs").glob("sha256/??/" + "?" * 64)):
        digest, size = f"sha256:{path.name}", path.stat().st_size
        if store.size(digest) == size:
            continue  # an earlier restore that was interrupted wrote it, verified
        try:
            store.write_now(digest, size, _pieces(path))
        except BadRequestError:
            raise DamagedError(f"the backup's blob {digest} is damaged", hint="Use another backup.") from None
        copied += 1
    return copied


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield piece


def _restore_signer(settings: Settings, folder: Path, manifest: BackupManifest) -> None:
    target = settings.data / "signer"
    if manifest.signer is None or (target.is_dir() and any(target.iterdir())):
        return
    shutil.copytree(folder / manifest.signer, target, dirs_exist_ok=True)
    target.chmod(0o700)


def _missing_blobs(folder: Path, manifest: BackupManifest) -> set[str]:
    """Digests that the backup's rows name and its `blobs/` lacks."""
    missing = set()
    with (folder / manifest.database).open(encoding="utf-8") as lines:
        for line in lines:
            name, values = json.loads(line)
            if name == blobs.name and not (folder / "blobs" / BlobStore.key(values["digest"])).is_file():
                missing.add(str(values["digest"]))
    return missing
