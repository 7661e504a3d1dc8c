"""GitHub's deliveries: what starts builds, what does not, and what is refused."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.registry.client import Client
from tests.registry.conftest import Registry

from flowctl_registry.database.build_tables import builds
from flowctl_registry.database.engine import open_engine, reading, writing
from flowctl_registry.settings import load_settings

from .hooks_client import SECRET, deliver, load, payloads, pushed, released

OWN = "a secret of one source"


@pytest.fixture(scope="module")
def registry(open_registry: Callable[..., Any]) -> Iterator[Registry]:
    """One whose builds only wait: it has no worker."""
    with open_registry(sources__github_secret=SECRET, builds__embedded_slots=0) as running:
        yield running


@dataclass
class Scene:
    """A component whose source is registered."""

    registry: Registry
    client: Client
    namespace: str
    repository: str

    def register(self, name: str = "greeting", kind: str = "component", **more: Any) -> None:
        path = f"/v1/{kind}s/{self.namespace}/{name}/source"
        done = self.client.request("PUT", path, json={"repository": self.repository, **more})
        assert done.is_success, done.text

    def builds(self) -> list[Any]:
        engine = open_engine(load_settings(None, self.registry.environment).database)
        with reading(engine) as connection:
            query = select(builds).where(builds.c.namespace == self.namespace).order_by(builds.c.id)
            rows = list(connection.execute(query))
        engine.dispose()
        return rows

    def end(self, state: str) -> None:
        engine = open_engine(load_settings(None, self.registry.environment).database)
        writing(
            engine, lambda c: c.execute(update(builds).where(builds.c.namespace == self.namespace).values(state=state))
        )
        engine.dispose()


@pytest.fixture
def scene(registry: Registry) -> Scene:
    # deliveries carry no token
    made = Scene(registry, registry.client(), registry.namespace(), f"https://git.test/octo/{uuid.uuid4().hex}.git")
    made.register()
    return made


def test_a_ping_is_answered(scene: Scene) -> None:
    for name in ("ping-payload", "ping-with-app_id.payload", "ping-with-organization.payload"):
        answer = deliver(Client(scene.registry.urls), "ping", load(name))
        assert answer.status_code == 200, answer.text
        assert answer.json()["builds"] == []


def test_a_pushed_tag_starts_a_build(scene: Scene) -> None:
    answer = deliver(Client(scene.registry.urls), "push", pushed(scene.repository, "refs/tags/v1.2.0"))
    assert answer.status_code == 200, answer.text
    (row,) = scene.builds()
    assert answer.json()["builds"] == [row.id]
    assert (row.ref, row.commit, row.version, row.trigger) == ("refs/tags/v1.2.0", "6" * 40, "1.2.0", "webhook")
    assert (row.state, row.priority, row.repository) == ("queued", 10, scene.repository)
    assert row.requested_by == "github:Codertocat"


def test_a_published_release_starts_a_build(scene: Scene) -> None:
    answer = deliver(scene.client, "release", released(scene.repository, "v1.2.0"))
    (row,) = scene.builds()
    assert answer.json()["builds"] == [row.id]
    assert (row.ref, row.version, row.commit) == ("refs/tags/v1.2.0", "1.2.0", None)


NOT_FOR_BUILDS, NO_RELEASE = "nothing is built for this event", "no release was published"
DELETED, BRANCH = "the tag was deleted", "it is no tag"
ANSWERS: dict[str, str | None] = {
    "create-payload": NOT_FOR_BUILDS,
    "create-with-description.payload": NOT_FOR_BUILDS,
    "create-with-installation.payload": NOT_FOR_BUILDS,
    "create-with-organization.payload": NOT_FOR_BUILDS,
    "delete-payload": NOT_FOR_BUILDS,
    "delete-with-installation.payload": NOT_FOR_BUILDS,
    "delete-with-organization.payload": NOT_FOR_BUILDS,
    "ping-payload": "a ping",
    "ping-with-app_id.payload": "a ping",
    "ping-with-organization.payload": "a ping",
    "push-1.payload": DELETED,
    "push-payload": DELETED,
    "push-with-installation.payload": DELETED,
    "push-with-new-branch.payload": BRANCH,
    "push-with-no-username-committer.payload": BRANCH,
    "push-with-organization.payload": DELETED,
    "release-created.payload": NO_RELEASE,
    "release-created.with-discussion-url.payload": NO_RELEASE,
    "release-created.with-installation.payload": NO_RELEASE,
    "release-deleted.payload": NO_RELEASE,
    "release-deleted.with-reactions.payload": NO_RELEASE,
    "release-edited.payload": NO_RELEASE,
    "release-edited.with-reactions.payload": NO_RELEASE,
    "release-prereleased.payload": NO_RELEASE,  # `published` comes with it
    "release-prereleased.with-discussion-url.payload": NO_RELEASE,
    "release-published.payload": None,
    "release-published.with-discussion-url.payload": None,
    "release-released": NO_RELEASE,
}
"""Why each payload, as GitHub delivered it, starts no build; None: it starts one."""


@pytest.fixture(scope="module")
def delivered_from(registry: Registry) -> Scene:
    """The component of the repository that the payloads name."""
    namespace = registry.namespace()
    made = Scene(registry, registry.client(), namespace, "https://github.com/Codertocat/Hello-World.git")
    made.register(tag_pattern="*")
    return made


def test_each_payload_has_its_answer() -> None:
    assert sorted(ANSWERS) == sorted(file.stem for file in payloads().glob("*.json"))


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_payloads_as_delivered_are_understood(delivered_from: Scene, name: str) -> None:
    answer = deliver(delivered_from.client, name.partition("-")[0], (payloads() / f"{name}.json").read_bytes())
    assert answer.status_code == 200, answer.text
    told, reason = answer.json(), ANSWERS[name]
    rows = delivered_from.builds()
    if reason is None:
        (row,) = rows
        assert told["builds"] == [row.id]
        assert (row.ref, row.version, row.commit) == ("refs/tags/0.0.1", "0.0.1", None)
    else:
        assert told["builds"] == [] and told["ignored"] == [reason]


@pytest.mark.parametrize("order", ["push first", "release first"])
def test_push_and_release_of_one_tag_are_one_build(scene: Scene, order: str) -> None:
    events = [
        lambda: deliver(scene.client, "push", pushed(scene.repository, "refs/tags/v1.2.0")),
        lambda: deliver(scene.client, "release", released(scene.repository, "v1.2.0")),
    ]
    if order == "release first":
        events.reverse()
    ids = {event().json()["builds"][0] for event in events}
    assert ids == {row.id for row in scene.builds()} and len(ids) == 1


@pytest.mark.parametrize("state", ["failed", "cancelled", "running"])
def test_what_was_told_once_is_not_tried_again(scene: Scene, state: str) -> None:
    for event in ("push", "release", "push", "release"):
        payload = (
            pushed(scene.repository, "refs/tags/v1.2.0") if event == "push" else released(scene.repository, "v1.2.0")
        )
        assert deliver(scene.client, event, payload).status_code == 200
        scene.end(state)
    assert len(scene.builds()) == 1


def test_a_tag_that_was_moved_is_built_again(scene: Scene) -> None:
    deliver(scene.client, "push", pushed(scene.repository, "refs/tags/v1.2.0", "1" * 40))
    scene.end("failed")
    deliver(scene.client, "push", pushed(scene.repository, "refs/tags/v1.2.0", "2" * 40))
    assert [row.commit for row in scene.builds()] == ["1" * 40, "2" * 40]


def test_a_release_that_was_never_cloned_is_built_when_its_tag_is_pushed_anew(scene: Scene) -> None:
    deliver(scene.client, "release", released(scene.repository, "v1.2.0"))
    scene.end("failed")
    deliver(scene.client, "push", pushed(scene.repository, "refs/tags/v1.2.0"))
    assert [row.commit for row in scene.builds()] == [None, "6" * 40]


@pytest.mark.parametrize(
    ("event", "make"),
    [
        ("push", lambda r: pushed(r, "refs/heads/v1.2.0")),
        ("push", lambda r: pushed(r, "refs/heads/main")),
        ("push", lambda r: pushed(r, "refs/heads/refs/tags/v1.2.0")),
        ("push", lambda r: pushed(r, "refs/tags/v1")),
        ("push", lambda r: pushed(r, "refs/tags/other/v1.2.0")),
        ("push", lambda r: pushed(r, "refs/tags/v1.2.0", deleted=True)),
        ("push", lambda r: pushed(r, "refs/tags/v1.2.0", after="0" * 40)),
        ("push", lambda r: pushed(r, "refs/tags/v1.2.0^{}")),
        ("push", lambda r: pushed(r, "refs/tags/v1.2.0") | {"ref": None}),
        ("push", lambda r: pushed(r, "refs/tags/v1.2.0") | {"repository": []}),
        ("push", lambda r: pushed("https://git.test/octo/another", "refs/tags/v1.2.0")),
        ("push", lambda r: pushed(r.replace("https", "file"), "refs/tags/v1.2.0")),
        ("release", lambda r: released(r, "v1.2.0", "release-created.payload")),
        ("release", lambda r: released(r, "v1.2.0", "release-edited.payload")),
        ("release", lambda r: released(r, "v1.2.0", "release-deleted.payload")),
        ("release", lambda r: released(r, "v1.2.0", "release-released")),
        ("release", lambda r: released(r, "v1.2.0", release={"tag_name": "v1.2.0", "draft": True})),
        ("release", lambda r: released(r, "v1.2.0") | {"release": None}),
        ("create", lambda r: load("create-payload") | {"ref": "v1.2.0"}),
        ("delete", lambda r: load("delete-payload")),
        ("issues", lambda r: pushed(r, "refs/tags/v1.2.0")),
    ],
)  # fmt: skip
def test_nothing_else_starts_one(scene: Scene, event: str, make: Callable[[str], dict[str, Any]]) -> None:
    answer = deliver(scene.client, event, make(scene.repository))
    assert answer.status_code == 200, answer.text
    assert answer.json()["builds"] == [] and answer.json()["ignored"]
    assert scene.builds() == []


def test_a_repository_of_several_components_builds_the_one_that_the_tag_names(scene: Scene) -> None:
    scene.register("mqtt", subdirectory="sources/mqtt", tag_pattern="mqtt/v*")
    scene.register("kafka", subdirectory="sources/kafka", tag_pattern="kafka/v*")
    scene.register("flow", kind="bundle", subdirectory="bundles/flow", tag_pattern="mqtt/v*")
    scene.register("asleep", tag_pattern="mqtt/v*", active=False)
    answer = deliver(scene.client, "push", pushed(scene.repository, "refs/tags/mqtt/v2.0.0"))
    assert {(row.kind, row.name, row.subdirectory) for row in scene.builds()} == {
        ("component", "mqtt", "sources/mqtt"), ("bundle", "flow", "bundles/flow"),
    }  # fmt: skip
    assert len(answer.json()["builds"]) == 2 and len(answer.json()["ignored"]) == 3


def test_a_delivery_that_comes_again_starts_nothing(scene: Scene) -> None:
    payload, delivery = pushed(scene.repository, "refs/tags/v1.2.0"), str(uuid.uuid4())
    first = deliver(scene.client, "push", payload, delivery=delivery).json()
    again = deliver(scene.client, "push", payload, delivery=delivery)
    assert again.status_code == 200 and again.json() == {**first, "replayed": True}
    captured = deliver(scene.client, "push", payload)  # under another id: the id is not signed
    assert captured.json()["builds"] == first["builds"]
    other = deliver(scene.client, "push", pushed(scene.repository, "refs/tags/v3.0.0"), delivery=delivery)
    assert other.status_code == 409
    assert len(scene.builds()) == 1


def test_deliveries_at_once_are_one_build(scene: Scene) -> None:
    payload, delivery = pushed(scene.repository, "refs/tags/v1.2.0"), str(uuid.uuid4())
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(
                lambda n: deliver(Client(scene.registry.urls, turn=n), "push", payload, delivery=delivery if n % 2 else None),
                range(6),
            )
        )  # fmt: skip
    assert [each.status_code for each in answers] == [200] * 6, [each.text for each in answers]
    assert {tuple(each.json()["builds"]) for each in answers} == {(scene.builds()[0].id,)}
    assert len(scene.builds()) == 1


def test_a_source_has_a_secret_of_its_own(scene: Scene) -> None:
    scene.register(webhook_secret=OWN)
    payload = pushed(scene.repository, "refs/tags/v1.2.0")
    with_registrys = deliver(scene.client, "push", payload)
    assert with_registrys.json()["builds"] == [], "the registry's secret is not this source's"
    assert deliver(scene.client, "push", payload, secret=OWN).json()["builds"] != []
    foreign = deliver(scene.client, "push", pushed("https://git.test/octo/another", "refs/tags/v1.2.0"), secret=OWN)
    assert foreign.status_code == 401


def test_a_form_is_read_too(scene: Scene) -> None:
    import json
    from urllib.parse import urlencode

    body = urlencode({"payload": json.dumps(pushed(scene.repository, "refs/tags/v1.2.0"))}).encode()
    answer = deliver(scene.client, "push", body, **{"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 200, answer.text
    assert len(scene.builds()) == 1


@pytest.mark.parametrize(
    ("status", "more"),
    [
        (401, {"secret": "wrong"}),
        (401, {"secret": None}),
        (401, {"X-Hub-Signature-256": "sha256=" + "0" * 64}),
        (401, {"X-Hub-Signature-256": "sha256="}),
        (401, {"X-Hub-Signature-256": "sha1=" + "0" * 40}),
        (400, {"X-GitHub-Delivery": "x"}),
        (400, {"X-GitHub-Delivery": "a" * 101}),
        (400, {"X-GitHub-Event": "Push!"}),
        (400, {"Content-Encoding": "gzip"}),
    ],
    ids=str,
)
def test_forged_deliveries_are_refused(scene: Scene, status: int, more: dict[str, Any]) -> None:
    answer = deliver(scene.client, "push", pushed(scene.repository, "refs/tags/v1.2.0"), **more)
    assert answer.status_code == status, answer.text
    assert scene.builds() == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 200_000, b"payload=", b"payload=%7B", b'"text"'])
def test_bodies_that_are_no_delivery_are_refused(scene: Scene, body: bytes) -> None:
    assert deliver(scene.client, "push", body).status_code == 400


def test_a_body_that_is_too_large_is_refused(scene: Scene) -> None:
    assert deliver(scene.client, "push", b" " * 5_000_001).status_code == 413


def test_what_was_published_without_a_build_is_left_alone(registry: Registry, scene: Scene, make_release: Any) -> None:
    assert scene.client.publish(make_release(), scene.namespace, "greeting", "1.2.0").status_code == 201
    answer = deliver(scene.client, "push", pushed(scene.repository, "refs/tags/v1.2.0"))
    assert answer.json()["ignored"] == [f"{scene.namespace}/greeting: 1.2.0 is published"]
    assert scene.builds() == []
