"""The OIDC issuer: signed tokens, discovery, and the token endpoint that GitHub Actions gives its jobs."""

from __future__ import annotations

import base64
import time
from typing import Any

import jwt

from .keys import ServiceKey

AUDIENCE = "sigstore"
REPOSITORY = "https://forge.example/acme/shop"
SUBJECT = f"{REPOSITORY}/.ci/release.yaml@refs/tags/v1"


class TokenRefusedError(Exception):
    """The token is not one of this issuer's, or not for Sigstore, or not for now."""


class Issuer:
    def __init__(self) -> None:
        self.url = ""
        """Set when the port is known."""
        self._key = ServiceKey()

    def token(self, **changes: Any) -> str:
        """A token for a CI job; `changes` replace claims, and `lifetime` is in seconds."""
        now = int(time.time())
        lifetime = changes.pop("lifetime", 300)
        claims = {
            "iss": self.url,
            "sub": SUBJECT,
            "aud": AUDIENCE,
            "iat": now - 1 + min(lifetime, 0) * 2,
            "exp": now + lifetime,
            "repository_uri": REPOSITORY,
            "sha": "5" * 40,
            "ref_uri": "refs/tags/v1",
            "run_uri": f"{REPOSITORY}/runs/7",
        }
        return jwt.encode(claims | changes, self._key.private, algorithm="ES256", headers={"kid": "1"})

    def check(self, token: str) -> dict[str, Any]:
        """The claims, as Fulcio checks them."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self._key.private.public_key(), algorithms=["ES256"], audience=AUDIENCE, issuer=self.url
            )
        except jwt.PyJWTError as error:
            raise TokenRefusedError(str(error)) from error
        return claims

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/auth",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "id_token_signing_alg_values_supported": ["ES256"],
        }

    def keys(self) -> dict[str, Any]:
        numbers = self._key.private.public_key().public_numbers()

        def coordinate(value: int) -> str:
            return base64.urlsafe_b64encode(value.to_bytes(32, "big")).rstrip(b"=").decode()

        key = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1"}
        return {"keys": [key | {"x": coordinate(numbers.x), "y": coordinate(numbers.y)}]}
