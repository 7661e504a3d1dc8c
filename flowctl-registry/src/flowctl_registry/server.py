"""Running the service: the signer and a build worker beside it, then granian's workers.

This process stays small: it watches the others, and imports nothing that they alone need.
"""

from __future__ import annotations

import logging
import mmap
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from granian.constants import Interfaces, SSLProtocols
from granian.log import LogLevels
from granian.server.mp import MPServer

from flowctl_core.errors import ConfigError, FlowctlError
from flowctl_registry.builds.wanted import is_wanted
from flowctl_registry.child import Child
from flowctl_registry.observability.folder import forget_dead, prepare
from flowctl_registry.observability.logs import configure
from flowctl_registry.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_LOG = logging.getLogger(__name__)
_ORPHAN_S = 0.5
_WORKER_AFTER_S = 1.0
"""Requests are served first; the worker's engine takes a second of a processor to start."""
PASSPHRASE = "FLOWCTL_KEY_PASSPHRASE"  # noqa: S105 - name of the variable
_OURS: dict[str, Any] = {"handlers": {}, "loggers": {"_granian": {"handlers": [], "propagate": True}}}
"""Granian's records go where all others go."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError for a folder or port that cannot be used."""
    configure(settings.telemetry)
    try:
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        prepare(settings.data.absolute() / "metrics")
    except OSError as error:
        raise ConfigError(f"{settings.data} cannot be used: {error.strerror}", hint="Set `data`.") from None
    options = settings.server
    ending = mmap.mmap(-1, 1)
    server = _Server(
        "flowctl_registry",
        address=options.host,
        port=options.port,
        interface=Interfaces.ASGI,
        workers=options.workers,
        websockets=False,
        log_level=LogLevels.warning,
        log_dictconfig=_OURS,
        log_access=False,
        ssl_cert=options.tls_certificate,
        ssl_key=options.tls_key,
        ssl_protocol_min=SSLProtocols.tls12,
        respawn_failed_workers=True,
        workers_kill_timeout=max(1, round(options.shutdown_s)),
    )
    server.ending = ending
    with ExitStack() as children:
        signer = None
        if settings.signer_socket is None:
            listens = settings.socket
            signer = children.enter_context(Child(settings, "flowctl_registry.signer", "signer", listens=listens))
        if settings.builds.embedded_slots:
            # Its engine takes 90 MB: with a database beside it that can be asked cheaply, it is there while it works.
            when = partial(is_wanted, settings.own_database) if settings.database_url is None else None
            worker = Child(settings, "flowctl_registry.builds", "worker", after_s=_WORKER_AFTER_S, when=when)
            children.enter_context(worker)
        try:
            server.serve(target_loader=_loader(settings, ending), wrap_loader=False)
        except (OSError, RuntimeError) as error:
            why = str(error).partition("\n")[0]  # a trace of the server's own follows
            raise ConfigError(
                f"{options.host}:{options.port} cannot be listened at: {why}", hint="Choose another --port or --host."
            ) from error
    if signer is not None and signer.gave_up:
        raise ConfigError("the signer cannot start", hint="What it said is above.")


class _Server(MPServer):
    """Tells its workers that the end has begun: they wait for all that is being answered, and streams have no end."""

    ending: mmap.mmap
    """Shared with the workers."""

    def shutdown(self, exit_code: int = 0) -> None:
        self.ending[0] = 1
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]


def _loader(settings: Settings, ending: mmap.mmap) -> Callable[[], ASGIApp]:
    """Makes the application in a worker, which ends when this process is gone."""
    parent = os.getpid()

    def load() -> ASGIApp:
        configure(settings.telemetry)
        forget_dead()
        os.environ.pop(PASSPHRASE, None)  # of the signer's keys
        try:
            app = _application(settings, lambda: bool(ending[0]))
        except FlowctlError as error:
            _LOG.error("%s%s", error.message, f" ({error.hint})" if error.hint else "")
            sys.exit(error.exit_code)
        threading.Thread(target=_end_with, args=(parent,), daemon=True, name="parent").start()
        return app

    return load


def _application(settings: Settings, is_ending: Callable[[], bool]) -> ASGIApp:
    from flowctl_registry.access.beginning import say_how_to_begin
    from flowctl_registry.app import create_app
    from flowctl_registry.observability.requests import Observed
    from flowctl_registry.observability.tracing import open_tracing

    tracing = open_tracing(settings.telemetry)
    if settings.database_url is None:
        from flowctl_registry.database import migrate
        from flowctl_registry.database.engine import open_engine

        engine = open_engine(settings.database)
        migrate.ensure(engine)
        engine.dispose()
    app = create_app(settings)
    app.state.is_ending = is_ending
    say_how_to_begin(app.state.services)
    return Observed(app, tracing)


def _end_with(parent: int) -> None:
    """A worker without a parent would hold the port against the next one."""
    while os.getppid() == parent:
        time.sleep(_ORPHAN_S)
    _LOG.warning("the process that started this one is gone: ending")
    os.kill(os.getpid(), signal.SIGTERM)
