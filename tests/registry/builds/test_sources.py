"""Registering where a component is built from."""

from __future__ import annotations

import pytest
from tests.registry.conftest import Registry

SOURCE = {"repository": "https://Git.test/octo/greeting.git", "subdirectory": "sources/mqtt/", "tag_pattern": "mqtt/v*"}


@pytest.mark.parametrize("kind", ["component", "bundle"])
def test_a_source_is_registered_changed_and_removed(registry: Registry, kind: str) -> None:
    client, namespace = registry.client(), registry.namespace()
    path = f"/v1/{kind}s/{namespace}/greeting/source"
    assert client.get(path).status_code == 404
    made = client.request("PUT", path, json=SOURCE)
    assert made.status_code == 200, made.text
    shown = client.get(path).json()
    assert shown == made.json()
    assert shown["repository"] == "https://git.test/octo/greeting.git"
    assert (shown["kind"], shown["subdirectory"], shown["tag_pattern"]) == (kind, "sources/mqtt", "mqtt/v*")
    assert shown["active"] is True and shown["has_webhook_secret"] is False
    changed = client.request("PUT", path, json={**SOURCE, "active": False, "webhook_secret": "0123456789abcdef"})
    assert changed.json() == {**shown, "active": False, "has_webhook_secret": True}
    assert client.request("PUT", path, json=SOURCE).json()["has_webhook_secret"] is True, "it stays unless it is given"
    assert client.request("DELETE", path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.request("DELETE", path).status_code == 404


def test_a_change_stands_in_the_audit_log_without_its_secret(registry: Registry) -> None:
    client, namespace = registry.client(), registry.namespace()
    path = f"/v1/components/{namespace}/greeting/source"
    assert client.request("PUT", path, json={**SOURCE, "webhook_secret": "0123456789abcdef"}).is_success
    log = registry.command("audit", "list", "-o", "json").stdout
    assert "source.set" in log and f"{namespace}/greeting" in log
    assert "0123456789abcdef" not in log


@pytest.mark.parametrize(
    "change",
    [
        {"repository": "https://me:secret-word@git.test/a"},
        {"repository": "ext::sh -c id"},
        {"repository": "file:///etc"},
        {"repository": "http://git.test/a"},
        {"subdirectory": "../up"},
        {"tag_pattern": "v1"},
        {"webhook_secret": "short"},
    ],
    ids=str,
)
def test_what_cannot_be_built_is_not_registered(registry: Registry, change: dict[str, object]) -> None:
    client, namespace = registry.client(), registry.namespace()
    refused = client.request("PUT", f"/v1/components/{namespace}/greeting/source", json={**SOURCE, **change})
    assert refused.status_code == 400
    assert "secret-word" not in refused.text
    assert client.get(f"/v1/components/{namespace}/greeting/source").status_code == 404


def test_a_source_needs_its_namespace(registry: Registry) -> None:
    assert registry.client().request("PUT", "/v1/components/missing/greeting/source", json=SOURCE).status_code == 404
