"""A build goes on at another machine where its own is lost: with what was kept, and nothing done twice."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from git_server import GitServer
from postgres_server import PostgresServer
from registry_fixtures import postgres_server, s3_server
from registry_instance import run_registry
from s3_server import S3Server
from source_forge import Yard, busybox_source, settings_for

__all__ = ["postgres_server", "s3_server"]


@pytest.fixture
def yard(tmp_path: Path, postgres_server: PostgresServer, s3_server: S3Server) -> Iterator[Yard]:
    (tmp_path / "git").mkdir()
    with GitServer(tmp_path / "git") as server:
        settings = settings_for(server, builds__embedded_slots=1)
        with run_registry(
            tmp_path / "registry", "postgres", postgres=postgres_server, s3=s3_server, **settings
        ) as registry:
            yield Yard(registry, server)


def test_another_machine_goes_on_from_the_snapshots(yard: Yard, tmp_path: Path) -> None:
    namespace = yard.registry.namespace()
    repository = yard.server.create(namespace)
    files = busybox_source()
    files["make.sh"] = 'test -n "$SOURCE_DATE_EPOCH" && sleep 4\n' + str(files["make.sh"])
    repository.commit(files, tag="v1.0.0")
    build_id = yard.request(namespace, "greeting", repository)
    deadline = time.monotonic() + 120
    while not [step for step in yard.steps(build_id) if step.step == "build"]:
        assert time.monotonic() < deadline, yard.row(build_id)
        time.sleep(0.1)
    first = yard.row(build_id).worker
    lost = next(
        api
        for number, api in enumerate(yard.registry.api)
        if first.endswith(hashlib.sha256(str(tmp_path / f"registry/api-{number}").encode()).hexdigest()[:8])
    )
    lost.kill()
    built = yard.wait(build_id)
    assert built.worker != first and built.takeovers == 1
    steps = {step.step: step for step in yard.steps(build_id)}
    assert {name: steps[name].attempt for name in ("clone", "decide", "fetch")} == dict.fromkeys(
        ("clone", "decide", "fetch"), 1
    )
    assert steps["clone"].worker == first and steps["publish"].worker == built.worker
    assert steps["build"].attempt == 2
