"""A worker: takes builds while it has free slots, shows that it lives, gives back what dead ones left."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

from sqlalchemy import select, update

from flowctl_core.errors import ConfigError, FlowctlError
from flowctl_registry.builds import queue, records, registration
from flowctl_registry.builds.jobs import Jobs, StepSet
from flowctl_registry.builds.performing import Performer
from flowctl_registry.builds.registration import Watch, Worker
from flowctl_registry.builds.runs import Run
from flowctl_registry.builds.workflow import Result
from flowctl_registry.child import END
from flowctl_registry.database.build_tables import builds, workers
from flowctl_registry.database.engine import now, reading, writing
from flowctl_registry.database.tables import claims
from flowctl_registry.models.build import BuildProblem, BuildState
from flowctl_registry.observability.logs import BUILD_ID
from flowctl_registry.services import Services
from flowctl_registry.settings import Settings

_LOG = logging.getLogger(__name__)
_LOOK_S = 0.2
_BEAT_S = 1.0
_RENEW_S = 60.0
_FORGET_S = 3600.0
_AWAY_S = 1.0
_CANCEL_S = 3.0
_BROKEN_S = 1.0


class Beside(Protocol):
    """What a worker's process does beside builds, on threads of its own."""

    def start(self) -> None:
        """Begin; returns at once."""

    def stop(self) -> None:
        """End soon."""


Steps = Callable[[Services], StepSet]


