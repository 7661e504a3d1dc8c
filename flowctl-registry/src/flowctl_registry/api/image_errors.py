"""Errors of the distribution API: its clients read its own JSON, not problem+json."""

from __future__ import annotations

import math
import re
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from flowctl_core.errors import FlowctlError
from flowctl_registry.access.image_tokens import SERVICE
from flowctl_registry.errors import (
    BadRequestError,
    BlobUnknownError,
    DigestInvalidError,
    ForbiddenError,
    ManifestUnknownError,
    NotFoundError,
    RegistryError,
    TooManyRequestsError,
    UnauthorizedError,
    UnavailableError,
)

PREFIX = "/v2/"
VERSION_HEADER = {"Docker-Distribution-API-Version": "registry/2.0"}
_REPOSITORY = re.compile(r"/v2/([^/]+/[^/]+)/(?:manifests|blobs|tags|referrers)/")
_CODES: tuple[tuple[type[RegistryError], str], ...] = (
    (ManifestUnknownError, "MANIFEST_UNKNOWN"),
    (BlobUnknownError, "BLOB_UNKNOWN"),
    (NotFoundError, "NAME_UNKNOWN"),
    (DigestInvalidError, "DIGEST_INVALID"),
    (BadRequestError, "NAME_INVALID"),
    (UnauthorizedError, "UNAUTHORIZED"),
    (ForbiddenError, "DENIED"),
    (TooManyRequestsError, "TOOMANYREQUESTS"),
    (UnavailableError, "UNAVAILABLE"),
)


def image_error_response(error: FlowctlError | HTTPException, request: Request) -> Response:
    """The answer for an error below `/v2/`."""
    headers = {**VERSION_HEADER, "Cache-Control": "no-store"}  # caches may keep a 404 otherwise
    detail: object = None
    if isinstance(error, HTTPException):
        status, told = error.status_code, error.detail
        code = "UNSUPPORTED"
        headers |= dict(error.headers or {})
    else:
        status, told = error.http_status, error.message
        code = next(
            (code for kind, code in _CODES if isinstance(error, kind)), "UNKNOWN" if status >= 500 else "UNSUPPORTED"
        )
        detail = error.hint
        if isinstance(error, RegistryError) and error.retry_after_s is not None:
            headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    if status == 401:
        headers["WWW-Authenticate"] = _challenge(request)
    body = {"errors": [{"code": code, "message": told, **({"detail": detail} if detail else {})}]}
    return JSONResponse(body, status, headers)


def base_url(request: Request) -> str:
    """The registry's address as its clients see it, without a slash at its end."""
    public = request.app.state.services.settings.server.public_url
    if public is not None:
        parts = urlsplit(public)
        return f"{parts.scheme}://{parts.netloc}"
    return str(request.base_url).rstrip("/")


def _challenge(request: Request) -> str:
    """Where a token is fetched that would do (distribution's token authentication specification)."""
    if request.url.path == "/v2/token":
        return f'Basic realm="{SERVICE}"'
    told = f'Bearer realm="{base_url(request)}/v2/token",service="{SERVICE}"'
    match = _REPOSITORY.match(request.url.path)
    if match is not None:
        told += f',scope="repository:{match[1]}:pull"'
    if "authorization" in request.headers:
        told += ',error="insufficient_scope"' if match is not None else ',error="invalid_token"'
    return told
