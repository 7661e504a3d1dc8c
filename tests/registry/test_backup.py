"""What is backed up comes back, on the other back end too."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowctl_registry.database.schema import metadata

from .bundles import write_bundle
from .conftest import Registry
from .test_gc import fsck


def back_up(registry: Registry, folder: Path) -> dict[str, Any]:
    return json.loads(registry.command("backup", str(folder), "-o", "json").stdout)


@pytest.fixture
def other(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Any]:
    """`with other() as registry`: an empty one on the other back end, with nothing in its database."""
    from registry_instance import run_registry

    def run(folder: Path) -> Any:
        if backend == "postgres":
            return run_registry(tmp_path / "other", "sqlite", restored_from=folder)
        servers = {name: request.getfixturevalue(name + "_server") for name in ("postgres", "s3")}
        return run_registry(tmp_path / "other", "postgres", restored_from=folder, **servers)

    return run


def test_a_backup_is_restored_on_the_other_back_end(
    registry: Registry, other: Callable[..., Any], release: Path, tmp_path: Path
) -> None:
    namespace, client = registry.namespace(), registry.client()
    assert client.publish(release, namespace, "greeting", "1.2.0").status_code == 201
    bundle = write_bundle(tmp_path, text=namespace)
    assert client.publish(bundle, namespace, "sample", "1.0.0", kind="bundles").status_code == 201
    yank = f"/v1/bundles/{namespace}/sample/1.0.0/yank"
    assert client.post(yank, json={"reason": "wrong"}).status_code == 200
    paths = [f"/v1/components/{namespace}/greeting/1.2.0", f"/v1/bundles/{namespace}/sample/1.0.0"]
    paths += [f"/v1/components/search?q=greeting&namespace={namespace}", "/v1/keys"]
    before = [client.get(path).json() for path in paths]
    assert namespace in str(before[-2])
    made = back_up(registry, tmp_path / "backup")
    assert made["copied"] == made["blobs"] > 5
    with other(tmp_path / "backup") as restored:
        restored.token = registry.token
        there = restored.client()
        assert [there.get(path).json() for path in paths] == before
        assert fsck(restored)["findings"] == []
        restored.command("audit", "verify")
        more = write_bundle(tmp_path, name="another", text=namespace)  # numbers go on after the restored ones
        assert there.publish(more, namespace, "another", "1.0.0", kind="bundles").status_code == 201
        restored.command("restore", str(tmp_path / "backup"), code=80)


def test_a_later_backup_copies_what_is_new(registry: Registry, tmp_path: Path) -> None:
    namespace, client, folder = registry.namespace(), registry.client(), tmp_path / "backup"
    back_up(registry, folder)
    bundle = write_bundle(tmp_path, text=namespace)
    assert client.publish(bundle, namespace, "sample", "1.0.0", kind="bundles").status_code == 201
    second = back_up(registry, folder)
    assert 1 <= second["copied"] < second["blobs"] or second["blobs"] <= 3
    assert len(list(folder.glob("database-*"))) == 1


@pytest.mark.parametrize("fault", ["blob", "database", "manifest", "missing"])
def test_a_backup_that_is_not_whole_is_refused(registry: Registry, tmp_path: Path, fault: str) -> None:
    namespace, client, folder = registry.namespace(), registry.client(), tmp_path / "backup"
    bundle = write_bundle(tmp_path, text=namespace)
    assert client.publish(bundle, namespace, "sample", "1.0.0", kind="bundles").status_code == 201
    made = back_up(registry, folder)
    blob = next((folder / "blobs").rglob("?" * 64))
    if fault == "blob":
        blob.write_bytes(b"x" * blob.stat().st_size)
    elif fault == "missing":
        blob.unlink()
    elif fault == "manifest":
        (folder / "backup.json").unlink()
    else:
        with (folder / made["database"]).open("a") as file:
            file.write("\n")
    place = {
        "FLOWCTL_REGISTRY_DATA": str(tmp_path / "new"),
        "PATH": registry.environment["PATH"],
        "HOME": registry.environment.get("HOME", str(tmp_path)),
    }
    new = Registry((), tmp_path / "new", place)
    told = new.command("restore", str(folder), code=81).stderr
    assert "error: " in told and "Traceback" not in told
    database = tmp_path / "new" / "registry.db"
    if database.exists():
        assert "0 namespaces" in told or json.loads(new.command("namespace", "list", "-o", "json").stdout) == []


def test_a_backup_keeps_every_table_whatever_was_imported() -> None:
    """In a Python of its own: another test's imports must not decide."""
    script = "from flowctl_registry.maintenance import dump; print(*(table.name for table in dump.TABLES))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == set(metadata.tables) - {"claims", "uploads"}
    assert {"versions", "builds", "sources", "hooks"} <= set(metadata.tables)
