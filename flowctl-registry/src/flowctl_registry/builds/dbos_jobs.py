"""The job engine: DBOS Transact. Only this module knows it, and only workers import this module: it takes a second.

DBOS remembers which steps of a workflow are done, and lets one process at a time go on with it. Which build is next is
decided by `builds.queue`, in one transaction of the registry's own database: so position and order are the same thing,
the API needs no engine, and a free slot is filled at once. A build is started here, or, when another worker began it,
resumed through a queue that only this worker reads. Platforms that need a labelled worker go through one queue a label.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, NoReturn

from dbos import DBOS, DBOSConfig, SetWorkflowID
from sqlalchemy.engine import make_url

from flowctl_registry.builds.jobs import Claim, Jobs
from flowctl_registry.builds.performing import Performer
from flowctl_registry.builds.registration import Worker
from flowctl_registry.builds.runs import Run
from flowctl_registry.builds.workflow import Result, build
from flowctl_registry.database.patience import IDLE_S, KEEPALIVE
from flowctl_registry.settings import Settings

_LOG = logging.getLogger(__name__)
_VERSION = "builds-1"
"""Of the workflow's shape; another one strands builds that are in work, so it changes only with the order of steps."""
_POLL_S = 0.25
_OVER = ("SUCCESS", "ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
_FORGET_AT_ONCE = 500


class DbosJobs(Jobs):
    """The engine of one worker process; there is one a process, as DBOS wants it."""

    def __init__(
        self,
        settings: Settings,
        worker: Worker,
        performer: Performer,
        ended: Callable[[Run, Result], bool],
        released: Callable[[Run], None],
        broken: Callable[[Run], None],
    ) -> None:
        self._settings = settings
        self._worker = worker
        self._performer = performer
        self._ended = ended
        self._released = released
        self._broken = broken
        self._runs: dict[str, Run] = {}
        self._helping: dict[str, Run] = {}
        self._own = f"worker {worker.id}"
        self._labels = [f"{name}={value}" for name, value in sorted(worker.labels.items())]
        # Its threads are never ended: sandboxes die with the thread that started them.
        self._threads = ThreadPoolExecutor(max_workers=256, thread_name_prefix="step")
        self._build: Any = None
        self._platform: Any = None

    def launch(self) -> None:
        """Connect, make the engine's tables, begin to look for work."""
        url = _database(self._settings)
        config = DBOSConfig(
            name="flowctl-registry",
            system_database_url=url,
            dbos_system_schema="flowctl_jobs",
            executor_id=f"{self._worker.id}/{self._worker.incarnation}",
            application_version=_VERSION,
            use_listen_notify=False,
            sys_db_pool_size=5,
            sys_db_idle_transaction_timeout_sec=IDLE_S,
            db_engine_kwargs={} if url.startswith("sqlite") else {"connect_args": dict(KEEPALIVE)},
            notification_listener_polling_interval_sec=_POLL_S,
            console_log_level="WARNING",
            log_level="WARNING",
        )
        DBOS(config=config)  # one a process: it keeps itself
        self._register()
        DBOS.listen_queues([self._own, *self._labels])
        DBOS.launch()
        log = logging.getLogger("dbos")
        log.handlers[:] = []  # its records go where all others go
        log.propagate = True
        DBOS.register_queue(self._own, polling_interval_sec=_POLL_S, on_conflict="always_update")
        for label in self._labels:
            DBOS.register_queue(
                label,
                worker_concurrency=self._worker.slots,
                polling_interval_sec=_POLL_S,
                on_conflict="always_update",
            )

    def run(self, run: Run) -> None:
        """Run, or go on with, the workflow of a build; returns at once."""
        claim = run.claim
        self._runs[claim.build_id] = run
        name = f"{claim.build_id}.{claim.attempt}"
        status = DBOS.get_workflow_status(name) if claim.resumed else None
        if status is not None and status.status not in _OVER:
            DBOS.resume_workflow(name, queue_name=self._own)
            return
        if status is not None:  # the registry's database is older than the engine's: a backup was restored
            name += f".{claim.token[:8]}"
        with SetWorkflowID(name):
            DBOS.start_workflow(self._build, claim.build_id, claim.attempt)

    def adopt(self, living: set[str]) -> None:
        """Go on with platforms of our labels whose workers are none of `living`."""
        for label in self._labels:
            for status in DBOS.list_workflows(status="PENDING", queue_name=label, load_input=False, load_output=False):
                if (status.executor_id or "").partition("/")[0] not in living or self._is_of_the_past(
                    status.executor_id
                ):
                    _LOG.warning("%s is gone: %s is done anew", status.executor_id, status.workflow_id)
                    DBOS.resume_workflow(status.workflow_id, queue_name=label)

    def helping(self) -> list[Run]:
        """Platforms of other workers' builds that are done here."""
        return list(self._helping.values())

    def forget(self, days: int, gone: list[str]) -> None:
        """Remove the history of workflows that ended so long ago, and the queues of workers that are gone."""
        for worker in gone:
            DBOS.delete_queue(f"worker {worker}")
        before = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        ended = DBOS.list_workflows(
            status=[*_OVER, "CANCELLED"], end_time=before, limit=_FORGET_AT_ONCE, load_input=False, load_output=False
        )
        if ended:
            DBOS.delete_workflows([each.workflow_id for each in ended])

    def _is_of_the_past(self, executor: str | None) -> bool:
        id_, _, incarnation = (executor or "").partition("/")
        return id_ == self._worker.id and incarnation != self._worker.incarnation

    def _register(self) -> None:
        @DBOS.workflow(name="build")
        async def build_component(build_id: str, attempt: int) -> None:
            run = self._runs.get(build_id)
            if run is not None and run.claim.attempt == attempt:
                await self._whole(run)
            else:
                await _for_ever()  # resumed for a run that ended meanwhile: nobody waits for this one

        @DBOS.workflow(name="platform")
        async def build_platform(build_id: str, attempt: int, platform: str) -> Result:
            run = Run(Claim(build_id, attempt, uuid.uuid4().hex, resumed=False), owner=False)
            self._helping[run.claim.token] = run
            try:
                return await self._step(run, "build", platform)
            finally:
                self._helping.pop(run.claim.token, None)

        self._build, self._platform = build_component, build_platform

    async def _whole(self, run: Run) -> None:
        async def do(step: str, platform: str) -> Result:
            label = self._placement(platform)
            if label is None or label in self._labels:
                return await self._step(run, step, platform)
            return await self._elsewhere(run, platform, label)

        try:
            recorded = await self._finish(run, await build(do))
        except Exception:  # raised again
            # The engine's database failed, or this run was replaced there: what is recorded in ours counts.
            self._lose(run)
            raise
        if not recorded:
            _LOG.warning("the job engine remembers an end of build %s that was taken back", run.claim.build_id)
            self._lose(run)

    def _lose(self, run: Run) -> None:
        if self._runs.get(run.claim.build_id) is run:
            del self._runs[run.claim.build_id]
        _loop().run_in_executor(self._threads, self._broken, run)

    async def _step(self, run: Run, step: str, platform: str) -> Result:
        async def work() -> Result:
            done = await _loop().run_in_executor(self._threads, self._performer.perform, run, step, platform)
            if done is None and not run.owner and run.stop != "stopping":
                return {"cancelled": True}  # the build is over, or another worker does this: then nobody hears it
            return done if done is not None else await self._park(run)

        result: Result = await DBOS.run_step_async({"name": f"{step} {platform}".rstrip()}, work)
        return result

    async def _finish(self, run: Run, result: Result) -> bool:
        """False: a run before had recorded the end, and this build is nevertheless not over."""
        recorded = False

        async def work() -> Result:
            nonlocal recorded
            recorded = True
            mine = await _loop().run_in_executor(self._threads, self._ended, run, result)
            if self._runs.get(run.claim.build_id) is run:
                del self._runs[run.claim.build_id]
            return {} if mine else await self._park(run)

        await DBOS.run_step_async({"name": "end"}, work)
        return recorded

    async def _elsewhere(self, run: Run, platform: str, label: str) -> Result:
        """Let a worker with that label do it; it sees a cancellation by itself, once it has begun."""
        with SetWorkflowID(f"{run.claim.build_id}.{run.claim.attempt}.{platform}"):
            handle = await DBOS.enqueue_workflow_async(
                label, self._platform, run.claim.build_id, run.claim.attempt, platform
            )
        waiting = asyncio.ensure_future(handle.get_result(polling_interval_sec=_POLL_S))
        while not (await asyncio.wait([waiting], timeout=_POLL_S))[0]:
            if run.parked:
                await self._park(run)
            if run.stop == "cancelled":
                waiting.cancel()
                await DBOS.cancel_workflow_async(handle.get_workflow_id())
                return {"cancelled": True}
        result: Result = waiting.result()
        return result

    def _placement(self, platform: str) -> str | None:
        if not platform:
            return None
        placements = self._settings.builds.placements.items()
        return next((label for pattern, label in placements if fnmatchcase(platform, pattern)), None)

    async def _park(self, run: Run) -> NoReturn:
        """Not an answer and not a failure: nothing may be recorded, since another run goes on from here."""
        if self._runs.get(run.claim.build_id) is run:
            del self._runs[run.claim.build_id]
        self._released(run)
        await _for_ever()


def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


async def _for_ever() -> NoReturn:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def _database(settings: Settings) -> str:
    if settings.database_url is None:
        file = settings.data.absolute() / "jobs.db"
        with closing(sqlite3.connect(file, timeout=30)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # kept in the file; a third of the syncs of the default
        return f"sqlite:///{file}"
    url = make_url(settings.database)
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite":
        return url.set(database=f"{url.database}-jobs").render_as_string(hide_password=False)
    return url.render_as_string(hide_password=False)
