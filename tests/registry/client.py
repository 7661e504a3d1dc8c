"""A client of the registry's API, as a publisher would write one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import httpx


@dataclass
class Client:
    """Talks to one or several API processes in turn."""

    urls: tuple[str, ...]
    token: str | None = None
    turn: int = 0
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    def request(self, method: str, path: str, **more) -> httpx.Response:
        self.turn += 1
        headers = dict(more.pop("headers", {}))
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        return self.http.request(method, self.urls[self.turn % len(self.urls)] + path, headers=headers, **more)

    def get(self, path: str, **more) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, **more) -> httpx.Response:
        return self.request("POST", path, **more)

    def publish(
        self, release: Path, namespace: str, name: str, version: str, kind: str = "components"
    ) -> httpx.Response:
        """Upload a release's folder; the answer of `commit`, or the first that is an error."""
        files = files_of(release)
        base = f"/v1/{kind}/{namespace}/{name}/uploads"
        begun = self.post(base, json={"version": version, "files": files})
        if begun.status_code != 201:
            return begun
        upload = begun.json()
        paths = {each["digest"]: each["path"] for each in files}
        for digest in upload["missing"]:
            content = (release / paths[digest]).read_bytes()
            sent = self.request("PUT", f"{base}/{upload['id']}/blobs/{digest}", content=content)
            if sent.status_code != 204:
                return sent
        return self.post(f"{base}/{upload['id']}/commit")


def files_of(release: Path) -> list[dict[str, object]]:
    """What an upload announces of a release's folder."""
    found = []
    for path in sorted(release.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            data = path.read_bytes()
            digest = "sha256:" + hashlib.sha256(data).hexdigest()
            found.append({"path": path.relative_to(release).as_posix(), "digest": digest, "size": len(data)})
    return found
