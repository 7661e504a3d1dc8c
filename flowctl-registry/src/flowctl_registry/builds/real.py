"""Workers with the real steps, in the sandbox that this machine has."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Mapping
from functools import partial

from flowctl_core.errors import FlowctlError
from flowctl_registry.builds.background import Background
from flowctl_registry.builds.steps import step_set
from flowctl_registry.builds.wanted import is_wanted
from flowctl_registry.builds.workers import embedded_id, run
from flowctl_registry.child import END
from flowctl_registry.database import migrate
from flowctl_registry.database.engine import open_engine
from flowctl_registry.sandbox.choose import choose
from flowctl_registry.sandbox.confinement import Sandbox
from flowctl_registry.services import Services
from flowctl_registry.settings import Settings

_LOG = logging.getLogger(__name__)
_LOOK_S = 0.5


def run_worker(settings: Settings, *, worker_id: str | None, labels: Mapping[str, str], slots: int) -> None:
    """Be a worker of its own. Raises SandboxError, ConfigError, UnavailableError."""
    sandbox = _sandbox(settings)
    run(
        settings,
        lambda services: step_set(services, sandbox),
        worker_id=worker_id,
        labels=labels,
        slots=slots,
        beside=lambda services: Background(services, sandbox),
    )


def run_embedded(settings: Settings, parent: int) -> None:
    """Be the worker of `serve`; where no sandbox works, say so, and send webhooks only.

    Raises ConfigError, UnavailableError.
    """
    if settings.database_url is None:  # the first start: the API may not be so far yet
        engine = open_engine(settings.database)
        migrate.ensure(engine)
        engine.dispose()
    try:
        sandbox = _sandbox(settings)
    except FlowctlError as error:
        _LOG.error("no builds are done here: %s (%s)", error.message, error.hint)
        webhooks = Background(Services.open(settings), None)
        webhooks.start()
        _wait(parent)
        webhooks.stop()
        return
    slots = settings.builds.embedded_slots
    identity = embedded_id(settings)
    run(
        settings,
        lambda services: step_set(services, sandbox),
        worker_id=identity,
        slots=slots,
        parent=parent,
        beside=lambda services: Background(services, sandbox),
        wanted=partial(is_wanted, settings.own_database) if settings.database_url is None else None,
    )


def _sandbox(settings: Settings) -> Sandbox:
    found = choose(settings.sandbox, unsandboxed=settings.sandbox.unsandboxed)
    for sentence in found.report():
        _LOG.warning("sandbox of builds: %s", sentence)
    return found


def _wait(parent: int) -> None:
    ended = threading.Event()
    signal.signal(END, lambda _number, _frame: ended.set())
    while not ended.wait(_LOOK_S) and os.getppid() == parent:
        pass