class BuildWorker:
    """Does builds in this process, from `start` to `stop`."""

    def __init__(self, services: Services, worker: Worker, steps: StepSet) -> None:
        from flowctl_registry.builds.dbos_jobs import DbosJobs

        self._services = services
        self._settings = services.settings.builds
        self._worker = worker
        self._performer = Performer(services, worker.id, steps.functions)
        self._tidy = steps.tidy
        self._untidy = threading.Event()
        self._jobs: Jobs = DbosJobs(
            services.settings, worker, self._performer, self._ended, self._released, self._broken
        )
        self._watch = Watch(services.engine, worker, self._settings.dead_after_s)
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self.lost = threading.Event()
        """Another process has this worker's id: it must end."""

    def start(self) -> None:
        """Register and begin to take builds; returns at once. Raises ConfigError when another process has the id."""
        self._wait_for_id()
        registration.register(self._services.engine, self._worker)
        # The heartbeat runs before the engine does anything that others could find abandoned.
        threading.Thread(target=self._beats, daemon=True, name="heartbeat").start()
        self._jobs.launch()
        threading.Thread(target=self._takes, daemon=True, name="builds").start()
        threading.Thread(target=self._tidies, daemon=True, name="tidy").start()
        _LOG.info("worker %s is ready", self._worker.id)

    def stop(self, timeout_s: float) -> None:
        """Take no more and let steps that run end; builds that are not over go on elsewhere."""
        self._stopping.set()
        self._wake.set()
        self._untidy.set()
        for run in self._all():
            run.close()
        self._idle(timeout_s)
        for run in self._all():
            run.end("stopping")
        self._idle(_CANCEL_S)
        registration.leave(self._services.engine, self._worker)

    @property
    def busy(self) -> bool:
        """It has builds, or helps with some."""
        return bool(self._all())

    def _idle(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while any(run.busy for run in self._all()) and time.monotonic() < deadline:
            time.sleep(_LOOK_S / 4)

    def _wait_for_id(self) -> None:
        """A process of this id that was killed has left a row; one that lives shows itself."""
        since, seen = time.monotonic(), registration.is_taken(self._services.engine, self._worker)
        while seen is not None and time.monotonic() - since < self._settings.dead_after_s:
            time.sleep(_LOOK_S)
            found = registration.is_taken(self._services.engine, self._worker)
            if found is not None and found != seen:
                raise ConfigError(
                    f"another worker has the id {self._worker.id}", hint="Give each worker an id of its own: --id."
                )
            seen = found

    def _takes(self) -> None:
        while not self._stopping.is_set():
            pause_s = _LOOK_S
            try:
                self._look_for_cancelled()
                while self._takes_more():
                    limit = self._settings.running_per_namespace
                    claim = writing(self._services.engine, partial(queue.take, worker=self._worker.id, limit=limit))
                    if claim is None:
                        break
                    run = Run(claim)
                    with self._lock:
                        self._runs[claim.build_id] = run
                    self._begin(run)
            except FlowctlError as error:
                _LOG.warning("no builds can be taken: %s", error.message)
                pause_s = _AWAY_S
            except Exception:  # noqa: BLE001 - a worker that looks no more would hold its builds for ever
                _LOG.exception("no builds can be taken")
                pause_s = _AWAY_S
            self._wake.wait(pause_s)
            self._wake.clear()

    def _begin(self, run: Run) -> None:
        try:
            self._jobs.run(run)
        except Exception:  # noqa: BLE001 - whatever the engine's own database says
            _LOG.exception("build %s cannot be begun", run.claim.build_id)
            threading.Thread(target=self._broken, args=(run,), daemon=True, name="broken").start()

    def _broken(self, run: Run) -> None:
        """The engine lost the workflow of a build: give it back, so that it goes on with what was recorded."""
        run.end("stopping")
        time.sleep(_BROKEN_S)
        mine = (builds.c.id == run.claim.build_id, builds.c.claim == run.claim.token)
        with suppress(records.FencedError):
            self._performer.persist(run, lambda c: registration.give_back(c, *mine), patient=True)
        self._released(run)

    def _takes_more(self) -> bool:
        """A worker with labels keeps its slots for what only it can do."""
        if self._worker.labels or self._stopping.is_set() or len(self._runs) >= self._worker.slots:
            return False
        with reading(self._services.engine) as connection:
            return queue.is_waiting(connection)

    def _look_for_cancelled(self) -> None:
        helped = self._jobs.helping()
        with self._lock:
            runs = [*self._runs.values(), *helped]
        if not runs:
            return
        query = select(builds.c.id, builds.c.claim, builds.c.state, builds.c.cancelled_by).where(
            builds.c.id.in_({run.claim.build_id for run in runs})
        )
        with reading(self._services.engine) as connection:
            rows = {row.id: row for row in connection.execute(query)}
        for run in runs:
            row = rows.get(run.claim.build_id)
            if row is None or (run.owner and row.claim not in (run.claim.token, None)):
                run.end("replaced")
            elif row.cancelled_by is not None or (not run.owner and row.state in ("cancelled", "failed")):
                run.end("cancelled")

    def _beats(self) -> None:
        renewed = forgot = time.monotonic()
        away = False
        while not self._stopping.wait(_BEAT_S):
            try:
                if not registration.beat(self._services.engine, self._worker):
                    self._was_buried()
                self._watch.look()
                if self._worker.labels:
                    self._jobs.adopt(self._living())
                if time.monotonic() - renewed > _RENEW_S:
                    renewed = time.monotonic()
                    self._renew()
                if time.monotonic() - forgot > _FORGET_S:
                    forgot = time.monotonic()
                    days = self._settings.history_days
                    self._jobs.forget(days, registration.forget(self._services.engine, days))
                away = False
            except Exception as error:  # noqa: BLE001 - whatever it is, the heart must go on
                self._watch.forget()
                if not away:
                    _LOG.warning("the worker cannot show itself: %s", error)
                away = True

    def _was_buried(self) -> None:
        """Others took this worker for dead, and have its builds."""
        _LOG.warning("worker %s was taken for dead; it begins anew", self._worker.id)
        for run in self._all():
            run.end("replaced")
        if registration.is_taken(self._services.engine, self._worker) is not None:
            _LOG.error("another process has the id %s: this one ends", self._worker.id)
            self.lost.set()
            return
        registration.register(self._services.engine, self._worker)

    def _living(self) -> set[str]:
        with reading(self._services.engine) as connection:
            return set(connection.execute(select(workers.c.id).where(workers.c.stopped_at.is_(None))).scalars())

    def _tidies(self) -> None:
        """At the start, after each build, and now and then: other workers end builds that were begun here."""
        while not self._stopping.is_set():
            self._untidy.clear()
            try:
                self._tidy(self._worker.id)
            except FlowctlError as error:
                _LOG.warning("what builds left is not removed yet: %s", error.message)
            except Exception:  # noqa: BLE001 - a full disk is no reason to take no builds
                _LOG.exception("what builds left is not removed yet")
            self._untidy.wait(_RENEW_S)

    def _renew(self) -> None:
        ids = [run.claim.build_id for run in self._all() if run.owner]
        ttl_s = self._services.settings.limits.upload_ttl_s

        def change(connection: Any) -> None:
            expires = now(connection) + timedelta(seconds=ttl_s)
            connection.execute(update(claims).where(claims.c.holder.in_(ids)).values(expires_at=expires))

        if ids:
            writing(self._services.engine, change)

    def _ended(self, run: Run, result: Result) -> bool:
        """The workflow is over: record how. False: another run goes on. Called in a thread of the engine."""
        claim = run.claim
        BUILD_ID.set(claim.build_id)
        problem = BuildProblem.model_validate(result["problem"]) if "problem" in result else None
        state: BuildState = "failed" if problem is not None else "cancelled" if "cancelled" in result else "succeeded"
        try:
            self._performer.persist(run, lambda c: records.end(c, claim.build_id, claim.token, state, problem))
            _LOG.info("the build has ended: %s", state)
            mine = True
        except records.FencedError:
            run.end("replaced")
            mine = False
        self._released(run)
        return mine

    def _released(self, run: Run) -> None:
        with self._lock:
            if self._runs.get(run.claim.build_id) is run:
                del self._runs[run.claim.build_id]
        self._wake.set()
        self._untidy.set()

    def _all(self) -> list[Run]:
        with self._lock:
            return [*self._runs.values(), *self._jobs.helping()]


def embedded_id(settings: Settings) -> str:
    """Of the worker inside `serve`: the same whenever it starts, another for each data folder of a host."""
    folder = hashlib.sha256(str(settings.data.absolute()).encode()).hexdigest()[:8]
    return f"{socket.gethostname()}-serve-{folder}"


def run(
    settings: Settings,
    steps: Steps,
    *,
    worker_id: str | None = None,
    labels: Mapping[str, str] | None = None,
    slots: int = 1,
    parent: int | None = None,
    beside: Callable[[Services], Beside] | None = None,
    wanted: Callable[[], bool] | None = None,
) -> None:
    """Be a worker until SIGTERM; with `parent`, until that process ends it by END, or is gone.

    With `wanted`, until it had nothing to do, and that was false, for `builds.idle_s`.

    Raises ConfigError, UnavailableError.
    """
    services = Services.open(settings)
    me = Worker(worker_id or socket.gethostname(), uuid.uuid4().hex[:16], labels or {}, slots)
    worker = BuildWorker(services, me, steps(services))
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT) if parent is None else (END,):
        signal.signal(number, lambda _number, _frame: ended.set())
    others = beside(services) if beside is not None else None
    worker.start()
    if others is not None:
        others.start()
    worked = time.monotonic()
    while not ended.wait(_LOOK_S * 2):
        if worker.lost.is_set() or (parent is not None and os.getppid() != parent):
            break
        if wanted is None or worker.busy or wanted():
            worked = time.monotonic()
        elif time.monotonic() - worked > settings.builds.idle_s:
            _LOG.info("worker %s has nothing to do, and ends until there is something", me.id)
            break
    if others is not None:
        others.stop()
    worker.stop(settings.builds.stop_s)
    logging.shutdown()
    os._exit(1 if worker.lost.is_set() else 0)  # the engine's threads, and parked workflows, would wait for ever
