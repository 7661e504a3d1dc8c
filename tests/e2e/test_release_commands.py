"""`flowctl component build --platforms`, `--as-registry` and `reproduce` as a person types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from flowctl_core.models import Platform

HOST = Platform.host()
OTHER = "linux/arm64" if HOST.arch == "amd64" else "linux/amd64"
COMPONENT = """\
apiVersion: component.flowctl.io/v1
kind: ComponentSpec
metadata: {{name: greeter, version: 2.0.1}}
spec:
  type: source
  languages:
    - name: sh
      build:
        native:
          commands: [{command!r}]
          binary: greeter.sh
"""
MAKE = r"printf '#!/bin/sh\necho hello\n' > greeter.sh; chmod +x greeter.sh"


def _git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=n@example.org", *arguments], cwd=root, check=True)


@pytest.fixture
def component(tmp_path: Path) -> Path:
    root = tmp_path / "mein Gerät"
    root.mkdir()
    (root / "component.yaml").write_text(COMPONENT.format(command=MAKE))
    _git(root, "init", "--quiet")
    _git(root, "add", "--all")
    _git(root, "commit", "--quiet", "--message", "first")
    return root


def _sleep_in_build(root: Path) -> None:
    (root / "component.yaml").write_text(COMPONENT.format(command="echo started > started; sleep 60; " + MAKE))


def test_a_release_is_built_shown_and_runs(flowctl, component: Path) -> None:
    done = flowctl.run("component", "build", "--platforms", HOST, "--no-images", cwd=component)
    assert done.returncode == 0, done.stderr
    head, program, *_ = done.stdout.splitlines()
    assert head.startswith(f"greeter 2.0.1 built for {HOST} in ") and head.endswith("(sh, release)")
    name = f"greeter-{HOST.replace('/', '-')}"
    assert program.split()[:2] == ["program", f"dist/binaries/{name}"] and "needs /bin/sh" in program
    said = subprocess.run([component / "dist/binaries" / name], capture_output=True, text=True)
    assert said.stdout == "hello\n"
    check = done.stdout.splitlines()[-1].removeprefix("  check it:  ")
    assert subprocess.run(["sh", "-c", check], cwd=component).returncode == 0


def test_a_platform_that_cannot_be_built_is_named_and_the_exit_code_tells(flowctl, component: Path) -> None:
    done = flowctl.run("component", "build", "--platforms", f"{HOST},{OTHER}", "--no-images", cwd=component)
    assert done.returncode == 37
    assert f"{OTHER} cannot be built here: the component's own build command builds for" in done.stderr
    assert "1 of 2 platforms could not be built" in done.stderr
    report = json.loads(
        flowctl.run(
            "component", "build", "--platforms", f"{HOST},{OTHER}", "--no-images", "-o", "json", cwd=component
        ).stdout
    )
    assert [(p["platform"], p["state"]) for p in report["platforms"]] == [(HOST, "built"), (OTHER, "refused")]
    assert (component / "dist/metadata/build-info.json").is_file()


def test_nothing_that_can_be_built_is_an_error_document(flowctl, component: Path) -> None:
    error = flowctl.failure("component", "build", "--platforms", OTHER, cwd=component)
    assert (error["code"], error["exit_code"]) == ("platforms-failed", 37)
    assert OTHER in error["message"] and "worker" in error["hint"]
    assert not (component / "dist").exists()


def test_a_release_can_be_reproduced(flowctl, component: Path) -> None:
    flowctl.ok("component", "build", "--as-registry", "--platforms", HOST, "--no-images", cwd=component)
    assert "was reproduced" in flowctl.ok("component", "reproduce", cwd=component)
    program = next((component / "dist/binaries").iterdir())
    program.write_text("#!/bin/sh\necho tampered\n")
    done = flowctl.run("component", "reproduce", cwd=component)
    assert done.returncode == 39 and f"binaries/{program.name} differs" in done.stdout
    report = json.loads(flowctl.run("component", "reproduce", "-o", "json", cwd=component).stdout)
    assert report["reproduced"] is False and report["differences"][0]["path"] == f"binaries/{program.name}"


def test_as_registry_says_what_is_left_out(flowctl, component: Path) -> None:
    (component / "draft.txt").write_text("not committed")
    done = flowctl.run("component", "build", "--as-registry", "--platforms", HOST, "--no-images", cwd=component)
    assert done.returncode == 0
    assert "warning: changes that are in no commit are not part of this build: draft.txt" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--platforms", "windows"], "'windows' is not a platform"),
        (["--platforms", ","], "--platforms names no platform"),
        (["--commit", "v1"], "--commit is for releases"),
        (["--release", "--commit", "v1"], "--commit names what --as-registry builds"),
        (["--dist", "x"], "--dist is for releases"),
        (["--fail-on", "high"], "--fail-on is for releases"),
        (["--release", "--no-images", "--push", "localhost:1/x"], "--push needs images"),
        (["--release", ".", ".", "--dist", "x"], "the same folder is named twice"),
    ],
)
def test_flags_that_contradict_each_other(flowctl, component: Path, arguments: list[str], says: str) -> None:
    error = flowctl.failure("component", "build", *arguments, cwd=component)
    assert error["exit_code"] == 2 and says in error["message"]


def test_a_dist_that_cannot_be_written(unprivileged, component: Path) -> None:
    component.chmod(0o555)
    try:
        error = unprivileged.failure("component", "build", "--platforms", HOST, "--no-images", cwd=component)
        assert error["exit_code"] == 40 and "Permission denied" in error["message"]
    finally:
        component.chmod(0o755)
    assert [path.name for path in component.iterdir() if path.name.startswith(".dist")] == []


def test_a_full_disk_leaves_the_old_release(flowctl, component: Path) -> None:
    """No file may be larger: a write beyond it fails as on a full disk."""
    flowctl.ok("component", "build", "--platforms", HOST, "--no-images", cwd=component)
    before = (component / "dist/metadata/checksums").read_text()
    code = "import os, resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    code += " resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500)); os.execv(sys.argv[1], sys.argv[1:])"
    narrow = replace(flowctl, before=(sys.executable, "-c", code))
    error = narrow.failure("component", "build", "--platforms", HOST, "--no-images", cwd=component)
    assert (error["code"], error["exit_code"]) == ("store", 40)
    assert "File too large" in error["message"] and error["hint"]
    assert (component / "dist/metadata/checksums").read_text() == before
    assert not list(component.glob(".dist.*"))


def test_ctrl_c_ends_the_tools_and_leaves_nothing(flowctl, component: Path) -> None:
    flowctl.ok("component", "build", "--platforms", HOST, "--no-images", cwd=component)
    before = (component / "dist/metadata/checksums").read_text()
    _sleep_in_build(component)
    process = flowctl.start("component", "build", "--platforms", HOST, "--no-images", cwd=component)
    started = Path(flowctl.home / "cache" / "releases")
    _wait_for(lambda: list(started.glob("*/*/started")))
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert (component / "dist/metadata/checksums").read_text() == before
    assert not list(component.glob(".dist.*"))
    left = subprocess.run(["pgrep", "-f", "^sleep 60$"], capture_output=True, text=True).stdout.split()
    mine = [pid for pid in left if str(started) in os.readlink(f"/proc/{pid}/cwd")]
    assert mine == []


def test_kill_9_while_building_leaves_the_old_release_and_the_next_one_works(flowctl, component: Path) -> None:
    flowctl.ok("component", "build", "--platforms", HOST, "--no-images", cwd=component)
    before = (component / "dist/metadata/checksums").read_text()
    _sleep_in_build(component)
    process = flowctl.start("component", "build", "--platforms", HOST, "--no-images", cwd=component)
    _wait_for(lambda: list((flowctl.home / "cache" / "releases").glob("*/*/started")))
    process.kill()
    process.wait()
    assert (component / "dist/metadata/checksums").read_text() == before
    (component / "component.yaml").write_text(COMPONENT.format(command=MAKE))
    flowctl.ok("component", "build", "--platforms", HOST, "--no-images", cwd=component)
    assert not list(component.glob(".dist.*"))


def test_two_releases_at_once_wait_for_each_other(flowctl, component: Path) -> None:
    processes = [
        flowctl.start("component", "build", "--platforms", HOST, "--no-images", cwd=component) for _ in range(2)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    flowctl.ok("component", "reproduce", cwd=component)


def test_prune_removes_what_releases_keep(flowctl, component: Path) -> None:
    flowctl.ok("component", "build", "--platforms", HOST, "--no-images", cwd=component)
    releases = flowctl.home / "cache" / "releases"
    assert list(releases.iterdir())
    flowctl.ok("cache", "prune", "--all")
    assert not releases.exists() or not list(releases.iterdir())
    flowctl.ok("component", "build", "--platforms", HOST, "--no-images", cwd=component)


def _wait_for(found, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
