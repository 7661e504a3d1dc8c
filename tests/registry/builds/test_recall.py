"""Recall: what something bad went into, yanked and built again; and the operator's other commands for builds."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from tests.registry.conftest import Registry

from flowctl_registry.builds.logs import LogWriter
from flowctl_registry.database.build_tables import builds, materials
from flowctl_registry.database.engine import now
from flowctl_registry.database.tables import components, versions
from flowctl_registry.services import Services
from flowctl_registry.settings import load_settings


@pytest.fixture
def published(registry: Registry, make_release: Callable[..., Path]) -> str:
    """A namespace with greeting 1.2.0 and 1.3.0."""
    namespace = registry.namespace()
    for version in ("1.2.0", "1.3.0"):
        done = registry.client().publish(make_release(version=version), namespace, "greeting", version)
        assert done.status_code == 201, done.text
    return namespace


def recalled(registry: Registry, namespace: str, *words: str) -> list[dict[str, Any]]:
    """Those of this namespace, since others have used the same plugin."""
    found = json.loads(registry.command("recall", *words, "-o", "json").stdout)["versions"]
    return [each for each in found if each["namespace"] == namespace]


def mark(registry: Registry, namespace: str, version: str, *rows: tuple[str, str, str, str]) -> None:
    """Let a version have been made with more than it was."""

    def change(connection: Any) -> None:
        query = select(versions.c.id).join(components, components.c.id == versions.c.component_id)
        version_id = connection.execute(
            query.where(components.c.namespace == namespace, versions.c.version == version)
        ).scalar_one()
        for kind, name, of, digest in rows:
            row = {"kind": kind, "name": name, "version": of, "digest": digest}
            connection.execute(insert(materials).values(version_id=version_id, **row))

    registry.change(change)


def test_what_a_release_records_is_found(registry: Registry, published: str, make_release: Any) -> None:
    info = json.loads((make_release(version="1.2.0") / "metadata/build-info.json").read_text())
    plugin = info["plugins"][0]
    name = f"{plugin['distribution']}=={plugin['version']}"
    found = recalled(registry, published, "--plugin", name)
    assert [each["version"] for each in found] == ["1.2.0", "1.3.0"]
    assert found[0]["materials"][0]["version"] == plugin["version"] and not found[0]["yanked"]
    assert recalled(registry, published, "--plugin", plugin["digest"]) == found, "a digest stands for a name"
    assert recalled(registry, published, "--plugin", f"{plugin['distribution']}==0.0.1") == []
    for tool in info["tools"]:
        wanted = f"{tool['name']}=={tool['version']}" if tool["version"] else tool["name"]
        assert len(recalled(registry, published, "--tool", wanted)) == 2
    sbom = json.loads((make_release(version="1.2.0") / "metadata/sbom.cdx.json").read_text())
    for component in sbom.get("components", ()):
        if "purl" in component:
            assert recalled(registry, published, "--dependency", component["purl"]), component["purl"]


def test_any_match_counts_and_each_version_is_told_once(registry: Registry, published: str) -> None:
    one, digest = f"lib-{uuid.uuid4().hex}", "sha256:" + "a" * 64
    mark(registry, published, "1.2.0", ("dependency", f"pkg:npm/{one}", "1.0.0", ""), ("tool", one, "7", digest))
    mark(registry, published, "1.3.0", ("dependency", f"pkg:npm/{one}", "2.0.0", ""))
    mark(registry, published, "1.3.0", ("base-image", f"test/{one}:3.19", "", digest))

    def found(*words: str) -> list[str]:
        return [each["version"] for each in recalled(registry, published, *words)]

    assert found("--dependency", f"pkg:npm/{one}@1.0.0", "--tool", f"{one}==7") == ["1.2.0"]
    assert found("--dependency", f"pkg:npm/{one}") == ["1.2.0", "1.3.0"]
    assert found("--tool", f"{one}==8") == []
    for reference in (f"test/{one}", f"test/{one}:3.19", f"test/{one}:3.19@{digest}"):
        assert found("--base-image", reference) == ["1.3.0"], reference
    for reference in (f"test/{one}:3", f"test/{one[:-1]}", "test/%"):
        assert found("--base-image", reference) == [], reference
    table = registry.command("recall", "--tool", one).stdout
    assert f"{published}/greeting 1.2.0" in table and f"{one} 7" in table


def test_they_are_yanked_once(registry: Registry, published: str) -> None:
    one = f"lib-{uuid.uuid4().hex}"
    mark(registry, published, "1.3.0", ("tool", one, "7", ""))
    for _ in range(2):
        (found,) = recalled(registry, published, "--tool", one, "--yank", "made with a bad tool")
        assert found["yanked"]
    shown = registry.client().get(f"/v1/components/{published}/greeting/1.3.0").json()
    assert shown["yanked"]["reason"] == "made with a bad tool"
    assert registry.client().get(f"/v1/components/{published}/greeting/latest").json()["version"] == "1.2.0"


def test_they_are_built_again_where_the_source_is_known(registry: Registry, published: str) -> None:
    one, commit = f"lib-{uuid.uuid4().hex}", "c" * 40
    mark(registry, published, "1.2.0", ("tool", one, "7", ""))
    mark(registry, published, "1.3.0", ("tool", one, "7", ""))
    values = {
        "id": uuid.uuid4().hex, "kind": "component", "namespace": published, "name": "greeting", "subdirectory": "go",
        "repository": "https://git.test/x", "trigger": "publish", "priority": 10, "state": "succeeded",
        "requested_by": "x", "ref": "v1.3.0", "commit": commit,
    }  # fmt: skip
    built = recalled(registry, published, "--tool", one)[1]["id"]
    registry.change(lambda c: c.execute(insert(builds).values(**values, version_id=built, created_at=now(c))))
    registry.change(lambda c: c.execute(update(versions).where(versions.c.id != built).values(source={})))
    first, second = (recalled(registry, published, "--tool", one, "--rebuild") for _ in range(2))
    assert first == second, "again asks for nothing new"
    assert "its source is not known" in first[0]["problem"] and "build" not in first[0]
    made = registry.client().get(f"/v1/builds/{first[1]['build']}").json()
    assert (made["trigger"], made["ref"], made["subdirectory"]) == ("recall", commit, "go")


def test_nothing_found_and_nothing_asked(registry: Registry) -> None:
    assert "no published version" in registry.command("recall", "--tool", "no-such-tool").stdout
    assert "it is not said what is recalled" in registry.command("recall", code=80).stderr
    assert "that is no reason" in registry.command("recall", "--tool", "x", "--yank", "", code=80).stderr


def test_the_operators_commands_for_builds(registry: Registry) -> None:
    namespace = registry.namespace()
    asked = {"repository": "https://git.test/x", "ref": "v1.0.0"}
    build_id = registry.client().post(f"/v1/components/{namespace}/greeting/builds", json=asked).json()["id"]
    assert "queued, place" in registry.command("build", "list", "--namespace", namespace).stdout
    (listed,) = json.loads(registry.command("build", "list", "--namespace", namespace, "-o", "json").stdout)
    assert listed["id"] == build_id
    assert "--state" in registry.command("build", "list", "--state", "odd", code=80).stderr
    services = Services.open(load_settings(None, registry.environment))
    with LogWriter(services, build_id) as log:
        log.write("clone", "", b"Cloning\n")
    services.close()
    assert registry.command("build", "logs", build_id).stdout == "==> clone <==\nCloning\n"
    assert "is cancelled" in registry.command("build", "cancel", build_id).stdout
    assert registry.command("build", "logs", "--follow", build_id).stdout == "==> clone <==\nCloning\n"
    assert "state  cancelled" in registry.command("build", "show", build_id).stdout
    assert "try 2" in registry.command("build", "retry", build_id).stdout
    assert "there is no build" in registry.command("build", "show", "0" * 32, code=80).stderr
