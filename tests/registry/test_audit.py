"""The audit log tells every change, and shows when somebody wrote it past the registry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, delete, insert, select, update

from flowctl_registry import audit
from flowctl_registry.database.engine import open_engine, reading, writing
from flowctl_registry.database.tables import audit as log
from flowctl_registry.database.tables import audit_head, metadata
from flowctl_registry.errors import TamperedError

from .conftest import Registry
from .test_access import make_token, new_user


def entries(registry: Registry, target: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while page := registry.client().get("/v1/audit", params={"after": len(found), "limit": 50}).json()["entries"]:
        found += page
    assert [each["sequence"] for each in found] == list(range(1, len(found) + 1))
    return [each for each in found if each["target"].startswith(target)]


def test_every_change_leaves_an_entry(registry: Registry, release: Path) -> None:
    namespace, admin = registry.namespace(), registry.client()
    user = new_user(registry, namespace, "owner")
    token = make_token(registry, user)
    owner = registry.client(token)
    assert owner.publish(release, namespace, "greeting", "1.2.0").status_code == 201
    path = f"/v1/components/{namespace}/greeting/1.2.0/yank"
    assert owner.post(path, json={"reason": "broken"}).status_code == 200
    assert owner.request("DELETE", path).status_code == 200
    assert owner.request("PATCH", f"/v1/namespaces/{namespace}", json={"private": True}).status_code == 200
    assert owner.request("PUT", f"/v1/namespaces/{namespace}/members/bob", json={}).status_code == 200
    assert owner.request("DELETE", f"/v1/namespaces/{namespace}/members/bob").status_code == 204
    told = [
        (each["actor"], each["action"], each["target"].removeprefix(namespace)) for each in entries(registry, namespace)
    ]
    version = "/greeting@1.2.0"
    assert told == [
        ("admin", "member.set", ""),
        (user, "version.publish", version),
        (user, "version.yank", version),
        (user, "version.unyank", version),
        (user, "namespace.change", ""),
        (user, "member.set", ""),
        (user, "member.remove", ""),
    ]
    identity = token.split("_")[1]
    assert admin.request("DELETE", f"/v1/tokens/{identity}").status_code == 204
    made, ended = entries(registry, identity)
    assert (made["action"], made["detail"]["user"], ended["action"]) == ("token.create", user, "token.revoke")
    assert token.split("_")[2] not in json.dumps([made, ended])
    registry.command("audit", "verify")


def test_what_changes_nothing_leaves_no_entry(registry: Registry) -> None:
    namespace, admin = registry.namespace(), registry.client()
    for _ in range(2):
        assert admin.request("PUT", f"/v1/namespaces/{namespace}/members/ann", json={}).status_code == 200
    assert admin.request("DELETE", f"/v1/namespaces/{namespace}/members/bob").status_code == 404
    assert admin.request("PUT", f"/v1/namespaces/{namespace}", json={}).status_code == 409
    assert [each["action"] for each in entries(registry, namespace)] == ["member.set"]


def test_an_entry_names_the_request_that_made_it(registry: Registry) -> None:
    namespace = registry.namespace()
    sent = {"X-Request-Id": "3f1c0f5e-audit"}
    path = f"/v1/namespaces/{namespace}/members/ann"
    assert registry.client().request("PUT", path, json={}, headers=sent).status_code == 200
    assert [each["request_id"] for each in entries(registry, namespace)] == ["3f1c0f5e-audit"]


def test_many_at_once_make_one_chain(registry: Registry) -> None:
    namespace = registry.namespace()

    def add(number: int) -> int:
        path = f"/v1/namespaces/{namespace}/members/user{number}"
        return registry.client().request("PUT", path, json={"role": "owner"}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(add, range(40))) == {200}
    assert len(entries(registry, namespace)) == 40
    shown = json.loads(registry.command("audit", "verify", "-o", "json").stdout)
    before = shown["head"]
    assert add(99) == 200
    registry.command("audit", "verify", "--expect", before)
    other = before[:-1] + ("0" if before[-1] != "0" else "1")
    assert "does not have the entry" in registry.command("audit", "verify", "--expect", other, code=80).stderr
    asked = [registry.client().get("/v1/audit/verify", params={"expect": head}) for head in (before, other)]
    assert [each.status_code for each in asked] == [200, 409]
    assert asked[1].json()["type"] == "urn:flowctl:problem:tampered"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A log of five entries."""
    opened = open_engine(f"sqlite:///{tmp_path}/audit.db")
    plain = create_engine(f"sqlite:///{tmp_path}/audit.db")
    metadata.create_all(plain)
    plain.dispose()
    for number in range(5):
        writing(
            opened, lambda c, n=number: audit.record(c, "ann", "thing.do", f"t{n}", {"n": n, "ä": [1.5, None]}, "r")
        )
    yield opened
    opened.dispose()


