"""Reads versions of components from a registry: the list of their files, and single files by digest."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

from pydantic import Field

from flowctl_core.client.session import Session
from flowctl_core.errors import RemoteError, UsageError
from flowctl_core.models.base import Frozen

DOCUMENT_LIMIT = 64 * 2**20
"""Bytes of one answer or document."""
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_REFERENCE = re.compile(rf"(?P<namespace>{_NAME})/(?P<name>{_NAME})@v?(?P<version>[0-9A-Za-z][0-9A-Za-z.+_-]*)")


class Reference(NamedTuple):
    """A version of a component in a registry."""

    namespace: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}@{self.version}"


class ListedFile(Frozen):
    """A file of a version."""

    path: str
    """As in `dist/`."""
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    size: int


class Version(Frozen):
    """A published version."""

    version: str
    binaries: tuple[ListedFile, ...] = ()
    containers: tuple[ListedFile, ...] = ()
    metadata: tuple[ListedFile, ...] = ()

    @property
    def files(self) -> dict[str, ListedFile]:
        """All files by path."""
        return {file.path: file for file in (*self.binaries, *self.containers, *self.metadata)}


def is_reference(text: str) -> bool:
    """True for `ns/name@version`."""
    return _REFERENCE.fullmatch(text) is not None


def parse_reference(text: str) -> Reference:
    """Read `ns/name@version`. Raises UsageError."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text} is no version of a component", hint="Write NAMESPACE/NAME@VERSION.")
    return Reference(**match.groupdict())


class RegistryClient:
    """Asks one registry for versions; the session stays the caller's."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def version(self, reference: Reference) -> Version:
        """What the registry lists. Raises RemoteError."""
        return self._session.document(Version, _path(reference), what=str(reference))

    def document(self, reference: Reference, file: ListedFile) -> bytes:
        """A file, compared with its digest. Raises RemoteError."""
        content = self._session.content(
            f"{_path(reference)}/files/{quote(file.path)}", what=f"{file.path} of {reference}", limit=DOCUMENT_LIMIT
        )
        if f"sha256:{sha256(content).hexdigest()}" != file.digest:
            raise RemoteError(
                f"{file.path} of {reference} is not the file that the registry lists",
                hint="Ask the registry's operator to check what it stores.",
            )
        return content


def _path(reference: Reference) -> str:
    return "/v1/components/" + "/".join(quote(part, safe="") for part in reference)
