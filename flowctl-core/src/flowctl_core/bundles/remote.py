"""What publishing a bundle asks a registry: what is there of a member, how far its build is, the upload of the set."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import quote

from flowctl_core.client.builds import read_log, show_build
from flowctl_core.client.session import Session
from flowctl_core.errors import BuildFailedError, NotFoundError, RemoteError
from flowctl_core.models.base import Frozen
from flowctl_core.models.remote_build import ENDED, RemoteBuild

_LOOK_S = 1.0
_TAIL = 40
"""Lines of a log that are shown of a build that failed."""


class VersionSource(Frozen):
    """What a version was built from."""

    repository: str | None = None
    commit: str | None = None


class Yanked(Frozen):
    """Why a version must not be used any more."""

    at: datetime
    reason: str


class KnownVersion(Frozen):
    """A version that is published."""

    version: str
    source: VersionSource = VersionSource()
    yanked: Yanked | None = None


class _Upload(Frozen):
    id: str
    missing: tuple[str, ...]


def known_version(session: Session, kind: str, namespace: str, name: str, version: str) -> KnownVersion | None:
    """A published version; None where there is none, or none that the token shows. Raises RemoteError."""
    what = f"{namespace}/{name} {version}"
    try:
        return session.document(KnownVersion, _path(kind, namespace, name, version), what=what)
    except NotFoundError:
        return None


def follow(
    session: Session, build: RemoteBuild, tell: Callable[[str], None], stopped: Callable[[], bool]
) -> RemoteBuild:
    """Wait until a build has ended, or `stopped`.

    Raises BuildFailedError with the registry's reason and the failed tool's words, RemoteError.
    """
    told = ""
    while build.state not in ENDED and not stopped():
        now = _told(build)
        if now != told:
            told = now
            tell(told)
        time.sleep(_LOOK_S)
        build = show_build(session, build.id)
    if build.state in ("failed", "cancelled"):
        problem = build.problem
        where = f" in {problem.step} {problem.platform or ''}".rstrip() if problem is not None and problem.step else ""
        reason = f": {problem.message}" if problem is not None else ""
        ended = "was cancelled" if build.state == "cancelled" else "failed"
        raise BuildFailedError(
            f"build {build.id} of {build.what} {ended}{where}{reason}",
            hint=f"all it printed: `flowctl build logs {build.id}`; publish again when it is mended.",
            output=(problem.output if problem is not None else None) or _tail(session, build.id),
        )
    return build


def publish_files(session: Session, namespace: str, name: str, version: str, files: Mapping[str, bytes]) -> None:
    """Upload a bundle's release and publish it; the same files again change nothing. Raises RemoteError."""
    what = f"the bundle {namespace}/{name} {version}"
    digests = {path: "sha256:" + hashlib.sha256(content).hexdigest() for path, content in files.items()}
    contents = {digests[path]: content for path, content in files.items()}
    announced = [{"path": path, "digest": digests[path], "size": len(content)} for path, content in files.items()]
    base = f"{_path('bundle', namespace, name)}/uploads"
    upload = session.ask("POST", base, _Upload, what=what, body={"version": version, "files": announced})
    for digest in upload.missing:
        session.upload(f"{base}/{upload.id}/blobs/{digest}", contents[digest], what=what)
    session.ask("POST", f"{base}/{upload.id}/commit", KnownVersion, what=what, repeat=True)


def _told(build: RemoteBuild) -> str:
    """How far a build is, in words."""
    if build.state == "queued":
        return f"waiting, place {build.position} in the queue" if build.position else "waiting"
    running = [step.label for step in build.steps if step.state == "running"]
    return ", ".join(running) or build.phase or build.state


def _tail(session: Session, build_id: str) -> str | None:
    lines: deque[str] = deque(maxlen=_TAIL)
    try:
        for piece in read_log(session, build_id, step=None, platform=None):
            lines.extend(piece.splitlines())
    except RemoteError:  # the failure itself is what counts
        return None
    return "\n".join(lines) or None


def _path(kind: str, *parts: str) -> str:
    return f"/v1/{kind}s/" + "/".join(quote(part, safe="") for part in parts)