def move(connection: Any) -> None:
    connection.execute(update(log).where(log.c.sequence == 2).values(sequence=99))
    connection.execute(update(log).where(log.c.sequence == 3).values(sequence=2))
    connection.execute(update(log).where(log.c.sequence == 99).values(sequence=3))


def double(connection: Any, sequence: int) -> None:
    row = dict(connection.execute(select(log).where(log.c.sequence == 3)).one()._mapping)
    connection.execute(insert(log).values(**{**row, "sequence": sequence}))


def cut(connection: Any, *, head: bool) -> None:
    connection.execute(delete(log).where(log.c.sequence > 3))
    if head:
        connection.execute(update(audit_head).values(sequence=4))


FRAUDS: dict[str, Callable[[Any], object]] = {
    **{
        f"another {name}": lambda c, name=name, value=value: c.execute(
            update(log).where(log.c.sequence == 3).values({name: value})
        )
        for name, value in {
            "actor": "bob", "action": "thing.undo", "target": "x", "detail": {"n": 7}, "request_id": None,
            "previous": "0" * 64, "hash": "0" * 64,
        }.items()
    },
    "another time": lambda c: c.exec_driver_sql("UPDATE audit SET at = at + 1 WHERE sequence = 3"),
    "one removed": lambda c: c.execute(delete(log).where(log.c.sequence == 3)),
    "the first removed": lambda c: c.execute(delete(log).where(log.c.sequence == 1)),
    "the last removed": lambda c: c.execute(delete(log).where(log.c.sequence == 5)),
    "the end removed": lambda c: cut(c, head=False),
    "the end removed, the head's number adapted": lambda c: cut(c, head=True),
    "all removed": lambda c: c.execute(delete(log)),
    "the head removed": lambda c: c.execute(delete(audit_head)),
    "two exchanged": move,
    "one added at the end": lambda c: double(c, 6),
    "one added before the first": lambda c: double(c, 0),
    "one added far before the first": lambda c: double(c, -7),
}  # fmt: skip


@pytest.mark.parametrize("fraud", FRAUDS)
def test_no_fraud_goes_unseen(engine: Engine, fraud: str) -> None:
    with reading(engine) as connection:
        assert audit.verify(connection).sequence == 5
    writing(engine, FRAUDS[fraud])
    with reading(engine) as connection, pytest.raises(TamperedError):
        audit.verify(connection)


def test_a_whole_new_chain_is_seen_by_whoever_kept_an_entry(engine: Engine) -> None:
    with reading(engine) as connection:
        kept = audit.Head.parse(str(audit.verify(connection)))

    def forge(connection: Any) -> None:
        connection.execute(delete(log))
        connection.execute(delete(audit_head))
        for _ in range(6):
            audit.record(connection, "eve", "thing.do", "t")

    writing(engine, forge)
    with reading(engine) as connection:
        assert audit.verify(connection).sequence == 6
        with pytest.raises(TamperedError):
            audit.verify(connection, kept)


def test_an_entry_stands_only_if_its_change_does(engine: Engine) -> None:
    def change(connection: Any) -> None:
        audit.record(connection, "ann", "thing.do", "t")
        raise KeyError

    with pytest.raises(KeyError):
        writing(engine, change)
    with reading(engine) as connection:
        assert audit.verify(connection).sequence == 5
