"""An index over a directory of advisories, so that a scan reads only those of the packages it asks for.

Made once (a full export has hundreds of thousands of files), and renewed file by file when the directory changed. It is
an SQLite file in the cache folder; where that cannot be written, it is made in memory each time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from flowctl_core.models.scan import ScanDatabase
from flowctl_core.scan.advisory import Advisory
from flowctl_core.scan.database_files import Entry, FileState, list_files, read_entries
from flowctl_core.scan.ecosystems import BY_NAME, package_key
from flowctl_core.scan.index_sweep import FOLDER

_FORMAT = 1
_RACY_S = 2.0
"""A file that is younger than this may change again without a trace in its times (git's racy timestamps)."""
_WAIT_S = 600.0
_NAMED = 20
"""So many unreadable files are named in a report."""
# Names of files are kept as the bytes that they are: they need not be text.
_TABLES = """
    CREATE TABLE files (name BLOB PRIMARY KEY, size INTEGER, mtime INTEGER, ctime INTEGER) WITHOUT ROWID;
    CREATE TABLE advisories (number INTEGER PRIMARY KEY, file BLOB, id TEXT, modified TEXT, digest BLOB, content BLOB);
    CREATE TABLE packages (ecosystem TEXT, name TEXT, advisory INTEGER);
    CREATE TABLE ecosystems (name TEXT, file BLOB, PRIMARY KEY (name, file)) WITHOUT ROWID;
    CREATE TABLE unreadable (file BLOB, name TEXT, problem TEXT);
    CREATE TABLE described (kind TEXT PRIMARY KEY, value TEXT);
    CREATE INDEX advisories_of_file ON advisories (file);
    CREATE INDEX packages_by_name ON packages (ecosystem, name);
    CREATE INDEX packages_by_advisory ON packages (advisory);
"""


def open_index(directory: Path, cache_dir: Path | None, note: Callable[[str], None] = lambda text: None) -> Index:
    """The index over a directory, renewed. Raises ScanError when the directory cannot be read.

    `note` is told when there is much to read. Two processes at once are fine: one waits for the other.
    """
    files = list_files(directory)
    path = None
    if cache_dir is not None:
        name = hashlib.sha256(os.fsencode(os.path.realpath(directory))).hexdigest()[:16]
        path = cache_dir / FOLDER / f"{name}.sqlite"
    while path is not None:
        try:
            index = _renewed(path, directory, files, note)
            with contextlib.suppress(OSError):
                os.utime(path)  # `cache prune` goes by it
            return index
        except (sqlite3.OperationalError, OSError):
            path = None  # it cannot be written: work without it
        except sqlite3.DatabaseError:  # damaged: make it anew
            try:
                path.unlink()
            except OSError:
                path = None
    return _renewed(None, directory, files, note)


def _renewed(path: Path | None, directory: Path, files: dict[str, FileState], note: Callable[[str], None]) -> Index:
    index = Index(_connect(path), directory)
    try:
        index.renew(files, note)
    except BaseException:
        index.close()
        raise
    return index


def _connect(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(":memory:" if path is None else path, timeout=_WAIT_S, isolation_level=None)
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] != _FORMAT:
            with _transaction(connection):
                for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    connection.execute(f"DROP TABLE {name}")
                for statement in _TABLES.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_FORMAT}")
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


