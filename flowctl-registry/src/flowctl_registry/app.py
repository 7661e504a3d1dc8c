"""The Starlette application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from granian.utils.proxies import wrap_asgi_with_proxy_headers
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from flowctl_core.errors import FlowctlError
from flowctl_registry.access.issuers import Keys
from flowctl_registry.access.limiting import Limiter
from flowctl_registry.api.endpoints import ENDPOINTS
from flowctl_registry.api.images import image_routes
from flowctl_registry.api.repeats import Repeats
from flowctl_registry.api.routing import routes
from flowctl_registry.catalog.files import RecentFiles
from flowctl_registry.problems import on_error
from flowctl_registry.services import Services
from flowctl_registry.settings import Settings


def create_app(settings: Settings) -> Starlette:
    """The registry's application. Raises what Services.open raises."""
    services = Services.open(settings)
    limiter = Limiter(settings.limits)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        services.close()

    app = Starlette(
        routes=[*routes(ENDPOINTS, services), *image_routes(services)],
        exception_handlers={HTTPException: on_error, FlowctlError: on_error, Exception: on_error},
        middleware=[
            Middleware(wrap_asgi_with_proxy_headers, trusted_hosts=list(settings.server.trusted_proxies)),
            Middleware(Repeats, services, limiter),
        ],
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # an address has one spelling
    app.state.services = services
    app.state.is_ending = lambda: False  # the server knows
    app.state.recent_files = RecentFiles()
    app.state.limiter = limiter
    app.state.oidc_keys = Keys()
    return app
