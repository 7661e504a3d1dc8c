"""Garbage collection, safe beside uploads and other API processes; several at once do no harm.

    sweep (uploads, pending versions, prereleases) ─► mark what nothing needs ─► after the grace period: take, remove
    the object, remove the row

What is marked or taken is decided in transactions that `exclude` claims and references (blobs/claims.py). A gc that
is killed leaves rows that the next one, or an upload of the same bytes, goes on with.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, insert, or_, select, update

from flowctl_registry.blobs.claims import DELETION_S, exclude, guard
from flowctl_registry.blobs.durable import staged
from flowctl_registry.blobs.store import StoredObject
from flowctl_registry.catalog.removal import forget, forgotten, given_up, remove
from flowctl_registry.database.build_tables import build_logs, builds
from flowctl_registry.database.engine import now, reading, writing
from flowctl_registry.database.tables import blobs, claims, spent_tokens, uploads
from flowctl_registry.errors import NotFoundError, RegistryError
from flowctl_registry.maintenance.references import unneeded
from flowctl_registry.models.maintenance import GcReport
from flowctl_registry.services import Services

_LOG = logging.getLogger(__name__)
_BATCH = 100
_REMOVED = "an old prerelease: the registry's retention rules removed it"


def collect(services: Services, grace_s: float, *, dry_run: bool = False) -> GcReport:
    """Remove what is not needed. Raises UnavailableError; what was done by then stays done."""
    ttl_s = services.settings.limits.upload_ttl_s
    with reading(services.engine) as connection:
        expired = select(uploads.c.id).where(uploads.c.expires_at <= now(connection))
        old_uploads = connection.execute(expired).scalars().all()
        pending = forgotten(connection, ttl_s)
        prereleases = given_up(connection, services.settings.retention)
    if dry_run:
        with reading(services.engine) as connection:
            marked = len(connection.execute(select(blobs.c.digest).where(_garbage(connection))).all())
            ready = connection.execute(select(blobs.c.size).where(_ready(connection, grace_s))).scalars().all()
        return _report(
            True,
            len(old_uploads),
            len(pending),
            len(prereleases),
            marked,
            len(ready),
            sum(ready),
            0,
            len(_old_logs(services)),
        )
    writing(services.engine, _expire)
    logs = _forget_logs(services)
    swept = _each(services, pending, forget)
    given = _each(services, prereleases, lambda connection, version: remove(connection, version, _REMOVED))
    _adopt(services, ttl_s)
    marked = _mark(services)
    removed, size, failed = _remove(services, grace_s)
    if services.blobs.root is not None:
        for path in staged(services.blobs.root, max(ttl_s, 3600)):
            path.unlink(missing_ok=True)
    return _report(False, len(old_uploads), swept, given, marked, removed, size, failed, logs)


def _report(dry_run: bool, *counts: int) -> GcReport:
    names = ("uploads", "pending", "prereleases", "marked", "removed", "removed_bytes", "failed", "build_logs")
    return GcReport(dry_run=dry_run, **dict(zip(names, counts, strict=True)))


def _expire(connection: Connection) -> None:
    guard(connection)
    moment = now(connection)
    for table in (uploads, claims, spent_tokens):
        connection.execute(delete(table).where(table.c.expires_at <= moment))


def _old_logs(services: Services) -> list[str]:
    """Builds whose logs retention gives up."""
    days = services.settings.retention.build_log_days
    if not days:
        return []
    with reading(services.engine) as connection:
        old = builds.c.finished_at < now(connection) - timedelta(days=days)
        has_log = exists().where(build_logs.c.build_id == builds.c.id)
        over = builds.c.state.in_(("succeeded", "failed", "cancelled"))
        return list(connection.execute(select(builds.c.id).where(old, over, has_log)).scalars())


def _forget_logs(services: Services) -> int:
    found = _old_logs(services)
    for start in range(0, len(found), _BATCH):
        gone = delete(build_logs).where(build_logs.c.build_id.in_(found[start : start + _BATCH]))
        writing(services.engine, lambda connection, gone=gone: connection.execute(gone))  # type: ignore[misc]
    return len(found)


def _each(services: Services, versions: list[int], change: Callable[[Connection, int], bool]) -> int:
    done = 0
    for version in versions:

        def guarded(connection: Connection, version: int = version) -> bool:
            guard(connection)
            return change(connection, version)

        try:
            done += writing(services.engine, guarded)
        except NotFoundError:  # another gc was first
            continue
    return done


def _adopt(services: Services, older_than_s: float) -> None:
    """Mark objects that no row knows: a process was killed between writing one and recording it."""
    with reading(services.engine) as connection:
        limit = now(connection) - timedelta(seconds=older_than_s)
    for page in _pages(found for found in services.blobs.listed() if found.modified < limit):
        with reading(services.engine) as connection:
            digests = [each.digest for each in page]
            known = set(connection.execute(select(blobs.c.digest).where(blobs.c.digest.in_(digests))).scalars())
        strange = [each for each in page if each.digest not in known]
        if strange:
            writing(services.engine, partial(_adopt_page, strange))


def _adopt_page(strange: list[StoredObject], connection: Connection) -> None:
    exclude(connection)
    moment = now(connection)
    for each in strange:
        there = select(
            exists().where(blobs.c.digest == each.digest)
            | exists().where(claims.c.digest == each.digest, claims.c.expires_at > moment)
        )
        if not connection.execute(there).scalar_one():
            connection.execute(
                insert(blobs).values(digest=each.digest, size=each.size, stored_at=moment, doomed_at=moment)
            )


def _pages(found: Iterator[StoredObject]) -> Iterator[list[StoredObject]]:
    page: list[StoredObject] = []
    for each in found:
        page.append(each)
        if len(page) == 500:
            yield page
            page = []
    if page:
        yield page


def _garbage(connection: Connection) -> ColumnElement[bool]:
    return and_(blobs.c.doomed_at.is_(None), blobs.c.deleting_at.is_(None), unneeded(connection))


def _mark(services: Services) -> int:
    with reading(services.engine) as connection:
        found = list(connection.execute(select(blobs.c.digest).where(_garbage(connection))).scalars())
    marked = 0
    for start in range(0, len(found), _BATCH):
        part = found[start : start + _BATCH]

        def change(connection: Connection, part: list[str] = part) -> int:
            exclude(connection)
            doom = update(blobs).where(blobs.c.digest.in_(part), _garbage(connection))
            return connection.execute(doom.values(doomed_at=now(connection))).rowcount

        marked += writing(services.engine, change)
    return marked


def _ready(connection: Connection, grace_s: float) -> ColumnElement[bool]:
    moment = now(connection)
    waited = and_(blobs.c.doomed_at <= moment - timedelta(seconds=grace_s), blobs.c.deleting_at.is_(None))
    left_over = blobs.c.deleting_at <= moment - timedelta(seconds=DELETION_S)
    return and_(or_(waited, left_over), unneeded(connection))


def _remove(services: Services, grace_s: float) -> tuple[int, int, int]:
    with reading(services.engine) as connection:
        found = list(connection.execute(select(blobs.c.digest).where(_ready(connection, grace_s))).scalars())
    removed = size = failed = 0
    for start in range(0, len(found), _BATCH):
        part = found[start : start + _BATCH]
        began = time.monotonic()

        def take(connection: Connection, part: list[str] = part) -> tuple[datetime, dict[str, int]]:
            exclude(connection)
            moment = now(connection)
            query = select(blobs.c.digest, blobs.c.size).where(blobs.c.digest.in_(part), _ready(connection, grace_s))
            taken = {row.digest: row.size for row in connection.execute(query)}
            connection.execute(update(blobs).where(blobs.c.digest.in_(taken)).values(deleting_at=moment))
            return moment, taken

        moment, taken = writing(services.engine, take)
        gone = [digest for digest in taken if _removed(services, digest, began)]

        def end(connection: Connection, moment: datetime = moment, gone: list[str] = gone) -> None:
            guard(connection)
            connection.execute(delete(blobs).where(blobs.c.digest.in_(gone), blobs.c.deleting_at == moment))

        writing(services.engine, end)
        removed += len(gone)
        size += sum(taken[digest] for digest in gone)
        failed += len(taken) - len(gone)
    return removed, size, failed


def _removed(services: Services, digest: str, began: float) -> bool:
    if time.monotonic() - began > DELETION_S / 3:  # an upload may take over soon: remove nothing under its hands
        return False
    try:
        services.blobs.delete(digest)
    except RegistryError as error:
        _LOG.warning("%s was not removed: %s", digest, error.message)
        return False
    return True
