"""The distribution API: what container clients ask, and what they are told."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import httpx
import pytest
from sqlalchemy import select, update

from flowctl_registry.database.tables import components, versions

from .client import Client
from .conftest import Registry

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
SIGSTORE = "application/vnd.dev.sigstore.bundle.v0.3+json"
ABSENT = "sha256:" + "0" * 64


@dataclass
class Pulled:
    """A published image, and somebody without a token who asks for it."""

    client: Client
    repository: str
    index: str

    def get(self, path: str, **more) -> httpx.Response:
        return self.client.get(f"/v2/{self.repository}/{path}", **more)

    def head(self, path: str, **more) -> httpx.Response:
        return self.client.request("HEAD", f"/v2/{self.repository}/{path}", **more)


@pytest.fixture(scope="module")
def image(registry: Registry, make_release) -> Pulled:
    namespace, release = registry.namespace(), make_release()
    for version in ("1.2.0", "1.3.0"):
        done = registry.client().publish(make_release(version=version), namespace, "greeting", version)
        assert done.status_code == 201, done.text
    info = json.loads((release / "metadata" / "build-info.json").read_text())
    return Pulled(Client(registry.urls), f"{namespace}/greeting", info["images"]["index"])


def error(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/json"
    assert response.headers["docker-distribution-api-version"] == "registry/2.0"
    assert response.headers["cache-control"] == "no-store"
    (told,) = response.json()["errors"]
    assert told["message"]
    return response.status_code, told["code"]


def test_an_image_is_found_by_tag_and_digest(image: Pulled) -> None:
    for reference in ("1.2.0", "v1.2.0", image.index):
        found = image.get(f"manifests/{reference}")
        assert found.status_code == 200
        assert found.headers["content-type"] == INDEX
        assert found.headers["docker-content-digest"] == image.index == digest(found.content)
        asked = image.head(f"manifests/{reference}")
        assert asked.status_code == 200 and asked.content == b""
        for name in ("content-type", "content-length", "docker-content-digest", "etag"):
            assert asked.headers[name] == found.headers[name]


def test_latest_is_the_newest_version(image: Pulled) -> None:
    assert image.get("manifests/latest").content == image.get("manifests/v1.3.0").content


def test_the_registrys_signature_is_a_referrer(image: Pulled) -> None:
    index = image.get("manifests/v1.2.0").json()
    for subject in (image.index, *(each["digest"] for each in index["manifests"])):
        listed = image.get(f"referrers/{subject}", params={"artifactType": SIGSTORE}).json()["manifests"]
        assert listed, subject
        for each in listed:
            manifest = image.get(f"manifests/{each['digest']}")
            assert digest(manifest.content) == each["digest"] and len(manifest.content) == each["size"]
            assert manifest.json()["subject"]["digest"] == subject
            (bundle,) = manifest.json()["layers"]
            assert image.get(f"blobs/{bundle['digest']}").json()["mediaType"] == SIGSTORE


def test_everything_that_an_image_needs_is_there(image: Pulled) -> None:
    for each in image.get("manifests/v1.2.0").json()["manifests"]:
        manifest = image.get(f"manifests/{each['digest']}")
        assert manifest.headers["content-type"] == MANIFEST
        assert digest(manifest.content) == each["digest"] and len(manifest.content) == each["size"]
        for part in (manifest.json()["config"], *manifest.json()["layers"]):
            blob = image.get(f"blobs/{part['digest']}", follow_redirects=True)
            assert digest(blob.content) == part["digest"] and len(blob.content) == part["size"]
            asked = image.head(f"blobs/{part['digest']}")
            assert asked.headers["docker-content-digest"] == part["digest"]
            assert int(asked.headers["content-length"]) == part["size"]


def test_a_part_of_a_blob_is_sent(image: Pulled) -> None:
    (manifest,) = image.get("manifests/v1.2.0").json()["manifests"]
    layer = image.get(f"manifests/{manifest['digest']}").json()["layers"][0]
    part = image.get(f"blobs/{layer['digest']}", headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and len(part.content) == 10
    assert part.content == image.get(f"blobs/{layer['digest']}").content[10:20]
    assert image.get(f"blobs/{layer['digest']}", headers={"Range": f"bytes={layer['size']}-"}).status_code == 416


def test_what_is_named_by_its_digest_is_kept_for_ever(image: Pulled) -> None:
    by_digest, by_tag = image.get(f"manifests/{image.index}"), image.get("manifests/v1.2.0")
    assert "immutable" in by_digest.headers["cache-control"] and by_tag.headers["cache-control"] == "no-cache"
    again = image.get("manifests/v1.2.0", headers={"If-None-Match": by_tag.headers["etag"]})
    assert again.status_code == 304 and again.content == b""


def test_a_client_is_told_that_it_does_not_know_the_type(image: Pulled) -> None:
    old = "application/vnd.docker.distribution.manifest.v1+json"
    assert error(image.get("manifests/v1.2.0", headers={"Accept": old})) == (404, "MANIFEST_UNKNOWN")
    for accepted in (INDEX, f"{old}, {INDEX};q=0.5", "*/*", ""):
        assert image.get("manifests/v1.2.0", headers={"Accept": accepted}).status_code == 200


def test_tags_come_in_pages(image: Pulled) -> None:
    tags = ["1.2.0", "1.3.0", "latest", "v1.2.0", "v1.3.0"]
    assert image.get("tags/list").json() == {"name": image.repository, "tags": tags}
    found, path = [], f"/v2/{image.repository}/tags/list?n=2"
    while path:
        page = image.client.get(path)
        found.append(page.json()["tags"])
        path = page.links["next"]["url"] if "next" in page.links else ""
    assert found == [tags[:2], tags[2:4], tags[4:]]
    assert image.get("tags/list", params={"n": 0}).json()["tags"] == []
    assert image.get("tags/list", params={"last": "v1.2.0"}).json()["tags"] == ["v1.3.0"]
    for odd in ({"n": "-1"}, {"n": "1e3"}, {"n": ""}, {"last": "\0"}, {"last": "x" * 300}):
        assert image.get("tags/list", params=odd).status_code == 400
    assert image.get(f"referrers/{image.index}", params={"artifactType": "\0"}).status_code == 400


def test_referrers_are_an_index(image: Pulled) -> None:
    for subject in (image.index, ABSENT):
        found = image.get(f"referrers/{subject}")
        assert found.status_code == 200 and found.headers["content-type"] == INDEX
        assert found.json()["schemaVersion"] == 2 and found.json()["mediaType"] == INDEX
        assert "oci-filters-applied" not in found.headers
    assert image.get(f"referrers/{ABSENT}").json()["manifests"] == []
    filtered = image.get(f"referrers/{image.index}", params={"artifactType": "application/x-none"})
    assert filtered.headers["oci-filters-applied"] == "artifactType" and filtered.json()["manifests"] == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("manifests/v9.9.9", (404, "MANIFEST_UNKNOWN")),
        (f"manifests/{ABSENT}", (404, "MANIFEST_UNKNOWN")),
        ("manifests/..", None),
        ("manifests/.bad", (400, "NAME_INVALID")),
        ("manifests/sha256:abc", (400, "DIGEST_INVALID")),
        (f"blobs/{ABSENT}", (404, "BLOB_UNKNOWN")),
        ("blobs/sha512:" + "0" * 128, (400, "DIGEST_INVALID")),
        ("blobs/..%2f..%2fetc%2fpasswd", (404, "UNSUPPORTED")),
        ("referrers/latest", (400, "DIGEST_INVALID")),
        ("nonsense/x", (404, "UNSUPPORTED")),
    ],
)
def test_errors_are_those_of_the_specification(image: Pulled, path: str, expected: tuple[int, str] | None) -> None:
    found = image.get(path)
    assert found.status_code in (400, 404)
    if expected is not None:
        assert error(found) == expected


def test_other_repositories_are_unknown(image: Pulled) -> None:
    namespace = image.repository.partition("/")[0]
    assert error(image.client.get(f"/v2/{namespace}/other/manifests/v1.2.0")) == (404, "NAME_UNKNOWN")
    assert error(image.client.get(f"/v2/{namespace}/other/tags/list")) == (404, "NAME_UNKNOWN")
    assert error(image.client.get(f"/v2/{namespace}/UPPER/tags/list")) == (400, "NAME_INVALID")


def test_a_repository_gives_no_blob_of_another(image: Pulled, registry: Registry, make_release) -> None:
    namespace = registry.namespace()
    assert registry.client().publish(make_release("other", "1.0.0"), namespace, "other", "1.0.0").status_code == 201
    theirs = image.client.get(f"/v2/{namespace}/other/manifests/v1.0.0").headers["docker-content-digest"]
    assert error(image.get(f"manifests/{theirs}")) == (404, "MANIFEST_UNKNOWN")
    assert error(image.get(f"blobs/{theirs}")) == (404, "BLOB_UNKNOWN")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "blobs/uploads/"),
        ("PUT", "manifests/v1.2.0"),
        ("DELETE", "manifests/v1.2.0"),
        ("DELETE", f"blobs/{ABSENT}"),
        ("PATCH", "blobs/uploads/1"),
        ("POST", "tags/list"),
    ],
)
def test_images_are_not_pushed(image: Pulled, registry: Registry, method: str, path: str) -> None:
    for client in (image.client, registry.client()):
        answer = client.request(method, f"/v2/{image.repository}/{path}")
        assert error(answer) == (405, "UNSUPPORTED")
        assert "GET" in answer.headers["allow"]


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def test_a_yanked_version_stays_and_is_not_the_latest(registry: Registry, make_release) -> None:
    namespace, publisher = registry.namespace(), registry.client()
    client, repository = Client(registry.urls), f"{namespace}/greeting"
    for version in ("1.2.0", "1.3.0"):
        assert publisher.publish(make_release(version=version), namespace, "greeting", version).status_code == 201
    newest = client.get(f"/v2/{repository}/manifests/1.3.0").content
    done = publisher.post(f"/v1/components/{repository}/1.3.0/yank", json={"reason": "it greets the wrong people"})
    assert done.is_success, done.text
    assert client.get(f"/v2/{repository}/manifests/1.3.0").content == newest
    assert client.get(f"/v2/{repository}/manifests/latest").headers["docker-content-digest"] != digest(newest)
    assert publisher.request("DELETE", f"/v1/components/{repository}/1.3.0/yank").is_success
    assert client.get(f"/v2/{repository}/manifests/latest").content == newest
    for version in ("1.2.0", "1.3.0"):
        publisher.post(f"/v1/components/{repository}/{version}/yank", json={"reason": "no greetings at all"})
    assert error(client.get(f"/v2/{repository}/manifests/latest")) == (404, "MANIFEST_UNKNOWN")
    assert "latest" not in client.get(f"/v2/{repository}/tags/list").json()["tags"]


def test_nothing_is_seen_of_a_version_before_it_is_published(registry: Registry, make_release) -> None:
    namespace, client = registry.namespace(), Client(registry.urls)
    assert registry.client().publish(make_release(), namespace, "greeting", "1.2.0").status_code == 201
    repository = f"/v2/{namespace}/greeting"
    index = client.get(f"{repository}/manifests/1.2.0")
    manifest = index.json()["manifests"][0]["digest"]
    layer = client.get(f"{repository}/manifests/{manifest}").json()["layers"][0]["digest"]
    paths = [f"manifests/{digest(index.content)}", f"manifests/{manifest}", f"blobs/{layer}", "tags/list"]
    assert all(client.get(f"{repository}/{path}").is_success for path in paths)
    ours = select(components.c.id).where(components.c.namespace == namespace).scalar_subquery()
    registry.change(
        lambda c: c.execute(update(versions).where(versions.c.component_id == ours).values(state="pending"))
    )
    for path in (*paths, f"referrers/{digest(index.content)}"):
        assert error(client.get(f"{repository}/{path}")) == (404, "NAME_UNKNOWN")


def test_pulls_are_downloads(open_registry, make_release) -> None:
    with open_registry() as registry:
        namespace, client = registry.namespace(), Client(registry.urls)
        assert registry.client().publish(make_release(), namespace, "greeting", "1.2.0").status_code == 201
        (image,) = client.get(f"/v2/{namespace}/greeting/manifests/latest").json()["manifests"]
        for _ in range(3):
            assert client.get(f"/v2/{namespace}/greeting/manifests/{image['digest']}").is_success
        client.request("HEAD", f"/v2/{namespace}/greeting/manifests/{image['digest']}")
        registry.stop()
        counted = select(components.c.downloads).where(components.c.namespace == namespace)
        assert registry.change(lambda c: c.execute(counted).scalar_one()) == 3


def test_a_blob_that_the_store_lost_is_not_denied(open_registry, make_release, request: pytest.FixtureRequest) -> None:
    with open_registry() as registry:
        namespace, client = registry.namespace(), Client(registry.urls)
        assert registry.client().publish(make_release(), namespace, "greeting", "1.2.0").status_code == 201
        repository, store = f"/v2/{namespace}/greeting", registry.data / "blobs"
        if registry.backend == "postgres":
            bucket = registry.environment["FLOWCTL_REGISTRY_BLOB_URL"].removeprefix("s3://")
            store = request.getfixturevalue("s3_server").buckets / bucket
        index = client.get(f"{repository}/manifests/latest")
        image = client.get(f"{repository}/manifests/{index.json()['manifests'][0]['digest']}")
        layer = image.json()["layers"][0]["digest"]
        for path in (f"manifests/{digest(index.content)}", f"manifests/{digest(image.content)}", f"blobs/{layer}"):
            name = path.rpartition(":")[2]
            (store / "sha256" / name[:2] / name).unlink()
            assert error(client.get(f"{repository}/{path}")) == (503, "UNAVAILABLE")
