"""Builds in a registry: asked for, looked at, cancelled, tried again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal
from urllib.parse import quote

from flowctl_core.client.problem import printable
from flowctl_core.client.session import Session
from flowctl_core.errors import UsageError
from flowctl_core.models.remote_build import RemoteBuild, RemoteBuilds

_ID = re.compile(r"[0-9a-f]{32}")
_TRIED = 8
"""Pages that are asked for at most."""

Kind = Literal["component", "bundle"]


def is_build(text: str) -> bool:
    """True for the id of a build."""
    return _ID.fullmatch(text) is not None


def check_id(text: str) -> str:
    """The id of a build. Raises UsageError."""
    if not is_build(text):
        raise UsageError(f"{text} is no build", hint="A build is named by 32 hex digits: `flowctl build list`.")
    return text


def request_build(
    session: Session,
    kind: Kind,
    namespace: str,
    name: str,
    *,
    repository: str,
    subdirectory: str,
    ref: str,
    version: str,
) -> RemoteBuild:
    """Ask for the build of a version, or find the one that was asked for before. Raises RemoteError.

    The registry takes the same request for the same build, so that it may be repeated.
    """
    asked = {
        "repository": repository, "subdirectory": subdirectory, "ref": ref, "version": version, "trigger": "publish",
    }  # fmt: skip
    path = f"/v1/{kind}s/{quote(namespace, safe='')}/{quote(name, safe='')}/builds"
    return session.ask("POST", path, RemoteBuild, what=f"a build of {namespace}/{name}", body=asked, repeat=True)


def show_build(session: Session, build_id: str) -> RemoteBuild:
    """A build with its timeline. Raises NotFoundError."""
    return session.document(RemoteBuild, f"/v1/builds/{check_id(build_id)}", what=f"build {build_id}")


def list_builds(
    session: Session, *, namespace: str | None, name: str | None, state: str | None, limit: int
) -> list[RemoteBuild]:
    """The newest builds, of all that may be seen or of those that are named. Raises RemoteError."""
    found: list[RemoteBuild] = []
    cursor: str | None = None
    for _ in range(_TRIED):
        query = {
            "namespace": namespace, "name": name, "state": state, "cursor": cursor, "limit": min(100, limit),
        }  # fmt: skip
        page = session.document(RemoteBuilds, "/v1/builds", what="the list of builds", query=query)
        found += page.items
        cursor = page.next
        if cursor is None or len(found) >= limit:
            break
    return found[:limit]


def cancel_build(session: Session, build_id: str) -> RemoteBuild:
    """End a build. Raises ConflictError when it has ended already."""
    what = f"build {check_id(build_id)}"
    return session.ask("POST", f"/v1/builds/{build_id}/cancel", RemoteBuild, what=what, repeat=True)


def retry_build(session: Session, build_id: str) -> RemoteBuild:
    """Queue a build again that failed or was cancelled. Raises ConflictError for one that did not."""
    return session.ask("POST", f"/v1/builds/{check_id(build_id)}/retry", RemoteBuild, what=f"build {build_id}")


def read_log(session: Session, build_id: str, *, step: str | None, platform: str | None) -> Iterator[str]:
    """A build's log up to now, piece by piece, without control characters. Raises RemoteError."""
    from codecs import getincrementaldecoder
    from urllib.parse import urlencode

    query = urlencode({k: v for k, v in (("step", step), ("platform", platform)) if v is not None})
    decoder = getincrementaldecoder("utf-8")(errors="replace")
    path = f"/v1/builds/{check_id(build_id)}/logs{'?' + query if query else ''}"
    with session.stream(path, what=f"the log of build {build_id}") as response:
        for piece in response.iter_bytes():
            yield printable(decoder.decode(piece))
    yield printable(decoder.decode(b"", final=True))
