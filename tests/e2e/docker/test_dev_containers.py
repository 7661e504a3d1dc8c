"""Components of a pipeline in containers: events through their stdin and stdout, and nothing left afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flowctl_core.dev.container import LABEL, ContainerInstance, ContainerLauncher
from flowctl_core.dev.edges import Batch, DeadLetters, Feed, Tap
from flowctl_core.dev.environment import Ports
from flowctl_core.dev.launch import Instance, Launch
from flowctl_core.dev.pipeline import DevComponent
from flowctl_core.dev.program import Program
from flowctl_core.docker_engine.connect import DockerEngine
from flowctl_core.errors import ComponentStartError, ImageError
from flowctl_core.models.pipeline import PipelineComponent

Start = Callable[..., Instance]


class Kept:
    def __init__(self) -> None:
        self.data = b""

    def push(self, batch: Batch) -> None:
        self.data += batch.data

    def finish(self) -> None:
        pass


def left_over(engine: DockerEngine) -> list[str]:
    client = engine.client()
    with contextlib.closing(client):
        return [found["Id"] for found in client.containers(all=True, filters={"label": LABEL})]


@pytest.fixture
def launcher(docker: DockerEngine) -> ContainerLauncher:
    return ContainerLauncher(docker)


@pytest.fixture
def start(docker: DockerEngine, launcher: ContainerLauncher, busybox: str, tmp_path: Path) -> Iterator[Start]:
    started: list[Instance] = []

    def begin(script: str, *, image: str = busybox, takes_events: bool = True, **entry: object) -> Instance:
        declared = PipelineComponent.model_validate({"id": "filter", "image": image, **entry})
        component = DevComponent("processors", ("spec",), declared, Program("image", image=image))
        # as the supervisor hands it over: the caller's variables, and those of the pipeline
        environment = {**os.environ, "FLOWCTL_COMPONENT_ID": "filter", "HEALTH_PORT": "18081"}
        argv = ("sh", "-c", script) if script else ()
        instance = launcher.start(Launch(component, 0, argv, tmp_path, environment, Ports(18081), takes_events, image))
        started.append(instance)
        return instance

    yield begin
    for instance in started:
        instance.kill()
        instance.wait()
    assert left_over(docker) == []


def read_all(fd: int) -> bytes:
    with open(fd, "rb") as stream:
        return stream.read()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def test_events_pass_through_a_container_and_an_eof_ends_it(start: Start, tmp_path: Path) -> None:
    tap, kept, feed = Tap("filter", DeadLetters(tmp_path / "letters")), Kept(), Feed("filter")
    tap.connect(kept)
    edge = feed.edge("source")
    instance = start("echo ready >&2; cat")
    assert instance.stdin is not None
    said: list[bytes] = []
    threading.Thread(target=lambda: said.append(read_all(instance.stderr))).start()
    feed.attach(instance.stdin, close=instance.close_stdin)
    tap.attach(instance.stdout)
    expected = b"".join(b'{"n":%d,"text":"%s"}\n' % (n, b"x" * 180) for n in range(50_000))
    for at in range(0, 50_000, 1000):
        lines = expected.splitlines(keepends=True)[at : at + 1000]
        edge.push(Batch(b"".join(lines), len(lines), at + 1))
    edge.finish()
    assert instance.wait() == 0
    assert tap.drained.wait(20)
    assert kept.data == expected
    until(lambda: said == [b"ready\n"])
    assert feed.detach(crashed=False).unread == 0


def test_it_gets_the_variables_of_the_pipeline_and_not_this_machines(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONLY_HERE", "1")
    monkeypatch.setenv("TOKEN", "secret")
    monkeypatch.setenv("WANTED", "1")
    instance = start("env", takes_events=False, env={"WANTED": "1"}, secrets=["TOKEN"])
    variables = dict(line.split("=", 1) for line in read_all(instance.stdout).decode().splitlines())
    assert instance.wait() == 0
    assert variables["FLOWCTL_COMPONENT_ID"] == "filter"
    assert variables["HEALTH_PORT"] == "18081"
    assert (variables["WANTED"], variables["TOKEN"], variables["PATH"]) == ("1", "secret", "/bin")
    assert "ONLY_HERE" not in variables
    read_all(instance.stderr)


def test_an_exit_code_and_a_signal_are_told_apart(start: Start) -> None:
    instance = start("exit 7", takes_events=False)
    assert instance.wait() == 7
    instance = start("sleep 600 & wait", takes_events=False)
    assert instance.pid is not None
    assert (instance.memory() or 0) > 0
    instance.kill()
    assert instance.wait() == -9


def test_folders_are_mounted_and_limits_hold(start: Start, tmp_path: Path) -> None:
    (tmp_path / "für daten").mkdir()
    (tmp_path / "für daten" / "file").write_text("there")
    instance = start(
        "cat /data/file; echo x 2>/dev/null > /data/other || echo '-readonly'",
        takes_events=False,
        volumes=["für daten:/data:ro"],
        resources={"limits": {"memory": "64Mi", "cpu": "500m"}},
    )
    assert read_all(instance.stdout) == b"there-readonly\n"
    assert instance.wait() == 0


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"volumes": ["missing:/data"]}, "missing does not exist"),
        ({"volumes": [{"name": "data", "mountPath": "/data"}]}, "names no folder of this machine"),
        ({"resources": {"limits": {"memory": "a lot"}}}, "'a lot' is no quantity"),
        ({"image": "flowctl-test-no-such-image:1"}, "No such image"),
    ],
)
def test_what_cannot_be_started_says_why_and_leaves_nothing(
    start: Start, docker: DockerEngine, entry: dict[str, object], problem: str
) -> None:
    with pytest.raises(ComponentStartError, match=problem):
        start("true", **entry)
    assert left_over(docker) == []


def test_an_image_that_nobody_has_is_said_before_anything_starts(launcher: ContainerLauncher) -> None:
    class Silent:
        def step(self, text: str) -> None: ...
        def line(self, text: str) -> None: ...
        def note(self, text: str) -> None: ...
        def warning(self, text: str) -> None: ...

    with pytest.raises(ImageError, match="nothing is fetched offline"):
        launcher.prepare(["flowctl-test-no-such-image:1"], Silent(), offline=True)


KILLED = """
import json, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from flowctl_core.docker_engine.connect import connect
from flowctl_core.dev.container import ContainerLauncher
from flowctl_core.dev.environment import Ports
from flowctl_core.dev.launch import Launch
from flowctl_core.dev.pipeline import DevComponent
from flowctl_core.dev.program import Program
from flowctl_core.models.pipeline import PipelineComponent
image = sys.argv[2]
entry = PipelineComponent(id="source", image=image)
component = DevComponent("sources", ("spec",), entry, Program("image", image=image))
ContainerLauncher(connect()).start(Launch(component, 0, ("sleep", "600"), Path("/"), {}, Ports(18081), False, image))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_flowctl_leaves_no_container(docker: DockerEngine, docker_env: dict[str, str], busybox: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, "", busybox], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr

    def states() -> list[str]:
        client = docker.client()
        with contextlib.closing(client):
            return [found["State"] for found in client.containers(all=True, filters={"label": LABEL})]

    until(lambda: states() == ["exited"])  # the watcher ended it
    ContainerLauncher(docker)  # the next one removes it
    assert states() == []


