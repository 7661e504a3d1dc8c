"""An OIDC issuer on loopback: configuration, keys, and tokens as GitHub's Actions get them."""

from __future__ import annotations

import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

AUDIENCE = "flowctl-registry"


class OidcIssuer:
    """Serves until `close`. Tests change `configuration` and `keys` to make it another."""

    def __init__(self, port: int = 0) -> None:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                found = issuer.answers().get(self.path)
                self.send_response(200 if found is not None else 404)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(found or b"{}")

            def log_message(self, *_: Any) -> None: ...

        self.asked: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.configuration: dict[str, Any] = {"issuer": self.url, "jwks_uri": self.url + "/keys"}
        self.rsa = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"})
        self.ec = ECKey.generate_key("P-256", {"kid": "ec-1", "use": "sig"})
        self.keys: list[RSAKey | ECKey] = [self.rsa, self.ec]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def answers(self) -> dict[str, bytes]:
        keys = {"keys": [key.as_dict(private=False) for key in self.keys]}
        return {
            "/.well-known/openid-configuration": json.dumps(self.configuration).encode(),
            "/keys": json.dumps(keys).encode(),
        }

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Those of a token that is right; a change to None takes a claim away."""
        moment = int(time.time())
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "repo:octo/greeting:ref:refs/tags/v1.2.0",
            "repository": "octo/greeting",
            "repository_id": "74",
            "ref": "refs/tags/v1.2.0",
            "job_workflow_ref": "octo/greeting/.github/workflows/release.yml@refs/tags/v1.2.0",
            "jti": uuid.uuid4().hex,
            "iat": moment,
            "nbf": moment,
            "exp": moment + 300,
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, *, key: RSAKey | ECKey | None = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A signed token; `header` and `key` are those of a forger."""
        key = key or self.rsa
        algorithm = {"RSA": "RS256", "EC": "ES256"}[key.key_type]
        told = {"alg": algorithm, "kid": key.kid, **(header or {})}
        told = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(told, self.claims(**changes), key, algorithms=[told["alg"]])
