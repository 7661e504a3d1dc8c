"""Receives all files of a version at once, in parallel, and tells how far that is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from flowctl_core.errors import UnreachableError, VerificationError
from flowctl_core.install.contents import Contents
from flowctl_core.install.download import Patience, receive
from flowctl_core.install.remote import RemoteRegistry
from flowctl_core.install.request import Request
from flowctl_core.models import Progress
from flowctl_core.models.installed import Kind
from flowctl_core.models.published import PublishedFile

_TOLD_EVERY_S = 0.2


class Meter:
    """Bytes of several files, for a person: `12.3 of 50.0 MB, 24.1 MB/s`. Safe to use from several threads."""

    def __init__(self, files: Iterable[PublishedFile], progress: Progress) -> None:
        self._sizes = {file.digest: file.size for file in files}
        self._there: dict[str, int] = {}
        self._first: dict[str, int] = {}
        self._progress = progress
        self._lock = threading.Lock()
        self._began = self._told = time.monotonic()

    def tell(self, digest: str, there: int) -> None:
        """So many bytes of a file are there."""
        with self._lock:
            self._first.setdefault(digest, there)
            self._there[digest] = there
            now = time.monotonic()
            if now - self._told < _TOLD_EVERY_S:
                return
            self._told = now
            done, total = sum(self._there.values()) / 1e6, sum(self._sizes.values()) / 1e6
            speed = self.received / 1e6 / max(now - self._began, 1e-3)
        self._progress.line(f"{done:.1f} of {total:.1f} MB, {speed:.1f} MB/s")

    @property
    def received(self) -> int:
        """Bytes that came over the network now."""
        return sum(max(0, there - self._first[digest]) for digest, there in self._there.items())


def receive_all(
    contents: Contents,
    registry: RemoteRegistry,
    request: Request,
    version: str,
    files: Iterable[PublishedFile],
    progress: Progress,
    *,
    kind: Kind = "component",
    patience: Patience | None = None,
    jobs: int = 8,
    cancelled: Callable[[], bool] = lambda: False,
) -> int:
    """Have all files in the store; the bytes that came over the network.

    Raises the first failure: VerificationError (`digest`), RemoteError, StoreError; what was received is kept.
    """
    wanted = {file.digest: file for file in files}
    meter, stopped = Meter(wanted.values(), progress), threading.Event()

    def one(file: PublishedFile) -> None:
        if registry.offline:
            if not contents.has(file.digest, file.size):
                raise UnreachableError(
                    f"{file.path} of {request.component} {version} is not on this machine",
                    hint="Run the command once without --offline.",
                )
            return
        receive(
            contents,
            lambda source, headers: registry.stream(source, request, version, file.path, headers, kind),
            registry.sources(),
            file,
            patience=patience or Patience(),
            on_bytes=lambda there: meter.tell(file.digest, there),
            cancelled=lambda: stopped.is_set() or cancelled(),
        )

    # The biggest first: what takes longest begins at once.
    order = sorted(wanted.values(), key=lambda file: -file.size)
    with ThreadPoolExecutor(max(1, min(jobs, len(order)))) as pool:
        running = [pool.submit(one, file) for file in order]
        try:
            for each in wait(running, return_when=FIRST_EXCEPTION).done:
                each.result()
        except BaseException as error:  # also Ctrl-C: nobody else stops the threads
            stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)
            if isinstance(error, VerificationError):
                told = f"{request.component} {version}: {error.message}"
                raise VerificationError(told, check=error.check, hint=error.hint) from error
            raise
    return meter.received
