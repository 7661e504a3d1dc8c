"""How long PostgreSQL waits for who says nothing: a process that stands still must not keep others from going on.

A worker that is stopped (SIGSTOP, a machine that is frozen or cut off) in the middle of a transaction keeps its locks.
The server ends such a session after `IDLE_S`; so what it held is free by the time that others find the worker dead.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, event

IDLE_S = 5
"""Of a session that says nothing inside a transaction. Ours have no work of their own between two statements."""
LOCK_S = 15
"""Of a statement that waits for a lock: longer than a session that stands still can keep it."""
KEEPALIVE: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 12_000,
}
"""libpq's settings: a server whose machine is gone is noticed within 12 s, not after hours."""


def bound(engine: Engine) -> None:
    """Give each connection of a PostgreSQL engine these limits; poolers between pass on settings, not start options."""

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET idle_in_transaction_session_timeout = {IDLE_S * 1000}")
            cursor.execute(f"SET lock_timeout = {LOCK_S * 1000}")
        connection.commit()  # the pool rolls back what is not


def unbounded(connection: Connection) -> None:
    """Lift the limits for the transaction that begins here: it reads, writes or waits for long."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
