"""GitHub, as a webhook's receiver sees it: payloads as delivered, signed and sent."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from pathlib import Path
from typing import Any

import httpx
from tests.conftest import find_shared_data
from tests.registry.client import Client

SECRET = "a secret of the registry"


def payloads() -> Path:
    """The folder of what GitHub delivered, which is not ours to keep."""
    return find_shared_data() / "github-webhooks"


def load(name: str) -> dict[str, Any]:
    """A payload as GitHub delivered it."""
    return json.loads((payloads() / f"{name}.json").read_bytes())


def deliver(
    client: Client,
    event: str,
    payload: dict[str, Any] | bytes,
    *,
    secret: str | None = SECRET,
    delivery: str | None = None,
    **headers: str,
) -> httpx.Response:
    """Send it, to the next API process."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    sent = {
        "X-GitHub-Event": event, "X-GitHub-Delivery": delivery or str(uuid.uuid4()), "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/044aadd",
    }  # fmt: skip
    if secret is not None:
        sent["X-Hub-Signature-256"] = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return client.post("/v1/webhooks/github", content=body, headers={**sent, **headers})


def pushed(repository: str, ref: str, commit: str = "6" * 40, **changes: Any) -> dict[str, Any]:
    """A push as GitHub delivered it, of another ref and repository."""
    payload = load("push-with-new-branch.payload")
    payload["repository"] |= {"clone_url": repository, "html_url": repository.removesuffix(".git")}
    payload["head_commit"]["id"] = commit
    return payload | {"ref": ref, "after": commit} | changes


def released(repository: str, tag: str, name: str = "release-published.payload", **changes: Any) -> dict[str, Any]:
    """A release as GitHub delivered it, of another tag and repository."""
    payload = load(name)
    payload["repository"] |= {"clone_url": repository, "html_url": repository.removesuffix(".git")}
    payload["release"] |= {"tag_name": tag}
    return payload | changes
