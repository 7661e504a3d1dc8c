"""The audit log: append-only, each entry hashed with the hash of the one before.

An edited, removed, added or moved entry breaks the chain; entries cut off at the end are missed by the head, a row of
its own. Whoever can write the database can make a whole new chain: operators keep `audit verify`'s last line elsewhere
and give it back as `--expect`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from flowctl_registry.database.engine import now
from flowctl_registry.database.tables import audit, audit_head
from flowctl_registry.database.types import Moment
from flowctl_registry.database.upsert import insert_new
from flowctl_registry.errors import BadRequestError, TamperedError

_FIRST = "0" * 64
_BATCH = 1_000


@dataclass(frozen=True)
class Head:
    """The last entry."""

    sequence: int
    """0: there is none."""
    hash: str

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """Read what `str` wrote. Raises BadRequestError."""
        parts = re.fullmatch(r"([0-9]{1,18}):([0-9a-f]{64})", text)
        if parts is None:
            raise BadRequestError("that is no entry of an audit log", hint="Give NUMBER:HASH as `audit verify` prints.")
        return cls(int(parts[1]), parts[2])


def record(
    connection: Connection,
    actor: str,
    action: str,
    target: str,
    detail: Mapping[str, Any] | None = None,
    request_id: str | None = None,
) -> None:
    """Append an entry, in the transaction of the change that it tells (one of `database.engine.writing`).

    `action` is `<thing>.<verb>`, such as `version.publish`; `target` is `ns`, `ns/name`, `ns/name@version` or an id;
    `detail` is JSON, without secrets.
    """
    insert_new(connection, audit_head, {"id": 1, "sequence": 0, "hash": _FIRST})
    last = connection.execute(select(audit_head.c.sequence, audit_head.c.hash).with_for_update()).one()
    entry = {
        "sequence": last.sequence + 1,
        "at": now(connection),
        "actor": actor[:256],
        "action": action,
        "target": target[:512],
        "detail": dict(detail or {}),
        "request_id": request_id,
        "previous": last.hash,
    }
    digest = _hash(entry)
    connection.execute(insert(audit).values(**entry, hash=digest))
    connection.execute(update(audit_head).values(sequence=entry["sequence"], hash=digest))


def entries(connection: Connection, after: int = 0, limit: int = 100) -> list[Row[Any]]:
    """Entries in order, those with a sequence above `after`."""
    asked = select(audit).where(audit.c.sequence > after).order_by(audit.c.sequence).limit(limit)
    return list(connection.execute(asked).all())


def verify(connection: Connection, expected: Head | None = None) -> Head:
    """Check the whole chain, and that it goes through `expected`; gives its head. Raises TamperedError."""
    at = Head(0, _FIRST)
    seen = expected is None or expected == at
    for row in _all(connection):
        values = dict(row._mapping)
        digest = values.pop("hash")
        if row.sequence != at.sequence + 1:
            raise TamperedError(f"the audit log has no entry {at.sequence + 1}, but {row.sequence}", hint=_HINT)
        if row.previous != at.hash or _hash(values) != digest:
            raise TamperedError(f"entry {row.sequence} of the audit log was changed", hint=_HINT)
        at = Head(row.sequence, digest)
        seen = seen or at == expected
    head = connection.execute(select(audit_head.c.sequence, audit_head.c.hash)).one_or_none()
    if Head(*(head or (0, _FIRST))) != at:
        raise TamperedError(f"the audit log ends with entry {at.sequence}, its head names another", hint=_HINT)
    if not seen:
        raise TamperedError(f"the audit log does not have the entry {expected}", hint=_HINT)
    return at


_HINT = "Somebody wrote the database past the registry: compare with a backup (docs/operators/registry-access.md)."


def _all(connection: Connection) -> Iterator[Row[Any]]:
    after = -(2**62)  # an entry that somebody put before the first must be met too
    while batch := entries(connection, after, _BATCH):
        yield from batch
        after = batch[-1].sequence


def _hash(entry: Mapping[str, Any]) -> str:
    moment = entry["at"]
    told = dict(entry, at=Moment.milliseconds(moment) if isinstance(moment, datetime) else moment)
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
