"""What the steps of a bundle's build do: one build for each member that is not published yet, then the set of all.

`decide` asks for the members' builds and puts the bundle's own back into the queue until they have ended; then it pins
what they published.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, or_, select

from flowctl_core.errors import BuildError
from flowctl_core.models.bundle_set import BUNDLE_PATH, MEMBERS_PATH, BundleSet, PinnedMember
from flowctl_registry.builds.bundle_source import SourceBundle, SourceMember
from flowctl_registry.builds.jobs import Answer, PostponedError, StepCall
from flowctl_registry.builds.requests import Wanted, request_build
from flowctl_registry.builds.snapshots import Snapshots
from flowctl_registry.database.build_tables import build_waits, builds
from flowctl_registry.database.engine import writing
from flowctl_registry.database.tables import components, namespaces, subjects, versions
from flowctl_registry.database.upsert import insertion_into
from flowctl_registry.errors import NotFoundError
from flowctl_registry.services import Services


def pin_members(services: Services, call: StepCall, row: Row[Any], bundle: SourceBundle) -> BundleSet:
    """The members as they are published.

    Raises PostponedError when some are being built, BuildError when one of those builds failed, NotFoundError for a
    member that is neither published nor in the repository.
    """

    def change(connection: Connection) -> tuple[PinnedMember, ...]:
        found = []
        for member in bundle.members:
            namespace = member.namespace or row.namespace
            digests = _published(connection, namespace, member, row.namespace)
            if digests:
                found.append(
                    PinnedMember(namespace=namespace, name=member.name, version=member.version, digests=digests)
                )
            else:
                _build(services, connection, call, row, member, namespace)
        return tuple(found)

    found = writing(services.engine, change)
    missing = len(bundle.members) - len(found)
    if missing:
        call.log(f"==> waiting for {missing} of {len(bundle.members)} members\n".encode())
        raise PostponedError
    return BundleSet(namespace=row.namespace, name=bundle.name, version=bundle.version, members=found)


def _published(connection: Connection, namespace: str, member: SourceMember, own: str) -> dict[str, str]:
    """What the signed index has of a member, where everybody who may see the bundle may see it too."""
    query = (
        select(subjects.c.name, subjects.c.digest)
        .join(versions, versions.c.id == subjects.c.version_id)
        .join(components, components.c.id == versions.c.component_id)
        .join(namespaces, namespaces.c.name == components.c.namespace)
        .where(
            components.c.kind == "component",
            components.c.namespace == namespace,
            components.c.name == member.name,
            versions.c.version == member.version,
            versions.c.state == "published",
            or_(namespaces.c.name == own, ~namespaces.c.private),
        )
    )
    return {row.name: row.digest for row in connection.execute(query)}


def _build(
    services: Services, connection: Connection, call: StepCall, row: Row[Any], member: SourceMember, namespace: str
) -> None:
    """Ask for the build of a member, once for each try of the bundle, and wait for it."""
    shown = f"{namespace}/{member.name} {member.version}"
    if member.folder is None or namespace != row.namespace:
        raise NotFoundError(f"the member {shown} is not published", hint="Publish it, then try the bundle again.")
    wanted = Wanted(
        "component",
        namespace,
        member.name,
        row.trigger,
        row.requested_by,
        repository=row.repository,
        ref=call.answers["clone"]["commit"],
        subdirectory=member.folder,
        version=member.version,
        request_key=f"bundle {row.id} {row.attempt} {member.name}",
    )
    requested = request_build(connection, services.settings, wanted)
    made = connection.execute(select(builds.c.state, builds.c.problem).where(builds.c.id == requested.build_id)).one()
    if made.state not in ("queued", "running"):
        reason = (made.problem or {}).get("message", f"its build {made.state}")
        raise BuildError(
            f"the member {shown} could not be built: {reason}",
            hint=f"Its log: GET /v1/builds/{requested.build_id}/logs.",
        )
    if requested.created:
        call.log(f"{shown}: build {requested.build_id}\n".encode())
    waits = insertion_into(connection, build_waits).values(build_id=row.id, waits_for=requested.build_id)
    connection.execute(waits.on_conflict_do_nothing(index_elements=["build_id", "waits_for"]))


def release_files(snapshots: Snapshots, build_id: str, content: bytes, members: BundleSet) -> Answer:
    """The files of a bundle's release, as blobs: `files` as the uploads name them."""
    files = [
        {"path": path, "digest": snapshots.keep_bytes(build_id, data), "size": len(data)}
        for path, data in ((BUNDLE_PATH, content), (MEMBERS_PATH, members.text()))
    ]
    return {"files": snapshots.keep_json(build_id, {"files": files})}
