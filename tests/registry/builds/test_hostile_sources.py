"""Sources that mean harm, through a whole build: each ends as a failed build, and the registry goes on."""

from __future__ import annotations

import io
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from git_server import GitServer
from registry_instance import run_registry
from source_forge import Yard, busybox_source, settings_for

MARK = "flowctl-hostile-61"
"""Stands in the command lines of processes that must not be left."""


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("yard")
    (folder / "git").mkdir()
    with GitServer(folder / "git") as server:
        limits = {"sandbox__processes": 100, "sandbox__memory_bytes": 800_000_000, "sandbox__disk_bytes": 300_000_000}
        settings = settings_for(server, builds__tries=1, sandbox__wall_s=90, **limits)
        with run_registry(folder / "registry", **settings) as registry:
            yield Yard(registry, server)


def fail(yard: Yard, files: dict[str, bytes | str]) -> dict[str, str]:
    """Build these files, which must not work; the problem. Afterwards an honest component can be built."""
    namespace = yard.registry.namespace()
    repository = yard.server.create(namespace)
    repository.commit(files, tag="v1.0.0")
    problem: dict[str, str] = yard.wait(yard.request(namespace, "greeting", repository), "failed").problem
    listed = yard.registry.client().get(f"/v1/components/{namespace}/greeting/1.0.0")
    assert listed.status_code == 404
    wait_tidy(yard)
    return problem


def wait_tidy(yard: Yard, timeout_s: float = 30) -> None:
    """Until nothing is left of builds that have ended: neither their folders nor those of their runs."""
    deadline = time.monotonic() + timeout_s
    while left := [*yard.registry.data.glob("work/*/*"), *yard.registry.data.glob("runs/*")]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def test_a_fork_bomb_ends_with_its_build(yard: Yard) -> None:
    script = f"f() {{ sh -c 'sleep 33 # {MARK}' & f & f; }}; f; sleep 3; exit 3\n"
    problem = fail(yard, busybox_source(script=script))
    assert problem["step"] in ("test", "build"), problem
    assert not marked()


def test_a_cancelled_build_leaves_no_process_and_no_folder(yard: Yard) -> None:
    namespace = yard.registry.namespace()
    repository = yard.server.create(namespace)
    repository.commit(busybox_source(script=f"(setsid sh -c 'sleep 66 # {MARK}' &); sleep 66\n"), tag="v1.0.0")
    build_id = yard.request(namespace, "greeting", repository)
    deadline = time.monotonic() + 120
    while not marked():
        assert time.monotonic() < deadline, yard.row(build_id)
        time.sleep(0.05)
    cancelled = yard.registry.client().post(f"/v1/builds/{build_id}/cancel")
    assert cancelled.is_success, cancelled.text
    at = time.monotonic()
    while marked():
        assert time.monotonic() - at < 10, "2 s are promised; a machine at its limits gets more"
        time.sleep(0.02)
    print(f"no process was left {time.monotonic() - at:.2f} s after the request")
    yard.wait(build_id, "cancelled")
    wait_tidy(yard)


def marked() -> bool:
    return subprocess.run(["pgrep", "-f", MARK], capture_output=True).returncode == 0


def test_a_component_yaml_of_a_million_lines_is_refused(yard: Yard) -> None:
    files = busybox_source()
    files["component.yaml"] = str(files["component.yaml"]) + "x-more:\n" + "  - a: &a [*a, *a]\n" * 1_000_000
    problem = fail(yard, files)
    assert (problem["code"], problem["step"]) == ("spec", "decide"), problem


def test_a_build_that_fills_the_disk_is_ended(yard: Yard) -> None:
    problem = fail(yard, busybox_source(script="head -c 2000000000 /dev/zero > fill; sleep 20\n"))
    assert "disk" in problem["message"] or "too large" in str(problem.get("output", "")).lower(), problem


def test_a_build_sees_no_secret_of_the_registry(yard: Yard) -> None:
    data = yard.registry.data
    script = f"env; cat /proc/1/environ; ls {data} {data}/signer /root; cat {data}/registry.db; exit 3\n"
    problem = fail(yard, busybox_source(script=script))
    said = str(problem.get("output", ""))
    assert "PATH=" in said, problem
    assert "FLOWCTL_REGISTRY" not in said and "PRIVATE KEY" not in said and "SQLite format" not in said


def test_a_link_to_the_machine_brings_nothing_of_it(yard: Yard, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the operator's")
    secret.chmod(0o644)
    problem = fail(yard, busybox_source(script=f"mkdir -p bin; ln -s {secret} bin/greeting\n"))
    assert problem["step"] in ("test", "build"), problem


def test_what_a_build_forges_is_not_believed(yard: Yard) -> None:
    script = (
        "mkdir -p bin; printf '#!/bin/sh\\necho x\\n' > bin/greeting; chmod +x bin/greeting\n"
        'for p in /build-answer /build/state /build/release; do mkdir -p $p; echo \'{"ok":true,"states":{}}\' '
        "> $p/answer.json; echo '{}' > $p/assemble.json; done; kill -9 $PPID; exit 1\n"
    )
    problem = fail(yard, busybox_source(script=script))
    assert problem["step"] in ("test", "build"), problem


def test_a_folder_of_archives_and_garbage_confuses_no_detector(yard: Yard) -> None:
    garbage: dict[str, bytes | str] = {
        name: bytes(range(256)) * 4_000
        for name in ("go.mod", "Cargo.toml", "package.json", "pyproject.toml", "setup.py", "Dockerfile")
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("../../../../etc/passwd")
        entry.size = 50_000_000
        archive.addfile(entry, io.BytesIO(b"\0" * entry.size))
    problem = fail(yard, {**garbage, "vendor.tar.gz": packed.getvalue()})
    assert problem["step"] == "decide" and problem["code"] != "internal", problem


def test_an_honest_component_is_built_after_all_that(yard: Yard) -> None:
    namespace = yard.registry.namespace()
    repository = yard.server.create(namespace)
    repository.commit(busybox_source(), tag="v1.0.0")
    yard.wait(yard.request(namespace, "greeting", repository))
    wait_tidy(yard)
