"""Publishers that go on through faults, and what must be true afterwards."""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.registry.bundles import write_bundle
from tests.registry.client import files_of

from registry_instance import Registry

AGAIN = (500, 502, 503, 507)
PATIENCE_S = 240


@dataclass
class Publisher:
    """Publishes bundles, one after the other, and yanks some; remembers what it was told."""

    registry: Registry
    namespace: str
    folder: Path
    name: str
    pause_s: float = 0.0
    published: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Version to the answer of its commit."""
    yanked: set[str] = field(default_factory=set)
    refusals: list[tuple[int, str]] = field(default_factory=list)
    """Answers in the middle of a fault."""
    wrong: list[str] = field(default_factory=list)
    """What must not have been."""
    cut: int = 0
    """Connections that broke."""
    stopped: threading.Event = field(default_factory=threading.Event)
    number: int = 0

    def __enter__(self) -> Publisher:
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._thread.join(PATIENCE_S * 2)
        assert not self._thread.is_alive(), "a publisher hangs"

    def _work(self) -> None:
        try:
            while not self.stopped.is_set():
                self.one(f"1.0.{self.number}")
                self.number += 1
                time.sleep(self.pause_s)
        except Exception as error:  # noqa: BLE001 - told by the test
            self.wrong.append(f"{type(error).__name__}: {error}")

    def one(self, version: str) -> None:
        """Publish a version, however long it takes, and yank every third."""
        content = f"{self.namespace} {self.name} {version} ".encode() * 2000
        release = write_bundle(self.folder, self.name, version, "text", content=content)
        answer = self._until(201, lambda client: client.publish(release, self.namespace, self.name, version, "bundles"))
        self.published[version] = answer.json()
        if random.Random(version).random() < 0.33:
            path = f"/v1/bundles/{self.namespace}/{self.name}/{version}/yank"
            self._until(200, lambda client: client.post(path, json={"reason": "a fault"}))
            self.yanked.add(version)

    def _until(self, status: int, ask: Any) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE_S
        client = self.registry.client()
        while time.monotonic() < deadline:
            try:
                answer: httpx.Response = ask(client)
            except httpx.HTTPError:
                self.cut += 1
                time.sleep(0.1)
                continue
            if answer.status_code == status:
                return answer
            if answer.status_code not in AGAIN:
                raise AssertionError(f"{answer.request.method} {answer.request.url.path}: {answer.text}")
            self.refusals.append((answer.status_code, answer.json()["type"]))
            time.sleep(0.1)
        raise AssertionError(f"nothing was published in {PATIENCE_S} s; last {self.refusals[-1:]}")

    def check(self) -> None:
        """Everything that was acknowledged is there, whole."""
        assert not self.wrong, self.wrong
        client = self.registry.client()
        for version, answer in self.published.items():
            shown = client.get(f"/v1/bundles/{self.namespace}/{self.name}/{version}")
            assert shown.status_code == 200, f"{version} is lost: {shown.text}"
            document = shown.json()
            assert (document.pop("yanked", None) is not None) == (version in self.yanked)
            assert document == {key: value for key, value in answer.items() if key != "yanked"}
            release = write_bundle(self.folder, self.name, version, "text")
            listed = {file["path"]: file["digest"] for file in document["metadata"]}
            assert {str(each["path"]): each["digest"] for each in files_of(release)}.items() <= listed.items()


def check(registry: Registry, *publishers: Publisher) -> dict[str, Any]:
    """fsck finds nothing, the audit log is whole, nothing is pending once gc looked, the index knows all."""
    for each in publishers:
        each.check()
    told: dict[str, Any] = json.loads(registry.command("fsck", "-o", "json").stdout)
    assert told["findings"] == []
    registry.command("audit", "verify")
    deadline = time.monotonic() + 60
    while (waiting := _waiting(registry)) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert waiting == 0, f"{waiting} changes are not in the signed index"
    return told


def _waiting(registry: Registry) -> int:
    from sqlalchemy import func, select

    from flowctl_registry.database.engine import open_engine, reading
    from flowctl_registry.database.tables import index_changes
    from flowctl_registry.settings import load_settings

    engine = open_engine(load_settings(None, registry.environment).database)
    try:
        with reading(engine) as connection:
            query = select(func.count()).select_from(index_changes).where(index_changes.c.done_at.is_(None))
            return int(connection.execute(query).scalar_one())
    finally:
        engine.dispose()
