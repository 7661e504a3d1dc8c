"""Short-lived tokens that container clients fetch at `/v2/token` and show when they pull (HS256, RFC 7519).

They name repositories, so that a client which was given one can pull these and nothing else. All API processes sign
with one key, which the first of them makes.
"""

from __future__ import annotations

import secrets as random
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from flowctl_registry.database.engine import now, reading, writing
from flowctl_registry.database.tables import secrets
from flowctl_registry.errors import UnauthorizedError
from flowctl_registry.services import Services

if TYPE_CHECKING:
    from joserfc.jwk import OctKey

SERVICE = "flowctl-registry"
"""Issuer and audience."""
LIFETIME_S = 300
_NAME = "image-tokens"
_LEEWAY_S = 5


@dataclass(frozen=True)
class Grant:
    """What a token says."""

    user: str | None
    """None: anonymous."""
    repositories: frozenset[str]
    """`namespace/name` that may be pulled."""


def issue(services: Services, grant: Grant) -> tuple[str, int]:
    """A token, and the second of the epoch at which it was made. Raises UnavailableError."""
    from joserfc import jwt

    key, moment = _key(services)
    claims = {
        "iss": SERVICE,
        "aud": SERVICE,
        "sub": grant.user or "",
        "iat": moment,
        "nbf": moment,
        "exp": moment + LIFETIME_S,
        "jti": random.token_hex(16),
        "access": [{"type": "repository", "name": name, "actions": ["pull"]} for name in sorted(grant.repositories)],
    }
    return jwt.encode({"typ": "JWT", "alg": "HS256"}, claims, key), moment


def verify(services: Services, token: str) -> Grant:
    """What a token grants. Raises UnauthorizedError, UnavailableError."""
    from joserfc import jwt
    from joserfc.errors import JoseError

    key, moment = _key(services)
    registry = jwt.JWTClaimsRegistry(
        now=moment,
        leeway=_LEEWAY_S,
        iss={"essential": True, "value": SERVICE},
        aud={"essential": True, "value": SERVICE},
        exp={"essential": True},
        sub={"essential": True, "allow_blank": True},
    )
    try:
        claims = jwt.decode(token, key, algorithms=["HS256"]).claims
        registry.validate(claims)
        names = frozenset(str(each["name"]) for each in claims["access"] if "pull" in each["actions"])
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise UnauthorizedError("the pull token is not valid, or has run out", hint="Fetch a new one.") from error
    return Grant(claims["sub"] or None, names)


def _key(services: Services) -> tuple[OctKey, int]:
    """The key and the database's second."""
    from joserfc.jwk import OctKey

    with reading(services.engine) as connection:
        value = connection.execute(select(secrets.c.value).where(secrets.c.name == _NAME)).scalar_one_or_none()
        moment = int(now(connection).timestamp())
    if value is None:
        with suppress(IntegrityError):  # another process was faster
            writing(services.engine, _make_key)
        return _key(services)
    return OctKey.import_key(value), moment


def _make_key(connection: Connection) -> None:
    connection.execute(insert(secrets).values(name=_NAME, value=random.token_bytes(32), created_at=now(connection)))