def test_an_instance_is_what_the_supervisor_drives(start: Start) -> None:
    instance = start("true", takes_events=False)
    assert isinstance(instance, ContainerInstance)
    assert instance.stdin is None and instance.close_stdin is None
    assert json.dumps(instance.wait()) == "0"


PIPELINE = """\
apiVersion: flowctl/v1
kind: Pipeline
metadata: {{name: mixed}}
spec:
  sources:
    - {{id: source, command: [sh, -c, 'for n in 1 2 3; do echo "{{\\"n\\":$n}}"; done']}}
  processors:
    - {{id: filter, image: "{image}", args: [grep, -v, "2"], inputs: [source]}}
  sinks:
    - {{id: sink, command: [sh, -c, 'cat > got'], inputs: [filter]}}
"""


def flowctl(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "flowctl_core", "dev", "--once", "--plain", *arguments]
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def test_a_pipeline_mixes_processes_and_containers(
    docker: DockerEngine, docker_env: dict[str, str], busybox: str, tmp_path: Path
) -> None:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE.format(image=busybox))
    done = flowctl(cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "got").read_text() == '{"n":1}\n{"n":3}\n'
    assert left_over(docker) == []
    for mode, named in (("native", "filter"), ("container", "source, sink")):
        refused = flowctl("--mode", mode, cwd=tmp_path)
        assert refused.returncode == 2
        assert named in refused.stderr and "hybrid" in refused.stderr


def test_sources_run_as_the_images_that_a_registry_would_make(
    docker: DockerEngine, docker_env: dict[str, str], component: Callable[..., Path], busybox: str, tmp_path: Path
) -> None:
    root = component()
    declared = root / "component.yaml"
    declared.write_text(declared.read_text().replace("type: processor", "type: source"))
    (tmp_path / "pipeline.yaml").write_text(
        "apiVersion: flowctl/v1\nkind: Pipeline\nmetadata: {name: contained}\nspec:\n"
        f"  sources: [{{id: word, path: {json.dumps(str(root))}}}]\n"
        f"  sinks: [{{id: sink, image: '{busybox}', args: [cat], inputs: [word]}}]\n"
    )
    done = flowctl("--mode", "container", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    letters = (tmp_path / ".flowctl" / "dev" / "dead-letters.ndjson").read_text()
    assert json.loads(letters)["text"] == f"a word from {docker.platform}"
    assert left_over(docker) == []


def test_no_engine_is_said_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE.format(image="any:1"))
    refused = flowctl(cwd=tmp_path)
    assert refused.returncode != 0
    assert "no Docker engine answers" in refused.stderr and "Traceback" not in refused.stderr
    assert not (tmp_path / "got").exists()
