"""What endpoints work with; one set a process."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from flowctl_registry.blobs.store import BlobStore
from flowctl_registry.database import migrate
from flowctl_registry.database.counters import DownloadCounter
from flowctl_registry.database.engine import open_engine
from flowctl_registry.errors import UnavailableError
from flowctl_registry.settings import Settings
from flowctl_registry.signer.client import SignerClient


@dataclass(frozen=True)
class Services:
    """Database, blobs and signer of a registry."""

    settings: Settings
    engine: Engine
    blobs: BlobStore
    signer: SignerClient
    downloads: DownloadCounter

    @classmethod
    def open(cls, settings: Settings) -> Services:
        """Connect to what the settings name; nothing is changed.

        Raises ConfigError, UnavailableError, RegistryError for a database of another schema.
        """
        engine = open_engine(settings.database)
        try:
            migrate.check(engine)
        except OSError as error:
            raise UnavailableError(f"the database cannot be opened: {error}") from error
        return cls(settings, engine, BlobStore.open(settings), SignerClient(settings.socket), DownloadCounter(engine))

    def close(self) -> None:
        """Give all connections back."""
        self.downloads.flush()
        self.engine.dispose()
