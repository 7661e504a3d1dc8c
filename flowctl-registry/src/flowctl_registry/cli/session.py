"""What commands that work on the registry's own database share. They are for its operator: the API asks for tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from flowctl_registry.services import Services
    from flowctl_registry.settings import Settings

OPERATOR = "operator"
"""Who did it, in the audit log: whoever can run this command on the registry's machine."""
Config = Annotated[
    Path | None, typer.Option("--config", envvar="FLOWCTL_REGISTRY_CONFIG", help="A registry.yaml.", metavar="FILE")
]
Data = Annotated[Path | None, typer.Option("--data", help="Folder of an embedded registry.", metavar="FOLDER")]

Unsandboxed = Annotated[
    bool,
    typer.Option("--unsandboxed", help="Do builds without a sandbox where none works: only where nothing is of worth."),
]


@contextmanager
def database(config: Path | None, data: Path | None) -> Iterator[tuple[Settings, Engine]]:
    """The settings and the database, of this release's schema. Raises ConfigError, RegistryError."""
    from flowctl_registry.database import migrate
    from flowctl_registry.database.engine import open_engine
    from flowctl_registry.errors import RegistryError
    from flowctl_registry.settings import load_settings

    settings = load_settings(config, data=data)
    if settings.database_url is None and not (settings.data / "registry.db").is_file():
        raise RegistryError(
            f"there is no registry in {settings.data}",
            hint="Start it once with `flowctl-registry serve`, or name another folder with --data.",
        )
    engine = open_engine(settings.database)
    try:
        migrate.check(engine)
        yield settings, engine
    finally:
        engine.dispose()


@contextmanager
def opened(config: Path | None, data: Path | None) -> Iterator[Services]:
    """All that the registry works with. Raises ConfigError, RegistryError, UnavailableError."""
    from flowctl_registry.services import Services

    with database(config, data) as (settings, _):
        services = Services.open(settings)
        try:
            yield services
        finally:
            services.close()
