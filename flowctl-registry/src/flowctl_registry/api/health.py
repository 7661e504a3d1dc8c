"""Is it alive, is it ready, and what has it done?"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.metadata import version

import anyio
from anyio import to_thread
from sqlalchemy import text
from starlette.responses import Response

from flowctl_core.errors import FlowctlError
from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.catalog.counting import count
from flowctl_registry.database.engine import reading
from flowctl_registry.models.status import Health, Readiness
from flowctl_registry.services import Services

_PATIENCE_S = 5
_LATE_S = 300
"""A change that waits longer for the signed index is told."""


def health(_call: Call) -> Health:
    """Whatever happens to the database."""
    return Health(version=version("flowctl-registry"))


async def ready(call: Call) -> Response:
    """Ask everything that requests need, all at once."""
    services, checks = call.services, {}

    async def check(name: str, ask: Callable[[], Awaitable[str]]) -> None:
        try:
            with anyio.fail_after(_PATIENCE_S):
                checks[name] = await ask()
        except TimeoutError:
            checks[name] = f"no answer within {_PATIENCE_S} s"
        except FlowctlError as error:
            checks[name] = error.message

    async def database() -> str:
        return await to_thread.run_sync(_ask_database, services, abandon_on_cancel=True)

    async def blobs() -> str:
        await services.blobs.probe()
        return "ok"

    async def signer() -> str:
        status = await to_thread.run_sync(services.signer.status, abandon_on_cancel=True)
        checks["index"] = _index(status)
        return "ok"

    async with anyio.create_task_group() as group:
        for each in (database, blobs, signer):
            group.start_soon(check, each.__name__, each)
    checks.setdefault("index", "unknown: the signer does not answer")
    served = checks["database"] == checks["blobs"] == "ok"
    status = "not-ready" if not served else "ready" if set(checks.values()) == {"ok"} else "degraded"
    answer = Readiness(status=status, checks=dict(sorted(checks.items())))
    return Response(answer.model_dump_json(), 200 if served else 503, media_type="application/json")


def metrics(call: Call) -> Response:
    """Counters, in the format of Prometheus."""
    from flowctl_registry.observability.metrics import CONTENT_TYPE, exposition

    return Response(exposition(_facts(call.services)), headers={"Content-Type": CONTENT_TYPE})


def _ask_database(services: Services) -> str:
    with reading(services.engine) as connection:
        connection.execute(text("SELECT 1"))
    return "ok"


def _index(status: dict[str, object]) -> str:
    moment = datetime.now(UTC)
    expires, since = datetime.fromisoformat(str(status["expires"])), status["waiting_since"]
    if expires <= moment:
        return f"{status['expires_role']} expired at {expires:%Y-%m-%d %H:%M} UTC"
    if status["failed"]:
        return f"{status['failed']} versions cannot be entered; see the signer's log"
    if since is not None and (moment - datetime.fromisoformat(str(since))).total_seconds() > _LATE_S:
        return f"{status['waiting']} changes wait since {since}"
    return "ok"


def _facts(services: Services) -> list[tuple[str, str, float]]:
    found: list[tuple[str, str, float]] = []
    try:
        stats = count(services)
        for name, meaning, value in (
            ("namespaces", "Namespaces.", stats.namespaces),
            ("components", "Components with a published version.", stats.components),
            ("bundles", "Bundles with a published version.", stats.bundles),
            ("versions", "Published versions.", stats.versions),
            ("blobs", "Stored files.", stats.blobs),
            ("blob_bytes", "Bytes of stored files.", stats.blob_bytes),
            ("index_waiting", "Changes that the signed index has not yet.", stats.index_waiting),
        ):
            found.append((name, meaning, value))
        database = 1
    except FlowctlError:
        database = 0
    found.append(("database_up", "1 when the database answers.", database))
    try:
        status = services.signer.status()
        left = datetime.fromisoformat(str(status["expires"])).timestamp() - time.time()
        found.append(("index_expires_seconds", "Until the first role of the signed index expires.", left))
        signer = 1
    except FlowctlError:
        signer = 0
    found.append(("signer_up", "1 when the signer answers.", signer))
    return found


ENDPOINTS = (
    Endpoint("GET", "/healthz", health, None, "Is the process alive?", "operations", answer=Health),
    Endpoint(
        "GET", "/readyz", ready, None, "Can requests be served?", "operations", answer=Readiness,
        answers={503: "Database or blob store do not answer"},
    ),
    Endpoint(
        "GET", "/metrics", metrics, None, "Counters for Prometheus", "operations", media_type="text/plain",
    ),
)  # fmt: skip
