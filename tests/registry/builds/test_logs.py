"""Logs of builds: written by any process, read as text and followed as events."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select, update
from tests.registry.conftest import Registry

from flowctl_registry.builds.logs import LogWriter
from flowctl_registry.database.build_tables import build_logs, builds
from flowctl_registry.database.engine import now
from flowctl_registry.services import Services
from flowctl_registry.settings import load_settings

SECRET = "a secret of the webhooks"


@pytest.fixture(scope="module")
def registry(open_registry: Callable[..., Any]) -> Iterator[Registry]:
    with open_registry(
        sources__github_secret=SECRET, builds__log_step_bytes=2_000, builds__log_bytes=5_000, builds__log_stream_s=2
    ) as running:
        yield running


@pytest.fixture
def services(registry: Registry) -> Iterator[Services]:
    """Of a worker."""
    opened = Services.open(load_settings(None, registry.environment))
    yield opened
    opened.close()


def begun(registry: Registry, state: str = "running") -> str:
    build_id, namespace = uuid.uuid4().hex, registry.namespace()
    values = {
        "id": build_id, "kind": "component", "namespace": namespace, "name": "greeting", "subdirectory": ".",
        "repository": "https://git.test/x", "trigger": "manual", "priority": 20, "state": state, "requested_by": "x",
    }  # fmt: skip
    registry.change(lambda c: c.execute(insert(builds).values(**values, created_at=now(c))))
    return build_id


def end(registry: Registry, build_id: str, state: str = "succeeded", days_ago: int = 0) -> None:
    change = update(builds).where(builds.c.id == build_id)
    registry.change(lambda c: c.execute(change.values(state=state, finished_at=now(c) - timedelta(days=days_ago))))


@contextmanager
def following(registry: Registry, build_id: str, after: str | None = None, query: str = "") -> Iterator[Any]:
    """The events of a stream: (kind, id, data)."""

    def events(lines: Iterator[str]) -> Iterator[tuple[str, str | None, Any]]:
        found: dict[str, str] = {}
        for line in lines:
            if line:
                name, _, value = line.partition(": ")
                found[name] = value
            elif "event" in found:
                yield found["event"], found.get("id"), json.loads(found["data"])
                found = {}

    headers = {"Last-Event-ID": after} if after else {}
    address = f"{registry.urls[-1]}/v1/builds/{build_id}/logs/events{query}"
    with httpx.stream("GET", address, headers=headers, timeout=30) as answer:
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
        yield events(answer.iter_lines())


def test_a_log_is_read_as_text(registry: Registry, services: Services) -> None:
    build_id = begun(registry)
    with LogWriter(services, build_id) as log:
        log.write("clone", "", b"Cloning\n")
        log.write("build", "linux/amd64", f"one {SECRET}\n".encode())
        log.write("build", "linux/arm64", b"two\n")
        log.write("build", "linux/amd64", b"thr")
        log.write("build", "linux/amd64", b"ee")
    answer = registry.client().get(f"/v1/builds/{build_id}/logs")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == (
        "==> clone <==\nCloning\n==> build linux/amd64 <==\none ***\n"
        "==> build linux/arm64 <==\ntwo\n==> build linux/amd64 <==\nthree\n"
    )
    part = registry.client().get(f"/v1/builds/{build_id}/logs?step=build&platform=linux/amd64")
    assert part.text == "one ***\nthree\n"
    assert registry.client().get(f"/v1/builds/{uuid.uuid4().hex}/logs").status_code == 404
    assert registry.client().get(f"/v1/builds/{build_id}/logs?step=bake").status_code == 400


def test_a_build_without_a_log_has_an_empty_one(registry: Registry) -> None:
    answer = registry.client().get(f"/v1/builds/{begun(registry, 'queued')}/logs")
    assert (answer.status_code, answer.text) == (200, "")


def followed(registry: Registry, build_id: str, after: str | None = None) -> Iterator[tuple[str, str | None, Any]]:
    """All events up to `end`, as a client gets them that asks again when the registry ends the stream."""
    while True:
        with following(registry, build_id, after) as events:
            for kind, identity, data in events:
                after = identity or after
                yield kind, identity, data
                if kind == "end":
                    return


def test_a_log_is_followed_to_the_builds_end(registry: Registry, services: Services) -> None:
    build_id = begun(registry)
    events = followed(registry, build_id)
    with LogWriter(services, build_id) as log:
        log.write("clone", "", b"first\n")
        kind, identity, data = next(events)
        assert (kind, identity) == ("log", "1")
        assert (data["step"], data["platform"], data["text"]) == ("clone", None, "first\n")
        log.write("clone", "", b"second\n")
    end(registry, build_id)
    assert [(kind, identity) for kind, identity, _ in events] == [("log", "2"), ("end", None)]
    seen = [data for _, _, data in followed(registry, build_id, after="1")]
    assert [data.get("text") or data for data in seen] == ["second\n", {"state": "succeeded"}]


def test_a_stream_ends_and_goes_on_where_it_was(registry: Registry, services: Services) -> None:
    build_id = begun(registry)
    with LogWriter(services, build_id) as log:
        log.write("clone", "", b"first\n")
        with following(registry, build_id) as events:
            told = list(events)  # until the registry ends it
        seen, after = [(kind, data["text"]) for kind, _, data in told], told[-1][1]
        log.write("clone", "", b"second\n")
    end(registry, build_id, "failed")
    with following(registry, build_id, after=after) as events:
        seen += [(kind, data.get("text") or data["state"]) for kind, _, data in events]
    assert seen == [("log", "first\n"), ("log", "second\n"), ("end", "failed")]


def test_a_strange_event_id_is_refused(registry: Registry) -> None:
    address = f"/v1/builds/{begun(registry, 'failed')}/logs/events"
    for strange in ("x", "-1", "1" * 30):
        assert registry.client().get(address, headers={"Last-Event-ID": strange}).status_code == 400


def test_writers_in_several_places_leave_no_gap(registry: Registry, services: Services) -> None:
    build_id = begun(registry)
    other = Services.open(load_settings(None, registry.environment))
    writers = [LogWriter(each, build_id) for each in (services, other, services)]

    def write(number: int) -> None:
        for line in range(10):
            writers[number].write("build", f"linux/{number}", f"{number} {line}\n".encode())
            time.sleep(0.02)
        writers[number].close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    other.close()
    rows = registry.change(lambda c: c.execute(select(build_logs).where(build_logs.c.build_id == build_id)).all())
    assert sorted(row.sequence for row in rows) == list(range(1, len(rows) + 1))
    ordered = sorted(rows, key=lambda row: row.sequence)
    for number in range(3):
        text = "".join(row.text for row in ordered if row.platform == f"linux/{number}")
        assert text == "".join(f"{number} {line}\n" for line in range(10))


def test_a_log_has_a_limit_for_each_step_and_for_all(registry: Registry, services: Services) -> None:
    build_id = begun(registry)
    for step in ("clone", "fetch", "test", "build"):
        with LogWriter(services, build_id) as log:
            log.write(step, "", b"x" * 99 + b"\n" if step == "clone" else (b"y" * 99 + b"\n") * 100)
    told = {
        step: registry.client().get(f"/v1/builds/{build_id}/logs?step={step}").text
        for step in ("clone", "fetch", "test", "build")
    }
    assert told["clone"].count("x") == 99
    assert told["fetch"].count("y" * 99) == 20 and "8000 more bytes of this step are not kept" in told["fetch"]
    assert "the log of this build is full" in told["build"]
    assert len("".join(told.values())) < 5_500


def test_a_log_of_a_build_that_is_gone_is_no_error(services: Services) -> None:
    with LogWriter(services, uuid.uuid4().hex) as log:
        log.write("clone", "", b"nobody reads it\n")


def test_gc_removes_old_logs(registry: Registry, services: Services) -> None:
    old, new = begun(registry), begun(registry)
    for each in (old, new):
        with LogWriter(services, each) as log:
            log.write("clone", "", b"told\n")
    end(registry, old, days_ago=91)
    end(registry, new, days_ago=89)
    assert json.loads(registry.command("gc", "-o", "json").stdout)["build_logs"] == 1
    assert registry.client().get(f"/v1/builds/{old}/logs").text == ""
    assert registry.client().get(f"/v1/builds/{new}/logs").text.endswith("told\n")


def test_who_follows_a_log_does_not_hold_the_registry_up(open_registry: Callable[..., Any]) -> None:
    with open_registry(server__shutdown_s=600, builds__log_stream_s=600) as running:
        build_id = begun(running, "queued")
        with following(running, build_id) as events:
            running.api[-1].stop()  # it waits for what is being answered
            assert list(events) == []
