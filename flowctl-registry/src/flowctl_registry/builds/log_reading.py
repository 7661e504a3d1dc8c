"""Reading the logs of builds, from any process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from flowctl_registry.database.build_tables import build_logs, builds
from flowctl_registry.database.engine import snapshot
from flowctl_registry.errors import NotFoundError
from flowctl_registry.services import Services

PAGE = 64
"""Pieces that are read at once."""
ENDED = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class LogPiece:
    """Whole lines of one step."""

    sequence: int
    step: str
    platform: str
    """`""` where the step is not of one."""
    at: datetime
    text: str


@dataclass(frozen=True)
class Selection:
    """Which part of which log."""

    build_id: str
    step: str | None = None
    platform: str | None = None


def read(services: Services, wanted: Selection, after: int = 0) -> tuple[str, list[LogPiece]]:
    """State of the build at that moment, and its next pieces, at most PAGE. Raises NotFoundError, UnavailableError."""
    query = select(build_logs).where(build_logs.c.build_id == wanted.build_id, build_logs.c.sequence > after)
    if wanted.step is not None:
        query = query.where(build_logs.c.step == wanted.step)
    if wanted.platform is not None:
        query = query.where(build_logs.c.platform == wanted.platform)
    with snapshot(services.engine) as connection:
        state = connection.execute(select(builds.c.state).where(builds.c.id == wanted.build_id)).scalar_one_or_none()
        rows = connection.execute(query.order_by(build_logs.c.sequence).limit(PAGE)).all()
    if state is None:
        raise NotFoundError(f"there is no build {wanted.build_id}")
    return state, [LogPiece(row.sequence, row.step, row.platform, row.at, row.text) for row in rows]


def text(services: Services, wanted: Selection, first: list[LogPiece]) -> Iterator[str]:
    """The log up to now as one text, from its first page on; where its step changes, a line says so."""
    titles, pieces = Titles(wanted), first
    while pieces:
        for piece in pieces:
            yield titles.before(piece) + piece.text
        if len(pieces) < PAGE:
            return
        _, pieces = read(services, wanted, pieces[-1].sequence)


class Titles:
    """The lines that say whose output follows."""

    def __init__(self, wanted: Selection) -> None:
        self._silent = wanted.step is not None and wanted.platform is not None
        self._last = ("", "")

    def before(self, piece: LogPiece) -> str:
        """The line before this piece; nothing where the one before was of the same step and platform."""
        if self._silent or self._last == (piece.step, piece.platform):
            return ""
        self._last = (piece.step, piece.platform)
        return f"==> {piece.step} {piece.platform}".rstrip() + " <==\n"
