"""`flowctl build-host`, as a registry's worker calls it: phases in processes of their own, without network but to fetch."""

from __future__ import annotations

import filecmp
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ROOT, unavailable

from flowctl_core.models import Platform

HOST = Platform.host()
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
SCRATCH = "build: {images: {base: {go: scratch, node: scratch, python: scratch, rust: scratch}}}\n"
"""Bases of images come from registries, which are not what is tested here."""


def _git(root: Path, *arguments: str) -> str:
    named = ("-c", "user.name=n", "-c", "user.email=n@example.org")
    done = subprocess.run(["git", *named, *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@dataclass
class Build:
    """A workspace, and the command that works in it."""

    flowctl: Any
    folder: Path

    def request(self, **wanted: object) -> None:
        revision = _git(self.folder / "repository", "rev-parse", "HEAD")
        request = {"name": "greeter", "revision": revision, "platforms": [HOST], "images": False, **wanted}
        (self.folder / "request.json").write_text(json.dumps(request))

    def run(self, *arguments: str, network: bool = False) -> subprocess.CompletedProcess[str]:
        flowctl = self.flowctl if network else replace(self.flowctl, before=_without_network())
        return flowctl.run("build-host", *arguments, "--workspace", str(self.folder))

    def answer(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "answer.json").read_text()))

    def ok(self, *arguments: str, network: bool = False) -> list[dict[str, str]]:
        """The events of a command that must succeed."""
        done = self.run(*arguments, network=network)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{self.answer()['error']}"
        assert self.answer()["ok"] is True and self.answer()["error"] is None
        return [json.loads(line) for line in done.stdout.splitlines()]


def _without_network() -> tuple[str, ...]:
    for before in (("unshare", "-n"), ("unshare", "-r", "-n")):
        if shutil.which("unshare") and subprocess.run([*before, "true"], capture_output=True).returncode == 0:
            return before
    unavailable("the network cannot be taken away: unshare -n does not work")
    return ()


def _make(flowctl, folder: Path, command: str = MAKE) -> Build:
    repository = folder / "repository"
    repository.mkdir(parents=True)
    (repository / "component.yaml").write_text(COMPONENT.format(command=command))
    _git(repository, "init", "--quiet")
    _git(repository, "add", "--all")
    _git(repository, "commit", "--quiet", "--message", "first")
    build = Build(flowctl, folder)
    build.request()
    return build


def _digests(folder: Path) -> dict[str, Path]:
    return {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}


def _require_same(one: Path, other: Path) -> None:
    first, second = _digests(one), _digests(other)
    assert first.keys() == second.keys()
    assert [name for name, path in first.items() if not filecmp.cmp(path, second[name], shallow=False)] == []


def test_a_release_is_built_phase_by_phase_and_events_tell_of_it(flowctl, tmp_path: Path) -> None:
    build = _make(flowctl, tmp_path / "work", "echo at work; " + MAKE)
    said = build.ok("export", "decide", "fetch")
    assert {"event": "step", "phase": "export", "text": "exporting the source"} in said
    assert sorted(build.answer()["states"]) == ["decide.json", "export.json", "fetch.json"]
    said = build.ok("build", "--platform", HOST)
    assert {"event": "line", "phase": "build", "platform": HOST, "text": "at work"} in said
    build.ok("assemble")
    report = build.answer()["states"]["assemble.json"]["report"]
    assert (report["component"], report["version"], report["directory"]) == ("greeter", "2.0.1", "release")
    checked = subprocess.run(["sha256sum", "--check", "--quiet", "metadata/checksums"], cwd=build.folder / "release")
    assert checked.returncode == 0


def test_a_caller_may_keep_states_and_answer_where_the_source_cannot_reach_them(flowctl, tmp_path: Path) -> None:
    build = _make(flowctl, tmp_path / "work")
    states, answer = tmp_path / "states", tmp_path / "answer" / "a.json"
    states.mkdir()
    answer.parent.mkdir()
    (build.folder / "request.json").rename(states / "request.json")
    for phases in (["export", "decide"], ["fetch"], ["build"], ["assemble"]):
        build.flowctl.ok(
            "build-host", *phases, "--workspace", str(build.folder), "--states", str(states), "--answer", str(answer)
        )
        for name, state in json.loads(answer.read_text())["states"].items():
            (states / name).write_text(json.dumps(state))
    assert sorted(path.name for path in build.folder.iterdir()) == ["release", "repository", "source", "tests"]


