"""Logs of builds: what steps print, in pieces, in the order in which they came.

Any process may write in a build's log, and any reads it: a piece has the next number of its build, given under the
lock of the build's row, so a reader that has seen one number has seen all before it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from types import TracebackType

from sqlalchemy import Connection, insert, select

from flowctl_registry.builds.log_lines import Lines
from flowctl_registry.builds.masking import Masks, secrets_of
from flowctl_registry.database.build_tables import build_logs, builds
from flowctl_registry.database.engine import now, writing
from flowctl_registry.errors import StorageFullError, UnavailableError
from flowctl_registry.services import Services

_LOG = logging.getLogger(__name__)
_FLUSH_S = 0.5
_FLUSH_BYTES = 65_536
_PIECE_CHARACTERS = 65_536
_PATIENCE_S = 15.0
_FULL = "\n[flowctl: the log of this build is full; what follows is not kept]\n"
Piece = tuple[str, str, str]
"""Step, platform, text."""


class LogWriter:
    """Takes what one try of a step prints. Threads may share it; it never fails, and never waits for the database.

    Close it before the step's end is recorded: who follows a log stops when the build has ended.
    """

    def __init__(self, services: Services, build_id: str, secrets: Iterable[str] = ()) -> None:
        self._engine, self._build_id = services.engine, build_id
        self._settings = services.settings.builds
        self._masks = Masks({*secrets_of(services.settings), *secrets})
        self._lines: dict[tuple[str, str], Lines] = {}
        self._pending: list[Piece] = []
        self._size = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def write(self, step: str, platform: str, data: bytes) -> None:
        """Take output as it comes; `platform` is "" where the step is not of one. Lines are shown when they end."""
        with self._changed:
            if self._closed:
                return
            lines = self._lines.get((step, platform))
            if lines is None:
                lines = self._lines[step, platform] = Lines(self._masks, self._settings.log_step_bytes)
            self._add(step, platform, lines.feed(data))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True, name="build-log")
                self._thread.start()

    def note(self, step: str, platform: str, text: str) -> None:
        """A line of the registry itself, not of what it runs."""
        self.write(step, platform, f"[flowctl: {text}]\n".encode())

    def close(self) -> None:
        """Write what is left; after a while without a database it is given up."""
        with self._changed:
            if self._closed:
                return
            for (step, platform), lines in self._lines.items():
                self._add(step, platform, lines.end())
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> LogWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _add(self, step: str, platform: str, text: str) -> None:
        if not text:
            return
        if self._pending and self._pending[-1][:2] == (step, platform):
            text = self._pending.pop()[2] + text
        while len(text) > _PIECE_CHARACTERS:
            self._pending.append((step, platform, text[:_PIECE_CHARACTERS]))
            text = text[_PIECE_CHARACTERS:]
        self._pending.append((step, platform, text))
        self._size = sum(len(piece[2]) for piece in self._pending)
        self._changed.notify_all()

    def _work(self) -> None:
        give_up: float | None = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._closed)
                self._changed.wait_for(lambda: self._size >= _FLUSH_BYTES or self._closed, _FLUSH_S)
                pieces, self._pending, self._size = self._pending, [], 0
                closed = self._closed
            if not pieces:
                return
            if not self._written(pieces):
                with self._changed:
                    self._pending = pieces + self._pending
                if closed:
                    give_up = give_up or time.monotonic() + _PATIENCE_S
                    if time.monotonic() > give_up:
                        _LOG.warning("the end of the log of build %s is lost", self._build_id)
                        return
                time.sleep(_FLUSH_S)

    def _written(self, pieces: list[Piece]) -> bool:
        limit = self._settings.log_bytes
        try:
            writing(self._engine, lambda connection: append(connection, self._build_id, pieces, limit))
        except (UnavailableError, StorageFullError) as error:
            _LOG.debug("the log of build %s waits: %s", self._build_id, error.message)
            return False
        except Exception:  # noqa: BLE001 - a log that cannot be written must not end the build
            _LOG.exception("a piece of the log of build %s is lost", self._build_id)
        return True


def append(connection: Connection, build_id: str, pieces: list[Piece], limit: int) -> None:
    """Add pieces to a build's log, up to `limit` bytes in all; a build that is gone has none. In `writing`."""
    there = connection.execute(select(builds.c.id).where(builds.c.id == build_id).with_for_update()).one_or_none()
    if there is None:
        return
    newest = select(build_logs.c.sequence, build_logs.c.total).where(build_logs.c.build_id == build_id)
    last = connection.execute(newest.order_by(build_logs.c.sequence.desc()).limit(1)).one_or_none()
    sequence, total = (0, 0) if last is None else (last.sequence, last.total)
    moment = now(connection)
    rows = []
    for step, platform, text in pieces:
        if total >= limit:
            break
        data = text.encode()
        if total + len(data) > limit:
            text = data[: limit - total].decode(errors="ignore") + _FULL
        total, sequence = min(limit, total + len(data)), sequence + 1
        rows.append(
            {
                "build_id": build_id,
                "sequence": sequence,
                "step": step,
                "platform": platform,
                "at": moment,
                "total": total,
                "text": text,
            }
        )
    if rows:
        connection.execute(insert(build_logs), rows)
