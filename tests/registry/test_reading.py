"""Lists, components, versions: what was published is found, in order, page by page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowctl_registry.models.names import precedence

from .client import Client
from .conftest import Registry


def pages(client: Client, path: str, **query: Any) -> list[dict[str, Any]]:
    """All entries of a list, two a page."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        got = client.get(path, params={"limit": 2, **query, **cursor})
        assert got.status_code == 200, got.text
        assert len(got.json()["items"]) <= 2
        found += got.json()["items"]
        assert len(found) < 100, "the pages go round in a circle"
        if "next" not in got.json():
            return found
        cursor = {"cursor": got.json()["next"]}


def test_versions_come_newest_first_and_prereleases_last(registry: Registry, make_release: Any) -> None:
    namespace, client = registry.namespace(), registry.client()
    for version in ("1.10.0", "1.2.0", "2.0.0-rc.1", "1.9.0", "2.0.0-rc.10", "2.0.0-rc.9"):
        assert client.publish(make_release("many", version), namespace, "many", version).status_code == 201
    base = f"/v1/components/{namespace}/many"
    listed = pages(client, base + "/versions")
    assert [each["version"] for each in listed] == [
        "1.10.0",
        "1.9.0",
        "1.2.0",
        "2.0.0-rc.10",
        "2.0.0-rc.9",
        "2.0.0-rc.1",
    ]
    shown = client.get(base).json()
    assert (shown["latest"], shown["versions"]) == ("1.10.0", 6)
    assert client.get(base + "/latest").json() == client.get(base + "/v1.10.0").json()


@pytest.mark.parametrize(
    "ordered",
    [
        # From Semantic Versioning 2.0.0, section 11, but any release is above all prereleases.
        ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1"],
        ["3.0.0-rc.1", "0.0.9", "0.0.10", "0.1.0", "1.0.0", "1.0.999999999", "10.0.0", "100.0.0"],
        ["1.0.0-0", "1.0.0-1", "1.0.0--", "1.0.0-A", "1.0.0-a", "1.0.0-a-b", "1.0.0-ab"],
    ],
)  # fmt: skip
def test_precedence_is_that_of_semantic_versioning(ordered: list[str]) -> None:
    shuffled = ordered[::-1]
    assert sorted(shuffled, key=precedence) == ordered


def test_lists_are_paged_without_gaps(registry: Registry, make_release: Any) -> None:
    namespace, client = registry.namespace(), registry.client()
    names = ["one", "two", "three", "four", "five"]
    for name in names:
        assert client.publish(make_release(name, "1.0.0"), namespace, name, "1.0.0").status_code == 201
    listed = pages(client, "/v1/components", namespace=namespace)
    assert [each["name"] for each in listed] == sorted(names)
    updated = pages(client, "/v1/components", namespace=namespace, sort="updated")
    assert [each["name"] for each in updated] == names[::-1]
    assert {each["name"] for each in pages(client, "/v1/components", namespace=namespace, sort="downloads")} == set(
        names
    )
    first = listed[0]
    assert (first["type"], first["tags"], first["input_event_types"]) == (
        "processor",
        ["demo", "greeting"],
        ["demo.asked"],
    )


def test_a_component_shows_its_latest(registry: Registry, release: Path) -> None:
    namespace, client = registry.namespace(), registry.client()
    client.publish(release, namespace, "greeting", "1.2.0")
    shown = client.get(f"/v1/components/{namespace}/greeting").json()
    assert shown["description"] == "Greets whoever asks"
    assert (shown["license"], shown["latest"], shown["downloads"]) == ("Apache-2.0", "1.2.0", 0)
    document = client.get(f"/v1/components/{namespace}/greeting/latest").json()
    assert {each.get("platform") for each in document["images"]} == {None, "linux/amd64"}
    assert any(each["reference"] == f"{namespace}/greeting:v1.2.0" for each in document["images"])


def test_what_is_not_there(registry: Registry) -> None:
    namespace, client = registry.namespace(), registry.client()
    for path in (
        f"/v1/components/{namespace}/none",
        f"/v1/components/{namespace}/none/versions",
        "/v1/nothing",
        "/v2x",
        f"/v1/bundles/{namespace}/none/1.0.0",
    ):
        got = client.get(path)
        assert got.status_code == 404, path
        assert got.headers["content-type"] == "application/problem+json"


def test_wrong_methods_are_told_what_is_right(registry: Registry) -> None:
    client = registry.client()
    for method, path, allowed in (
        ("DELETE", "/v1/components", "GET, HEAD"),
        ("PUT", "/v1/components/search", "GET, HEAD"),
        ("PATCH", "/v1/components/ns/name/uploads", "POST"),
        ("GET", "/v1/components/ns/name/uploads", "POST"),
    ):
        got = client.request(method, path)
        assert (got.status_code, got.headers["allow"]) == (405, allowed), path
        assert got.json()["status"] == 405


@pytest.mark.parametrize(
    "path",
    [
        "/v1/components?limit=0", "/v1/components?limit=x", "/v1/components?limit=1&limit=2", "/v1/components?cursor=!",
        "/v1/components?cursor=AAAA", "/v1/components?sort=random", "/v1/components?namespace=UPPER",
        "/v1/components?unknown=1", "/v1/components/search?type=other", "/v1/components/search?tag=%00",
        "/v1/components/NS/name", "/v1/components/ns/..%2Fname", "/v1/components/ns/name%00", "/v1/components/ns/%FF",
        f"/v1/components/search?q={'x' * 201}", f"/v1/components/{'n' * 200}/name",
    ],
)  # fmt: skip
def test_malformed_requests_are_told_so(registry: Registry, path: str) -> None:
    got = registry.client().get(path)
    assert got.status_code in (400, 404), got.text
    assert got.headers["content-type"] == "application/problem+json"


def test_a_cursor_is_of_use_for_its_own_list_only(registry: Registry, make_release: Any) -> None:
    namespace, client = registry.namespace(), registry.client()
    for name in ("one", "two"):
        client.publish(make_release(name, "1.0.0"), namespace, name, "1.0.0")
    cursor = client.get("/v1/components", params={"namespace": namespace, "limit": 1}).json()["next"]
    assert client.get("/v1/components", params={"limit": 1, "cursor": cursor}).status_code == 404
    assert client.get("/v1/components/search", params={"limit": 1, "cursor": cursor}).status_code == 404
