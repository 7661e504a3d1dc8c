"""Builds as people see them: how far each is, what was done when, and how long it may take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, literal, select, tuple_

from flowctl_registry.access.places import Place
from flowctl_registry.builds import queue
from flowctl_registry.catalog.cursors import read_cursor, write_cursor
from flowctl_registry.catalog.listing import Names
from flowctl_registry.database.build_tables import build_steps, builds
from flowctl_registry.errors import NotFoundError
from flowctl_registry.models.build import BuildDocument, BuildPage, BuildProblem, BuildQuery, BuildStep

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ORDER = ("clone", "decide", "fetch", "test", "build", "assemble", "publish")


def _find_place(connection: Connection, build_id: str) -> tuple[str, str] | None:
    row = connection.execute(select(builds.c.namespace, builds.c.name).where(builds.c.id == build_id)).one_or_none()
    return None if row is None else (row.namespace, row.name)


BUILD = Place("build", _find_place)
"""Where a build belongs."""


def document(connection: Connection, build_id: str) -> BuildDocument:
    """A build with its timeline and what can be foretold. Raises NotFoundError."""
    row = connection.execute(select(builds).where(builds.c.id == build_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no build {build_id}")
    rows = connection.execute(select(build_steps).where(build_steps.c.build_id == build_id)).all()
    ordered = sorted(rows, key=lambda each: (_ORDER.index(each.step), each.platform))
    goes_on = row.state in ("queued", "running")
    foreseen = queue.outlook(connection).get(build_id) if goes_on else None
    return _document(row, foreseen, tuple(_step(each) for each in ordered))


def page(connection: Connection, query: BuildQuery, visible: Names | None) -> BuildPage:
    """Builds, the newest first; only those of `visible` namespaces. Raises NotFoundError for another list's cursor."""
    scope = f"builds.{query.namespace}.{query.name}.{query.state}"
    statement = select(builds)
    if visible is not None:
        statement = statement.where(builds.c.namespace.in_(visible))
    for column in (builds.c.namespace, builds.c.name, builds.c.state):
        value = getattr(query, column.name)
        if value is not None:
            statement = statement.where(column == value)
    if query.cursor is not None:
        moment, last_id = read_cursor(query.cursor, scope, (int, str))
        at = _EPOCH + timedelta(milliseconds=max(0, min(moment, 10**14)))
        key = tuple_(builds.c.created_at, builds.c.id)
        statement = statement.where(key < tuple_(literal(at, builds.c.created_at.type), last_id))
    statement = statement.order_by(builds.c.created_at.desc(), builds.c.id.desc())
    rows = connection.execute(statement.limit(query.limit + 1)).all()
    shown = rows[: query.limit]
    goes_on = any(row.state in ("queued", "running") for row in shown)
    foreseen = queue.outlook(connection) if goes_on else {}
    cursor = None
    if len(rows) > query.limit:
        last = shown[-1]
        cursor = write_cursor(scope, [(last.created_at - _EPOCH) // timedelta(milliseconds=1), last.id])
    return BuildPage(items=tuple(_document(row, foreseen.get(row.id), ()) for row in shown), next=cursor)


def _document(row: Any, foreseen: queue.Outlook | None, steps: tuple[BuildStep, ...]) -> BuildDocument:
    values = {name: value for name, value in row._mapping.items() if name in BuildDocument.model_fields}
    values["problem"] = _problem(row.problem)
    if foreseen is not None:
        values |= {"position": foreseen.position, "estimate_s": round(foreseen.estimate_s, 1)}
    return BuildDocument(**values, steps=steps)


def _step(row: Any) -> BuildStep:
    refused = (row.answer or {}).get("refused") if row.state == "refused" else None
    told = BuildProblem(code="refused", message=str(refused)) if refused else _problem(row.problem)
    return BuildStep(
        step=row.step,
        platform=row.platform or None,
        state=row.state,
        attempt=row.attempt,
        worker=row.worker,
        started_at=row.started_at,
        ended_at=row.ended_at,
        problem=told,
    )


def _problem(stored: dict[str, Any] | None) -> BuildProblem | None:
    return BuildProblem.model_validate(stored) if stored else None
