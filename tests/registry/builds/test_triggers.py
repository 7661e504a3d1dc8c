"""From a tag that GitHub tells of, or that nobody tells of, to a published version and a webhook about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook

from git_server import GitServer, Repository
from hook_receiver import HookReceiver
from source_forge import DEADLINE_S, Yard, busybox_source, settings_for

from .hooks_client import SECRET, deliver, pushed


@pytest.fixture(scope="module")
def yard(open_registry: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with GitServer(tmp_path_factory.mktemp("git")) as server:
        more = {
            "sources__github_secret": SECRET, "sources__reconcile_s": 1, "hooks__allow_private": '["127.0.0.0/8"]',
            "hooks__allow_http": True,
        }  # fmt: skip
        with open_registry(**settings_for(server, **more)) as registry:
            yield Yard(registry, server)


def register(yard: Yard, namespace: str, repository: Repository, receiver: HookReceiver) -> str:
    """Register the source and a webhook; the webhook's secret."""
    client = yard.registry.client()
    path = f"/v1/components/{namespace}/greeting/source"
    assert client.request("PUT", path, json={"repository": repository.url}).is_success
    made = client.post(f"/v1/namespaces/{namespace}/hooks", json={"url": receiver.url})
    deadline = time.monotonic() + DEADLINE_S
    while "reconciled_at" not in (shown := client.get(path).json()):
        assert "problem" not in shown and time.monotonic() < deadline, shown
        time.sleep(0.1)
    return str(made.json()["secret"])


def wait_told(receiver: HookReceiver, secret: str) -> dict[str, Any]:
    deadline = time.monotonic() + DEADLINE_S
    while not receiver.received:
        assert time.monotonic() < deadline, "nobody was told"
        time.sleep(0.1)
    (message,) = receiver.received
    told: dict[str, Any] = Webhook(secret).verify(message.body, message.headers)
    return told


def test_a_delivered_tag_is_published_and_told(yard: Yard) -> None:
    namespace = yard.registry.namespace()
    repository = yard.server.create(namespace)
    with HookReceiver() as receiver:
        secret = register(yard, namespace, repository, receiver)
        commit = repository.commit(busybox_source(), tag="v1.0.0")
        answer = deliver(yard.registry.client(), "push", pushed(repository.url, "refs/tags/v1.0.0", commit))
        built = yard.wait(answer.json()["builds"][0])
        assert (built.commit, built.version, built.ref) == (commit, "1.0.0", "refs/tags/v1.0.0")
        told = wait_told(receiver, secret)
    assert (told["type"], told["data"]["version"], told["data"]["namespace"]) == (
        "version.published",
        "1.0.0",
        namespace,
    )
    shown = yard.registry.client().get(f"/v1/components/{namespace}/greeting/1.0.0").json()
    assert shown["source"]["commit"] == commit


def test_a_tag_that_nobody_told_of_is_built_and_its_failure_told(yard: Yard) -> None:
    namespace = yard.registry.namespace()
    repository = yard.server.create(namespace)
    with HookReceiver() as receiver:
        secret = register(yard, namespace, repository, receiver)
        repository.commit(busybox_source(version="2.0.0"), tag="v1.0.0")  # the tag names another version
        told = wait_told(receiver, secret)
    assert told["type"] == "build.failed"
    assert told["data"]["ref"] == "refs/tags/v1.0.0" and told["data"]["trigger"] == "webhook"
    assert "2.0.0" in told["data"]["problem"]["message"]
    assert yard.row(told["data"]["build"]).state == "failed"
