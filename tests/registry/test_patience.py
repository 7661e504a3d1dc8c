"""PostgreSQL ends sessions that stand still; what they did is done again, and what takes long is left alone."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine

from flowctl_registry.database.engine import open_engine, reading, snapshot, writing
from flowctl_registry.errors import UnavailableError
from postgres_server import PostgresServer
from registry_fixtures import postgres_server

__all__ = ["postgres_server"]
SHOW = "SHOW idle_in_transaction_session_timeout"
SOON = "SET LOCAL idle_in_transaction_session_timeout = 100"


@pytest.fixture
def engine(postgres_server: PostgresServer) -> Iterator[Engine]:
    url = postgres_server.database()
    made = open_engine(url)
    yield made
    made.dispose()
    postgres_server.drop(url)


def test_a_change_that_stood_still_is_made_again(engine: Engine) -> None:
    tries: list[int] = []

    def change(connection: Connection) -> str:
        tries.append(1)
        connection.exec_driver_sql(SOON if len(tries) == 1 else "SELECT 1")
        time.sleep(1 if len(tries) == 1 else 0)
        return str(connection.exec_driver_sql(SHOW).scalar_one())

    assert writing(engine, change) == "5s"
    assert len(tries) == 2


def test_a_reader_that_stood_still_is_told(engine: Engine) -> None:
    with pytest.raises(UnavailableError), reading(engine) as connection:
        connection.exec_driver_sql(SOON)
        time.sleep(1)
        connection.exec_driver_sql("SELECT 1")
    with reading(engine) as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1


def test_who_waits_too_long_for_a_lock_is_told(engine: Engine) -> None:
    with engine.connect() as holder:
        holder.exec_driver_sql("SELECT pg_advisory_xact_lock(1)")

        def change(connection: Connection) -> None:
            connection.exec_driver_sql("SET LOCAL lock_timeout = 100")
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(1)")

        with pytest.raises(UnavailableError, match="too busy"):
            writing(engine, change)


def test_what_takes_long_may_take_long(engine: Engine) -> None:
    with snapshot(engine) as connection:
        assert connection.exec_driver_sql(SHOW).scalar_one() == "0"
    assert writing(engine, lambda c: c.exec_driver_sql("SHOW lock_timeout").scalar_one(), long=True) == "0"
    assert writing(engine, lambda c: c.exec_driver_sql("SHOW lock_timeout").scalar_one()) == "15s"
