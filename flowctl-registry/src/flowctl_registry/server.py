"""Running the service: the signer beside it, then granian."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager

from granian.constants import Interfaces, SSLProtocols
from granian.server import Server

from flowctl_registry.app import create_app
from flowctl_registry.database import migrate
from flowctl_registry.database.engine import open_engine
from flowctl_registry.settings import Settings
from flowctl_registry.signer import process


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. An embedded database is brought to this release's schema first."""
    settings.data.mkdir(parents=True, exist_ok=True)
    if settings.database_url is None:
        engine = open_engine(settings.database)
        migrate.upgrade(engine)
        engine.dispose()
    with _signer(settings):
        Server(
            "flowctl_registry.server:factory",
            address=settings.server.host,
            port=settings.server.port,
            interface=Interfaces.ASGI,
            workers=settings.server.workers,
            ssl_cert=settings.server.tls_certificate,
            ssl_key=settings.server.tls_key,
            ssl_protocol_min=SSLProtocols.tls12,
            log_access=False,
            workers_kill_timeout=int(settings.server.shutdown_s),
        ).serve(target_loader=lambda: create_app(settings), wrap_loader=False)


@contextmanager
def _signer(settings: Settings) -> Iterator[None]:
    if settings.signer_socket is not None:
        yield
        return
    child = multiprocessing.get_context("spawn").Process(target=process.run, args=(settings,), name="signer")
    child.start()
    try:
        yield
    finally:
        child.terminate()
        child.join(10)
