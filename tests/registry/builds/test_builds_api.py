"""Builds by the API: asked for, listed, looked at, cancelled, tried again."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from tests.registry.client import Client
from tests.registry.conftest import Registry
from tests.registry.test_access import anonymous, make_token, new_user

from flowctl_registry.database.build_tables import build_steps, builds
from flowctl_registry.database.engine import now
from flowctl_registry.database.tables import audit

REPOSITORY = "https://git.test/acme/greeting"


@pytest.fixture(scope="module")
def registry(open_registry: Callable[..., Any]) -> Iterator[Registry]:
    """One whose builds only wait: it has no worker."""
    with open_registry(builds__queued_per_namespace=3) as running:
        yield running


def ask(client: Client, namespace: str, name: str = "greeting", kind: str = "components", **more: Any) -> Any:
    return client.post(f"/v1/{kind}/{namespace}/{name}/builds", json={"repository": REPOSITORY, **more})


def change(registry: Registry, build_id: str, **values: Any) -> None:
    registry.change(lambda c: c.execute(update(builds).where(builds.c.id == build_id).values(**values)))


def actions(registry: Registry, target: str) -> list[str]:
    query = select(audit.c.action).where(audit.c.target == target).order_by(audit.c.sequence)
    return list(registry.change(lambda c: c.execute(query).scalars().all()))


def test_a_build_is_asked_for_and_looked_at(registry: Registry) -> None:
    namespace = registry.namespace()
    member = registry.client(make_token(registry, new_user(registry, namespace, "member")))
    asked = ask(member, namespace, ref="v1.2.0", subdirectory="go", version="1.2.0", trigger="publish")
    assert asked.status_code == 202, asked.text
    made = asked.json()
    assert asked.headers["location"] == f"/v1/builds/{made['id']}"
    wanted = {
        "kind": "component", "namespace": namespace, "name": "greeting", "repository": REPOSITORY, "ref": "v1.2.0",
        "subdirectory": "go", "version": "1.2.0", "trigger": "publish", "state": "queued", "attempt": 1, "steps": [],
    }  # fmt: skip
    assert {name: made[name] for name in wanted} == wanted
    assert made["position"] >= 1 and made["estimate_s"] >= 0 and made["requested_by"].startswith("user-")
    shown = anonymous(registry).get(asked.headers["location"])
    assert shown.status_code == 200 and shown.json()["id"] == made["id"]
    again = ask(member, namespace, ref="v1.2.0", subdirectory="go", version="1.2.0", trigger="publish")
    assert (again.status_code, again.json()["id"]) == (200, made["id"])


def test_a_request_key_makes_a_request_idempotent(registry: Registry) -> None:
    namespace, client = registry.namespace(), registry.client()
    first, second = (ask(client, namespace, request_key="one") for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"] != ask(client, namespace, request_key="two").json()["id"]
    assert ask(client, registry.namespace(), request_key="one").status_code == 202


def test_bundles_are_built_too(registry: Registry) -> None:
    assert ask(registry.client(), registry.namespace(), kind="bundles").json()["kind"] == "bundle"


def test_the_source_is_the_default(registry: Registry) -> None:
    namespace, client = registry.namespace(), registry.client()
    bare = client.post(f"/v1/components/{namespace}/greeting/builds", json={})
    assert bare.status_code == 400 and "no source is registered" in bare.text
    source = {"repository": REPOSITORY, "subdirectory": "components/greeting"}
    assert client.request("PUT", f"/v1/components/{namespace}/greeting/source", json=source).is_success
    made = client.post(f"/v1/components/{namespace}/greeting/builds", json={}).json()
    assert (made["repository"], made["subdirectory"]) == (REPOSITORY, "components/greeting")


@pytest.mark.parametrize(
    "wrong",
    [
        {"repository": "file:///etc"},
        {"repository": "https://me:secret@git.test/x"},
        {"ref": "--upload-pack=x"},
        {"subdirectory": "../x"},
        {"version": "v1"},
        {"trigger": "webhook"},
    ],
    ids=str,
)
def test_a_strange_request_is_refused(registry: Registry, wrong: dict[str, Any]) -> None:
    assert ask(registry.client(), registry.namespace(), **wrong).status_code == 400


def test_a_namespace_has_so_many_that_wait(registry: Registry) -> None:
    namespace = registry.namespace()
    assert [ask(registry.client(), namespace).status_code for _ in range(4)] == [202, 202, 202, 429]
    assert int(ask(registry.client(), namespace).headers["retry-after"]) > 0


def test_only_who_may_publish_asks_and_cancels(registry: Registry) -> None:
    namespace = registry.namespace()
    outsider = registry.client(make_token(registry, new_user(registry, namespace)))
    reader = registry.client(make_token(registry, new_user(registry, namespace, "member"), "read"))
    build_id = ask(registry.client(), namespace).json()["id"]
    for client, status in ((outsider, 403), (reader, 403), (anonymous(registry), 401)):
        assert ask(client, namespace).status_code == status
        for what in ("cancel", "retry"):
            assert client.post(f"/v1/builds/{build_id}/{what}").status_code == status
    assert registry.client().get(f"/v1/builds/{build_id}").json()["state"] == "queued"


def test_what_is_private_is_not_there_for_outsiders(registry: Registry) -> None:
    namespace = registry.namespace(private=True)
    member = registry.client(make_token(registry, new_user(registry, namespace, "member")))
    outsider = registry.client(make_token(registry, new_user(registry, namespace)))
    build_id, missing = ask(member, namespace).json()["id"], uuid.uuid4().hex
    for path in ("", "/logs", "/logs/events"):
        for client in (outsider, anonymous(registry)):
            answers = [client.get(f"/v1/builds/{each}{path}") for each in (build_id, missing)]
            assert [each.status_code for each in answers] == [404, 404]
            assert answers[0].json()["detail"].replace(build_id, missing) == answers[1].json()["detail"]
    assert member.get(f"/v1/builds/{build_id}").status_code == 200
    for client, there in ((member, True), (outsider, False), (anonymous(registry), False)):
        listed = client.get(f"/v1/builds?namespace={namespace}").json()["items"]
        assert bool(listed) is there


def test_a_list_has_pages(registry: Registry) -> None:
    namespace, client = registry.namespace(), registry.client()
    ids = [ask(client, namespace, name=name).json()["id"] for name in ("one", "two", "two")]
    change(registry, ids[0], state="failed", problem={"code": "build", "message": "it does not compile"})
    first = client.get(f"/v1/builds?namespace={namespace}&limit=2").json()
    second = client.get(f"/v1/builds?namespace={namespace}&limit=2&cursor={first['next']}").json()
    assert [each["id"] for each in first["items"] + second["items"]] == ids[::-1] and "next" not in second
    assert second["items"][0]["problem"]["message"] == "it does not compile"
    for query, found in (("name=two", ids[:0:-1]), ("state=failed", ids[:1]), ("state=running", [])):
        listed = client.get(f"/v1/builds?namespace={namespace}&{query}").json()["items"]
        assert [each["id"] for each in listed] == found, query
    assert client.get(f"/v1/builds?namespace={namespace}&state=failed&cursor={first['next']}").status_code == 404


def test_the_timeline_is_in_order(registry: Registry) -> None:
    build_id = ask(registry.client(), registry.namespace()).json()["id"]
    steps = [("build", "linux/arm64", "refused", {"refused": "no linker"}), ("build", "linux/amd64", "running", None),
             ("decide", "", "succeeded", {}), ("clone", "", "succeeded", {})]  # fmt: skip
    for step, platform, state, answer in steps:
        values = {"step": step, "platform": platform, "state": state, "answer": answer, "attempt": 1, "worker": "one"}
        registry.change(
            lambda c, values=values: c.execute(
                insert(build_steps).values(build_id=build_id, claim="x", started_at=now(c), **values)
            )
        )
    shown = registry.client().get(f"/v1/builds/{build_id}").json()["steps"]
    assert [(each["step"], each.get("platform")) for each in shown] == [
        ("clone", None), ("decide", None), ("build", "linux/amd64"), ("build", "linux/arm64"),
    ]  # fmt: skip
    assert shown[3]["problem"]["message"] == "no linker" and "problem" not in shown[2]


def test_a_build_that_waits_is_cancelled_and_tried_again(registry: Registry) -> None:
    client = registry.client()
    build_id = ask(client, registry.namespace()).json()["id"]
    address = f"/v1/builds/{build_id}"
    assert client.post(f"{address}/retry").status_code == 409
    for _ in range(2):
        cancelled = client.post(f"{address}/cancel")
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
        assert "position" not in cancelled.json() and "finished_at" in cancelled.json()
    again = client.post(f"{address}/retry")
    assert (again.status_code, again.json()["state"], again.json()["attempt"]) == (200, "queued", 2)
    change(registry, build_id, state="succeeded")
    assert client.post(f"{address}/cancel").status_code == client.post(f"{address}/retry").status_code == 409
    assert actions(registry, build_id) == ["build.cancel", "build.retry"]