class Index:
    """Advisories by package."""

    def __init__(self, connection: sqlite3.Connection, directory: Path) -> None:
        self._connection = connection
        self._directory = directory
        whole = os.path.abspath(directory)  # noqa: PTH100 - resolve() would follow symlinks
        self._name = os.fsencode(os.path.basename(whole)).decode(errors="replace") or "/"  # noqa: PTH119

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def renew(self, files: dict[str, FileState], note: Callable[[str], None]) -> None:
        """Read what is new or changed, forget what is gone; nothing is written when all is as it was."""
        if self._known() == files:
            return
        with _transaction(self._connection):
            known = self._known()  # another process may have been faster
            for name in known:
                if files.get(name) != known[name]:
                    self._forget(name)
            wanted = [name for name, state in files.items() if known.get(name) != state]
            if len(wanted) > 1000 or any(name.endswith(".zip") for name in wanted):
                note(f"indexing the vulnerability database {self._name} (once, until it changes)")
            racy = (time.time() - _RACY_S) * 1e9
            for name in wanted:
                state = files[name]
                for entry in read_entries(self._directory, name):
                    self._add(name, entry)
                fresh = max(state.mtime_ns, state.ctime_ns) >= racy
                kept = FileState(-1, 0, 0) if fresh else state
                self._connection.execute("INSERT INTO files VALUES (?, ?, ?, ?)", (os.fsencode(name), *kept))
            self._describe()

    def find(self, ecosystem: str, key: str) -> list[Advisory]:
        """Advisories that speak of a package, each id once (the one that was modified last), by id."""
        rows = self._connection.execute(
            "SELECT DISTINCT a.id, a.modified, a.digest, a.content FROM packages p "
            "JOIN advisories a ON a.number = p.advisory "
            "WHERE p.ecosystem = ? AND p.name = ? ORDER BY a.id, a.modified, a.digest",
            (ecosystem, key),
        )
        newest = {row[0]: row[3] for row in rows}
        return [Advisory.model_validate_json(zlib.decompress(content)) for content in newest.values()]

    def ecosystems(self) -> frozenset[str]:
        """Ecosystems that the directory has advisories of."""
        return frozenset(name for (name,) in self._connection.execute("SELECT DISTINCT name FROM ecosystems"))

    def describe(self) -> ScanDatabase:
        """What the directory holds."""
        about = dict(self._connection.execute("SELECT kind, value FROM described").fetchall())
        bad = self._connection.execute("SELECT name, problem FROM unreadable ORDER BY name LIMIT ?", (_NAMED,))
        return ScanDatabase(
            kind="directory",
            location=self._name,
            newest=about.get("newest") or None,
            advisories=int(about.get("advisories", 0)),
            digest=about.get("digest", ""),
            unreadable=tuple(f"{name}: {problem}" for name, problem in bad.fetchall()),
            unreadable_count=self._connection.execute("SELECT count(*) FROM unreadable").fetchone()[0],
        )

    def _known(self) -> dict[str, FileState]:
        return {
            os.fsdecode(name): FileState(*state) for name, *state in self._connection.execute("SELECT * FROM files")
        }

    def _forget(self, name: str) -> None:
        run, file = self._connection.execute, (os.fsencode(name),)
        run("DELETE FROM packages WHERE advisory IN (SELECT number FROM advisories WHERE file = ?)", file)
        for table in ("advisories", "ecosystems", "unreadable"):
            run(f"DELETE FROM {table} WHERE file = ?", file)  # noqa: S608 - a name of ours
        run("DELETE FROM files WHERE name = ?", file)

    def _add(self, name: str, entry: Entry) -> None:
        run, file = self._connection.execute, os.fsencode(name)
        advisory = entry.advisory
        if advisory is None:
            shown = os.fsencode(entry.name).decode(errors="replace")
            problem = entry.problem.encode(errors="replace").decode()
            run("INSERT INTO unreadable VALUES (?, ?, ?)", (file, shown, problem))
            return
        ours = {
            (affected.ecosystem, package_key(affected.ecosystem, affected.package.name))
            for affected in advisory.affected
            if affected.ecosystem in BY_NAME
        }
        content = zlib.compress(advisory.stored().encode(), 1) if ours else b""
        digest = hashlib.sha256(entry.content).digest()
        row = (file, advisory.id, advisory.modified_utc, digest, content)
        number = run("INSERT INTO advisories VALUES (NULL, ?, ?, ?, ?, ?)", row).lastrowid
        self._connection.executemany("INSERT INTO packages VALUES (?, ?, ?)", [(*key, number) for key in ours])
        for ecosystem in {name for name, _ in ours}:
            run("INSERT OR IGNORE INTO ecosystems VALUES (?, ?)", (ecosystem, file))

    def _describe(self) -> None:
        total = hashlib.sha256()
        for advisory_id, digest in self._connection.execute(
            "SELECT DISTINCT id, digest FROM advisories ORDER BY id, digest"
        ):
            total.update(advisory_id.encode() + b"\0" + digest)
        count, newest = self._connection.execute("SELECT count(DISTINCT id), max(modified) FROM advisories").fetchone()
        values = {"digest": f"sha256:{total.hexdigest()}", "advisories": str(count), "newest": newest or ""}
        self._connection.executemany("INSERT OR REPLACE INTO described VALUES (?, ?)", values.items())
