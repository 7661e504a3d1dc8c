"""What keeps a blob: claims (leases) of uploads and builds, and the order between those and gc.

    absent ─► live ─► doomed ─► deleting ─► absent

A blob is live when its row is neither doomed nor being deleted; only live ones are reused. `gc` dooms what nothing
refers to and nobody claims; writing it anew makes it live again. While gc deletes the object, nobody may write it.

Whoever claims, records or refers to blobs calls `guard` first; gc calls `exclude` before it dooms or takes to delete.
So gc sees every claim and reference, or the other sees what gc decided. Both begin their transactions with it, since
PostgreSQL shows a statement what was committed before that statement.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import Connection, delete, or_, select, union, update

from flowctl_registry.database.engine import now
from flowctl_registry.database.tables import artifacts, blobs, claims, components, namespaces, versions
from flowctl_registry.database.upsert import insertion_into
from flowctl_registry.errors import UnavailableError

_LOCK = 7013527
_PART = 500
DELETION_S = 120
"""After this time a deletion that has not ended belongs to a gc that is dead: no request of it is on its way still."""


def guard(connection: Connection) -> None:
    """Keep gc's decisions out of this transaction; others that guard go on beside it."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")


def exclude(connection: Connection) -> None:
    """Keep all that guard out of this transaction."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def claim(connection: Connection, holder: str, digests: Iterable[str], ttl_s: float) -> None:
    """Lease blobs, whether they are there or not; again renews. The transaction is guarded."""
    expires = now(connection) + timedelta(seconds=ttl_s)
    rows = [{"holder": holder, "digest": digest, "expires_at": expires} for digest in sorted(set(digests))]
    insertion = insertion_into(connection, claims)
    for start in range(0, len(rows), _PART):
        connection.execute(
            insertion.on_conflict_do_update(
                index_elements=["holder", "digest"], set_={"expires_at": insertion.excluded.expires_at}
            ),
            rows[start : start + _PART],
        )


def release(connection: Connection, holder: str) -> None:
    """End a holder's claims."""
    connection.execute(delete(claims).where(claims.c.holder == holder))


def live(connection: Connection, digests: Iterable[str]) -> set[str]:
    """Those that are stored and may be used."""
    found: set[str] = set()
    wanted = sorted(set(digests))
    for start in range(0, len(wanted), _PART):
        part = wanted[start : start + _PART]
        query = select(blobs.c.digest).where(
            blobs.c.digest.in_(part), blobs.c.doomed_at.is_(None), blobs.c.deleting_at.is_(None)
        )
        found |= set(connection.execute(query).scalars())
    return found


def usable(connection: Connection, holder: str, namespace: str, digests: Iterable[str]) -> set[str]:
    """Live blobs that a holder need not send: it did, or a version shows them that its namespace's readers can see.

    Naming a digest proves nothing: else whoever learns that of a private file could publish it, and so read it.
    """
    there = sorted(live(connection, digests))
    found: set[str] = set()
    for start in range(0, len(there), _PART):
        part = there[start : start + _PART]
        sent = select(claims.c.digest).where(claims.c.holder == holder, claims.c.digest.in_(part), claims.c.sent)
        listed = (
            select(artifacts.c.digest)
            .join(versions, versions.c.id == artifacts.c.version_id)
            .join(components, components.c.id == versions.c.component_id)
            .join(namespaces, namespaces.c.name == components.c.namespace)
            .where(
                artifacts.c.digest == blobs.c.digest,
                versions.c.state == "published",
                or_(namespaces.c.private.is_(False), namespaces.c.name == namespace),
            )
        )
        shown = select(blobs.c.digest).where(blobs.c.digest.in_(part), listed.exists())
        found |= set(connection.execute(union(sent, shown)).scalars())
    return found


def note_sent(connection: Connection, holder: str, digest: str) -> None:
    """A holder has sent a blob whole."""
    connection.execute(update(claims).where(claims.c.holder == holder, claims.c.digest == digest).values(sent=True))


def may_write(connection: Connection, digest: str) -> None:
    """Before a claimed blob is written. Raises UnavailableError while gc deletes an older object of that name."""
    moment = connection.execute(select(blobs.c.deleting_at).where(blobs.c.digest == digest)).scalar_one_or_none()
    if moment is None:
        return
    if moment > now(connection) - timedelta(seconds=DELETION_S):
        raise _deleting(digest)
    connection.execute(delete(blobs).where(blobs.c.digest == digest, blobs.c.deleting_at == moment))


def record(connection: Connection, digest: str, size: int) -> None:
    """Note that a claimed blob is in the store: it is live. Raises UnavailableError while gc deletes it."""
    moment = now(connection)
    insertion = insertion_into(connection, blobs)
    done = connection.execute(
        insertion.values(digest=digest, size=size, stored_at=moment).on_conflict_do_update(
            index_elements=["digest"],
            set_={"doomed_at": None, "stored_at": moment},
            where=blobs.c.deleting_at.is_(None),
        )
    )
    if done.rowcount == 0:
        raise _deleting(digest)


def _deleting(digest: str) -> UnavailableError:
    return UnavailableError(f"an older copy of {digest} is being removed right now", hint="Send it again in a moment.")
