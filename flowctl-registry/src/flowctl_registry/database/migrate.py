"""Bringing a database to the schema of this release. Alembic is imported only where something is to be done."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from flowctl_registry.database.engine import reading, writing
from flowctl_registry.errors import RegistryError

if TYPE_CHECKING:
    from alembic.config import Config

_FOLDER = Path(__file__).parent / "migrations"
_REVISION = re.compile(r"(\d{4})_\w+\.py")


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    return config


def head() -> str:
    """The newest revision that this release knows: revisions are numbered, as their files are."""
    return max(found[1] for path in (_FOLDER / "versions").iterdir() if (found := _REVISION.fullmatch(path.name)))


def current(engine: Engine) -> str | None:
    """The database's revision; None for an empty one. Raises UnavailableError."""
    with reading(engine) as connection:
        return _revision(connection)


def upgrade(engine: Engine) -> str | None:
    """Bring the database to `head`; returns the revision it had. Two at once wait for one another.

    Raises UnavailableError.
    """

    def change(connection: Connection) -> str | None:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7013526)")
        before = _revision(connection)
        if before != head():
            from alembic import command

            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        return before

    return writing(engine, change, long=True)


def ensure(engine: Engine) -> None:
    """Bring an embedded registry's database to `head`, whose processes all start at once. Raises RegistryError."""
    if (current(engine) or "") < head():
        upgrade(engine)
    check(engine)


def check(engine: Engine) -> None:
    """Raises RegistryError unless the database has the schema of this release."""
    found = current(engine)
    if found != head():
        raise RegistryError(
            f"the database has schema {found or 'none'}, this release needs {head()}",
            hint="Back it up, then run `flowctl-registry migrate`.",
        )


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return str(found) if found is not None else None
