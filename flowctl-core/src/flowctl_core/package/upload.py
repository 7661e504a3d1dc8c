"""Brings one blob into a repository (distribution-spec, "Pushing blobs"): found there, mounted, or uploaded."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import httpx

from flowctl_core.errors import ImageError
from flowctl_core.package.answer import Answer
from flowctl_core.package.blobs import refusals
from flowctl_core.package.refusal import refusal
from flowctl_core.package.registry import Registry

_CHUNK = 16 * 2**20
_PIECE = 2**20
_TYPE = {"Content-Type": "application/octet-stream"}
How = Literal["there", "mounted", "uploaded"]


def upload_blob(registry: Registry, file: Path, digest: str, *, mount_from: str | None = None) -> How:
    """See that the registry has a blob, and say how it got it.

    `mount_from` is another repository of the same registry that may have it. Whole in one request; in chunks when the
    registry says that this is too large. Raises ImageError.
    """
    what = f"blob {digest} of {registry.reference.name}"
    if registry.ask("HEAD", f"blobs/{digest}").status == httpx.codes.OK:
        return "there"
    with refusals(file):
        size = file.stat().st_size

    def once() -> How:
        place = _begin(registry, digest, mount_from, what)
        if place is None:
            return "mounted"
        answer = _put(registry, place, digest, size, file)
        if answer.status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
            place = _begin(registry, digest, None, what)
            if place is not None:
                answer = _put_chunks(registry, place, digest, size, file, what)
        if answer.status != httpx.codes.CREATED:
            raise refusal(answer, registry.reference, what)
        require_digest(answer, digest, registry, what)
        return "uploaded"

    return registry.patiently(once, what)


def require_digest(answer: Answer, digest: str, registry: Registry, what: str) -> None:
    """The registry stored what was sent. Raises ImageError when it names another digest."""
    stored = answer.headers.get("Docker-Content-Digest", digest)
    if stored != digest:
        raise ImageError(
            f"{registry.reference.registry} stored {what} as {stored}",
            hint="The registry or a proxy before it changes what is pushed.",
        )


def _begin(registry: Registry, digest: str, mount_from: str | None, what: str) -> httpx.URL | None:
    """Where to upload; None when the registry took the blob from its other repository."""
    query = httpx.QueryParams({"mount": digest, "from": mount_from} if mount_from else {})
    answer = registry.once("POST", "blobs/uploads/" + (f"?{query}" if query else ""), content=b"")
    if answer.status == httpx.codes.CREATED and mount_from:
        return None
    if answer.status != httpx.codes.ACCEPTED:
        raise refusal(answer, registry.reference, what)
    return _location(registry, answer, what)


def _location(registry: Registry, answer: Answer, what: str) -> httpx.URL:
    location = answer.headers.get("Location", "")
    if not location:
        raise ImageError(f"{registry.reference.registry} does not say where to upload {what}")
    return registry.root.join(location)


def _put(registry: Registry, place: httpx.URL, digest: str, size: int, file: Path) -> Answer:
    headers = {**_TYPE, "Content-Length": str(size)}
    return registry.once("PUT", _at(place, digest), content=partial(_read, file, 0, size), headers=headers)


def _put_chunks(registry: Registry, place: httpx.URL, digest: str, size: int, file: Path, what: str) -> Answer:
    for start in range(0, size, _CHUNK):
        length = min(_CHUNK, size - start)
        headers = {**_TYPE, "Content-Length": str(length), "Content-Range": f"{start}-{start + length - 1}"}
        answer = registry.once("PATCH", str(place), content=partial(_read, file, start, length), headers=headers)
        if answer.status != httpx.codes.ACCEPTED:
            return answer
        place = _location(registry, answer, what)
    return registry.once("PUT", _at(place, digest), content=b"", headers=_TYPE)


def _at(place: httpx.URL, digest: str) -> str:
    return str(place.copy_add_param("digest", digest))


def _read(file: Path, start: int, length: int) -> Iterator[bytes]:
    with refusals(file), file.open("rb") as opened:
        opened.seek(start)
        while length and (data := opened.read(min(length, _PIECE))):
            length -= len(data)
            yield data
