"""The worker inside `serve`, and `flowctl-registry worker` beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, select

from build_farm import runs
from flowctl_registry.builds.wanted import is_wanted
from flowctl_registry.database.build_tables import builds, hook_messages, hooks, sources, workers
from flowctl_registry.database.engine import now, open_engine, reading, writing
from flowctl_registry.settings import load_settings
from registry_instance import PROGRAM, Registry
from server_process import ServerProcess


def engine_of(registry: Registry) -> Engine:
    return open_engine(load_settings(None, registry.environment).database)


def child_of(pid: int) -> int | None:
    """The worker that a `serve` has started."""
    for each in Path("/proc").iterdir():
        try:
            command = (each / "cmdline").read_bytes().split(b"\0") if each.name.isdigit() else []
            if b"flowctl_registry.builds" in command:
                parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == pid:
                    return int(each.name)
        except OSError:
            continue
    return None


def wait(what: Callable[[], Any], timeout_s: float = 120) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come to pass")


def queue(engine: Engine) -> str:
    """A build whose source is nowhere: whoever takes it says so."""
    build_id = uuid.uuid4().hex
    writing(
        engine,
        lambda connection: connection.execute(
            insert(builds).values(
                id=build_id, kind="component", namespace="acme", name="greeting", subdirectory=".",
                repository="https://nowhere.invalid/x", trigger="manual", priority=20, state="queued",
                requested_by="tester", created_at=now(connection),
            )
        ),
    )  # fmt: skip
    return build_id


def ended(engine: Engine, build_id: str) -> Any:
    def look() -> Any:
        with reading(engine) as connection:
            row = connection.execute(select(builds).where(builds.c.id == build_id)).one()
        return row if row.finished_at is not None else None

    return wait(look)


@pytest.fixture
def embedded(open_registry: Callable[..., Any]) -> Iterator[Registry]:
    with open_registry(builds__embedded_slots=1, builds__dead_after_s=1, builds__tries=1) as registry:
        yield registry


def test_serve_does_builds_and_starts_its_worker_again(embedded: Registry) -> None:
    engine = engine_of(embedded)
    serve = embedded.api[0]
    row = ended(engine, queue(engine))
    assert row.state == "failed" and "-serve-" in row.worker
    first = wait(lambda: child_of(serve.pid))
    os.kill(first, signal.SIGKILL)
    second = wait(lambda: child_of(serve.pid) not in (None, first) and child_of(serve.pid))
    assert ended(engine, queue(engine)).state == "failed"
    assert serve.stop() == 0
    assert not runs(second)
    serve.start()
    third = wait(lambda: child_of(serve.pid))
    serve.process.kill()
    serve.process.wait()
    wait(lambda: not runs(third))
    engine.dispose()


def test_the_worker_is_there_while_there_is_work(open_registry: Callable[..., Any], backend: str) -> None:
    if backend != "sqlite":
        return  # it stays: only the database in the folder can be asked without a worker
    with open_registry(builds__embedded_slots=1, builds__tries=1, builds__idle_s=0.5) as registry:
        engine, serve = engine_of(registry), registry.api[0]

        def comes_and_goes(change: Callable[[Connection], Any]) -> None:
            writing(engine, change)
            assert is_wanted(registry.data / "registry.db")
            wait(lambda: not is_wanted(registry.data / "registry.db"))
            wait(lambda: child_of(serve.pid) is None)

        wait(lambda: "nothing to do, and ends" in serve.text())
        wait(lambda: child_of(serve.pid) is None)
        assert ended(engine, queue(engine)).state == "failed"
        wait(lambda: child_of(serve.pid) is None)
        namespace, moment = registry.namespace(), datetime.now(UTC)
        hook = {"id": "a" * 32, "namespace": namespace, "url": "https://nowhere.invalid/", "secret": "whsec_AAAA"}
        message = {"id": "b" * 32, "hook_id": hook["id"], "body": {}, "created_at": moment, "due_at": moment}
        writing(engine, lambda c: c.execute(insert(hooks).values(events=[], created_at=moment, **hook)))
        comes_and_goes(lambda c: c.execute(insert(hook_messages).values(**message)))
        url = "https://nowhere.invalid/x"
        source = {"namespace": namespace, "name": "greeting", "kind": "component", "repository": url}
        source |= {"repository_key": "nowhere.invalid/x", "created_at": moment, "due_at": moment}
        comes_and_goes(lambda c: c.execute(insert(sources).values(**source)))
        assert "starting it again" not in serve.text()
        engine.dispose()


def test_a_database_that_is_silent_is_no_reason_to_end(tmp_path: Path) -> None:
    assert is_wanted(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_a_worker_beside_a_registry_without_one(open_registry: Callable[..., Any], tmp_path: Path) -> None:
    with open_registry(builds__tries=1) as registry:
        engine = engine_of(registry)
        assert child_of(registry.api[0].pid) is None
        words = [PROGRAM, "worker", "--id", "beside", "--slots", "1"]
        log = tmp_path / "worker.log"
        worker = ServerProcess(words, log, lambda: True, environment=registry.environment)
        worker.ready = lambda: "worker beside is ready" in worker.text()
        worker.start()
        row = ended(engine, queue(engine))
        assert row.state == "failed" and row.worker == "beside"
        assert worker.stop() == 0
        with reading(engine) as connection:
            kept = connection.execute(select(workers).where(workers.c.id == "beside")).one()
        assert kept.stopped_at is not None and kept.slots == 1
        engine.dispose()


def test_no_builds_are_done_where_no_sandbox_works(open_registry: Callable[..., Any]) -> None:
    with open_registry(builds__embedded_slots=1, sandbox__kind="none") as registry:
        engine, serve = engine_of(registry), registry.api[0]
        build_id = queue(engine)
        wait(lambda: "no builds are done here" in serve.text())
        assert "--unsandboxed" in serve.text()
        worker = registry.command("worker", "--id", "beside", code=82)
        assert "builds without a sandbox are refused" in worker.stderr
        with reading(engine) as connection:
            assert connection.execute(select(builds.c.state).where(builds.c.id == build_id)).scalar_one() == "queued"
            assert not connection.execute(select(workers)).all()
        engine.dispose()


@pytest.mark.parametrize("label", ["darwin", "=x", "platform=", "a=b,c"])
def test_a_label_that_is_none(label: str, tmp_path: Path) -> None:
    done = subprocess.run([PROGRAM, "worker", "--data", tmp_path, "--labels", label], capture_output=True, text=True)
    assert done.returncode == 2 and "is no label" in done.stderr


def test_the_api_imports_no_job_engine() -> None:
    code = "import flowctl_registry.app, flowctl_registry.api.endpoints, flowctl_registry.server, sys; "
    code += "import flowctl_registry.builds.queue, flowctl_registry.builds.cancelling; assert 'dbos' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
