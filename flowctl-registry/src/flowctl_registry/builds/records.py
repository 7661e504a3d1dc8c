"""What workers write about builds: each change only for the run that still has the build.

queued ─► running ─► succeeded | failed | cancelled
   ▲         │
   └─────────┘ its worker was lost
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from flowctl_registry.blobs import claims
from flowctl_registry.builds.jobs import Answer
from flowctl_registry.catalog.announcing import announce
from flowctl_registry.database.build_tables import build_steps, builds
from flowctl_registry.database.engine import now
from flowctl_registry.database.upsert import insertion_into
from flowctl_registry.models.build import BuildProblem, BuildState, StepState


class FencedError(Exception):
    """The build belongs to another run now, or has ended: this one must not do anything more."""


@dataclass(frozen=True)
class Doing:
    """A step of a build, and the run that does it."""

    build_id: str
    step: str
    platform: str
    worker: str
    token: str
    """Of the run that writes."""
    owner: bool = True
    """False: another worker has the build, this one does a step of it."""


def begin_step(connection: Connection, doing: Doing) -> tuple[int, Answer | None]:
    """The number of this try, or what an earlier one answered: then it is not done again. Raises FencedError."""
    _hold(connection, doing, phase=doing.step)
    known = connection.execute(
        select(build_steps.c.state, build_steps.c.attempt, build_steps.c.answer).where(*_row(doing))
    ).one_or_none()
    if known is not None and known.state in ("succeeded", "refused"):
        return known.attempt, known.answer
    attempt = 1 if known is None else known.attempt + 1
    values: dict[str, Any] = {
        "state": "running",
        "attempt": attempt,
        "worker": doing.worker,
        "claim": doing.token,
        "started_at": now(connection),
        "ended_at": None,
        "answer": None,
        "problem": None,
    }
    key = {"build_id": doing.build_id, "step": doing.step, "platform": doing.platform}
    insertion = insertion_into(connection, build_steps).values(**key, **values)
    connection.execute(insertion.on_conflict_do_update(index_elements=list(key), set_=values))
    return attempt, None


def end_step(
    connection: Connection,
    doing: Doing,
    state: StepState,
    answer: Answer | None = None,
    problem: BuildProblem | None = None,
) -> None:
    """Record how a try ended, and what it found out about the build. Raises FencedError."""
    _hold(connection, doing, **_learned(doing.step, answer or {}))
    told = problem.model_dump(mode="json", exclude_defaults=True) if problem is not None else None
    ended = connection.execute(
        update(build_steps)
        .where(*_row(doing), build_steps.c.claim == doing.token, build_steps.c.state == "running")
        .values(state=state, answer=answer, problem=told, ended_at=now(connection))
    )
    if ended.rowcount == 0:
        raise FencedError(doing.build_id)


def completed(connection: Connection, build_id: str) -> dict[str, Any]:
    """What the steps so far answered, by step; `build` by platform."""
    found: dict[str, Any] = {}
    query = select(build_steps.c.step, build_steps.c.platform, build_steps.c.answer).where(
        build_steps.c.build_id == build_id, build_steps.c.state.in_(("succeeded", "refused"))
    )
    for row in connection.execute(query):
        if row.platform:
            found.setdefault(row.step, {})[row.platform] = row.answer
        else:
            found[row.step] = row.answer
    return found


def end(connection: Connection, build_id: str, token: str, state: BuildState, problem: BuildProblem | None) -> None:
    """Record how a build ended. Raises FencedError."""
    moment = now(connection)
    told = problem.model_dump(mode="json", exclude_defaults=True) if problem is not None else None
    ended = connection.execute(
        update(builds)
        .where(builds.c.id == build_id, builds.c.claim == token, builds.c.state == "running")
        .values(state=state, problem=told, finished_at=moment, phase=None, claim=None)
    )
    if ended.rowcount == 0:
        raise FencedError(build_id)
    close_steps(connection, build_id, "cancelled")
    if state == "failed":
        announce_failed(connection, build_id)
    if state != "failed":  # what a failed one has made is kept until its claims expire: it may be tried again
        claims.release(connection, build_id)


def announce_failed(connection: Connection, build_id: str) -> None:
    """Tell the namespace's webhooks; in the transaction that ended the build."""
    shown = ("kind", "namespace", "name", "version", "repository", "ref", "commit", "trigger", "attempt", "problem")
    row = connection.execute(select(*(builds.c[name] for name in shown)).where(builds.c.id == build_id)).one()
    announce(connection, row.namespace, "build.failed", {"build": build_id, **row._mapping})


def close_steps(connection: Connection, build_id: str, state: StepState, worker: str | None = None) -> None:
    """Steps that nobody does any more; with a worker, only its own."""
    which = [build_steps.c.build_id == build_id, build_steps.c.state == "running"]
    if worker is not None:
        which.append(build_steps.c.worker == worker)
    connection.execute(update(build_steps).where(*which).values(state=state, ended_at=now(connection)))


def _hold(connection: Connection, doing: Doing, **values: Any) -> None:
    """Lock the build's row. Raises FencedError when it is not ours."""
    if doing.owner:
        mine = [builds.c.state == "running", builds.c.claim == doing.token]
    else:  # while the build's own worker is lost it waits for another one: its steps elsewhere go on
        mine = [builds.c.state.in_(("running", "queued"))]
    change = update(builds).where(builds.c.id == doing.build_id, *mine)
    if connection.execute(change.values(values or {"state": builds.c.state})).rowcount == 0:
        raise FencedError(doing.build_id)


def _learned(step: str, answer: Answer) -> dict[str, Any]:
    names = {"clone": ("commit",), "decide": ("version",), "publish": ("version_id", "version")}
    return {name: answer[name] for name in names.get(step, ()) if answer.get(name) is not None}


def _row(doing: Doing) -> list[Any]:
    return [
        build_steps.c.build_id == doing.build_id,
        build_steps.c.step == doing.step,
        build_steps.c.platform == doing.platform,
    ]
