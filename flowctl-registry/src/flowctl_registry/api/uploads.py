"""Uploading a finished `dist/`: announce, send what is missing, commit."""

from __future__ import annotations

from anyio import to_thread

from flowctl_registry.api.body import chunks
from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.catalog import publishing, reading, uploads
from flowctl_registry.errors import BadRequestError
from flowctl_registry.models.names import Kind
from flowctl_registry.models.upload import Upload, UploadRequest
from flowctl_registry.models.version import VersionDocument


def _kind(call: Call) -> Kind:
    return "bundle" if call.request.url.path.startswith("/v1/bundles/") else "component"


def begin(call: Call) -> Upload:
    """Claim what is there, say what is missing."""
    asked: UploadRequest = call.body
    return uploads.begin(call.services, _kind(call), call.path["ns"], call.path["name"], asked, call.principal.shown)


async def put_blob(call: Call) -> None:
    """Store one blob of an upload."""
    services, digest = call.services, call.path["digest"]
    if call.request.headers.get("content-encoding", "identity") != "identity":
        raise BadRequestError("compressed bodies are not taken")
    size = await to_thread.run_sync(uploads.wanted, services, _key(call), digest)
    await services.blobs.write(digest, size, chunks(call.request, services.settings.limits))
    await to_thread.run_sync(uploads.stored, services, _key(call), digest, size)


def show(call: Call) -> Upload:
    """What is missing still."""
    return uploads.show(call.services, _key(call))


def abandon(call: Call) -> None:
    """Give its blobs free."""
    uploads.abandon(call.services, _key(call))


def commit(call: Call) -> VersionDocument:
    """Publish the version."""
    version_id = publishing.commit(
        call.services, _key(call), call.principal.shown, getattr(call.request.state, "request_id", None)
    )
    return reading.version_document(call.services, version_id)


def _key(call: Call) -> uploads.Key:
    return uploads.Key(_kind(call), call.path["ns"], call.path["name"], call.path["id"])


def _endpoints(kinds: str) -> tuple[Endpoint, ...]:
    base = f"/v1/{kinds}/{{ns}}/{{name}}/uploads"
    return (
        Endpoint(
            "POST", base, begin, "publish", "Begin to upload a release", "publishing",
            body=UploadRequest, answer=Upload, status=201, errors=(404, 413),
        ),
        Endpoint(
            "GET", base + "/{id}", show, "publish", "What is missing still", "publishing", answer=Upload, errors=(404,),
        ),
        Endpoint(
            "DELETE", base + "/{id}", abandon, "publish", "Abandon an upload", "publishing", status=204, errors=(404,),
        ),
        Endpoint(
            "PUT", base + "/{id}/blobs/{digest}", put_blob, "publish", "Send a blob", "publishing",
            status=204, errors=(404, 413, 507), body_media_type="application/octet-stream",
        ),
        Endpoint(
            "POST", base + "/{id}/commit", commit, "publish", "Publish what was uploaded", "publishing",
            answer=VersionDocument, status=201, errors=(404, 409, 422),
        ),
    )  # fmt: skip


ENDPOINTS = (*_endpoints("components"), *_endpoints("bundles"))
