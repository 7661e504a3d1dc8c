"""The trust repository and the registry's keys, for clients to verify what they fetch."""

from __future__ import annotations

import hashlib
import re

from sqlalchemy import select
from starlette.responses import Response

from flowctl_core.models.trust import TrustedKeys
from flowctl_registry.access.authenticate import allow, identify
from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.database.engine import reading
from flowctl_registry.database.tables import namespaces
from flowctl_registry.errors import NotFoundError
from flowctl_registry.signer.trust_files import KEYS_FILE, read_trust_file

_CHANGING = re.compile(r"metadata/(?:timestamp|root)\.json")
_NAMESPACED = re.compile(r"metadata/[0-9]+\.namespace-(.+)\.json$|targets/index/([^/]+)/")
_YEAR_S = 31_536_000


def keys(call: Call) -> TrustedKeys:
    """The keys that the signed index names; whoever pins the root need not believe this list."""
    return TrustedKeys.model_validate_json(_read(call, KEYS_FILE))


def key(call: Call) -> Response:
    """A public key, for `cosign verify --key` and `flowctl verify --key`."""
    for each in keys(call).keys:
        if each.name == call.path["name"]:
            return Response(each.public_key, media_type="application/x-pem-file")
    raise NotFoundError(f"there is no key {call.path['name']}")


def metadata(call: Call) -> Response:
    """A file of the trust repository's `metadata/`."""
    return _file(call, f"metadata/{call.path['path']}")


def target(call: Call) -> Response:
    """A file of the trust repository's `targets/`."""
    return _file(call, f"targets/{call.path['path']}")


def _file(call: Call, path: str) -> Response:
    namespaced = _NAMESPACED.match(path)
    private = namespaced is not None and _check_visible(call, namespaced[1] or namespaced[2])
    data = _read(call, path)
    tag = f'"{hashlib.sha256(data).hexdigest()}"'
    control = "no-cache" if _CHANGING.fullmatch(path) or private else f"public, max-age={_YEAR_S}, immutable"
    headers = {"ETag": tag, "Cache-Control": control}
    if tag in call.request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="application/json", headers=headers)


def _check_visible(call: Call, namespace: str) -> bool:
    """Whether its index is only for those who may read it. Raises NotFoundError, UnauthorizedError."""
    query = select(namespaces.c.private).where(namespaces.c.name == namespace)
    with reading(call.services.engine) as connection:
        private = connection.execute(query).scalar_one_or_none()
    guarded = bool(private) or not call.services.settings.access.anonymous_read
    if guarded:
        allow(call.services, identify(call.services, call.request), "read", namespace, None)
    return guarded


def _read(call: Call, path: str) -> bytes:
    with reading(call.services.engine) as connection:
        data = read_trust_file(connection, path)
    if data is None:
        raise NotFoundError("the trust repository has no such file")
    return data


ENDPOINTS = (
    Endpoint("GET", "/v1/keys", keys, None, "Keys that sign for this registry", "trust", answer=TrustedKeys),
    Endpoint(
        "GET", "/v1/keys/{name}", key, None, "A public key in PEM", "trust",
        media_type="application/x-pem-file", errors=(404,),
    ),
    Endpoint(
        "GET", "/v1/trust/metadata/{path:path}", metadata, None, "Metadata of the signed index (TUF)", "trust",
        errors=(404,),
    ),
    Endpoint(
        "GET", "/v1/trust/targets/{path:path}", target, None, "A target of the signed index (TUF)", "trust",
        errors=(404,),
    ),
)  # fmt: skip
