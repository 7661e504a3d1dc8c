"""gc beside uploads that share blobs, 1,000 rounds: what is acknowledged stays, what is not needed goes."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.registry.bundles import write_bundle
from tests.registry.client import Client, files_of

from flowctl_registry.database.engine import reading
from flowctl_registry.database.tables import blobs
from flowctl_registry.maintenance.gc import collect
from flowctl_registry.services import Services
from flowctl_registry.settings import load_settings
from registry_instance import Registry

from .registry_faults import check

pytestmark = [pytest.mark.sweep, pytest.mark.timeout(3600)]
ROUNDS = int(os.environ.get("FLOWCTL_SWEEP_GC_ROUNDS", "1000"))
SHARED = 8


def one(client: Client, folder: Path, namespace: str, number: int, chance: random.Random) -> tuple[bool, int]:
    """An upload of two blobs that other rounds have as well, committed or abandoned; whether it was, and retries."""
    version, retries = f"1.0.{number}", 0
    epoch = number // 40
    shared = {f"shared{each}": f"{epoch} {each}".encode() * 100 for each in chance.sample(range(SHARED), 2)}
    release = write_bundle(folder, version=version, text=namespace, **shared)
    base = f"/v1/bundles/{namespace}/sample/uploads"
    files = files_of(release)
    paths = {str(each["digest"]): str(each["path"]) for each in files}
    begun = client.post(base, json={"version": version, "files": files})
    assert begun.status_code == 201, begun.text
    upload = begun.json()
    for digest in upload["missing"]:
        while True:
            content = (release / paths[digest]).read_bytes()
            sent = client.request("PUT", f"{base}/{upload['id']}/blobs/{digest}", content=content)
            if sent.status_code == 204:
                break
            assert sent.status_code == 503, sent.text
            retries += 1
            time.sleep(0.02)
    if epoch % 3 and chance.random() < 0.9:
        assert client.request("DELETE", f"{base}/{upload['id']}").status_code == 204
        return False, retries
    done = client.post(f"{base}/{upload['id']}/commit")
    assert done.status_code == 201, done.text
    return True, retries


def test_gc_beside_uploads(registry: Registry, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    seed = random.SystemRandom().randrange(2**32)
    namespace, ended = registry.namespace(), threading.Event()
    services = Services.open(load_settings(None, registry.environment))
    collected = {"runs": 0, "removed": 0}

    def sweep() -> None:
        while not ended.is_set():
            report = collect(services, 0)
            collected["runs"] += 1
            collected["removed"] += report.removed
            assert report.failed == 0

    def publish(worker: int) -> list[tuple[bool, int]]:
        client, chance = registry.client(), random.Random(seed + worker)
        return [one(client, tmp_path, namespace, number, chance) for number in range(worker, ROUNDS, 4)]

    with ThreadPoolExecutor(6) as pool:
        sweeps = [pool.submit(sweep) for _ in range(2)]
        try:
            done = [each for part in pool.map(publish, range(4)) for each in part]
        finally:
            ended.set()
        for each in sweeps:
            each.result()
    committed = sum(was for was, _ in done)
    told = check(registry)
    assert told["versions"] >= committed > ROUNDS / 4
    collect(services, 0)
    with reading(services.engine) as connection:
        left = connection.execute(select(func.count()).where(blobs.c.doomed_at.is_not(None))).scalar_one()
    assert left == 0
    retries = sum(count for _, count in done)
    record_property(
        "detail",
        f"{ROUNDS} rounds, seed {seed}, {committed} committed, {collected['runs']} runs of gc took "
        f"{collected['removed']} blobs, {retries} blobs sent again",
    )
