"""No process of a sandbox outlives who started it, and any user can start one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flowctl_registry.sandbox import cgroups
from flowctl_registry.sandbox.docker import DockerSandbox
from sandbox_box import IMAGE, Box, running, wait_gone

RUN = """
import sys, threading
from pathlib import Path
from flowctl_registry.sandbox import Confinement
from flowctl_registry.sandbox.bubblewrap import Bubblewrap
from flowctl_registry.sandbox.docker import DockerSandbox
from flowctl_registry.sandbox.run import run
kind, work, image, *mounts = sys.argv[1:]
sandbox = DockerSandbox(image) if kind == "docker" else Bubblewrap(cgroup=Path("/none") if "without" in kind else None)
confinement = Confinement(read_only={m: Path(m) for m in mounts}, writable={"/work": Path(work)},
                          environment={"PATH": f"/usr/bin:/bin:{sys.base_prefix}/bin"})
script = "(setsid sleep 3600.77 &) ; echo ready ; trap '' TERM ; sleep 3600.77"
run(sandbox, confinement, ["sh", "-c", script], lambda data: print(data.decode(), flush=True), threading.Event())
"""


def test_kill_9_of_the_service(box: Box, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["box"]
    environment = dict(os.environ)
    if kind == "docker":
        environment["DOCKER_HOST"] = request.getfixturevalue("docker").address
    command = [sys.executable, "-c", RUN, kind, str(box.work), IMAGE, *box.read_only]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 30
        while len(running("3600.77")) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(running("3600.77")) >= 2
        service.send_signal(signal.SIGKILL)
    assert wait_gone("3600.77")
    if kind == "docker":
        engine = request.getfixturevalue("docker")
        DockerSandbox(IMAGE, engine=engine)  # the next start of a service
        client = engine.client()
        assert client.containers(all=True, filters={"label": "io.flowctl.sandbox"}) == []
        client.close()


def test_kill_9_at_any_moment_of_the_start(bubble: Box) -> None:
    for delay in (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3):
        command = [sys.executable, "-c", "print(flush=True)\n" + RUN, "bubblewrap", str(bubble.work), IMAGE]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as service:
            assert service.stdout is not None
            service.stdout.readline()
            time.sleep(delay + 0.25)  # imports
            service.kill()
        assert wait_gone("3600.77"), delay


def test_groups_of_a_killed_service_are_removed_by_the_next(bubble: Box) -> None:
    folders = [place.folder for place in cgroups.places().values()]
    if not folders:
        pytest.skip("no cgroups can be made here, as in most containers")
    command = [sys.executable, "-c", RUN, "bubblewrap", str(bubble.work), IMAGE]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as service:
        assert service.stdout is not None
        service.stdout.readline()
        mark = f"flowctl-run-{service.pid}-*"
        assert all(list(folder.glob(mark)) for folder in folders)
        service.kill()
    assert wait_gone("3600.77")
    assert list(Path(tempfile.gettempdir()).glob(f"flowctl-sandbox-{service.pid}-*"))
    assert bubble.run("true").outcome.exit_code == 0
    assert not list(Path(tempfile.gettempdir()).glob(f"flowctl-sandbox-{service.pid}-*"))
    deadline = time.monotonic() + 120  # process 1 may take its time to wait for what it was left with
    while [group for folder in folders for group in folder.glob(mark)]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
        cgroups.places()


ORDINARY = """
import os, sys, threading
from pathlib import Path
from flowctl_registry.sandbox import Confinement, Limits, choose, proxy, docker, unconfined, disk
from flowctl_registry.sandbox.bubblewrap import Bubblewrap
from flowctl_registry.sandbox.run import run
os.chown(sys.argv[1], 65534, 65534)
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
sandbox = Bubblewrap(python=sys.argv[2])
print("\\n".join(sandbox.report()))
def attempt(*argv, **limits):
    said = bytearray()
    confinement = Confinement(writable={"/work": Path(sys.argv[1])}, environment={"PATH": "/usr/bin:/bin"},
                              folder="/work", limits=Limits(**limits))
    outcome = run(sandbox, confinement, list(argv), said.extend, threading.Event())
    print(outcome.exit_code, outcome.reached, said.decode().strip())
attempt("sh", "-c", "id -u; touch made; cat " + sys.argv[3])
attempt("sh", "-c", "yes", output_bytes=10)
attempt(sys.argv[2], "-c", "import os\\nwhile True:\\n    try: os.fork()\\n    except OSError: pass", processes=16)
attempt("sh", "-c", "while :; do :; done", cpu_s=1)
attempt("sleep", "60", wall_s=0.5)
"""


def test_an_ordinary_user(bubble: Box, tmp_path: Path, give_up: Callable[[str], None]) -> None:
    """Without cgroups: nobody delegated one. As root, the test becomes nobody; else it is an ordinary user anyhow."""
    if os.geteuid() != 0:
        pytest.skip("every other test runs as an ordinary user then")
    python = "/usr/bin/python3"
    if not Path(python).exists():
        give_up("no Python that every user may start")
    for parent in (bubble.work, *bubble.work.parents[:-2]):
        parent.chmod(0o755)
    secret = tmp_path / "secret"
    secret.write_text("top-secret-word")
    secret.chmod(0o644)
    done = subprocess.run(
        [sys.executable, "-c", ORDINARY, str(bubble.work), python, str(secret)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    lines = done.stdout.splitlines()
    assert "builds run as the service's own user: what it may read is hidden, not forbidden" in lines, done.stderr
    told = "\n".join(lines)
    assert "1 None 1000" in told, done.stderr
    assert "top-secret-word" not in told
    assert (bubble.work / "made").exists()
    ends = [line.split()[1] for line in lines if line.startswith("None ")]
    assert ends == ["output", "processes", "cpu", "wall"], told
