"""A yanked version stays where it is, and says why it must not be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from .bundles import write_bundle
from .conftest import Registry


def test_yank_and_unyank(registry: Registry, tmp_path: Path) -> None:
    namespace, client = registry.namespace(), registry.client()
    published = client.publish(write_bundle(tmp_path), namespace, "sample", "1.0.0", kind="bundles").json()
    path = f"/v1/bundles/{namespace}/sample/1.0.0"
    for _ in range(2):
        yanked = client.post(path + "/yank", json={"reason": "it loses events"})
        assert yanked.status_code == 200, yanked.text
        assert yanked.json()["yanked"]["reason"] == "it loses events"
    assert client.get(path).json() == yanked.json()
    for _ in range(2):
        back = client.request("DELETE", path + "/yank")
        assert (back.status_code, back.json()) == (200, published)
    log = registry.command("audit", "list", "--limit", "1000").stdout
    assert [log.count(f"version.{word}") for word in ("yank", "unyank")] == [1, 1]
    registry.command("audit", "verify")


@pytest.mark.parametrize("reason", ["", "\u0000", "a" * 1001])
def test_a_reason_is_needed(registry: Registry, tmp_path: Path, reason: str) -> None:
    namespace, client = registry.namespace(), registry.client()
    client.publish(write_bundle(tmp_path), namespace, "sample", "1.0.0", kind="bundles")
    path = f"/v1/bundles/{namespace}/sample/1.0.0/yank"
    assert client.post(path, json={"reason": reason}).status_code == 400
    assert client.post(path.replace("1.0.0", "2.0.0"), json={"reason": "none"}).status_code == 404
