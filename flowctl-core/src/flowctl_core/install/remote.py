"""One registry, as install sees it: its signed index, what it lists of versions, and where bytes come from."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pydantic import ValidationError
from tuf.api.exceptions import DownloadHTTPError

from flowctl_core.connection import Connection
from flowctl_core.errors import NotFoundError, RemoteError, StoreError, TrustError, UnreachableError
from flowctl_core.install.request import Request
from flowctl_core.models.installed import Kind
from flowctl_core.models.published import PublishedVersion
from flowctl_core.models.signing import TrustMaterial
from flowctl_core.models.trust import ComponentIndex, TrustState
from flowctl_core.store.files import atomic_write, sweep_abandoned
from flowctl_core.trust.client import TrustStore

if TYPE_CHECKING:
    import httpx

    from flowctl_core.client.session import Patience, Session

_BUNDLE = "bundle.."
"""Before a bundle's name in the signed index, where components have plain names."""


@dataclass
class RemoteRegistry:
    """Answers for some namespaces. A context manager. The index is not asked from several threads at once."""

    connection: Connection
    """How it is reached."""
    listings: Path
    """Folder in which lists of files are kept: a version never changes."""
    offline: bool = False
    """Ask nobody: what was verified and received before has to do."""
    patience: Patience | None = None
    """How long to wait for an answer."""
    _trust: TrustStore | None = field(default=None, init=False, repr=False)
    _sessions: dict[str, Session] = field(default_factory=dict, init=False, repr=False)
    _opening: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __enter__(self) -> RemoteRegistry:
        return self

    def __exit__(self, *_: object) -> None:
        if self._trust is not None:
            self._trust.close()
        for session in self._sessions.values():
            session.close()

    @property
    def url(self) -> str:
        """Base address."""
        return self.connection.url

    @property
    def trust(self) -> TrustStore:
        """What may be believed of it; its root is pinned."""
        if self._trust is None:
            self._trust = TrustStore(self.connection.trust, offline=self.offline, connection=self.connection)
        return self._trust

    @property
    def session(self) -> Session:
        """The conversation with it."""
        return self._session(self.url)

    def _session(self, base: str) -> Session:
        """Of the registry or one of its mirrors. Raises UnreachableError while offline."""
        from flowctl_core.client.session import Session

        if self.offline:
            raise UnreachableError(f"{base} is not asked while offline", hint="Run the command without --offline.")
        with self._opening:
            if base not in self._sessions:
                connection = self.connection if base == self.url else self.connection.mirror(base)
                self._sessions[base] = Session(connection, self.patience)
            return self._sessions[base]

    def pin(self, fingerprint: str) -> None:
        """Believe the root with this fingerprint from now on. Raises TrustError where another is pinned."""
        from flowctl_core.trust import pinning

        root = pinning.offered_root(self.connection.trust, fingerprint, connection=self.connection)
        pinning.pin(self.connection.trust, root)

    def state(self) -> TrustState:
        """How fresh the index is. Raises TrustError."""
        return self.trust.state()

    def material(self) -> TrustMaterial:
        """The keys that the pinned root leads to. Raises TrustError."""
        return self.trust.material()

    def index(self, request: Request, kind: Kind = "component") -> ComponentIndex:
        """The signed index of a component or bundle. Raises TrustError, RemoteError when there is none."""
        name = request.name if kind == "component" else _BUNDLE + request.name
        try:
            index = self.trust.index(request.namespace, name)
        except TrustError as error:
            if _is_hidden(error, request.namespace):
                raise self._nothing(request, kind) from error
            raise
        if index is None:
            raise self._nothing(request, kind)
        return index

    def _nothing(self, request: Request, kind: Kind) -> NotFoundError:
        hint = f"`flowctl component search {request.name}` shows what there is."
        if self.connection.token is None:
            hint = f"Check the name; a private one is shown after `flowctl login {self.url}`."
        return NotFoundError(f"the signed index of {self.url} has no {kind} {request.component}", hint=hint)

    def version(
        self, request: Request, version: str, kind: Kind = "component", *, fresh: bool = False
    ) -> PublishedVersion:
        """What is listed of a version, unverified; `fresh`: not what was kept. Raises RemoteError."""
        if not fresh:
            with suppress(OSError, ValidationError):
                return PublishedVersion.model_validate_json(self._kept(request, version, kind).read_bytes())
        if self.offline:
            raise UnreachableError(
                f"the files of {request.component} {version} are not known on this machine",
                hint="It was never installed here: run the command once without --offline.",
            )
        what = f"{kind} {request.component} {version}"
        found = self.session.document(PublishedVersion, _path(request, version, kind), what=what)
        if (found.namespace, found.name, found.version) != (request.namespace, request.name, version):
            raise RemoteError(
                f"{self.url} answers with {found.namespace}/{found.name} {found.version} when asked for "
                f"{request.component} {version}",
                hint="Tell the registry's operator; nothing of it is used.",
            )
        return found

    def keep(self, request: Request, listed: PublishedVersion, kind: Kind = "component") -> None:
        """Keep a list of files that was verified: for the next time, and for when there is no network."""
        kept = self._kept(request, listed.version, kind)
        with suppress(OSError, ValidationError):
            if PublishedVersion.model_validate_json(kept.read_bytes()) == listed:
                return
        with suppress(OSError, StoreError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            sweep_abandoned(kept)
            atomic_write(kept, listed.model_dump_json().encode(), durable=False)

    def _kept(self, request: Request, version: str, kind: Kind) -> Path:
        folder = self.listings / sha256(self.url.encode()).hexdigest()[:16] / kind
        return folder / request.namespace / request.name / f"{version}.json"

    def sources(self) -> tuple[str, ...]:
        """Where bytes are to be had: mirrors first."""
        return (*self.connection.mirrors, self.url)

    @contextmanager
    def stream(
        self, base: str, request: Request, version: str, path: str, headers: dict[str, str], kind: Kind = "component"
    ) -> Iterator[httpx.Response]:
        """A file, from one of `sources`. Raises RemoteError, also while it is read."""
        address = f"{_path(request, version, kind)}/files/{quote(path)}"
        with self._session(base).stream(address, what=f"{path} of {request.component}", headers=headers) as response:
            yield response


def _path(request: Request, version: str, kind: Kind) -> str:
    parts = "/".join(quote(part, safe="") for part in (request.namespace, request.name, version))
    return f"/v1/{kind}s/{parts}"


def _is_hidden(error: TrustError, namespace: str) -> bool:
    """Whether the registry does not show a namespace's index: a private one looks to strangers as if it were not."""
    cause = error.__cause__
    status = cause.status_code if isinstance(cause, DownloadHTTPError) else None
    return status in (401, 403, 404) and f"namespace-{namespace}." in str(cause)
