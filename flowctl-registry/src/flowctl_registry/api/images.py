"""The pull part of the OCI distribution API v1.1 over the images of published components.

It stands beside the endpoints of `/v1`: its errors, its authentication and its document are those of the specification.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from anyio import to_thread
from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flowctl_registry.api.blob_response import blob_response
from flowctl_registry.api.image_access import admit, greet
from flowctl_registry.api.image_errors import VERSION_HEADER
from flowctl_registry.api.image_login import give_token
from flowctl_registry.api.ranges import precondition
from flowctl_registry.catalog import pulling
from flowctl_registry.catalog.images import INDEX_TYPE
from flowctl_registry.database.engine import reading
from flowctl_registry.errors import (
    BadRequestError,
    DigestInvalidError,
    ManifestUnknownError,
    NotFoundError,
    UnavailableError,
)
from flowctl_registry.models.names import DIGEST_PATTERN, NAME_PATTERN
from flowctl_registry.services import Services

_NAME = re.compile(NAME_PATTERN.removesuffix("$") + r"\Z")
_DIGEST = re.compile(DIGEST_PATTERN.removesuffix("$") + r"\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_YEAR = "max-age=31536000, immutable"
_TAGS_AT_ONCE = 1_000
_TEXT_LIMIT = 256


@dataclass(frozen=True)
class _Pull:
    """A request whose caller may pull from the repository that it names."""

    services: Services
    request: Request
    namespace: str
    name: str

    def find(self, asked: Callable[[Connection, pulling.Repository], Any]) -> tuple[pulling.Repository, Any]:
        """The repository, and what is looked for in it."""
        with reading(self.services.engine) as connection:
            repository = pulling.find_repository(connection, self.namespace, self.name)
            return repository, asked(connection, repository)


def image_routes(services: Services) -> list[Route]:
    """Routes for Starlette."""

    def pull(handler: Callable[[_Pull], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            namespace, name = request.path_params["ns"], request.path_params["name"]
            if not (_NAME.match(namespace) and _NAME.match(name) and max(len(namespace), len(name)) <= 128):
                raise BadRequestError("that is no name of a repository", hint="Ask for NAMESPACE/NAME.")
            request.state.principal = await to_thread.run_sync(admit, services, request, namespace, name)
            return await handler(_Pull(services, request, namespace, name))

        return serve

    async def base(request: Request) -> Response:
        request.state.principal = await to_thread.run_sync(greet, services, request)
        return JSONResponse({}, headers=VERSION_HEADER)

    async def token(request: Request) -> Response:
        return await to_thread.run_sync(give_token, services, request)

    repository = "/v2/{ns}/{name}"
    return [
        Route("/v2/", base, methods=["GET"]),
        Route("/v2/token", token, methods=["GET"]),
        Route(repository + "/manifests/{reference}", pull(_manifest), methods=["GET"]),
        Route(repository + "/blobs/{digest}", pull(_blob), methods=["GET"]),
        Route(repository + "/tags/list", pull(_tags), methods=["GET"]),
        Route(repository + "/referrers/{digest}", pull(_referrers), methods=["GET"]),
        Route("/v2/{rest:path}", _nothing, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]


async def _manifest(call: _Pull) -> Response:
    reference = call.request.path_params["reference"]
    by_digest = _DIGEST.match(reference) is not None
    if not by_digest and not _TAG.fullmatch(reference):
        kind = DigestInvalidError if ":" in reference else BadRequestError
        raise kind("that is neither a tag nor a digest", hint="Ask for v1.2.3 or sha256:....")

    repository, found = await to_thread.run_sync(
        call.find, lambda connection, repository: pulling.find_manifest(connection, repository, reference)
    )
    _check_accepted(call.request, found)
    headers = {
        **VERSION_HEADER,
        "Docker-Content-Digest": found.digest,
        "ETag": f'"{found.digest}"',
        "Cache-Control": _caching(call, repository) if by_digest else "no-cache",
        "Content-Type": found.media_type,
        "X-Content-Type-Options": "nosniff",
    }
    status = precondition(call.request.headers, headers["ETag"])
    if status is not None:
        return Response(status_code=status, headers=headers)
    if call.request.method == "HEAD":
        return Response(headers=headers | {"Content-Length": str(found.size)})
    try:
        data = await to_thread.run_sync(call.services.blobs.read, found.digest, found.size)
    except NotFoundError as error:  # the image is there: clients should try again, not believe that it is not
        raise UnavailableError(error.message, hint="`flowctl-registry fsck` says what else is missing.") from error
    if found.is_image:  # once a pull, whatever the client asks before and after
        await to_thread.run_sync(call.services.downloads.note, repository.component_id)
    return Response(data, headers=headers)


def _check_accepted(request: Request, found: pulling.Descriptor) -> None:
    """A client that knows no such manifest is told so: given one, it would fail with less to go by."""
    accepted = [each.partition(";")[0].strip() for each in ",".join(request.headers.getlist("accept")).split(",")]
    if any(accepted) and not {found.media_type, "application/*", "*/*"} & set(accepted):
        raise ManifestUnknownError(f"the image is of type {found.media_type}, which the client does not accept")


async def _blob(call: _Pull) -> Response:
    digest = _digest(call.request)
    repository, found = await to_thread.run_sync(
        call.find, lambda connection, repository: pulling.find_blob(connection, repository, digest)
    )
    return await blob_response(
        call.services,
        call.request,
        found.digest,
        found.size,
        found.media_type,
        cache_control=_caching(call, repository),
        headers={**VERSION_HEADER, "Docker-Content-Digest": digest},
    )


async def _tags(call: _Pull) -> Response:
    asked = call.request.query_params
    number, after = asked.get("n", str(_TAGS_AT_ONCE)), asked.get("last")
    if not re.fullmatch(r"[0-9]{1,9}", number):
        raise BadRequestError("n is how many tags are wanted", hint="Give a number, such as n=100.")
    limit = min(int(number), _TAGS_AT_ONCE)
    _check_text(after)
    _, (tags, more) = await to_thread.run_sync(
        call.find, lambda connection, repository: pulling.list_tags(connection, repository, limit, after)
    )
    repository = f"{call.namespace}/{call.name}"
    headers = {**VERSION_HEADER, "Cache-Control": "no-cache"}
    if more and tags:
        following = urlencode({"n": limit, "last": tags[-1]})
        headers["Link"] = f'</v2/{repository}/tags/list?{following}>; rel="next"'
    return JSONResponse({"name": repository, "tags": tags}, headers=headers)


async def _referrers(call: _Pull) -> Response:
    digest, kind = _digest(call.request), call.request.query_params.get("artifactType") or None
    _check_text(kind)
    _, found = await to_thread.run_sync(
        call.find, lambda connection, repository: pulling.list_referrers(connection, repository, digest, kind)
    )
    headers = {**VERSION_HEADER, "Cache-Control": "no-cache"}
    if kind is not None:
        headers["OCI-Filters-Applied"] = "artifactType"
    body = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": found}
    return JSONResponse(body, headers=headers, media_type=INDEX_TYPE)


async def _nothing(request: Request) -> Response:
    if request.method in ("GET", "HEAD"):
        raise HTTPException(404, "this registry has no such address")
    raise HTTPException(
        405, "images are not pushed here: publish the component's release", headers={"Allow": "GET, HEAD"}
    )


def _check_text(value: str | None) -> None:
    if value is not None and (len(value) > _TEXT_LIMIT or "\0" in value):
        raise BadRequestError("a parameter is too long, or has a zero byte in it")


def _digest(request: Request) -> str:
    digest: str = request.path_params["digest"]
    if not _DIGEST.match(digest):
        raise DigestInvalidError("that is no digest", hint="This registry has sha256:<64 hexadecimal digits> only.")
    return digest


def _caching(call: _Pull, repository: pulling.Repository) -> str:
    shared = call.services.settings.access.anonymous_read and not repository.private
    return ("public, " if shared else "private, ") + _YEAR
