"""A registry whose processes are killed, whose database or store goes away: nothing is lost, nothing half visible."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import unavailable
from tests.registry.bundles import write_bundle
from tests.registry.client import files_of

from flowctl_core.errors import FlowctlError
from flowctl_registry.signer.client import SignerClient
from postgres_server import PostgresServer
from registry_instance import PROGRAM, Registry, run_registry
from s3_server import S3Server
from store_proxy import Mode, StoreProxy

from .registry_faults import Publisher, check

pytestmark = [pytest.mark.sweep, pytest.mark.timeout(3600)]
ROUNDS = int(os.environ.get("FLOWCTL_SWEEP_ROUNDS", "30"))
Note = Callable[[str, object], None]


def signer_pid(registry: Registry) -> list[int]:
    """Of the signer that answers now, wherever it was started."""
    try:
        return [int(SignerClient(registry.data / "signer.sock", timeout_s=5).status()["pid"])]
    except FlowctlError:
        return []


def wait_for_signer(registry: Registry) -> None:
    """Until it answers again: `serve` starts an embedded one anew; elsewhere the operator's supervisor does."""
    if registry.signer is not None and registry.signer.process is not None:
        registry.signer.process.wait()
        registry.start()
    deadline = time.monotonic() + 60
    while not signer_pid(registry):
        assert time.monotonic() < deadline, "the signer does not come back"
        time.sleep(0.1)


def kill(pids: list[int]) -> int:
    done = 0
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            done += 1
        except ProcessLookupError:
            continue
    return done


