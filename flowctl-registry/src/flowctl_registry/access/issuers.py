"""OIDC issuers: their keys, and whether a token is one of theirs (OpenID Connect Core section 3.1.3.7, RFC 8725)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cachetools import TTLCache

from flowctl_registry.errors import UnauthorizedError, UnavailableError
from flowctl_registry.settings import Issuer, is_loopback_url

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

ALGORITHMS = ("RS256", "ES256")
LEEWAY_S = 60
"""By which clocks may differ."""
LIFETIME_S = 86_400
"""A token that is valid for longer is refused: its `jti` would have to be kept as long."""
_KEPT_S = 3_600
_AGAIN_S = 60
_GONE_S = 10
_LATER = "Try again; the registry's operator checks `access.issuers`."
_LARGEST = 1_000_000
_TIMEOUT_S = 5


class Keys:
    """Keys of issuers, kept for an hour; for an unknown key id asked for again, once a minute at most.

    An issuer that does not answer is left alone for ten seconds, so that forged tokens cannot keep all threads waiting.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: TTLCache[str, tuple[float, KeySet]] = TTLCache(100, _KEPT_S)
        self._gone: TTLCache[str, str] = TTLCache(100, _GONE_S)

    def of(self, issuer: Issuer, key_id: str) -> KeySet:
        """The issuer's keys. Raises UnavailableError when it does not answer as an issuer does."""
        with self._lock:
            kept = self._kept.get(issuer.url)
            if kept is not None:
                asked_at, keys = kept
                if any(key.kid == key_id for key in keys.keys) or time.monotonic() - asked_at < _AGAIN_S:
                    return keys
            if (told := self._gone.get(issuer.url)) is not None:
                raise UnavailableError(told, hint=_LATER)
            try:
                keys = _fetch(issuer)
            except UnavailableError as error:
                self._gone[issuer.url] = error.message
                raise
            self._kept[issuer.url] = (time.monotonic(), keys)
            return keys


def validated(token: str, issuers: tuple[Issuer, ...], keys: Keys) -> tuple[Issuer, dict[str, Any]]:
    """Issuer and claims of a token that is right and valid now.

    Raises UnauthorizedError, UnavailableError when the issuer's keys cannot be had.
    """
    from joserfc import jwt
    from joserfc.errors import JoseError

    header, untrusted = _peek(token)
    issuer = next((each for each in issuers if each.url == untrusted.get("iss")), None)
    if issuer is None:
        raise _wrong("its issuer is none that this registry trusts")
    key_id = header.get("kid")
    if header.get("alg") not in ALGORITHMS or not isinstance(key_id, str):
        raise _wrong(f"its header must name a key, and one of the algorithms {', '.join(ALGORITHMS)}")
    found = [key for key in keys.of(issuer, key_id).keys if key.kid == key_id]
    if not found:
        raise _wrong("its issuer has no such key")
    try:
        claims = dict(jwt.decode(token, found[0], algorithms=list(ALGORITHMS)).claims)
    except (JoseError, ValueError, TypeError):
        raise _wrong("its signature is not its issuer's") from None
    _check_claims(claims, issuer)
    return issuer, claims


def _check_claims(claims: Mapping[str, Any], issuer: Issuer) -> None:
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != issuer.url or issuer.audience not in audiences:
        raise _wrong(f"it is for another audience than {issuer.audience}")
    for name in ("sub", "jti"):
        if not isinstance(claims.get(name), str) or not 0 < len(claims[name]) <= 512 or "\0" in claims[name]:
            raise _wrong(f"it has no {name}")
    moment = time.time()
    times: dict[str, float] = {}
    for name in ("exp", "iat", "nbf"):
        value = claims.get(name, claims.get("iat") if name == "nbf" else None)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**40:
            raise _wrong(f"it has no {name}")
        times[name] = value
    if times["exp"] + LEEWAY_S <= moment:
        raise _wrong("it has expired")
    if max(times["iat"], times["nbf"]) - LEEWAY_S > moment:
        raise _wrong("it is not valid yet")
    if times["exp"] - times["iat"] > LIFETIME_S:
        raise _wrong("it is valid for more than a day")


def _peek(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    from joserfc import jws
    from joserfc.errors import JoseError

    try:
        parts = jws.extract_compact(token.encode())
        header, payload = parts.headers(), json.loads(parts.payload)
    except (JoseError, ValueError, TypeError, RecursionError):
        raise _wrong("it is no JSON Web Token") from None
    if not isinstance(payload, dict):
        raise _wrong("it is no JSON Web Token")
    return dict(header), payload


def _fetch(issuer: Issuer) -> KeySet:
    import httpx
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, KeySet, RSAKey

    def answer(client: httpx.Client, url: str) -> dict[str, Any]:
        if not (url.startswith("https://") or is_loopback_url(url)):
            raise ValueError("an address without https")
        deadline = time.monotonic() + 2 * _TIMEOUT_S
        with client.stream("GET", url) as got:
            if got.status_code != 200:
                raise ValueError(f"status {got.status_code}")
            data = bytearray()
            for chunk in got.iter_bytes():
                data += chunk
                if len(data) > _LARGEST or time.monotonic() > deadline:
                    raise ValueError("an answer that is too long")
        read = json.loads(data)
        if not isinstance(read, dict):
            raise ValueError("an answer that is no object")
        return read

    try:
        with httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False) as client:
            told = answer(client, issuer.url.rstrip("/") + "/.well-known/openid-configuration")
            if told.get("issuer") != issuer.url:
                raise ValueError("a configuration of another issuer")
            keys = answer(client, str(told.get("jwks_uri"))).get("keys")
        wanted: list[RSAKey | ECKey] = []
        for each in keys if isinstance(keys, list) else []:
            if not isinstance(each, dict) or each.get("use", "sig") != "sig":
                continue
            if each.get("kty") == "RSA":
                key = RSAKey.import_key(each)
                if key.public_key.key_size >= 2048:
                    wanted.append(key)
            elif each.get("kty") == "EC" and each.get("crv") == "P-256":
                wanted.append(ECKey.import_key(each))
        return KeySet(list(wanted))
    except (httpx.HTTPError, httpx.InvalidURL, JoseError, ValueError, TypeError, RecursionError) as error:
        raise UnavailableError(
            f"the keys of {issuer.url} cannot be had: {str(error) or type(error).__name__}",
            hint=_LATER,
        ) from error


def _wrong(why: str) -> UnauthorizedError:
    return UnauthorizedError(
        f"the OIDC token is not taken: {why}", hint="docs/operators/registry-access.md has it all."
    )
