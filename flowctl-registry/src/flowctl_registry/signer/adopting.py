"""A signer whose folder is older than the copy in the database, or new: it goes on from the copy, never from nothing.

A new root beside an old copy would be a forgery to every client, so without the old keys it refuses to start.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select, update

from flowctl_core.errors import ConfigError, SigningError
from flowctl_core.store.files import atomic_write, remove_any, system_refusals
from flowctl_core.trust import publishing
from flowctl_core.trust.repository import Repository
from flowctl_registry.database.engine import now
from flowctl_registry.database.tables import index_changes, trust_files, versions

_LOG = logging.getLogger(__name__)
_TIMESTAMP, _ROOT = "metadata/timestamp.json", "metadata/1.root.json"
_HINT = (
    "Restore the signer's folder from your backup. If its keys are lost: `flowctl-registry signer forget`, and every "
    "client pins the new root."
)


def read_copy(connection: Connection) -> dict[str, bytes]:
    """The files of the trust repository that clients read."""
    rows = connection.execute(
        select(trust_files.c.path, trust_files.c.content).where(trust_files.c.path.regexp_match("^(metadata|targets)/"))
    )
    return {row.path: bytes(row.content) for row in rows}


def adopt(repository: Repository, copy: Mapping[str, bytes]) -> None:
    """Bring the folder to the state of a newer copy.

    Raises ConfigError for a copy of another repository, and when the keys are missing.
    """
    if _TIMESTAMP not in copy:
        return
    folder, known = repository.folder, repository.exists
    if known:
        if (folder / _ROOT).read_bytes() != copy.get(_ROOT):
            raise ConfigError(f"{folder} is not the trust repository of this database", hint=_HINT)
        if version_of((folder / _TIMESTAMP).read_bytes()) >= version_of(copy[_TIMESTAMP]):
            return
    with repository.locked():
        for path in sorted(copy, key=lambda path: (path == _TIMESTAMP, path == _ROOT, path)):
            with system_refusals(folder / path, "made"):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
            atomic_write(folder / path, copy[path])
    try:
        publishing.refresh(repository)
    except SigningError as error:
        if not known:
            remove_any(folder)
        raise ConfigError(f"the keys of the signed index are not in {folder.parent}", hint=_HINT) from error
    _LOG.warning("went on from the database's copy of the trust repository, which was newer than %s", folder)


def forget(connection: Connection) -> None:
    """Let the next signer make a new repository of all versions."""
    moment = now(connection)
    connection.execute(delete(trust_files))
    connection.execute(update(index_changes).where(index_changes.c.done_at.is_(None)).values(done_at=moment))
    published = select(versions.c.id).where(versions.c.state == "published").order_by(versions.c.id)
    for version_id in connection.execute(published).scalars().all():
        connection.execute(insert(index_changes).values(change="publish", version_id=version_id, recorded_at=moment))


def version_of(timestamp: bytes) -> int:
    """The version of a role's metadata."""
    return int(json.loads(timestamp)["signed"]["version"])
