"""`flowctl component test --container`, and the runner behind it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from flowctl_core.errors import CancelledError, ToolchainError, ToolTimeoutError
from flowctl_core.models import Command
from flowctl_core.runners.docker import DockerRunner


def _settings(flowctl, script: str) -> None:
    file = flowctl.home / ".flowctl" / "config.yaml"
    file.parent.mkdir()
    file.write_text(f"build: {{local: {{languages: {{c: {{test_command: [sh, -c, {script!r}]}}}}}}}}\n")


def _containers(docker) -> list[dict[str, Any]]:
    client = docker.client()
    try:
        return list(client.containers(all=True, filters={"label": "io.flowctl.runner"}))
    finally:
        client.close()


def _command(folder: Path, *argv: str, **over: Any) -> Command:
    return Command(argv=argv, cwd=folder, environment={"PATH": "/bin"}, **over)


def test_tests_run_inside_as_the_caller_without_network(flowctl, docker, docker_env, component, busybox) -> None:
    root = component(container=f"{{base: scratch, test_image: {busybox}}}")
    said = "id -u; ls /sys/class/net; cat component.yaml | head -n 1; ls /usr/bin; exit 3"
    _settings(flowctl, said)
    done = flowctl.run("component", "test", "--container", cwd=root, **docker_env)
    assert done.returncode == 33, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert str(os.getuid()) in lines[0] and lines[1:3] == ["lo", "apiVersion: component.flowctl.io/v1"]
    assert any("ls: /usr/bin: No such file or directory" in line for line in lines)
    assert not (root / ".flowctl").exists() and not (root / "made").exists()
    assert _containers(docker) == []


def test_a_stage_of_the_dockerfile_runs_the_tests(flowctl, docker_env, component, busybox) -> None:
    text = f"FROM {busybox} AS base\nCOPY . /src\nFROM base AS test\nWORKDIR /src\nCMD ls component.yaml && exit 4\nFROM base\n"
    root = component(container="{dockerfile: Dockerfile}", Dockerfile=text)
    report = flowctl.run("component", "test", "--container", cwd=root, **docker_env)
    assert report.returncode == 33 and "component.yaml" in report.stdout and "exit code 4" in report.stderr
    (root / "Dockerfile").write_text(text.replace("exit 4", "exit 0"))
    flowctl.ok("component", "test", "--container", cwd=root, **docker_env)


def test_a_dockerfile_without_tests(flowctl, docker_env, component, busybox) -> None:
    root = component(container="{dockerfile: Dockerfile}", Dockerfile=f"FROM {busybox}\n")
    error = flowctl.failure("component", "test", "--container", cwd=root, **docker_env)
    assert error["code"] == "no-tests" and "AS test" in error["hint"]


def test_an_image_that_is_unknown_or_cannot_be_had(flowctl, docker_env, component) -> None:
    root = component()
    error = flowctl.failure("component", "test", "--container", cwd=root, **docker_env)
    assert error["code"] == "image" and "test_image" in error["hint"]
    settings = flowctl.home / ".flowctl" / "config.yaml"
    settings.parent.mkdir()
    settings.write_text("build: {images: {test: {c: '127.0.0.1:1/nobody/nothing:1'}}}\n")
    error = flowctl.failure("component", "test", "--container", cwd=root, **docker_env)
    assert error["code"] == "image" and "127.0.0.1:1/nobody/nothing:1 cannot be had" in error["message"]
    error = flowctl.failure("component", "test", "--container", "--offline", cwd=root, **docker_env)
    assert error["code"] == "image" and "docker pull" in error["hint"]


def test_the_runner_gives_output_and_exit_code(docker, busybox, tmp_path) -> None:
    runner = DockerRunner(docker, busybox, [tmp_path])
    lines: list[str] = []
    done = runner.run(
        _command(tmp_path, "sh", "-c", "pwd; echo two; echo err >&2; touch made; exit 7"), on_line=lines.append
    )
    assert (done.exit_code, done.stdout, done.stderr) == (7, f"{tmp_path}\ntwo\n", "err\n")
    assert sorted(lines) == sorted([str(tmp_path), "two", "err"])
    assert (tmp_path / "made").stat().st_uid == os.getuid()
    with pytest.raises(ToolchainError, match="nonsense was not found in the image"):
        runner.run(_command(tmp_path, "nonsense"))
    assert _containers(docker) == []


def test_a_timeout_ends_the_container(docker, busybox, tmp_path) -> None:
    with pytest.raises(ToolTimeoutError) as caught:
        DockerRunner(docker, busybox, [tmp_path]).run(
            _command(tmp_path, "sh", "-c", "echo begun; sleep 1000", timeout_s=8)
        )
    assert caught.value.output == "begun"
    assert _containers(docker) == []


def test_cancelling_ends_the_container(docker, busybox, tmp_path) -> None:
    runner = DockerRunner(docker, busybox, [tmp_path])
    with pytest.raises(CancelledError):
        runner.run(_command(tmp_path, "sh", "-c", "echo begun; sleep 1000"), on_line=lambda line: runner.cancel())
    assert _containers(docker) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_flowctl_ends(flowctl, docker, docker_env, component, busybox, tmp_path, how) -> None:
    root = component(container=f"{{base: scratch, test_image: {busybox}}}")
    _settings(flowctl, "echo 1000 > /proc/self/oom_score_adj; sleep 4711")
    process = flowctl.start("component", "test", "--container", cwd=root, **docker_env)
    try:
        deadline = time.monotonic() + 200
        while not any("4711" in one["Command"] and one["State"] == "running" for one in _containers(docker)):
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()
            time.sleep(0.1)
    finally:
        process.send_signal(how)
    process.communicate(timeout=120)
    while any(one["State"] == "running" for one in _containers(docker)):  # the watcher needs a moment
        assert time.monotonic() < deadline
        time.sleep(0.1)
    DockerRunner(docker, busybox, [tmp_path])
    assert _containers(docker) == []
    assert subprocess.run(["pgrep", "-f", "sleep 4711"], capture_output=True).stdout == b""
