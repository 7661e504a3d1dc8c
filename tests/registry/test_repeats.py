"""Answers that are given again without asking the database are those that it would give."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update

from flowctl_registry.database.data_version import DataVersion
from flowctl_registry.database.engine import open_engine
from flowctl_registry.database.tables import artifacts, components, namespaces

from .client import Client
from .conftest import Registry


@pytest.fixture
def component(registry: Registry, release: Path) -> str:
    namespace = registry.namespace()
    assert registry.client().publish(release, namespace, "greeting", "1.2.0").status_code == 201
    return f"/v1/components/{namespace}/greeting"


def nobody(registry: Registry) -> Client:
    return Client(registry.urls)


def test_the_same_again(registry: Registry, component: str, release: Path) -> None:
    program = (release / "binaries" / "greeting-linux-amd64").read_bytes()
    for path in ("/1.2.0", "/1.2.0/download", "/versions", "", "/latest/files/metadata/component.yaml"):
        answers = [nobody(registry).get(component + path, follow_redirects=True) for _ in range(6)]
        assert {(each.status_code, each.content) for each in answers} == {(200, answers[0].content)}
        given = [{n: v for n, v in each.headers.items() if n not in ("date", "x-request-id")} for each in answers]
        assert all(each == given[0] for each in given)
        assert len({each.headers["x-request-id"] for each in answers}) == 6
        if path.endswith("download"):
            assert answers[0].content == program


def test_conditions_and_ranges_are_not_repeated(registry: Registry, component: str) -> None:
    client, path = nobody(registry), component + "/1.2.0/download"
    whole = [client.get(path, follow_redirects=True) for _ in range(4)][-1]
    part = client.get(path, headers={"Range": "bytes=1-3"}, follow_redirects=True)
    assert (part.status_code, part.content) == (206, whole.content[1:4])
    assert client.get(path, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.request("HEAD", path).content == b""
    assert client.request("DELETE", path).status_code == 405


def test_what_changes_is_seen_at_once(registry: Registry, component: str, make_release: Any) -> None:
    client, owner = nobody(registry), registry.client()
    for _ in range(4):
        assert client.get(component + "/latest").json()["version"] == "1.2.0"
        assert client.get(component + "/1.2.0").json().get("yanked") is None
    namespace = component.split("/")[3]
    assert owner.publish(make_release(version="1.3.0"), namespace, "greeting", "1.3.0").status_code == 201
    for _ in range(4):
        assert client.get(component + "/latest").json()["version"] == "1.3.0"
    assert owner.request("POST", component + "/1.3.0/yank", json={"reason": "broken"}).status_code < 300
    for _ in range(4):
        assert client.get(component + "/latest").json()["version"] == "1.2.0"
        assert client.get(component + "/1.3.0").json()["yanked"]["reason"] == "broken"
    for _ in range(4):
        assert client.get(component + "/1.2.0/download", follow_redirects=True).status_code == 200
    hidden = update(namespaces).where(namespaces.c.name == namespace)
    registry.change(lambda c: c.execute(hidden.values(private=True)))
    for path in ("/1.2.0/download", "/1.2.0", "/latest", "/versions", ""):
        assert client.get(component + path).status_code == 404, path
    registry.change(lambda c: c.execute(hidden.values(private=False)))
    assert client.get(component + "/1.2.0/download", follow_redirects=True).status_code == 200


def test_a_file_that_goes_is_gone(registry: Registry, component: str, backend: str) -> None:
    client, path = nobody(registry), component + "/1.2.0/download"
    for _ in range(4):
        assert client.get(path, follow_redirects=True).status_code == 200
    registry.change(lambda c: c.execute(delete(artifacts).where(artifacts.c.path.like("binaries/%"))))
    if backend != "sqlite":
        time.sleep(5.5)  # a removed file is found for some seconds
    assert [client.get(path).status_code for _ in range(4)] == [404] * 4


def test_they_count(registry: Registry, component: str) -> None:
    namespace = component.split("/")[3]
    for _ in range(20):
        assert nobody(registry).get(component + "/1.2.0/download", follow_redirects=True).status_code == 200
    deadline = time.monotonic() + 60
    counted = 0
    while counted < 20 and time.monotonic() < deadline:
        time.sleep(1)
        for _ in range(len(registry.urls)):  # whoever is asked writes what is due
            nobody(registry).get(component + "/1.2.0/download", follow_redirects=True)
        row = registry.change(lambda c: c.execute(components.select().where(components.c.namespace == namespace)).one())
        counted = row.downloads
    assert counted >= 20
    text = registry.client().get("/metrics").text
    assert 'route="/v1/components/{ns}/{name}/{reference}/download",status="200"' in text


def test_a_limit_holds(open_registry: Any, release: Path) -> None:
    with open_registry(limits__requests_per_minute=10) as registry:
        namespace = registry.namespace()
        assert registry.client().publish(release, namespace, "greeting", "1.2.0").status_code == 201
        got = [nobody(registry).get(f"/v1/components/{namespace}/greeting/1.2.0") for _ in range(40)]
    codes = [each.status_code for each in got]
    # Each new client begins with the same process; a minute may end in the middle.
    assert codes.count(200) in (10, 20) and codes.count(429) >= 20
    assert all("retry-after" in each.headers for each in got if each.status_code == 429)


def test_the_number_changes_with_every_commit_of_others(tmp_path: Path) -> None:
    engine, other = open_engine(f"sqlite:///{tmp_path}/a.db"), open_engine(f"sqlite:///{tmp_path}/a.db")
    version = DataVersion(engine)
    with other.connect().execution_options(write=True) as connection, connection.begin():
        connection.exec_driver_sql("CREATE TABLE t (x)")
    seen = [version.read(), version.read()]
    for _ in range(3):
        with other.connect().execution_options(write=True) as connection, connection.begin():
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        seen.append(version.read())
    version.close()
    seen.append(version.read())
    assert seen[0] == seen[1] and len(set(seen)) == 5 and None not in seen
    engine.dispose()
    other.dispose()
