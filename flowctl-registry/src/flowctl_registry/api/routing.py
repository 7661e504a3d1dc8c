"""What an endpoint is. Routes, checks of access and the OpenAPI document all come from the same declarations."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from anyio import to_thread
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from flowctl_registry.access.authenticate import authenticate
from flowctl_registry.access.principal import Action, Principal
from flowctl_registry.api.body import read_body
from flowctl_registry.errors import BadRequestError
from flowctl_registry.models.access import USER_PATTERN
from flowctl_registry.models.names import DIGEST_PATTERN, NAME_PATTERN, VERSION_PATTERN
from flowctl_registry.services import Services

_PATTERNS = {
    "ns": NAME_PATTERN,
    "name": NAME_PATTERN,
    "version": VERSION_PATTERN,
    "digest": DIGEST_PATTERN,
    "user": USER_PATTERN,
    "token": r"^[0-9a-f]{16}$",
    "publisher": r"^[1-9][0-9]{0,17}$",
}
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class Call:
    """A request whose caller is known and allowed, with everything validated."""

    services: Services
    request: Request
    principal: Principal
    path: dict[str, str]
    """Parts of the path, by name; checked against their patterns."""
    query: Any
    """An instance of the endpoint's `query` model; None where it has none."""
    body: Any
    """An instance of the endpoint's `body` model; None where it has none."""

    @property
    def request_id(self) -> str | None:
        """As in the logs; for the audit log."""
        return getattr(self.request.state, "request_id", None)


Handler = Callable[[Call], Any]
"""Runs in a thread unless it is a coroutine. Returns a model, a Response, or None (204)."""


@dataclass(frozen=True)
class Endpoint:
    """One method of one path."""

    method: Literal["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"]
    path: str
    """Starlette's syntax; `{ns}` is a namespace and `{name}` a component of it."""
    handler: Handler
    action: Action | None
    """What the caller must be allowed in the namespace `{ns}` (or in the registry, without one); None: open to all."""
    summary: str
    tag: str
    """Groups endpoints in the document."""
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    """Model of the answer; None for bytes or nothing."""
    status: int = 200
    answers: dict[int, str] = field(default_factory=dict)
    """Other statuses that are no errors, with their meaning."""
    errors: tuple[int, ...] = ()
    """Statuses of problems beyond those that every endpoint may answer."""
    media_type: str = "application/json"
    """Of the answer."""
    body_media_type: str = "application/json"

    def route(self, services: Services) -> Route:
        """For Starlette."""

        async def serve(request: Request) -> Response:
            return await self._serve(services, request)

        return Route(self.path, serve, methods=[self.method], name=f"{self.method} {self.path}")

    async def _serve(self, services: Services, request: Request) -> Response:
        path = checked_path(request.path_params)
        principal = await to_thread.run_sync(authenticate, services, request, self.action, path)
        request.state.principal = principal
        call = Call(
            services,
            request,
            principal,
            path,
            _parsed(self.query, dict(request.query_params), "query") if self.query else None,
            await _body(self.body, services, request) if self.body else None,
        )
        if inspect.iscoroutinefunction(self.handler):
            handler: Callable[[Call], Awaitable[Any]] = self.handler
            result = await handler(call)
        else:
            result = await to_thread.run_sync(self.handler, call)
        return self._answer(result)

    def _answer(self, result: Any) -> Response:
        if isinstance(result, Response):
            return result
        if result is None:
            return Response(status_code=204)
        if not isinstance(result, BaseModel):
            raise TypeError(f"{self.method} {self.path} answers {type(result).__name__}")
        text = result.model_dump_json(exclude_none=True)
        return Response(text, status_code=self.status, media_type="application/json")


def checked_path(parameters: dict[str, Any]) -> dict[str, str]:
    """The parts of a path. Raises BadRequestError for a name that breaks its rule."""
    for name, value in parameters.items():
        pattern = _PATTERNS.get(name)
        if pattern is not None and (len(value) > 128 or not re.fullmatch(pattern[1:-1], value)):
            raise BadRequestError(
                f"that is no {'namespace' if name == 'ns' else name}", hint=f"It must match {pattern}"
            )
        if "\0" in str(value):  # PostgreSQL has no text with one
            raise BadRequestError("the address has a NUL in it")
    return {name: str(value) for name, value in parameters.items()}


async def _body(model: type[_Model], services: Services, request: Request) -> _Model:
    data = await read_body(request, services.settings.limits.json_bytes, services.settings.limits)
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise _told(error, "body") from None


def _parsed(model: type[_Model], values: dict[str, Any], where: str) -> _Model:
    if any("\0" in str(value) for value in values.values()):
        raise BadRequestError(f"the {where} has a NUL in it")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _told(error, where) from None


def _told(error: ValidationError, where: str) -> BadRequestError:
    told = [".".join(map(str, each["loc"])) + ": " + each["msg"] for each in error.errors()[:5]]
    return BadRequestError(f"the {where} is not valid: " + "; ".join(told).strip(": "))
