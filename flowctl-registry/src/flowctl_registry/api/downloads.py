"""Downloading the files of a version: by what they are, or by their path in `dist/`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.responses import Response

from flowctl_registry.api.blob_response import IMMUTABLE, blob_response
from flowctl_registry.api.repeats import data_version, may_repeat
from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.catalog import files
from flowctl_registry.models.download import DownloadQuery

Sending = Coroutine[Any, Any, Response]
_ANSWERS = {
    206: "The part of the file that `Range` asks for",
    304: "The client has it: `If-None-Match`",
    307: "The file is at the blob store, at the address in `Location`",
}


def by_target(call: Call) -> Sending:
    """The one file that the query names."""
    return _send(call, _found(call, files.find_target, call.query))


def by_path(call: Call) -> Sending:
    """A file by its path."""
    return _send(call, _found(call, files.find_path, call.path["path"]))


def _found(call: Call, find: Callable[..., files.FoundFile], what: Any) -> files.FoundFile:
    recent: files.RecentFiles = call.request.app.state.recent_files
    key = (call.kind, call.path["ns"], call.path["name"], call.path["reference"], what)
    return recent.get(key, find, call.services, data_version(call.request))


def _send(call: Call, found: files.FoundFile) -> Sending:
    asked = call.request.headers.get("range", "")
    if found.counted and call.request.method == "GET" and asked in ("", "bytes=0-"):
        call.services.downloads.note(found.component_id)
    shared = call.services.settings.access.anonymous_read and not found.private
    reader = "public" if shared else "private"
    if shared and call.principal.user is None:
        may_repeat(call.request, found.component_id if found.counted else None)
    caching, headers = IMMUTABLE.replace("public", reader), {}
    if call.path["reference"] == "latest":
        caching = f"{reader}, no-cache"
        address = f"/v1/{call.kind}s/{call.path['ns']}/{call.path['name']}/{found.version}/files/{found.path}"
        if not found.media_type.startswith("application/vnd.oci."):
            headers["Content-Location"] = address
    return blob_response(
        call.services, call.request, found.digest, found.size, found.media_type,
        filename=found.path.rpartition("/")[2], cache_control=caching, headers=headers,
    )  # fmt: skip


def _endpoints(kinds: str) -> tuple[Endpoint, ...]:
    base = f"/v1/{kinds}/{{ns}}/{{name}}/{{reference}}"
    return (
        Endpoint(
            "GET", base + "/download", by_target, "read", "Download by kind and platform", kinds,
            query=DownloadQuery, answers=_ANSWERS, errors=(404, 412, 416, 503), media_type="application/octet-stream",
        ),
        Endpoint(
            "GET", base + "/files/{path:path}", by_path, "read", "Download a file by its path in dist/", kinds,
            answers=_ANSWERS, errors=(404, 412, 416, 503), media_type="application/octet-stream",
        ),
    )  # fmt: skip


ENDPOINTS = (*_endpoints("components"), *_endpoints("bundles"))
