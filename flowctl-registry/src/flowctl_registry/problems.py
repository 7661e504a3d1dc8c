"""The one place where an error becomes an HTTP answer: problem+json (RFC 9457)."""

from __future__ import annotations

import logging
import math

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from flowctl_core.errors import FlowctlError, InternalError
from flowctl_registry.api import image_errors
from flowctl_registry.errors import RegistryError, UnauthorizedError
from flowctl_registry.models.problem import Problem

_LOG = logging.getLogger(__name__)
_TYPE = "urn:flowctl:problem:"


def problem_response(error: Exception, request: Request) -> Response:
    """The answer for an error. What is no FlowctlError is a fault of ours: logged whole, told in a word."""
    headers: dict[str, str] = {}
    if not isinstance(error, (HTTPException, FlowctlError)):
        _LOG.error("a request failed", exc_info=error)
        error = InternalError("this is a fault of the registry", hint="Report it with the id of the request.")
    if request.url.path.startswith(image_errors.PREFIX):
        return image_errors.image_error_response(error, request)
    if isinstance(error, HTTPException):
        headers |= dict(error.headers or {})
        code, status, told, hint = "http", error.status_code, str(error.detail), None
    else:
        code, status, told, hint = error.code, error.http_status, error.message, error.hint
        if isinstance(error, RegistryError) and error.retry_after_s is not None:
            headers["Retry-After"] = str(math.ceil(error.retry_after_s))
        if isinstance(error, UnauthorizedError):
            headers["WWW-Authenticate"] = error.challenge
    problem = Problem(
        type=_TYPE + code,
        title=code.replace("-", " "),
        status=status,
        detail=told,
        hint=hint,
        request_id=getattr(request.state, "request_id", None),
    )
    return JSONResponse(
        problem.model_dump(mode="json", exclude_none=True),
        status_code=status,
        headers=headers,
        media_type="application/problem+json",
    )


async def on_error(request: Request, error: Exception) -> Response:
    """Starlette's exception handler for all errors."""
    return problem_response(error, request)
