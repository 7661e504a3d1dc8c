"""The signer's process: it answers at its socket, and keeps the signed index fresh by itself."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flowctl_core.errors import ConfigError
from flowctl_core.store.lock import file_lock
from flowctl_registry.blobs.store import BlobStore
from flowctl_registry.child import END
from flowctl_registry.database import migrate
from flowctl_registry.database.engine import open_engine
from flowctl_registry.errors import BadRequestError
from flowctl_registry.settings import Settings
from flowctl_registry.signer.attesting import attest
from flowctl_registry.signer.index import Index
from flowctl_registry.signer.keys import SignerKeys, folder_of
from flowctl_registry.signer.server import listen, serve
from flowctl_registry.signer.timetable import Timetable

_APPLY_S = 10
_REFRESH_S = 1800
_LOCK_TIMEOUT_S = 5.0
_TAKE_OVER_S = 40.0
"""A signer whose `serve` was killed finishes what it was asked before the next one begins."""


class Signer:
    """Answers requests; each is a JSON object whose `do` says what."""

    def __init__(self, settings: Settings) -> None:
        self._engine = open_engine(settings.database)
        (migrate.ensure if settings.database_url is None else migrate.check)(self._engine)
        self._settings = settings
        self._keys = SignerKeys(settings)
        self._signing = threading.Lock()
        self._store: BlobStore | None = None
        self.index = Index(settings, self._engine)
        self.index.prepare(self._keys.trusted())

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer. Raises FlowctlError."""
        match request:
            case {"do": "sign", "version": int(version_id)}:
                self.sign(version_id)
                return {}
            case {"do": "update-index"}:
                self.index.apply()
                return {}
            case {"do": "status"}:
                return {"key": self._keys.trusted().name, "pid": os.getpid(), **self.index.status()}
        raise BadRequestError("the signer is asked for something that it does not do")

    def sign(self, version_id: int) -> None:
        """Attest a pending version."""
        with self._signing:
            if self._store is None:
                self._store = BlobStore.open(self._settings)
            attest(self._engine, self._store, self._keys, version_id)


def run(settings: Settings, parent: int | None = None) -> None:
    """Serve until SIGTERM. Only one signer at a time has a data folder.

    With `parent`, that process ends it, by END or by being gone: a signal to the whole group must not take the signer
    from requests that are to be finished. Raises FlowctlError when it cannot start.
    """
    folder = folder_of(settings)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with only_signer(settings, _LOCK_TIMEOUT_S if parent is None else _TAKE_OVER_S):
        signer = Signer(settings)
        duties = (Timetable(_APPLY_S, signer.index.apply), Timetable(_REFRESH_S, signer.index.refresh))
        signer.index.refresh()
        with listen(settings.socket) as server:
            ended = _end_on((signal.SIGTERM, signal.SIGINT) if parent is None else (END,))
            if parent is not None:
                threading.Thread(target=_watch, args=(parent, ended), daemon=True).start()
            for duty in duties:
                duty.start()
            answering = threading.Thread(target=serve, args=(server, signer.handle, ended), daemon=True)
            answering.start()
            ended.wait()
            answering.join(30)
            for duty in duties:
                duty.stop()


@contextmanager
def only_signer(settings: Settings, timeout_s: float = _LOCK_TIMEOUT_S) -> Iterator[None]:
    """Hold the signer's folder. Raises LockedError when a signer runs already."""
    folder = folder_of(settings)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be made: {error.strerror}", hint="Set `data` to a folder of yours."
        ) from None
    with file_lock(folder / ".lock", what=f"the signer's folder {folder}", timeout_s=timeout_s):
        yield


def _end_on(signals: tuple[signal.Signals, ...]) -> threading.Event:
    ended = threading.Event()
    for each in signals:
        signal.signal(each, lambda _number, _frame: ended.set())
    return ended


def _watch(parent: int, ended: threading.Event) -> None:
    """A signer that `serve` started does not outlive it, however it ended."""
    while os.getppid() == parent:
        time.sleep(0.5)
    ended.set()
