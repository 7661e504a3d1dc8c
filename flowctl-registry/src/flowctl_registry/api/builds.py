"""Builds: asked for, looked at, cancelled, tried again."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection
from starlette.responses import Response

from flowctl_registry import audit
from flowctl_registry.access.visibility import visible_namespaces
from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.builds import cancelling, timeline
from flowctl_registry.builds.requests import Wanted, request_build
from flowctl_registry.database.engine import reading, snapshot, writing
from flowctl_registry.models.build import BuildDocument, BuildPage, BuildQuery, BuildRequest
from flowctl_registry.models.names import Kind


def create(call: Call) -> Response:
    """Queue a build; the same request again finds the build that there is."""
    asked: BuildRequest = call.body
    kind: Kind = "bundle" if call.request.url.path.startswith("/v1/bundles/") else "component"
    wanted = Wanted(
        kind,
        call.path["ns"],
        call.path["name"],
        asked.trigger,
        call.principal.shown,
        repository=asked.repository,
        ref=asked.ref,
        subdirectory=asked.subdirectory,
        version=asked.version,
        request_key=asked.request_key,
    )
    settings = call.services.settings
    requested = writing(
        call.services.engine, lambda connection: request_build(connection, settings, wanted, call.request_id)
    )
    shown = _document(call, requested.build_id).model_dump_json(exclude_none=True)
    return Response(
        shown,
        status_code=202 if requested.created else 200,
        media_type="application/json",
        headers={"Location": f"/v1/builds/{requested.build_id}"},
    )


def listed(call: Call) -> BuildPage:
    """Those of namespaces that the caller may know of, the newest first."""
    query: BuildQuery = call.query
    names = visible_namespaces(call.services, call.principal)
    with snapshot(call.services.engine) as connection:
        return timeline.page(connection, query, names)


def show(call: Call) -> BuildDocument:
    """How far it is: its timeline, its place in the queue, and an estimate."""
    return _document(call, call.path["build"])


def cancel(call: Call) -> BuildDocument:
    """End it: one that waits at once, one that runs within 2 s."""

    def change(connection: Connection) -> None:
        before = timeline.document(connection, call.path["build"]).state
        cancelling.cancel(connection, call.path["build"], call.principal.shown)
        if before != "cancelled":
            _note(call, connection, "build.cancel")

    writing(call.services.engine, change)
    return show(call)


def retry(call: Call) -> BuildDocument:
    """Queue it again after it failed or was cancelled; what it completed is not done again."""

    def change(connection: Connection) -> None:
        cancelling.retry(connection, call.path["build"])
        _note(call, connection, "build.retry")

    writing(call.services.engine, change)
    return show(call)


def _document(call: Call, build_id: str) -> BuildDocument:
    with reading(call.services.engine) as connection:
        return timeline.document(connection, build_id)


def _note(call: Call, connection: Connection, action: str) -> None:
    audit.record(connection, call.principal.shown, action, call.path["build"], None, call.request_id)


def _requests(kinds: str) -> Endpoint:
    return Endpoint(
        "POST", f"/v1/{kinds}/{{ns}}/{{name}}/builds", create, "publish", "Ask for a build", "builds",
        body=BuildRequest, answer=BuildDocument, status=202, answers={200: "There is such a build"}, errors=(404, 409),
    )  # fmt: skip


_OF_BUILD = partial(Endpoint, tag="builds", place=timeline.BUILD, answer=BuildDocument)
ENDPOINTS = (
    _requests("components"),
    _requests("bundles"),
    Endpoint(
        "GET", "/v1/builds", listed, "read", "List builds", "builds",
        query=BuildQuery, answer=BuildPage, errors=(404,),
    ),
    _OF_BUILD("GET", "/v1/builds/{build}", show, "read", "A build with its timeline"),
    _OF_BUILD("POST", "/v1/builds/{build}/cancel", cancel, "publish", "Cancel a build", errors=(409,)),
    _OF_BUILD("POST", "/v1/builds/{build}/retry", retry, "publish", "Try a build again", errors=(409,)),
)  # fmt: skip
