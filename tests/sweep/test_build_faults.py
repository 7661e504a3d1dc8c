"""Each step of a build meets each fault: nothing is lost, nothing is published twice, no process is left.

The steps are small but real processes (tests/services/small_worker.py); what is tried here is the workflow.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import unavailable

from build_farm import Farm, Note, runs
from clock_shim import JumpingClock
from postgres_server import PostgresServer
from registry_instance import PROGRAM
from s3_server import S3Server
from server_process import ServerProcess, free_port

pytestmark = [pytest.mark.sweep, pytest.mark.timeout(1200)]
STEPS = ("clone", "decide", "fetch", "test", "build", "assemble", "publish")
LONG_S = 30
each_step = pytest.mark.parametrize("step", STEPS)
Told = Callable[[str, object], None]


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    made = Farm(tmp_path / "farm")
    yield made
    made.close()


def begun(farm: Farm, step: str, **plan: Any) -> tuple[str, Note]:
    """A build that is in the middle of a step: of both platforms, where it has them."""
    farm.plan(seconds={step: LONG_S}, **plan)
    build_id = farm.queue()
    notes = farm.wait(lambda: _begun(farm, build_id, step))
    return build_id, notes[-1]


def _begun(farm: Farm, build_id: str, step: str) -> list[Note]:
    notes = farm.journal(build=build_id, step=step, what="begin")
    return notes if len(notes) == (2 if step == "build" else 1) else []


def over(farm: Farm, build_id: str, step: str) -> None:
    """The step's processes have slept enough."""
    for note in _begun(farm, build_id, step):
        with suppress(ProcessLookupError):
            os.kill(note.pid, signal.SIGTERM)


def check(farm: Farm, *build_ids: str) -> None:
    """All succeeded; no completed step was done again; each was published once; no process of a step is left."""
    assert set(farm.wait_ended(*build_ids)) == {"succeeded"}
    for build_id in build_ids:
        done = Counter((note.step, note.platform) for note in farm.journal(build=build_id, what="end"))
        assert set(done.values()) == {1}, (build_id, done)
        assert {step.state for step in farm.steps(build_id).values()} == {"succeeded"}
    assert sorted(farm.published()) == sorted(build_ids)
    left = [note for note in farm.journal(what="begin") if runs(note.pid)]
    assert not left, left


def restarted(farm: Farm, build_id: str, step: str, since: float) -> float:
    """Seconds until a step was begun again."""
    notes = farm.wait(lambda: [n for n in farm.journal(build=build_id, step=step, what="begin") if n.at > since])
    return float(notes[0].at - since)


@each_step
def test_kill_9_of_the_worker(farm: Farm, step: str, record_property: Told) -> None:
    farm.worker("one")
    farm.worker("two")
    build_id, note = begun(farm, step)
    victim = farm.workers[note.worker]
    farm.plan()
    at = time.time()
    victim.process.kill()
    victim.process.wait()
    waited = restarted(farm, build_id, step, at)
    record_property("detail", f"begun again {waited:.1f} s after the kill")
    check(farm, build_id)


@each_step
@pytest.mark.parametrize("what", ["api", "both"])
def test_kill_9_of_the_api(farm: Farm, step: str, what: str) -> None:
    environment = {
        **farm.environment, "FLOWCTL_REGISTRY_SERVER__PORT": str(free_port()),
        "FLOWCTL_REGISTRY_BUILDS__EMBEDDED_SLOTS": "0",
    }  # fmt: skip
    api = ServerProcess([PROGRAM, "serve"], farm.folder / "api.log", lambda: True, environment=environment)
    api.start()
    try:
        worker = farm.worker()
        build_id, note = begun(farm, step)
        api.kill()
        if what == "both":
            farm.plan()
            worker.kill()
            farm.wait(lambda: not runs(note.pid), 2)
            api.start()
            farm.worker()
        else:
            over(farm, build_id, step)
        check(farm, build_id)
    finally:
        api.kill()


@each_step
def test_a_worker_paused_and_woken(farm: Farm, step: str) -> None:
    one = farm.worker("one")
    build_id, note = begun(farm, step)
    farm.pause("one")
    farm.plan()
    farm.worker("two")
    farm.wait(lambda: farm.journal(build=build_id, step=step, worker="two"))
    one.process.send_signal(signal.SIGCONT)
    farm.wait(lambda: not runs(note.pid), 10)
    check(farm, build_id)


@each_step
def test_the_database_is_gone_for_10_seconds(tmp_path: Path, step: str) -> None:
    server = PostgresServer()
    server.start()
    farm = Farm(tmp_path / "farm", server.database())
    try:
        farm.worker("one")
        build_id, _note = begun(farm, step)
        server.stop()
        time.sleep(5)
        farm.plan()
        over(farm, build_id, step)  # it ends while nobody can write that down
        time.sleep(5)
        server.start()
        check(farm, build_id)
    finally:
        farm.close()
        server.close()


@each_step
def test_the_blob_store_fails(tmp_path: Path, step: str) -> None:
    server = S3Server(tmp_path / "s3")
    server.start()
    options = {f"blob_options__{name}": value for name, value in server.options().items()}
    farm = Farm(tmp_path / "farm", blob_url=f"s3://{server.bucket()}", builds__tries=6, builds__retry_s=1, **options)
    try:
        farm.worker("one")
        build_id, _ = begun(farm, step, blobs=1000)
        server.stop()
        farm.plan(blobs=1000)
        over(farm, build_id, step)
        farm.wait(lambda: any(row.state == "failed" for row in farm.steps(build_id).values()))
        server.start()
        check(farm, build_id)
    finally:
        farm.close()
        server.close()


@each_step
def test_the_disk_is_full(tmp_path: Path, step: str) -> None:
    folder = tmp_path / "farm" / "data"
    folder.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", folder]).returncode:
        unavailable("mount (a small file system is to be filled)")
    try:
        farm = Farm(tmp_path / "farm", builds__tries=6, builds__retry_s=1)
        try:
            farm.worker("one")
            build_id, _ = begun(farm, step, blobs=100_000)
            fill = folder / "fill"
            with fill.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"x" * 4096)
                except OSError:
                    pass
            assert shutil.disk_usage(folder).free < 8192
            farm.plan(blobs=100_000)
            over(farm, build_id, step)
            time.sleep(4)
            fill.unlink()
            check(farm, build_id)
        finally:
            farm.close()
    finally:
        subprocess.run(["umount", "--lazy", folder])


@each_step
@pytest.mark.parametrize("jump", [3600, -3600])
def test_the_clock_jumps(tmp_path: Path, step: str, jump: int) -> None:
    clock = JumpingClock(tmp_path)
    farm = Farm(tmp_path / "farm", builds__dead_after_s=10)  # a slow machine must not look like a jump
    try:
        farm.worker("one", **clock.environment)
        farm.worker("two", slots=1, **clock.environment)
        build_id, _note = begun(farm, step)
        clock.jump(jump)
        time.sleep(4)
        farm.plan()
        assert farm.build(build_id).takeovers == 0
        over(farm, build_id, step)
        after = farm.queue()
        check(farm, build_id, after)
        assert farm.build(build_id).takeovers == 0
    finally:
        farm.close()
