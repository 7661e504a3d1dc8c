"""What steps leave for the next ones, as blobs that the build claims: so any worker can go on where one was lost."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from flowctl_core.errors import BuildError, CancelledError
from flowctl_registry.blobs import claims
from flowctl_registry.builds.run_folders import new_run
from flowctl_registry.database.engine import writing
from flowctl_registry.errors import StorageFullError
from flowctl_registry.sandbox.choose import limits_of
from flowctl_registry.sandbox.confinement import Confinement, Sandbox
from flowctl_registry.sandbox.run import run
from flowctl_registry.services import Services

_CHUNK = 1 << 20
_DOCUMENT_BYTES = 64 * 2**20
_NAMES = "names"
_ARCHIVE = "snapshot.tar"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


class Snapshots:
    """Packs and unpacks; tar itself runs in the sandbox, for the names and links in a tree are its source's."""

    def __init__(self, services: Services, sandbox: Sandbox) -> None:
        self._services = services
        self._sandbox = sandbox

    def take(
        self, build_id: str, tree: Path, names: Sequence[str], cancelled: threading.Event, without: Sequence[str] = ()
    ) -> str:
        """Keep these files and folders of a tree, those that exist; the digest. Raises CancelledError, BuildError.

        `without`: globs of paths below the tree, whose stars match no slash.
        """
        with self._scratch() as scratch:
            place, here = self._places(tree, scratch)
            given = [name for name in names if os.path.lexists(tree / name)]
            (scratch / _NAMES).write_bytes(b"".join(os.fsencode(name) + b"\0" for name in given))
            (scratch / _NAMES).chmod(0o644)
            argv = [
                "tar", "--create", "--file", f"{here}/{_ARCHIVE}", "--directory", place, "--format=gnu",
                "--anchored", "--wildcards", "--no-wildcards-match-slash", *(f"--exclude={each}" for each in without),
                "--no-recursion" if not given else "--recursion", "--null", "--verbatim-files-from",
                "--files-from", f"{here}/{_NAMES}",
            ]  # fmt: skip
            self._tar(argv, {place: tree}, {here: scratch}, cancelled)
            with _opened(scratch / _ARCHIVE) as file:
                return self.keep_file(build_id, file)

    def restore(self, tree: Path, digest: str, cancelled: threading.Event) -> None:
        """Unpack a snapshot into a tree. Raises NotFoundError, UnavailableError, CancelledError, BuildError."""
        with self._scratch() as scratch:
            place, here = self._places(tree, scratch)
            try:
                with (scratch / _ARCHIVE).open("wb") as file:
                    for chunk in self._services.blobs.stream(digest):
                        file.write(chunk)
                (scratch / _ARCHIVE).chmod(0o644)
            except OSError as error:
                raise StorageFullError(f"{scratch}: {error.strerror}", hint="Free some space.") from error
            argv = [
                "tar", "--extract", "--file", f"{here}/{_ARCHIVE}", "--directory", place, "--preserve-permissions",
                "--no-same-owner", "--delay-directory-restore",
            ]  # fmt: skip
            self._tar(argv, {here: scratch}, {place: tree}, cancelled)

    def keep_json(self, build_id: str, document: Mapping[str, Any]) -> str:
        """Keep a document; the digest."""
        return self.keep_bytes(build_id, json.dumps(document, sort_keys=True).encode())

    def keep_bytes(self, build_id: str, data: bytes) -> str:
        """Keep a small file; the digest."""
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self._keep(build_id, digest, len(data), lambda: iter((data,)))
        return digest

    def read_json(self, digest: str) -> dict[str, Any]:
        """A document that was kept. Raises NotFoundError, UnavailableError."""
        found: dict[str, Any] = json.loads(self._services.blobs.read(digest, _DOCUMENT_BYTES))
        return found

    def keep_file(self, build_id: str, file: BufferedReader) -> str:
        """Keep an open file whole; the digest. Raises UnavailableError, StorageFullError."""
        digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
        self._keep(build_id, digest, file.tell(), lambda: _chunks(file))
        return digest

    def keep_tree(self, build_id: str, folder: Path) -> list[dict[str, Any]]:
        """Keep all files below a folder one by one: `path`, `digest` and `size` of each, by path.

        Raises BuildError where there is something else than files and folders.
        """
        found = []
        for here, folders, names in os.walk(folder):
            for name in folders:
                if Path(here, name).is_symlink():
                    raise BuildError(f"the release has a link, {name}")
            for name in filter(lambda name: not is_hidden(name), names):
                path = Path(here, name)
                with _opened(path) as file:
                    digest = self.keep_file(build_id, file)
                    size = os.fstat(file.fileno()).st_size
                found.append({"path": path.relative_to(folder).as_posix(), "digest": digest, "size": size})
        return sorted(found, key=lambda each: str(each["path"]))

    def _keep(self, build_id: str, digest: str, size: int, chunks: Any) -> None:
        ttl_s = self._services.settings.limits.upload_ttl_s

        def announce(connection: Connection) -> bool:
            claims.guard(connection)
            claims.claim(connection, build_id, [digest], ttl_s)
            claims.may_write(connection, digest)
            return digest in claims.live(connection, [digest])

        def stored(connection: Connection) -> None:
            claims.guard(connection)
            claims.record(connection, digest, size)
            claims.note_sent(connection, build_id, digest)

        if not writing(self._services.engine, announce) or self._services.blobs.size(digest) != size:
            self._services.blobs.write_now(digest, size, chunks())
        writing(self._services.engine, stored)

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        data = self._services.settings.data
        try:
            private = new_run(data)
            private.chmod(0o755)  # for the sandbox's user, who gets it alone
        except OSError as error:
            raise StorageFullError(f"{data}: {error.strerror}", hint="Free some space on the worker.") from error
        try:
            yield private
        finally:
            shutil.rmtree(private, ignore_errors=True)

    def _places(self, tree: Path, scratch: Path) -> tuple[str, str]:
        return (str(tree), str(scratch)) if self._sandbox.name == "none" else ("/build", "/snapshot")

    def _tar(
        self, argv: list[str], readable: Mapping[str, Path], writable: Mapping[str, Path], cancelled: threading.Event
    ) -> None:
        said = bytearray()
        confinement = Confinement(
            read_only=readable, writable=writable, environment=_ENVIRONMENT, folder=next(iter(readable)),
            limits=limits_of(self._services.settings.sandbox),
        )  # fmt: skip
        outcome = run(self._sandbox, confinement, argv, said.extend, cancelled)
        if outcome.reached == "cancelled":
            raise CancelledError("the build was cancelled")
        told = said[-4_000:].decode(errors="replace")
        if outcome.reached is not None:
            raise BuildError(
                "what the build leaves for its next step is more than it may be",
                hint=f"The operator allows more: sandbox.{outcome.reached}….", output=told,
            )  # fmt: skip
        if outcome.exit_code != 0:
            failure = StorageFullError if "No space left" in told else BuildError
            raise failure("what the build leaves for its next step cannot be packed", output=told)


def is_hidden(path: str) -> bool:
    """Such files of a release are its builder's own, and published by nobody."""
    return path.rpartition("/")[2].startswith(".")


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise BuildError(f"{path.name} cannot be read: {error.strerror}") from error
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise BuildError(f"{path.name} is no file")
        yield file


def _chunks(file: BufferedReader) -> Iterable[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk
