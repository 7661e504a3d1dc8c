"""Whether rows, objects and digests agree."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, func, select, update

from flowctl_registry.blobs.claims import guard
from flowctl_registry.database.engine import now, snapshot, writing
from flowctl_registry.database.tables import blobs, versions
from flowctl_registry.errors import NotFoundError
from flowctl_registry.maintenance import catalog_check
from flowctl_registry.maintenance.references import unneeded
from flowctl_registry.models.maintenance import Finding, FsckReport
from flowctl_registry.services import Services

_PAGE = 500


class _Blob(NamedTuple):
    digest: str
    size: int


def check(services: Services, *, quick: bool = False, repair: bool = False) -> FsckReport:
    """Compare everything; `quick` reads no contents. Other processes may go on.

    `repair` corrects what can be derived, and marks missing or damaged blobs so that the next upload which has them
    sends them anew. Raises UnavailableError.
    """
    findings: list[Finding] = []
    rows = read = 0
    for row in _rows(services):
        rows += 1
        fault, seen = _fault(services, row.digest, row.size, quick)
        read += seen
        if fault is not None and _still(services, row):
            findings.append(_broken(services, row, fault, repair))
    with snapshot(services.engine) as connection:
        count = connection.execute(select(func.count()).select_from(versions)).scalar_one()
        findings += catalog_check.find(connection)
    if repair:
        findings = [catalog_check.repair(services, each) for each in findings]
    objects, unrecorded = _objects(services)
    return FsckReport(
        blobs=rows, bytes=read, objects=objects, unrecorded=unrecorded, versions=count, findings=tuple(findings)
    )


def _rows(services: Services) -> Iterator[_Blob]:
    """Live blobs, a page at a time, so that no transaction stays open while contents are read."""
    last = ""
    while True:
        with snapshot(services.engine) as connection:
            page = connection.execute(
                select(blobs.c.digest, blobs.c.size)
                .where(blobs.c.digest > last, blobs.c.doomed_at.is_(None), blobs.c.deleting_at.is_(None))
                .order_by(blobs.c.digest)
                .limit(_PAGE)
            ).all()
        if not page:
            return
        for digest, size in page:
            yield _Blob(digest, size)
            last = digest


def _fault(services: Services, digest: str, size: int, quick: bool) -> tuple[str | None, int]:
    """What is wrong with an object (None: nothing), and how many bytes were read."""
    found = services.blobs.size(digest)
    if found is None:
        return "missing", 0
    if found != size:
        return f"has {found} bytes, not {size}", 0
    if quick:
        return None, 0
    sha256, seen = hashlib.sha256(), 0
    try:
        for chunk in services.blobs.stream(digest):
            sha256.update(chunk)
            seen += len(chunk)
    except NotFoundError:
        return "missing", seen
    if "sha256:" + sha256.hexdigest() != digest:
        return f"has the digest sha256:{sha256.hexdigest()}", seen
    return None, seen


def _still(services: Services, row: _Blob) -> bool:
    """gc may have taken the blob since its row was read."""
    with snapshot(services.engine) as connection:
        query = select(blobs.c.digest).where(
            blobs.c.digest == row.digest, blobs.c.doomed_at.is_(None), blobs.c.deleting_at.is_(None)
        )
        return connection.execute(query).one_or_none() is not None


def _broken(services: Services, row: _Blob, fault: str, repair: bool) -> Finding:
    def mark(connection: Connection) -> str:
        guard(connection)
        query = select(blobs.c.digest).where(blobs.c.digest == row.digest, unneeded(connection))
        needed = "nothing needs it" if connection.execute(query).one_or_none() else "a version needs it"
        if repair:
            connection.execute(update(blobs).where(blobs.c.digest == row.digest).values(doomed_at=now(connection)))
            needed += "; marked: the next upload that has it sends it again"
        return needed

    return Finding(
        kind="missing" if fault == "missing" else "damaged",
        target=row.digest,
        detail=f"{fault}; {writing(services.engine, mark)}",
        repaired=repair,
    )


def _objects(services: Services) -> tuple[int, int]:
    count = strange = 0
    page: list[str] = []

    def unknown() -> int:
        with snapshot(services.engine) as connection:
            known = set(connection.execute(select(blobs.c.digest).where(blobs.c.digest.in_(page))).scalars())
        return len(set(page) - known)

    for found in services.blobs.listed():
        count += 1
        page.append(found.digest)
        if len(page) == _PAGE:
            strange += unknown()
            page.clear()
    return count, strange + (unknown() if page else 0)
