"""Opening the database, and transactions that behave alike on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from flowctl_core.errors import ConfigError
from flowctl_registry.database.patience import KEEPALIVE, bound, unbounded
from flowctl_registry.errors import StorageFullError, UnavailableError

_Result = TypeVar("_Result")
_BUSY_MS = 10_000
_LONG_BUSY_MS = 120_000
_ATTEMPTS = 5
_SILENT = "the database does not answer"
_HINT = "Try again; the registry's operator looks at its logs."
_AGAIN = ("40001", "40P01", "25P03")  # PostgreSQL: serialization failure, deadlock, stood still for too long
_LOCKED = ("55P03",)  # PostgreSQL: waited too long for a lock
_FULL = ("53100",)  # PostgreSQL: disk full


def open_engine(url: str) -> Engine:
    """Connect lazily. Raises ConfigError for an URL that is none, or whose driver is missing."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(url)
        if parsed.drivername == "postgresql":
            url = parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        engine = create_engine(
            url, pool_pre_ping=True, pool_size=10, max_overflow=10, pool_timeout=10, connect_args=dict(KEEPALIVE)
        )
        bound(engine)
        return engine
    except (SQLAlchemyError, ImportError, ValueError) as error:
        raise ConfigError(
            f"the database URL cannot be used: {type(error).__name__}",
            hint="Write sqlite:///PATH or postgresql://USER@HOST/NAME; PostgreSQL needs flowctl-registry[postgres].",
        ) from error


def _sqlite(url: str) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=10,
        max_overflow=10,
        connect_args={"check_same_thread": False, "timeout": _BUSY_MS / 1000},
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours: sqlite3 would start it late, and never IMMEDIATE
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("long", False):
            connection.exec_driver_sql(f"PRAGMA busy_timeout={_LONG_BUSY_MS}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("write", False) else "BEGIN")
        if options.get("long", False):
            connection.exec_driver_sql(f"PRAGMA busy_timeout={_BUSY_MS}")

    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads. Raises UnavailableError when the database does not answer."""
    with _told(), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads, and sees one moment only, however many statements it has and however long it takes.

    Raises UnavailableError.
    """
    options: dict[str, Any] = {}
    if engine.dialect.name == "postgresql":  # a SQLite transaction is one anyway
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with _told(), engine.connect().execution_options(**options) as connection, connection.begin():
        unbounded(connection)
        yield connection


def writing(engine: Engine, change: Callable[[Connection], _Result], *, long: bool = False) -> _Result:
    """Run a change as one transaction, again when another one was in its way: `change` must have no other effect.

    `long`: it may wait for locks, and keep others waiting, for as long as it takes. Raises UnavailableError when the
    database does not answer or is too busy; whether the change was made is then unknown only if the
    connection broke during COMMIT, so changes must find their own work done.
    """
    for attempt in range(_ATTEMPTS):
        try:
            options = {"write": True, "long": long}
            with _told(again=True), engine.connect().execution_options(**options) as connection, connection.begin():
                if long:
                    unbounded(connection)
                return change(connection)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _AGAIN:
                raise
            if attempt == _ATTEMPTS - 1:
                raise UnavailableError("the database is too busy", hint=_HINT) from error
    raise AssertionError("unreachable")


@contextmanager
def _told(*, again: bool = False) -> Iterator[None]:
    """Raise errors of the database as ours; `again`: but those of a transaction that is to be tried again."""
    try:
        yield
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state in _AGAIN and again:
            raise
        if state in _FULL or "disk is full" in str(error.orig):
            raise StorageFullError(
                "the database has no room left", hint="The operator makes room on its disk; nothing was changed."
            ) from error
        if state in _LOCKED:
            raise UnavailableError("the database is too busy", hint=_HINT) from error
        if state in _AGAIN or isinstance(error, OperationalError | InterfaceError):
            raise UnavailableError(_SILENT, hint=_HINT) from error
        raise
    except PoolTimeoutError as error:
        raise UnavailableError("the database is too busy", hint=_HINT) from error


def now(connection: Connection) -> datetime:
    """The database's clock: the same for all processes."""
    if connection.dialect.name == "sqlite":
        seconds = connection.execute(text("SELECT (julianday('now') - 2440587.5) * 86400.0")).scalar_one()
    else:
        seconds = connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
    return datetime.fromtimestamp(round(float(seconds), 3), UTC)
