"""Lists of components and of versions, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, func, literal, select, tuple_

from flowctl_registry.catalog.cursors import read_cursor, write_cursor
from flowctl_registry.database.engine import reading
from flowctl_registry.database.tables import component_labels, components, namespaces, versions
from flowctl_registry.errors import NotFoundError
from flowctl_registry.models.component import (
    ComponentDocument,
    ComponentPage,
    ComponentSummary,
    ListQuery,
    PageQuery,
    VersionPage,
    VersionSummary,
)
from flowctl_registry.models.names import Kind
from flowctl_registry.models.version import Yanked
from flowctl_registry.services import Services

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


Names = Select[tuple[str]]
"""The namespaces that the caller may know of, a query on `namespaces`."""


def seen(visible: Names) -> ColumnElement[bool]:
    """That the namespace of a row of `components` is one of these."""
    # Neither a join nor IN: SQLite would begin with the namespaces, and sort all components for one page.
    return exists(visible.where(namespaces.c.name == components.c.namespace).correlate(components))


def list_components(services: Services, kind: Kind, query: ListQuery, visible: Names) -> ComponentPage:
    """Those that have a version which is not yanked. Raises NotFoundError for a cursor of another list."""
    scope = f"{kind}.{query.namespace}.{query.sort}"
    statement = select(
        components.c.id, components.c.namespace, components.c.name, components.c.updated_at, components.c.downloads
    )
    statement = statement.where(components.c.kind == kind, components.c.latest.is_not(None), seen(visible))
    if query.namespace is not None:
        statement = statement.where(components.c.namespace == query.namespace)
    shape: tuple[type, ...] = (str, str) if query.sort == "name" else (int, int)
    after = read_cursor(query.cursor, scope, shape) if query.cursor else None
    with reading(services.engine) as connection:
        rows = connection.execute(_sorted(statement, query.sort, after).limit(query.limit + 1)).all()
        items = summaries(connection, [row.id for row in rows[: query.limit]])
    cursor = None
    if len(rows) > query.limit:
        last = rows[query.limit - 1]
        keys: dict[str, list[str | int]] = {
            "name": [last.namespace, last.name],
            "updated": [(last.updated_at - _EPOCH) // timedelta(milliseconds=1), last.id],
            "downloads": [last.downloads, last.id],
        }
        cursor = write_cursor(scope, keys[query.sort])
    return ComponentPage(items=items, next=cursor)


def _sorted(statement: Select[Any], sort: str, after: list[Any] | None) -> Select[Any]:
    if sort == "name":
        key: tuple[Any, ...] = (components.c.namespace, components.c.name)
        statement = statement.order_by(*key)
        return statement if after is None else statement.where(tuple_(*key) > tuple_(*after))
    first = components.c.updated_at if sort == "updated" else components.c.downloads
    statement = statement.order_by(first.desc(), components.c.id.desc())
    if after is None:
        return statement
    value = _EPOCH + timedelta(milliseconds=max(0, min(after[0], 10**14))) if sort == "updated" else after[0]
    return statement.where(tuple_(first, components.c.id) < tuple_(literal(value, first.type), after[1]))


def summaries(connection: Connection, ids: Sequence[int]) -> tuple[ComponentSummary, ...]:
    """In the order of `ids`."""
    if not ids:
        return ()
    rows = connection.execute(select(components).where(components.c.id.in_(ids))).all()
    labels = connection.execute(
        select(component_labels).where(component_labels.c.component_id.in_(ids)).order_by(component_labels.c.value)
    ).all()
    of: dict[tuple[int, str], list[str]] = {}
    for label in labels:
        of.setdefault((label.component_id, label.kind), []).append(label.value)
    made = {row.id: ComponentSummary.model_validate(_summary(row, of)) for row in rows}
    return tuple(made[component_id] for component_id in ids if component_id in made)


def _summary(row: Any, labels: dict[tuple[int, str], list[str]]) -> dict[str, Any]:
    return {
        **row._mapping,
        "tags": labels.get((row.id, "tag"), ()),
        "input_event_types": labels.get((row.id, "input"), ()),
        "output_event_types": labels.get((row.id, "output"), ()),
    }


def find_component(connection: Connection, kind: Kind, namespace: str, name: str) -> Any:
    """Its row. Raises NotFoundError."""
    row = connection.execute(
        select(components).where(
            components.c.kind == kind, components.c.namespace == namespace, components.c.name == name
        )
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no {kind} {namespace}/{name}")
    return row


def component_document(services: Services, kind: Kind, namespace: str, name: str) -> ComponentDocument:
    """A component that has a published version, yanked or not. Raises NotFoundError."""
    with reading(services.engine) as connection:
        row = find_component(connection, kind, namespace, name)
        count = connection.execute(
            select(func.count()).where(versions.c.component_id == row.id, versions.c.state == "published")
        ).scalar_one()
        if count == 0:
            raise NotFoundError(f"there is no {kind} {namespace}/{name}")
        (summary,) = summaries(connection, [row.id])
    return ComponentDocument(
        **summary.model_dump(),
        homepage=row.homepage,
        repository=row.repository,
        license=row.license,
        created_at=row.created_at,
        versions=count,
    )


def list_versions(services: Services, kind: Kind, namespace: str, name: str, query: PageQuery) -> VersionPage:
    """The published ones, yanked ones too. Raises NotFoundError."""
    scope = f"{kind}.{namespace}/{name}"
    after = read_cursor(query.cursor, scope, (str,)) if query.cursor else None
    with reading(services.engine) as connection:
        component = find_component(connection, kind, namespace, name)
        statement = select(versions).where(versions.c.component_id == component.id, versions.c.state == "published")
        if after is not None:
            statement = statement.where(versions.c.precedence < after[0])
        rows = connection.execute(statement.order_by(versions.c.precedence.desc()).limit(query.limit + 1)).all()
    if not rows and after is None:
        raise NotFoundError(f"there is no {kind} {namespace}/{name}")
    items = tuple(
        VersionSummary.model_validate(
            {
                **row._mapping,
                "yanked": Yanked(at=row.yanked_at, reason=row.yank_reason or "") if row.yanked_at else None,
            }
        )
        for row in rows[: query.limit]
    )
    more = len(rows) > query.limit
    return VersionPage(items=items, next=write_cursor(scope, [rows[query.limit - 1].precedence]) if more else None)
