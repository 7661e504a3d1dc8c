"""fsck finds what is missing, damaged or contradictory; an upload heals what it marked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import obstore
from sqlalchemy import delete, text, update

from flowctl_registry.blobs.store import BlobStore
from flowctl_registry.database.engine import writing
from flowctl_registry.database.tables import artifacts, components, namespaces

from .bundles import write_bundle
from .client import files_of
from .conftest import Registry
from .test_gc import services_of


def findings(registry: Registry, *words: str, code: int = 81) -> dict[str, dict[str, Any]]:
    told = json.loads(registry.command("fsck", "-o", "json", *words, code=code).stdout)
    return {each["kind"]: each for each in told["findings"]}


def test_a_release_is_whole(registry: Registry, release: Path) -> None:
    namespace = registry.namespace()
    assert registry.client().publish(release, namespace, "greeting", "1.2.0").status_code == 201
    told = json.loads(registry.command("fsck", "-o", "json").stdout)
    assert (told["findings"], told["versions"] >= 1, told["bytes"] > 1_000_000) == ([], True, True)
    assert json.loads(registry.command("fsck", "--quick", "-o", "json").stdout)["bytes"] == 0
    assert "nothing is wrong" in registry.command("fsck").stdout


def test_damaged_and_missing_blobs_are_healed_by_an_upload(registry: Registry, tmp_path: Path) -> None:
    namespace, client = registry.namespace(), registry.client()
    release = write_bundle(tmp_path, text=namespace, registry_notes=b"{}", one=b"1" * 50, two=b"2" * 50)
    assert client.publish(release, namespace, "sample", "1.0.0", kind="bundles").status_code == 201
    digests = {str(each["path"]): str(each["digest"]) for each in files_of(release)}
    store = services_of(registry).blobs
    store.delete(digests["metadata/one.json"])
    obstore.put(store.objects, BlobStore.key(digests["metadata/two.json"]), b"3" * 50)
    obstore.put(store.objects, BlobStore.key(digests["metadata/bundle.yaml"]), b"short")
    found = findings(registry)
    assert found["missing"]["target"] == digests["metadata/one.json"]
    assert found["damaged"]["repaired"] is False
    assert "damaged" in registry.command("fsck", code=81).stdout
    assert found.keys() == findings(registry, "--quick").keys()  # the short one
    assert all(each["repaired"] for each in findings(registry, "--repair", code=0).values())
    again = client.publish(release, namespace, "sample", "1.0.0", kind="bundles")
    assert again.status_code == 201
    assert findings(registry, code=0) == {}
    for path, digest in digests.items():
        assert store.read(digest, 1000) == (release / path).read_bytes()


def test_contradicting_rows_are_found(registry: Registry, tmp_path: Path) -> None:
    namespace, client = registry.namespace(), registry.client()
    release = write_bundle(tmp_path, text=namespace, more=namespace.encode())
    assert client.publish(release, namespace, "sample", "1.0.0", kind="bundles").status_code == 201
    engine = services_of(registry).engine
    mine = components.c.namespace == namespace
    writing(engine, lambda c: c.execute(update(components).where(mine).values(latest="9.9.9")))
    writing(engine, lambda c: c.execute(update(namespaces).where(namespaces.c.name == namespace).values(used_bytes=7)))
    writing(engine, lambda c: c.execute(text("DELETE FROM component_search")))
    found = findings(registry)
    assert found["search"]["target"].startswith(("bundle ", "component "))
    assert found["latest"]["target"] == f"bundle {namespace}/sample"
    assert found["used-bytes"]["target"] == f"namespace {namespace}"
    assert all(each["repaired"] for each in findings(registry, "--repair", code=0).values())
    assert findings(registry, code=0) == {}
    digest = next(str(each["digest"]) for each in files_of(release) if each["path"] == "metadata/more.json")
    writing(engine, lambda c: c.execute(delete(artifacts).where(artifacts.c.digest == digest)))
    found = findings(registry, "--repair")
    assert found["version"]["target"] == f"bundle {namespace}/sample 1.0.0"
    assert found["version"]["repaired"] is False
