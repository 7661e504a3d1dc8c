"""What an endpoint is. Routes, checks of access and the OpenAPI document all come from the same declarations."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from anyio import to_thread
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from flowctl_registry.access.authenticate import authenticate
from flowctl_registry.access.places import Place
from flowctl_registry.access.principal import Action, Principal
from flowctl_registry.api.body import read_body
from flowctl_registry.api.repeats import may_repeat
from flowctl_registry.errors import BadRequestError
from flowctl_registry.models.access import USER_PATTERN
from flowctl_registry.models.names import (
    BUILD_PATTERN,
    DIGEST_PATTERN,
    NAME_PATTERN,
    REFERENCE_PATTERN,
    VERSION_PATTERN,
    Kind,
)
from flowctl_registry.services import Services

PATTERNS = {
    "ns": NAME_PATTERN,
    "name": NAME_PATTERN,
    "version": VERSION_PATTERN,
    "digest": DIGEST_PATTERN,
    "user": USER_PATTERN,
    "token_id": r"^[0-9a-f]{16}$",
    "hook": r"^[0-9a-f]{32}$",
    "publisher": r"^[1-9][0-9]{0,17}$",
    "reference": REFERENCE_PATTERN,
    "build": BUILD_PATTERN,
}
LONGEST = 100
"""Characters of a part of a path that has a pattern, as in the models of names."""
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

    @property
    def kind(self) -> Kind:
        """What the address is of."""
        return "bundle" if self.request.url.path.startswith("/v1/bundles") else "component"


Handler = Callable[[Call], Any]
"""Runs in a thread unless it is a coroutine. Returns a model, a Response, None (204), or a coroutine that gives one."""


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
    repeatable: bool = False
    """What nobody in particular is answered depends on the address and the database alone: it may be given again."""
    place: Place | None = None
    """Where a path without `{ns}` leads: `action` is asked for there."""

    async def serve(self, services: Services, request: Request) -> Response:
        """Answer a request for this path and method."""
        path = checked_path(request.path_params)
        query = _parsed(self.query, _query_values(request), "query") if self.query else None
        if self.body is None and not inspect.iscoroutinefunction(self.handler):
            # One thread for both: a change of thread costs more than most handlers do.
            result = await to_thread.run_sync(self._in_thread, services, request, path, query)
            return self._answer(await result if inspect.iscoroutine(result) else result)
        principal = await to_thread.run_sync(authenticate, services, request, self.action, path, self.place)
        request.state.principal = principal
        body = await _body(self.body, services, request) if self.body else None
        call = Call(services, request, principal, path, query, body)
        if inspect.iscoroutinefunction(self.handler):
            handler: Callable[[Call], Awaitable[Any]] = self.handler
            result = await handler(call)
        else:
            result = await to_thread.run_sync(self.handler, call)
        return self._answer(result)

    def _in_thread(self, services: Services, request: Request, path: dict[str, str], query: Any) -> Any:
        principal = authenticate(services, request, self.action, path, self.place)
        request.state.principal = principal
        result = self.handler(Call(services, request, principal, path, query, None))
        if self.repeatable and principal.user is None:
            may_repeat(request)
        return result

    def _answer(self, result: Any) -> Response:
        if isinstance(result, Response):
            return result
        if result is None:
            return Response(status_code=204)
        if not isinstance(result, BaseModel):
            raise TypeError(f"{self.method} {self.path} answers {type(result).__name__}")
        text = result.model_dump_json(exclude_none=True)
        return Response(text, status_code=self.status, media_type="application/json")


class Resource:
    """All methods of one path.

    It takes every method, so that a path which another one's pattern covers too (`…/versions`, `…/{version}`) answers
    405 itself, with all that it allows.
    """

    def __init__(self, endpoints: list[Endpoint], services: Services) -> None:
        self._services = services
        self._methods: dict[str, Endpoint] = {endpoint.method: endpoint for endpoint in endpoints}
        if "GET" in self._methods:
            self._methods.setdefault("HEAD", self._methods["GET"])
        self.methods = frozenset(self._methods)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        request = Request(scope, receive, send)
        endpoint = self._methods.get(request.method)
        if endpoint is None:
            allowed = ", ".join(sorted(self.methods))
            raise HTTPException(405, f"{request.method} is not for this address", headers={"Allow": allowed})
        response = await endpoint.serve(self._services, request)
        await response(scope, receive, send)


def routes(endpoints: Iterable[Endpoint], services: Services) -> list[Route]:
    """For Starlette, one a path; fixed words are matched before parameters."""
    by_path: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, []).append(endpoint)
    ordered = sorted(by_path, key=lambda path: [part.startswith("{") for part in path.split("/")])
    return [Route(path, Resource(by_path[path], services), name=path) for path in ordered]


def _query_values(request: Request) -> dict[str, Any]:
    """Each parameter's text; a list of them for one that is repeated."""
    values: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        values.setdefault(name, []).append(value)
    return {name: each[0] if len(each) == 1 else each for name, each in values.items()}


def checked_path(parameters: dict[str, Any]) -> dict[str, str]:
    """The parts of a path. Raises BadRequestError for a name that breaks its rule."""
    for name, value in parameters.items():
        if not str(value).isprintable() or len(str(value)) > 512:
            raise BadRequestError(f"that is no {name}", hint="It has characters that cannot be shown, or too many.")
        pattern = PATTERNS.get(name)
        if pattern is not None and (len(value) > LONGEST or not re.fullmatch(pattern[1:-1], value)):
            raise BadRequestError(
                f"that is no {'namespace' if name == 'ns' else name}", hint=f"It must match {pattern}"
            )
    return {name: str(value) for name, value in parameters.items()}


async def _body(model: type[_Model], services: Services, request: Request) -> _Model:
    data = await read_body(request, services.settings.limits.json_bytes, services.settings.limits)
    try:
        return model.model_validate_json(data, strict=True)  # or `false` would be a number
    except ValidationError as error:
        if not any(each["type"] == "int_type" and isinstance(each["input"], float) for each in error.errors()):
            raise _told(error, "body") from None
    try:  # JSON has one kind of number, and 3.0 is an integer
        whole = json.dumps(json.loads(data, parse_float=_number))
        return model.model_validate_json(whole, strict=True)
    except ValidationError as error:
        raise _told(error, "body") from None


def _number(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() else number


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