@pytest.mark.parametrize("what", ["api", "signer", "everything"])
def test_kill_9_during_uploads_commits_and_yanks(
    registry: Registry, tmp_path: Path, what: str, record_property: Note
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance, killed = random.Random(seed), 0
    with (
        Publisher(registry, registry.namespace(), tmp_path, "one") as one,
        Publisher(registry, registry.namespace(), tmp_path, "two") as two,
    ):
        for _ in range(ROUNDS):
            time.sleep(chance.uniform(0.2, 2.5))
            if what == "everything":
                registry.kill()
                killed += 1
            elif what == "api":
                chance.choice(registry.api).kill()
                killed += 1
            else:
                killed += kill(signer_pid(registry))
                wait_for_signer(registry)
            registry.start()
    registry.start()
    assert killed >= ROUNDS * 0.8
    told = check(registry, one, two)
    assert one.published and two.published
    record_property("detail", f"{killed} kills, seed {seed}, {told['versions']} versions")


@pytest.mark.parametrize("what", ["gc", "backup"])
def test_kill_9_of_a_command(registry: Registry, tmp_path: Path, what: str, record_property: Note) -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance, killed, ended = random.Random(seed), 0, 0
    words = {"gc": ["gc", "--grace", "0"], "backup": ["backup", str(tmp_path / "backup")]}[what]
    with Publisher(registry, registry.namespace(), tmp_path, "one") as one:
        for number in range(ROUNDS):
            abandoned(registry, tmp_path, number)
            running = subprocess.Popen(
                [PROGRAM, *words], env=registry.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            try:
                running.wait(chance.uniform(0.5, 4))
                ended += 1
                assert running.returncode == 0, running.stderr.read() if running.stderr else ""
            except subprocess.TimeoutExpired:
                running.kill()
                killed += 1
            running.wait()
    registry.command(*words)
    told = check(registry, one)
    if what == "backup":
        with run_registry(tmp_path / "new", "sqlite", restored_from=tmp_path / "backup") as restored:
            check(restored)
    record_property("detail", f"{killed} killed, {ended} ended, seed {seed}, {told['versions']} versions")
    assert killed


def abandoned(registry: Registry, folder: Path, number: int, files: int = 30) -> None:
    """An upload whose blobs nobody needs."""
    namespace, client = registry.namespace(), registry.client()
    more = {f"file{each}": f"{namespace} {number} {each}".encode() for each in range(files)}
    release = write_bundle(folder, "abandoned", f"0.0.{number}", namespace, **more)
    base = f"/v1/bundles/{namespace}/abandoned/uploads"
    announced = files_of(release)
    upload = client.post(base, json={"version": f"0.0.{number}", "files": announced}).json()
    for each in announced:
        content = (release / str(each["path"])).read_bytes()
        sent = client.request("PUT", f"{base}/{upload['id']}/blobs/{each['digest']}", content=content)
        assert sent.status_code in (204, 503), sent.text
    assert client.request("DELETE", f"{base}/{upload['id']}").status_code == 204


def test_the_database_is_gone_for_ten_seconds(s3_server: S3Server, tmp_path: Path, record_property: Note) -> None:
    server = PostgresServer()
    server.start()
    try:
        with (
            run_registry(tmp_path / "registry", "postgres", postgres=server, s3=s3_server) as registry,
            Publisher(registry, registry.namespace(), tmp_path, "one") as one,
        ):
            for _ in range(2):
                time.sleep(3)
                server.stop()
                time.sleep(10)
                server.start()
            time.sleep(5)
            one.stopped.set()
            one.__exit__()
            check(registry, one)
            assert one.refusals, "nobody noticed"
            assert {kind for _, kind in one.refusals} == {"urn:flowctl:problem:unavailable"}
            record_property("detail", f"{len(one.refusals)} refusals, {len(one.published)} versions")
    finally:
        server.close()


@pytest.fixture
def proxied(
    postgres_server: PostgresServer, s3_server: S3Server, tmp_path: Path
) -> Iterator[tuple[Registry, StoreProxy]]:
    """A registry that reaches its store through a proxy."""
    proxy = StoreProxy(s3_server.port)
    with run_registry(
        tmp_path / "registry", "postgres", postgres=postgres_server, s3=s3_server, s3_endpoint=proxy.endpoint
    ) as registry:
        yield registry, proxy
    proxy.close()


@pytest.mark.parametrize("mode", ["refusing", "slow", "cutting", "erring"])
def test_the_store_is_ill(
    proxied: tuple[Registry, StoreProxy], mode: Mode, tmp_path: Path, record_property: Note
) -> None:
    registry, proxy = proxied
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    with (
        Publisher(registry, registry.namespace(), tmp_path, "one") as one,
        Publisher(registry, registry.namespace(), tmp_path, "two") as two,
    ):
        for number in range(ROUNDS):
            time.sleep(chance.uniform(0.5, 1.5))
            proxy.cut_after = (200, 1000, 20_000, 45_000)[number % 4]
            proxy.mode = mode
            time.sleep(chance.uniform(0.3, 2) if number % 8 else 6)
            proxy.mode = "well"
    proxy.mode = "well"
    check(registry, one, two)
    refusals = one.refusals + two.refusals
    assert {kind for _, kind in refusals} <= {"urn:flowctl:problem:unavailable"}
    count = len(one.published) + len(two.published)
    record_property("detail", f"{ROUNDS} times, seed {seed}, {len(refusals)} refusals, {count} versions")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", folder], capture_output=True)
    if done.returncode != 0:
        unavailable("a file system of its own cannot be mounted here (it takes root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("what", ["blobs", "database"])
def test_the_disk_is_full(small_disk: Path, tmp_path: Path, what: str, record_property: Note) -> None:
    settings: dict[str, Any] = {"data": str(small_disk / "data")}
    if what == "blobs":
        settings = {"blob_url": (small_disk / "blobs").as_uri()}
    with run_registry(tmp_path / "registry", "sqlite", **settings) as registry:
        namespace, client = registry.namespace(), registry.client()
        filler = small_disk / "filler"
        good, refused = {}, []
        free = os.statvfs(small_disk)
        filler.write_bytes(b"x" * max(0, free.f_bavail * free.f_bsize - 3_000_000))
        for number in range(60):
            version = f"1.0.{number}"
            content = f"{number} ".encode() * 40_000
            release = write_bundle(tmp_path, version=version, text=namespace, content=content)
            answer = client.publish(release, namespace, "sample", version, kind="bundles")
            if answer.status_code == 201:
                good[version] = answer.json()
            else:
                refused.append((answer.status_code, answer.json()["type"]))
        assert good and refused
        assert {kind for _, kind in refused} <= {"urn:flowctl:problem:storage-full", "urn:flowctl:problem:unavailable"}
        assert (507, "urn:flowctl:problem:storage-full") in refused
        filler.unlink()
        for number in range(60):
            version = f"1.0.{number}"
            release = write_bundle(tmp_path, version=version, text=namespace)
            if number < 20:
                answer = client.publish(release, namespace, "sample", version, kind="bundles")
                assert answer.status_code == 201, answer.text
                assert good.get(version) in (None, answer.json())
        check(registry)
        record_property("detail", f"{len(refused)} of 60 refused: {sorted(set(refused))}")


def test_two_uploads_of_one_version(registry: Registry, tmp_path: Path, record_property: Note) -> None:
    from concurrent.futures import ThreadPoolExecutor

    conflicts = 0
    for number in range(ROUNDS):
        namespace = registry.namespace()
        releases = [write_bundle(tmp_path, text=f"{number}{text}") for text in "aab"]

        def publish(release: Path, namespace: str = namespace) -> Any:
            return registry.client().publish(release, namespace, "sample", "1.0.0", kind="bundles")

        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(publish, releases))
        shown = registry.client().get(f"/v1/bundles/{namespace}/sample/1.0.0").json()
        for answer in answers:
            assert answer.status_code in (201, 409), answer.text
            if answer.status_code == 201:
                assert answer.json() == shown
            conflicts += answer.status_code == 409
        assert answers[0].status_code == answers[1].status_code
        assert {answers[0].status_code, answers[2].status_code} == {201, 409}
    check(registry)
    record_property("detail", f"{ROUNDS} rounds, {conflicts} conflicts")
