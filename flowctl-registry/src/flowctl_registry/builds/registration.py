"""Workers and whether they live: heartbeats, and builds of dead workers back into the queue.

Whether a heartbeat stands still is judged by the watch of whoever looks, not by comparing clocks: so a clock that is
set forward kills nobody.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, or_, select, update

from flowctl_registry.builds.records import Doing, announce_failed, close_steps
from flowctl_registry.database.build_tables import build_steps, builds, workers
from flowctl_registry.database.engine import now, reading, writing
from flowctl_registry.models.build import BuildProblem

_LOG = logging.getLogger(__name__)
_LOOK_S = 1.5
"""A longer time between two looks counts as this: then it is we who were slow."""
TAKEOVERS = 5
"""A build that so many workers were lost on is what kills them: it fails."""


@dataclass(frozen=True)
class Worker:
    """This process as a worker."""

    id: str
    incarnation: str
    labels: Mapping[str, str]
    slots: int


def is_taken(engine: Engine, worker: Worker) -> datetime | None:
    """The heartbeat of another process that has this id and was not stopped; None when there is none."""
    query = select(workers.c.heartbeat_at).where(
        workers.c.id == worker.id, workers.c.incarnation != worker.incarnation, workers.c.stopped_at.is_(None)
    )
    with reading(engine) as connection:
        return connection.execute(query).scalar_one_or_none()


def register(engine: Engine, worker: Worker) -> None:
    """Begin as a worker: whatever a process of this id did before is given back to the queue."""

    def change(connection: Connection) -> None:
        moment = now(connection)
        values = {
            "labels": dict(worker.labels),
            "slots": worker.slots,
            "version": version("flowctl-registry"),
            "incarnation": worker.incarnation,
            "started_at": moment,
            "heartbeat_at": moment,
            "stopped_at": None,
        }
        if connection.execute(update(workers).where(workers.c.id == worker.id).values(**values)).rowcount == 0:
            connection.execute(insert(workers).values(id=worker.id, **values))
        give_back(connection, builds.c.worker == worker.id)

    writing(engine, change)


def beat(engine: Engine, worker: Worker) -> bool:
    """Show that this worker lives; False when others took it for dead."""

    def change(connection: Connection) -> bool:
        mine = (workers.c.id == worker.id, workers.c.incarnation == worker.incarnation)
        alive = update(workers).where(*mine, workers.c.stopped_at.is_(None)).values(heartbeat_at=now(connection))
        return connection.execute(alive).rowcount == 1

    return writing(engine, change)


def leave(engine: Engine, worker: Worker) -> None:
    """End as a worker; builds that it still has go back into the queue."""

    def change(connection: Connection) -> None:
        mine = (workers.c.id == worker.id, workers.c.incarnation == worker.incarnation)
        if connection.execute(update(workers).where(*mine).values(stopped_at=now(connection))).rowcount:
            give_back(connection, builds.c.worker == worker.id, lost=False)

    writing(engine, change)


def give_back(connection: Connection, *which: Any, lost: bool = True) -> list[str]:
    """Put running builds back into the queue, or end those that were to be cancelled; their ids."""
    moment = now(connection)
    query = select(builds.c.id, builds.c.takeovers, builds.c.cancelled_by, builds.c.worker)
    rows = connection.execute(query.where(builds.c.state == "running", *which)).all()
    for row in rows:
        values: dict[str, Any] = {"state": "queued", "claim": None, "takeovers": row.takeovers + int(lost)}
        if row.cancelled_by is not None:
            values |= {"state": "cancelled", "finished_at": moment, "phase": None}
        elif row.takeovers + int(lost) >= TAKEOVERS:
            problem = BuildProblem(
                code="worker-lost",
                message=f"{TAKEOVERS} workers in turn ended while they did this build",
                hint="The operator finds the reason in the workers' logs, often memory; then try again.",
            )
            told = problem.model_dump(mode="json", exclude_defaults=True)
            values |= {"state": "failed", "finished_at": moment, "phase": None, "problem": told}
        connection.execute(update(builds).where(builds.c.id == row.id).values(values))
        if values["state"] == "queued":
            close_steps(connection, row.id, "failed", row.worker)
        else:
            close_steps(connection, row.id, values["state"])
        if values["state"] == "failed":
            announce_failed(connection, row.id)
        if lost:
            _LOG.warning("worker %s is gone: build %s is %s", row.worker, row.id, values["state"])
    return [row.id for row in rows]


def postpone(connection: Connection, doing: Doing) -> None:
    """Put a build back into the queue, where it waits for others (`build_waits`); its step has not begun then."""
    give_back(connection, builds.c.id == doing.build_id, builds.c.claim == doing.token, lost=False)
    connection.execute(
        delete(build_steps).where(
            build_steps.c.build_id == doing.build_id,
            build_steps.c.step == doing.step,
            build_steps.c.claim == doing.token,
        )
    )


def forget(engine: Engine, days: int) -> list[str]:
    """Remove workers that were stopped so long ago; their ids."""

    def change(connection: Connection) -> list[str]:
        before = now(connection) - timedelta(days=days)
        return list(
            connection.execute(delete(workers).where(workers.c.stopped_at < before).returning(workers.c.id)).scalars()
        )

    return writing(engine, change)


class Watch:
    """Finds workers whose heartbeat stands still.

    Only time in which this process itself looked counts: after a pause of ours, or of the whole machine, the others get
    their time anew.
    """

    def __init__(self, engine: Engine, me: Worker, dead_after_s: float) -> None:
        self._engine = engine
        self._me = me
        self._dead_after_s = dead_after_s
        self._still: dict[str, tuple[datetime, float]] = {}
        self._looked = time.monotonic()

    def forget(self) -> None:
        """Begin to look anew: the database was away, for all."""
        self._still.clear()

    def look(self) -> list[str]:
        """Give the builds of dead workers back; the ids of those that were found dead now."""
        at = time.monotonic()
        passed_s = min(at - self._looked, _LOOK_S)
        self._looked = at
        with reading(self._engine) as connection:
            query = select(workers.c.id, workers.c.heartbeat_at).where(workers.c.stopped_at.is_(None))
            rows = connection.execute(query).all()
            orphans = connection.execute(select(builds.c.id).where(*_orphaned()).limit(1)).first() is not None
        before, self._still = self._still, {}
        dead = []
        for row in rows:
            heartbeat, still_s = before.get(row.id, (None, 0.0))
            still_s = still_s + passed_s if row.heartbeat_at == heartbeat else 0.0
            self._still[row.id] = (row.heartbeat_at, still_s)
            if still_s >= self._dead_after_s and row.id != self._me.id:
                dead.append((row.id, row.heartbeat_at))
        if not dead and not orphans:
            return []
        return writing(self._engine, lambda connection: self._bury(connection, dead))

    def _bury(self, connection: Connection, dead: list[tuple[str, datetime]]) -> list[str]:
        buried = []
        for id_, heartbeat in dead:
            same = (workers.c.id == id_, workers.c.heartbeat_at == heartbeat, workers.c.stopped_at.is_(None))
            if connection.execute(update(workers).where(*same).values(stopped_at=now(connection))).rowcount:
                _LOG.warning("worker %s has not shown itself for %.0f s", id_, self._dead_after_s)
                buried.append(id_)
        give_back(connection, *_orphaned())
        return buried


def _orphaned() -> tuple[Any, ...]:
    alive = select(workers.c.id).where(workers.c.stopped_at.is_(None))
    return (builds.c.state == "running", or_(builds.c.worker.is_(None), builds.c.worker.not_in(alive)))