def test_a_failed_build_answers_with_the_tools_own_words(flowctl, tmp_path: Path) -> None:
    build = _make(flowctl, tmp_path / "work", "echo this is wrong >&2; exit 3")
    build.ok("export", "decide", "fetch")
    done = build.run("build")
    error = build.answer()["error"]
    assert done.returncode == error["exit_code"] == 37 and error["code"] == "platforms-failed"
    assert "this is wrong" in error["output"] and build.answer()["phase"] == "build"


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"component.yaml": "kind: {"}, "spec", "component.yaml"),
        ({"component.yaml": "", "README.md": "nothing here\n"}, "spec", "the file is empty"),
    ],
)
def test_a_bad_source_is_told_as_on_the_command_line(flowctl, tmp_path, change, code: str, says: str) -> None:
    build = _make(flowctl, tmp_path / "work")
    for name, text in change.items():
        (build.folder / "repository" / name).write_text(text)
    _git(build.folder / "repository", "add", "--all")
    _git(build.folder / "repository", "commit", "--quiet", "--message", "bad")
    build.request()
    assert build.run("export", "decide").returncode == 10
    error = build.answer()["error"]
    assert error["code"] == code and says in error["message"] + (error["output"] or "")
    assert "export.json" in build.answer()["states"]


def test_what_the_command_does_not_know_is_a_usage_error(flowctl, tmp_path: Path) -> None:
    build = _make(flowctl, tmp_path / "work")
    assert (
        "bake is no phase" in build.flowctl.failure("build-host", "bake", "--workspace", str(build.folder))["message"]
    )
    assert "build-host" not in build.flowctl.ok("--help")
    assert build.run("build", "--platform", "plan9").returncode == 2
    assert build.answer()["error"]["code"] == "usage"
    (build.folder / "request.json").unlink()
    assert build.run("export").returncode == 2
    assert "request.json of the workspace cannot be read" in build.answer()["error"]["message"]


def test_sigterm_ends_the_tools_and_is_answered(flowctl, tmp_path: Path) -> None:
    build = _make(flowctl, tmp_path / "work", "echo $$ > ../../pid; exec sleep 60")
    build.ok("export", "decide", "fetch")
    process = build.flowctl.start("build-host", "build", "--workspace", str(build.folder))
    pid = build.folder / "pid"
    deadline = time.monotonic() + 60
    while not (pid.is_file() and pid.read_text().strip()):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 130
    assert build.answer()["error"]["code"] == "cancelled"
    assert not Path("/proc", pid.read_text().strip()).exists()


@pytest.mark.parametrize("example", ["go-source", "node-sink", "python-processor", "rust-processor"])
def test_an_example_gets_the_bytes_of_a_build_by_hand_without_network_outside_fetch(
    flowctl, tmp_path: Path, example: str
) -> None:
    tool = {"go": "go", "node": "node", "python": "uv", "rust": "cargo"}[example.partition("-")[0]]
    if shutil.which(tool, path=f"{Path(sys.prefix) / 'bin'}:{flowctl.environment['PATH']}") is None:
        unavailable(f"{tool} not found")
    config = tmp_path / "config.yaml"
    config.write_text(SCRATCH)
    repository = tmp_path / "work" / "repository"
    shutil.copytree(ROOT / "examples" / example, repository / "parts" / example)
    _git(repository, "init", "--quiet")
    _git(repository, "add", "--all")
    _git(repository, "commit", "--quiet", "--message", "first")
    platforms = ["linux/amd64", "darwin/arm64"]
    build = Build(flowctl, tmp_path / "work")
    build.request(name=example, subdirectory=f"parts/{example}", platforms=platforms, images=True)
    build.ok("export", "decide")
    refused = [refusal["platform"] for refusal in build.answer()["states"]["decide.json"]["refused"]]
    build.ok("fetch", network=True)
    build.ok("test")
    assert build.answer()["states"]["test.json"]["state"] == "passed"
    # All at once, as a registry's workers do it, in one workspace.
    answers = {
        platform: tmp_path / f"{platform.replace('/', '-')}.json" for platform in platforms if platform not in refused
    }
    builder = replace(flowctl, before=_without_network())
    running = [
        builder.start(
            *("build-host", "build", "--platform", platform, "--workspace", str(build.folder)),
            *("--config", str(config), "--answer", str(answer)),
        )
        for platform, answer in answers.items()
    ]
    for process in running:
        said, aside = process.communicate(timeout=900)
        assert process.returncode == 0, said + aside
    for answer in answers.values():
        assert [state["bases"] for state in json.loads(answer.read_text())["states"].values()] == [{}]
    build.ok("assemble", "--config", str(config))
    hand = tmp_path / "hand"
    done = flowctl.run(
        *("--config", str(config), "component", "build", "--as-registry", "--platforms", ",".join(platforms)),
        *("--dist", str(hand)),
        cwd=repository / "parts" / example,
    )
    assert done.returncode in (0, 37 if refused else 0), done.stderr
    shutil.rmtree(build.folder / "source")
    for folder in (build.folder / "release", hand):  # advisories are of the hour
        (folder / "metadata/security-scan.json").unlink(missing_ok=True)
        (folder / "metadata/checksums").unlink()
    _require_same(build.folder / "release", hand)
