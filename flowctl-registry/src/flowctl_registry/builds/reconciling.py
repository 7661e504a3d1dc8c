"""Finds tags that no webhook told of: looks at the repositories of registered sources, from time to time.

Tags that are there when a source is looked at first are no news; after that each new or moved one is built, unless a
webhook was quicker.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from semantic_version import Version
from sqlalchemy import Connection, Row, delete, or_, select, update

from flowctl_core.errors import CancelledError, FlowctlError
from flowctl_registry.builds import git_url
from flowctl_registry.builds.git_url import GitUrl
from flowctl_registry.builds.github import Tag, build_tag
from flowctl_registry.database.build_tables import deliveries, sources
from flowctl_registry.database.engine import now, reading, writing
from flowctl_registry.services import Services
from flowctl_registry.settings import Settings

_LOG = logging.getLogger(__name__)
_RECENT_S = 60
_KEPT_DAYS = 30
ListTags = Callable[[GitUrl], dict[str, str]]
"""All tags of a repository with their commits. Raises SourceError, TransientError."""


def make_due(connection: Connection) -> None:
    """Look at all sources soon that were not looked at just now: who starts may have missed webhooks."""
    moment = now(connection)
    long_ago = moment - timedelta(seconds=_RECENT_S)
    stale = or_(sources.c.reconciled_at.is_(None), sources.c.reconciled_at < long_ago)
    connection.execute(update(sources).where(sources.c.active, stale, sources.c.due_at > moment).values(due_at=moment))


def reconcile_due(services: Services, list_tags: ListTags) -> bool:
    """Look at one repository that is due; False when none is. Raises UnavailableError, CancelledError."""
    with reading(services.engine) as connection:
        if connection.execute(_due(connection)).first() is None:
            return False
    repository = writing(services.engine, lambda connection: _lease(connection, services.settings))
    if repository is None:
        return True  # another worker was quicker
    problem, tags = None, {}
    try:
        tags = list_tags(git_url.parse(repository, services.settings.sources))
    except CancelledError:
        raise
    except FlowctlError as error:
        problem = error.message
        _LOG.warning("%s cannot be looked at: %s", repository, error.message)
    writing(services.engine, lambda connection: _looked(connection, services.settings, repository, tags, problem))
    return True


def sweep(connection: Connection) -> None:
    """Forget old deliveries: what comes again after that is known by its builds."""
    before = now(connection) - timedelta(days=_KEPT_DAYS)
    connection.execute(delete(deliveries).where(deliveries.c.received_at < before))


def _due(connection: Connection) -> Any:
    due = (sources.c.active, sources.c.due_at <= now(connection))
    return select(sources.c.id, sources.c.repository).where(*due).order_by(sources.c.due_at).limit(1)


def _lease(connection: Connection, settings: Settings) -> str | None:
    """The repository, which nobody else looks at now; one look is for all its sources."""
    row = connection.execute(_due(connection).with_for_update(skip_locked=True)).one_or_none()
    if row is None:
        return None
    next_time = now(connection) + timedelta(seconds=settings.sources.reconcile_s)
    of_repository = (sources.c.repository == row.repository, sources.c.active)
    connection.execute(update(sources).where(*of_repository).values(due_at=next_time))
    return str(row.repository)


def _looked(
    connection: Connection, settings: Settings, repository: str, tags: dict[str, str], problem: str | None
) -> None:
    of_repository = (sources.c.repository == repository, sources.c.active)
    for row in connection.execute(select(sources).where(*of_repository).order_by(sources.c.id)).all():
        values: dict[str, Any] = {"problem": problem}
        if problem is None:
            values |= {"tags": _built(connection, settings, row, tags), "reconciled_at": now(connection)}
        connection.execute(update(sources).where(sources.c.id == row.id).values(**values))


def _built(connection: Connection, settings: Settings, row: Row[Any], tags: dict[str, str]) -> dict[str, str]:
    """Builds what is new; the tags that need no further look."""
    named = {tag: named for tag in tags if (named := git_url.version_of(tag, row.tag_pattern)) is not None}
    seen: dict[str, str] = {}
    for tag in sorted(named, key=lambda each: (Version(named[each]), each)):
        commit = tags[tag]
        if row.tags is not None and row.tags.get(tag) != commit:
            built = build_tag(connection, settings, row, Tag(tag, commit), "reconciler")
            if built.later:
                continue
            if built.build_id is None:
                _LOG.info("%s/%s: tag %s is not built: %s", row.namespace, row.name, tag, built.reason)
        seen[tag] = commit
    return seen
