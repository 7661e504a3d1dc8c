"""The copy of the trust repository in the database, which all API processes serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, select

from flowctl_registry.database.engine import now
from flowctl_registry.database.tables import trust_files
from flowctl_registry.database.upsert import insertion_into

KEYS_FILE = "keys.json"
"""Path of the trusted keys, for those who read them without TUF."""
_PART = 100


def read_trust_file(connection: Connection, path: str) -> bytes | None:
    """A file of the copy; None when there is none."""
    found = connection.execute(select(trust_files.c.content).where(trust_files.c.path == path)).scalar_one_or_none()
    return bytes(found) if found is not None else None


def write_trust_files(connection: Connection, files: Mapping[str, bytes]) -> None:
    """Put files in the place of those of the same paths."""
    moment = now(connection)
    insertion = insertion_into(connection, trust_files)
    for path, content in files.items():
        connection.execute(
            insertion.values(path=path, content=content, written_at=moment).on_conflict_do_update(
                index_elements=["path"], set_={"content": content, "written_at": moment}
            )
        )


def forget_trust_files(connection: Connection, paths: Sequence[str]) -> None:
    """Remove files."""
    for start in range(0, len(paths), _PART):
        connection.execute(delete(trust_files).where(trust_files.c.path.in_(paths[start : start + _PART])))
