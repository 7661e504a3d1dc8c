"""A release goes in and comes out."""

from __future__ import annotations

from pathlib import Path

from .conftest import Registry


def test_a_release_is_published_and_listed(registry: Registry, release: Path) -> None:
    namespace, client = registry.namespace(), registry.client()
    done = client.publish(release, namespace, "greeting", "1.2.0")
    assert done.status_code == 201, done.text
    shown = client.get(f"/v1/components/{namespace}/greeting/1.2.0")
    assert shown.status_code == 200
    document = shown.json()
    assert document == done.json()
    assert [file["path"] for file in document["binaries"]] == ["binaries/greeting-linux-amd64"]
    assert document["source"]["commit"]


def test_publishing_again_gives_the_same_answer(registry: Registry, release: Path) -> None:
    namespace, client = registry.namespace(), registry.client()
    first = client.publish(release, namespace, "greeting", "1.2.0")
    assert client.publish(release, namespace, "greeting", "1.2.0").json() == first.json()
