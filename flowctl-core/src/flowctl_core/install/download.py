"""Receives one file: from a mirror or the registry, continued where it broke off, measured while it comes.

Nothing that a server says is believed: not its length, its ranges or its digests. What counts is the digest that was
asked for, over the bytes that came; a file that is not that one never gets a name.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flowctl_core.errors import CancelledError, RemoteError, VerificationError
from flowctl_core.install.contents import DOCUMENT, PROGRAM, Contents
from flowctl_core.models.published import PublishedFile
from flowctl_core.store.files import system_refusals

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import httpx

_CHUNK = 1 << 20
_SLOWEST_BYTES_S = 1024


class Transfer(Protocol):
    """Asks for bytes; knows proxies, certificates and which token belongs to which host."""

    def stream(self, url: str, headers: dict[str, str]) -> AbstractContextManager[httpx.Response]:
        """GET, redirects followed; raises RemoteError where nobody can be asked."""


@dataclass(frozen=True)
class Patience:
    """How long a transfer may fail."""

    attempts: int = 5
    """At the same bytes: what went on meanwhile counts anew."""
    first_wait_s: float = 0.2
    longest_wait_s: float = 10.0
    slow_s: float = 30.0
    """Slower than 1 kB/s for so long is as good as nothing."""


class _BrokenOffError(Exception):
    """The transfer ended early; what came is kept."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class _WrongError(Exception):
    """What came is another file."""


def receive(
    contents: Contents,
    transfer: Transfer,
    urls: Sequence[str],
    file: PublishedFile,
    *,
    patience: Patience,
    on_bytes: Callable[[int], None],
    cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Have a file in the store: it is there, or comes from the first of `urls` that has it whole.

    `on_bytes` is told how many bytes are there now. Raises VerificationError (`digest`) where all that came is another
    file, RemoteError where nothing came, StoreError.
    """
    if contents.has(file.digest, file.size):
        on_bytes(file.size)
        return
    with contents.receiving(file.digest) as partial:
        if contents.has(file.digest, file.size):  # another process received it while we waited
            on_bytes(file.size)
            return
        failures: list[Exception] = []
        for url in urls:
            try:
                _receive(transfer, url, partial, file, patience, on_bytes, cancelled)
                contents.keep(partial, file.digest, PROGRAM if is_program(file.path) else DOCUMENT)
                return
            except (_WrongError, RemoteError) as failure:
                failures.append(failure)
    wrong = next((each for each in failures if isinstance(each, _WrongError)), None)
    if wrong is not None:
        raise VerificationError(
            f"check digest failed: {file.path}: {wrong}",
            check="digest",
            hint="Somebody between here and the registry changes what is sent, or the registry is damaged. "
            "Nothing of it is kept; try again, over another network if that does not help.",
        )
    raise failures[-1]


def is_program(path: str) -> bool:
    """Whether a file of a version is a program or library, by its path in `dist/`."""
    return path.startswith("binaries/") and not path.endswith(".sigstore.json")


def _receive(
    transfer: Transfer,
    url: str,
    partial: Path,
    file: PublishedFile,
    patience: Patience,
    on_bytes: Callable[[int], None],
    cancelled: Callable[[], bool],
) -> None:
    """Receive the whole file into `partial`. Raises _WrongError, RemoteError, StoreError."""
    failed, best = 0, -1
    fresh = False
    while True:
        before = _size(partial)
        try:
            _once(transfer, url, partial, file, patience, on_bytes, cancelled)
            return
        except _WrongError:
            with system_refusals(partial, "removed"):
                partial.unlink(missing_ok=True)
            # What an earlier run left may have been damaged: begin once more without it.
            if fresh or before == 0:
                raise
            fresh = True
        except _BrokenOffError as problem:
            there = _size(partial)
            failed = 1 if there > max(best, before) else failed + 1
            best = max(best, there)
            if failed >= patience.attempts:
                raise RemoteError(
                    f"{file.path} could not be received from {url}: {problem}",
                    hint=f"{there} of {file.size} bytes are kept; the next try goes on from there.",
                ) from problem
            wait = min(patience.longest_wait_s, patience.first_wait_s * 2 ** (failed - 1))
            _sleep(min(patience.longest_wait_s, problem.wait_s) if problem.wait_s is not None else wait, cancelled)


def _once(
    transfer: Transfer,
    url: str,
    partial: Path,
    file: PublishedFile,
    patience: Patience,
    on_bytes: Callable[[int], None],
    cancelled: Callable[[], bool],
) -> None:
    import httpx

    with system_refusals(partial):
        fd = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "r+b", buffering=0) as target:
        digest, there = sha256(), 0
        with system_refusals(partial):
            while piece := target.read(_CHUNK):
                digest.update(piece)
                there += len(piece)
        if there > file.size:
            raise _WrongError(f"more than its {file.size} bytes were here")
        if there < file.size:
            headers = {"Accept-Encoding": "identity"}
            if there:
                headers["Range"] = f"bytes={there}-"
                headers["If-Range"] = f'"{file.digest}"'
            try:
                with transfer.stream(url, headers) as response:
                    if not _goes_on(response, there, file):
                        with system_refusals(partial):
                            target.truncate(0)
                            target.seek(0)
                        digest, there = sha256(), 0
                    on_bytes(there)
                    for piece in _pieces(response, patience, cancelled):
                        if there + len(piece) > file.size:
                            raise _WrongError(f"more than its {file.size} bytes are sent")
                        with system_refusals(partial):
                            target.write(piece)
                        digest.update(piece)
                        there += len(piece)
                        on_bytes(there)
            except httpx.TransportError as error:
                raise _BrokenOffError(str(error) or type(error).__name__) from error
        if there < file.size:
            raise _BrokenOffError(f"it ended after {there} of {file.size} bytes")
        if "sha256:" + digest.hexdigest() != file.digest:
            raise _WrongError(f"what was received has sha256:{digest.hexdigest()}, not {file.digest}")


def _goes_on(response: httpx.Response, there: int, file: PublishedFile) -> bool:
    """Whether the answer continues at `there`; False: it begins anew. Raises _BrokenOffError, RemoteError."""
    status = response.status_code
    if status == 206:
        expected = f"bytes {there}-{file.size - 1}/{file.size}"
        if there and response.headers.get("Content-Range") == expected:
            return True
        raise _WrongError(f"the server sends another part ({response.headers.get('Content-Range')}) than was asked for")
    if status == 416:
        raise _WrongError(f"the server says that it has fewer than {there} bytes")
    if status == 200:
        return False
    if status == 429 or status >= 500:
        raise _BrokenOffError(f"the server answers with status {status}", _retry_after(response))
    raise RemoteError(
        f"{file.path} is not to be had from {response.url}: the server answers with status {status}",
        hint="The registry lists it; try again, or tell its operator.",
    )


def _pieces(response: httpx.Response, patience: Patience, cancelled: Callable[[], bool]) -> Iterator[bytes]:
    began, came = time.monotonic(), 0
    for piece in response.iter_raw():
        came += len(piece)
        yield piece
        if cancelled():
            raise CancelledError("interrupted; what was received is kept")
        now = time.monotonic()
        if now - began > patience.slow_s:
            if came < _SLOWEST_BYTES_S * (now - began):
                raise _BrokenOffError(f"only {came} bytes came in {now - began:.0f} s")
            began, came = now, 0


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _sleep(seconds: float, cancelled: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if cancelled():
            raise CancelledError("interrupted; what was received is kept")
        time.sleep(min(left, 0.1))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
