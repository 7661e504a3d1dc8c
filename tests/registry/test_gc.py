"""gc takes what nothing needs, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from flowctl_registry.database.engine import now, writing
from flowctl_registry.database.tables import blobs, claims, components, uploads, versions
from flowctl_registry.services import Services
from flowctl_registry.settings import load_settings

from .bundles import write_bundle
from .client import Client, files_of
from .conftest import Registry


def gc(registry: Registry, *words: str) -> dict[str, Any]:
    return json.loads(registry.command("gc", "-o", "json", *words).stdout)


def fsck(registry: Registry) -> dict[str, Any]:
    return json.loads(registry.command("fsck", "-o", "json").stdout)


def services_of(registry: Registry) -> Services:
    return Services.open(load_settings(None, registry.environment))


def send(client: Client, base: str, data: bytes) -> tuple[str, str]:
    """An upload with one blob that is sent and not committed: its id, the digest."""
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    file = {"path": "metadata/bundle.yaml", "digest": digest, "size": len(data)}
    upload = client.post(base, json={"version": "1.0.0", "files": [file]}).json()
    if upload["missing"]:
        assert client.request("PUT", f"{base}/{upload['id']}/blobs/{digest}", content=data).status_code == 204
    return upload["id"], digest


def test_abandoned_blobs_go_and_claimed_ones_stay(registry: Registry) -> None:
    namespace, client = registry.namespace(), registry.client()
    base = f"/v1/bundles/{namespace}/sample/uploads"
    first, digest = send(client, base, namespace.encode())
    gc(registry, "--grace", "0")
    assert client.get(f"{base}/{first}").json()["missing"] == []
    client.request("DELETE", f"{base}/{first}")
    told = gc(registry, "--grace", "0", "--dry-run")
    assert (told["dry_run"], told["marked"] > 0) == (True, True)
    assert services_of(registry).blobs.size(digest) == len(namespace)
    done = gc(registry, "--grace", "0")
    assert (done["marked"], done["removed"]) == (told["marked"], told["marked"] + told["removed"])
    assert services_of(registry).blobs.size(digest) is None
    second, _ = send(client, base, namespace.encode())
    assert client.get(f"{base}/{second}").json()["missing"] == []
    assert fsck(registry)["findings"] == []


def test_a_marked_blob_is_sent_again_and_stays(registry: Registry, tmp_path: Path) -> None:
    namespace, client = registry.namespace(), registry.client()
    base = f"/v1/bundles/{namespace}/sample/uploads"
    release = write_bundle(tmp_path, text=namespace)
    data = (release / "metadata" / "bundle.yaml").read_bytes()
    first, digest = send(client, base, data)
    client.request("DELETE", f"{base}/{first}")
    gc(registry)  # marks, and waits
    assert services_of(registry).blobs.size(digest) == len(data)
    begun = client.post(base, json={"version": "1.0.0", "files": files_of(release)}).json()
    assert begun["missing"] == [digest]
    refused = client.post(f"{base}/{begun['id']}/commit")
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:flowctl:problem:invalid-release")
    gc(registry, "--grace", "0")  # claimed: stays, marked
    assert client.request("PUT", f"{base}/{begun['id']}/blobs/{digest}", content=data).status_code == 204
    assert client.post(f"{base}/{begun['id']}/commit").status_code == 201
    gc(registry, "--grace", "0")
    assert services_of(registry).blobs.size(digest) == len(data)
    assert fsck(registry)["findings"] == []


def test_a_blob_that_is_being_removed_is_not_written(registry: Registry) -> None:
    namespace, client = registry.namespace(), registry.client()
    base = f"/v1/bundles/{namespace}/sample/uploads"
    upload, digest = send(client, base, namespace.encode())
    services = services_of(registry)

    def taken(since_s: float) -> None:
        def change(connection: Any) -> None:
            moment = now(connection) - timedelta(seconds=since_s)
            mark = update(blobs).where(blobs.c.digest == digest)
            connection.execute(mark.values(doomed_at=moment, deleting_at=moment))

        writing(services.engine, change)

    put = f"{base}/{upload}/blobs/{digest}"
    taken(1)
    refused = client.request("PUT", put, content=namespace.encode())
    assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (503, True)
    taken(1000)  # by a gc that was killed
    assert client.request("PUT", put, content=namespace.encode()).status_code == 204
    assert client.get(f"{base}/{upload}").json()["missing"] == []


def test_what_killed_processes_left_is_swept(registry: Registry, tmp_path: Path) -> None:
    namespace, client = registry.namespace(), registry.client()
    release = write_bundle(tmp_path, text=namespace)
    assert client.publish(release, namespace, "sample", "1.0.0", kind="bundles").status_code == 201
    services = services_of(registry)

    def age(connection: Any) -> None:  # as if its process had died before it was signed, long ago
        past = now(connection) - timedelta(days=1)
        component = select(components.c.id).where(components.c.namespace == namespace).scalar_subquery()
        from flowctl_registry.database.tables import index_changes, namespaces

        found = connection.execute(select(versions.c.id).where(versions.c.component_id == component)).scalar_one()
        connection.execute(index_changes.delete().where(index_changes.c.version_id == found))
        connection.execute(update(namespaces).where(namespaces.c.name == namespace).values(used_bytes=0))
        connection.execute(
            update(versions).where(versions.c.id == found).values(state="pending", created_at=past, published_at=None)
        )
        connection.execute(update(uploads).where(uploads.c.namespace == namespace).values(expires_at=past))
        connection.execute(update(claims).values(expires_at=past))

    writing(services.engine, age)
    done = gc(registry, "--grace", "0")
    assert (done["pending"], done["uploads"] >= 1, done["removed"] >= 1) == (1, True, True)
    assert fsck(registry)["findings"] == []
    other = write_bundle(tmp_path, text="other")
    assert client.publish(other, namespace, "sample", "1.0.0", kind="bundles").status_code == 201


@pytest.fixture(scope="module")
def forgetful(open_registry: Callable[..., Any]) -> Any:
    with open_registry(retention__prerelease_days=1, retention__prerelease_keep=1) as registry:
        yield registry


def test_old_prereleases_go_and_the_newest_stay(forgetful: Registry, tmp_path: Path) -> None:
    registry = forgetful
    namespace, client = registry.namespace(), registry.client()
    numbers = ["1.0.0-alpha.2", "1.0.0-alpha.10", "0.9.0", "1.0.0-alpha.1"]
    for number in numbers:
        release = write_bundle(tmp_path, version=number, text=namespace + number)
        assert client.publish(release, namespace, "sample", number, kind="bundles").status_code == 201
    assert gc(registry)["prereleases"] == 0
    services = services_of(registry)

    def age(connection: Any) -> None:
        component = select(components.c.id).where(components.c.namespace == namespace).scalar_subquery()
        past = now(connection) - timedelta(days=2)
        connection.execute(update(versions).where(versions.c.component_id == component).values(published_at=past))

    writing(services.engine, age)
    assert gc(registry, "--grace", "0")["prereleases"] == 2
    path = f"/v1/bundles/{namespace}/sample/"
    assert [client.get(path + number).status_code for number in numbers] == [404, 200, 200, 404]
    again = client.publish(
        write_bundle(tmp_path, version=numbers[0], text=namespace + numbers[0]),
        namespace, "sample", numbers[0], kind="bundles",
    )  # fmt: skip
    assert (again.status_code, "removed" in again.json()["detail"]) == (409, True)
    assert fsck(registry)["findings"] == []
    assert "version.remove" in registry.command("audit", "list").stdout
