"""Each step of a real build meets each fault, embedded and on PostgreSQL with S3.

The workflow, its steps, the sandbox, the git server and both back ends are the real ones; the component is small.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import unavailable

from clock_shim import JumpingClock
from postgres_server import PostgresServer
from real_farm import RealFarm, real_farm
from s3_server import S3Server

pytestmark = [pytest.mark.sweep, pytest.mark.timeout(1800)]
STEPS = ("clone", "decide", "fetch", "test", "build", "assemble", "publish")
each_step = pytest.mark.parametrize("step", STEPS)
Told = Callable[[str, object], None]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PostgresServer, S3Server]]:
    """Of this module alone: its tests stop them."""
    postgres, s3 = PostgresServer(), S3Server(tmp_path_factory.mktemp("s3") / "server")
    postgres.start()
    s3.start()
    yield postgres, s3
    postgres.close()
    s3.close()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def farm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealFarm]:
    given = request.getfixturevalue("servers") if request.param == "postgres" else (None, None)
    with real_farm(tmp_path_factory.mktemp(f"farm-{request.param}"), *given) as made:
        yield made


@pytest.fixture(scope="module")
def far(servers: tuple[PostgresServer, S3Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealFarm]:
    """On PostgreSQL and S3, whose servers a test may stop."""
    with real_farm(tmp_path_factory.mktemp("far"), *servers) as made:
        yield made


@each_step
def test_kill_9_of_the_worker(farm: RealFarm, step: str, record_property: Told) -> None:
    farm.worker("one")
    farm.worker("two")
    namespace, build_id, name = farm.begin(step)
    at = time.monotonic()
    farm.workers[name].process.kill()
    farm.workers[name].process.wait()
    taken = farm.until(lambda: farm.row(build_id).worker not in (name, None) or farm.row(build_id).state == "succeeded")
    record_property("detail", f"taken over {time.monotonic() - at:.1f} s after the kill ({taken})")
    farm.check(namespace, build_id, step)


@each_step
@pytest.mark.parametrize("what", ["api", "both"])
def test_kill_9_of_the_api(farm: RealFarm, step: str, what: str) -> None:
    for name in ("one", "two"):
        farm.worker(name)
    namespace, build_id, _ = farm.begin(step)
    farm.registry.kill()
    if what == "both":
        for worker in farm.workers.values():
            worker.kill()
        farm.until(lambda: not farm.left())  # they die with the worker
    else:
        time.sleep(2)
    farm.registry.start()
    if what == "both":
        farm.worker("one")
    farm.check(namespace, build_id, step)


@each_step
def test_a_worker_paused_and_woken(farm: RealFarm, step: str) -> None:
    farm.worker("one")
    farm.worker("two")
    namespace, build_id, name = farm.begin(step)
    process = farm.workers[name].process
    process.send_signal(signal.SIGSTOP)
    # A pause in the middle of a SQLite transaction keeps all others from writing: there it ends before they give up.
    time.sleep(7 if farm.registry.backend == "postgres" else 4)
    process.send_signal(signal.SIGCONT)
    farm.check(namespace, build_id, step)


@each_step
def test_the_database_is_gone_for_10_seconds(
    far: RealFarm, servers: tuple[PostgresServer, S3Server], step: str
) -> None:
    far.worker("one")
    namespace, build_id, _ = far.begin(step)
    servers[0].stop()
    time.sleep(10)
    servers[0].start()
    far.check(namespace, build_id, step)


@each_step
def test_the_blob_store_fails(far: RealFarm, servers: tuple[PostgresServer, S3Server], step: str) -> None:
    far.worker("one")
    namespace, build_id, _ = far.begin(step)
    servers[1].stop()
    time.sleep(5)
    servers[1].start()
    far.check(namespace, build_id, step)


@each_step
def test_the_disk_is_full(tmp_path: Path, step: str) -> None:
    folder = tmp_path / "farm" / "registry" / "data"
    folder.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120m", "tmpfs", folder]).returncode:
        unavailable("mount (a small file system is to be filled)")
    try:
        with real_farm(tmp_path / "farm") as farm:
            farm.worker("one")
            namespace, build_id, _ = farm.begin(step)
            fill = folder / "fill"
            with fill.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"x" * 65_536)
                except OSError:
                    pass
            assert shutil.disk_usage(folder).free < 65_536
            time.sleep(4)
            fill.unlink()
            farm.check(namespace, build_id, step)
    finally:
        subprocess.run(["umount", "--lazy", folder])


@each_step
@pytest.mark.parametrize("jump", [3600, -3600])
def test_the_clock_jumps(farm: RealFarm, tmp_path_factory: pytest.TempPathFactory, step: str, jump: int) -> None:
    for worker in farm.workers.values():
        worker.kill()
    clock = JumpingClock(tmp_path_factory.mktemp("clock"))
    farm.worker(f"jumping-{step}-{jump}", clock.environment)
    namespace, build_id, name = farm.begin(step)
    clock.jump(jump)
    farm.check(namespace, build_id, step)
    assert farm.row(build_id).takeovers == 0
    farm.workers.pop(name).stop()
