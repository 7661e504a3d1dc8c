"""The outbox of the signed index: changes that the database recorded and the index has not yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from flowctl_core.models.trust import Yank
from flowctl_core.trust.publishing import Recorded
from flowctl_registry.database.engine import now
from flowctl_registry.database.tables import components, index_changes, subjects, versions

_BATCH = 200


@dataclass(frozen=True)
class Waiting:
    """A version with changes that wait, and what the index is to say of it: its state now, however it came about."""

    sequences: tuple[int, ...]
    version_id: int
    entry: Recorded


def read_waiting(connection: Connection, passed_over: frozenset[int] = frozenset()) -> tuple[Waiting, ...]:
    """The oldest changes, in their order, without those of the versions `passed_over`."""
    rows = connection.execute(
        select(
            index_changes.c.sequence,
            versions.c.id,
            versions.c.version,
            versions.c.state,
            versions.c.published_at,
            versions.c.created_at,
            versions.c.yanked_at,
            versions.c.yank_reason,
            components.c.kind,
            components.c.namespace,
            components.c.name,
        )
        .join(versions, versions.c.id == index_changes.c.version_id)
        .join(components, components.c.id == versions.c.component_id)
        .where(index_changes.c.done_at.is_(None), versions.c.id.not_in(sorted(passed_over)))
        .order_by(index_changes.c.sequence)
        .limit(_BATCH)
    ).all()
    by_version = {row.id: row for row in rows}
    digests: dict[int, dict[str, str]] = {}
    for each in connection.execute(
        select(subjects.c.version_id, subjects.c.name, subjects.c.digest)
        .where(subjects.c.version_id.in_(sorted(by_version)))
        .order_by(subjects.c.name)
    ):
        digests.setdefault(each.version_id, {})[each.name] = each.digest
    return tuple(
        Waiting(
            tuple(each.sequence for each in rows if each.id == version_id),
            version_id,
            Recorded(
                namespace=row.namespace,
                component=index_name(row.kind, row.name),
                version=row.version,
                digests=digests.get(version_id, {}),
                published=(row.published_at or row.created_at).replace(microsecond=0),
                yanked=_yank(row.state, row.yanked_at, row.yank_reason, row.created_at),
            ),
        )
        for version_id, row in by_version.items()
    )


def index_name(kind: str, name: str) -> str:
    """The name in the index. No component can have a bundle's: two dots in a row are in no name."""
    return f"bundle..{name}" if kind == "bundle" else name


def mark_done(connection: Connection, done: tuple[Waiting, ...]) -> None:
    """The index that clients read has these changes."""
    moment = now(connection)
    sequences = sorted(sequence for each in done for sequence in each.sequences)
    connection.execute(update(index_changes).where(index_changes.c.sequence.in_(sequences)).values(done_at=moment))
    connection.execute(
        update(versions).where(versions.c.id.in_([each.version_id for each in done])).values(indexed_at=moment)
    )


def read_backlog(connection: Connection) -> tuple[int, datetime | None]:
    """How many changes wait, and since when."""
    row = connection.execute(
        select(func.count(), func.min(index_changes.c.recorded_at)).where(index_changes.c.done_at.is_(None))
    ).one()
    return int(row[0]), row[1]


def _yank(state: str, at: datetime | None, reason: str | None, created: datetime) -> Yank | None:
    if state == "removed" and at is None:
        return Yank(at=created.replace(microsecond=0), reason="it was removed from the registry")
    return Yank(at=at.replace(microsecond=0), reason=reason or "") if at is not None else None
