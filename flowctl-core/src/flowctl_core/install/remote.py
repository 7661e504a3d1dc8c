"""One registry, as install sees it: its signed index, what it lists of versions, and where bytes come from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pydantic import ValidationError

from flowctl_core.errors import RemoteError, StoreError
from flowctl_core.install.request import Request
from flowctl_core.models.installed import Kind
from flowctl_core.models.published import PublishedVersion
from flowctl_core.models.signing import TrustMaterial
from flowctl_core.models.trust import ComponentIndex, TrustState
from flowctl_core.store.files import atomic_write
from flowctl_core.trust.client import TrustStore

if TYPE_CHECKING:
    import httpx

    from flowctl_core.install.http import Http

_BUNDLE = "bundle.."
"""Before a bundle's name in the signed index, where components have plain names."""


def trust_address(url: str) -> str:
    """The trust repository of a registry: what `flowctl trust pin` pins."""
    return f"{url.rstrip('/')}/v1/trust"


@dataclass
class RemoteRegistry:
    """Answers for some namespaces. A context manager. The index is not asked from several threads at once."""

    url: str
    """Base address."""
    client: Http
    """Speaks with it."""
    listings: Path
    """Folder in which lists of files are kept: a version never changes."""
    mirrors: tuple[str, ...] = ()
    """Asked for bytes first; what they send is believed no more than what the registry sends."""
    offline: bool = False
    """Ask nobody: what was verified and received before has to do."""
    _trust: TrustStore | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> RemoteRegistry:
        return self

    def __exit__(self, *_: object) -> None:
        if self._trust is not None:
            self._trust.close()
        self.client.close()

    @property
    def trust(self) -> TrustStore:
        """What may be believed of it; its root is pinned."""
        if self._trust is None:
            self._trust = TrustStore(trust_address(self.url), offline=self.offline)
        return self._trust

    def state(self) -> TrustState:
        """How fresh the index is. Raises TrustError."""
        return self.trust.state()

    def material(self) -> TrustMaterial:
        """The keys that the pinned root leads to. Raises TrustError."""
        return self.trust.material()

    def index(self, request: Request, kind: Kind = "component") -> ComponentIndex:
        """The signed index of a component or bundle. Raises TrustError, RemoteError when there is none."""
        name = request.name if kind == "component" else _BUNDLE + request.name
        index = self.trust.index(request.namespace, name)
        if index is None:
            raise RemoteError(
                f"the signed index of {self.url} has no {kind} {request.component}",
                hint=f"`flowctl component search {request.name}` shows what there is.",
            )
        return index

    def version(
        self, request: Request, version: str, kind: Kind = "component", *, fresh: bool = False
    ) -> PublishedVersion:
        """What is listed of a version, unverified; `fresh`: not what was kept. Raises RemoteError."""
        kept = self.listings / sha256(self.url.encode()).hexdigest()[:16] / kind
        kept = kept / request.namespace / request.name / f"{version}.json"
        if not fresh:
            with suppress(OSError, ValidationError):
                return PublishedVersion.model_validate_json(kept.read_bytes())
        if self.offline:
            raise RemoteError(
                f"the files of {request.component} {version} are not known on this machine",
                hint="It was never installed here: run the command once without --offline.",
            )
        address = self.address(request, version, kind)
        data = self.client.read(address, f"{request.component} {version}")
        try:
            found = PublishedVersion.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise RemoteError(
                f"{address} is no list of a version's files: {where}: {first['msg']}",
                hint="Tell the registry's operator; nothing of it is used.",
            ) from None
        if (found.namespace, found.name, found.version) != (request.namespace, request.name, version):
            raise RemoteError(
                f"{self.url} answers with {found.namespace}/{found.name} {found.version} when asked for "
                f"{request.component} {version}",
                hint="Tell the registry's operator; nothing of it is used.",
            )
        with suppress(OSError, StoreError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(kept, found.model_dump_json().encode(), durable=False)
        return found

    def address(self, request: Request, version: str, kind: Kind = "component", base: str | None = None) -> str:
        """Where the API has a version."""
        parts = "/".join(quote(part, safe="") for part in (request.namespace, request.name, version))
        return f"{(base or self.url).rstrip('/')}/v1/{kind}s/{parts}"

    def file_addresses(self, request: Request, version: str, path: str, kind: Kind = "component") -> tuple[str, ...]:
        """Where a file is to be had: mirrors first."""
        return tuple(
            f"{self.address(request, version, kind, base)}/files/{quote(path)}" for base in (*self.mirrors, self.url)
        )

    @contextmanager
    def stream(self, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """GET; see download.Transfer."""
        if self.offline:
            raise RemoteError(f"{url} is not asked while offline", hint="Run the command without --offline.")
        with self.client.stream(url, headers) as response:
            yield response
