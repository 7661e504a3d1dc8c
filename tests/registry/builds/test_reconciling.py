"""Finding tags that no webhook told of, on a real git server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.registry.conftest import Registry

from flowctl_registry.builds import reconciling
from flowctl_registry.builds.background import Background
from flowctl_registry.builds.git_url import GitUrl
from flowctl_registry.database.build_tables import builds, sources
from flowctl_registry.database.engine import now, reading, writing
from flowctl_registry.errors import TransientError
from flowctl_registry.sandbox.bubblewrap import Bubblewrap
from flowctl_registry.services import Services
from flowctl_registry.settings import load_settings
from git_server import GitServer, Repository
from sandbox_box import has_bwrap

from .hooks_client import SECRET, deliver, pushed


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with GitServer(tmp_path_factory.mktemp("git")) as running:
        yield running


@pytest.fixture(scope="module")
def registry(open_registry: Callable[..., Any], server: GitServer) -> Iterator[Registry]:
    open_ = {
        "sources__schemes": '["http"]', "sources__ports": json.dumps([server.port]), "sources__allow_private": '["127.0.0.0/8"]',
        "sources__github_secret": SECRET, "builds__embedded_slots": 0,
    }  # fmt: skip
    with open_registry(**open_) as running:
        yield running


@dataclass
class Scene:
    """A repository that a component is built from, and a worker's reconciler, without its pauses."""

    registry: Registry
    services: Services
    background: Background
    repository: Repository
    namespace: str

    def register(self, name: str = "greeting", **more: Any) -> dict[str, Any]:
        path = f"/v1/components/{self.namespace}/{name}/source"
        done = self.registry.client().request("PUT", path, json={"repository": self.repository.url, **more})
        assert done.is_success, done.text
        return done.json()

    def source(self, name: str = "greeting") -> dict[str, Any]:
        return self.registry.client().get(f"/v1/components/{self.namespace}/{name}/source").json()

    def look(self, list_tags: Callable[[GitUrl], dict[str, str]] | None = None) -> None:
        """As when all sources are due."""
        writing(self.services.engine, lambda c: c.execute(update(sources).values(due_at=now(c))))
        while reconciling.reconcile_due(self.services, list_tags or self.background.list_tags):
            pass

    def builds(self) -> list[tuple[str, str, str, str]]:
        with reading(self.services.engine) as connection:
            query = select(builds.c.name, builds.c.ref, builds.c.commit, builds.c.requested_by)
            rows = connection.execute(query.where(builds.c.namespace == self.namespace).order_by(builds.c.id))
            return [tuple(row) for row in rows]


@pytest.fixture
def scene(registry: Registry, server: GitServer, tmp_path: Path, give_up: Callable[[str], None]) -> Iterator[Scene]:
    if not has_bwrap():
        give_up("bwrap not found")
    services = Services.open(load_settings(None, registry.environment))
    writing(services.engine, lambda c: c.execute(update(sources).values(active=False)))  # those of other tests
    repository = server.create(f"{registry.backend}/{tmp_path.name}")
    yield Scene(registry, services, Background(services, Bubblewrap()), repository, registry.namespace())
    services.close()
    server.answer = None


def test_tags_that_no_webhook_told_of_are_built(scene: Scene) -> None:
    old = scene.repository.commit({"a": "1"}, tag="v1.0.0")
    scene.register()
    scene.look()
    assert scene.builds() == [], "what was there before is no news"
    assert scene.source()["reconciled_at"]
    commit = scene.repository.commit({"a": "2"}, tag="v1.1.0")
    scene.repository.tag("v1.2.0", old, annotated=True)
    for other in ("v1", "kafka/v1.0.0", "nightly", "v1.3.0+build"):
        scene.repository.tag(other, commit)
    scene.repository.commit({"a": "3"}, branch="v9.0.0")
    for _ in range(2):
        scene.look()
        assert scene.builds() == [
            ("greeting", "refs/tags/v1.1.0", commit, "reconciler"), ("greeting", "refs/tags/v1.2.0", old, "reconciler"),
        ]  # fmt: skip


