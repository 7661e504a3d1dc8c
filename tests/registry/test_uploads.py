"""Uploads and commits: what is refused, what may be repeated, and what two at once get."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from .bundles import write_bundle
from .client import files_of
from .conftest import Registry


def test_a_bundle_is_published_again_and_again(registry: Registry, tmp_path: Path) -> None:
    namespace, client = registry.namespace(), registry.client()
    first = client.publish(write_bundle(tmp_path), namespace, "sample", "1.0.0", kind="bundles")
    assert first.status_code == 201, first.text
    begun = client.post(
        f"/v1/bundles/{namespace}/sample/uploads",
        json={"version": "1.0.0", "files": files_of(write_bundle(tmp_path))},
    ).json()
    assert begun["missing"] == []
    for _ in range(2):
        again = client.post(f"/v1/bundles/{namespace}/sample/uploads/{begun['id']}/commit")
        assert (again.status_code, again.json()) == (201, first.json())


def test_other_contents_of_a_version_are_a_conflict(registry: Registry, tmp_path: Path) -> None:
    namespace, client = registry.namespace(), registry.client()
    first = client.publish(write_bundle(tmp_path), namespace, "sample", "1.0.0", kind="bundles")
    other = client.publish(write_bundle(tmp_path, text="two"), namespace, "sample", "1.0.0", kind="bundles")
    assert (other.status_code, other.json()["type"]) == (409, "urn:flowctl:problem:conflict")
    assert client.get(f"/v1/bundles/{namespace}/sample/1.0.0").json() == first.json()


@pytest.mark.parametrize("same", [True, False])
def test_two_commits_at_once(registry: Registry, tmp_path: Path, same: bool) -> None:
    client = registry.client()
    releases = (
        [write_bundle(tmp_path, text="a")] * 4 if same else [write_bundle(tmp_path, text=text) for text in "abcd"]
    )
    for _ in range(5):
        namespace = registry.namespace()

        def publish(release: Path, namespace: str = namespace) -> Any:
            return registry.client().publish(release, namespace, "sample", "1.0.0", kind="bundles")

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(publish, releases))
        won = [each for each in answers if each.status_code == 201]
        lost = [each.status_code for each in answers if each.status_code != 201]
        shown = client.get(f"/v1/bundles/{namespace}/sample/1.0.0").json()
        assert len(won) == (4 if same else 1), [each.text for each in answers]
        assert all(each.json() == shown for each in won)
        assert lost == ([] if same else [409] * 3)


def test_wrong_bytes_leave_nothing(registry: Registry) -> None:
    namespace, client = registry.namespace(), registry.client()
    data = b"right " * 1000
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    file = {"path": "metadata/bundle.yaml", "digest": digest, "size": len(data)}
    base = f"/v1/bundles/{namespace}/sample/uploads"
    upload = client.post(base, json={"version": "1.0.0", "files": [file]}).json()
    blob = f"{base}/{upload['id']}/blobs/{digest}"
    assert client.request("PUT", blob, content=data[:-1]).status_code == 400
    assert client.request("PUT", blob, content=b"x" * len(data)).status_code == 400
    assert client.request("PUT", blob, content=data + b"x").status_code == 413
    assert client.get(f"{base}/{upload['id']}").json()["missing"] == [digest]
    done = client.post(f"{base}/{upload['id']}/commit")
    assert (done.status_code, "missing" in done.json()["detail"]) == (422, True)
    unannounced = "sha256:" + "0" * 64
    assert client.request("PUT", f"{base}/{upload['id']}/blobs/{unannounced}", content=b"").status_code == 404


def test_an_abandoned_upload_is_gone(registry: Registry, tmp_path: Path) -> None:
    namespace, client = registry.namespace(), registry.client()
    base = f"/v1/bundles/{namespace}/sample/uploads"
    upload = client.post(base, json={"version": "1.0.0", "files": files_of(write_bundle(tmp_path))}).json()
    elsewhere = f"/v1/bundles/{namespace}/other/uploads/{upload['id']}"
    assert client.get(elsewhere).status_code == 404
    assert client.request("DELETE", f"{base}/{upload['id']}").status_code == 204
    assert client.post(f"{base}/{upload['id']}/commit").status_code == 404
    assert client.get(f"/v1/bundles/{namespace}/sample/1.0.0").status_code == 404


def test_a_quota_counts_what_is_announced(open_registry: Callable[..., Any], tmp_path: Path) -> None:
    release = write_bundle(tmp_path)
    size = sum(int(str(each["size"])) for each in files_of(release))
    with open_registry(limits__namespace_bytes=size + size // 2) as registry:
        namespace, client = registry.namespace(), registry.client()
        base = f"/v1/bundles/{namespace}/other/uploads"
        held = client.post(base, json={"version": "1.0.0", "files": files_of(release)}).json()
        refused = client.publish(release, namespace, "sample", "1.0.0", kind="bundles")
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:flowctl:problem:quota")
        assert client.request("DELETE", f"{base}/{held['id']}").status_code == 204
        assert client.publish(release, namespace, "sample", "1.0.0", kind="bundles").status_code == 201
        assert client.publish(release, namespace, "sample", "1.0.0", kind="bundles").status_code == 403


def test_naming_the_digest_of_a_private_file_does_not_give_it(registry: Registry, release: Path) -> None:
    """Somebody who learnt digests of a private release must send the bytes, as if nobody had."""
    private, other = registry.namespace(private=True), registry.namespace()
    client = registry.client()
    own = private_release(release)
    assert client.publish(own, private, "greeting", "1.2.0").status_code == 201
    secret = next(file for file in files_of(own) if file["path"] == "metadata/private.json")
    asked = {"version": "1.2.0", "files": files_of(own)}
    begun = client.post(f"/v1/components/{other}/greeting/uploads", json=asked).json()
    assert secret["digest"] in begun["missing"]
    refused = client.post(f"/v1/components/{other}/greeting/uploads/{begun['id']}/commit")
    assert refused.status_code == 422 and "missing" in refused.json()["detail"]
    again = client.post(f"/v1/components/{private}/greeting/uploads", json=asked).json()
    assert again["missing"] == []


def private_release(release: Path) -> Path:
    """The release with a file that no other has."""
    copy = release.parent / "private"
    if not copy.exists():
        shutil.copytree(release, copy)
        (copy / "metadata" / "private.json").write_text(json.dumps({"secret": secrets.token_hex(16)}))
    return copy
