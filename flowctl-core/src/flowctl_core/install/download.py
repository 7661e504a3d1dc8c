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
from typing import TYPE_CHECKING

from flowctl_core.errors import CancelledError, RemoteError, UnreachableError, VerificationError
from flowctl_core.install.contents import DOCUMENT, PROGRAM, Contents
from flowctl_core.models.published import PublishedFile
from flowctl_core.store.files import system_refusals

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import httpx

_CHUNK = 1 << 20
_SLOWEST_BYTES_S = 1024
_WORTH_IT = 1 << 16
"""Bytes that a try has to bring to count as a success."""


Transfer = Callable[[str, dict[str, str]], "AbstractContextManager[httpx.Response]"]
"""Asks a source for the file's bytes; knows proxies, certificates and tokens. Raises RemoteError, also in between."""


@dataclass(frozen=True)
class Patience:
    """How long a transfer may fail."""

    attempts: int = 5
    """In a row that bring next to nothing."""
    first_wait_s: float = 0.2
    longest_wait_s: float = 10.0
    slow_s: float = 30.0
    """Slower than 1 kB/s for so long is as good as nothing."""


class _BrokenOffError(Exception):
    """The transfer ended early; what came is kept."""


class _WrongError(Exception):
    """What came is another file."""


def receive(
    contents: Contents,
    transfer: Transfer,
    sources: Sequence[str],
    file: PublishedFile,
    *,
    patience: Patience,
    on_bytes: Callable[[int], None],
    cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Have a file in the store: it is there, or comes from the first of `sources` that has it whole.

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
        for source in sources:
            try:
                _receive(transfer, source, partial, file, patience, on_bytes, cancelled)
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
    source: str,
    partial: Path,
    file: PublishedFile,
    patience: Patience,
    on_bytes: Callable[[int], None],
    cancelled: Callable[[], bool],
) -> None:
    """Receive the whole file into `partial`. Raises _WrongError, RemoteError, StoreError."""
    failed, fresh = 0, False
    while True:
        before = _size(partial)
        try:
            _once(transfer, source, partial, file, patience, on_bytes, cancelled)
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
            failed = 1 if there >= before + _WORTH_IT else failed + 1
            if failed >= patience.attempts:
                raise UnreachableError(
                    f"{file.path} could not be received from {source}: {problem}",
                    hint=f"{there} of {file.size} bytes are kept; the next try goes on from there.",
                ) from problem
            _sleep(min(patience.longest_wait_s, patience.first_wait_s * 2 ** (failed - 1)), cancelled)


def _once(
    transfer: Transfer,
    source: str,
    partial: Path,
    file: PublishedFile,
    patience: Patience,
    on_bytes: Callable[[int], None],
    cancelled: Callable[[], bool],
) -> None:
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
                with transfer(source, headers) as response:
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
            except UnreachableError as error:
                raise _BrokenOffError(error.message) from error
            except RemoteError as error:
                if not there:
                    raise
                raise _WrongError(error.message) from error  # nothing of the kind goes on where we are: begin anew
        if there < file.size:
            raise _BrokenOffError(f"it ended after {there} of {file.size} bytes")
        if "sha256:" + digest.hexdigest() != file.digest:
            raise _WrongError(f"what was received has sha256:{digest.hexdigest()}, not {file.digest}")


def _goes_on(response: httpx.Response, there: int, file: PublishedFile) -> bool:
    """Whether the answer continues at `there`; False: it begins anew. Raises _WrongError."""
    if response.status_code != 206:
        return False
    told = response.headers.get("Content-Range")
    if there and told == f"bytes {there}-{file.size - 1}/{file.size}":
        return True
    raise _WrongError(f"the server sends another part ({told}) than was asked for")


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
