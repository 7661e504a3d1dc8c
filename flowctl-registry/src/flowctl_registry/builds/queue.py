"""The queue: rows of `builds` in state `queued`, and the one order in which all workers take them.

A request is queued when its row is committed; nothing else is needed. Builds that lost their worker come first, then
by priority; within a priority the namespace with the fewest builds in work is next, then the oldest request. A
namespace that has as many in work as it may waits until one ends.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, exists, func, literal, or_, select, update

from flowctl_registry.builds.jobs import Claim
from flowctl_registry.database.build_tables import build_waits, builds, workers
from flowctl_registry.database.engine import now
from flowctl_registry.database.types import Moment
from flowctl_registry.errors import TooManyRequestsError
from flowctl_registry.settings import Builds

PRIORITIES = {"publish": 10, "webhook": 10, "manual": 20, "rebuild": 30, "recall": 30}
"""Of a build, by what asked for it; lower is sooner."""
_LOCK = 7013528
_LOOK_AT = 2_000
_SAMPLES = 20
_UNKNOWN_S = 60.0
_FULL_RETRY_S = 60.0


@dataclass(frozen=True)
class Waiting:
    """A build that waits, or was lost by its worker and waits for another."""

    id: str
    namespace: str
    priority: int
    created_at: datetime
    begun: bool
    """True: a worker had begun it."""


@dataclass(frozen=True)
class Outlook:
    """What can be said of a build that has not ended."""

    position: int | None
    """1 is next; None when it runs."""
    estimate_s: float
    """Until it probably starts (waiting) or ends (running)."""


def in_order(waiting: Iterable[Waiting], running: Counter[str], limit: int = 0) -> list[Waiting]:
    """The order in which builds are taken, while those `running` (by namespace) go on. `limit` 0 is none.

    With a limit, those that must wait for another build of their namespace are left out.
    """
    active = Counter(running)
    left = sorted(waiting, key=lambda each: (not each.begun, each.priority, each.created_at, each.id))
    ordered: list[Waiting] = []
    while left:
        first = (not left[0].begun, left[0].priority)
        band = [each for each in left if (not each.begun, each.priority) == first]
        left = left[len(band) :]
        while band:
            usable = [each for each in band if not limit or active[each.namespace] < limit]
            if not usable:
                break
            chosen = min(usable, key=lambda each: active[each.namespace])  # the oldest of the least served
            band.remove(chosen)
            active[chosen.namespace] += 1
            ordered.append(chosen)
    return ordered


def is_waiting(connection: Connection) -> bool:
    """Is there anything to take?"""
    return connection.execute(select(builds.c.id).where(*_ready()).limit(1)).first() is not None


def take(connection: Connection, worker: str, limit: int) -> Claim | None:
    """Take the next build for a worker; None when there is nothing to do. One transaction of `writing`."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    ordered = in_order(_waiting(connection), _running(connection), limit)
    if not ordered:
        return None
    moment = now(connection)
    token = uuid.uuid4().hex
    taken = connection.execute(
        update(builds)
        .where(builds.c.id == ordered[0].id, builds.c.state == "queued")
        .values(
            state="running",
            worker=worker,
            claim=token,
            phase=None,
            started_at=func.coalesce(builds.c.started_at, literal(moment, Moment())),
        )
        .returning(builds.c.attempt)
    ).one_or_none()
    if taken is None:
        return None
    return Claim(ordered[0].id, taken.attempt, token, ordered[0].begun)


def check_room(connection: Connection, settings: Builds, namespace: str) -> None:
    """Raises TooManyRequestsError when a namespace has too many builds that wait."""
    limit = settings.queued_per_namespace
    query = select(func.count()).where(builds.c.state == "queued", builds.c.namespace == namespace)
    if limit and connection.execute(query).scalar_one() >= limit:
        raise TooManyRequestsError(
            f"{limit} builds of {namespace} wait already",
            retry_after_s=_FULL_RETRY_S,
            hint="Wait until some of them have ended, or cancel them.",
        )


def outlook(connection: Connection) -> dict[str, Outlook]:
    """Of all builds that have not ended, by id."""
    moment = now(connection)
    working = connection.execute(select(workers.c.slots, workers.c.labels).where(workers.c.stopped_at.is_(None)))
    slots = sum(row.slots for row in working if not row.labels)
    found: dict[str, Outlook] = {}
    usual = _Durations(connection)
    ends: list[float] = []
    query = select(builds.c.id, builds.c.kind, builds.c.namespace, builds.c.name, builds.c.started_at)
    running = Counter[str]()
    for row in connection.execute(query.where(builds.c.state == "running")):
        left = max(1.0, usual.of(row) - (moment - (row.started_at or moment)).total_seconds())
        found[row.id] = Outlook(None, left)
        ends.append(left)
        running[row.namespace] += 1
    rows = {row.id: row for row in connection.execute(query.where(builds.c.state == "queued").limit(_LOOK_AT))}
    free = [0.0] * max(0, slots - len(ends)) + sorted(ends)
    free = sorted(free)[: max(1, slots)] or [_UNKNOWN_S]
    for position, each in enumerate(in_order(_waiting(connection), running), 1):
        start = min(free)
        free[free.index(start)] = start + usual.of(rows[each.id])
        found[each.id] = Outlook(position, start)
    return found


class _Durations:
    """What builds took: of the same component, else of all."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[str, ...], float] = {}

    def of(self, row: Any) -> float:
        key = (row.kind, row.namespace, row.name)
        if key not in self._known:
            columns = (builds.c.kind, builds.c.namespace, builds.c.name)
            same = [column == value for column, value in zip(columns, key, strict=True)]
            self._known[key] = self._mean(same) or self._all()
        return self._known[key]

    def _all(self) -> float:
        if () not in self._known:
            self._known[()] = self._mean([]) or _UNKNOWN_S
        return self._known[()]

    def _mean(self, conditions: Sequence[Any]) -> float | None:
        query = select(builds.c.started_at, builds.c.finished_at).where(
            builds.c.state == "succeeded", builds.c.started_at.is_not(None), *conditions
        )
        took = [
            max(0.0, (row.finished_at - row.started_at).total_seconds())
            for row in self._connection.execute(query.order_by(builds.c.finished_at.desc()).limit(_SAMPLES))
        ]
        return sum(took) / len(took) if took else None


def _waiting(connection: Connection) -> list[Waiting]:
    query = select(builds.c.id, builds.c.namespace, builds.c.priority, builds.c.created_at, builds.c.started_at)
    query = query.where(*_ready()).order_by(builds.c.priority, builds.c.created_at).limit(_LOOK_AT)
    return [
        Waiting(row.id, row.namespace, row.priority, row.created_at, row.started_at is not None)
        for row in connection.execute(query)
    ]


def _ready() -> tuple[Any, ...]:
    """Those that wait for nothing but a worker: a bundle waits for the builds of its members."""
    member = builds.alias("member")
    of_member = (build_waits.c.build_id == builds.c.id, member.c.id == build_waits.c.waits_for)
    goes_on = exists().where(*of_member, member.c.state.in_(("queued", "running")))
    return (builds.c.state == "queued", or_(builds.c.kind != "bundle", ~goes_on))


def _running(connection: Connection) -> Counter[str]:
    query = select(builds.c.namespace, func.count().label("number")).where(builds.c.state == "running")
    query = query.group_by(builds.c.namespace)
    return Counter({row.namespace: row.number for row in connection.execute(query)})
