"""The cache's index: a small table on disk, and what to do when it is damaged."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from flowctl_core.store.files import remove_any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

_BUSY_TIMEOUT_S = 5.0


class DamagedIndexError(Exception):
    """The index is not a database, or not ours."""


class CacheIndex:
    """Names to JSON values in `<directory>/index`, safe for several processes and for kill -9 at any moment.

    diskcache with JSONDisk, except that pickles, which it would still load if somebody put some in, are
    refused. Methods raise sqlite3.Error, diskcache.Timeout, OSError, and DamagedIndexError.
    """

    def __init__(self, directory: Path) -> None:
        """Open or make it."""
        self.path = directory / "index"
        if self.path.exists() and not self.path.is_dir():
            raise DamagedIndexError("the index is not a folder")
        self.path.mkdir(exist_ok=True)  # diskcache would not tell what is in the way
        _probe(self.path / "cache.db")
        import diskcache

        from flowctl_core.store.json_disk import PlainJSONDisk

        self._cache: Any = diskcache.Cache(
            str(self.path), disk=PlainJSONDisk, eviction_policy="none", cull_limit=0, timeout=_BUSY_TIMEOUT_S
        )

    def get(self, name: str) -> JsonValue:
        """The value, None when there is none."""
        value: JsonValue = self._cache.get(name)
        return value

    def set(self, name: str, value: JsonValue) -> None:
        """Set a value."""
        self._cache.set(name, value)

    def delete(self, name: str) -> None:
        """Remove a value; one that is missing is fine."""
        self._cache.delete(name)

    def names(self) -> Iterator[str]:
        """All names."""
        yield from self._cache.iterkeys()

    def transaction(self) -> AbstractContextManager[None]:
        """All writes in the body happen, or none."""
        transaction: AbstractContextManager[None] = self._cache.transact()
        return transaction

    def check(self) -> None:
        """Raise sqlite3.DatabaseError or DamagedIndexError when the index cannot be used."""
        for name in self.names():
            self.get(name)

    def close(self) -> None:
        """Close the database."""
        with suppress(sqlite3.Error):
            self._cache.close()


def _probe(database: Path) -> None:
    """Raise sqlite3.OperationalError when an existing database cannot be written to.

    diskcache itself writes when it opens one, and goes on trying for a minute.
    """
    if not database.exists():
        return
    connection = sqlite3.connect(database, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
    try:
        connection.execute("begin immediate")
        connection.execute("rollback")
    finally:
        connection.close()


def is_damage(error: BaseException) -> bool:
    """True when only a new index helps; False for a busy, full or read-only one."""
    if isinstance(error, DamagedIndexError):
        return True
    if isinstance(error, sqlite3.OperationalError):
        texts = ("no such table", "no such column", "malformed", "has no column")
        return any(text in str(error) for text in texts)
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.IntegrityError)


def set_aside(directory: Path) -> Path | None:
    """Move a damaged index out of the way; where to, None when there was none. Raises OSError.

    Only the latest is kept for whoever wants to know what happened to it.
    """
    for older in directory.glob("index.damaged-*"):
        remove_any(older)
    target = directory / f"index.damaged-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
    try:
        (directory / "index").rename(target)
    except FileNotFoundError:
        return None
    return target
