"""Outgoing webhooks: registered by owners, signed, tried again, never sent to private addresses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from standardwebhooks import Webhook, WebhookVerificationError
from tests.registry.conftest import Registry

from flowctl_registry.builds import queue, records, sending
from flowctl_registry.builds.background import Background
from flowctl_registry.builds.requests import Wanted, request_build
from flowctl_registry.catalog.announcing import announce
from flowctl_registry.database.build_tables import hook_messages
from flowctl_registry.database.engine import now, reading, writing
from flowctl_registry.models.build import BuildProblem
from flowctl_registry.services import Services
from flowctl_registry.settings import load_settings
from hook_receiver import HookReceiver

OPEN = {"hooks__allow_private": '["127.0.0.0/8"]', "hooks__allow_http": True, "hooks__tries": 3, "hooks__timeout_s": 1}


@pytest.fixture(scope="module")
def registry(open_registry: Callable[..., Any]) -> Iterator[Registry]:
    with open_registry(builds__embedded_slots=0, **OPEN) as running:
        yield running


@pytest.fixture
def services(registry: Registry) -> Iterator[Services]:
    opened = Services.open(load_settings(None, registry.environment))
    # what other tests left to be sent is no matter of this one
    writing(opened.engine, lambda c: c.execute(update(hook_messages).values(due_at=None)))
    yield opened
    opened.close()


@pytest.fixture
def receiver() -> Iterator[HookReceiver]:
    with HookReceiver() as running:
        yield running


def add(registry: Registry, namespace: str, url: str, *events: str) -> dict[str, Any]:
    asked: dict[str, Any] = {"url": url, **({"events": events} if events else {})}
    made = registry.client().post(f"/v1/namespaces/{namespace}/hooks", json=asked)
    assert made.status_code == 201, made.text
    return made.json()


def told(services: Services, namespace: str, **data: Any) -> None:
    writing(services.engine, lambda c: announce(c, namespace, "version.published", data))


def sent(registry: Registry, namespace: str, hook: str) -> list[dict[str, Any]]:
    return registry.client().get(f"/v1/namespaces/{namespace}/hooks/{hook}/messages").json()["messages"]


def send_all(services: Services) -> None:
    """As a worker does, without its pauses."""
    while sending.send_due(services):
        pass


def make_due(services: Services) -> None:
    def change(connection: Any) -> None:
        due = update(hook_messages).where(hook_messages.c.due_at.is_not(None))
        connection.execute(due.values(due_at=now(connection) - timedelta(seconds=1)))

    writing(services.engine, change)


def test_hooks_are_added_listed_and_removed(registry: Registry) -> None:
    client, namespace = registry.client(), registry.namespace()
    made = add(registry, namespace, "https://hooks.test/x?key=1", "build.failed")
    assert made["secret"].startswith("whsec_")
    (shown,) = client.get(f"/v1/namespaces/{namespace}/hooks").json()["hooks"]
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert made["secret"] not in registry.command("audit", "list", "-o", "json").stdout
    other = registry.namespace()
    path = f"/v1/namespaces/{{}}/hooks/{made['id']}"
    assert client.request("DELETE", path.format(other)).status_code == 404
    assert client.get(path.format(other) + "/messages").status_code == 404
    assert client.request("DELETE", path.format(namespace)).status_code == 204
    assert client.get(path.format(namespace) + "/messages").status_code == 404
    assert client.get(f"/v1/namespaces/{namespace}/hooks").json() == {"hooks": []}


@pytest.mark.parametrize(
    "asked",
    [
        {"url": "ftp://hooks.test/"}, {"url": "https://me:word@hooks.test/"}, {"url": "https://hooks.test/#x"}, {"url": "https:///x"},
        {"url": "https://2130706433/"}, {"url": "https://0x7f.1/"}, {"url": "https://127.1/"}, {"url": "file:///etc/passwd"}, {"url": ""},
        {"url": "https://hooks.test\\@evil.test/"}, {"url": "https://hooks.test/\r\nX: y"}, {"url": "https://hooks.test:x/"},
        {"url": "https://hooks.test/", "events": []}, {"url": "https://hooks.test/", "events": ["everything"]},
    ],
    ids=str,
)  # fmt: skip
def test_addresses_that_cannot_be_told_are_refused(registry: Registry, asked: dict[str, Any]) -> None:
    namespace = registry.namespace()
    assert registry.client().post(f"/v1/namespaces/{namespace}/hooks", json=asked).status_code == 400


def test_a_published_version_is_told(
    registry: Registry, services: Services, receiver: HookReceiver, make_release: Any
) -> None:
    namespace = registry.namespace()
    hook = add(registry, namespace, receiver.url)
    add(registry, namespace, receiver.url, "build.failed")
    assert registry.client().publish(make_release(), namespace, "greeting", "1.2.0").status_code == 201
    send_all(services)
    (message,) = receiver.received
    assert message.path == "/told?by=flowctl"
    assert message.headers["host"] == f"127.0.0.1:{receiver.port}"
    body = Webhook(hook["secret"]).verify(message.body, message.headers)
    assert body["type"] == "version.published"
    assert {**body["data"], "digest": ""} == {
        "kind": "component", "namespace": namespace, "name": "greeting", "version": "1.2.0", "publisher": "admin", "digest": "",
    }  # fmt: skip
    with pytest.raises(WebhookVerificationError):
        Webhook(hook["secret"]).verify(message.body.replace("1.2.0", "6.6.6"), message.headers)
    (shown,) = sent(registry, namespace, hook["id"])
    assert shown["id"] == message.headers["webhook-id"] and shown["sent_at"] and "due_at" not in shown
    assert registry.client().publish(make_release(), namespace, "greeting", "1.2.0").is_success
    send_all(services)
    assert len(receiver.received) == 1, "the same release again is no news"


def test_a_failed_build_is_told(registry: Registry, services: Services, receiver: HookReceiver) -> None:
    namespace = registry.namespace()
    hook = add(registry, namespace, receiver.url, "build.failed")
    wanted = Wanted("component", namespace, "greeting", "manual", "me", repository="https://git.test/x", ref="v1.0.0")
    asked = writing(services.engine, lambda c: request_build(c, services.settings, wanted))
    claim = None
    while claim is None or claim.build_id != asked.build_id:
        claim = writing(services.engine, lambda c: queue.take(c, "me", 0))
        assert claim is not None
    problem = BuildProblem(code="build", message="it does not compile", step="build", platform="linux/amd64")
    writing(services.engine, lambda c: records.end(c, claim.build_id, claim.token, "failed", problem))
    send_all(services)
    (message,) = receiver.received
    body = Webhook(hook["secret"]).verify(message.body, message.headers)
    assert (body["type"], body["data"]["build"]) == ("build.failed", asked.build_id)
    assert body["data"]["problem"]["message"] == "it does not compile"


def test_a_receiver_that_is_away_is_told_later(registry: Registry, services: Services, receiver: HookReceiver) -> None:
    namespace = registry.namespace()
    hook = add(registry, namespace, receiver.url)
    receiver.statuses = [503, 500, 200]
    told(services, namespace, number=1)
    for attempt in (1, 2):
        send_all(services)
        (shown,) = sent(registry, namespace, hook["id"])
        assert (shown["attempts"], len(receiver.received)) == (attempt, attempt)
        assert "answered 50" in shown["problem"] and shown["due_at"]
        make_due(services)
    send_all(services)
    (shown,) = sent(registry, namespace, hook["id"])
    assert shown["sent_at"] and "problem" not in shown
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1, "receivers know it by its id"


@pytest.mark.parametrize("status", [302, 400, 404, 500])
def test_a_receiver_that_never_takes_it_is_given_up(
    registry: Registry, services: Services, receiver: HookReceiver, status: int
) -> None:
    namespace = registry.namespace()
    hook = add(registry, namespace, receiver.url)
    receiver.statuses = [status]
    told(services, namespace)
    for _ in range(5):
        send_all(services)
        make_due(services)
    (shown,) = sent(registry, namespace, hook["id"])
    assert shown["attempts"] == 3 and "due_at" not in shown and "sent_at" not in shown
    assert str(status) in shown["problem"]


def test_a_receiver_that_is_gone_is_told_once(registry: Registry, services: Services, receiver: HookReceiver) -> None:
    namespace = registry.namespace()
    hook = add(registry, namespace, receiver.url)
    receiver.statuses = [410]
    told(services, namespace)
    send_all(services)
    (shown,) = sent(registry, namespace, hook["id"])
    assert shown["attempts"] == 1 and "due_at" not in shown


def test_a_redirect_is_not_followed(registry: Registry, services: Services, receiver: HookReceiver) -> None:
    namespace = registry.namespace()
    with HookReceiver() as other:
        receiver.statuses, receiver.location = [307], other.url
        add(registry, namespace, receiver.url)
        told(services, namespace)
        send_all(services)
        assert len(receiver.received) == 1 and other.received == []


def test_a_slow_receiver_is_not_waited_for(registry: Registry, services: Services, receiver: HookReceiver) -> None:
    namespace = registry.namespace()
    hook = add(registry, namespace, receiver.url)
    receiver.delay_s = 20
    told(services, namespace)
    send_all(services)
    (shown,) = sent(registry, namespace, hook["id"])
    assert "Timeout" in shown["problem"] and shown["due_at"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254"]
)
def test_private_addresses_are_never_told(
    registry: Registry, services: Services, receiver: HookReceiver, host: str
) -> None:
    namespace = registry.namespace()
    hook = add(registry, namespace, receiver.url.replace("127.0.0.1", host))
    told(services, namespace)
    closed = services.settings.hooks.model_copy(update={"allow_private": ()})
    inside = replace(services, settings=services.settings.model_copy(update={"hooks": closed}))
    send_all(inside)
    (shown,) = sent(registry, namespace, hook["id"])
    assert receiver.received == []
    assert shown["attempts"] == 1 and "due_at" not in shown, "another try would not help"
    assert "hooks.allow_private" in shown["problem"]


def test_several_workers_send_each_message_once(registry: Registry, services: Services, receiver: HookReceiver) -> None:
    namespace = registry.namespace()
    add(registry, namespace, receiver.url)
    for number in range(12):
        told(services, namespace, number=number)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: send_all(services), range(4)))
    assert sorted(each.json["data"]["number"] for each in receiver.received) == list(range(12))


def test_a_worker_sends_in_the_background(registry: Registry, services: Services, receiver: HookReceiver) -> None:
    namespace = registry.namespace()
    add(registry, namespace, receiver.url)
    background = Background(services, None)
    background.start()
    told(services, namespace)
    deadline = time.monotonic() + 30
    while not receiver.received and time.monotonic() < deadline:
        time.sleep(0.05)
    background.stop()
    assert len(receiver.received) == 1


def test_old_messages_are_forgotten(registry: Registry, services: Services) -> None:
    namespace = registry.namespace()
    hook = add(registry, namespace, "https://hooks.test/")
    told(services, namespace)
    told(services, namespace)
    with reading(services.engine) as connection:
        first = (
            connection.execute(select(hook_messages.c.id).where(hook_messages.c.hook_id == hook["id"]))
            .scalars()
            .first()
        )

    def age(connection: Any) -> None:
        old = now(connection) - timedelta(days=31)
        connection.execute(update(hook_messages).values(created_at=old))
        connection.execute(update(hook_messages).where(hook_messages.c.id == first).values(due_at=None))

    writing(services.engine, age)
    writing(services.engine, sending.sweep)
    assert [each["id"] for each in sent(registry, namespace, hook["id"])] != [first], "what waits is kept"
    assert len(sent(registry, namespace, hook["id"])) == 1
