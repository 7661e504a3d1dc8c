"""Cancelling builds, and trying them again."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from flowctl_registry.database.build_tables import builds
from flowctl_registry.database.engine import now
from flowctl_registry.errors import ConflictError, NotFoundError


def cancel(connection: Connection, build_id: str, actor: str) -> None:
    """End a build: one that waits at once, one that runs within 2 s, by its worker. Again changes nothing.

    One transaction of `writing`. Raises NotFoundError, ConflictError for a build that has ended otherwise.
    """
    waiting = (
        update(builds)
        .where(builds.c.id == build_id, builds.c.state == "queued")
        .values(state="cancelled", cancelled_by=actor, finished_at=now(connection), phase=None)
    )
    running = (
        update(builds)
        .where(builds.c.id == build_id, builds.c.state == "running", builds.c.cancelled_by.is_(None))
        .values(cancelled_by=actor)
    )
    if connection.execute(waiting).rowcount or connection.execute(running).rowcount:
        return
    state = _state(connection, build_id)
    if state not in ("running", "cancelled"):
        raise ConflictError(f"build {build_id} has ended: it {state}", hint="There is nothing to cancel.")


def retry(connection: Connection, build_id: str) -> int:
    """Queue a build again that failed or was cancelled; steps that it completed are kept. Returns the attempt.

    One transaction of `writing`. Raises NotFoundError, ConflictError for a build that is not over or succeeded.
    """
    attempt = connection.execute(
        update(builds)
        .where(builds.c.id == build_id, builds.c.state.in_(("failed", "cancelled")))
        .values(
            state="queued",
            attempt=builds.c.attempt + 1,
            takeovers=0,
            problem=None,
            cancelled_by=None,
            started_at=None,
            finished_at=None,
        )
        .returning(builds.c.attempt)
    ).scalar_one_or_none()
    if attempt is None:
        state = _state(connection, build_id)
        hint = "A version means one thing for ever." if state == "succeeded" else "Wait until it has ended."
        raise ConflictError(f"build {build_id} cannot be tried again: it is {state}", hint=hint)
    return int(attempt)


def _state(connection: Connection, build_id: str) -> str:
    state = connection.execute(select(builds.c.state).where(builds.c.id == build_id)).scalar_one_or_none()
    if state is None:
        raise NotFoundError(f"there is no build {build_id}", hint="Its id is in the answer to the request.")
    return str(state)
