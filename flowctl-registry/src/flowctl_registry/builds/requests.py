"""Asking for builds: one row in the queue, however often the same is asked for."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import Connection, and_, insert, or_, select

from flowctl_registry import audit
from flowctl_registry.access.namespaces import find
from flowctl_registry.builds import git_url, queue
from flowctl_registry.builds.sources import find_source
from flowctl_registry.database.build_tables import builds
from flowctl_registry.database.engine import now
from flowctl_registry.database.tables import components, versions
from flowctl_registry.errors import BadRequestError, ConflictError
from flowctl_registry.models.build import Trigger
from flowctl_registry.models.names import Kind
from flowctl_registry.settings import Settings

_GOES_ON = ("queued", "running")


@dataclass(frozen=True)
class Wanted:
    """What somebody wants to be built."""

    kind: Kind
    namespace: str
    name: str
    trigger: Trigger
    requested_by: str
    repository: str | None = None
    """None: where the component's source is registered."""
    ref: str | None = None
    """Tag, branch, commit or `refs/…`; None: the newest tag of the source's pattern, found when it is cloned."""
    subdirectory: str | None = None
    version: str | None = None
    """That it must turn out to be: `decide` compares."""
    commit: str | None = None
    """That the ref stood for when it was asked for, where that is known."""
    request_key: str | None = None
    """Two requests for a component with the same one are one, whatever became of it."""

    @property
    def stored_key(self) -> str | None:
        """Nobody finds, or takes, what others asked for."""
        if self.request_key is None:
            return None
        told = f"{self.kind}\0{self.namespace}\0{self.name}\0{self.request_key}"
        return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True)
class Requested:
    """The answer to a request."""

    build_id: str
    created: bool
    """False: the same was asked for before."""


def request_build(
    connection: Connection, settings: Settings, wanted: Wanted, request_id: str | None = None
) -> Requested:
    """Queue a build, or find the one that does the same. In a transaction of `writing`.

    The same is: the same `request_key`; for webhooks one of the same source, ref and commit, for publish requests only
    while it goes on or when it succeeded; the build that made the version which is asked for. Raises BadRequestError,
    NotFoundError without such a namespace, ConflictError for a version that was not built here, TooManyRequestsError.
    """
    find(connection, wanted.namespace)  # locked: the same request at another process waits here
    source = find_source(connection, (wanted.kind, wanted.namespace, wanted.name))
    repository = wanted.repository or (source.repository if source is not None else None)
    if repository is None:
        raise BadRequestError(
            f"no source is registered for {wanted.namespace}/{wanted.name}",
            hint="Name the `repository`, or let an owner register the source: PUT …/source.",
        )
    url = git_url.parse(repository, settings.sources)
    ref = git_url.check_ref(wanted.ref) if wanted.ref is not None else None
    default = source.subdirectory if source is not None and source.repository_key == url.key else "."
    subdirectory = git_url.check_subdirectory(wanted.subdirectory) if wanted.subdirectory is not None else default
    known = _known(connection, wanted, url.text, subdirectory)
    if known is not None:
        return Requested(known, created=False)
    queue.check_room(connection, settings.builds, wanted.namespace)
    build_id = new_id()
    connection.execute(
        insert(builds).values(
            id=build_id,
            kind=wanted.kind,
            namespace=wanted.namespace,
            name=wanted.name,
            repository=url.text,
            subdirectory=subdirectory,
            ref=ref,
            commit=wanted.commit,
            trigger=wanted.trigger,
            priority=queue.PRIORITIES[wanted.trigger],
            state="queued",
            requested_by=wanted.requested_by[:256],
            request_key=wanted.stored_key,
            version=wanted.version,
            created_at=now(connection),
        )
    )
    detail = {"build": build_id, "trigger": wanted.trigger, "repository": url.text, "ref": ref}
    target = f"{wanted.namespace}/{wanted.name}"
    audit.record(connection, wanted.requested_by, "build.request", target, detail, request_id)
    return Requested(build_id, created=True)


def new_id() -> str:
    """Of a build; later ones sort later."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def _known(connection: Connection, wanted: Wanted, repository: str, subdirectory: str) -> str | None:
    of_component = (
        builds.c.kind == wanted.kind, builds.c.namespace == wanted.namespace, builds.c.name == wanted.name,
    )  # fmt: skip
    newest = select(builds.c.id).order_by(builds.c.created_at.desc(), builds.c.id.desc()).limit(1)
    found: str | None = None
    if wanted.request_key is not None:
        found = connection.execute(newest.where(builds.c.request_key == wanted.stored_key)).scalar_one_or_none()
    if found is None and wanted.ref is not None and wanted.trigger in ("webhook", "publish"):
        same = (builds.c.ref == wanted.ref, builds.c.repository == repository, builds.c.subdirectory == subdirectory)
        not_cloned = and_(builds.c.commit.is_(None), builds.c.state.in_(_GOES_ON))
        commit = () if wanted.commit is None else (or_(not_cloned, builds.c.commit == wanted.commit),)
        # what failed is tried again when people ask for it, not when a machine tells the same once more
        states = () if wanted.trigger == "webhook" else (builds.c.state.in_((*_GOES_ON, "succeeded")),)
        found = connection.execute(newest.where(*of_component, *same, *commit, *states)).scalar_one_or_none()
    if found is None and wanted.version is not None:
        version_id = version_there(connection, wanted.kind, wanted.namespace, wanted.name, wanted.version)
        if version_id is not None:
            made = newest.where(*of_component, builds.c.version_id == version_id)
            found = connection.execute(made).scalar_one_or_none()
            if found is None:
                raise ConflictError(
                    f"{wanted.namespace}/{wanted.name} {wanted.version} exists, and was not built here",
                    hint="A version means one thing for ever: build a new one.",
                )
    return found


def version_there(connection: Connection, kind: str, namespace: str, name: str, version: str) -> int | None:
    """Id of a version that was published, even if it was removed since."""
    query = (
        select(versions.c.id)
        .join(components, components.c.id == versions.c.component_id)
        .where(
            components.c.kind == kind,
            components.c.namespace == namespace,
            components.c.name == name,
            versions.c.version == version,
            versions.c.state.in_(("published", "removed")),
        )
    )
    found: int | None = connection.execute(query).scalar_one_or_none()
    return found