def test_what_a_webhook_told_of_is_not_built_again(scene: Scene) -> None:
    scene.register()
    scene.look()
    commit = scene.repository.commit({"a": "1"}, tag="v1.0.0")
    assert deliver(scene.registry.client(), "push", pushed(scene.repository.url, "refs/tags/v1.0.0", commit)).json()[
        "builds"
    ]
    scene.look()
    assert [each[3] for each in scene.builds()] == ["github:Codertocat"]
    answer = deliver(scene.registry.client(), "push", pushed(scene.repository.url, "refs/tags/v1.0.0", commit))
    assert answer.json()["builds"] and len(scene.builds()) == 1


def test_a_moved_tag_is_built_and_a_removed_one_is_not(scene: Scene) -> None:
    scene.repository.commit({"a": "1"}, tag="v1.0.0")
    scene.register()
    scene.look()
    moved = scene.repository.commit({"a": "2"}, tag="v1.0.0")
    scene.look()
    assert [each[1:3] for each in scene.builds()] == [("refs/tags/v1.0.0", moved)]


def test_one_look_is_for_all_components_of_a_repository(scene: Scene) -> None:
    for name in ("mqtt", "kafka"):
        scene.register(name, subdirectory=name, tag_pattern=f"{name}/v*")
    scene.look()
    commit = scene.repository.commit({"a": "1"}, tag="mqtt/v1.0.0")
    looked: list[str] = []

    def list_tags(url: GitUrl) -> dict[str, str]:
        looked.append(url.text)
        return scene.background.list_tags(url)

    scene.look(list_tags)
    assert looked == [scene.repository.url]
    assert scene.builds() == [("mqtt", "refs/tags/mqtt/v1.0.0", commit, "reconciler")]


def test_a_repository_that_cannot_be_reached_is_told_and_looked_at_again(scene: Scene) -> None:
    scene.register()
    scene.look()

    def fail(url: GitUrl) -> dict[str, str]:
        raise TransientError(f"{url} cannot be fetched just now")

    commit = scene.repository.commit({"a": "1"}, tag="v1.0.0")
    scene.look(fail)
    assert "cannot be fetched" in scene.source()["problem"] and scene.builds() == []
    scene.look()
    assert "problem" not in scene.source()
    assert [each[2] for each in scene.builds()] == [commit]


def test_a_full_queue_is_waited_for(scene: Scene) -> None:
    scene.register()
    scene.look()
    for number in range(3):
        scene.repository.commit({"a": str(number)}, tag=f"v1.{number}.0")
    narrow = scene.services.settings.builds.model_copy(update={"queued_per_namespace": 2})
    wide, scene.services = scene.services, replace(
        scene.services, settings=scene.services.settings.model_copy(update={"builds": narrow})
    )  # fmt: skip
    scene.look()
    assert [each[1] for each in scene.builds()] == ["refs/tags/v1.0.0", "refs/tags/v1.1.0"]
    scene.services = wide
    scene.look()
    assert [each[1] for each in scene.builds()][2:] == ["refs/tags/v1.2.0"]


def test_another_pattern_begins_anew(scene: Scene) -> None:
    scene.register()
    scene.look()
    scene.repository.commit({"a": "1"}, tag="mqtt/v1.0.0")
    scene.register(tag_pattern="mqtt/v*")
    scene.look()
    assert scene.builds() == []


def test_several_workers_look_once(scene: Scene) -> None:
    scene.register()
    scene.look()
    scene.repository.commit({"a": "1"}, tag="v1.0.0")
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: scene.look(), range(3)))
    assert len(scene.builds()) == 1


def test_a_worker_that_starts_looks_at_once(scene: Scene) -> None:
    scene.register()
    scene.look()
    commit = scene.repository.commit({"a": "1"}, tag="v1.0.0")

    def long_ago(connection: Any) -> None:
        values = {"reconciled_at": now(connection).replace(year=2020), "due_at": now(connection).replace(year=2099)}
        connection.execute(update(sources).values(**values))

    writing(scene.services.engine, long_ago)
    scene.background.start()
    deadline = time.monotonic() + 30
    while not scene.builds() and time.monotonic() < deadline:
        time.sleep(0.05)
    scene.background.stop()
    assert [each[2] for each in scene.builds()] == [commit]
