"""A cheap way to see that nothing has changed, for caches of what the database says."""

from __future__ import annotations

import sqlite3
from contextlib import suppress

from sqlalchemy import Engine


class DataVersion:
    """A number that is another one after every commit, of whatever process; for one thread (an event loop's).

    SQLite has it without a question to the disk: microseconds. PostgreSQL has nothing that is as cheap: always None.
    """

    def __init__(self, engine: Engine) -> None:
        self._file = engine.url.database if engine.dialect.name == "sqlite" else None
        self._connection: sqlite3.Connection | None = None
        self._opened = 0

    def read(self) -> int | None:
        """The number now. None where it is not known: then nothing that was kept may be used."""
        if self._file is None:
            return None
        try:
            if self._connection is None:
                self._opened += 1
                self._connection = sqlite3.connect(self._file, timeout=0, isolation_level=None)
            row: tuple[int] = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            self.close()
            return None
        return (self._opened << 64) + row[0]  # numbers of two connections have nothing to do with each other

    def close(self) -> None:
        """Give the connection back; the next `read` opens another."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
